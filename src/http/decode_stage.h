/* SPDX-License-Identifier: MIT */
/* One content coding of a body, and how it is undone. */
#ifndef WEIR_HTTP_DECODE_STAGE_H
#define WEIR_HTTP_DECODE_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zlib.h>

#ifdef WEIR_WITH_BROTLI
#include <brotli/decode.h>
#endif
#ifdef WEIR_WITH_ZSTD
#include <zstd.h>
#include <zstd_errors.h>
#endif

#define PIECE_SIZE 16384

/* 8 MiB, as RFC 9659 has it for the coding "zstd". */
#define ZSTD_WINDOW_LOG 23

enum step {
    STEP_ON,    /* it took some, gave some, or both */
    STEP_ENDED, /* and its stream has ended */
    STEP_BROKEN,
    STEP_LARGE, /* more memory is needed than may be */
    STEP_MEMORY
};

struct stage;

struct coding {
    const char *name;
    bool may_go_on;                     /* another stream may follow the one that ended */
    bool (*begin)(struct stage *stage); /* a stream; false: out of memory */
    enum step (*step)(struct stage *stage);
    void (*end)(struct stage *stage); /* free what was begun, or nothing */
};

/* One coding of the body. */
struct stage {
    const struct coding *coding;
    union {
        z_stream zlib;
#ifdef WEIR_WITH_BROTLI
        BrotliDecoderState *brotli;
#endif
#ifdef WEIR_WITH_ZSTD
        ZSTD_DStream *zstd;
#endif
    } is;
    bool has_begun;
    bool has_ended;      /* between two streams, or behind the last */
    int head_size;       /* bytes of the stream that were looked at before the library got it */
    unsigned char first; /* the first of them */
    const char *fault;   /* with STEP_BROKEN; valid as long as the stage */

    /* During a step: what is to be decoded, and how much of `piece` is full. */
    const unsigned char *in;
    size_t in_size;
    size_t out_size;

    int64_t given; /* bytes that came out of it */
    unsigned char piece[PIECE_SIZE];
};

/* The codings that can be undone. */
extern const struct coding weir__codings[];
extern const size_t weir__coding_count;

#endif
