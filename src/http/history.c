/* SPDX-License-Identifier: MIT */
/* The list of a call's attempts: bounded, and without memory of its own in the usual case. */
#include "http/request.h"

#include <stdlib.h>
#include <string.h>

const char *weir_http_reason_name(weir_http_reason reason)
{
    switch (reason) {
#define REASON_NAME(name, word, text)                                                              \
    case WEIR_HTTP_REASON_##name:                                                                  \
        return word;
        WEIR_HTTP_REASON_MAP(REASON_NAME)
#undef REASON_NAME
    case WEIR_HTTP_REASON_COUNT:
        break;
    }
    return "unknown";
}

const weir_http_attempt *weir_http_request_attempt_at(const weir_http_request *request,
                                                      size_t index)
{
    return index < request->history.count ? request->history.listed[index] : NULL;
}

static void drop(struct history *history, size_t index)
{
    if (history->listed[index] != &history->first)
        free(history->listed[index]);
}

void weir__history_clear(struct history *history)
{
    for (size_t i = 0; i < history->count; i++)
        drop(history, i);
    history->count = 0;
    free(history->first_url);
    history->first_url = NULL;
}

/* With its texts behind it; NULL: out of memory. */
static weir_http_attempt *copy_of(const weir_http_attempt *attempt)
{
    size_t url_size = strlen(attempt->url) + 1;
    size_t text_size = strlen(attempt->text) + 1;
    weir_http_attempt *copy = malloc(sizeof *copy + url_size + text_size);
    if (copy == NULL)
        return NULL;

    char *texts = (char *)(copy + 1);
    *copy = *attempt;
    copy->url = memcpy(texts, attempt->url, url_size);
    copy->text = memcpy(texts + url_size, attempt->text, text_size);
    return copy;
}

void weir__history_add(struct history *history, const weir_http_attempt *attempt,
                       const struct url *own)
{
    bool is_plain =
        history->count == 0 && attempt->failure == WEIR_OK && attempt->url == own->shown;
    weir_http_attempt *listed = is_plain ? &history->first : copy_of(attempt);
    if (listed == NULL)
        return;

    if (is_plain) {
        history->first = *attempt;
        history->first.text = "";
    }
    if (history->count == HISTORY_LIMIT)
        drop(history, --history->count);
    history->listed[history->count++] = listed;
}

void weir__history_keep_url(struct history *history, struct url *own)
{
    if (history->count == 0 || history->listed[0] != &history->first || history->first_url != NULL)
        return;
    history->first_url = own->shown;
    own->shown = NULL;
}
