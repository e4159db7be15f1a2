/* SPDX-License-Identifier: MIT */
/* Retry: what is repeated, how often, when, and how repeats are spread. */
#include "unit/chance.h"
#include "unit/story.h"

static struct story ours(weir_attempt_kind kind, int status, unsigned method)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;

    return begin(o, kind, status, method);
}

/* ---- what may be repeated ---------------------------------------------------------------- */

static void only_idempotent_methods_are_repeated_after_they_may_have_arrived(void)
{
    static const struct {
        const char *name;
        bool is_repeated;
    } methods[] = {{"GET", true},      {"HEAD", true},   {"OPTIONS", true}, {"TRACE", true},
                   {"PUT", true},      {"delete", true}, {"POST", false},   {"PATCH", false},
                   {"CONNECT", false}, {"PURGE", false}, {"get", true},     {"GETS", false}};

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        unsigned method = weir_method_of(methods[i].name);
        struct story lost = ours(WEIR_ATTEMPT_READ, 0, method);
        struct story answered = ours(WEIR_ATTEMPT_RESPONSE, 503, method);
        struct story refused = ours(WEIR_ATTEMPT_CONNECT, 0, method);

        check_int(decide(&lost).verdict,
                  methods[i].is_repeated ? WEIR_VERDICT_RETRY : WEIR_VERDICT_FAIL);
        check_int(decide(&answered).verdict,
                  methods[i].is_repeated ? WEIR_VERDICT_RETRY : WEIR_VERDICT_RETURN);
        check_int(decide(&refused).verdict, WEIR_VERDICT_RETRY);
    }
}

static void a_lost_post_has_an_unknown_outcome_unless_nothing_was_sent(void)
{
    struct story s = ours(WEIR_ATTEMPT_READ, 0, WEIR_METHOD_POST);

    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_UNKNOWN);
    s = ours(WEIR_ATTEMPT_READ, 0, WEIR_METHOD_POST);
    s.attempt.was_sent = false;
    check_int(decide(&s).verdict, WEIR_VERDICT_RETRY);
}

static void post_and_patch_are_repeated_with_an_idempotency_key_or_when_the_caller_allows(void)
{
    const unsigned methods[] = {WEIR_METHOD_POST, WEIR_METHOD_PATCH};

    for (int i = 0; i < 2; i++) {
        struct story s = ours(WEIR_ATTEMPT_READ, 0, methods[i]);
        s.attempt.has_idempotency_key = true;
        live(&s);
        ended(&s, 4, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);

        s = ours(WEIR_ATTEMPT_RESPONSE, 503, methods[i]);
        s.options.allowed_methods |= methods[i];
        live(&s);
        ended(&s, 4, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);

        s = ours(WEIR_ATTEMPT_RESPONSE, 503, methods[i]);
        s.options.allowed_methods = 0;
        live(&s);
        ended(&s, 4, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
    }
}

static void a_wrong_certificate_is_not_repeated_by_default(void)
{
    struct story s = ours(WEIR_ATTEMPT_OTHER, 0, WEIR_METHOD_GET);

    s.attempt.was_sent = false;
    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_EXHAUSTED);
}

static void a_body_that_cannot_be_sent_again_ends_it_unless_it_was_not_touched(void)
{
    struct story s = ours(WEIR_ATTEMPT_READ, 0, WEIR_METHOD_PUT);

    s.attempt.is_rewindable = false;
    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_BODY);

    s = ours(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_PUT);
    s.attempt.is_rewindable = false;
    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_BODY);

    /* Without a connection nothing was, whatever the caller believes. */
    s = ours(WEIR_ATTEMPT_CONNECT, 0, WEIR_METHOD_PUT);
    s.attempt.is_rewindable = false;
    s.attempt.was_sent = true;
    check_int(decide(&s).verdict, WEIR_VERDICT_RETRY);
}

static void what_we_refused_ourselves_is_neither_repeated_nor_charged(void)
{
    struct story s = ours(WEIR_ATTEMPT_REFUSED, 0, WEIR_METHOD_GET);
    weir_budget budget;

    check_int(weir_budget_init(&budget, NULL, &e), WEIR_OK);
    s.last = weir_retry_next(&s.options, &s.state, &s.attempt, &s.moment, &budget);
    check_int(s.last.verdict, WEIR_VERDICT_FAIL);
    check_int(s.last.cause, WEIR_CAUSE_REFUSED);
    check_int(weir_budget_balance(&budget, s.moment.now), 100);
    check_int(s.state.total, 3);
    check_int(s.state.attempts, 0);
}

static void good_and_plainly_bad_responses_are_returned(void)
{
    const int statuses[] = {200, 204, 304, 400, 401, 404, 413, 422, 501};

    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct story s = ours(WEIR_ATTEMPT_RESPONSE, statuses[i], WEIR_METHOD_GET);
        live(&s);
        ended(&s, 1, WEIR_VERDICT_RETURN, WEIR_CAUSE_FINAL);
    }
}

/* ---- counters ---------------------------------------------------------------------------- */

static void each_kind_has_its_own_counter_and_total_counts_all(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;
    o.total = 5;
    o.connect = 2;
    o.read = 1;
    struct story s = begin(o, WEIR_ATTEMPT_CONNECT, 0, WEIR_METHOD_GET);

    check_int(decide(&s).verdict, WEIR_VERDICT_RETRY);
    s.attempt.kind = WEIR_ATTEMPT_READ;
    check_int(decide(&s).verdict, WEIR_VERDICT_RETRY);
    s.attempt.kind = WEIR_ATTEMPT_CONNECT;
    check_int(decide(&s).verdict, WEIR_VERDICT_RETRY);
    check_int(s.state.total, 2);
    struct story spent = s;
    check_int(decide(&spent).cause, WEIR_CAUSE_EXHAUSTED);
    s.attempt.kind = WEIR_ATTEMPT_READ;
    check_int(decide(&s).cause, WEIR_CAUSE_EXHAUSTED);
}

static void disabled_kinds_pass_on_what_came(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;
    o.status = WEIR_RETRY_DISABLED;
    o.connect = WEIR_RETRY_DISABLED;
    struct story s = begin(o, WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);
    live(&s);
    ended(&s, 1, WEIR_VERDICT_RETURN, WEIR_CAUSE_DISABLED);

    s = begin(o, WEIR_ATTEMPT_CONNECT, 0, WEIR_METHOD_GET);
    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_DISABLED);
    s.attempt.kind = WEIR_ATTEMPT_READ;
    check_int(decide(&s).verdict, WEIR_VERDICT_RETRY);
}

static void redirects_are_followed_up_to_their_limit_and_cost_no_budget(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;
    o.total = WEIR_RETRY_UNLIMITED;
    o.redirect = 2;
    struct story s = begin(o, WEIR_ATTEMPT_REDIRECT, 302, WEIR_METHOD_POST);
    weir_budget budget;
    weir_budget_options none = {0, 0, 1, false};

    check_int(weir_budget_init(&budget, &none, &e), WEIR_OK);
    for (int i = 0; i < 2; i++) {
        s.last = weir_retry_next(&s.options, &s.state, &s.attempt, &s.moment, &budget);
        check_int(s.last.verdict, WEIR_VERDICT_RETRY);
        check_int(s.last.cause, WEIR_CAUSE_REDIRECT);
    }
    check_int(decide(&s).verdict, WEIR_VERDICT_FAIL);
    s.options.raise_on_redirect = false;
    check_int(decide(&s).verdict, WEIR_VERDICT_RETURN);
    check_int(s.last.cause, WEIR_CAUSE_EXHAUSTED);
}

/* ---- Retry-After ------------------------------------------------------------------------- */

static void nobody_is_ever_early(void)
{
    const weir_jitter jitters[] = {WEIR_JITTER_NONE, WEIR_JITTER_ADDITIVE, WEIR_JITTER_FULL,
                                   WEIR_JITTER_EQUAL, WEIR_JITTER_DECORRELATED};
    uint64_t seed = 5;

    for (int i = 0; i < 5 * 200; i++) {
        struct story s = ours(WEIR_ATTEMPT_RESPONSE, 429, WEIR_METHOD_GET);
        s.options.jitter = jitters[i % 5];
        s.moment.random = i < 5 ? 0 : draw(&seed);
        s.moment.wall_now += (int64_t)(draw(&seed) % (uint64_t)WEIR_SECOND);
        const char *date = "Sun, 06 Nov 1994 08:51:00 GMT";
        ask(&s, &date, 1);
        check(s.moment.wall_now + decide(&s).delay >= (784111777 + 83) * WEIR_SECOND);
        const char *count = "7";
        ask(&s, &count, 1);
        check(decide(&s).delay >= 7 * WEIR_SECOND);
        check_int(s.last.cause, WEIR_CAUSE_RETRY_AFTER);
    }
}

static void invalid_values_are_ignored_and_counted(void)
{
    const char *const values[] = {"-1", "1.5", "junk", "", "2, 2"};
    struct story s = ours(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);

    ask(&s, values, 5);
    check_int(decide(&s).verdict, WEIR_VERDICT_RETRY);
    check_int(s.last.cause, WEIR_CAUSE_BACKOFF);
    check_int(s.state.invalid_retry_afters, 5);
    s = ours(WEIR_ATTEMPT_RESPONSE, 413, WEIR_METHOD_GET);
    live_asked(&s, "junk");
    ended(&s, 1, WEIR_VERDICT_RETURN, WEIR_CAUSE_FINAL);
}

static void of_several_the_longest_valid_one_holds(void)
{
    const char *const values[] = {"3", "soon", "7", "5"};
    struct story s = ours(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);

    ask(&s, values, 4);
    check_int(decide(&s).delay, 7 * WEIR_SECOND);
    check_int(s.state.invalid_retry_afters, 1);
}

static void one_that_is_too_long_ends_it_or_is_cut_as_the_caller_says(void)
{
    const char *const values[] = {"21601", "9223372036854775808", "Fri, 31 Dec 9999 23:59:59 GMT",
                                  "99999999999999999999999999999"};

    for (int i = 0; i < 4; i++) {
        struct story s = ours(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);
        live_asked(&s, values[i]);
        ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_TOO_LONG);

        s = ours(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);
        s.options.retry_after_action = WEIR_RETRY_AFTER_WAIT;
        live_asked(&s, values[i]);
        slept(&s, 3, (const int[]){21600000, 21600000, 21600000});
    }
    struct story s = ours(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);
    live_asked(&s, "21600");
    slept(&s, 3, (const int[]){21600000, 21600000, 21600000});
}

static void a_413_that_has_one_is_repeated_and_then_returned_whichever_counter_ends(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;
    o.total = WEIR_RETRY_UNLIMITED;
    o.status = 1;
    struct story s = begin(o, WEIR_ATTEMPT_RESPONSE, 413, WEIR_METHOD_GET);

    live_asked(&s, "2");
    ended(&s, 2, WEIR_VERDICT_RETURN, WEIR_CAUSE_EXHAUSTED);
}

static void it_is_honoured_on_a_redirect(void)
{
    struct story s = ours(WEIR_ATTEMPT_REDIRECT, 301, WEIR_METHOD_GET);
    const char *value = "4";

    ask(&s, &value, 1);
    check_int(decide(&s).delay, 4 * WEIR_SECOND);
    check_int(s.last.cause, WEIR_CAUSE_RETRY_AFTER);
}

/* ---- the deadline ------------------------------------------------------------------------ */

static void a_pause_that_would_reach_the_deadline_is_not_begun(void)
{
    struct story s = ours(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);
    const char *value = "3";

    ask(&s, &value, 1);
    s.moment.deadline = s.moment.now + 3 * WEIR_SECOND + 1;
    check_int(decide(&s).verdict, WEIR_VERDICT_RETRY);
    s.moment.deadline = s.moment.now + 3 * WEIR_SECOND;
    check_int(decide(&s).verdict, WEIR_VERDICT_FAIL);
    check_int(s.last.cause, WEIR_CAUSE_DEADLINE);
    s.options.raise_on_status = false;
    s.state.total = 3;
    check_int(decide(&s).verdict, WEIR_VERDICT_RETURN);
}

static void one_deadline_holds_over_all_attempts_and_pauses(void)
{
    struct story s = ours(WEIR_ATTEMPT_CONNECT, 0, WEIR_METHOD_GET);

    s.options.jitter = WEIR_JITTER_NONE;
    s.state.total = WEIR_RETRY_UNLIMITED;
    s.moment.deadline = s.moment.now + 2 * WEIR_SECOND;
    live(&s);
    slept(&s, 2, (const int[]){300, 600});
    ended(&s, 3, WEIR_VERDICT_FAIL, WEIR_CAUSE_DEADLINE);
    check(s.moment.now < s.moment.deadline);
}

static void a_deadline_that_has_passed_ends_it(void)
{
    struct story s = ours(WEIR_ATTEMPT_CONNECT, 0, WEIR_METHOD_GET);

    s.moment.deadline = WEIR_DEADLINE_NOW;
    live(&s);
    ended(&s, 1, WEIR_VERDICT_FAIL, WEIR_CAUSE_DEADLINE);
}

/* ---- jitter ------------------------------------------------------------------------------ */

/* The back-off of the third failure, which without jitter is 1.2 s. */
static weir_time third(weir_jitter jitter, uint64_t random)
{
    struct story s = ours(WEIR_ATTEMPT_CONNECT, 0, WEIR_METHOD_GET);

    s.options.jitter = jitter;
    s.options.backoff_jitter_ms = 100;
    s.moment.random = random;
    decide(&s);
    decide(&s);
    return decide(&s).delay;
}

static void each_jitter_has_its_bounds(void)
{
    check_int(third(WEIR_JITTER_NONE, UINT64_MAX), 1200 * WEIR_MS);
    check_int(third(WEIR_JITTER_ADDITIVE, 0), 1200 * WEIR_MS);
    check_int(third(WEIR_JITTER_ADDITIVE, UINT64_MAX), 1300 * WEIR_MS);
    check_int(third(WEIR_JITTER_FULL, 0), 0);
    check_int(third(WEIR_JITTER_FULL, UINT64_MAX), 1200 * WEIR_MS);
    check_int(third(WEIR_JITTER_FULL, (uint64_t)1 << 63), 600 * WEIR_MS);
    check_int(third(WEIR_JITTER_EQUAL, 0), 600 * WEIR_MS);
    check_int(third(WEIR_JITTER_EQUAL, UINT64_MAX), 1200 * WEIR_MS);
    check_int(third(WEIR_JITTER_DECORRELATED, 0), 300 * WEIR_MS);
    check_int(third(WEIR_JITTER_DECORRELATED, UINT64_MAX), 300 * 27 * WEIR_MS);
}

static void no_jitter_exceeds_backoff_max(void)
{
    uint64_t seed = 11;

    for (int i = 0; i < 1000; i++) {
        struct story s = ours(WEIR_ATTEMPT_CONNECT, 0, WEIR_METHOD_GET);
        s.options.jitter = (weir_jitter)(i % 5);
        s.options.backoff_max_ms = 1000;
        s.options.backoff_jitter_ms = 5000;
        s.state.total = WEIR_RETRY_UNLIMITED;
        for (int attempt = 0; attempt < 70; attempt++) {
            s.moment.random = draw(&seed);
            check(decide(&s).delay <= WEIR_SECOND && s.last.delay >= 0);
        }
    }
}

#define CLIENTS 1000

/* The instants at which a thousand clients repeat what failed for all of them at once. */
static void herd(weir_jitter jitter, const char *retry_after, uint64_t seed, weir_time *instants)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct story s = ours(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);
        s.options.jitter = jitter;
        if (retry_after != NULL)
            ask(&s, &retry_after, 1);
        s.moment.random = draw(&seed);
        instants[i] = decide(&s).at;
    }
}

static void a_thousand_clients_that_fail_together_spread_their_repeats(void)
{
    weir_time instants[CLIENTS];
    weir_time from = 5 * WEIR_SECOND;

    for (uint64_t seed = 1; seed <= 3; seed++) {
        herd(WEIR_JITTER_FULL, NULL, seed, instants);
        check(unevenness(instants, CLIENTS, from, from + 300 * WEIR_MS) < SPREAD_LIMIT);
        herd(WEIR_JITTER_EQUAL, NULL, seed, instants);
        check(unevenness(instants, CLIENTS, from + 150 * WEIR_MS, from + 300 * WEIR_MS) <
              SPREAD_LIMIT);
        herd(WEIR_JITTER_DECORRELATED, NULL, seed, instants);
        check(unevenness(instants, CLIENTS, from + 300 * WEIR_MS, from + 900 * WEIR_MS) <
              SPREAD_LIMIT);
        herd(WEIR_JITTER_FULL, "2", seed, instants);
        check(unevenness(instants, CLIENTS, from + 2 * WEIR_SECOND,
                         from + 2 * WEIR_SECOND + 300 * WEIR_MS) < SPREAD_LIMIT);
    }
}

static void the_measure_of_the_spread_sees_a_herd(void)
{
    weir_time instants[CLIENTS];
    weir_time from = 5 * WEIR_SECOND;

    herd(WEIR_JITTER_NONE, NULL, 1, instants);
    check(unevenness(instants, CLIENTS, from, from + 300 * WEIR_MS) > SPREAD_LIMIT);
    herd(WEIR_JITTER_EQUAL, NULL, 1, instants);
    check(unevenness(instants, CLIENTS, from, from + 300 * WEIR_MS) > SPREAD_LIMIT);
}

/* ---- the rest ---------------------------------------------------------------------------- */

static void the_budget_is_charged_at_the_decision_and_only_for_repeats(void)
{
    struct story s = ours(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);
    weir_budget_options one = {0, 1, 1, false};
    weir_budget budget;

    check_int(weir_budget_init(&budget, &one, &e), WEIR_OK);
    s.moment.deadline = s.moment.now;
    s.last = weir_retry_next(&s.options, &s.state, &s.attempt, &s.moment, &budget);
    check_int(s.last.cause, WEIR_CAUSE_DEADLINE);
    check_int(weir_budget_balance(&budget, s.moment.now), 1);
    s.moment.deadline = WEIR_DEADLINE_NEVER;
    s.last = weir_retry_next(&s.options, &s.state, &s.attempt, &s.moment, &budget);
    check_int(s.last.verdict, WEIR_VERDICT_RETRY);
    check_int(weir_budget_balance(&budget, s.moment.now), 0);
    s.last = weir_retry_next(&s.options, &s.state, &s.attempt, &s.moment, &budget);
    check_int(s.last.verdict, WEIR_VERDICT_FAIL);
    check_int(s.last.cause, WEIR_CAUSE_BUDGET);
}

static void options_out_of_range_are_refused_by_name(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;

    check_int(weir_retry_check(&o, &e), WEIR_OK);
    o.total = -3;
    check_int(weir_retry_check(&o, &e), WEIR_INVALID);
    check_text(e.text, "total -3: must be -2 to 1000000");
    o.total = 3;
    o.backoff_max_ms = 86400001;
    check_int(weir_retry_check(&o, &e), WEIR_INVALID);
    check_text(e.text, "backoff_max_ms 86400001: must be 0 to 86400000");
    o.backoff_max_ms = 0;
    o.status_forcelist[2] = 600;
    check_int(weir_retry_check(&o, &e), WEIR_INVALID);
    check_text(e.text, "status_forcelist 600: must be 100 to 599");
    o.status_forcelist[2] = 0;
    o.allowed_methods = 0xFFFFFFFFu;
    check_int(weir_retry_check(&o, NULL), WEIR_INVALID);
}

static void the_end_is_told_in_one_line(void)
{
    struct story s = ours(WEIR_ATTEMPT_RESPONSE, 503, WEIR_METHOD_GET);
    char line[160];
    char cut[8];

    live(&s);
    int length = weir_retry_describe(&s.state, &s.attempt, &s.last, line, sizeof line);
    check_text(line, "status 503 after 4 attempts: no retries are left");
    check_int(length, strlen(line));
    check_int(weir_retry_describe(&s.state, &s.attempt, &s.last, cut, sizeof cut), length);
    check_text(cut, "status ");

    s = ours(WEIR_ATTEMPT_READ, 0, WEIR_METHOD_POST);
    s.attempt.timed_out = true;
    live(&s);
    weir_retry_describe(&s.state, &s.attempt, &s.last, line, sizeof line);
    check_text(line, "read timeout after 1 attempt: it may have been carried out, and the "
                     "method may not be retried");
}

static void every_cause_has_a_word_and_a_phrase(void)
{
    for (int i = WEIR_CAUSE_FINAL; i <= WEIR_CAUSE_REFUSED; i++) {
        check(weir_retry_cause_name((weir_retry_cause)i)[0] != '\0');
        check(weir_retry_cause_text((weir_retry_cause)i)[0] != '\0');
    }
    check_text(weir_retry_cause_name((weir_retry_cause)99), "unknown");
    check_text(weir_retry_cause_text((weir_retry_cause)99), "unknown");
}

int main(void)
{
    run(only_idempotent_methods_are_repeated_after_they_may_have_arrived);
    run(a_lost_post_has_an_unknown_outcome_unless_nothing_was_sent);
    run(post_and_patch_are_repeated_with_an_idempotency_key_or_when_the_caller_allows);
    run(a_wrong_certificate_is_not_repeated_by_default);
    run(a_body_that_cannot_be_sent_again_ends_it_unless_it_was_not_touched);
    run(what_we_refused_ourselves_is_neither_repeated_nor_charged);
    run(good_and_plainly_bad_responses_are_returned);
    run(each_kind_has_its_own_counter_and_total_counts_all);
    run(disabled_kinds_pass_on_what_came);
    run(redirects_are_followed_up_to_their_limit_and_cost_no_budget);
    run(nobody_is_ever_early);
    run(invalid_values_are_ignored_and_counted);
    run(of_several_the_longest_valid_one_holds);
    run(one_that_is_too_long_ends_it_or_is_cut_as_the_caller_says);
    run(a_413_that_has_one_is_repeated_and_then_returned_whichever_counter_ends);
    run(it_is_honoured_on_a_redirect);
    run(a_pause_that_would_reach_the_deadline_is_not_begun);
    run(one_deadline_holds_over_all_attempts_and_pauses);
    run(a_deadline_that_has_passed_ends_it);
    run(each_jitter_has_its_bounds);
    run(no_jitter_exceeds_backoff_max);
    run(a_thousand_clients_that_fail_together_spread_their_repeats);
    run(the_measure_of_the_spread_sees_a_herd);
    run(the_budget_is_charged_at_the_decision_and_only_for_repeats);
    run(options_out_of_range_are_refused_by_name);
    run(the_end_is_told_in_one_line);
    run(every_cause_has_a_word_and_a_phrase);
    return check_done();
}
