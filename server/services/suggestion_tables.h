/* SPDX-License-Identifier: MIT */
/* The suggestions' tables: how they are made, per engine. */
#ifndef WEIR_SERVER_SUGGESTION_TABLES_H
#define WEIR_SERVER_SUGGESTION_TABLES_H

#include "suggestion_service.h"

/* Make each of the tables that does not exist; others are left as they are. */
WEIR_MUST_CHECK weir_status suggestion_tables_make(struct managed_db *manager, weir_time deadline,
                                                   weir_error *reterr);

#endif
