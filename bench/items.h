/* SPDX-License-Identifier: MIT */
/* Two rows in SQLite's memory, and the question for one of them. */
#ifndef WEIR_BENCH_ITEMS_H
#define WEIR_BENCH_ITEMS_H

#include "bench.h"

#include <weir/db.h>

static inline weir_db *open_items(void)
{
    weir_db *db = NULL;

    bench_must(weir_db_open("sqlite:///:memory:", NULL, &db, NULL) == WEIR_OK, "weir_db_open");
    bench_must(weir_db_query(db, "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)", NULL, 0,
                             NULL, NULL) == WEIR_OK,
               "CREATE TABLE");
    bench_must(weir_db_query(db, "INSERT INTO items VALUES (1, 'one'), (2, 'two')", NULL, 0, NULL,
                             NULL) == WEIR_OK,
               "INSERT");
    return db;
}

/* Ask so many times; the argument is the weir_db. */
static inline void ask_items(void *arg, int count)
{
    const weir_param id = {"id", weir_int(2)};

    for (int i = 0; i < count; i++) {
        weir_result *row = NULL;

        bench_must(weir_db_query(arg, "SELECT id, name FROM items WHERE id = :id", &id, 1, &row,
                                 NULL) == WEIR_OK,
                   "SELECT");
        weir_result_close(row);
    }
}

#endif
