/* SPDX-License-Identifier: MIT */
/* What stands unread in a TLS connection is read before a failed write ends it. */
#ifndef WEIR_HTTP_UNREAD_H
#define WEIR_HTTP_UNREAD_H

#include "http/handle.h"

/*
 * The connection of a handle stands, and a body is about to be sent over it. A server may answer before
 * it has read all of a body, and close: then the next piece cannot be sent, and libcurl gives up without
 * a look at what has come. Over TLS nobody else could read that (leftover.h does it where there is no
 * TLS), so libcurl is made to: as long as something arrives that is not read yet, a write that fails is
 * one to be tried again later, and libcurl, which reads first whenever there is something to be read,
 * meets the answer. And handle->has_written tells from then on whether anything of a request has left: a
 * libcurl whose piece did not go out whole does not count the records of TLS that did (8.14.1; 7.88.1
 * sends the header by itself). Nothing is done over a connection without TLS, or with another TLS than OpenSSL.
 */
void weir__read_before_failing(struct handle *handle);

#endif
