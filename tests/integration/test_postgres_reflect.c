/* SPDX-License-Identifier: MIT */
/* Reflection on PostgreSQL: what holds, as each version's catalogs have it, and nothing left behind. */
#include "postgres_session.h"

/* False, and the test is skipped, before that version. */
static bool has_version(int version, const char *why_not)
{
    bool is_there = atoi(answer(&observer, "SHOW server_version_num")) >= version * 10000;

    if (!is_there)
        check_cannot(why_not);
    return is_there;
}

static void must_script(struct session *s, const char *sql)
{
    if (driver.script(s->conn, sql, SOON, &s->error) == WEIR_OK)
        return;
    check_failures_in_test++;
    printf("# %s\n", s->error.text);
}

static weir_schema *reflected(struct session *s)
{
    weir_schema *schema = NULL;

    if (driver.reflect(s->conn, SOON, &schema, &s->error) == WEIR_OK)
        return schema;
    printf("Bail out! reflection: %s\n", s->error.text);
    exit(1);
}

/* A session in a schema of its own, which is dropped by the end. */
static void open_in_schema(struct session *s, const char *sql)
{
    session_open(s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must_script(s, "DROP SCHEMA IF EXISTS reflected CASCADE; CREATE SCHEMA reflected;"
                   "SET search_path TO reflected");
    must_script(s, sql);
}

static void close_schema(struct session *s)
{
    must_script(s, "DROP SCHEMA reflected CASCADE");
    session_close(s);
}

/* The foreign keys of a table as `column>table.column`, a blank between two; `!` marks what is not
 * enforced, `~` a period. */
static const char *keys_of(const weir_schema *schema, const char *name)
{
    static char text[1024];
    const weir_table *table = weir_schema_find(schema, name);
    size_t size = 0;

    text[0] = '\0';
    for (size_t i = 0; table != NULL && i < table->foreign_key_count; i++) {
        const weir_foreign_key *key = &table->foreign_keys[i];
        size +=
            (size_t)snprintf(text + size, sizeof text - size, "%s%s%s%s>%s.%s", i == 0 ? "" : " ",
                             key->is_enforced ? "" : "!", key->is_period ? "~" : "", key->column,
                             key->foreign_table, key->foreign_column);
    }
    return table == NULL ? "(no such table)" : text;
}

static const weir_column *column_of(const weir_schema *schema, const char *table_name,
                                    const char *name)
{
    static const weir_column none = {.name = ""};
    const weir_table *table = weir_schema_find(schema, table_name);

    for (size_t i = 0; table != NULL && i < table->column_count; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    check_failures_in_test++;
    printf("# no column %s of %s\n", name, table_name);
    return &none;
}

/* ---- keys ------------------------------------------------------------------------------- */

static void keys_to_a_partitioned_table_are_not_repeated_for_its_partitions(void)
{
    struct session s;

    open_in_schema(
        &s, "CREATE TABLE area (id int, code int, PRIMARY KEY (id, code)) PARTITION BY RANGE (id);"
            "CREATE TABLE area_1 PARTITION OF area FOR VALUES FROM (0) TO (10)"
            " PARTITION BY RANGE (code);"
            "CREATE TABLE area_1a PARTITION OF area_1 FOR VALUES FROM (0) TO (10);"
            "CREATE TABLE area_2 PARTITION OF area FOR VALUES FROM (10) TO (20);"
            "CREATE TABLE place (id int PRIMARY KEY, area int, code int,"
            " FOREIGN KEY (area, code) REFERENCES area)");
    weir_schema *schema = reflected(&s);
    check_text(keys_of(schema, "place"), "area>area.id code>area.code");
    check_text(keys_of(schema, "area"), "");
    check_text(keys_of(schema, "area_1a"), "");
    weir_schema_close(schema);
    close_schema(&s);
}

static void a_partition_has_the_keys_of_its_parent_and_its_own(void)
{
    struct session s;

    /* The columns of the attached one stand in another order. */
    open_in_schema(&s,
                   "CREATE TABLE area (id int PRIMARY KEY) PARTITION BY RANGE (id);"
                   "CREATE TABLE area_1 PARTITION OF area FOR VALUES FROM (0) TO (10);"
                   "CREATE TABLE other (id int PRIMARY KEY);"
                   "CREATE TABLE visit (id int, area int REFERENCES area) PARTITION BY RANGE (id);"
                   "CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (0) TO (10);"
                   "CREATE TABLE visit_2 (more int REFERENCES other, area int, id int);"
                   "ALTER TABLE visit_2 DROP COLUMN more;"
                   "ALTER TABLE visit_2 ADD COLUMN direct int REFERENCES area_1;"
                   "ALTER TABLE visit ADD COLUMN direct int;"
                   "ALTER TABLE visit ATTACH PARTITION visit_2 FOR VALUES FROM (10) TO (20)");
    weir_schema *schema = reflected(&s);
    check_text(keys_of(schema, "visit"), "area>area.id");
    check_text(keys_of(schema, "visit_1"), "area>area.id");
    check_text(keys_of(schema, "visit_2"), "direct>area_1.id area>area.id");
    weir_schema_close(schema);
    close_schema(&s);
}

static void a_partitioned_table_may_refer_to_itself(void)
{
    struct session s;

    open_in_schema(&s, "CREATE TABLE node (id int PRIMARY KEY, up int REFERENCES node)"
                       " PARTITION BY RANGE (id);"
                       "CREATE TABLE node_1 PARTITION OF node FOR VALUES FROM (0) TO (10);"
                       "CREATE TABLE node_2 PARTITION OF node FOR VALUES FROM (10) TO (20)");
    weir_schema *schema = reflected(&s);
    check_text(keys_of(schema, "node"), "up>node.id");
    check_text(keys_of(schema, "node_1"), "up>node.id");
    check_text(keys_of(schema, "node_2"), "up>node.id");
    weir_schema_close(schema);
    close_schema(&s);
}

static void keys_that_are_not_enforced_and_periods_are_marked(void)
{
    struct session s;

    if (!has_version(18, "NOT ENFORCED and PERIOD come with PostgreSQL 18"))
        return;
    /* Ranges are keys by themselves; btree_gist would be needed for the int beside them. */
    open_in_schema(
        &s,
        "CREATE TABLE rate (zone int4range, during daterange,"
        " PRIMARY KEY (zone, during WITHOUT OVERLAPS));"
        "CREATE TABLE city (id int PRIMARY KEY, up int);"
        "ALTER TABLE city ADD FOREIGN KEY (up) REFERENCES city NOT ENFORCED;"
        "CREATE TABLE offer (id int PRIMARY KEY, zone int4range, during daterange,"
        " city int REFERENCES city,"
        " CONSTRAINT z FOREIGN KEY (zone, PERIOD during) REFERENCES rate (zone, PERIOD during))");
    weir_schema *schema = reflected(&s);
    check_text(keys_of(schema, "city"), "!up>city.id");
    check_text(keys_of(schema, "offer"), "city>city.id zone>rate.zone ~during>rate.during");
    check_int(column_of(schema, "rate", "during")->primary_key, 2);
    weir_schema_close(schema);
    close_schema(&s);
}

/* ---- columns ---------------------------------------------------------------------------- */

static void generated_columns_are_marked(void)
{
    struct session s;

    open_in_schema(&s,
                   "CREATE TABLE box (id int GENERATED ALWAYS AS IDENTITY, w int DEFAULT 1, h int,"
                   " area int GENERATED ALWAYS AS (w * h) STORED)");
    weir_schema *schema = reflected(&s);
    check(column_of(schema, "box", "area")->is_generated);
    check(column_of(schema, "box", "area")->has_default);
    check(!column_of(schema, "box", "id")->is_generated);
    check(column_of(schema, "box", "id")->has_default);
    check(!column_of(schema, "box", "w")->is_generated);
    check(!column_of(schema, "box", "h")->has_default);
    weir_schema_close(schema);
    close_schema(&s);
}

static void columns_that_are_computed_when_read_are_marked(void)
{
    struct session s;

    if (!has_version(18, "VIRTUAL columns come with PostgreSQL 18"))
        return;
    open_in_schema(&s, "CREATE TABLE box (w int, edge int GENERATED ALWAYS AS (w + 1) VIRTUAL)");
    weir_schema *schema = reflected(&s);
    check(column_of(schema, "box", "edge")->is_generated);
    check(!column_of(schema, "box", "w")->is_generated);
    weir_schema_close(schema);
    close_schema(&s);
}

static void not_null_counts_where_it_holds(void)
{
    struct session s;

    open_in_schema(&s, "CREATE DOMAIN present AS int NOT NULL; CREATE DOMAIN counted AS present;"
                       "CREATE TABLE thing (a int NOT NULL, b int, c counted, d present, e int)");
    must_script(&s, "INSERT INTO thing VALUES (1, NULL, 1, 1, NULL)");
    weir_schema *schema = reflected(&s);
    check(!column_of(schema, "thing", "a")->is_nullable);
    check(column_of(schema, "thing", "b")->is_nullable);
    check(!column_of(schema, "thing", "c")->is_nullable);
    check_int(column_of(schema, "thing", "c")->type, WEIR_INT);
    check(!column_of(schema, "thing", "d")->is_nullable);
    check(column_of(schema, "thing", "e")->is_nullable);
    weir_schema_close(schema);

    must_script(&s, "UPDATE thing SET b = 1");
    must_script(&s, "ALTER TABLE thing ALTER COLUMN b SET NOT NULL");
    schema = reflected(&s);
    check(!column_of(schema, "thing", "b")->is_nullable);
    weir_schema_close(schema);
    close_schema(&s);
}

static void not_null_that_is_not_valid_yet_does_not_count(void)
{
    struct session s;

    if (!has_version(18, "NOT NULL that is NOT VALID comes with PostgreSQL 18"))
        return;
    open_in_schema(&s, "CREATE TABLE thing (b int)");
    must_script(&s, "INSERT INTO thing VALUES (NULL);"
                    "ALTER TABLE thing ADD CONSTRAINT later NOT NULL b NOT VALID");
    weir_schema *schema = reflected(&s);
    check(column_of(schema, "thing", "b")->is_nullable);
    weir_schema_close(schema);

    must_script(&s, "UPDATE thing SET b = 1; ALTER TABLE thing VALIDATE CONSTRAINT later");
    schema = reflected(&s);
    check(!column_of(schema, "thing", "b")->is_nullable);
    weir_schema_close(schema);
    close_schema(&s);
}

static void a_key_that_is_not_valid_yet_is_none(void)
{
    struct session s;

    open_in_schema(&s, "CREATE TABLE part (id int NOT NULL) PARTITION BY RANGE (id);"
                       "CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);"
                       "ALTER TABLE ONLY part ADD CONSTRAINT part_key PRIMARY KEY (id)");
    weir_schema *schema = reflected(&s);
    check_int(column_of(schema, "part", "id")->primary_key, 0);
    weir_schema_close(schema);

    must_script(&s, "ALTER TABLE part_1 ADD CONSTRAINT part_1_key PRIMARY KEY (id);"
                    "ALTER INDEX part_key ATTACH PARTITION part_1_key");
    schema = reflected(&s);
    check_int(column_of(schema, "part", "id")->primary_key, 1);
    weir_schema_close(schema);
    close_schema(&s);
}

/* ---- failures --------------------------------------------------------------------------- */

/* A catalog that may not be read, one that is locked for longer than there is time, and a server that
 * stops what takes long. */
static void a_reflection_that_fails_leaves_no_transaction_behind(void)
{
    struct session s;
    struct session late;
    weir_schema *schema = NULL;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&observer, "REVOKE SELECT ON pg_catalog.pg_constraint FROM PUBLIC");
    must(&s, "SET ROLE pg_monitor");
    check_int(driver.reflect(s.conn, SOON, &schema, &s.error), WEIR_QUERY);
    must(&observer, "GRANT SELECT ON pg_catalog.pg_constraint TO PUBLIC");
    check_text(s.error.sqlstate, "42501");
    check_int(driver.state(s.conn), CONN_IDLE);

    must(&s, "RESET ROLE");
    must(&s, "SET lock_timeout = '50ms'");
    /* Nobody can connect while it is locked. */
    session_open(&late, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&observer, "BEGIN");
    must(&observer, "LOCK TABLE pg_catalog.pg_constraint IN ACCESS EXCLUSIVE MODE");
    check_int(driver.reflect(late.conn, weir_deadline_in(500), &schema, &late.error), WEIR_TIMEOUT);
    check(driver.state(late.conn) != CONN_FAILED && driver.state(late.conn) != CONN_TRANSACTION);
    check_int(driver.reflect(s.conn, SOON, &schema, &s.error), WEIR_QUERY);
    check_text(s.error.sqlstate, "55P03");
    check_int(driver.state(s.conn), CONN_IDLE);
    must(&observer, "ROLLBACK");
    weir_schema_close(reflected(&s));
    check_int(driver.state(s.conn), CONN_IDLE);
    session_close(&late);
    session_close(&s);
}

static void inside_a_transaction_a_reflection_is_one_of_its_statements(void)
{
    struct session s;

    session_open(&s, need_env("WEIR_TEST_PG_SOCKET_URL"));
    must(&s, "BEGIN");
    weir_schema_close(reflected(&s));
    check_int(driver.state(s.conn), CONN_TRANSACTION);
    must(&s, "ROLLBACK");
    session_close(&s);
}

int main(void)
{
    session_open(&observer, need_env("WEIR_TEST_PG_SOCKET_URL"));
    printf("# PostgreSQL %s\n", answer(&observer, "SHOW server_version"));
    run(keys_to_a_partitioned_table_are_not_repeated_for_its_partitions);
    run(a_partition_has_the_keys_of_its_parent_and_its_own);
    run(a_partitioned_table_may_refer_to_itself);
    run(keys_that_are_not_enforced_and_periods_are_marked);
    run(generated_columns_are_marked);
    run(columns_that_are_computed_when_read_are_marked);
    run(not_null_counts_where_it_holds);
    run(not_null_that_is_not_valid_yet_does_not_count);
    run(a_key_that_is_not_valid_yet_is_none);
    run(a_reflection_that_fails_leaves_no_transaction_behind);
    run(inside_a_transaction_a_reflection_is_one_of_its_statements);
    session_close(&observer);
    return check_done();
}
