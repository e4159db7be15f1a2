/* SPDX-License-Identifier: MIT */
/*
 * A SELECT by key through weir_db (acquire, query, read the values, release) beside the same with
 * the engine's own library and one prepared statement on one connection. What counts is the CPU
 * time of this process per statement; PostgreSQL's server works in processes of its own.
 *
 * Both sides take turns in short rounds and the ratio is the median of the rounds' ratios, so that
 * what else the machine does meets both. Client and server share one processor. PostgreSQL is measured when WEIR_TEST_PG_SOCKET_URL names
 * one, as under tests/with_postgres.sh. With --check, a ratio above its limit is a failure.
 */
#include "bench.h"

#include <weir/db.h>

#ifdef WEIR_WITH_POSTGRES
#include <libpq-fe.h>
#endif
#include <sched.h>
#include <sqlite3.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROWS 100000
#define ROUNDS 150

static const char select_sql[] = "SELECT id, name, price, descr FROM items WHERE id = :id";

static int64_t checksum; /* of what was read, so that nothing is left out */

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int next_key(void)
{
    static uint32_t state = 1;

    state = state * 1664525 + 1013904223;
    return (int)((uint64_t)state * ROWS >> 32) + 1;
}

/* ---- through weir_db ----------------------------------------------------------------------- */

static weir_db *db;

static void must_query(const char *sql)
{
    weir_error error;

    if (weir_db_query(db, sql, NULL, 0, NULL, &error) == WEIR_OK)
        return;
    fprintf(stderr, "bench_db: %s: %s\n", sql, error.text);
    exit(1);
}

static void ask_weir(void)
{
    weir_conn *conn = NULL;
    weir_result *row = NULL;
    const weir_param id = {"id", weir_int(next_key())};

    bench_must(weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, NULL) == WEIR_OK, "acquire");
    bench_must(weir_conn_query(conn, select_sql, &id, 1, &row, NULL) == WEIR_OK, "query");
    weir_conn_release(conn);
    checksum += weir_result_value(row, 0, 0).integer;
    checksum += (int64_t)weir_result_value(row, 0, 1).size;
    checksum += (int64_t)weir_result_value(row, 0, 2).real;
    checksum += (int64_t)weir_result_value(row, 0, 3).size;
    weir_result_close(row);
}

static void open_weir(const char *url, const char *numbers)
{
    weir_error error;
    char fill[256];

    if (weir_db_open(url, NULL, &db, &error) != WEIR_OK) {
        fprintf(stderr, "bench_db: %s\n", error.text);
        exit(1);
    }
    must_query("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price DOUBLE PRECISION, "
               "descr TEXT)");
    snprintf(fill, sizeof(fill),
             "INSERT INTO items SELECT n, 'name ' || n, n * 0.25, 'a description of a middling "
             "length: ' || n "
             "FROM %s",
             numbers);
    must_query(fill);
    must_query("ANALYZE");
}

/* ---- measuring ----------------------------------------------------------------------------- */

static double time_round(void (*ask)(void), int statements)
{
    double start = cpu_seconds();

    for (int i = 0; i < statements; i++)
        ask();
    return (cpu_seconds() - start) / statements * 1e6;
}

/* Print a line; true when the ratio is within its limit. */
static bool compare(const char *title, void (*ask_bare)(void), int statements, double limit)
{
    static double bare[ROUNDS], ours[ROUNDS], ratios[ROUNDS];

    time_round(ask_bare, statements);
    time_round(ask_weir, statements);
    for (int i = 0; i < ROUNDS; i++) {
        bool bare_first = i % 2 == 0;
        if (bare_first)
            bare[i] = time_round(ask_bare, statements);
        ours[i] = time_round(ask_weir, statements);
        if (!bare_first)
            bare[i] = time_round(ask_bare, statements);
        ratios[i] = ours[i] / bare[i];
    }
    double ratio = bench_median(ratios, ROUNDS);
    printf("%-30s %9.2f µs %9.2f µs %8.2f   limit %.2f   middle half %.2f to %.2f\n", title,
           bench_median(bare, ROUNDS), bench_median(ours, ROUNDS), ratio, limit, ratios[ROUNDS / 4],
           ratios[ROUNDS - 1 - ROUNDS / 4]);
    fflush(stdout);
    return ratio <= limit;
}

/* ---- bare sqlite3 -------------------------------------------------------------------------- */

static sqlite3_stmt *lite;

static void ask_sqlite(void)
{
    sqlite3_bind_int64(lite, 1, next_key());
    bench_must(sqlite3_step(lite) == SQLITE_ROW, "sqlite3_step");
    checksum += sqlite3_column_int64(lite, 0);
    bench_must(sqlite3_column_text(lite, 1) != NULL, "sqlite3_column_text");
    checksum += sqlite3_column_bytes(lite, 1);
    checksum += (int64_t)sqlite3_column_double(lite, 2);
    bench_must(sqlite3_column_text(lite, 3) != NULL, "sqlite3_column_text");
    checksum += sqlite3_column_bytes(lite, 3);
    bench_must(sqlite3_step(lite) == SQLITE_DONE, "sqlite3_step");
    sqlite3_reset(lite);
}

static bool bench_sqlite(void)
{
    char directory[] = "/tmp/weir-bench.XXXXXX";
    char path[64];
    char url[96];
    char command[64];
    sqlite3 *bare = NULL;

    bench_must(mkdtemp(directory) != NULL, "mkdtemp");
    snprintf(path, sizeof(path), "%s/bench.db", directory);
    snprintf(url, sizeof(url), "sqlite:///%s", path);
    open_weir(url,
              "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100000) "
              "SELECT n FROM s)");
    bench_must(sqlite3_open_v2(path, &bare, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
                   SQLITE_OK,
               "sqlite3_open_v2");
    bench_must(sqlite3_prepare_v3(bare, select_sql, -1, SQLITE_PREPARE_PERSISTENT, &lite, NULL) ==
                   SQLITE_OK,
               "sqlite3_prepare_v3");
    bool is_within = compare("SQLite, file, WAL", ask_sqlite, 4000, 1.25);
    sqlite3_finalize(lite);
    sqlite3_close(bare);
    weir_db_close(db);
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    bench_must(system(command) == 0, "cleaning up");
    return is_within;
}

/* ---- bare libpq ---------------------------------------------------------------------------- */

#ifdef WEIR_WITH_POSTGRES
static PGconn *pq;

static void ask_libpq(void)
{
    char key[16];
    const char *values[] = {key};

    snprintf(key, sizeof(key), "%d", next_key());
    PGresult *row = PQexecPrepared(pq, "by_key", 1, values, NULL, NULL, 0);
    bench_must(PQresultStatus(row) == PGRES_TUPLES_OK && PQntuples(row) == 1, "PQexecPrepared");
    checksum += strtoll(PQgetvalue(row, 0, 0), NULL, 10);
    checksum += PQgetlength(row, 0, 1);
    checksum += (int64_t)strtod(PQgetvalue(row, 0, 2), NULL);
    checksum += PQgetlength(row, 0, 3);
    PQclear(row);
}

static void pin(pid_t pid, int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(pid, sizeof(set), &set) != 0)
        printf("process %d could not be pinned to one processor: expect two kinds of rounds\n",
               (int)pid);
}

/*
 * Client and server sessions on one processor. Where they lie on two, the kernel changes now and
 * then whether one sleeps or spins for the other, and a statement costs four times as much in some
 * rounds, on either side of the comparison.
 */
static void share_processor(void)
{
    weir_result *own = NULL;
    int cpu = sched_getcpu();

    bench_must(weir_db_query(db, "SELECT pg_backend_pid()", NULL, 0, &own, NULL) == WEIR_OK, "pid");
    pin(0, cpu);
    pin((pid_t)weir_result_value(own, 0, 0).integer, cpu);
    pin(PQbackendPID(pq), cpu);
    weir_result_close(own);
}

static bool bench_postgres(const char *url, const char *title)
{
    open_weir(url, "generate_series(1, 100000) AS n");
    pq = PQconnectdb(url);
    bench_must(PQstatus(pq) == CONNECTION_OK, "PQconnectdb");
    PGresult *answer =
        PQprepare(pq, "by_key", "SELECT id, name, price, descr FROM items WHERE id = $1", 1, NULL);
    bench_must(PQresultStatus(answer) == PGRES_COMMAND_OK, "PQprepare");
    PQclear(answer);
    share_processor();
    bool is_within = compare(title, ask_libpq, 500, 1.15);
    PQfinish(pq);
    must_query("DROP TABLE items");
    weir_db_close(db);
    return is_within;
}
#endif

int main(int argc, char **argv)
{
    bool checks = argc > 1 && strcmp(argv[1], "--check") == 0;

    printf("SELECT by key of one row of four columns, CPU of this process per statement\n");
    printf("%-30s %12s %12s %8s\n", "", "bare", "weir_db", "ratio");
    bool is_within = bench_sqlite();
#ifdef WEIR_WITH_POSTGRES
    const char *socket_url = getenv("WEIR_TEST_PG_SOCKET_URL");
    const char *tcp_url = getenv("WEIR_TEST_PG_URL");
    if (socket_url == NULL)
        printf("PostgreSQL: not measured; tests/with_postgres.sh starts one\n");
    if (socket_url != NULL)
        is_within &= bench_postgres(socket_url, "PostgreSQL, unix socket");
    if (tcp_url != NULL)
        is_within &= bench_postgres(tcp_url, "PostgreSQL, TCP loopback");
#endif
    if (checksum == 0)
        printf("nothing was read\n");
    return checks && !is_within;
}
