/* SPDX-License-Identifier: MIT */
/* The certificates that a session trusts, parsed once and shared by every connection. */
#ifndef WEIR_HTTP_TRUST_H
#define WEIR_HTTP_TRUST_H

#include <weir/http.h>

#include <curl/curl.h>

/*
 * libcurl parses the file of certificates again for each connection, which with the system's
 * bundle takes tens of milliseconds of a processor. OpenSSL can share one parsed store between
 * connections and threads, and that is what this is. Immutable after open.
 */
struct trust;

/* Whether what libcurl has for TLS is OpenSSL, the one that we have. */
bool weir__has_openssl(void);

/* Read the certificates that the options name, or libcurl's own defaults. NULL in *ret_trust where
 * libcurl is not built with OpenSSL: libcurl then reads the files itself. Errors: WEIR_INVALID names
 * the file or directory; WEIR_NO_MEMORY. */
weir_status weir__trust_open(const weir_http_options *options, struct trust **ret_trust,
                             weir_error *reterr);
void weir__trust_close(struct trust *trust);

/* Let a handle check servers against it. */
void weir__trust_apply(struct trust *trust, const weir_http_options *options, CURL *easy);

#endif
