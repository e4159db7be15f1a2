/* SPDX-License-Identifier: MIT */
/* One page of rows as NocoDB's APIs answer it, in whichever shape. */
#ifndef WEIR_SERVER_NOCODB_PAGE_H
#define WEIR_SERVER_NOCODB_PAGE_H

#include <stdint.h>

#include "text/json_text.h"

/* What an answer says about a page after it. NO_LINK: one of v3 without a link, which there is to no page
 * but one that begins at a multiple of its size. */
enum nocodb_more { NOCODB_MORE_UNKNOWN, NOCODB_MORE_NO_LINK, NOCODB_MORE_NO, NOCODB_MORE_YES };

/* A page. The rows point into the answer's text. */
struct nocodb_page {
    struct json_text_walk rows; /* for json_text_next(): each an object */
    size_t row_count;
    enum nocodb_more more;
    int64_t
        page_size; /* how many rows a page has by the server's own account; 0: it does not say */
};

/*
 * Read an answer: `{"list": [row…], "pageInfo": {isLastPage, pageSize}}` (v1, v2),
 * `{"records": [row…], "next": URL}` (v3), `{"data": [row…]}` or a bare array.
 *
 * Errors: WEIR_PROTOCOL when it is none of these, or no JSON; WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status nocodb_page_read(const char *text, size_t size,
                                             struct nocodb_page *ret_page, weir_error *reterr);

/*
 * Read the whole number that a row has in a column: its text, from -9… to 9… with at most 39 digits and
 * no zeros before them, goes to `out`. The column "Id", in any case, may be the id that v3 gives beside
 * the fields; no other column may, whose value is another. False when it has none.
 */
#define NOCODB_KEY_TEXT 42
bool nocodb_row_key(const char *row, size_t size, const char *column, char out[NOCODB_KEY_TEXT]);

/* Whether a row has a member "Id" or, as in v3, "id", so that no two rows of a table are alike. */
bool nocodb_row_has_id(const char *row, size_t size);

/*
 * Whether such a key can be told from its neighbours: from -(2^53 - 1) to 2^53 - 1. NocoDB answers a whole
 * number beyond as the nearest double, so that the rows above it are not those above the row's.
 */
bool nocodb_key_is_exact(const char *key);

/* Compare two such keys as numbers: negative, 0 or positive. */
int nocodb_key_compare(const char *a, const char *b);

/*
 * Check that an answer is one JSON object, with a member for each of the columns that were asked for (none:
 * any will do). v1 leaves out of a row what it does not know; what is null it gives. A column that was asked
 * for by its id comes under its title, so that as many other members do instead.
 *
 * Errors: as above; WEIR_INVALID for a column that the row does not have.
 */
WEIR_MUST_CHECK weir_status nocodb_row_check(const char *text, size_t size,
                                             const char *const *columns, size_t column_count,
                                             weir_error *reterr);

#endif
