/* SPDX-License-Identifier: MIT */
/* Starts libmicrohttpd for a door, and logs what it has to say. */
#ifndef WEIR_SERVER_LISTENER_LIBRARY_H
#define WEIR_SERVER_LISTENER_LIBRARY_H

#include <stdbool.h>

#include <weir/base.h>

struct door;

/* Start the library and the door's event thread. Errors: WEIR_SYSTEM (native is the errno), WEIR_NO_MEMORY. */
WEIR_MUST_CHECK weir_status listener_library_start(struct door *door, weir_error *reterr);

/*
 * Whether the parser repairs what it should refuse.
 *
 * Before 1.0 the library's parser repairs folded lines, NULs and bare LFs in silence, and
 * head_accounts_for_block() has to find them; from 1.0 on it refuses them itself when asked
 * to (1.0.10 also a second Host, asked or not), with the right status and a page of its own. The
 * library at run time need not be that of the headers: both have one soname.
 */
bool listener_library_is_lenient(void);

#endif
