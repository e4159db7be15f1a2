/* SPDX-License-Identifier: MIT */
/* Traces: spans of the work a thread does, in OpenTelemetry's names, tied across processes by W3C's traceparent. */
#ifndef WEIR_TRACE_H
#define WEIR_TRACE_H

#include <weir/clock.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Words, OpenTelemetry's: a trace is a tree of spans, each a piece of work with a beginning, a
 * duration and attributes. The root span of a process is begun by the program, usually for a request
 * it serves; it is the thread's current span until it ends, and what happens on that thread below it
 * becomes its children: of one's own with weir_span_begin(), of weir's pools, databases and HTTP
 * sessions by the listeners at the end of this file. Where a thread has no current span, nothing
 * below is traced.
 *
 * Spans are on the caller's memory. One that ends is copied into the tracer's ring, where readers
 * (an exporter, a console) find it; nobody waits for a reader, and what is not read in time is lost
 * and shows as a gap in the numbers.
 */

/* ---- W3C Trace Context ------------------------------------------------------------------- */

/* Which span, of which trace. All zero is none. */
typedef struct weir_trace_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    bool is_sampled; /* whether the trace is recorded; decided at its root, for all of it */
} weir_trace_context;

/* Room for a traceparent and ids in hexadecimal, terminating zero included. */
#define WEIR_TRACEPARENT_SIZE 56
#define WEIR_TRACE_ID_SIZE 33
#define WEIR_SPAN_ID_SIZE 17

/* The longest tracestate that is passed on, in bytes. */
#define WEIR_TRACESTATE_MAX 512

/*
 * Read the value of a `traceparent` header, by the letter of the recommendation (Trace Context, 3.2):
 * lower-case hexadecimal, no id all zero, version 00 of exactly 55 bytes, not version ff; what is of a
 * later version is read as version 00, and may be longer after a `-`. False for anything else, NULL
 * too: *ret_context is untouched, and a new trace is to be started. Threads: any.
 */
WEIR_API bool weir_traceparent_parse(const char *text, weir_trace_context *ret_context);

/* Write the header's value, of version 00; and the ids alone. Threads: any. */
WEIR_API void weir_traceparent_format(const weir_trace_context *context,
                                      char ret_text[WEIR_TRACEPARENT_SIZE]);
WEIR_API void weir_trace_id_format(const weir_trace_context *context,
                                   char ret_text[WEIR_TRACE_ID_SIZE]);
WEIR_API void weir_span_id_format(const uint8_t span_id[8], char ret_text[WEIR_SPAN_ID_SIZE]);

/* ---- the tracer -------------------------------------------------------------------------- */

/* A tracer decides which traces are recorded, and keeps the spans that ended last. */
typedef struct weir_tracer weir_tracer;

/* Options. Start from WEIR_TRACER_OPTIONS_DEFAULT and assign: zero keeps its own meaning. */
typedef struct weir_tracer_options {
    /* Which share of the traces that begin here is recorded. Default 1 (all), 0 (none) to 1. Where
     * somebody else's traceparent came in, its flag decides instead. */
    double sample_ratio;

    /* How many finished spans are kept; the oldest make room for new ones. Each takes about 2 KiB.
     * Default 2048, 16 to 65536. */
    int capacity;
} weir_tracer_options;

#define WEIR_TRACER_OPTIONS_DEFAULT                                                                \
    {                                                                                              \
        1.0, 2048                                                                                  \
    }

/*
 * Make a tracer. `options` may be NULL for the defaults. The caller ends it with weir_tracer_close().
 *
 * Errors:  WEIR_INVALID names the option and its range; WEIR_NO_MEMORY.
 * Threads: any.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_tracer_open(const weir_tracer_options *options,
                                                      weir_tracer **ret_tracer, weir_error *reterr);

/* Free it. None of its spans may be under way, and no call on it in progress. NULL is fine. */
WEIR_API void weir_tracer_close(weir_tracer *tracer);

/* ---- spans ------------------------------------------------------------------------------- */

typedef enum weir_span_kind {
    WEIR_SPAN_INTERNAL,
    WEIR_SPAN_SERVER, /* serves somebody's request */
    WEIR_SPAN_CLIENT  /* a request to somebody else */
} weir_span_kind;

#define WEIR_SPAN_ATTRIBUTES 16 /* attributes of a span; further ones are left out and counted */
#define WEIR_SPAN_NAME 128      /* room for its name, terminating zero included */
#define WEIR_SPAN_TEXT 1024     /* room for all its texts together, a zero after each */
#define WEIR_SPAN_VALUE_MAX 511 /* bytes of one text */

/* One attribute: a number, or a text (weir_span_attribute_text()). */
typedef struct weir_span_attribute {
    const char *key; /* static storage */
    int64_t number;
    uint16_t text; /* where its text begins in the span's `texts`; 0: it is a number */
} weir_span_attribute;

/*
 * A span, under way or finished. To be read by anyone who holds it; to be changed by the functions
 * below, except that `started`, of a span that was just begun, may be set back to an earlier instant.
 */
typedef struct weir_span {
    weir_trace_context context;
    uint8_t parent_id[8]; /* all zero: it is the trace's root */
    weir_span_kind kind;
    bool has_failed;   /* OpenTelemetry's status Error */
    weir_time started; /* weir_now()'s */
    weir_time wall; /* to be added to it for nanoseconds since 1970; one figure for a whole trace */
    weir_time duration;      /* once it ended */
    const char *tracestate;  /* as it came in, NULL: none; not in finished spans */
    weir_tracer *tracer;     /* NULL: it is not recorded */
    struct weir_span *outer; /* what becomes current when it ends */
    bool is_current;
    uint16_t message; /* where the text of its failure begins in `texts`; 0: none */
    uint16_t text_used;
    uint16_t attribute_count;
    uint16_t dropped_attributes; /* that found no room */
    char name[WEIR_SPAN_NAME];
    weir_span_attribute attributes[WEIR_SPAN_ATTRIBUTES];
    char texts[WEIR_SPAN_TEXT];
} weir_span;

/*
 * Begin a root span of this process and make it the thread's current one.
 *
 * parent:     whose work this is, from a traceparent; NULL: a new trace begins.
 * tracestate: the header that came with it, to be passed on; it must outlive the span. NULL: none.
 *             One that is longer than WEIR_TRACESTATE_MAX or not printable is left out.
 *
 * Returns whether it is recorded; if not, attributes need not be gathered, but it must be ended all
 * the same, and its context is passed on to others. With a NULL tracer it is nothing at all.
 * Threads: any; the same one must end it, after all that it began later.
 */
WEIR_API bool weir_span_begin_root(weir_tracer *tracer, weir_span *span, const char *name,
                                   weir_span_kind kind, const weir_trace_context *parent,
                                   const char *tracestate);

/* Begin a child of the thread's current span, and make it the current one. Returns whether it is
 * recorded: not when there is none or that one is not; it is nothing then. Otherwise as above. */
WEIR_API bool weir_span_begin(weir_span *span, const char *name, weir_span_kind kind);

/* The same for work that ended just now after `duration`. It does not become the current one; give it
 * its attributes and end it. */
WEIR_API bool weir_span_begin_past(weir_span *span, const char *name, weir_span_kind kind,
                                   weir_time duration);

/* Another name, for what is known only later. */
WEIR_API void weir_span_rename(weir_span *span, const char *name);

/* Set an attribute. `key` has static storage; the value of a key that is there already is replaced,
 * and a NULL text leaves it as it is. Texts too long for their room are cut, never inside a character;
 * what is not UTF-8 in one becomes "?". */
WEIR_API void weir_span_set_text(weir_span *span, const char *key, const char *text);
WEIR_API void weir_span_set_number(weir_span *span, const char *key, int64_t number);

/* Mark it as failed: the attribute error.type, of few different values ("timeout", "503"), and a text
 * for people, which may be NULL and must not hold a secret. */
WEIR_API void weir_span_fail(weir_span *span, const char *error_type, const char *message);

/* End it, and put it into the ring if it is recorded. Ending it again does nothing. */
WEIR_API void weir_span_end(weir_span *span);

/* The text of an attribute; NULL: it is a number. And that of the failure; NULL: none. Valid as long
 * as the span. */
WEIR_API const char *weir_span_attribute_text(const weir_span *span, size_t index);
WEIR_API const char *weir_span_message(const weir_span *span);

/* ---- the current span -------------------------------------------------------------------- */

/* The thread's current span, recorded or not; NULL: none. Valid until it ends. */
WEIR_API const weir_span *weir_trace_current(void);

/*
 * Make the context under which the thread's current span calls somebody else: its trace, and a new
 * span id, which is then that of the span for the call. False: there is no current span.
 * weir_http_send() does this for each attempt.
 */
WEIR_API bool weir_trace_call(weir_trace_context *ret_context);

/* ---- reading finished spans -------------------------------------------------------------- */

/* How many spans have ended; the number of the next one. Threads: any. */
WEIR_API uint64_t weir_tracer_count(weir_tracer *tracer);

/*
 * Copy the finished span of number *position, counted from 0, or the oldest after it that is still
 * kept, and set *position to the number behind that. By how much more than 1 it moved, so many were
 * lost to this reader. False: there is none yet.
 * Threads: any, each with a position of its own.
 */
WEIR_API bool weir_tracer_read(weir_tracer *tracer, uint64_t *position, weir_span *ret_span);

/* Sleep until so many spans have ended, or `until` (weir_now()'s) has passed, or weir_tracer_wake() is
 * called. For one reader at a time. */
WEIR_API void weir_tracer_wait(weir_tracer *tracer, uint64_t count, weir_time until);

/* Wake the reader; if none sleeps, the next one does not. Threads: any. */
WEIR_API void weir_tracer_wake(weir_tracer *tracer);

/* ---- tracing weir ------------------------------------------------------------------------ */

/*
 * Listeners that record what a pool, a database and an HTTP session do below a thread's current span.
 * They need no argument, since a span goes to the tracer of its parent:
 *
 *   weir_pool_listen(pool, WEIR_TRACE_POOL_EVENTS, weir_trace_on_pool_event, NULL, &error);
 *   weir_db_listen_when(db, weir_trace_wants, weir_trace_on_db_event, NULL, &error);
 *   weir_http_listen(session, WEIR_TRACE_HTTP_EVENTS, weir_trace_on_http_event, NULL, &error);
 *
 * A pool keeps its fast path. Where nothing is recorded they return after some nanoseconds, and a
 * database that is asked weir_trace_wants() does not even measure.
 *
 * Pools:     "wait <pool>", how long an acquire waited, or that it gave up; "connect <pool>",
 *            the opening of a connection; "ping <pool>", which was answered or not.
 * Databases: one span for each statement, "SELECT <database>", with the text but without the values
 *            in it, as weir_sql_without_values() has it.
 * Sessions:  one span for each attempt, whose id is the one that its traceparent said; the URL is
 *            without its query.
 */
struct weir_pool_event;
struct weir_db_event;
struct weir_http_event;

#define WEIR_TRACE_POOL_EVENTS                                                                     \
    (WEIR_EVENT_BIT(WEIR_EVENT_WAIT) | WEIR_EVENT_BIT(WEIR_EVENT_TIMEOUT) |                        \
     WEIR_EVENT_BIT(WEIR_EVENT_CONNECT) | WEIR_EVENT_BIT(WEIR_EVENT_PING) |                        \
     WEIR_EVENT_BIT(WEIR_EVENT_PING_FAILURE))
#define WEIR_TRACE_HTTP_EVENTS WEIR_EVENT_BIT(WEIR_HTTP_EVENT_ATTEMPT)

WEIR_API weir_status weir_trace_on_pool_event(const struct weir_pool_event *event, void *arg);
WEIR_API void weir_trace_on_db_event(const struct weir_db_event *event, void *arg);
WEIR_API void weir_trace_on_http_event(const struct weir_http_event *event, void *arg);

/* Whether the thread's current span is recorded. The argument is not looked at. */
WEIR_API bool weir_trace_wants(void *arg);

/*
 * The text of a statement as its span shows it, for a program's own logs and pages: strings of every
 * kind and numbers become "?", comments vanish, and what separates words becomes one space. Names,
 * bare or in "" or ``, and parameters stay.
 *
 * The function knows no dialect. Where PostgreSQL and SQLite read a statement differently (subscripts
 * or names in [ ], E'\'', $$…$$, a comment in a comment or one with a CR in it), it shows only what both
 * take for names and signs; what one of them takes for a value or a comment becomes one "?".
 *
 * Stops when `size`, at least 1, is used up, the terminating zero included, also in the middle of a
 * character; returns the length. Threads: any.
 */
WEIR_API size_t weir_sql_without_values(const char *sql, char *ret_text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
