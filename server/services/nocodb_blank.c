/* SPDX-License-Identifier: MIT */
/* Which columns are Checkboxes, found out by what the database says of them. */
#include "nocodb_blank.h"

#include <string.h>

#include "nocodb_query.h"

static bool is_of_database(const struct nocodb_failure *failure)
{
    return strcmp(failure->code, "DATABASE_OP_FAILED") == 0;
}

/* Under load NocoDB now and then answers 500 to what is else a 400 of its database. */
bool nocodb_is_blank_refused(const struct nocodb_condition *conditions, size_t count,
                             const struct nocodb_failure *failure)
{
    for (size_t i = 0; i < count; i++) {
        if (conditions[i].op == NOCODB_BLANK)
            return is_of_database(failure) || failure->status == 500;
    }
    return false;
}

/* Ask for one row with that condition; what it is does not matter. */
static weir_status ask(struct nocodb_server *server, const char *table,
                       const struct nocodb_condition *condition, weir_time deadline,
                       struct nocodb_failure *ret_failure, weir_error *reterr)
{
    struct nocodb_query query = NOCODB_QUERY_DEFAULT;
    const struct nocodb_place place = {1, 0, ""};
    weir_http_request *request;
    weir_http_response *response;

    weir_status status = nocodb_request_open(server, table, NULL, &request, reterr);
    if (status != WEIR_OK)
        return status;
    query.conditions = condition;
    query.condition_count = 1;
    status = nocodb_query_write(&query, server->dialect, &place, request, reterr);
    if (status == WEIR_OK)
        status = nocodb_request_send(server, request, deadline, &response, ret_failure, reterr);
    if (status == WEIR_OK)
        weir_http_response_close(response);
    weir_http_request_close(request);
    return status;
}

/* 22P02: the empty text is no truth value. */
static bool is_checkbox(const struct nocodb_failure *failure)
{
    return is_of_database(failure) &&
           (failure->sqlstate[0] == '\0' || strcmp(failure->sqlstate, "22P02") == 0);
}

weir_status nocodb_blank_resolve(struct nocodb_server *server, const char *table,
                                 struct nocodb_condition *conditions, size_t count,
                                 weir_time deadline, struct nocodb_failure *ret_failure,
                                 weir_error *reterr)
{
    weir_error error;

    for (size_t i = 0; i < count; i++) {
        if (conditions[i].op != NOCODB_BLANK)
            continue;
        weir_status status = ask(server, table, &conditions[i], deadline, ret_failure, &error);
        if (status == WEIR_OK)
            continue;
        if (!is_of_database(ret_failure)) {
            if (reterr != NULL)
                *reterr = error;
            return status;
        }
        if (!is_checkbox(ret_failure))
            return weir_error_set(
                reterr, WEIR_INVALID,
                "%s: column \"%.64s\" cannot be compared with null; a column of links holds "
                "a number, which is 0 where there are none",
                error.text, conditions[i].column);
        conditions[i].op = NOCODB_UNSET;
    }
    return WEIR_OK;
}
