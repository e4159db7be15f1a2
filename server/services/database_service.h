/* SPDX-License-Identifier: MIT */
/* The Database service: tables and rows of the main database, as JSON text. */
#ifndef WEIR_SERVER_DATABASE_SERVICE_H
#define WEIR_SERVER_DATABASE_SERVICE_H

#include "managers/managed_db.h"

/*
 * A service works on DatabaseManager; several share its one engine. It keeps what reflection last
 * saw: read once, and again on demand, when a table is asked for that was not there, or a statement
 * finds that the tables changed.
 *
 * Every text it returns is malloc'ed JSON, and the caller frees it. *ret_is_utf8, where
 * ret_is_utf8 is not NULL, is false when U+FFFD stands in it for bytes of the database that are not UTF-8.
 * Functions that take a deadline keep it. Threads: any, for all functions but open and close.
 */
struct database_service;

/*
 * Open a service. `url`, if not NULL, initializes the manager, unless it is initialized already.
 * `retry` may be NULL for DB_RETRY_DEFAULT.
 *
 * Errors: as managed_db_initialize() except WEIR_ALREADY.
 */
WEIR_MUST_CHECK weir_status database_service_open(const char *url, const struct db_retry *retry,
                                                  struct database_service **ret_service,
                                                  weir_error *reterr);
void database_service_close(struct database_service *service);

/* The names of all tables and views but the `hidden` ones (NULL-terminated list, may be NULL), as
 * they are now: ["A", "B"]. */
WEIR_MUST_CHECK weir_status database_get_table_names(struct database_service *service,
                                                     const char *const *hidden, weir_time deadline,
                                                     char **ret_text, weir_error *reterr);

/*
 * One page of a table: [{…}, …], in the order of its primary key or id column; a table without
 * either in the order it is stored in, a view in whatever order the database gives.
 * Errors: WEIR_NOT_FOUND when there is no such table.
 */
WEIR_MUST_CHECK weir_status database_get_rows(struct database_service *service, const char *table,
                                              int64_t limit, int64_t offset, weir_time deadline,
                                              char **ret_text, bool *ret_is_utf8,
                                              weir_error *reterr);

/*
 * One row by its id: {…}. The id column is `ID` for Answers, HCCH Answers, Domestic Instruments,
 * Regional Instruments, Regional Legal Provisions, International Instruments, International Legal
 * Provisions, Court Decisions and Literature, `Name` for Domestic Legal Provisions, `Alpha-3 Code`
 * for Jurisdictions, and the primary key for any other table and where that column does not exist.
 * An id is as the JSON of the rows shows it (true, 2024-02-29T12:30:00, base64 of a blob) and found by the
 * column's index; one that cannot be of the column's type is merely not found.
 *
 * *ret_text is NULL when there is no such row.
 *
 * Errors: WEIR_NOT_FOUND when there is no such table;
 *         WEIR_INVALID for a table without a primary key of one column.
 */
WEIR_MUST_CHECK weir_status database_get_entry_by_id(struct database_service *service,
                                                     const char *table, const char *id,
                                                     weir_time deadline, char **ret_text,
                                                     bool *ret_is_utf8, weir_error *reterr);

#endif
