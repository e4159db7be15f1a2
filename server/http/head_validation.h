/* SPDX-License-Identifier: MIT */
/* Validation of a request's head: pure checks that refuse a request whose head two readers could understand differently. */
#ifndef WEIR_SERVER_HEAD_VALIDATION_H
#define WEIR_SERVER_HEAD_VALIDATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One header line as parsed: name and value without the colon and the spaces around the value.
 * Both also end with a NUL. */
struct head_field {
    const char *name;
    size_t name_size;
    const char *value;
    size_t value_size;
};

/* The head of one request. `target` is raw, as it stood in the request line, query included. */
struct request_head {
    const char *method;
    const char *target;
    const char *version;
    const struct head_field *fields;
    size_t field_count;
};

/* What a head that passed says about its body. Both false means there is none. */
struct body_framing {
    bool is_chunked;
    bool has_length;
    uint64_t length;
};

/* status 0: the head passed. Otherwise the HTTP status to refuse it with, and a sentence for the
 * client that names what is wrong without repeating any of its bytes. */
struct head_verdict {
    unsigned status;
    const char *reason;
};

/*
 * Validate one head.
 *
 * Refuses (400 unless said): a method or header name that is not a token; control bytes, spaces
 * or "#" in the target; a target that is neither a path, nor http(s)://authority/path, nor "*"
 * with OPTIONS; another version than HTTP/1.0 and 1.1 (505); control bytes in a value (a tab is
 * allowed); HTTP/1.1 without Host; a Host that is no host; any of Host, Content-Length,
 * Transfer-Encoding, Content-Type, Authorization twice; Content-Length that is not plain digits,
 * or does not fit 64 bits (413); Transfer-Encoding other than exactly "chunked" (501 for another
 * coding, RFC 9112 6.1), or with HTTP/1.0, or together with Content-Length; an Expect other than 100-continue (417).
 *
 * Source: RFC 9112 sections 2 to 6, RFC 9110 section 5; where these let a server choose between
 * repairing and refusing, this refuses.
 * Threads: any; it is a function of its arguments.
 */
struct head_verdict head_validate(const struct request_head *head, struct body_framing *ret_body);

/*
 * Whether the head's strings account for every byte of the raw block they were cut from, from the
 * method's first byte to the blank line: "method SP target SP version CRLF (name ":" spaces value
 * CRLF)* CRLF", with the parser's NULs in place of the separators.
 *
 * A parser that unfolds continuation lines, cuts a value at a NUL or takes a bare LF for a line's
 * end hides it from whoever reads the parsed result; but it leaves a gap or an overlap between
 * the strings, and this finds it. `block` is where the method starts, `size` reaches to the end
 * of the blank line, `target_at` is where the target stood (head->target may be a copy: parsers
 * decode it in place). Reads only inside the block. What it can not see: a NUL directly before a
 * bare LF looks like a CRLF; nothing hides behind it.
 */
bool head_accounts_for_block(const char *block, size_t size, const char *target_at,
                             const struct request_head *head);

/* Whether the text is an HTTP token of at least one byte (RFC 9110 section 5.6.2). */
bool http_is_token(const char *text, size_t size);

/* Whether a header value is free of control bytes other than tab. */
bool http_is_field_value(const char *text, size_t size);

#endif
