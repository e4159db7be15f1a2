/* SPDX-License-Identifier: MIT */
/* A request from the inside: what the listener fills in before a handler reads it. */
#ifndef WEIR_SERVER_REQUEST_H
#define WEIR_SERVER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/clock.h>

#include "head_validation.h"
#include "listener.h"
#include "router.h"

#define REQUEST_QUERY_PARAMS 32

/* Of the text of a request's id, with its zero. */
enum { REQUEST_ID_BYTES = 40 };

struct http_pair {
    const char *name;
    const char *value;
};

/* Memory is the owner's; zeroed, then filled, then request_clear(). */
struct http_request {
    const char *method;
    const char *client_ip;
    char id[REQUEST_ID_BYTES];
    weir_time arrived;
    weir_time deadline;

    char *target;          /* as sent */
    char *path;            /* raw, cut out of the target */
    char *path_scratch;    /* room for router_find() */
    const char *raw_query; /* NULL when there is none */
    struct http_pair query[REQUEST_QUERY_PARAMS];
    size_t query_count;
    struct http_pair params[ROUTER_PARAMS];
    size_t param_count;

    struct head_field *fields; /* owned array; the strings are the parser's, or in `trimmed` */
    size_t field_count;
    char *trimmed;

    char *body; /* NULL, or body_size bytes and a zero */
    size_t body_size;
    size_t body_capacity;
    size_t body_limit; /* the most that body_capacity will be */
};

void request_clear(struct http_request *request);

/* Keep a copy of the raw target. False when out of memory. */
bool request_keep_target(struct http_request *request, const char *target);

/*
 * Take the blanks and tabs from the ends of the values, of which they are no part (RFC 9110, 5.5). Those of
 * Content-Length and Transfer-Encoding keep them and are refused for it: not every parser agrees where a
 * body ends that is announced like this. False when out of memory.
 */
bool request_trim_fields(struct http_request *request);

/*
 * Cut the target, which passed validation, into path and query, and decode the query.
 * Returns NULL, or a sentence saying why the request is malformed.
 */
const char *request_cut_target(struct http_request *request);

/* Remember what the router found. */
void request_bind(struct http_request *request, const struct router_match *match);

/* Append a piece of the body, which must fit body_limit with a byte to spare. False when out of memory. */
bool request_append_body(struct http_request *request, const char *data, size_t size);

/* Free the body, which nobody reads any more. */
void request_drop_body(struct http_request *request);

#endif
