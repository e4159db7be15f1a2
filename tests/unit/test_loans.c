/* SPDX-License-Identifier: MIT */
/* Loans: who looks at a holder sees its request, its trace and its statement, and never a value. */
#include "check.h"

#include <string.h>

#include "managers/loans.h"
#include "common/utf8.h"

static struct loan loan;

static void a_loan_tells_its_request_and_its_last_statement_without_values(void)
{
    struct loans *loans = loans_open(3);

    loans_set_request("GET", "/api/v1/tables/{table}");
    loans_begin(loans, 7);
    check(loans_find(loans, 7, false, &loan));
    check_text(loan.route, "GET /api/v1/tables/{table}");
    check_text(loan.statement, "");
    check_text(loan.trace_id, "");
    loans_set_statement(loans, 7, "SELECT * FROM t WHERE secret = 'hunter2' AND n = 4711");
    check(loans_find(loans, 7, false, &loan));
    check_text(loan.statement, "SELECT * FROM t WHERE secret = ? AND n = ?");
    check(!loans_find(loans, 8, false, &loan));
    check(!loans_find(loans, 0, false, &loan));
    loans_set_request(NULL, NULL);
    loans_close(loans);
}

static void a_loan_without_a_request_names_none(void)
{
    struct loans *loans = loans_open(3);

    loans_begin(loans, 7);
    check(loans_find(loans, 7, false, &loan));
    check_text(loan.route, "");
    loans_close(loans);
}

static void what_was_given_back_is_told_only_while_it_is_being_cancelled(void)
{
    struct loans *loans = loans_open(3);

    loans_set_request("GET", "/slow");
    loans_begin(loans, 7);
    loans_set_statement(loans, 7, "SELECT pg_sleep(:seconds)");
    loans_end(loans, 7);
    check(!loans_find(loans, 7, false, &loan));
    check(loans_find(loans, 7, true, &loan));
    check_text(loan.statement, "SELECT pg_sleep(:seconds)");
    loans_set_request("GET", "/next");
    loans_begin(loans, 7);
    check(loans_find(loans, 7, false, &loan));
    check_text(loan.route, "GET /next");
    check_text(loan.statement, "");
    loans_set_request(NULL, NULL);
    loans_close(loans);
}

static void a_trace_is_named_if_it_is_recorded(void)
{
    struct loans *loans = loans_open(3);
    weir_tracer_options options = WEIR_TRACER_OPTIONS_DEFAULT;
    char id[WEIR_TRACE_ID_SIZE];

    for (int ratio = 0; ratio <= 1; ratio++) {
        weir_tracer *tracer;
        weir_span span;

        options.sample_ratio = ratio;
        check(weir_tracer_open(&options, &tracer, NULL) == WEIR_OK);
        weir_span_begin_root(tracer, &span, "request", WEIR_SPAN_SERVER, NULL, NULL);
        loans_begin(loans, 7);
        weir_trace_id_format(&span.context, id);
        weir_span_end(&span);
        check(loans_find(loans, 7, false, &loan));
        check_text(loan.trace_id, ratio == 1 ? id : "");
        weir_tracer_close(tracer);
    }
    loans_close(loans);
}

/* However often connections are replaced, those that are open are found. */
static void the_open_connections_of_a_pool_are_always_found(void)
{
    enum { OPEN = 15 };
    struct loans *loans = loans_open(OPEN);

    for (uint64_t id = 1; id <= 1000; id++) {
        loans_begin(loans, id);
        for (uint64_t open = id < OPEN ? 1 : id - OPEN + 1; open <= id; open++)
            check(loans_find(loans, open, false, &loan));
    }
    loans_close(loans);
}

static void a_long_statement_is_cut_between_characters_and_shows_no_value(void)
{
    struct loans *loans = loans_open(1);
    char sql[4 * LOAN_STATEMENT_SIZE] = "SELECT 'secret";

    loans_begin(loans, 1);
    for (size_t i = strlen(sql); i + 3 < sizeof sql; i += 2)
        memcpy(sql + i, "ö", 3);
    loans_set_statement(loans, 1, sql);
    check(loans_find(loans, 1, false, &loan));
    check_text(loan.statement, "SELECT ?");
    memcpy(sql, "SELECT secretö", 15);
    for (size_t i = 15; i + 3 < sizeof sql; i += 2)
        memcpy(sql + i, "ö", 3);
    loans_set_statement(loans, 1, sql);
    check(loans_find(loans, 1, false, &loan));
    check(strncmp(loan.statement, "SELECT secret", 13) == 0);
    check(utf8_is_valid(loan.statement, strlen(loan.statement)));
    check(strlen(loan.statement) >= LOAN_STATEMENT_SIZE - 3);
    loans_close(loans);
}

int main(void)
{
    run(a_loan_tells_its_request_and_its_last_statement_without_values);
    run(a_loan_without_a_request_names_none);
    run(what_was_given_back_is_told_only_while_it_is_being_cancelled);
    run(a_trace_is_named_if_it_is_recorded);
    run(the_open_connections_of_a_pool_are_always_found);
    run(a_long_statement_is_cut_between_characters_and_shows_no_value);
    return check_done();
}
