/* SPDX-License-Identifier: MIT */
/* One attempt in flight: what it is told, and how it went. */
#ifndef WEIR_HTTP_TRANSFER_H
#define WEIR_HTTP_TRANSFER_H

#include "http/decode.h"
#include "http/dial.h"
#include "http/handle.h"
#include "http/propagate.h"
#include "http/request.h"
#include "http/response.h"

/* Why a callback stopped libcurl, if one did. */
enum transfer_stop {
    STOP_NONE,
    STOP_ENOUGH,   /* the head says all, and of the body no more is wanted or to be had */
    STOP_BROKEN,   /* the body is no stream of its coding; `error` says what */
    STOP_CUT,      /* the body ended before its coding's stream did; `error` says so */
    STOP_FAILED,   /* `error` says what */
    STOP_RESEND,   /* libcurl was about to send a second time */
    STOP_SIGNALLED /* cancelled, or the session is closed */
};

/* What a transfer writes before it reads it: too large to be set to zero each time. */
struct transfer_room {
    weir_error error; /* its status is WEIR_OK until something fails */
    struct propagation propagation;
    struct dial dial;
    struct curl_slist fields[FIELDS_LIMIT + 5]; /* libcurl only reads them */
};

/* Set by the sender, then filled by weir__transfer_run(). Lives for one attempt. */
struct transfer {
    /* what to do */
    weir_http *session;
    weir_http_request *request;
    const struct url *url;
    const char *method;
    bool has_body;      /* send the request's body */
    bool is_chunked;    /* in chunks, as its length is unknown */
    bool is_from_start; /* the reader stands at its beginning */
    bool has_turned;    /* a redirect made it a GET */
    bool drops_secrets; /* the way led through another origin */
    bool follows;       /* a redirect will be followed */
    int timeout_ms;     /* of the whole attempt */
    int64_t max_body_bytes;
    struct propagation *propagation;
    struct dial *dial;
    weir_http_response *response;

    /* how it went */
    CURLcode code;
    enum transfer_stop stop;
    long proxy_status;  /* with which a proxy answered CONNECT, if nothing was sent; 0: none did */
    int system_errno;   /* what this machine lacked, before anything was sent; 0: nothing */
    weir_error *error;  /* with STOP_FAILED, STOP_BROKEN and STOP_CUT */
    int sends;          /* how often libcurl began to send; never more than 1 */
    bool has_refused;   /* libcurl was kept from sending a second time */
    bool was_sent;      /* at least a byte left */
    bool is_reused;     /* over a connection used before */
    int opened;         /* connections */
    weir_time ended;    /* 0: it did not get as far as libcurl */
    bool is_answered;   /* at least a byte came */
    bool has_delivered; /* the sink was called */
    bool has_read;      /* the reader was called */
    const char *detail; /* libcurl's words; valid as long as the handle */

    /* between the callbacks */
    int local_port; /* of the connection that is sent over */
    bool is_head_done;
    bool ignores_length; /* libcurl was told to: the body comes in chunks */
    size_t header_bytes;
    int64_t received; /* of the body */
    int64_t decoded;
    struct decoder *decoder; /* NULL: the body has no coding, or is not to be decoded */
    int64_t read;
    struct curl_slist *fields;
};

/* Make the attempt. Returns when it is over, by itself, by its timeout or by the request's signal. */
void weir__transfer_run(struct transfer *transfer, struct handle *handle);

/* drive.c: let libcurl go from beginning to end, beside the connection that it needs. */
void weir__drive(struct handle *handle, struct transfer *transfer);

/* libcurl's callbacks for a header's line and a piece of the body; the argument is the handle. */
size_t weir__on_header(char *line, size_t size, size_t count, void *arg);
size_t weir__on_body(char *data, size_t size, size_t count, void *arg);

/* The caller's sink or reader failed: keep what it said of that, or else what its status says. */
static inline void weir__transfer_blame(struct transfer *t, weir_status status, const char *what)
{
    if (t->error->status != status || t->error->text[0] == '\0')
        weir_error_set(t->error, status, "%s: %s", what, weir_status_text(status));
}

/* Whether a response leads elsewhere. */
bool weir__is_redirect(const weir_http_response *response);

#endif
