/* SPDX-License-Identifier: MIT */
/* The statement that finds a row by its id: whatever the column's type, its index serves. */
#include "stage.h"
#include "services/table_query.h"

static const char sqlite_tables[] =
    "CREATE TABLE whole (id INTEGER PRIMARY KEY); CREATE TABLE real (id REAL PRIMARY KEY);"
    "CREATE TABLE yes (id BOOLEAN PRIMARY KEY); CREATE TABLE stamp (id TIMESTAMP PRIMARY KEY);"
    "CREATE TABLE day (id DATE PRIMARY KEY); CREATE TABLE bytes (id BLOB PRIMARY KEY);"
    "CREATE TABLE word (id TEXT PRIMARY KEY); CREATE TABLE uuid (id UUID PRIMARY KEY);"
    "CREATE TABLE money (id NUMERIC PRIMARY KEY); CREATE TABLE any (id PRIMARY KEY, note TEXT);"
    "CREATE TABLE bare (id TEXT PRIMARY KEY) WITHOUT ROWID";

static const char postgres_tables[] =
    "CREATE TYPE mood AS ENUM ('sad'); CREATE TYPE pair AS (a int, b text);"
    "CREATE DOMAIN positive AS numeric(6,2) CHECK (VALUE > 0);"
    "CREATE TABLE whole (id int PRIMARY KEY); CREATE TABLE real (id real PRIMARY KEY);"
    "CREATE TABLE yes (id boolean PRIMARY KEY); CREATE TABLE stamp (id timestamp(3) PRIMARY KEY);"
    "CREATE TABLE stampz (id timestamptz PRIMARY KEY);"
    "CREATE TABLE day (id date PRIMARY KEY); CREATE TABLE bytes (id bytea PRIMARY KEY);"
    "CREATE TABLE word (id text PRIMARY KEY); CREATE TABLE uuid (id uuid PRIMARY KEY);"
    "CREATE TABLE money (id numeric(8,2) PRIMARY KEY); CREATE TABLE span (id interval PRIMARY KEY);"
    "CREATE TABLE moods (id mood PRIMARY KEY); CREATE TABLE amount (id positive PRIMARY KEY);"
    "CREATE TABLE short (id varchar(8) PRIMARY KEY); CREATE TABLE padded (id char(5) PRIMARY KEY);"
    "CREATE TABLE lists (id int[] PRIMARY KEY); CREATE TABLE bits (id bit(3) PRIMARY KEY);"
    "CREATE TABLE ranges (id daterange PRIMARY KEY); CREATE TABLE doc (id jsonb PRIMARY KEY);"
    "CREATE TABLE pairs (id pair PRIMARY KEY)";

/* Of tables that one engine does not have, nothing is asked there. */
static const struct {
    const char *table;
    const char *id;
    enum id_match match;
} cases[] = {
    {"whole", "7", ID_MATCH_VALUE},
    {"whole", "-7.5", ID_MATCH_VALUE}, /* SQLite: also a number may be where whole ones belong */
    {"real", "0.1", ID_MATCH_VALUE},
    {"yes", "true", ID_MATCH_VALUE},
    {"stamp", "2024-02-29T12:30:00.5", ID_MATCH_VALUE},
    {"stamp", "2024-02-29T12:30:00+00:00", ID_MATCH_VALUE},
    {"stampz", "2024-02-29T12:30:00+05:30", ID_MATCH_VALUE},
    {"day", "2024-02-29", ID_MATCH_VALUE},
    {"bytes", "YWJj", ID_MATCH_VALUE},
    {"word", "a/b c%", ID_MATCH_VALUE},
    {"word", "YWJj", ID_MATCH_VALUE},
    {"bare", "12", ID_MATCH_VALUE},
    {"uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", ID_MATCH_VALUE},
    {"money", "1.50", ID_MATCH_VALUE},
    {"any", "1", ID_MATCH_VALUE},
    {"span", "1 day", ID_MATCH_VALUE},
    {"moods", "sad", ID_MATCH_VALUE},
    {"amount", "1.5", ID_MATCH_VALUE},
    {"short", "abc", ID_MATCH_VALUE},
    {"padded", "ab", ID_MATCH_VALUE},
    {"lists", "{1,2}", ID_MATCH_VALUE},
    {"bits", "101", ID_MATCH_VALUE},
    {"ranges", "[2024-01-01,2024-02-01)", ID_MATCH_VALUE},
    {"doc", "{\"a\": 1}", ID_MATCH_VALUE},
    {"pairs", "(1,a)", ID_MATCH_CAST},
};

/* The plan of a statement, its lines joined. */
static void explain(struct db_session *session, const struct table_query *query, char *plan,
                    size_t size)
{
    char sql[4096];
    weir_result *result = NULL;
    weir_error error;
    size_t used = 0;

    snprintf(sql, sizeof sql, "%s %s", on_sqlite ? "EXPLAIN QUERY PLAN" : "EXPLAIN", query->sql);
    must(weir_conn_query(session->conn, sql, query->params, query->param_count, &result, &error),
         &error);
    plan[0] = '\0';
    for (size_t row = 0; row < weir_result_row_count(result); row++)
        used += (size_t)snprintf(plan + used, size - used, "%s\n",
                                 weir_result_value(result, row, on_sqlite ? 3 : 0).text);
    weir_result_close(result);
}

static bool is_by_index(const char *plan)
{
    if (on_sqlite)
        return strstr(plan, "SEARCH") != NULL && strstr(plan, "SCAN") == NULL;
    return strstr(plan, "Index") != NULL && strstr(plan, "Index Cond") != NULL &&
           strstr(plan, "Seq Scan") == NULL;
}

static void every_type_of_id_is_found_by_its_index(void)
{
    struct db_session session;
    weir_schema *schema = NULL;
    weir_error error;
    char plan[8192];

    script(db_manager(), on_sqlite ? sqlite_tables : postgres_tables);
    must(managed_db_get_session(db_manager(), soon(), &session, &error), &error);
    /* The tables are empty; what counts is whether the index can be used. */
    if (!on_sqlite)
        must(weir_conn_script(session.conn, "SET enable_seqscan = off", &error), &error);
    must(weir_conn_reflect(session.conn, &schema, &error), &error);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct table_query query = {0};
        const weir_table *table = weir_schema_find(schema, cases[i].table);
        if (table == NULL)
            continue;
        must(table_query_row(&query, table, cases[i].id, on_sqlite, cases[i].match, &error),
             &error);
        if (!query.is_never) {
            explain(&session, &query, plan, sizeof plan);
            if (!is_by_index(plan))
                printf("# %s\n# %s\n", query.sql, plan);
            check(is_by_index(plan));
        }
        table_query_clear(&query);
    }
    weir_schema_close(schema);
    db_session_end(&session);
}

/* ---- ids as values ------------------------------------------------------------------------ */

static void check_blob(const char *id, const char *expected, size_t expected_size)
{
    char room[64];
    size_t size = 0;

    check(row_id_read_blob(id, room, &size));
    check_int(size, expected_size);
    check(memcmp(room, expected, expected_size) == 0);
}

static void blobs_are_read_from_base64(void)
{
    static const char *const wrong[] = {
        "Z",        "Zg",        "Zg=",  "Zg===", "Z===",     "====",
        "Zm9v Zm9", "Zm9\nZg==", "Zg=v", "Z-8=",  "Zg==Zg==", "\xC3\xBC=="};
    char room[64];
    size_t size;

    check_blob("", "", 0);
    check_blob("Zg==", "f", 1);
    check_blob("Zm8=", "fo", 2);
    check_blob("Zm9vYmFy", "foobar", 6);
    check_blob("//4A", "\xFF\xFE\x00", 3);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (row_id_read_blob(wrong[i], room, &size))
            printf("# %s\n", wrong[i]);
        check(!row_id_read_blob(wrong[i], room, &size));
    }
}

static void numbers_are_decimal_and_finite(void)
{
    double real = 0;

    check(row_id_read_real("-1.5e-3", &real) && real == -1.5e-3);
    check(row_id_read_real("5e-324", &real) && real > 0);
    check(!row_id_read_real("", &real));
    check(!row_id_read_real("0x10", &real));
    check(!row_id_read_real("nan", &real));
    check(!row_id_read_real("1e999", &real));
    check(!row_id_read_real("1 ", &real));
    check(!row_id_read_real("1e", &real));
    check(!row_id_read_real("--1", &real));
}

/* All spellings of an id, a bar between two. */
static const char *spellings(const char *id)
{
    static char text[1024];
    char room[64];

    text[0] = '\0';
    for (unsigned i = 0; i < ROW_ID_TIMES; i++) {
        if (!row_id_spell_time(id, i, room))
            continue;
        strcat(text, text[0] == '\0' ? "" : "|");
        strcat(text, room);
    }
    return text;
}

static void a_time_has_every_spelling_that_is_shown_as_it(void)
{
    check_text(spellings("2024-02-29"), "2024-02-29");
    check_text(spellings("someday To be"), "someday To be");
    check_text(spellings("2024-02-29T12:30"), "2024-02-29T12:30|2024-02-29 12:30|2024-02-29t12:30");
    check_text(
        spellings("2024-02-29T12:30:00.5+02:30"),
        "2024-02-29T12:30:00.5+02:30|2024-02-29 12:30:00.5+02:30|2024-02-29t12:30:00.5+02:30|"
        "2024-02-29T12:30:00.5+0230|2024-02-29 12:30:00.5+0230|2024-02-29t12:30:00.5+0230");
    check_contains(spellings("2024-02-29T12:30:00-03:00"), "|2024-02-29 12:30:00-03|");
    check_contains(spellings("2024-02-29T12:30:00+00:00"), "|2024-02-29 12:30:00Z|");
    check_contains(spellings("2024-02-29T12:30:00+00:00"), "|2024-02-29t12:30:00z");
    check(strchr(spellings("2024-02-29T12:30:00-00:00"), 'Z') == NULL);
}

int main(void)
{
    weir_error error;

    if (!open_stage())
        return 1;
    must(managed_db_initialize(db_manager(), url, NULL, &error), &error);
    run(every_type_of_id_is_found_by_its_index);
    run(blobs_are_read_from_base64);
    run(numbers_are_decimal_and_finite);
    run(a_time_has_every_spelling_that_is_shown_as_it);
    dispose_all();
    close_stage();
    return check_done();
}
