/* SPDX-License-Identifier: MIT */
/* The preset of urllib3: its table row by row, attempt by attempt, and its rules besides. */
#include "unit/story.h"
#include "unit/urllib3_table.h"

static const int backed_off[] = {0, 600, 1200};

static struct story urllib3(weir_attempt_kind kind, int status, unsigned method)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_URLLIB3;

    return begin(o, kind, status, method);
}

/* ---- urllib3's table, row by row --------------------------------------------------------- */

static void play(const struct urllib3_row *row)
{
    struct story s = urllib3(row->kind, row->status, weir_method_of(row->method));
    size_t count = (size_t)(row->asks[0] != NULL) + (size_t)(row->asks[1] != NULL);

    if (row->change != NULL)
        row->change(&s.options);
    weir_retry_init(&s.state, &s.options);
    s.attempt.timed_out = row->timed_out;
    ask(&s, row->asks, count);
    live(&s);
    slept(&s, row->attempts - 1, row->sleeps_ms);
    ended(&s, row->attempts, row->verdict, row->cause);
}

URLLIB3_TABLE(URLLIB3_TEST)

/* ---- urllib3's rules besides the table --------------------------------------------------- */

static void urllib3_repeats_other_errors_whatever_the_method(void)
{
    struct story s = urllib3(WEIR_ATTEMPT_OTHER, 0, WEIR_METHOD_PATCH);

    live(&s);
    slept(&s, 3, backed_off);
    ended(&s, 4, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
}

static void urllib3_total_false_passes_errors_on_and_fails_a_503(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_URLLIB3;
    o.total = WEIR_RETRY_DISABLED;
    struct story s = begin(o, WEIR_ATTEMPT_CONNECT, 0, WEIR_METHOD_GET);
    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_DISABLED);

    s = begin(o, WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);
    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);

    s = begin(o, WEIR_ATTEMPT_REDIRECT, 302, WEIR_METHOD_GET);
    live(&s);
    ended(&s, 1, WEIR_VERDICT_RETURN, WEIR_CAUSE_DISABLED);
}

static void urllib3_a_413_is_returned_by_total_none_and_fails_by_status(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_URLLIB3;
    o.total = WEIR_RETRY_UNLIMITED;
    struct story s = begin(o, WEIR_ATTEMPT_RESPONSE, 413, WEIR_METHOD_GET);

    live_asked(&s, "2");
    ended(&s, 1, WEIR_VERDICT_RETURN, WEIR_CAUSE_FINAL);

    o.total = 3;
    o.status = 1;
    s = begin(o, WEIR_ATTEMPT_RESPONSE, 413, WEIR_METHOD_GET);
    live_asked(&s, "2");
    ended(&s, 2, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
}

static void urllib3_an_idempotency_key_and_an_unsent_request_change_nothing(void)
{
    struct story s = urllib3(WEIR_ATTEMPT_READ, 0, WEIR_METHOD_PATCH);

    s.attempt.has_idempotency_key = true;
    s.attempt.was_sent = false;
    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_UNKNOWN);
}

static void urllib3_a_redirect_ends_the_row_of_failures(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_URLLIB3;
    o.total = 10;
    struct story s = begin(o, WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);

    check_int(decide(&s).delay, 0);
    check_int(decide(&s).delay, 600 * WEIR_MS);
    s.attempt.kind = WEIR_ATTEMPT_REDIRECT;
    check_int(decide(&s).cause, WEIR_CAUSE_REDIRECT);
    check_int(s.last.delay, 0);
    s.attempt.kind = WEIR_ATTEMPT_RESPONSE;
    check_int(decide(&s).delay, 0);
    check_int(decide(&s).delay, 600 * WEIR_MS);
}

static void urllib3_jitter_is_added_before_the_cap(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_URLLIB3;
    o.total = 12;
    o.jitter = WEIR_JITTER_ADDITIVE;
    o.backoff_jitter_ms = 500;
    struct story s = begin(o, WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);

    s.moment.random = UINT64_MAX;
    live(&s);
    slept(&s, 12,
          (const int[]){0, 1100, 1700, 2900, 5300, 10100, 19700, 38900, 77300, 120000, 120000,
                        120000});
}

int main(void)
{
    URLLIB3_TABLE(URLLIB3_RUN)
    run(urllib3_repeats_other_errors_whatever_the_method);
    run(urllib3_total_false_passes_errors_on_and_fails_a_503);
    run(urllib3_a_413_is_returned_by_total_none_and_fails_by_status);
    run(urllib3_an_idempotency_key_and_an_unsent_request_change_nothing);
    run(urllib3_a_redirect_ends_the_row_of_failures);
    run(urllib3_jitter_is_added_before_the_cap);
    return check_done();
}
