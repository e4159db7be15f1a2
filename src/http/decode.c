/* SPDX-License-Identifier: MIT */
/* A body's content codings (RFC 9110, 8.4), taken off while it arrives. */
#include "http/decode.h"

#include "http/decode_stage.h"
#include "http/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Small bodies do no harm, however regular they are; and what arrived is not told byte by byte. */
#define HARMLESS_BYTES 1048576
#define GRACE_BYTES 16384

struct decoder {
    decode_taker *take;
    void *arg;
    int max_expansion;
    int64_t received;
    size_t count;
    struct stage *stages[DECODE_MOST]; /* in the order in which they are undone */
};

/* ---- which codings ----------------------------------------------------------------------- */

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
    for (size_t i = 0; i < weir__coding_count && coding == NULL; i++)
        if (is_named(weir__codings[i].name, text, size))
            coding = &weir__codings[i];
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
