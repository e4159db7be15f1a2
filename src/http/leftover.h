/* SPDX-License-Identifier: MIT */
/* A response that was still unread in a connection when sending on it failed. */
#ifndef WEIR_HTTP_LEFTOVER_H
#define WEIR_HTTP_LEFTOVER_H

#include "http/transfer.h"

/*
 * libcurl is about to close a socket. A server may answer before it has read all of a body, and close:
 * then the next piece cannot be sent, and libcurl gives up without a look at what has come. If that is
 * so the answer is read now, as far as it needs to be, and the transfer has it (STOP_ENOUGH). Over
 * TLS there is nothing that could be read here: see unread.h.
 */
void weir__read_leftover(struct handle *handle, curl_socket_t socket);

#endif
