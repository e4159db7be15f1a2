/* SPDX-License-Identifier: MIT */
/* Names of hosts: what DNS, TLS and the Host field know of them is ASCII. */
#ifndef WEIR_HTTP_HOST_H
#define WEIR_HTTP_HOST_H

#include <weir/base.h>

/* A name of the DNS has at most 253 characters, and may end with a dot. */
#define HOST_LIMIT 254

/* What is wrong with a name, and where in it. */
struct host_fault {
    const char *at;
    const char *what;
};

/* Whether a text has a byte that is none of ASCII's. */
bool weir__host_is_international(const char *name, size_t size);

/*
 * The name of `size` bytes as it goes out. One of ASCII alone stays as it is, capitals too; any other
 * becomes lower case with its labels in their xn-- form, as UTS #46 has it (non-transitional
 * processing, which is what browsers and libcurl do): mapped and composed, with the dots of other
 * scripts taken for dots. Labels have 1 to 63 characters, and a dot may follow the last one.
 *
 * Errors: WEIR_INVALID with *ret_fault, whose position is that of a character in a name of ASCII and
 * of a label in another; WEIR_NO_MEMORY. *ret_ascii is then of no use.
 */
weir_status weir__host_to_ascii(const char *name, size_t size, char ret_ascii[HOST_LIMIT + 1],
                                struct host_fault *ret_fault);

#endif
