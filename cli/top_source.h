/* SPDX-License-Identifier: MIT */
/* Where `weir top` gets its figures: from a running server, asked again and again on a thread. */
#ifndef WEIR_CLI_TOP_SOURCE_H
#define WEIR_CLI_TOP_SOURCE_H

#include "top_figures.h"

enum top_state {
    TOP_CONNECTING, /* nothing came yet */
    TOP_LIVE,
    TOP_LOST,   /* the last asking failed; it is tried again */
    TOP_REFUSED /* the token is no good; nothing is tried any more */
};

/* What is known at one moment. */
struct top_snapshot {
    enum top_state state;
    char problem[256]; /* of TOP_LOST and TOP_REFUSED; printable ASCII */
    bool has_figures;  /* once they came they stay, also when the server is lost */
    uint64_t count;    /* how often any of this changed */
    struct top_figures figures;
};

struct top_source;

/*
 * Prepare to ask the server at `url` with `token`; connects to nothing yet.
 * Errors: WEIR_INVALID for the URL or token; WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status top_source_open(const char *url, const char *token, int interval_ms,
                                            struct top_source **ret_source, weir_error *reterr);

/* Ask once, on this thread, before top_source_start(). What came of it is read as below. */
void top_source_ask(struct top_source *source);

/* From now on ask each interval, after failures ever less often, up to every 10 s. */
WEIR_MUST_CHECK weir_status top_source_start(struct top_source *source, weir_error *reterr);

/* Copy the snapshot if it is not the one in *snapshot. Threads: one. */
bool top_source_read(struct top_source *source, struct top_snapshot *snapshot);

/* Stop asking, at once, and free it. NULL is fine. */
void top_source_close(struct top_source *source);

#endif
