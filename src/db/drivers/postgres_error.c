/* SPDX-License-Identifier: MIT */
/* PostgreSQL's SQLSTATEs and messages as weir's statuses and errors. */
#include "db/drivers/postgres.h"

#include <stdio.h>
#include <string.h>

weir_status weir__pg_status_of(const char *sqlstate, const char *severity)
{
    /* Whatever its code, a fatal error is the session's last word. */
    if (severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        return WEIR_DISCONNECTED;
    if (sqlstate == NULL)
        return WEIR_QUERY;
    if (strncmp(sqlstate, "08", 2) == 0 || strcmp(sqlstate, "57P01") == 0 ||
        strcmp(sqlstate, "57P02") == 0 || strcmp(sqlstate, "57P03") == 0)
        return WEIR_DISCONNECTED;
    if (strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0)
        return WEIR_RETRY;
    if (strcmp(sqlstate, "57014") == 0)
        return WEIR_TIMEOUT;
    return WEIR_QUERY;
}

static void set_sqlstate(weir_error *reterr, const char *sqlstate)
{
    if (reterr != NULL && sqlstate != NULL)
        snprintf(reterr->sqlstate, sizeof(reterr->sqlstate), "%s", sqlstate);
}

/* libpq's own words end in a newline and may have several lines, one per address it tried. */
static void set_from_libpq(weir_error *reterr, weir_status status, const char *message)
{
    char line[WEIR_ERROR_TEXT];
    size_t length = 0;

    for (const char *at = message; *at != '\0' && length + 3 < sizeof(line); at++) {
        if (*at != '\n') {
            line[length++] = *at == '\t' ? ' ' : *at;
        } else if (at[1] != '\0') {
            line[length++] = ';';
            line[length++] = ' ';
        }
    }
    line[length] = '\0';
    weir_error_set(reterr, status, "%s", length > 0 ? line : "the connection is lost");
}

/* Whether a line says where in the server's source the error arose: `LOCATION:  f, file.c:12`, with
 * its first word in any language. */
static bool is_location(const char *line, size_t size)
{
    size_t end = size;

    while (end > 0 && line[end - 1] >= '0' && line[end - 1] <= '9')
        end--;
    return end < size && end > 3 && memcmp(line + end - 3, ".c:", 3) == 0;
}

/* The SQLSTATE within `FATAL:  28P01: …`, as verbose errors have it; NULL when there is none. */
static const char *find_sqlstate(const char *line, size_t size)
{
    static const char code[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (size_t i = 0; i + 10 <= size; i++) {
        if (memcmp(line + i, ":  ", 3) == 0 && strspn(line + i + 3, code) == 5 &&
            memcmp(line + i + 8, ": ", 2) == 0)
            return line + i + 3;
    }
    return NULL;
}

void weir__pg_refusal(PGconn *pg, weir_error *reterr)
{
    char text[WEIR_ERROR_TEXT] = "";
    char sqlstate[6] = "";
    size_t used = 0;

    for (const char *at = PQerrorMessage(pg); *at != '\0' && used < sizeof(text);) {
        size_t size = strcspn(at, "\n");
        const char *found = find_sqlstate(at, size);
        int head = found != NULL ? (int)(found - at) : (int)size;
        const char *rest = found != NULL ? found + 7 : at + size;
        if (found != NULL)
            memcpy(sqlstate, found, 5);
        if (!is_location(at, size))
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%.*s%.*s\n", head, at,
                                     (int)(at + size - rest), rest);
        at += size + (at[size] == '\n');
    }
    set_from_libpq(reterr, WEIR_CONNECT, text);
    set_sqlstate(reterr, sqlstate);
}

bool weir__pg_is_stale(const PGresult *failed)
{
    const char *sqlstate = PQresultErrorField(failed, PG_DIAG_SQLSTATE);
    const char *function = PQresultErrorField(failed, PG_DIAG_SOURCE_FUNCTION);

    /* 0A000 has many causes; its message is translated, the name of the function is not. */
    return sqlstate != NULL && strcmp(sqlstate, "0A000") == 0 && function != NULL &&
           strcmp(function, "RevalidateCachedQuery") == 0 &&
           PQresultErrorField(failed, PG_DIAG_CONTEXT) == NULL;
}

weir_status weir__pg_error(struct pg_conn *conn, const PGresult *failed, weir_error *reterr)
{
    const char *sqlstate = PQresultErrorField(failed, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(failed, PG_DIAG_MESSAGE_PRIMARY);
    const char *hint = PQresultErrorField(failed, PG_DIAG_MESSAGE_HINT);
    weir_status status =
        weir__pg_status_of(sqlstate, PQresultErrorField(failed, PG_DIAG_SEVERITY_NONLOCALIZED));

    conn->met_stale = weir__pg_is_stale(failed);
    if (sqlstate != NULL && strcmp(sqlstate, "25006") == 0)
        conn->was_read_only = true;
    if (PQstatus(conn->pg) == CONNECTION_BAD)
        status = WEIR_DISCONNECTED;
    if (status == WEIR_DISCONNECTED)
        conn->is_lost = true;

    if (message == NULL)
        set_from_libpq(reterr, status, PQerrorMessage(conn->pg));
    else if (hint == NULL)
        weir_error_set(reterr, status, "%s", message);
    else
        weir_error_set(reterr, status, "%s (hint: %.200s)", message, hint);
    set_sqlstate(reterr, sqlstate);
    return status;
}

weir_status weir__pg_stale(weir_error *reterr)
{
    if (reterr != NULL)
        reterr->status = WEIR_RETRY;
    return WEIR_RETRY;
}

weir_status weir__pg_timeout(weir_error *reterr)
{
    weir_error_set(reterr, WEIR_TIMEOUT, "the statement did not end before its deadline");
    set_sqlstate(reterr, "57014");
    return WEIR_TIMEOUT;
}

weir_status weir__pg_no_answer(struct pg_conn *conn, weir_error *reterr)
{
    conn->is_broken = true;
    return weir_error_set(reterr, WEIR_DISCONNECTED,
                          "the server ended its answer without a result: someone else is using the "
                          "same session, or the server does not speak PostgreSQL's protocol");
}
