/* SPDX-License-Identifier: MIT */
/* Every allocation of the database room fails once, weir's own and SQLite's: no crash, no leak. */
#include "alloc_fail.h"
#include "db/params.h"
#include "db/statement.h"

#include <weir/db.h>
#include <weir/metrics.h>

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

static weir_error error;

static bool is_fine(weir_status status)
{
    return alloc_fail_is_fine(status, &error);
}

/* ---- the parts --------------------------------------------------------------------------- */

static void parse_url(void)
{
    weir_url *url = NULL;

    if (is_fine(weir_url_parse("sqlite:///x.db?pool_size=1&a=b", &url, &error)))
        weir_url_close(url);
}

static void translate(void)
{
    struct translation t;

    if (is_fine(weir__translate("SELECT :a, :b, :c, :d, :e, :f, :g, :h, :i, :a", DIALECT_SQLITE, &t,
                                &error)))
        weir__translation_clear(&t);
}

static void forget(void *arg, struct statement *statement)
{
    (void)arg;
    statement->prepared = NULL;
}

static void cache_statements(void)
{
    static const char *const texts[] = {"SELECT :a", "SELECT :b", "SELECT :c", "SELECT :a"};
    struct statement_cache cache;
    if (!is_fine(weir__statement_cache_init(&cache, DIALECT_POSTGRES, 2, forget, NULL, &error)))
        return;

    for (size_t i = 0; i < 4; i++) {
        struct statement *statement;
        if (!is_fine(weir__statement_get(&cache, texts[i], &statement, &error)))
            continue;
        statement->prepared = &cache;
        weir__statement_done(&cache, statement);
        check(weir__statement_cache_is_sane(&cache));
    }
    weir__statement_cache_clear(&cache);
}

/* ---- the whole --------------------------------------------------------------------------- */

static void write_rows(weir_conn *conn)
{
    weir_param params[20];
    char names[20][16];

    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "p%d", i);
        params[i] = (weir_param){names[i], weir_int(i)};
    }
    if (!is_fine(weir_conn_begin(conn, WEIR_TX_WRITE, &error)))
        return;
    weir_status status = weir_conn_query(
        conn,
        "INSERT INTO t (n) VALUES (:p0), (:p1), (:p2), (:p3), (:p4), (:p5), (:p6), (:p7), (:p8), "
        "(:p9), "
        "(:p10), (:p11), (:p12), (:p13), (:p14), (:p15), (:p16), (:p17), (:p18), (:p19)",
        params, 20, NULL, &error);
    bool is_whole = is_fine(status) && is_fine(weir_conn_begin(conn, WEIR_TX_WRITE, &error)) &&
                    is_fine(weir_conn_rollback(conn, &error));
    if (is_whole)
        is_fine(weir_conn_commit(conn, &error));
    while (weir_conn_depth(conn) > 0)
        is_fine(weir_conn_rollback(conn, &error));
}

static void read_rows(weir_conn *conn)
{
    weir_result *result = NULL;
    char *text = NULL;

    /* Enough to leave the first block with rows and with texts, and one text in a chunk alone. */
    if (!is_fine(
            weir_conn_query(conn,
                            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT "
                            "100) SELECT i, hex(zeroblob(100)), zeroblob(CASE i WHEN 7 THEN 9000 "
                            "ELSE 0 END) AS b, 0.5 FROM n",
                            NULL, 0, &result, &error)))
        return;
    check_int(weir_result_row_count(result), 100);
    if (is_fine(weir_result_to_json(result, &text, NULL, &error)))
        free(text);
    if (is_fine(weir_result_row_to_json(result, 50, &text, NULL, &error)))
        free(text);
    weir_result_close(result);
}

static void use_database(void)
{
    weir_db *db = NULL;
    weir_conn *conn = NULL;
    weir_schema *schema = NULL;
    if (!is_fine(weir_db_open("sqlite:///:memory:?statement_cache_size=4", NULL, &db, &error)))
        return;

    if (is_fine(weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error))) {
        if (is_fine(weir_conn_script(
                conn,
                "PRAGMA foreign_keys = OFF; "
                "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT REFERENCES t (id)); "
                "CREATE VIEW v AS SELECT n FROM t",
                &error))) {
            write_rows(conn);
            read_rows(conn);
        }
        weir_conn_release(conn);
    }
    if (is_fine(weir_db_reflect(db, &schema, &error)))
        weir_schema_close(schema);
    weir_db_close(db);
}

/* Files have a queue of writers, a look at their place, and a -wal and -shm beside them. */
static void use_file(void)
{
    char directory[] = "/tmp/weir-alloc-XXXXXX";
    char text[64];
    weir_db *db = NULL;
    weir_conn *conn = NULL;
    if (mkdtemp(directory) == NULL)
        abort();

    snprintf(text, sizeof text, "sqlite:///%s/x.db?mode=rwc", directory);
    if (is_fine(weir_db_open(text, NULL, &db, &error))) {
        if (is_fine(weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error))) {
            (void)is_fine(weir_conn_query(conn, "CREATE TABLE t (x)", NULL, 0, NULL, &error));
            weir_conn_release(conn);
        }
        weir_db_close(db);
    }
    for (int i = 0; i < 3; i++) {
        static const char *const suffixes[] = {"", "-wal", "-shm"};
        snprintf(text, sizeof text, "%s/x.db%s", directory, suffixes[i]);
        unlink(text);
    }
    check_int(rmdir(directory), 0);
}

/* ---- SQLite's allocations ---------------------------------------------------------------- */

static sqlite3_mem_methods plain;

static void *failing_malloc(int size)
{
    return alloc_fail_this() ? NULL : plain.xMalloc(size);
}

static void *failing_realloc(void *memory, int size)
{
    return alloc_fail_this() ? NULL : plain.xRealloc(memory, size);
}

/* Before anything uses SQLite. */
static void hook_sqlite(void)
{
    sqlite3_mem_methods methods;

    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain);
    methods = plain;
    methods.xMalloc = failing_malloc;
    methods.xRealloc = failing_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

/* SQLite keeps the list of its databases in memory, emptied, when an open fails half-way; the next
 * that closes frees it. */
static void settle_sqlite(void)
{
    long pending = atomic_exchange(&alloc_fail_in, -1);
    sqlite3 *db = NULL;

    check_int(sqlite3_open_v2("/settle", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "memdb"),
              SQLITE_OK);
    sqlite3_close(db);
    atomic_store(&alloc_fail_in, pending);
}

static void watch_database(void)
{
    weir_metrics *metrics = NULL;
    weir_db *db = NULL;
    char *text = NULL;

    if (!is_fine(weir_metrics_open(&metrics, &error)))
        return;
    if (is_fine(weir_db_open("sqlite:///:memory:", NULL, &db, &error))) {
        if (is_fine(weir_metrics_watch_db(metrics, db, &error))) {
            (void)is_fine(weir_db_query(db, "SELECT 1", NULL, 0, NULL, &error));
            (void)is_fine(weir_db_query(db, "SELECT 1", NULL, 0, NULL, &error));
            if (is_fine(weir_metrics_render(metrics, &text, NULL, &error)))
                free(text);
            weir_metrics_unwatch_db(metrics, db);
        }
        weir_db_close(db);
    }
    weir_metrics_close(metrics);
    settle_sqlite();
}

static void use_database_and_weigh_sqlite(void)
{
    sqlite3_int64 before = sqlite3_memory_used();

    use_database();
    settle_sqlite();
    check_int(sqlite3_memory_used(), before);
}

/* ------------------------------------------------------------------------------------------ */

static void a_url_without_memory_is_an_error(void)
{
    check_int(alloc_fail_each(parse_url), 1);
}

static void a_translation_without_memory_leaks_nothing(void)
{
    check(alloc_fail_each(translate) >= 5);
}

static void a_statement_cache_without_memory_stays_sane(void)
{
    check(alloc_fail_each(cache_statements) >= 7);
}

static void a_database_survives_every_failed_allocation(void)
{
    long failed = alloc_fail_each(use_database_and_weigh_sqlite);

    printf("# %ld allocations failed, one at a time\n", failed);
    check(failed > 100);
}

static void a_file_survives_every_failed_allocation(void)
{
    long failed = alloc_fail_each(use_file);

    printf("# %ld allocations failed, one at a time\n", failed);
    check(failed > 50);
}

static void a_watched_database_survives_every_failed_allocation(void)
{
    check(alloc_fail_each(watch_database) > 60);
}

int main(void)
{
    hook_sqlite();
    run(a_url_without_memory_is_an_error);
    run(a_translation_without_memory_leaks_nothing);
    run(a_statement_cache_without_memory_stays_sane);
    run(a_database_survives_every_failed_allocation);
    run(a_file_survives_every_failed_allocation);
    run(a_watched_database_survives_every_failed_allocation);
    return check_done();
}
