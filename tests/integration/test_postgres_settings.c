/* SPDX-License-Identifier: MIT */
/* What a PostgreSQL session starts with: inherited settings kept, the stricter one holding, guards left alone. */
#include "postgres_session.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The socket's URL for another user or database, with more options. */
static const char *url_of(const char *user, const char *database, const char *more)
{
    static char url[1024];
    const char *query = strchr(need_env("WEIR_TEST_PG_SOCKET_URL"), '?');

    snprintf(url, sizeof(url), "postgresql://%s@/%s%s%s", user, database, query, more);
    return url;
}

static void check_answer(const char *url, const char *sql, const char *expected)
{
    struct session s;

    session_open(&s, url);
    check_text(answer(&s, sql), expected);
    session_close(&s);
}

/* ---- guards against writing --------------------------------------------------------------- */

static weir_status write_in(const char *url, weir_tx kind, weir_error *error)
{
    weir_db *db = NULL;
    weir_conn *conn = NULL;
    weir_status status = weir_db_open(url, NULL, &db, error);

    if (status == WEIR_OK)
        status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, error);
    if (status == WEIR_OK)
        status = weir_conn_begin(conn, kind, error);
    if (status == WEIR_OK) {
        status = weir_conn_query(conn, "INSERT INTO guarded VALUES (1)", NULL, 0, NULL, error);
        if (status == WEIR_OK)
            status = weir_conn_commit(conn, error);
        else
            (void)weir_conn_rollback(conn, NULL);
    }
    weir_conn_release(conn);
    weir_db_close(db);
    return status;
}

static void a_begin_for_writing_overrides_no_guard(void)
{
    static const struct {
        const char *user;
        const char *database;
        const char *more;
    } guards[] = {
        {"weir", "weir", "&options=-c%20default_transaction_read_only%3Don"},
        {"reader", "weir", ""},
        {"weir", "archive", ""},
    };
    static const weir_tx kinds[] = {WEIR_TX_WRITE, WEIR_TX_SERIALIZABLE, WEIR_TX_READ};
    struct session s;

    must(&observer, "CREATE TABLE guarded (a int)");
    must(&observer, "CREATE ROLE reader LOGIN SUPERUSER");
    must(&observer, "ALTER ROLE reader SET default_transaction_read_only = on");
    must(&observer, "CREATE DATABASE archive TEMPLATE template0");
    session_open(&s, url_of("weir", "archive", ""));
    must(&s, "CREATE TABLE guarded (a int)");
    session_close(&s);
    must(&observer, "ALTER DATABASE archive SET default_transaction_read_only = on");
    for (int guard = 0; guard < 3; guard++) {
        const char *url = url_of(guards[guard].user, guards[guard].database, guards[guard].more);
        for (int i = 0; i < 3; i++) {
            weir_error error = {0};
            check_int(write_in(url, kinds[i], &error), WEIR_QUERY);
            check_text(error.sqlstate, "25006");
        }
    }
    check_text(answer(&observer, "SELECT count(*) FROM guarded"), "0");
    for (int i = 0; i < 2; i++) {
        weir_error error = {0};
        check_int(write_in(url_of("weir", "weir", ""), kinds[i], &error), WEIR_OK);
    }
    check_text(answer(&observer, "SELECT count(*) FROM guarded"), "2");
}

/* ---- what is inherited -------------------------------------------------------------------- */

static void options_of_the_environment_reach_the_session(void)
{
    setenv("PGOPTIONS", "-c search_path=pg_catalog -c work_mem=64kB", 1);
    setenv("PGAPPNAME", "inherited", 1);
    check_answer(url_of("weir", "weir", ""), "SHOW search_path", "pg_catalog");
    check_answer(url_of("weir", "weir", ""), "SHOW work_mem", "64kB");
    check_answer(url_of("weir", "weir", ""), "SHOW application_name", "inherited");
    check_answer(url_of("weir", "weir", ""), "SHOW statement_timeout", "29950ms");
    unsetenv("PGOPTIONS");
    unsetenv("PGAPPNAME");
    check_answer(url_of("weir", "weir", ""), "SHOW application_name", "weir");
}

/* The settings of the environment as an option of the URL. */
static const char *options_in_url(const char *settings)
{
    static char option[256];
    size_t used = (size_t)snprintf(option, sizeof(option), "&options=");

    for (; *settings != '\0' && used + 4 < sizeof(option); settings++) {
        bool is_plain = *settings != ' ' && *settings != '=';
        used += (size_t)snprintf(option + used, sizeof(option) - used, is_plain ? "%c" : "%%%02X",
                                 *settings);
    }
    return option;
}

/* What the driver relies on comes after what is inherited, unless that is the stricter limit. */
static void inherited_options_leave_what_the_driver_relies_on(void)
{
    static const struct {
        const char *settings;
        const char *inherited; /* as the server has it to go back to */
        const char *look;
        const char *right;
    } cases[] = {
        {"-c extra_float_digits=0", "0", "SELECT 0.1::float8 + 0.2::float8", "0.30000000000000004"},
        {"-c extra_float_digits=-15", "-15", "SELECT 2.0::float8 / 3", "0.66666666666666663"},
        {"-c standard_conforming_strings=off", "off", "SELECT length('a\\b')", "3"},
        {"-c datestyle=German", "German, DMY", "SELECT date '2024-02-29'", "2024-02-29"},
        {"-c statement_timeout=1h", "3600000", "SHOW statement_timeout", "29950ms"},
        {"-c statement_timeout=0", "0", "SHOW statement_timeout", "29950ms"},
        {"-c statement_timeout=150ms", "150", "SHOW statement_timeout", "150ms"},
    };

    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(*cases); i++) {
        const char *settings = cases[i / 2].settings;
        char sql[200];
        struct session s;
        snprintf(sql, sizeof(sql), "SELECT reset_val FROM pg_settings WHERE lower(name) = '%.*s'",
                 (int)strcspn(settings + 3, "="), settings + 3);
        if (i % 2 == 0)
            setenv("PGOPTIONS", settings, 1);
        session_open(&s, url_of("weir", "weir", i % 2 == 0 ? "" : options_in_url(settings)));
        check_text(answer(&s, sql), cases[i / 2].inherited);
        check_text(answer(&s, cases[i / 2].look), cases[i / 2].right);
        must(&s, "SET work_mem TO '64kB'");
        check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
        check_text(answer(&s, "SHOW work_mem"), "4MB");
        check_text(answer(&s, cases[i / 2].look), cases[i / 2].right);
        session_close(&s);
        unsetenv("PGOPTIONS");
    }
}

static void a_service_file_gives_options_and_name(void)
{
    static const char service[] = "/tmp/weir-service-XXXXXX";
    char path[sizeof(service)], text[1024], url[256];
    char host[256];
    int fd;

    memcpy(path, service, sizeof(service));
    fd = mkstemp(path);
    check(fd >= 0);
    const char *query = strstr(need_env("WEIR_TEST_PG_SOCKET_URL"), "host=") + 5;
    snprintf(host, sizeof(host), "%.*s", (int)strcspn(query, "&"), query);
    snprintf(text, sizeof(text),
             "[stage]\nhost=%s\nport=%s\nuser=weir\ndbname=weir\napplication_name=served\n"
             "options=-c work_mem=96kB\n",
             host, strstr(query, "port=") + 5);
    check_int(write(fd, text, strlen(text)), (long long)strlen(text));
    close(fd);
    setenv("PGSERVICEFILE", path, 1);
    check_answer("postgresql:///?service=stage", "SHOW work_mem", "96kB");
    check_answer("postgresql:///?service=stage", "SHOW application_name", "served");
    check_answer("postgresql:///?service=stage&options=-c%20work_mem%3D128kB", "SHOW work_mem",
                 "128kB");
    snprintf(url, sizeof(url), "postgresql:///?service=stage&fallback_application_name=x");
    check_answer(url, "SHOW application_name", "served");
    setenv("PGSERVICE", "stage", 1);
    check_answer("postgresql://", "SHOW application_name", "served");
    unsetenv("PGSERVICE");
    unsetenv("PGSERVICEFILE");
    unlink(path);
}

static void a_name_in_the_options_wins_over_the_environment(void)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_result *rows = NULL;
    weir_db *db = NULL;
    weir_error error;

    setenv("PGAPPNAME", "inherited", 1);
    options.application_name = "mine";
    check_int(weir_db_open(url_of("weir", "weir", ""), &options, &db, &error), WEIR_OK);
    check_int(weir_db_query(db, "SHOW application_name", NULL, 0, &rows, &error), WEIR_OK);
    check_text(weir_result_value(rows, 0, 0).text, "mine");
    weir_result_close(rows);
    weir_db_close(db);
    check_int(weir_db_open(url_of("weir", "weir", "&application_name=urls"), &options, &db, &error),
              WEIR_OK);
    check_int(weir_db_query(db, "SHOW application_name", NULL, 0, &rows, &error), WEIR_OK);
    check_text(weir_result_value(rows, 0, 0).text, "urls");
    weir_result_close(rows);
    weir_db_close(db);
    unsetenv("PGAPPNAME");
}

/* ---- what the driver relies on ------------------------------------------------------------ */

static void the_session_has_what_the_driver_relies_on(void)
{
    static const struct {
        const char *set;
        const char *look;
        const char *right;
    } cases[] = {
        {"extra_float_digits = 0", "SELECT 0.1::float8 + 0.2::float8", "0.30000000000000004"},
        {"extra_float_digits = -15", "SELECT 2.0::float8 / 3", "0.66666666666666663"},
        {"standard_conforming_strings = off", "SELECT length('a\\b')", "3"},
        {"datestyle = 'German'", "SELECT date '2024-02-29'", "2024-02-29"},
        {"datestyle = 'SQL, DMY'", "SELECT timestamp '2024-02-29 12:30'", "2024-02-29T12:30:00"},
        {"bytea_output = escape", "SELECT encode('\\x00ff'::bytea, 'hex')", "00ff"},
    };

    must(&observer, "CREATE ROLE odd LOGIN SUPERUSER");
    must(&observer, "CREATE DATABASE oddity TEMPLATE template0");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char sql[200];
        struct session s;
        const char *where[] = {"ROLE odd", "DATABASE oddity"};
        for (int j = 0; j < 2; j++) {
            snprintf(sql, sizeof(sql), "ALTER %s SET %s", where[j], cases[i].set);
            must(&observer, sql);
            session_open(&s, j == 0 ? url_of("odd", "weir", "") : url_of("weir", "oddity", ""));
            check_text(answer(&s, cases[i].look), cases[i].right);
            must(&s, "SET work_mem TO '64kB'");
            check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
            check_text(answer(&s, "SHOW work_mem"), "4MB");
            check_text(answer(&s, cases[i].look), cases[i].right);
            session_close(&s);
            snprintf(sql, sizeof(sql), "ALTER %s RESET ALL", where[j]);
            must(&observer, sql);
        }
    }
}

static void the_smaller_statement_timeout_holds(void)
{
    static const struct {
        const char *roles;
        int weirs;
        const char *holds;
    } cases[] = {
        {"'150ms'", 30000, "150ms"}, {"'2min'", 30000, "29950ms"},
        {"0", 30000, "29950ms"},     {"'1s'", 1000, "950ms"},
        {"'1d'", 0, "1d"},           {"700", 1000, "700ms"},
    };

    must(&observer, "CREATE ROLE strict LOGIN SUPERUSER");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char sql[200];
        struct session s;
        snprintf(sql, sizeof(sql), "ALTER ROLE strict SET statement_timeout = %s", cases[i].roles);
        must(&observer, sql);
        check(session_init(&s, url_of("strict", "weir", ""), 8));
        s.config.options.statement_timeout_ms = cases[i].weirs;
        check_int(session_connect(&s, SOON), WEIR_OK);
        check_text(answer(&s, "SHOW statement_timeout"), cases[i].holds);
        must(&s, "SET statement_timeout TO '1h'");
        check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
        check_text(answer(&s, "SHOW statement_timeout"), cases[i].holds);
        session_close(&s);
    }
    must(&observer, "ALTER ROLE strict SET statement_timeout = 100");
    struct session s;
    session_open(&s, url_of("strict", "weir", ""));
    check_int(run_sql(&s, "SELECT pg_sleep(20)"), WEIR_TIMEOUT);
    check_text(s.error.sqlstate, "57014");
    check_int(driver.state(s.conn), CONN_IDLE);
    session_close(&s);
}

/* As PostgreSQL ranks them: the database's, over it the role's, over both the role's in the database. */
static void a_databases_statement_timeout_holds_as_a_roles_does(void)
{
    static const struct {
        const char *databases;
        const char *roles;
        const char *roles_there;
        const char *holds;
    } cases[] = {
        {"'150ms'", "DEFAULT", "DEFAULT", "150ms"},  {"'2min'", "DEFAULT", "DEFAULT", "29950ms"},
        {"0", "DEFAULT", "DEFAULT", "29950ms"},      {"'150ms'", "'1s'", "DEFAULT", "1s"},
        {"'150ms'", "'2min'", "DEFAULT", "29950ms"}, {"'2min'", "'150ms'", "DEFAULT", "150ms"},
        {"'2min'", "'1min'", "'700ms'", "700ms"},    {"'150ms'", "'700ms'", "0", "29950ms"},
    };

    must(&observer, "CREATE ROLE bound LOGIN SUPERUSER");
    must(&observer, "CREATE DATABASE bounded TEMPLATE template0");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct {
            const char *who;
            const char *value;
        } levels[] = {{"DATABASE bounded", cases[i].databases},
                      {"ROLE bound", cases[i].roles},
                      {"ROLE bound IN DATABASE bounded", cases[i].roles_there}};
        char sql[200];
        struct session s;
        for (int j = 0; j < 3; j++) {
            snprintf(sql, sizeof(sql), "ALTER %s SET statement_timeout = %s", levels[j].who,
                     levels[j].value);
            must(&observer, sql);
        }
        session_open(&s, url_of("bound", "bounded", ""));
        check_text(answer(&s, "SHOW statement_timeout"), cases[i].holds);
        must(&s, "SET statement_timeout TO '1h'");
        check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
        check_text(answer(&s, "SHOW statement_timeout"), cases[i].holds);
        session_close(&s);
    }
    must(&observer, "ALTER DATABASE bounded SET statement_timeout = 100");
    struct session s;
    session_open(&s, url_of("weir", "bounded", ""));
    check_int(run_sql(&s, "SELECT pg_sleep(20)"), WEIR_TIMEOUT);
    check_text(s.error.sqlstate, "57014");
    check_int(driver.state(s.conn), CONN_IDLE);
    session_close(&s);
}

/* ---- clients that go away ----------------------------------------------------------------- */

static void the_server_looks_every_second_whether_its_client_is_there(void)
{
    static const struct {
        const char *user;
        const char *database;
        const char *more;
        const char *interval;
    } cases[] = {
        {"weir", "weir", "", "1s"},
        {"watched", "weir", "", "5s"},
        {"weir", "beheld", "", "300ms"},
        {"weir", "weir", "&options=-c%20client_connection_check_interval%3D2s", "2s"},
    };

    must(&observer, "CREATE ROLE watched LOGIN SUPERUSER");
    must(&observer, "ALTER ROLE watched SET client_connection_check_interval = '5s'");
    must(&observer, "CREATE DATABASE beheld TEMPLATE template0");
    must(&observer, "ALTER DATABASE beheld SET client_connection_check_interval = 300");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct session s;
        session_open(&s, url_of(cases[i].user, cases[i].database, cases[i].more));
        check_text(answer(&s, "SHOW client_connection_check_interval"), cases[i].interval);
        must(&s, "SET client_connection_check_interval TO '7s'");
        check_text(answer(&s, "SHOW client_connection_check_interval"), "7s");
        check_int(driver.reset(s.conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
        check_text(answer(&s, "SHOW client_connection_check_interval"), cases[i].interval);
        session_close(&s);
    }
}

/* How many sessions the server counts besides those that look. */
static bool count_comes_to(const char *wanted)
{
    bool is_so = false;

    for (int tries = 0; tries < 4 && !is_so; tries++) /* five seconds each */
        is_so = comes_to(
            &observer, "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'",
            wanted);
    return is_so;
}

static void a_sleeping_session_whose_client_is_gone_ends_on_the_server(void)
{
    const char *const urls[] = {need_env("WEIR_TEST_PG_SOCKET_URL"), need_env("WEIR_TEST_PG_URL")};

    for (int i = 0; i < 4; i++) {
        struct session s;
        session_open(&s, urls[i % 2]);
        PGconn *pg = ((struct pg_conn *)s.conn)->pg;
        check_int(PQsendQuery(pg, "SELECT pg_sleep(60)"), 1);
        check_int(PQflush(pg), 0);
        check(count_comes_to("1"));
        check_int(shutdown(PQsocket(pg), i < 2 ? SHUT_WR : SHUT_RDWR), 0);
        check(count_comes_to("0"));
        ((struct pg_conn *)s.conn)->is_lost = true;
        session_close(&s);
    }
}

static void a_server_that_refuses_the_settings_is_used_as_it_is(void)
{
    struct session s;

    must(&observer, "CREATE ROLE poor LOGIN");
    must(&observer, "CREATE DATABASE bare TEMPLATE template0");
    session_open(&s, url_of("weir", "bare", ""));
    must(&s, "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_backend_pid() FROM PUBLIC");
    session_close(&s);
    session_open(&s, url_of("poor", "bare", ""));
    check_text(answer(&s, "SELECT 1"), "1");
    check_contains(((struct pg_conn *)s.conn)->note, "refused");
    session_close(&s);
    session_open(&s, url_of("weir", "bare", ""));
    check(((struct pg_conn *)s.conn)->note == NULL);
    session_close(&s);
}

/* ---- options of the URL ------------------------------------------------------------------- */

static void options_of_other_drivers_are_taken_or_refused_by_name(void)
{
    static const struct {
        const char *option;
        const char *error; /* NULL: taken */
    } cases[] = {
        {"client_encoding=UTF8", NULL},
        {"client_encoding=utf-8", NULL},
        {"client_encoding=LATIN1", "\"client_encoding\": weir uses UTF8 only"},
        {"client_encoding=auto", "\"client_encoding\": weir uses UTF8 only"},
        {"ssl=false", NULL},
        {"ssl=prefer", NULL},
        {"ssl=maybe", "\"ssl\": maybe is not one of true, false or a value of sslmode: disable"},
        {"sslmode=PREFER", NULL},
        {"sslmode=Disable", NULL},
        {"sslmode=no-verify", "\"sslmode\": no-verify is not one of"},
        {"sslmode=true", "\"sslmode\": true is not one of"},
        {"ssl-mode=require", "\"ssl-mode\": use sslmode"},
        {"target_session_attrs=read-write", NULL},
        {"target_session_attrs=master", "\"target_session_attrs\": master is not one of any"},
        {"targetServerType=primary", "\"targetServerType\": unknown to the pool"},
        {"schema=public", "\"schema\": options=-c%20search_path"},
        {"currentSchema=app", "\"currentSchema\": options="},
        {"statement_timeout=5", "\"statement_timeout\": use statement_timeout_ms"},
        {"connection_limit=5", "\"connection_limit\": use pool_size"},
        {"pgbouncer=true", "\"pgbouncer\": leave it out"},
        {"charset=utf8", "\"charset\": weir uses UTF8"},
        {"keepalives=1", NULL},
        {"sslmode=", "\"sslmode\":  is not one of"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct session s;
        char more[128];
        snprintf(more, sizeof(more), "&%s", cases[i].option);
        bool is_taken = session_init(&s, url_of("weir", "weir", more), 8);
        if (is_taken != (cases[i].error == NULL)) {
            check_failures_in_test++;
            printf("# %s was %s\n", cases[i].option, is_taken ? "taken" : s.error.text);
        }
        if (cases[i].error != NULL)
            check_contains(s.error.text, cases[i].error);
        else if (is_taken)
            check_int(session_connect(&s, SOON), WEIR_OK);
        session_close(&s);
    }
}

/* The server offers no TLS here, so what asks for it fails, and libpq's own words say so. */
static void ssl_true_asks_for_tls(void)
{
    static const char *const asks[] = {"ssl=true", "ssl=require", "sslmode=REQUIRE",
                                       "sslmode=verifyCA&sslrootcert=/dev/null"};
    char url[256];

    for (size_t i = 0; i < sizeof(asks) / sizeof(*asks); i++) {
        struct session s;
        snprintf(url, sizeof(url), "%s?%s", need_env("WEIR_TEST_PG_URL"), asks[i]);
        check(session_init(&s, url, 8));
        check_int(session_connect(&s, SOON), WEIR_CONNECT);
        check_contains(s.error.text, "SSL");
        session_close(&s);
    }
}

static void the_forms_of_a_database_url_are_read(void)
{
    const char *base = need_env("WEIR_TEST_PG_SOCKET_URL");
    char path[256] = "", form[1024];
    const char *host = strstr(base, "host=") + 5;
    const char *port = strstr(base, "port=") + 5;
    static const char *const forms[] = {
        "postgres://weir@/weir?host=%s&port=%s",
        "postgresql+psycopg2://weir@/weir?host=%s&port=%s",
        "postgresql+asyncpg://weir@/weir?host=%s&port=%s&ssl=prefer",
        "POSTGRES://weir@/weir?host=%s&port=%s",
        "postgresql:///?user=weir&dbname=weir&host=%s&port=%s",
    };

    snprintf(path, sizeof(path), "%.*s", (int)strcspn(host, "&"), host);
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(form, sizeof(form), forms[i], path, port);
#pragma GCC diagnostic pop
        check_answer(form, "SELECT current_database()", "weir");
    }
    static const char *const refused[] = {"jdbc:postgresql://localhost/weir",
                                          "pgsql://localhost/weir", "postgis://localhost/weir",
                                          "cockroachdb://localhost/weir"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        weir_url *url = NULL;
        weir_error error;
        check_int(weir_url_parse(refused[i], &url, &error), WEIR_UNSUPPORTED);
        check(strncmp(strchr(error.text, '"') + 1, refused[i], 4) == 0);
    }
}

/* ---- refusals and ends -------------------------------------------------------------------- */

static void a_refused_connection_carries_the_servers_sqlstate(void)
{
    static const struct {
        const char *user;
        const char *database;
        const char *sqlstate;
        const char *text;
    } cases[] = {
        {"nobody_here", "weir", "28000", "role \"nobody_here\" does not exist"},
        {"weir", "nowhere", "3D000", "database \"nowhere\" does not exist"},
        {"lonely", "weir", "53300", "too many connections for role \"lonely\""},
        {"locked_out", "weir", "28000", "role \"locked_out\" is not permitted to log in"},
    };

    must(&observer, "CREATE ROLE lonely LOGIN CONNECTION LIMIT 0");
    must(&observer, "CREATE ROLE locked_out NOLOGIN");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct session s;
        check(session_init(&s, url_of(cases[i].user, cases[i].database, ""), 8));
        check_int(session_connect(&s, SOON), WEIR_CONNECT);
        check_int(s.error.status, WEIR_CONNECT);
        check_text(s.error.sqlstate, cases[i].sqlstate);
        check_contains(s.error.text, cases[i].text);
        check(strstr(s.error.text, cases[i].sqlstate) == NULL);
        check(strstr(s.error.text, ".c:") == NULL);
        session_close(&s);
    }
    struct session s;
    check(session_init(&s, "postgresql://weir@127.0.0.1:1/weir", 8));
    check_int(session_connect(&s, SOON), WEIR_CONNECT);
    check_text(s.error.sqlstate, "");
    session_close(&s);
}

/* Ends the wait for a standby of whoever waits for one, as an administrator would. */
static void *cancel_who_waits(void *arg)
{
    check(comes_to(arg,
                   "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity "
                   "WHERE wait_event = 'SyncRep'",
                   "1"));
    return NULL;
}

/* PostgreSQL has committed by then, and says so with a warning: nothing is to be repeated. */
static void a_commit_whose_wait_for_a_standby_is_cancelled_is_a_success(void)
{
    const char *url = url_of("weir", "weir", "&options=-c%20synchronous_commit%3Don");
    weir_db *db = NULL;
    weir_error error = {0};
    pthread_t thread;

    must(&observer, "CREATE TABLE waited (a int)");
    must(&observer, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    must(&observer, "SELECT pg_reload_conf()");
    check(comes_to(&observer, "SHOW synchronous_standby_names", "nobody"));
    check_int(weir_db_open(url, NULL, &db, &error), WEIR_OK);
    for (int i = 0; i < 3; i++) {
        weir_conn *conn = NULL;
        weir_status status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error);
        check_int(status, WEIR_OK);
        if (i > 0)
            check_int(weir_conn_begin(conn, i == 1 ? WEIR_TX_WRITE : WEIR_TX_SERIALIZABLE, &error),
                      WEIR_OK);
        pthread_create(&thread, NULL, cancel_who_waits, &observer);
        status = weir_conn_query(conn, "INSERT INTO waited VALUES (1)", NULL, 0, NULL, &error);
        if (i > 0 && status == WEIR_OK)
            status = weir_conn_commit(conn, &error);
        pthread_join(thread, NULL);
        check_int(status, WEIR_OK);
        weir_conn_release(conn);
    }
    weir_db_close(db);
    must(&observer, "ALTER SYSTEM RESET synchronous_standby_names");
    must(&observer, "SELECT pg_reload_conf()");
    check_text(answer(&observer, "SELECT count(*) FROM waited"), "3");
}

int main(void)
{
    session_open(&observer, need_env("WEIR_TEST_PG_SOCKET_URL"));
    run(a_begin_for_writing_overrides_no_guard);
    run(options_of_the_environment_reach_the_session);
    run(inherited_options_leave_what_the_driver_relies_on);
    run(a_service_file_gives_options_and_name);
    run(a_name_in_the_options_wins_over_the_environment);
    run(the_session_has_what_the_driver_relies_on);
    run(the_smaller_statement_timeout_holds);
    run(a_databases_statement_timeout_holds_as_a_roles_does);
    if (PQserverVersion(((struct pg_conn *)observer.conn)->pg) >= 140000) {
        run(the_server_looks_every_second_whether_its_client_is_there);
        run(a_sleeping_session_whose_client_is_gone_ends_on_the_server);
    }
    run(a_server_that_refuses_the_settings_is_used_as_it_is);
    run(options_of_other_drivers_are_taken_or_refused_by_name);
    run(ssl_true_asks_for_tls);
    run(the_forms_of_a_database_url_are_read);
    run(a_refused_connection_carries_the_servers_sqlstate);
    run(a_commit_whose_wait_for_a_standby_is_cancelled_is_a_success);
    session_close(&observer);
    return check_done();
}
