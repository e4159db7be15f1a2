/* SPDX-License-Identifier: MIT */
/* How an attempt ended, in the words of weir/retry.h and of errors. */
#include "http/classify.h"

#include <stdio.h>
#include <string.h>

/* What libcurl's codes mean for a request that nothing of ours has stopped. */
enum nature {
    NATURE_CONNECT,  /* no connection; the server saw nothing */
    NATURE_TRUST,    /* a connection that must not be used: the same tomorrow */
    NATURE_LOST,     /* it broke under way */
    NATURE_TIMEOUT,  /* of whatever was going on */
    NATURE_NONSENSE, /* what came is no HTTP */
    NATURE_MEMORY,
    NATURE_LARGE, /* beyond a limit of libcurl's own */
    NATURE_OTHER
};

/* CURLE_TOO_LARGE, known to the headers since 8.6; what runs may be newer than what was compiled. */
#define CODE_TOO_LARGE 100

static enum nature nature_of(CURLcode code)
{
    switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
    case CURLE_SSL_CONNECT_ERROR:
        return NATURE_CONNECT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_USE_SSL_FAILED:
        return NATURE_TRUST;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_FAIL_REWIND:
        return NATURE_LOST;
    case CURLE_OPERATION_TIMEDOUT:
        return NATURE_TIMEOUT;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return NATURE_NONSENSE;
    case CURLE_OUT_OF_MEMORY:
        return NATURE_MEMORY;
    case CODE_TOO_LARGE:
        return NATURE_LARGE;
    default:
        return NATURE_OTHER;
    }
}

static struct classification begin(weir_attempt_kind kind, weir_status status)
{
    return (struct classification){.kind = kind, .status = status};
}

static struct classification classify_timeout(const struct transfer *t, bool is_cut_short,
                                              char *text)
{
    /* Then it was connect_timeout_ms that came first. */
    if (t->sends == 0 && t->timeout_ms > t->session->options.connect_timeout_ms)
        is_cut_short = false;
    struct classification j = begin(t->sends > 0 ? WEIR_ATTEMPT_READ : WEIR_ATTEMPT_CONNECT,
                                    t->sends > 0 || is_cut_short ? WEIR_TIMEOUT : WEIR_CONNECT);

    j.timed_out = true;
    snprintf(text, WEIR_ERROR_TEXT, "%s%s",
             t->sends == 0    ? "no connection in time"
             : t->is_answered ? "the response did not end in time"
                              : "no response in time",
             is_cut_short ? ", the deadline passed" : "");
    return j;
}

/* This machine could not do its part: the origin has nothing to do with it. */
static struct classification classify_machine(const struct transfer *t, char *text)
{
    struct classification j = begin(WEIR_ATTEMPT_OTHER, WEIR_SYSTEM);
    bool is_told = strstr(t->detail, strerror(t->system_errno)) != NULL;

    j.is_ours = true;
    j.system_errno = t->system_errno;
    snprintf(text, WEIR_ERROR_TEXT, "this machine cannot connect: %s%s%s", t->detail,
             is_told ? "" : ": ", is_told ? "" : strerror(t->system_errno));
    return j;
}

/* A proxy opened no tunnel. A 4xx is about the request, and the same the next time; what it says by a 5xx
 * is that the server cannot be reached. */
static struct classification classify_proxy(const struct transfer *t, char *text)
{
    bool is_final = t->proxy_status < 500;
    struct classification j =
        begin(is_final ? WEIR_ATTEMPT_OTHER : WEIR_ATTEMPT_CONNECT, WEIR_CONNECT);

    j.is_ours = is_final;
    j.proxy_status = (int)t->proxy_status;
    snprintf(text, WEIR_ERROR_TEXT, "no connection: the proxy answered CONNECT with status %ld%s",
             t->proxy_status, t->proxy_status == 407 ? ", it requires a user and password" : "");
    return j;
}

/* By libcurl's code alone. */
static struct classification classify_code(const struct transfer *t, bool is_cut_short, char *text)
{
    struct classification j = begin(WEIR_ATTEMPT_OTHER, WEIR_PROTOCOL);
    enum nature nature = nature_of(t->code);
    const char *before = "";
    bool is_line;

    switch (nature) {
    case NATURE_TIMEOUT:
        return classify_timeout(t, is_cut_short, text);
    case NATURE_CONNECT:
        j = begin(t->sends > 0 ? WEIR_ATTEMPT_READ : WEIR_ATTEMPT_CONNECT,
                  t->sends > 0 ? WEIR_DISCONNECTED : WEIR_CONNECT);
        before = "no connection: ";
        break;
    case NATURE_TRUST:
        j.status = WEIR_CONNECT;
        before = "no connection: ";
        break;
    case NATURE_LOST:
        /* Before the request went out it was a connection that did not come about. */
        j = begin(t->sends > 0 ? WEIR_ATTEMPT_READ : WEIR_ATTEMPT_CONNECT,
                  t->sends > 0 ? WEIR_DISCONNECTED : WEIR_CONNECT);
        before = t->sends > 0 ? "connection lost: " : "no connection: ";
        break;
    case NATURE_NONSENSE:
        before = "not a valid HTTP response: ";
        break;
    case NATURE_MEMORY:
    case NATURE_LARGE:
        /* One line of a header above 100 KB is out of memory to libcurl before 8.6. */
        j.is_ours = true;
        is_line = t->sends > 0 && !t->is_head_done;
        j.status = is_line || nature == NATURE_LARGE ? WEIR_LIMIT : WEIR_NO_MEMORY;
        before = is_line ? "a header line is too long: " : "";
        break;
    case NATURE_OTHER:
        break;
    }
    snprintf(text, WEIR_ERROR_TEXT, "%s%s", before, t->detail);
    return j;
}

/* That of a transfer that libcurl ended with an error. */
static struct classification classify_failure(const struct transfer *t, bool is_cut_short,
                                              char *text)
{
    if (t->system_errno != 0)
        return classify_machine(t, text);
    return t->proxy_status >= 300 ? classify_proxy(t, text) : classify_code(t, is_cut_short, text);
}

/* libcurl came to the end, of the response or of what it could do. */
static struct classification classify_end(const struct transfer *t, bool is_cut_short, char *text)
{
    struct classification j = begin(WEIR_ATTEMPT_RESPONSE, WEIR_OK);

    if (t->code != CURLE_OK)
        return classify_failure(t, is_cut_short, text);
    if (t->response->status < 200) {
        j = begin(WEIR_ATTEMPT_OTHER, WEIR_PROTOCOL);
        snprintf(text, WEIR_ERROR_TEXT, "the response has no final status");
    } else if (!t->is_head_done) {
        /* To libcurl an end within the header is the end of the response. */
        j = begin(WEIR_ATTEMPT_READ, WEIR_DISCONNECTED);
        snprintf(text, WEIR_ERROR_TEXT, "connection lost: the header of the response was cut off");
    }
    return j;
}

struct classification weir__classify(const struct transfer *t, bool is_cut_short,
                                     char text[WEIR_ERROR_TEXT])
{
    struct classification j = begin(WEIR_ATTEMPT_OTHER, WEIR_CANCELLED);

    switch (t->stop) {
    case STOP_FAILED:
        j.is_ours = true;
        j.status = t->error->status;
        snprintf(text, WEIR_ERROR_TEXT, "%s", t->error->text);
        break;
    case STOP_BROKEN:
        j.status = t->error->status;
        snprintf(text, WEIR_ERROR_TEXT, "%s", t->error->text);
        break;
    case STOP_CUT:
        j = begin(WEIR_ATTEMPT_READ, t->error->status);
        snprintf(text, WEIR_ERROR_TEXT, "%s", t->error->text);
        break;
    case STOP_SIGNALLED:
        j.is_ours = true;
        snprintf(text, WEIR_ERROR_TEXT,
                 "aborted: the call was cancelled, or its session is closed");
        break;
    case STOP_RESEND:
        j = begin(WEIR_ATTEMPT_READ, WEIR_DISCONNECTED);
        snprintf(text, WEIR_ERROR_TEXT,
                 "connection lost: the other side closed this reused connection");
        break;
    case STOP_ENOUGH:
        j = begin(WEIR_ATTEMPT_RESPONSE, WEIR_OK);
        break;
    case STOP_NONE:
        j = classify_end(t, is_cut_short, text);
        break;
    }
    return j;
}
