/* SPDX-License-Identifier: MIT */
/* Retry-After by urllib3's rules: the dates that email.utils of Python 3.11 reads, and what it makes of them. */
#include "check.h"

#include <weir/retry.h>

#define INVALID INT64_MIN
#define UNTOUCHED ((weir_time)-7)

static weir_retry_options urllib3(void)
{
    return (weir_retry_options)WEIR_RETRY_OPTIONS_URLLIB3;
}

static weir_time read_all(const weir_retry_options *options, const char *const *values,
                          size_t count, int64_t wall_now)
{
    weir_attempt attempt = {.retry_after = values, .retry_after_count = count};
    weir_time delay = UNTOUCHED;

    if (!weir_retry_after_asked(options, &attempt, wall_now, &delay))
        check_int(delay, UNTOUCHED);
    return delay;
}

static weir_time read_one(const char *value, int64_t wall_now)
{
    weir_retry_options options = urllib3();

    return read_all(&options, &value, 1, wall_now);
}

/* What `mktime_tz(parsedate_tz(text))` gives; INVALID where that is None or raises. */
static const struct {
    const char *text;
    int64_t seconds;
} dates[] = {
    /* the three forms of RFC 9110 */
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    /* RFC 5322, older and looser */
    {"06 Nov 1994 08:49:37 GMT", 784111777},
    {"6 Nov 1994 08:49:37 GMT", 784111777},
    {"Sun 6 Nov 1994 08:49:37 GMT", 784111777},
    {"sun, 6 nov 1994 08:49:37 gmt", 784111777},
    {"Sun,06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 6 November 1994 08:49:37 GMT", 784111777},
    {"Nov 6 1994 08:49:37 GMT", 784111777},
    {"NOVEMBER 6, 1994 08:49:37 GMT", 784111777},
    {"Sun, Nov 6 08:49:37 1994 GMT", 784111777},
    {"Sun, 06 Nov 1994 08:49 GMT", 784111740},
    {"Sun, 06 Nov 1994 8.49.37 GMT", 784111777},
    {"Sun, 06 Nov 1994 8.49 GMT", 784111740},
    {"Sun, 06 Nov 1994 8:49:7 GMT", 784111747},
    {"Sun, 06-Nov-1994 08:49:37 GMT", 784111777},
    {"Xyz, 06 Nov 1994 08:49:37 GMT", 784111777},
    /* without a zone */
    {"6 Nov 1994 08:49:37", 784111777},
    {"Sun, 06 Nov 1994 08:49:37", 784111777},
    {"Sun, 06 Nov 1994 08:49", 784111740},
    {"Nov 6 08:49:37 1994", 784111777},
    /* zones */
    {"Sun, 06 Nov 1994 08:49:37 +0000", 784111777},
    {"Sun, 06 Nov 1994 08:49:37 -0000", 784111777},
    {"Sun, 06 Nov 1994 08:49:37 +0100", 784108177},
    {"Sun, 06 Nov 1994 08:49:37 -0530", 784131577},
    {"Sun, 06 Nov 1994 08:49:37 0530", 784091977},
    {"Sun, 06 Nov 1994 08:49:37 +99", 784105837},
    {"Sun, 06 Nov 1994 08:49:37 +9999", 783749437},
    {"Sun, 06 Nov 1994 08:49:37 -1", 784111837},
    {"Sun, 06 Nov 1994 08:49:37 UT", 784111777},
    {"Sun, 06 Nov 1994 08:49:37 UTC", 784111777},
    {"Sun, 06 Nov 1994 08:49:37 Z", 784111777},
    {"Sun, 06 Nov 1994 08:49:37 AST", 784126177},
    {"Sun, 06 Nov 1994 08:49:37 ADT", 784122577},
    {"Sun, 06 Nov 1994 08:49:37 EST", 784129777},
    {"Sun, 06 Nov 1994 08:49:37 EDT", 784126177},
    {"Sun, 06 Nov 1994 08:49:37 CST", 784133377},
    {"Sun, 06 Nov 1994 08:49:37 CDT", 784129777},
    {"Sun, 06 Nov 1994 08:49:37 MST", 784136977},
    {"Sun, 06 Nov 1994 08:49:37 MDT", 784133377},
    {"Sun, 06 Nov 1994 08:49:37 PST", 784140577},
    {"Sun, 06 Nov 1994 08:49:37 PDT", 784136977},
    {"Sun, 06 Nov 1994 08:49:37 est", 784129777},
    {"Sun, 06 Nov 1994 08:49:37 CET", 784111777},
    {"Sun, 06 Nov 1994 08:49:37 MSK", 784111777},
    {"Sun, 06 Nov 1994 08:49:37 A", 784111777},
    {"Sun, 06 Nov 1994 08:49:37 +01:00", 784111777},
    {"Sun, 06 Nov 1994 08:49:37 GMT+1", 784111777},
    {"Sun, 06 Nov 1994 08:49:37-0500", 784129777},
    {"Sun, 06 Nov 1994 08:49:37+1400", 784061377},
    {"06-Nov-94 08:49:37 -0800", 784140577},
    /* what stands behind */
    {"Sun, 06 Nov 1994 08:49:37 GMT (London)", 784111777},
    {"Sun, 06 Nov 1994 08:49:37 GMT, 2", 784111777},
    {"Sun, 06 Nov 1994 08:49:37 -0500, 2", 784111777},
    /* years */
    {"Sunday, 01-Jan-70 00:00:00 GMT", 0},
    {"Sunday, 31-Dec-68 23:59:59 GMT", 3124223999},
    {"Sunday, 01-Jan-69 00:00:00 GMT", -31536000},
    {"Sunday, 01-Jan-00 00:00:00 GMT", 946684800},
    {"01 Jan 99 00:00:00 GMT", 915148800},
    {"01 Jan 100 00:00:00 GMT", -59011459200},
    {"01 Jan 0 00:00:00 GMT", 946684800},
    {"01 Jan 0100 00:00:00 GMT", -59011459200},
    {"01 Jan 19_95 00:00:00 GMT", 788918400},
    {"Fri, 11 Apr 2262 23:47:16 GMT", 9223372036},
    {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
    {"Sun, 06 Nov 10000 08:49:37 GMT", INVALID},
    /* numbers that no calendar has */
    {"31 Jun 2024 00:00:00 GMT", 1719792000},
    {"29 Feb 2023 00:00:00 GMT", 1677628800},
    {"29 Feb 2024 00:00:00 GMT", 1709164800},
    {"0 Mar 2024 00:00:00 GMT", 1709164800},
    {"-1 Mar 2024 00:00:00 GMT", 1709078400},
    {"400 Jan 2024 00:00:00 GMT", 1738540800},
    {"01 Jan 2024 24:00:00 GMT", 1704153600},
    {"01 Jan 2024 00:00:60 GMT", 1704067260},
    {"01 Jan 2024 99:99:99 GMT", 1704429639},
    {"01 Jan 2024 00:-1:00 GMT", 1704067140},
    /* blanks, commas, and words in another place */
    {"\013Sun, 06 Nov\2401994\03408:49:37 GMT\205", 784111777},
    {"Sun, 06 Nov 1994 08:49:37, GMT", 784111777},
    {"Sun, 06, Nov 1994 08:49:37 GMT", 784111777},
    {"Sun, 06 Nov 1994, 08:49:37 GMT", 784111777},
    {"06 Nov GMT 08:49:37 1994", 784111777},
    /* no dates */
    {"junk", INVALID},
    {"", INVALID},
    {"  ", INVALID},
    {"Sun,", INVALID},
    {"Sun, 06 Nov 1994", INVALID},
    {"Sun, 06 Nov", INVALID},
    {"1994-11-06T08:49:37Z", INVALID},
    {"1994-11-06 08:49:37", INVALID},
    {"Sunday, 06-Nov-94 08:49:37", INVALID},
    {"06/Nov/1994 08:49:37 GMT", INVALID},
    {"Sun, 06 Nox 1994 08:49:37 GMT", INVALID},
    {"Sun, 06 Sept 1994 08:49:37 GMT", INVALID},
    {"Sun. 06 Nov 1994 08:49:37 GMT", INVALID},
    {"Sun, x Nov 1994 08:49:37 GMT", INVALID},
    {"Sun, 06 Nov 1994 08:49:37.5 GMT", INVALID},
    {"Sun, 06 Nov 1994 8 GMT", INVALID},
    {"Sun, 06 Nov 1994 08:49:37:00 GMT", INVALID},
    {"Sun, 06 Nov 1994 08:x:37 GMT", INVALID},
    {"Sun, 06 Nov -1 08:49:37 GMT", INVALID},
    {"Sun, 1__0 Nov 1994 08:49:37 GMT", INVALID},
    {"Sun, 06 Nov \262 08:49:37 1994", INVALID},
    {"Sun, 06 Nov , 08:49:37 GMT", INVALID},
    {"-5", INVALID},
    {"+5", INVALID},
    {"1.5", INVALID},
    {"1e3", INVALID},
    {"0x10", INVALID},
    {"5 s", INVALID},
    {"2, 2", INVALID},
    {"1_0", INVALID},
    {"Infinity", INVALID},
    {"\331\243", INVALID},
};

static void every_date_is_read_as_python_reads_it(void)
{
    const int64_t last = INT64_MAX / WEIR_SECOND;

    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        int64_t seconds = dates[i].seconds;
        weir_time expected = INT64_MAX;
        if (seconds == INVALID)
            expected = UNTOUCHED;
        else if (seconds <= last)
            expected = seconds < 0 ? 0 : seconds * WEIR_SECOND;
        weir_time delay = read_one(dates[i].text, 0);

        if (delay != expected)
            printf("# \"%s\"\n", dates[i].text);
        check_int(delay, expected);
        if (seconds <= 0 || seconds > last)
            continue;
        check_int(read_one(dates[i].text, (seconds - 90) * WEIR_SECOND - 1), 90 * WEIR_SECOND + 1);
        check_int(read_one(dates[i].text, seconds * WEIR_SECOND), 0);
    }
}

static void numbers_of_any_size_overflow_nothing(void)
{
    static const char nines[] = "99999999999999999999999999999999999999999999999999999999999999999";
    static const char *const future[][2] = {{"", " Nov 1994 08:49:37 GMT"},
                                            {"6 Nov 1994 ", ":49:37 GMT"},
                                            {"6 Nov 1994 08:", ":37 GMT"},
                                            {"6 Nov 1994 08:49:", " GMT"},
                                            {"6 Nov 1994 08:49:37 -", ""}};
    static const char *const past[][2] = {{"-", " Nov 1994 08:49:37 GMT"},
                                          {"6 Nov 1994 -", ":49:37 GMT"},
                                          {"6 Nov 1994 08:49:37 +", ""}};
    char text[256];

    for (size_t i = 0; i < 5; i++) {
        snprintf(text, sizeof text, "%s%s%s", future[i][0], nines, future[i][1]);
        check_int(read_one(text, 0), INT64_MAX);
        check(read_one(text, INT64_MAX) >= 0);
        check_int(read_one(text, INT64_MIN), INT64_MAX);
    }
    for (size_t i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "%s%s%s", past[i][0], nines, past[i][1]);
        check_int(read_one(text, 0), 0);
        check_int(read_one(text, INT64_MIN), 0);
    }
    snprintf(text, sizeof text, "6 Nov %s 08:49:37 GMT", nines);
    check_int(read_one(text, 0), UNTOUCHED);
    check_int(read_one(nines, 0), INT64_MAX);
}

/* 64 KiB of a server's. */
static void a_long_value_is_no_more_than_its_beginning(void)
{
    static char text[65536];

    memset(text, ' ', sizeof text - 1);
    memcpy(text, "6 Nov 1994 08:49:37 GMT", 23);
    check_int(read_one(text, 0), 784111777 * WEIR_SECOND);
    memset(text + 23, 'x', sizeof text - 24);
    check_int(read_one(text, 0), 784111777 * WEIR_SECOND); /* an unknown zone */
    memset(text, ',', sizeof text - 1);
    check_int(read_one(text, 0), UNTOUCHED);
    memset(text, '1', sizeof text - 1);
    check_int(read_one(text, 0), INT64_MAX);
    memset(text, ' ', sizeof text - 1);
    check_int(read_one(text, 0), UNTOUCHED);
    text[sizeof text - 2] = '7';
    check_int(read_one(text, 0), 7 * WEIR_SECOND);
}

static void seconds_are_ascii_digits_with_any_blanks_around_them(void)
{
    check_int(read_one("5", 0), 5 * WEIR_SECOND);
    check_int(read_one(" \t005 \t", 0), 5 * WEIR_SECOND);
    check_int(read_one("\v5\240", 0), 5 * WEIR_SECOND);
    check_int(read_one("\2055\034", 0), 5 * WEIR_SECOND);
    check_int(read_one("0", 0), 0);
    check_int(read_one("5 6", 0), UNTOUCHED);
}

/* "A, B" to it: HTTPHeaderDict joins them. */
static void several_fields_are_one_value_with_commas_between(void)
{
    static const char gmt[] = "Sun, 06 Nov 1994 08:49:37 GMT";
    static const char later[] = "Mon, 07 Nov 1994 08:49:37 GMT";
    static const char far[] = "Sun, 06 Nov 1994 08:49:37 -0500";
    static const char bare[] = "Sun, 06 Nov 1994 08:49:37";
    static char endless[2000];
    weir_retry_options o = urllib3();
    const weir_time at = 784111777 * WEIR_SECOND;

    check_int(read_all(&o, (const char *[]){"2", "3"}, 2, 0), UNTOUCHED);
    check_int(read_all(&o, (const char *[]){"2", "2"}, 2, 0), UNTOUCHED);
    check_int(read_all(&o, (const char *[]){"2", gmt}, 2, 0), UNTOUCHED);
    check_int(read_all(&o, (const char *[]){"junk", gmt}, 2, 0), UNTOUCHED);
    check_int(read_all(&o, (const char *[]){gmt, "2"}, 2, 0), at);
    check_int(read_all(&o, (const char *[]){gmt, later}, 2, 0), at);
    check_int(read_all(&o, (const char *[]){gmt, later, "junk", ""}, 4, 0), at);
    check_int(read_all(&o, (const char *[]){bare, gmt}, 2, 0), at);
    check_int(read_all(&o, (const char *[]){far, gmt}, 2, 0), at); /* "-0500," is no zone */
    check_int(read_all(&o, (const char *[]){far}, 1, 0), at + 18000 * WEIR_SECOND);
    check_int(read_all(&o, NULL, 0, 0), UNTOUCHED);
    memset(endless, ' ', sizeof endless - 1);
    check_int(read_all(&o, (const char *[]){gmt, endless}, 2, 0), UNTOUCHED);
    check_int(read_all(&o, (const char *[]){gmt, gmt, gmt, gmt, gmt, gmt, gmt, gmt}, 8, 0), at);
}

static void without_the_rule_the_forms_of_rfc_9110_stay_and_the_longest_holds(void)
{
    weir_retry_options o = WEIR_RETRY_OPTIONS_DEFAULT;
    const char *const mixed[] = {"2", "06 Nov 1994 08:49:37 GMT", "5", "-1"};
    const char *const loose[] = {"Sun, 06 Nov 1994 08:49:37 +0100", "6 Nov 1994 08:49:37"};

    check_int(read_all(&o, mixed, 4, 0), 5 * WEIR_SECOND);
    check_int(read_all(&o, loose, 2, 0), UNTOUCHED);
    o.urllib3_rules = true;
    check_int(read_all(&o, loose, 1, 0), 784108177 * WEIR_SECOND);
}

/* 1994-11-06 08:49:37 +0000 is 90 seconds ahead. */
static weir_retry_decision decide(const weir_retry_options *o, const char *const *values,
                                  size_t count, unsigned *ret_invalid)
{
    weir_retry_state state;
    weir_attempt attempt = {.kind = WEIR_ATTEMPT_RESPONSE,
                            .status = 503,
                            .method = WEIR_METHOD_GET,
                            .retry_after = values,
                            .retry_after_count = count,
                            .is_rewindable = true};
    weir_moment moment = {
        .now = 1, .wall_now = (784111777 - 90) * WEIR_SECOND, .deadline = WEIR_DEADLINE_NEVER};

    weir_retry_init(&state, o);
    weir_retry_decision decision = weir_retry_next(o, &state, &attempt, &moment, NULL);
    *ret_invalid = state.invalid_retry_afters;
    return decision;
}

static void such_a_date_is_waited_for_and_an_invalid_one_fails_the_request(void)
{
    static const char *const good[] = {"6 Nov 94 03:49:37 EST", "Sun, 06 Nov 1994 09:49:37 +0100",
                                       "November 6 1994 8.49.37"};
    static const char *const bad[] = {"1994-11-06T08:49:37Z", "soon", "-1"};
    weir_retry_options o = urllib3();
    unsigned invalid = 0;

    for (size_t i = 0; i < 3; i++) {
        weir_retry_decision d = decide(&o, &good[i], 1, &invalid);
        check_int(d.cause, WEIR_CAUSE_RETRY_AFTER);
        check_int(d.delay, 90 * WEIR_SECOND);
        check_int(invalid, 0);
        d = decide(&o, &bad[i], 1, &invalid);
        check_int(d.verdict, WEIR_VERDICT_FAIL);
        check_int(d.cause, WEIR_CAUSE_INVALID);
        check_int(invalid, 1);
    }
    check_int(decide(&o, bad, 3, &invalid).cause, WEIR_CAUSE_INVALID);
    check_int(invalid, 1); /* one value */
    o.urllib3_rules = false;
    check_int(decide(&o, good, 3, &invalid).cause, WEIR_CAUSE_BACKOFF);
    check_int(invalid, 3);
}

int main(void)
{
    run(every_date_is_read_as_python_reads_it);
    run(numbers_of_any_size_overflow_nothing);
    run(a_long_value_is_no_more_than_its_beginning);
    run(seconds_are_ascii_digits_with_any_blanks_around_them);
    run(several_fields_are_one_value_with_commas_between);
    run(without_the_rule_the_forms_of_rfc_9110_stay_and_the_longest_holds);
    run(such_a_date_is_waited_for_and_an_invalid_one_fails_the_request);
    return check_done();
}
