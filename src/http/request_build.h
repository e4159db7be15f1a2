/* SPDX-License-Identifier: MIT */
/* What the functions that build a request share. */
#ifndef WEIR_HTTP_REQUEST_BUILD_H
#define WEIR_HTTP_REQUEST_BUILD_H

#include "http/request.h"

/* Every function that builds ends with this: the first failure stays in the request. Returns the status. */
weir_status weir__request_keep(weir_http_request *request, weir_status status,
                               const weir_error *error);

/* Add a header field, after all checks. `secret`: it is one, whatever its name. */
weir_status weir__request_add_field(weir_http_request *request, const char *name, const char *value,
                                    bool secret, weir_error *reterr);

weir_status weir__request_no_memory(weir_error *reterr);

/* Overwrite a text of this size and free it. NULL is fine. */
void weir__free_secret(char *text, size_t size);

#endif
