/* SPDX-License-Identifier: MIT */
/* What urllib3 does, row by row: for the tests of the policy alone and of sessions that follow it. */
#ifndef WEIR_TESTS_URLLIB3_TABLE_H
#define WEIR_TESTS_URLLIB3_TABLE_H

#include <weir/retry.h>

/* A request whose every attempt ends the same way, and what becomes of it. */
struct urllib3_row {
    weir_attempt_kind kind;
    bool timed_out;
    int status;
    const char *method;
    const char *asks[2];                         /* the values of its Retry-After fields */
    void (*change)(weir_retry_options *options); /* of the preset; NULL: as it is */

    int attempts;
    int sleeps_ms[12]; /* between them */
    weir_retry_verdict verdict;
    weir_retry_cause cause;
};

static inline void urllib3_return_the_last(weir_retry_options *options)
{
    options->raise_on_status = false;
}

static inline void urllib3_ignore_retry_after(weir_retry_options *options)
{
    options->respect_retry_after = false;
}

static inline void urllib3_total_0(weir_retry_options *options)
{
    options->total = 0;
}

static inline void urllib3_total_12(weir_retry_options *options)
{
    options->total = 12;
}

static inline void urllib3_total_none_status_1(weir_retry_options *options)
{
    options->total = WEIR_RETRY_UNLIMITED;
    options->status = 1;
}

#define ROW_ANSWERS(code, name) .kind = WEIR_ATTEMPT_RESPONSE, .status = (code), .method = (name)
#define ROW_DROPS(name) .kind = WEIR_ATTEMPT_READ, .method = (name)
#define ROW_FALLS_SILENT(name) .kind = WEIR_ATTEMPT_READ, .timed_out = true, .method = (name)
#define ROW_REFUSES(name) .kind = WEIR_ATTEMPT_CONNECT, .method = (name)
#define ROW_ONCE .attempts = 1
#define ROW_BACKS_OFF .attempts = 4, .sleeps_ms = {0, 600, 1200}
#define ROW_SLEEPS_3(ms) .attempts = 4, .sleeps_ms = {(ms), (ms), (ms)}
#define ROW_FAILS(why) .verdict = WEIR_VERDICT_FAIL, .cause = WEIR_CAUSE_##why
#define ROW_RETURNS(why) .verdict = WEIR_VERDICT_RETURN, .cause = WEIR_CAUSE_##why

/* X(the sentence, the fields of its row) */
#define URLLIB3_TABLE(X)                                                                           \
    X(urllib3_get_503_for_ever_fails_after_four_attempts, ROW_ANSWERS(503, "GET"), ROW_BACKS_OFF,  \
      ROW_FAILS(EXHAUSTED))                                                                        \
    X(urllib3_get_500_for_ever_fails_after_four_attempts, ROW_ANSWERS(500, "GET"), ROW_BACKS_OFF,  \
      ROW_FAILS(EXHAUSTED))                                                                        \
    X(urllib3_post_503_for_ever_fails_after_four_attempts, ROW_ANSWERS(503, "POST"),               \
      ROW_BACKS_OFF, ROW_FAILS(EXHAUSTED))                                                         \
    X(urllib3_post_500_for_ever_fails_after_four_attempts, ROW_ANSWERS(500, "POST"),               \
      ROW_BACKS_OFF, ROW_FAILS(EXHAUSTED))                                                         \
    X(urllib3_without_raise_on_status_returns_the_last_503, ROW_ANSWERS(503, "GET"),               \
      .change = urllib3_return_the_last, ROW_BACKS_OFF, ROW_RETURNS(EXHAUSTED))                    \
    X(urllib3_patch_503_is_returned_at_once, ROW_ANSWERS(503, "PATCH"), ROW_ONCE,                  \
      ROW_RETURNS(METHOD))                                                                         \
    X(urllib3_get_429_with_retry_after_2_sleeps_2_each_time, ROW_ANSWERS(429, "GET"),              \
      .asks = {"2"}, ROW_SLEEPS_3(2000), ROW_FAILS(EXHAUSTED))                                     \
    X(urllib3_get_500_with_retry_after_2_sleeps_2_each_time, ROW_ANSWERS(500, "GET"),              \
      .asks = {"2"}, ROW_SLEEPS_3(2000), ROW_FAILS(EXHAUSTED))                                     \
    X(urllib3_retry_after_0_falls_back_to_the_back_off, ROW_ANSWERS(429, "GET"), .asks = {"0"},    \
      ROW_BACKS_OFF, ROW_FAILS(EXHAUSTED))                                                         \
    X(urllib3_retry_after_a_past_date_falls_back_to_the_back_off, ROW_ANSWERS(429, "GET"),         \
      .asks = {"Sun, 06 Nov 1994 08:49:36 GMT"}, ROW_BACKS_OFF, ROW_FAILS(EXHAUSTED))              \
    X(urllib3_retry_after_minus_1_fails_at_once, ROW_ANSWERS(429, "GET"), .asks = {"-1"},          \
      .change = urllib3_return_the_last, ROW_ONCE, ROW_FAILS(INVALID))                             \
    X(urllib3_retry_after_1_point_5_fails_at_once, ROW_ANSWERS(429, "GET"), .asks = {"1.5"},       \
      .change = urllib3_return_the_last, ROW_ONCE, ROW_FAILS(INVALID))                             \
    X(urllib3_retry_after_junk_fails_at_once, ROW_ANSWERS(429, "GET"), .asks = {"junk"},           \
      .change = urllib3_return_the_last, ROW_ONCE, ROW_FAILS(INVALID))                             \
    X(urllib3_two_retry_afters_are_joined_and_fail_at_once, ROW_ANSWERS(429, "GET"),               \
      .asks = {"2", "2"}, ROW_ONCE, ROW_FAILS(INVALID))                                            \
    X(urllib3_retry_after_999999_is_cut_to_six_hours, ROW_ANSWERS(429, "GET"), .asks = {"999999"}, \
      ROW_SLEEPS_3(21600000), ROW_FAILS(EXHAUSTED))                                                \
    X(urllib3_a_413_with_retry_after_is_repeated_and_then_returned, ROW_ANSWERS(413, "GET"),       \
      .asks = {"2"}, ROW_SLEEPS_3(2000), ROW_RETURNS(FINAL))                                       \
    X(urllib3_a_413_without_retry_after_is_returned, ROW_ANSWERS(413, "GET"), ROW_ONCE,            \
      ROW_RETURNS(FINAL))                                                                          \
    X(urllib3_without_respect_for_retry_after_backs_off, ROW_ANSWERS(429, "GET"), .asks = {"2"},   \
      .change = urllib3_ignore_retry_after, ROW_BACKS_OFF, ROW_FAILS(EXHAUSTED))                   \
    X(urllib3_a_dropped_connection_is_repeated_for_get, ROW_DROPS("GET"), ROW_BACKS_OFF,           \
      ROW_FAILS(EXHAUSTED))                                                                        \
    X(urllib3_a_dropped_connection_is_repeated_for_an_allowed_post, ROW_DROPS("POST"),             \
      ROW_BACKS_OFF, ROW_FAILS(EXHAUSTED))                                                         \
    X(urllib3_a_dropped_connection_fails_patch_at_once, ROW_DROPS("PATCH"), ROW_ONCE,              \
      ROW_FAILS(UNKNOWN))                                                                          \
    X(urllib3_a_read_timeout_is_repeated_for_get, ROW_FALLS_SILENT("GET"), ROW_BACKS_OFF,          \
      ROW_FAILS(EXHAUSTED))                                                                        \
    X(urllib3_a_read_timeout_fails_patch_at_once, ROW_FALLS_SILENT("PATCH"), ROW_ONCE,             \
      ROW_FAILS(UNKNOWN))                                                                          \
    X(urllib3_a_refused_get_is_repeated, ROW_REFUSES("GET"), ROW_BACKS_OFF, ROW_FAILS(EXHAUSTED))  \
    X(urllib3_a_refused_post_is_repeated, ROW_REFUSES("POST"), ROW_BACKS_OFF,                      \
      ROW_FAILS(EXHAUSTED))                                                                        \
    X(urllib3_a_refused_patch_is_repeated_as_any_method, ROW_REFUSES("PATCH"), ROW_BACKS_OFF,      \
      ROW_FAILS(EXHAUSTED))                                                                        \
    X(urllib3_total_0_fails_the_first_503, ROW_ANSWERS(503, "GET"), .change = urllib3_total_0,     \
      ROW_ONCE, ROW_FAILS(EXHAUSTED))                                                              \
    X(urllib3_total_none_and_status_1_makes_two_attempts, ROW_ANSWERS(503, "GET"),                 \
      .change = urllib3_total_none_status_1, .attempts = 2, .sleeps_ms = {0},                      \
      ROW_FAILS(EXHAUSTED))                                                                        \
    X(urllib3_total_12_sleeps_up_to_120_seconds, ROW_ANSWERS(503, "GET"),                          \
      .change = urllib3_total_12, .attempts = 13,                                                  \
      .sleeps_ms = {0, 600, 1200, 2400, 4800, 9600, 19200, 38400, 76800, 120000, 120000, 120000},  \
      ROW_FAILS(EXHAUSTED))

/* For the two of them: a row as a test, which play(row) of the including file makes true; and its run(). */
#define URLLIB3_TEST(name, ...)                                                                    \
    static void name(void)                                                                         \
    {                                                                                              \
        static const struct urllib3_row row = {__VA_ARGS__};                                       \
        play(&row);                                                                                \
    }
#define URLLIB3_RUN(name, ...) run(name);

#endif
