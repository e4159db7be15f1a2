/* SPDX-License-Identifier: MIT */
/* Something real to read on the first start: the countries of ISO 3166-1. */
#ifndef WEIR_SERVER_SEED_H
#define WEIR_SERVER_SEED_H

#include "managers/managed_db.h"

/*
 * Fill an empty SQLite database with the table `Jurisdictions`: `Alpha-3 Code` (primary key),
 * `Alpha-2 Code`, `Numeric Code`, `Name`, `Official Name`, `Common Name`, `Flag`, from the JSON file
 * of Debian's iso-codes at `path`. In one transaction, so it is there wholly or not at all.
 *
 * Does nothing when the database is not SQLite or has any table. When the file is missing or is not
 * what it should be, a warning is logged and the database stays empty; that is WEIR_OK too.
 *
 * Errors: as managed_db_get_session() and weir_conn_query().
 */
WEIR_MUST_CHECK weir_status seed_jurisdictions(struct managed_db *manager, const char *path,
                                               weir_time deadline, weir_error *reterr);

#endif
