/* SPDX-License-Identifier: MIT */
/* The hosts that are reached without a proxy. */
#ifndef WEIR_HTTP_NO_PROXY_H
#define WEIR_HTTP_NO_PROXY_H

#include <weir/http.h>

/*
 * A list of hosts, separated by commas and blanks, as weir/http.h says of the option no_proxy. libcurl
 * knows some of its forms and passes over the others in silence.
 *
 * Errors: WEIR_INVALID with the position of the fault; `name` is what the list is called.
 */
weir_status weir__no_proxy_check(const char *list, const char *name, weir_error *reterr);

/* Whether an origin ("https://host:443", as struct url has it) is in a list that was checked; NULL is
 * an empty one. */
bool weir__no_proxy_has(const char *list, const char *origin);

#endif
