/* SPDX-License-Identifier: MIT */
/* A body's content codings (RFC 9110, 8.4), taken off while it arrives. */
#include "http/decode.h"

#include "common/count_of.h"
#include "http/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#ifdef WEIR_WITH_BROTLI
#include <brotli/decode.h>
#endif
#ifdef WEIR_WITH_ZSTD
#include <zstd.h>
#include <zstd_errors.h>
#endif

#define PIECE_SIZE 16384
/* Small bodies do no harm, however regular they are; and what arrived is not told byte by byte. */
#define HARMLESS_BYTES 1048576
#define GRACE_BYTES 16384
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

struct decoder {
    decode_taker *take;
    void *arg;
    int max_expansion;
    int64_t received;
    size_t count;
    struct stage *stages[DECODE_MOST]; /* in the order in which they are undone */
};

/* ---- gzip and deflate -------------------------------------------------------------------- */

static void *allocate(void *arg, size_t size)
{
    (void)arg;
    return malloc(size > 0 ? size : 1);
}

static void deallocate(void *arg, void *memory)
{
    (void)arg;
    free(memory);
}

static void *allocate_many(void *arg, unsigned count, unsigned size)
{
    return size != 0 && count > SIZE_MAX / size ? NULL : allocate(arg, (size_t)count * size);
}

static bool begin_zlib(struct stage *stage, int window_bits)
{
    stage->is.zlib = (z_stream){.zalloc = allocate_many, .zfree = deallocate};
    return inflateInit2(&stage->is.zlib, window_bits) == Z_OK;
}

/* 16 more are gzip's header and trailer. */
static bool begin_gzip(struct stage *stage)
{
    if (stage->has_begun)
        return inflateReset(&stage->is.zlib) == Z_OK;
    return begin_zlib(stage, 15 + 16);
}

static enum step fail_zlib(struct stage *stage, int code)
{
    const z_stream *z = &stage->is.zlib;

    if (code == Z_MEM_ERROR)
        return STEP_MEMORY;
    stage->fault = code == Z_NEED_DICT ? "it needs a dictionary"
                   : z->msg != NULL    ? z->msg
                                       : "it cannot be decoded";
    return STEP_BROKEN;
}

/* Sizes are far below those of the counters: libcurl's pieces and our own. */
static enum step step_zlib(struct stage *stage)
{
    z_stream *z = &stage->is.zlib;

    z->next_in = (z_const Bytef *)(uintptr_t)stage->in;
    z->avail_in = (uInt)stage->in_size;
    z->next_out = stage->piece + stage->out_size;
    z->avail_out = (uInt)(PIECE_SIZE - stage->out_size);
    int code = inflate(z, Z_NO_FLUSH);
    stage->in = z->next_in;
    stage->in_size = z->avail_in;
    stage->out_size = PIECE_SIZE - z->avail_out;
    if (code == Z_STREAM_END)
        return STEP_ENDED;
    bool is_on = code == Z_OK || (code == Z_BUF_ERROR && stage->in_size == 0);
    return is_on ? STEP_ON : fail_zlib(stage, code);
}

static bool begin_deflate(struct stage *stage)
{
    stage->is.zlib = (z_stream){0}; /* nothing that inflateEnd() would free */
    return true;
}

/* Whether two bytes are the header of RFC 1950. "deflate" is to be in that, but some servers send what
 * is to be within (RFC 9110, 8.4.1.2). */
static bool is_wrapped(unsigned char first, unsigned char second)
{
    return (first & 0x0f) == Z_DEFLATED && first >> 4 <= 7 && (first * 256 + second) % 31 == 0;
}

static enum step step_deflate(struct stage *stage)
{
    if (stage->is.zlib.state == NULL) {
        const unsigned char *rest = stage->in;
        size_t size = stage->in_size;

        if (stage->head_size == 0) {
            stage->head_size = 1;
            stage->first = *rest++;
            size--;
        }
        if (size == 0) {
            stage->in_size = 0;
            return STEP_ON;
        }
        if (!begin_zlib(stage, is_wrapped(stage->first, *rest) ? 15 : -15))
            return STEP_MEMORY;
        stage->in = &stage->first;
        stage->in_size = 1;
        enum step step = step_zlib(stage);
        stage->in = rest;
        stage->in_size = size;
        if (step != STEP_ON)
            return step;
    }
    return step_zlib(stage);
}

static void end_zlib(struct stage *stage)
{
    if (stage->is.zlib.state != NULL)
        inflateEnd(&stage->is.zlib);
}

/* ---- br ---------------------------------------------------------------------------------- */

#ifdef WEIR_WITH_BROTLI
static bool begin_brotli(struct stage *stage)
{
    stage->is.brotli = BrotliDecoderCreateInstance(allocate, deallocate, NULL);
    return stage->is.brotli != NULL;
}

static enum step fail_brotli(struct stage *stage)
{
    BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(stage->is.brotli);

    if (code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
        code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES)
        return STEP_MEMORY;
    stage->fault = BrotliDecoderErrorString(code);
    return STEP_BROKEN;
}

static enum step step_brotli(struct stage *stage)
{
    unsigned char *out = stage->piece + stage->out_size;
    size_t room = PIECE_SIZE - stage->out_size;
    BrotliDecoderResult result = BrotliDecoderDecompressStream(stage->is.brotli, &stage->in_size,
                                                               &stage->in, &room, &out, NULL);

    stage->out_size = PIECE_SIZE - room;
    if (result == BROTLI_DECODER_RESULT_SUCCESS)
        return STEP_ENDED;
    return result == BROTLI_DECODER_RESULT_ERROR ? fail_brotli(stage) : STEP_ON;
}

static void end_brotli(struct stage *stage)
{
    if (stage->is.brotli != NULL)
        BrotliDecoderDestroyInstance(stage->is.brotli);
}
#endif

/* ---- zstd -------------------------------------------------------------------------------- */

#ifdef WEIR_WITH_ZSTD
/* A frame may be followed by another; zstd itself goes on. */
static bool begin_zstd(struct stage *stage)
{
    if (stage->has_begun)
        return true;
    stage->is.zstd = ZSTD_createDStream();
    return stage->is.zstd != NULL && !ZSTD_isError(ZSTD_DCtx_setParameter(
                                         stage->is.zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG));
}

static enum step fail_zstd(struct stage *stage, size_t code)
{
    switch (ZSTD_getErrorCode(code)) {
    case ZSTD_error_memory_allocation:
        return STEP_MEMORY;
    case ZSTD_error_frameParameter_windowTooLarge:
        return STEP_LARGE;
    default:
        stage->fault = ZSTD_getErrorName(code);
        return STEP_BROKEN;
    }
}

/* Whether a frame begins as RFC 8878 has it (3.1.1, 3.1.2). zstd may know older formats too. */
static bool has_zstd_magic(struct stage *stage)
{
    static const unsigned char data[] = {0x28, 0xb5, 0x2f, 0xfd};
    static const unsigned char skippable[] = {0x50, 0x2a, 0x4d, 0x18};

    for (size_t i = 0; i < stage->in_size && stage->head_size < 4; i++, stage->head_size++) {
        unsigned char byte = stage->in[i];

        if (stage->head_size == 0)
            stage->first = (byte & 0xf0) == 0x50 ? 0x50 : byte;
        const unsigned char *magic = stage->first == 0x50 ? skippable : data;
        if ((stage->head_size == 0 ? stage->first : byte) != magic[stage->head_size])
            return false;
    }
    return true;
}

static enum step step_zstd(struct stage *stage)
{
    if (!has_zstd_magic(stage)) {
        stage->fault = "it has the wrong header";
        return STEP_BROKEN;
    }
    ZSTD_inBuffer in = {stage->in, stage->in_size, 0};
    ZSTD_outBuffer out = {stage->piece, PIECE_SIZE, stage->out_size};
    size_t code = ZSTD_decompressStream(stage->is.zstd, &out, &in);

    stage->in += in.pos;
    stage->in_size -= in.pos;
    stage->out_size = out.pos;
    if (ZSTD_isError(code))
        return fail_zstd(stage, code);
    return code == 0 ? STEP_ENDED : STEP_ON;
}

static void end_zstd(struct stage *stage)
{
    ZSTD_freeDStream(stage->is.zstd);
}
#endif

/* ---- which codings ----------------------------------------------------------------------- */

static const struct coding codings[] = {
    {"gzip", true, begin_gzip, step_zlib, end_zlib},
    {"x-gzip", true, begin_gzip, step_zlib, end_zlib}, /* RFC 9110, 8.4.1.3 */
    {"deflate", false, begin_deflate, step_deflate, end_zlib},
#ifdef WEIR_WITH_BROTLI
    {"br", false, begin_brotli, step_brotli, end_brotli},
#endif
#ifdef WEIR_WITH_ZSTD
    {"zstd", true, begin_zstd, step_zstd, end_zstd},
#endif
};

static bool is_named(const char *name, const char *text, size_t size)
{
    return strlen(name) == size && strncasecmp(name, text, size) == 0;
}

/* A name is shown if it can be one: it is the server's. */
static weir_status refuse_coding(const char *text, size_t size, weir_error *reterr)
{
    bool is_name = size <= 32;

    for (size_t i = 0; i < size && is_name; i++)
        is_name = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
                  (text[i] >= '0' && text[i] <= '9') || strchr("-_.+", text[i]) != NULL;
    return weir_error_set(reterr, WEIR_PROTOCOL,
                          "the body of the response has an unknown Content-Encoding%s%.*s"
                          "; weir asked for " DECODE_CODINGS,
                          is_name ? ": " : "", is_name ? (int)size : 0, text);
}

static weir_status add_stage(struct decoder *decoder, const char *text, size_t size,
                             weir_error *reterr)
{
    const struct coding *coding = NULL;

    if (size == 0 || is_named("identity", text, size))
        return WEIR_OK;
    for (size_t i = 0; i < COUNT_OF(codings) && coding == NULL; i++)
        if (is_named(codings[i].name, text, size))
            coding = &codings[i];
    if (coding == NULL)
        return refuse_coding(text, size, reterr);
    if (decoder->count == DECODE_MOST)
        return weir_error_set(reterr, WEIR_PROTOCOL,
                              "the body of the response has more than %d codings", DECODE_MOST);
    struct stage *stage = malloc(sizeof *stage);
    if (stage == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "response: out of memory");
    memset(stage, 0, offsetof(struct stage, piece));
    stage->coding = coding;
    memmove(&decoder->stages[1], &decoder->stages[0], decoder->count * sizeof(struct stage *));
    decoder->stages[0] = stage;
    decoder->count++;
    return WEIR_OK;
}

/* "gzip, br": the names between commas and blanks. */
static weir_status add_stages(struct decoder *decoder, const char *list, weir_error *reterr)
{
    weir_status status = WEIR_OK;
    const char *name;
    size_t size;

    while (status == WEIR_OK && weir__next_element(&list, &name, &size))
        status = add_stage(decoder, name, size, reterr);
    return status;
}

/* ---- one stage after another ------------------------------------------------------------- */

static weir_status tell_step(const struct stage *stage, enum step step, weir_error *reterr)
{
    const char *name = stage->coding->name;

    switch (step) {
    case STEP_BROKEN:
        return weir_error_set(reterr, WEIR_PROTOCOL, "the body of the response is not valid %s: %s",
                              name, stage->fault);
    case STEP_LARGE:
        return weir_error_set(reterr, WEIR_LIMIT,
                              "the body of the response needs more memory to decode than "
                              "%s may use, %d bytes",
                              name, 1 << ZSTD_WINDOW_LOG);
    case STEP_MEMORY:
        return weir_error_set(reterr, WEIR_NO_MEMORY, "response: out of memory");
    case STEP_ON:
    case STEP_ENDED:
        break;
    }
    return WEIR_OK;
}

static weir_status add_to_stage(struct decoder *decoder, size_t index, const unsigned char *data,
                                size_t size, weir_error *reterr);

/* What is in the stage's piece goes on. */
static weir_status pass_on(struct decoder *decoder, size_t index, weir_error *reterr)
{
    struct stage *stage = decoder->stages[index];
    size_t size = stage->out_size;

    stage->out_size = 0;
    if (size == 0)
        return WEIR_OK;
    stage->given += (int64_t)size;
    if (stage->given > HARMLESS_BYTES &&
        stage->given / (decoder->received + GRACE_BYTES) >= decoder->max_expansion)
        return weir_error_set(reterr, WEIR_LIMIT,
                              "the body of the response expands to more than max_expansion, %d "
                              "times what was received",
                              decoder->max_expansion);
    if (index + 1 < decoder->count)
        return add_to_stage(decoder, index + 1, stage->piece, size, reterr);
    return decoder->take(decoder->arg, (const char *)stage->piece, size) ? WEIR_OK : WEIR_CANCELLED;
}

/* The stage stands before its first stream, or behind one: skip zeros, and begin the next one, if
 * there is anything to begin it with. */
static weir_status begin_stream(struct stage *stage, weir_error *reterr)
{
    while (stage->has_ended && stage->in_size > 0 && *stage->in == 0) {
        stage->in++;
        stage->in_size--;
    }
    if (stage->in_size == 0)
        return WEIR_OK;
    if (stage->has_ended && !stage->coding->may_go_on) {
        stage->fault = "there is data after its end";
        return tell_step(stage, STEP_BROKEN, reterr);
    }
    if (!stage->coding->begin(stage))
        return tell_step(stage, STEP_MEMORY, reterr);
    stage->has_begun = true;
    stage->has_ended = false;
    stage->head_size = 0;
    return WEIR_OK;
}

static weir_status add_to_stage(struct decoder *decoder, size_t index, const unsigned char *data,
                                size_t size, weir_error *reterr)
{
    struct stage *stage = decoder->stages[index];
    weir_status status = WEIR_OK;
    bool has_more = true; /* within, because the piece was full */

    stage->in = data;
    stage->in_size = size;
    while (status == WEIR_OK && (stage->in_size > 0 || has_more)) {
        if (!stage->has_begun || stage->has_ended)
            status = begin_stream(stage, reterr);
        if (status != WEIR_OK || !stage->has_begun || stage->has_ended)
            break;
        enum step step = stage->coding->step(stage);
        stage->has_ended = step == STEP_ENDED;
        has_more = stage->out_size == PIECE_SIZE && step == STEP_ON;
        status = tell_step(stage, step, reterr);
        if (status == WEIR_OK)
            status = pass_on(decoder, index, reterr);
    }
    return status;
}

/* ---- the whole --------------------------------------------------------------------------- */

weir_status weir__decoder_open(const char *const *values, size_t count, int max_expansion,
                               decode_taker *take, void *arg, struct decoder **ret_decoder,
                               weir_error *reterr)
{
    struct decoder *decoder = malloc(sizeof *decoder);
    weir_status status = WEIR_OK;

    if (decoder == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "response: out of memory");
    *decoder = (struct decoder){.take = take, .arg = arg, .max_expansion = max_expansion};
    for (size_t i = 0; i < count && status == WEIR_OK; i++)
        status = add_stages(decoder, values[i], reterr);
    if (status != WEIR_OK || decoder->count == 0) {
        weir__decoder_close(decoder);
        decoder = NULL;
    }
    if (status == WEIR_OK)
        *ret_decoder = decoder;
    return status;
}

weir_status weir__decoder_add(struct decoder *decoder, const char *data, size_t size,
                              weir_error *reterr)
{
    decoder->received += (int64_t)size;
    return add_to_stage(decoder, 0, (const unsigned char *)data, size, reterr);
}

weir_status weir__decoder_end(const struct decoder *decoder, weir_error *reterr)
{
    for (size_t i = 0; i < decoder->count; i++)
        if (!decoder->stages[i]->has_ended)
            return weir_error_set(reterr, WEIR_DISCONNECTED,
                                  "the body of the response was cut off: it ended before its %s "
                                  "stream did",
                                  decoder->stages[i]->coding->name);
    return WEIR_OK;
}

void weir__decoder_close(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    for (size_t i = 0; i < decoder->count; i++) {
        struct stage *stage = decoder->stages[i];

        stage->coding->end(stage);
        free(stage);
    }
    free(decoder);
}
