/* SPDX-License-Identifier: MIT */
/* One attempt in flight: what comes back, and how it ended. */
#include "http/transfer.h"

#include "http/leftover.h"
#include "http/outgoing.h"
#include "http/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- what comes back --------------------------------------------------------------------- */

bool weir__is_redirect(const weir_http_response *response)
{
    switch (response->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return weir_http_response_header(response, "Location") != NULL;
    default:
        return false;
    }
}

static size_t fail(struct transfer *t)
{
    t->stop = STOP_FAILED;
    return 0;
}

/* Whether the response is nothing without its body. Any other status stands, with what goes with it,
 * as soon as the head is complete. */
static bool needs_body(const struct transfer *t)
{
    return !t->is_head_done || t->response->status < 300;
}

/* What the body's Transfer-Encoding says: whether it is in chunks, and whether it has a coding for its way that
 * nobody asked for (RFC 9112, 7.4), which libcurl would undo and not tell where its stream broke off. */
struct framing {
    bool is_chunked;
    bool is_strange;
};

static struct framing framing_of(const weir_http_response *response)
{
    const char *values[RESPONSE_FIELDS_LIMIT];
    size_t count =
        weir__response_values(response, "Transfer-Encoding", values, RESPONSE_FIELDS_LIMIT);
    struct framing framing = {.is_chunked = false};
    const char *coding;
    size_t size;

    for (size_t i = 0; i < count; i++)
        while (weir__next_element(&values[i], &coding, &size)) {
            bool is_chunked = size == 7 && strncasecmp(coding, "chunked", size) == 0;
            bool is_identity = size == 8 && strncasecmp(coding, "identity", size) == 0;
            framing.is_chunked = framing.is_chunked || is_chunked;
            framing.is_strange = framing.is_strange || (!is_chunked && !is_identity);
        }
    return framing;
}

/* A Content-Length says nothing about chunks (RFC 9112, 6.3). libcurl (7.88) reads it all the same, and
 * where it is no number ends with an error before anybody sees the line. What stood before the
 * Transfer-Encoding it has read by now. */
static void heed_chunks(struct handle *handle, struct transfer *t, const char *line, size_t size)
{
    if (!t->is_answered || t->response->status < 200 || t->ignores_length || size < 17 ||
        strncasecmp(line, "Transfer-Encoding", 17) != 0 || !framing_of(t->response).is_chunked)
        return;
    t->ignores_length = true;
    curl_easy_setopt(handle->easy, CURLOPT_IGNORE_CONTENT_LENGTH, 1L);
}

/* Whether it can be told where the body ends (RFC 9112, 6.3). libcurl (7.88) reads a Content-Length as
 * far as there are digits. */
static bool takes_framing(struct transfer *t)
{
    struct framing framing = framing_of(t->response);
    const char *fault =
        framing.is_chunked || framing.is_strange ? NULL : weir__response_length_fault(t->response);

    if (t->response->status == 204 || t->response->status == 304 || strcmp(t->method, "HEAD") == 0)
        return true;
    if (fault != NULL) {
        weir_error_set(t->error, WEIR_PROTOCOL, "header of the response: %s", fault);
        fail(t);
        return false;
    }
    if (!framing.is_strange)
        return true;
    weir_error_set(t->error, WEIR_PROTOCOL,
                   "the body of the response has a Transfer-Encoding that was not asked for");
    t->stop = STOP_BROKEN;
    return false;
}

size_t weir__on_header(char *line, size_t size, size_t count, void *arg)
{
    struct handle *handle = arg;
    struct transfer *t = handle->transfer;
    size_t limit = (size_t)t->session->options.max_header_bytes;

    size *= count;
    t->is_answered = t->sends > 0; /* before, it is a proxy that answers CONNECT */
    t->header_bytes += size;
    if (t->header_bytes > limit && !needs_body(t)) {
        t->response->is_truncated = true;
        t->stop = STOP_ENOUGH;
        return 0;
    }
    if (t->header_bytes > limit) {
        weir_error_set(t->error, WEIR_LIMIT,
                       "the header of the response is larger than max_header_bytes, %zu", limit);
        return fail(t);
    }
    if (t->is_head_done) /* a trailer */
        return size;
    if (weir__response_add_line(t->response, line, size, limit, t->error) != WEIR_OK)
        return fail(t);
    heed_chunks(handle, t, line, size);
    bool is_last = size <= 2 && (line[0] == '\r' || line[0] == '\n');
    t->is_head_done = t->is_answered && is_last && t->response->status >= 200;
    return t->is_head_done && !takes_framing(t) ? 0 : size;
}

/* Whether the body is not what was asked for: that of an error, or of a redirect to be followed. */
static bool goes_aside(const struct transfer *t)
{
    return t->response->status >= 400 || (t->follows && weir__is_redirect(t->response));
}

static int64_t body_limit(const struct transfer *t)
{
    return goes_aside(t) ? t->session->options.max_error_bytes : t->max_body_bytes;
}

static bool deliver(struct transfer *t, const char *data, size_t size)
{
    t->has_delivered = true;
    weir_status status = t->request->sink(t->request->sink_arg, data, size, t->error);
    if (status == WEIR_OK)
        return true;
    weir__transfer_blame(t, status, "the sink refused the body");
    t->stop = STOP_FAILED;
    return false;
}

static bool hand_out(struct transfer *t, const char *data, size_t size)
{
    if (size > 0 && t->request->sink != NULL && !goes_aside(t))
        return deliver(t, data, size);
    if (weir__response_add_body(t->response, data, size, t->error) == WEIR_OK)
        return true;
    t->stop = STOP_FAILED;
    return false;
}

/* A body that is not needed is taken up to its limit; then it is enough. */
static bool take_part(struct transfer *t, const char *data, size_t size)
{
    int64_t before = t->decoded - (int64_t)size;
    int64_t room = body_limit(t) > before ? body_limit(t) - before : 0;
    size_t part = (int64_t)size < room ? size : (size_t)room;

    if (!hand_out(t, data, part))
        return false;
    if (part == size)
        return true;
    t->response->is_truncated = true;
    t->stop = STOP_ENOUGH;
    return false;
}

/* A piece of the body as it is handed out. false: no more of it, and `stop` says why. */
static bool take_piece(void *arg, const char *data, size_t size)
{
    struct transfer *t = arg;

    t->decoded += (int64_t)size;
    if (!needs_body(t))
        return take_part(t, data, size);
    if (t->decoded <= t->max_body_bytes)
        return hand_out(t, data, size);
    weir_error_set(t->error, WEIR_LIMIT,
                   "the body of the response is larger than max_body_bytes, %lld",
                   (long long)t->max_body_bytes);
    t->stop = STOP_FAILED;
    return false;
}

/* How many bytes the server says are to come; what is compressed becomes more than that. */
static void expect_body(struct handle *handle, struct transfer *t)
{
    int64_t most = body_limit(t);
    curl_off_t size = -1;

    curl_easy_getinfo(handle->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
    weir__response_expect_body(t->response, size < most ? size : most);
}

/* Most bodies have no coding. That of a 206 is a part of one that may have (RFC 9110, 14.2). */
static weir_status open_decoder(struct transfer *t)
{
    const char *values[RESPONSE_FIELDS_LIMIT];
    size_t count = 0;

    if (t->session->options.decompress && t->response->status != 206)
        count =
            weir__response_values(t->response, "Content-Encoding", values, RESPONSE_FIELDS_LIMIT);
    if (count == 0)
        return WEIR_OK;
    return weir__decoder_open(values, count, t->session->options.max_expansion, take_piece, t,
                              &t->decoder, t->error);
}

static weir_status add_to_body(struct handle *handle, struct transfer *t, const char *data,
                               size_t size)
{
    weir_status status = WEIR_OK;

    if (t->received == 0) {
        expect_body(handle, t);
        status = open_decoder(t);
    }
    t->received += (int64_t)size;
    if (status != WEIR_OK)
        return status;
    if (t->decoder != NULL)
        return weir__decoder_add(t->decoder, data, size, t->error);
    return take_piece(t, data, size) ? WEIR_OK : WEIR_CANCELLED;
}

size_t weir__on_body(char *data, size_t size, size_t count, void *arg)
{
    struct handle *handle = arg;
    struct transfer *t = handle->transfer;

    size *= count;
    t->is_answered = true;
    weir_status status = add_to_body(handle, t, data, size);
    if (status == WEIR_OK)
        return size;
    bool is_broken = status == WEIR_PROTOCOL || (status == WEIR_LIMIT && !needs_body(t));
    if (t->stop == STOP_NONE)
        t->stop = is_broken ? STOP_BROKEN : STOP_FAILED;
    return 0;
}

/* ---- the exchange ------------------------------------------------------------------------ */

/* How long the server lets a connection rest, by `Keep-Alive: timeout=n`; -1: it does not say. */
static int64_t keep_alive_seconds(const weir_http_response *response)
{
    const char *value = weir_http_response_header(response, "Keep-Alive");
    const char *at = value != NULL ? strcasestr(value, "timeout=") : NULL;
    int64_t seconds = 0;

    if (at == NULL || at[8] < '0' || at[8] > '9')
        return -1;
    for (at += 8; *at >= '0' && *at <= '9' && seconds < 1000000; at++)
        seconds = seconds * 10 + (*at - '0');
    return seconds;
}

/*
 * What is left for the next borrower. A second is taken off, for the time the last byte took.
 *
 * libcurl 8.14.1 (Debian 13) overlooks a "close" that is not the first of its list; 7.88.1 and 8.22.0
 * do not.
 */
static void note_connection(struct handle *handle, struct transfer *t)
{
    weir_time idle = t->session->idle_timeout;
    int64_t seconds = keep_alive_seconds(t->response);

    handle->socket = CURL_SOCKET_BAD;
    if (t->code != CURLE_OK ||
        curl_easy_getinfo(handle->easy, CURLINFO_ACTIVESOCKET, &handle->socket) != CURLE_OK)
        handle->socket = CURL_SOCKET_BAD;
    handle->is_http_1_0 = t->response->is_http_1_0;
    if (seconds >= 0 && (seconds - 1) * WEIR_SECOND < idle)
        idle = (seconds - 1) * WEIR_SECOND;
    if (weir__response_says_close(t->response))
        idle = 0;
    t->ended = weir__http_now(t->session);
    handle->idle_until = t->ended + idle;
}

static void note_result(struct handle *handle, struct transfer *t)
{
    long opened = 0;
    long sent = 0;

    curl_easy_getinfo(handle->easy, CURLINFO_NUM_CONNECTS, &opened);
    curl_easy_getinfo(handle->easy, CURLINFO_REQUEST_SIZE, &sent);
    /* What libcurl opened, or was kept from opening, for its silent retry does not count. */
    t->opened = t->sends > 0 && !t->has_refused ? (int)opened : 0;
    t->was_sent = t->sends > 0 && (sent > 0 || handle->has_written);
    t->is_reused = t->sends > 0 && t->opened == 0;
    if (t->sends == 0)
        curl_easy_getinfo(handle->easy, CURLINFO_HTTP_CONNECTCODE, &t->proxy_status);
    /* Where it finds fault with a proxy of the environment it quotes all of it, the password too. */
    bool is_fit =
        handle->detail[0] != '\0' && strncmp(handle->detail, "Unsupported proxy", 17) != 0;
    t->detail = is_fit ? handle->detail : curl_easy_strerror(t->code);
}

/* Whether the whole answer was here when the rest of what was to be sent could not be. */
static bool is_answered_early(const struct transfer *t)
{
    return t->stop == STOP_NONE && t->code == CURLE_SEND_ERROR && t->has_body && t->is_head_done &&
           weir__response_length(t->response) == t->received;
}

/* libcurl is done; is the body, too? */
static void end_body(struct transfer *t)
{
    if (is_answered_early(t))
        t->code = CURLE_OK;
    if (t->stop == STOP_NONE && t->code == CURLE_OK && t->decoder != NULL &&
        weir__decoder_end(t->decoder, t->error) != WEIR_OK)
        t->stop = STOP_CUT;
    if (t->stop == STOP_BROKEN)
        t->code = CURLE_BAD_CONTENT_ENCODING;
    weir__decoder_close(t->decoder);
    t->decoder = NULL;
}

/* What broke in a body that is not needed hides no status. `code` says what it was. */
static void keep_head(struct transfer *t)
{
    bool is_broken = t->stop == STOP_BROKEN || t->stop == STOP_CUT ||
                     (t->stop == STOP_NONE && t->code != CURLE_OK);

    if (t->stop == STOP_ENOUGH)
        t->code = CURLE_OK;
    if (!is_broken || needs_body(t))
        return;
    t->response->is_truncated = true;
    t->stop = STOP_ENOUGH;
}

void weir__transfer_run(struct transfer *transfer, struct handle *handle)
{
    char *type_line = NULL;

    transfer->code = CURLE_FAILED_INIT;
    transfer->detail = "";
    handle->transfer = transfer;
    handle->detail[0] = '\0';
    if (weir__outgoing_set(handle, transfer, &type_line) != WEIR_OK ||
        weir__outgoing_rewind(transfer) != WEIR_OK) {
        transfer->stop = STOP_FAILED;
    } else if (curl_multi_add_handle(handle->multi, handle->easy) != CURLM_OK) {
        weir_error_set(transfer->error, WEIR_NO_MEMORY, "out of memory");
        transfer->stop = STOP_FAILED;
    } else {
        weir__drive(handle, transfer);
        end_body(transfer);
        note_result(handle, transfer);
        note_connection(handle, transfer);
        curl_multi_remove_handle(handle->multi, handle->easy);
        if (transfer->ignores_length)
            curl_easy_setopt(handle->easy, CURLOPT_IGNORE_CONTENT_LENGTH, 0L);
    }
    keep_head(transfer);
    handle->transfer = NULL;
    free(type_line);
}
