/* SPDX-License-Identifier: MIT */
/* What clients are told about a database's errors: temporary ones, in words that name no host. */
#ifndef WEIR_SERVER_DB_TROUBLE_H
#define WEIR_SERVER_DB_TROUBLE_H

#include <stdbool.h>

#include <weir/base.h>

/* Whether errors of this status pass by themselves: it is worth to come again, which 503 says. */
bool is_passing_status(weir_status status);

/*
 * Whether a statement failed for want of a database that can serve it, and not for what it says: none can be
 * reached, none was free in time, the disk is full (53100; class 53: no resources), it only reads
 * (25006), its files cannot be read or written (58030), or it lost a conflict with another.
 */
bool db_trouble_is_passing(const weir_error *error);

/* Whether writes fail while reads go on: the disk is full, or the database only reads. */
bool db_trouble_stops_writes(const weir_error *error);

/* The sentence for clients and /readyz: no host, no path, no SQL. The log has the error's own text. Static. */
const char *db_trouble_text(const weir_error *error);

/* Seconds after which it is worth to come again. */
int db_trouble_retry_after(const weir_error *error);

#endif
