/* SPDX-License-Identifier: MIT */
/* A session's options: checked, and copied with their texts. */
#ifndef WEIR_HTTP_OPTIONS_H
#define WEIR_HTTP_OPTIONS_H

#include <weir/http.h>

/* The longest time an option can be, and the largest body. */
#define DAY_MS 86400000
#define BODY_LIMIT ((int64_t)1 << 53)

/* Names the option, its value and its range; a proxy's URL only by the place of its fault. */
weir_status weir__http_options_check(const weir_http_options *options, weir_error *reterr);

/* A copy whose texts are its own. WEIR_NO_MEMORY. */
weir_status weir__http_options_copy(const weir_http_options *options, weir_http_options *ret_copy,
                                    weir_error *reterr);
void weir__http_options_clear(weir_http_options *copy);

#endif
