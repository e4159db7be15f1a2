/* SPDX-License-Identifier: MIT */
/* The hosts that are reached without a proxy. */
#ifndef WEIR_HTTP_NO_PROXY_H
#define WEIR_HTTP_NO_PROXY_H

#include <weir/http.h>

/*
 * A list of hosts, separated by commas and blanks, as weir/http.h says of the option no_proxy. libcurl
 * knows some of its forms and passes over the others in silence.
 *
 * Errors: WEIR_INVALID with the position of the fault; `name` is what the list is called;
 * WEIR_NO_MEMORY.
 */
weir_status weir__no_proxy_check(const char *list, const char *name, weir_error *reterr);

/* The same list with its international names in ASCII, as origins have theirs; malloc'ed. */
weir_status weir__no_proxy_copy(const char *list, const char *name, char **ret_list,
                                weir_error *reterr);

/* Whether an origin ("https://host:443", as struct url has it) is in such a copy; NULL is an empty
 * list. */
bool weir__no_proxy_has(const char *list, const char *origin);

#endif
