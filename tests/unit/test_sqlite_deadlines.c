/* SPDX-License-Identifier: MIT */
/* Deadlines in statements of SQLite whose single steps are heavy, and what is left of them: nothing. */
#include "db_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

/* Each row takes some ten milliseconds within one function; SQLite's progress callback, asked every 2000
 * steps, would come after some 200 rows. Other machines, and busy ones, take longer for a row. */
#define ROWS "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
#define HEAVY "length(replace(hex(zeroblob(100000 + i)), '0', 'abc'))"

static const char *const heavy[] = {
    ROWS "SELECT sum(" HEAVY ") FROM n",
    ROWS "SELECT i FROM n WHERE hex(zeroblob(100000 + i)) LIKE '%1%1%'",
    ROWS "SELECT i FROM n ORDER BY " HEAVY,
    "INSERT INTO t " ROWS "SELECT " HEAVY " FROM n",
    "CREATE TABLE made AS " ROWS "SELECT " HEAVY " AS x FROM n",
};
enum { HEAVY_COUNT = sizeof heavy / sizeof heavy[0] };

static weir_db *open_table(const char *name, const char *options)
{
    char url[300];

    snprintf(url, sizeof url, "%s%s", fixture_url(name), options);
    weir_db *db = fixture_open(url, NULL);
    fixture_run_in(db, "CREATE TABLE t (x)");
    return db;
}

static weir_time time_of_a_row; /* on average of some, with all that goes on beside */

static void measure_a_row(weir_conn *conn)
{
    weir_time start = weir_now();

    fixture_run(conn,
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) "
                "SELECT sum(" HEAVY ") FROM n");
    time_of_a_row = (weir_now() - start) / 20;
    printf("# %.1f ms a row\n", (double)time_of_a_row / WEIR_MS);
}

/* It was over long before 200 rows were. */
static void check_stopped(weir_conn *conn, const char *sql)
{
    weir_error error = {0};
    weir_time start = weir_now();

    check_status(weir_conn_query(conn, sql, NULL, 0, NULL, &error), WEIR_TIMEOUT, error);
    check_text(error.sqlstate, "57014");
    weir_time took = weir_now() - start;
    if (took > 100 * WEIR_MS + 60 * time_of_a_row) {
        check_failures_in_test++;
        printf("# %lld ms: %s\n", (long long)took / WEIR_MS, sql);
    }
}

static void a_deadline_holds_within_heavy_steps(void)
{
    weir_db *db = open_table("heavy.db", "");
    weir_conn *conn = fixture_acquire(db);

    for (int i = 0; i < HEAVY_COUNT; i++) {
        measure_a_row(conn);
        weir_conn_set_deadline(conn, weir_deadline_in(30));
        check_stopped(conn, heavy[i]);
        weir_conn_set_deadline(conn, WEIR_DEADLINE_NEVER);
        check_int(fixture_int(conn, "SELECT count(*) FROM t"), 0);
    }
    weir_conn_release(conn);
    weir_db_close(db);
}

static void the_options_limit_holds_in_scripts_and_transactions_too(void)
{
    weir_db *db = open_table("limit.db", "?statement_timeout_ms=30");
    weir_conn *conn = fixture_acquire(db);
    weir_error error = {0};
    char script[400];

    snprintf(script, sizeof script, "INSERT INTO t VALUES (1); %s", heavy[0]);
    weir_time start = weir_now();
    check_status(weir_conn_script(conn, script, &error), WEIR_TIMEOUT, error);
    check(weir_now() - start < 100 * WEIR_MS + 60 * time_of_a_row);
    check_int(fixture_int(conn, "SELECT count(*) FROM t"), 0);
    check_status(weir_conn_begin(conn, WEIR_TX_WRITE, &error), WEIR_OK, error);
    check_stopped(conn, heavy[3]);
    check_status(weir_conn_rollback(conn, &error), WEIR_OK, error);
    fixture_run(conn, "INSERT INTO t VALUES (1)");
    weir_conn_release(conn);
    weir_db_close(db);
}

/* The interrupt that stopped one statement, or came just after it, is none of the next one's: neither
 * on this connection nor on another. */
static void no_other_statement_is_stopped(void)
{
    weir_db *db = open_table("next.db", "");
    weir_conn *conn = fixture_acquire(db);
    weir_conn *innocent = fixture_acquire(db);
    int stopped = 0;

    for (int i = 0; i < 300; i++) {
        weir_error error;
        weir_conn_set_deadline(conn, weir_now() + (1 + i % 7) * WEIR_MS / 2);
        stopped += weir_conn_query(conn,
                                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                                   "WHERE i < 8000) SELECT max(i) FROM n",
                                   NULL, 0, NULL, &error) == WEIR_TIMEOUT;
        weir_conn_set_deadline(conn, WEIR_DEADLINE_NEVER);
        check_int(fixture_int(conn, "SELECT count(*) FROM t"), 0);
        check_int(fixture_int(innocent, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                                        "FROM n WHERE i < 500) SELECT max(i) FROM n"),
                  500);
    }
    printf("# %d of 300 were stopped\n", stopped);
    check(stopped > 0);
    weir_conn_release(conn);
    weir_conn_release(innocent);
    weir_db_close(db);
}

/* How many threads of this process have that name. */
static int count_threads(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;
    if (tasks == NULL)
        return -1;

    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[300];
        char is[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(is, sizeof is, file) != NULL)
            count += strncmp(is, name, strlen(name)) == 0;
        fclose(file);
    }
    closedir(tasks);
    return count;
}

#define CROWD 4

static _Atomic int crowd_stopped;

static void *be_stopped(void *arg)
{
    weir_conn *conn = fixture_acquire(arg);
    weir_error error = {0};

    for (int i = 0; i < 3; i++) {
        weir_conn_set_deadline(conn, weir_deadline_in(20));
        crowd_stopped += weir_conn_query(conn, heavy[0], NULL, 0, NULL, &error) == WEIR_TIMEOUT;
    }
    weir_conn_release(conn);
    return NULL;
}

static void one_thread_watches_all_and_goes_with_the_last_connection(void)
{
    weir_db *db = open_table("crowd.db", "");
    pthread_t threads[CROWD];

    for (int i = 0; i < CROWD; i++)
        pthread_create(&threads[i], NULL, be_stopped, db);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    check_int(crowd_stopped, 3 * CROWD);
    check_int(count_threads("weir-sqlite"), 1);
    weir_db_close(db);
    check_int(count_threads("weir-sqlite"), 0);
}

int main(void)
{
    fixture_start();
    run(a_deadline_holds_within_heavy_steps);
    run(the_options_limit_holds_in_scripts_and_transactions_too);
    run(no_other_statement_is_stopped);
    run(one_thread_watches_all_and_goes_with_the_last_connection);
    fixture_stop();
    return check_done();
}
