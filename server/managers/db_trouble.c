/* SPDX-License-Identifier: MIT */
/* What clients are told about a database's errors: temporary ones, in words that name no host. */
#include "db_trouble.h"

#include <string.h>

/* A full disk and a standby are mended by somebody, not by the next second. */
#define MENDED_AFTER_S 10

static bool is_state(const weir_error *error, const char *sqlstate)
{
    return error->status == WEIR_QUERY && strcmp(error->sqlstate, sqlstate) == 0;
}

static bool lacks_resources(const weir_error *error)
{
    return error->status == WEIR_QUERY && strncmp(error->sqlstate, "53", 2) == 0;
}

bool db_trouble_stops_writes(const weir_error *error)
{
    return is_state(error, "53100") || is_state(error, "25006");
}

bool is_passing_status(weir_status status)
{
    switch (status) {
    case WEIR_TIMEOUT:
    case WEIR_CLOSED:
    case WEIR_CONNECT:
    case WEIR_DISCONNECTED:
    case WEIR_FULL:
    case WEIR_RETRY:
    case WEIR_NOT_READY:
    case WEIR_CANCELLED:
    case WEIR_REFUSED:
        return true;
    case WEIR_OK:
    case WEIR_RESPONSE:
    case WEIR_PROTOCOL:
    case WEIR_AMBIGUOUS:
    case WEIR_NOT_FOUND:
    case WEIR_INVALID:
    case WEIR_LIMIT:
    case WEIR_QUERY:
    case WEIR_MISUSE:
    case WEIR_ALREADY:
    case WEIR_UNSUPPORTED:
    case WEIR_NO_MEMORY:
    case WEIR_SYSTEM:
        break;
    }
    return false;
}

bool db_trouble_is_passing(const weir_error *error)
{
    return is_passing_status(error->status) || lacks_resources(error) || is_state(error, "25006") ||
           is_state(error, "58030");
}

const char *db_trouble_text(const weir_error *error)
{
    if (is_state(error, "53100"))
        return "the disk of the database is full";
    if (is_state(error, "25006"))
        return "the database is read-only at the moment";
    if (is_state(error, "58030"))
        return "the database cannot read or write its files";
    if (lacks_resources(error))
        return "the database has run out of memory or connections";

    switch (error->status) {
    case WEIR_CONNECT:
        return "the database cannot be reached";
    case WEIR_DISCONNECTED:
        return "the connection to the database was lost";
    case WEIR_TIMEOUT:
        if (strcmp(error->sqlstate, "55P03") == 0)
            return "another connection kept the database locked for too long";
        return error->sqlstate[0] != '\0' ? "the database did not answer in time"
                                          : "no connection to the database became free in time";
    case WEIR_FULL:
        return "too many requests are waiting for the database";
    case WEIR_RETRY:
        return "the request conflicted with another one: try again";
    case WEIR_CLOSED:
    case WEIR_NOT_READY:
    case WEIR_CANCELLED:
        return "the database is closing or not open yet";
    default:
        return "the database cannot do this at the moment";
    }
}

int db_trouble_retry_after(const weir_error *error)
{
    return error->status == WEIR_QUERY ? MENDED_AFTER_S : 1;
}
