/* SPDX-License-Identifier: MIT */
/* A response while it arrives: its header fields and its body, each within a limit. */
#ifndef WEIR_HTTP_RESPONSE_H
#define WEIR_HTTP_RESPONSE_H

#include <weir/http.h>

struct response_field {
    uint32_t name; /* where it begins in `head`; zero-terminated there */
    uint32_t value;
};

#define RESPONSE_FIELDS_LIMIT 256

/* Most responses need no memory for their header but their own, and all of it stays small enough for
 * an allocator's short way. */
struct weir_http_response {
    int status;       /* 0 until a status line came */
    bool is_in_head;  /* behind a status line, and no empty line came yet */
    bool is_http_1_0; /* as that line says */
    size_t url;       /* where it begins in `head`, once it is there; else 0 */
    char *head;       /* the fields' names and values, one after another, and the URL */
    size_t head_size;
    size_t head_capacity;
    struct response_field *fields;
    size_t field_count;
    size_t field_capacity;
    size_t received; /* bytes of all lines since it was cleared, those of a 1xx among them */

    char *body; /* always zero-terminated; NULL while nothing came */
    size_t body_size;
    size_t body_capacity;
    size_t body_first; /* the capacity to begin with */
    bool is_truncated;

    struct response_field first_fields[16];
    char first_head[768];
};

/* An empty one; NULL: out of memory. */
weir_http_response *weir__response_new(void);

/* Forget everything: a new attempt begins. */
void weir__response_clear(weir_http_response *response);

/*
 * Take one line of a header as libcurl gives it: a status line, a field, or the empty line. A status
 * line ends what a 1xx, or a proxy's answer to CONNECT, had before it, and stands first. A field that
 * continues the last one (obsolete folding) is added to its value after a space, but not where it says
 * where the body ends. Control characters are kept out (WEIR_PROTOCOL). `limit` is that of all lines since the response was cleared, so that no number
 * of 1xx goes beyond it.
 * Errors: WEIR_LIMIT, WEIR_PROTOCOL, WEIR_NO_MEMORY.
 */
weir_status weir__response_add_line(weir_http_response *response, const char *line, size_t size,
                                    size_t limit, weir_error *reterr);

/* The body is said to be of so many bytes, or unknown (-1): so much memory is taken for it at once, if
 * it is not too much to take at a server's word. */
void weir__response_expect_body(weir_http_response *response, int64_t size);

/* Append to the body, no limit checked. WEIR_NO_MEMORY. */
weir_status weir__response_add_body(weir_http_response *response, const char *data, size_t size,
                                    weir_error *reterr);

/* What is wrong with its Content-Length by RFC 9112 (6.3): a text that is no number, or too large a one,
 * a list of numbers, fields with different ones. NULL: nothing. */
const char *weir__response_length_fault(const weir_http_response *response);

/* How long its body is, once the head is complete; -1: only its framing would tell. */
int64_t weir__response_length(const weir_http_response *response);

/* Where it came from, once it is complete. false: out of memory. */
bool weir__response_set_url(weir_http_response *response, const char *url);

/* The values of all fields of a name, up to `capacity`; how many there are. */
size_t weir__response_values(const weir_http_response *response, const char *name,
                             const char **values, size_t capacity);

/* Whether it says that its connection ends, anywhere in its lists of Connection (RFC 9110, 7.6.1). */
bool weir__response_says_close(const weir_http_response *response);

#endif
