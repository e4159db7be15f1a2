/* SPDX-License-Identifier: MIT */
/* Retry-After: both forms as the RFCs write them, and everything else that a server may send. */
#include "check.h"

#include <weir/retry.h>

/* Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples. */
#define EXAMPLE ((int64_t)784111777)
#define UNTOUCHED ((weir_time)-7)

static weir_time read_at(const char *text, int64_t wall_s)
{
    weir_time delay = UNTOUCHED;

    if (!weir_retry_after_parse(text, wall_s * WEIR_SECOND, &delay))
        check_int(delay, UNTOUCHED);
    return delay;
}

/* The whole seconds from 1970 to a date: what is left of it at 1970. */
static int64_t seconds(const char *date)
{
    weir_time delay = read_at(date, 0);

    return delay < 0 ? delay : delay / WEIR_SECOND;
}

static void refused(const char *text)
{
    weir_time delay = UNTOUCHED;

    if (weir_retry_after_parse(text, EXAMPLE * WEIR_SECOND, &delay)) {
        printf("# accepted: \"%s\"\n", text);
        check(false);
    }
    check_int(delay, UNTOUCHED);
}

static void seconds_are_whole_numbers_with_blanks_around_them(void)
{
    check_int(read_at("0", EXAMPLE), 0);
    check_int(read_at("2", EXAMPLE), 2 * WEIR_SECOND);
    check_int(read_at("120", 0), 120 * WEIR_SECOND);
    check_int(read_at(" \t30 \t", EXAMPLE), 30 * WEIR_SECOND);
    check_int(read_at("007", EXAMPLE), 7 * WEIR_SECOND);
    check_int(read_at("999999", EXAMPLE), 999999 * WEIR_SECOND);
}

static void huge_seconds_are_the_longest_time_and_never_negative(void)
{
    check_int(read_at("9223372036", 0), 9223372036 * WEIR_SECOND);
    check_int(read_at("9223372037", 0), INT64_MAX);
    check_int(read_at("9223372036854775807", 0), INT64_MAX);
    check_int(read_at("9223372036854775808", 0), INT64_MAX);
    check_int(read_at("18446744073709551616", 0), INT64_MAX);
    check_int(read_at("18446744073709551617", 0), INT64_MAX);
    check_int(read_at("99999999999999999999999999999999999999999999999999999999999999", 0),
              INT64_MAX);
}

static void all_three_forms_of_a_date_mean_the_same_instant(void)
{
    check_int(read_at("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE - 90), 90 * WEIR_SECOND);
    check_int(read_at("Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE - 90), 90 * WEIR_SECOND);
    check_int(read_at("Sun Nov  6 08:49:37 1994", EXAMPLE - 90), 90 * WEIR_SECOND);
    check_int(read_at("Wed Nov 16 08:49:37 1994", EXAMPLE), 864000 * WEIR_SECOND);
    check_int(read_at("  Sun, 06 Nov 1994 08:49:37 GMT ", EXAMPLE - 1), WEIR_SECOND);
}

static void a_date_is_counted_from_the_nanosecond_so_that_nobody_is_early(void)
{
    weir_time delay = 0;

    check(weir_retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT",
                                 EXAMPLE * WEIR_SECOND - 1500 * WEIR_MS - 1, &delay));
    check_int(delay, 1500 * WEIR_MS + 1);
}

static void a_date_that_has_passed_is_no_time(void)
{
    check_int(read_at("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE), 0);
    check_int(read_at("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE + 1), 0);
    check_int(read_at("Mon, 01 Jan 0001 00:00:00 GMT", EXAMPLE), 0);
    check_int(read_at("Sat, 01 Jan 0000 00:00:00 GMT", EXAMPLE), 0);
    check_int(read_at("Thu Jan  1 00:00:00 1970", EXAMPLE), 0);
}

static void the_calendar_is_the_gregorian_one(void)
{
    check_int(seconds("Thu, 01 Jan 1970 00:00:01 GMT"), 1);
    check_int(seconds("Thu, 29 Feb 2024 12:00:00 GMT"), 1709208000);
    check_int(seconds("Tue, 29 Feb 2000 00:00:00 GMT"), 951782400);
    check_int(seconds("Wed, 01 Mar 2000 00:00:00 GMT"), 951868800);
    check_int(seconds("Mon, 01 Mar 2100 00:00:00 GMT"), 4107542400);
    check_int(seconds("Tue, 19 Jan 2038 03:14:08 GMT"), 2147483648);
    check_int(seconds("Fri, 31 Dec 1999 23:59:60 GMT"), 946684800);
    refused("Mon, 29 Feb 2100 00:00:00 GMT");
    refused("Sat, 29 Feb 2025 00:00:00 GMT");
    refused("Mon, 31 Apr 2024 00:00:00 GMT");
    refused("Mon, 00 Apr 2024 00:00:00 GMT");
    refused("Mon, 32 Jan 2024 00:00:00 GMT");
}

/* One more day each day, from 1970 to where nanoseconds end: every month's end and every leap rule. */
static void days_follow_one_another(void)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t expected = 0;
    int wrong = 0;

    for (int year = 1970; year < 2262; year++) {
        for (int month = 0; month < 12; month++) {
            for (int day = 1; day <= 31; day++) {
                char text[64];
                snprintf(text, sizeof text, "Mon, %02d %s %04d 00:00:00 GMT", day, months[month],
                         year);
                int64_t got = seconds(text);
                if (got == UNTOUCHED)
                    continue;
                wrong += got != expected;
                expected += 86400;
            }
        }
    }
    check_int(wrong, 0);
    check_int(expected, (int64_t)(292 * 365 + 71) * 86400);
}

static void a_date_of_the_year_9999_is_the_longest_time(void)
{
    check_int(read_at("Fri, 31 Dec 9999 23:59:59 GMT", EXAMPLE), INT64_MAX);
    check_int(read_at("Fri Dec 31 23:59:59 9999", EXAMPLE), INT64_MAX);
    check_int(read_at("Fri, 11 Apr 2262 23:47:17 GMT", 0), INT64_MAX);
}

static void a_clock_before_1970_or_at_its_ends_overflows_nothing(void)
{
    weir_time delay = 0;

    check(weir_retry_after_parse("Fri, 11 Apr 2262 00:00:00 GMT", INT64_MIN, &delay));
    check_int(delay, INT64_MAX);
    check(weir_retry_after_parse("Fri, 11 Apr 2262 00:00:00 GMT", INT64_MAX, &delay));
    check_int(delay, 0);
    check(weir_retry_after_parse("Sunday, 06-Nov-94 08:49:37 GMT", INT64_MIN, &delay));
    check(weir_retry_after_parse("Sunday, 06-Nov-94 08:49:37 GMT", INT64_MAX, &delay));
    check_int(read_at("Thu, 01 Jan 1970 00:00:01 GMT", -1), 2 * WEIR_SECOND);
}

static void a_year_of_two_digits_is_at_most_50_years_ahead(void)
{
    const int64_t in_2024 = 1709208000;

    check_int(read_at("Sunday, 31-Dec-74 23:59:59 GMT", in_2024) > 0, 1);
    check_int(read_at("Sunday, 01-Jan-75 00:00:00 GMT", in_2024), 0);
    check_int(read_at("Friday, 01-Mar-24 00:00:00 GMT", in_2024), 43200 * WEIR_SECOND);
    check_int(read_at("Sunday, 06-Nov-99 08:49:37 GMT", in_2024), 0);
    /* 1 January 2001, seen from 31 December 1999. */
    check_int(read_at("Monday, 01-Jan-01 00:00:00 GMT", 946598400), 367 * 86400 * WEIR_SECOND);
}

static void numbers_that_are_not_whole_or_not_positive_are_refused(void)
{
    static const char *const texts[] = {
        "-1", "-0", "+1", "1.5",      "1,5", "1e3", "0x10", "1 2",  "1s",  "2 s", "2, 2", "2,2",
        "",   " ",  "\t", "\xD9\xA3", "NaN", "inf", "1\r",  "1\n2", "\v1", "1_0", "--1",  "-9e9"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        refused(texts[i]);
}

static void what_is_nearly_a_date_is_refused(void)
{
    static const char *const texts[] = {
        "junk",
        "tomorrow",
        "Sun",
        "Sun, ",
        "Sun, 06 Nov 1994",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37 GMT+1",
        "Sun, 06 Nov 1994 08:49:37 GMT, 2",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 19944 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov 00 08:49:37 1994",
        "1994-11-06T08:49:37Z",
        "06 Nov 1994 08:49:37 GMT",
        "784111777 GMT",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        refused(texts[i]);
}

int main(void)
{
    run(seconds_are_whole_numbers_with_blanks_around_them);
    run(huge_seconds_are_the_longest_time_and_never_negative);
    run(all_three_forms_of_a_date_mean_the_same_instant);
    run(a_date_is_counted_from_the_nanosecond_so_that_nobody_is_early);
    run(a_date_that_has_passed_is_no_time);
    run(the_calendar_is_the_gregorian_one);
    run(days_follow_one_another);
    run(a_date_of_the_year_9999_is_the_longest_time);
    run(a_clock_before_1970_or_at_its_ends_overflows_nothing);
    run(a_year_of_two_digits_is_at_most_50_years_ahead);
    run(numbers_that_are_not_whole_or_not_positive_are_refused);
    run(what_is_nearly_a_date_is_refused);
    return check_done();
}
