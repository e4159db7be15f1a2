/* SPDX-License-Identifier: MIT */
/* A body's content codings (RFC 9110, 8.4), taken off while it arrives. */
#ifndef WEIR_HTTP_DECODE_H
#define WEIR_HTTP_DECODE_H

#include <weir/base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is asked for, as the value of Accept-Encoding. */
#ifdef WEIR_WITH_BROTLI
#define DECODE_WITH_BROTLI ", br"
#else
#define DECODE_WITH_BROTLI ""
#endif
#ifdef WEIR_WITH_ZSTD
#define DECODE_WITH_ZSTD ", zstd"
#else
#define DECODE_WITH_ZSTD ""
#endif
#define DECODE_CODINGS "gzip, deflate" DECODE_WITH_BROTLI DECODE_WITH_ZSTD

/* The most codings of one body. */
#define DECODE_MOST 5

struct decoder;

/* Takes a piece of the decoded body, never an empty one. false: no more of it. */
typedef bool decode_taker(void *arg, const char *data, size_t size);

/*
 * Make what undoes the codings that `count` values of Content-Encoding list, the last one first. What
 * comes out goes to `take`, in pieces. *ret_decoder is NULL where there is nothing to undo ("identity").
 * Errors: WEIR_PROTOCOL for a coding that is not known and for more than DECODE_MOST, WEIR_NO_MEMORY.
 */
weir_status weir__decoder_open(const char *const *values, size_t count, int max_expansion,
                               decode_taker *take, void *arg, struct decoder **ret_decoder,
                               weir_error *reterr);

/*
 * Take in what arrived. Members of gzip and frames of zstd may follow each other (RFC 1952, 2.2; RFC
 * 8878, 3.1), and zeros may follow the end of any stream; anything else there is an error.
 * Errors: WEIR_PROTOCOL, what came is no stream of its coding; WEIR_LIMIT, beyond its first mebibyte a
 * stage makes more than max_expansion of each byte that arrived, or zstd wants more memory than RFC
 * 9659 lets it; WEIR_NO_MEMORY; WEIR_CANCELLED, `take` wants no more, and *reterr is untouched.
 */
weir_status weir__decoder_add(struct decoder *decoder, const char *data, size_t size,
                              weir_error *reterr);

/* Whether the body may end here: each stream has ended by its own rule. Else WEIR_DISCONNECTED. */
weir_status weir__decoder_end(const struct decoder *decoder, weir_error *reterr);

/* NULL is fine. */
void weir__decoder_close(struct decoder *decoder);

#endif
