/* SPDX-License-Identifier: MIT */
/* Undoes gzip, deflate, br and zstd, with their libraries. */
#include "http/decode_stage.h"

#include "common/count_of.h"

#include <stdlib.h>

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

/* ---- all --------------------------------------------------------------------------------- */

const struct coding weir__codings[] = {
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

const size_t weir__coding_count = COUNT_OF(weir__codings);
