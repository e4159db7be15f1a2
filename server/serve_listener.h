/* SPDX-License-Identifier: MIT */
/* The listener as the configuration has it: its addresses, its options, what it logs. */
#ifndef WEIR_SERVER_SERVE_LISTENER_H
#define WEIR_SERVER_SERVE_LISTENER_H

#include "config/config.h"
#include "http/listener.h"

/* Sockets that are bound; -1: none. */
struct serve_addresses {
    int socket;
    int health_socket;
};

#define SERVE_NO_ADDRESSES ((struct serve_addresses){-1, -1})

/* Bind the address, and that for health where there is one. Errors: those of listener_bind(), where the port
 * is in use with what chooses another; *ret_addresses is none then. */
weir_status serve_bind(const struct config *config, struct serve_addresses *ret_addresses,
                       weir_error *reterr);

void serve_close_addresses(struct serve_addresses *addresses);

/* Without sockets and on_request_done. */
struct listener_options serve_listener_options(const struct config *config);

/* Threads for what waits for NocoDB; without it there is nothing to wait for. */
int serve_outbound_workers(const struct config *config);

/* A line for each answer, DEBUG, and WARNING from 500 on. Threads: any. */
void serve_log_access(const struct http_access *access);

#endif
