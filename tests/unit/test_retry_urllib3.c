/* SPDX-License-Identifier: MIT */
/* The preset of urllib3: its table row by row, attempt by attempt, and its rules besides. */
#include "unit/story.h"

static const int backed_off[] = {0, 600, 1200};

static struct story urllib3(weir_attempt_kind kind, int status, unsigned method)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_URLLIB3;

    return begin(o, kind, status, method);
}

/* ---- urllib3's table, row by row --------------------------------------------------------- */

static void urllib3_get_or_post_503_or_500_for_ever_fails_after_four_attempts(void)
{
    const int statuses[] = {503, 500};
    const unsigned methods[] = {WEIR_METHOD_GET, WEIR_METHOD_POST};

    for (int i = 0; i < 4; i++) {
        struct story s = urllib3(WEIR_ATTEMPT_RESPONSE, statuses[i / 2], methods[i % 2]);
        live(&s);
        slept(&s, 3, backed_off);
        ended(&s, 4, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
    }
}

static void urllib3_without_raise_on_status_returns_the_last_503(void)
{
    struct story s = urllib3(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);

    s.options.raise_on_status = false;
    live(&s);
    slept(&s, 3, backed_off);
    ended(&s, 4, WEIR_VERDICT_RETURN, WEIR_CAUSE_EXHAUSTED);
}

static void urllib3_patch_503_is_returned_at_once(void)
{
    struct story s = urllib3(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_PATCH);

    live(&s);
    ended(&s, 1, WEIR_VERDICT_RETURN, WEIR_CAUSE_METHOD);
}

static void urllib3_get_429_or_500_with_retry_after_2_sleeps_2_each_time(void)
{
    const int statuses[] = {429, 500};

    for (int i = 0; i < 2; i++) {
        struct story s = urllib3(WEIR_ATTEMPT_RESPONSE, statuses[i], WEIR_METHOD_GET);
        live_asked(&s, "2");
        slept(&s, 3, (const int[]){2000, 2000, 2000});
        ended(&s, 4, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
    }
}

static void urllib3_retry_after_0_or_a_past_date_falls_back_to_the_back_off(void)
{
    const char *const values[] = {"0", "Sun, 06 Nov 1994 08:49:36 GMT"};

    for (int i = 0; i < 2; i++) {
        struct story s = urllib3(WEIR_ATTEMPT_RESPONSE, 429, WEIR_METHOD_GET);
        live_asked(&s, values[i]);
        slept(&s, 3, backed_off);
        ended(&s, 4, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
    }
}

static void urllib3_an_invalid_retry_after_fails_at_once(void)
{
    const char *const values[] = {"-1", "1.5", "junk"};
    const char *const two[] = {"2", "2"};

    for (int i = 0; i < 3; i++) {
        struct story s = urllib3(WEIR_ATTEMPT_RESPONSE, 429, WEIR_METHOD_GET);
        s.options.raise_on_status = false;
        live_asked(&s, values[i]);
        ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_INVALID);
    }

    /* Two fields are joined with a comma there. */
    struct story s = urllib3(WEIR_ATTEMPT_RESPONSE, 429, WEIR_METHOD_GET);
    ask(&s, two, 2);
    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_INVALID);
}

static void urllib3_retry_after_999999_is_cut_to_six_hours(void)
{
    struct story s = urllib3(WEIR_ATTEMPT_RESPONSE, 429, WEIR_METHOD_GET);

    live_asked(&s, "999999");
    slept(&s, 3, (const int[]){21600000, 21600000, 21600000});
    ended(&s, 4, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
}

static void urllib3_a_413_with_retry_after_is_repeated_and_then_returned(void)
{
    struct story s = urllib3(WEIR_ATTEMPT_RESPONSE, 413, WEIR_METHOD_GET);

    live_asked(&s, "2");
    slept(&s, 3, (const int[]){2000, 2000, 2000});
    ended(&s, 4, WEIR_VERDICT_RETURN, WEIR_CAUSE_FINAL);
}

static void urllib3_a_413_without_retry_after_is_returned(void)
{
    struct story s = urllib3(WEIR_ATTEMPT_RESPONSE, 413, WEIR_METHOD_GET);

    live(&s);
    ended(&s, 1, WEIR_VERDICT_RETURN, WEIR_CAUSE_FINAL);
}

static void urllib3_without_respect_for_retry_after_backs_off(void)
{
    struct story s = urllib3(WEIR_ATTEMPT_RESPONSE, 429, WEIR_METHOD_GET);

    s.options.respect_retry_after = false;
    live_asked(&s, "2");
    slept(&s, 3, backed_off);
    ended(&s, 4, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
}

static void urllib3_a_dropped_connection_is_repeated_for_get_and_allowed_post(void)
{
    const unsigned methods[] = {WEIR_METHOD_GET, WEIR_METHOD_POST};

    for (int i = 0; i < 2; i++) {
        struct story s = urllib3(WEIR_ATTEMPT_READ, 0, methods[i]);
        live(&s);
        slept(&s, 3, backed_off);
        ended(&s, 4, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
    }
}

static void urllib3_a_dropped_connection_fails_patch_at_once(void)
{
    struct story s = urllib3(WEIR_ATTEMPT_READ, 0, WEIR_METHOD_PATCH);

    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_UNKNOWN);
}

static void urllib3_a_read_timeout_is_repeated_for_get(void)
{
    struct story s = urllib3(WEIR_ATTEMPT_READ, 0, WEIR_METHOD_GET);

    s.attempt.timed_out = true;
    live(&s);
    slept(&s, 3, backed_off);
    ended(&s, 4, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
}

static void urllib3_a_read_timeout_fails_patch_at_once(void)
{
    struct story s = urllib3(WEIR_ATTEMPT_READ, 0, WEIR_METHOD_PATCH);

    s.attempt.timed_out = true;
    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_UNKNOWN);
}

static void urllib3_refused_or_unknown_hosts_are_repeated_for_any_method(void)
{
    const unsigned methods[] = {WEIR_METHOD_GET, WEIR_METHOD_POST, WEIR_METHOD_PATCH};

    for (int i = 0; i < 3; i++) {
        struct story s = urllib3(WEIR_ATTEMPT_CONNECT, 0, methods[i]);
        live(&s);
        slept(&s, 3, backed_off);
        ended(&s, 4, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
    }
}

static void urllib3_total_0_fails_the_first_503(void)
{
    struct story s = urllib3(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);

    s.state.total = 0;
    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
}

static void urllib3_total_none_and_status_1_makes_two_attempts(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_URLLIB3;
    o.total = WEIR_RETRY_UNLIMITED;
    o.status = 1;
    struct story s = begin(o, WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);

    live(&s);
    slept(&s, 1, (const int[]){0});
    ended(&s, 2, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
}

static void urllib3_total_12_sleeps_up_to_120_seconds(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_URLLIB3;
    o.total = 12;
    struct story s = begin(o, WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);

    live(&s);
    slept(
        &s, 12,
        (const int[]){0, 600, 1200, 2400, 4800, 9600, 19200, 38400, 76800, 120000, 120000, 120000});
    ended(&s, 13, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
}

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
    run(urllib3_get_or_post_503_or_500_for_ever_fails_after_four_attempts);
    run(urllib3_without_raise_on_status_returns_the_last_503);
    run(urllib3_patch_503_is_returned_at_once);
    run(urllib3_get_429_or_500_with_retry_after_2_sleeps_2_each_time);
    run(urllib3_retry_after_0_or_a_past_date_falls_back_to_the_back_off);
    run(urllib3_an_invalid_retry_after_fails_at_once);
    run(urllib3_retry_after_999999_is_cut_to_six_hours);
    run(urllib3_a_413_with_retry_after_is_repeated_and_then_returned);
    run(urllib3_a_413_without_retry_after_is_returned);
    run(urllib3_without_respect_for_retry_after_backs_off);
    run(urllib3_a_dropped_connection_is_repeated_for_get_and_allowed_post);
    run(urllib3_a_dropped_connection_fails_patch_at_once);
    run(urllib3_a_read_timeout_is_repeated_for_get);
    run(urllib3_a_read_timeout_fails_patch_at_once);
    run(urllib3_refused_or_unknown_hosts_are_repeated_for_any_method);
    run(urllib3_total_0_fails_the_first_503);
    run(urllib3_total_none_and_status_1_makes_two_attempts);
    run(urllib3_total_12_sleeps_up_to_120_seconds);
    run(urllib3_repeats_other_errors_whatever_the_method);
    run(urllib3_total_false_passes_errors_on_and_fails_a_503);
    run(urllib3_a_413_is_returned_by_total_none_and_fails_by_status);
    run(urllib3_an_idempotency_key_and_an_unsent_request_change_nothing);
    run(urllib3_a_redirect_ends_the_row_of_failures);
    run(urllib3_jitter_is_added_before_the_cap);
    return check_done();
}
