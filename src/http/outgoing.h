/* SPDX-License-Identifier: MIT */
/* What one attempt sends: its method, target, fields and body, as libcurl is told of them. */
#ifndef WEIR_HTTP_OUTGOING_H
#define WEIR_HTTP_OUTGOING_H

#include "http/transfer.h"

/*
 * Tell a handle what the transfer sends, and within which timeouts. The fields are the transfer's, the
 * line of *ret_type_line, if one is needed, the caller's to free once libcurl is done; so is one that is
 * there after an error. WEIR_NO_MEMORY, in the transfer's error.
 */
weir_status weir__outgoing_set(struct handle *handle, struct transfer *transfer,
                               char **ret_type_line);

/* Begin a body again that was begun before. What its reader says where it cannot is in the transfer's
 * error. */
weir_status weir__outgoing_rewind(struct transfer *transfer);

#endif
