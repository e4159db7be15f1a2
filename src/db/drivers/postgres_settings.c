/* SPDX-License-Identifier: MIT */
/* What a PostgreSQL session is given to start with, and whether its server is still the one asked for. */
#include "db/drivers/postgres_connect.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- settings ------------------------------------------------------------------------------ */

/* The server stops a statement just before we would, which is cheaper than a cancel. */
static int server_timeout(const struct db_config *config)
{
    int timeout = config->options.statement_timeout_ms;

    return timeout - (timeout / 20 < 50 ? timeout / 20 : 50);
}

static bool is_reported_as(const struct pg_conn *conn, const char *name, const char *start)
{
    const char *value = PQparameterStatus(conn->pg, name);

    return value != NULL && strncmp(value, start, strlen(start)) == 0;
}

/* The port that the server must see when nothing stands between; 0: none, by a Unix socket. */
static int local_port(const struct pg_conn *conn)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);

    if (getsockname(PQsocket(conn->pg), (struct sockaddr *)&address, &size) != 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port) : 0;
}

/* Whether the server has this connection itself. pgpool-II shows its process number, so that it is not known by
 * that. By a Unix socket one that stands between has another port than the server, as a rule. */
static void write_is_direct(const struct pg_conn *conn, char *sql, size_t size)
{
    int port = local_port(conn);

    if (port > 0)
        snprintf(sql, size, "coalesce(inet_client_port() = %d, false)", port);
    else
        snprintf(sql, size, "inet_client_port() IS NULL AND current_setting('port')::int = %d",
                 atoi(PQport(conn->pg)));
}

/*
 * One statement, which compares and sets on the server: the role, the database, the environment or
 * the URL may have set anything.
 *
 *   extra_float_digits          fewer than needed cost doubles their last digits; 1 has been
 *                               enough since PostgreSQL 12, which writes the shortest exact form
 *   statement_timeout           the smaller one holds
 *   client_connection_check_interval  (PostgreSQL 14 and later, where it is off) a statement whose
 *                               connection was given up ends, and the server no longer counts it
 *   DateStyle                   dates are read as ISO
 *   standard_conforming_strings the statement's scanner reads '\' as the standard has it
 *   client_encoding             not UTF8 where the database has none (SQL_ASCII): nothing is converted
 *                               there, and the server refuses a row with bytes that are not UTF-8
 *                               (pg_server_to_any() in mbutils.c of 15: it validates all the same)
 *
 * The first three are not set behind a pooler: in transaction mode they would stay with a session that
 * is everybody's (seen with PgBouncer 1.18 to 1.26), or be set on another than the next statement
 * runs on. It is known from the process number, of which poolers have their own; compared here, so
 * that nothing is set on a session that is not ours. The others the server reports, so poolers keep
 * them apart for their clients; what a pooler reports may be another session's (Odyssey 1.5), so the
 * server compares these, too.
 */
static void write_set_up(const struct pg_conn *conn, char *sql, size_t size)
{
    int pid = PQbackendPID(conn->pg);
    int digits = PQserverVersion(conn->pg) >= 120000 ? 1 : 3;
    int limit = server_timeout(conn->config);
    char is_direct[128];

    write_is_direct(conn, is_direct, sizeof(is_direct));
    int used = snprintf(
        sql, size,
        "SELECT pg_backend_pid() = %d, current_setting('extra_float_digits')::int < %d, %s, "
        "CASE WHEN pg_backend_pid() = %d AND current_setting('extra_float_digits')::int < %d "
        "THEN set_config('extra_float_digits', '%d', false) END",
        pid, digits, is_direct, pid, digits, digits);

    if (limit > 0)
        used += snprintf(
            sql + used, size - (size_t)used,
            ", CASE WHEN pg_backend_pid() = %d AND (current_setting('statement_timeout') = '0' OR "
            "extract(epoch FROM current_setting('statement_timeout')::interval) * 1000 > %d) "
            "THEN set_config('statement_timeout', '%d', false) END",
            pid, limit, limit);
    if (PQserverVersion(conn->pg) >= 140000)
        used += snprintf(sql + used, size - (size_t)used,
                         ", CASE WHEN pg_backend_pid() = %d AND "
                         "current_setting('client_connection_check_interval', true) = '0' "
                         "THEN set_config('client_connection_check_interval', '1s', false) END",
                         pid);
    used += snprintf(sql + used, size - (size_t)used,
                     ", CASE WHEN current_setting('datestyle') NOT LIKE 'ISO%%' "
                     "THEN set_config('datestyle', 'ISO', false) END"
                     ", CASE WHEN current_setting('standard_conforming_strings') <> 'on' "
                     "THEN set_config('standard_conforming_strings', 'on', false) END");
    if (is_reported_as(conn, "server_encoding", "SQL_ASCII") &&
        !is_reported_as(conn, "client_encoding", "SQL_ASCII"))
        snprintf(sql + used, size - (size_t)used,
                 ", set_config('client_encoding', 'SQL_ASCII', false)");
}

static bool is_true(const PGresult *rows, int column)
{
    return PQntuples(rows) == 1 && PQnfields(rows) > column &&
           strcmp(PQgetvalue(rows, 0, column), "t") == 0;
}

static void read_answer(struct pg_conn *conn, const PGresult *rows)
{
    conn->is_pooled = !is_true(rows, 0);
    conn->is_direct = !conn->is_pooled && is_true(rows, 2);
    conn->note = NULL;
    if (!conn->is_pooled)
        return;
    conn->note = "there is a pooler in front of the server: statement_timeout is not set there";
    if (is_true(rows, 1))
        conn->note = "there is a pooler in front of the server: statement_timeout is not set "
                     "there, "
                     "and extra_float_digits is too low for exact doubles (ALTER ROLE … RESET it)";
}

weir_status weir__pg_set_up(struct pg_conn *conn, weir_time deadline, weir_error *reterr)
{
    char sql[2048];
    PGresult *rows = NULL;

    write_set_up(conn, sql, sizeof(sql));
    weir_status status = weir__pg_command(conn, sql, deadline, &rows, reterr);
    if (status == WEIR_OK) {
        read_answer(conn, rows);
        PQclear(rows);
        return WEIR_OK;
    }
    if (status == WEIR_DISCONNECTED || status == WEIR_TIMEOUT || conn->is_lost)
        return status;
    conn->is_pooled = true;
    conn->is_direct = false;
    conn->note = "the server refused the session settings: its own stay in force";
    return WEIR_OK;
}

/* ---- the server's role --------------------------------------------------------------------- */

static bool suits(enum pg_role wanted, bool is_standby, bool is_read_only)
{
    switch (wanted) {
    case PG_READ_WRITE:
        return !is_standby && !is_read_only;
    case PG_READ_ONLY:
        return is_standby || is_read_only;
    case PG_PRIMARY:
        return !is_standby;
    case PG_STANDBY:
    case PG_PREFER_STANDBY:
        return is_standby;
    case PG_ANY:
        break;
    }
    return true;
}

/* Reported since PostgreSQL 14, at the latest with the end of the next statement. Behind a pooler it is
 * what was so when somebody connected. */
bool weir__pg_reports_role(const struct pg_conn *conn)
{
    return !conn->is_pooled && PQparameterStatus(conn->pg, "in_hot_standby") != NULL;
}

bool weir__pg_fits(const struct pg_conn *conn)
{
    return PQparameterStatus(conn->pg, "in_hot_standby") == NULL ||
           suits(conn->wanted, is_reported_as(conn, "in_hot_standby", "on"),
                 is_reported_as(conn, "default_transaction_read_only", "on"));
}

static weir_status ask_role(struct pg_conn *conn, weir_time deadline, bool *ret_fits,
                            weir_error *reterr)
{
    PGresult *rows = NULL;
    weir_status status = weir__pg_command(
        conn, "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on'",
        deadline, &rows, reterr);

    if (status != WEIR_OK)
        return status;
    *ret_fits = suits(conn->wanted, is_true(rows, 0), is_true(rows, 1));
    PQclear(rows);
    return WEIR_OK;
}

weir_status weir__pg_check_role(struct pg_conn *conn, bool must_ask, weir_time deadline,
                                weir_error *reterr)
{
    bool fits = true;
    weir_status status = WEIR_OK;

    if (must_ask)
        status = ask_role(conn, deadline, &fits, reterr);
    else if (weir__pg_reports_role(conn))
        fits = weir__pg_fits(conn);
    if (status != WEIR_OK || fits)
        return status;
    return weir_error_set(reterr, WEIR_CONNECT,
                          "the server is no longer what target_session_attrs asks for");
}
