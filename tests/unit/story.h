/* SPDX-License-Identifier: MIT */
/* What becomes of a request whose attempts end in a given way: for the tests of retries. */
#ifndef WEIR_TESTS_STORY_H
#define WEIR_TESTS_STORY_H

#include "check.h"

#include <weir/retry.h>

#define MOST_SLEEPS 16

static weir_error e;

/* What becomes of a request whose every attempt ends the same way. */
struct story {
    weir_retry_options options;
    weir_attempt attempt;
    weir_moment moment;
    weir_retry_state state;
    weir_retry_decision last;
    int attempts;
    weir_time sleeps[MOST_SLEEPS];
};

static inline struct story begin(weir_retry_options options, weir_attempt_kind kind, int status,
                                 unsigned method)
{
    struct story s = {.options = options};

    s.attempt.kind = kind;
    s.attempt.status = status;
    s.attempt.method = method;
    s.attempt.was_sent = kind != WEIR_ATTEMPT_CONNECT;
    s.attempt.is_rewindable = true;
    s.moment.now = 5 * WEIR_SECOND;
    s.moment.wall_now = 784111777 * WEIR_SECOND;
    s.moment.deadline = WEIR_DEADLINE_NEVER;
    weir_retry_init(&s.state, &s.options);
    check_int(weir_retry_check(&s.options, &e), WEIR_OK);
    return s;
}

static inline weir_retry_decision decide(struct story *s)
{
    s->last = weir_retry_next(&s->options, &s->state, &s->attempt, &s->moment, NULL);
    if (s->last.verdict == WEIR_VERDICT_RETRY)
        check_int(s->last.at, s->moment.now + s->last.delay);
    else
        check(s->last.at == 0 && s->last.delay == 0);
    return s->last;
}

/* Attempt until the end, on a clock that goes to the instant of each repeat. */
static inline void live(struct story *s)
{
    for (s->attempts = 1; s->attempts < MOST_SLEEPS; s->attempts++) {
        if (decide(s).verdict != WEIR_VERDICT_RETRY)
            break;
        s->sleeps[s->attempts - 1] = s->last.delay;
        s->moment.wall_now += s->last.delay;
        s->moment.now = s->last.at;
    }
    check_int(s->state.attempts, s->attempts);
}

static inline void ended(const struct story *s, int attempts, weir_retry_verdict verdict,
                         weir_retry_cause cause)
{
    check_int(s->attempts, attempts);
    check_int(s->last.verdict, verdict);
    check_text(weir_retry_cause_name(s->last.cause), weir_retry_cause_name(cause));
}

/* The sleeps of a story, in thousandths of a second. */
static inline void slept(const struct story *s, int count, const int *sleeps_ms)
{
    check_int(s->attempts - 1, count);
    for (int i = 0; i < count; i++)
        check_int(s->sleeps[i], sleeps_ms[i] * WEIR_MS);
}

static inline void ask(struct story *s, const char *const *values, size_t count)
{
    s->attempt.retry_after = values;
    s->attempt.retry_after_count = count;
}

static inline void live_asked(struct story *s, const char *value)
{
    ask(s, &value, 1);
    live(s);
    ask(s, NULL, 0);
}

#endif
