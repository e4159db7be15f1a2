/* SPDX-License-Identifier: MIT */
/* What is asked of a table of NocoDB's, and how each page of it is asked for. */
#ifndef WEIR_SERVER_NOCODB_QUERY_H
#define WEIR_SERVER_NOCODB_QUERY_H

#include <stdint.h>

#include <weir/http.h>

#include "nocodb_where.h"

/* How a list gets from one page to the next. */
enum nocodb_paging {
    /* By counting rows. While others insert and delete rows, some may come twice or not at all. */
    NOCODB_OFFSET,
    /* By asking for keys above the last one: every row that is there all the time comes exactly once. */
    NOCODB_KEYSET
};

/* Most columns to choose, and to sort by. */
#define NOCODB_FIELDS 64
#define NOCODB_SORTS 8

struct nocodb_sort {
    const char *column;
    bool is_descending;
};

/* What is asked of a table. Start from NOCODB_QUERY_DEFAULT. */
struct nocodb_query {
    const struct nocodb_condition *conditions; /* all must hold; see nocodb_where.h */
    size_t condition_count;
    const char *const
        *fields; /* the columns of each row, and with NOCODB_KEYSET the key; none: all */
    size_t field_count;
    /* The order of the rows, by the first column first; none: as the table has them. Not with
     * NOCODB_KEYSET. Rows that are alike in it may come twice or not at all where a page ends between
     * them: end it with a column that has no value twice. */
    const struct nocodb_sort *sorts;
    size_t sort_count;
    int page_size;  /* rows asked for at a time; servers may give fewer. 1 to 1000 */
    int64_t limit;  /* rows at most; -1: all, and WEIR_LIMIT if these are above NOCODB_MAX_ROWS */
    int64_t offset; /* rows left out before the first; only with NOCODB_OFFSET */
    enum nocodb_paging paging;
    /* The column of NOCODB_KEYSET: whole numbers, no two alike. NULL: Id, which may be the id that v3
     * gives beside the fields; a row without any other column is an error, and so is a key beyond
     * 2^53 - 1 in either direction, which NocoDB rounds. */
    const char *key;
};

#define NOCODB_QUERY_DEFAULT                                                                       \
    {                                                                                              \
        NULL, 0, NULL, 0, NULL, 0, 100, -1, 0, NOCODB_OFFSET, NULL                                 \
    }

/* Errors: WEIR_INVALID for a query that cannot be asked, and why. */
WEIR_MUST_CHECK weir_status nocodb_query_check(const struct nocodb_query *query,
                                               enum nocodb_dialect dialect, weir_error *reterr);

/* The column of NOCODB_KEYSET. */
const char *nocodb_query_key(const struct nocodb_query *query);

/* Where a page begins. */
struct nocodb_place {
    int page_size;
    int64_t seen;         /* rows of the pages before it */
    const char *last_key; /* of the row before it; "": there is none */
};

/* Add a page's parameters to the request. Errors: as nocodb_where(). */
WEIR_MUST_CHECK weir_status nocodb_query_write(const struct nocodb_query *query,
                                               enum nocodb_dialect dialect,
                                               const struct nocodb_place *place,
                                               weir_http_request *request, weir_error *reterr);

/* Ask for these columns alone; of all where there are none. Errors: WEIR_INVALID for a name that cannot
 * be asked for; WEIR_NO_MEMORY. */
WEIR_MUST_CHECK weir_status nocodb_fields_write(const char *const *fields, size_t count,
                                                weir_http_request *request, weir_error *reterr);

#endif
