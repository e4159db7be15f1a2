/* SPDX-License-Identifier: MIT */
/* Filters for what is null where PostgreSQL refuses them: of a Checkbox, and of links. */
#ifndef WEIR_SERVER_NOCODB_BLANK_H
#define WEIR_SERVER_NOCODB_BLANK_H

#include <weir/clock.h>

#include "nocodb_exchange.h"

/* Whether it may be one of the conditions NOCODB_BLANK that failed so. */
bool nocodb_is_blank_refused(const struct nocodb_condition *conditions, size_t count,
                             const struct nocodb_failure *failure);

/*
 * Ask for each of the conditions NOCODB_BLANK alone, and make NOCODB_UNSET of those that the database behind
 * NocoDB takes for a Checkbox.
 *
 * Errors: WEIR_INVALID for a column that cannot be asked so, as one of links; otherwise as
 * nocodb_request_send(), with *ret_failure as there.
 */
WEIR_MUST_CHECK weir_status nocodb_blank_resolve(struct nocodb_server *server, const char *table,
                                                 struct nocodb_condition *conditions, size_t count,
                                                 weir_time deadline,
                                                 struct nocodb_failure *ret_failure,
                                                 weir_error *reterr);

#endif
