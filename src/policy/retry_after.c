/* SPDX-License-Identifier: MIT */
/* Retry-After: seconds or one of HTTP's three dates, and nothing else. */
#include <weir/retry.h>

#include "policy/chance.h"

#include <string.h>

/* Gregorian years have 365.2425 days. */
#define SECONDS_OF_A_YEAR ((int64_t)31556952)

struct date {
    int year, month, day; /* month 1 to 12 */
    int hour, minute, second;
};

/* ---- pieces ------------------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Go over exactly `text`. */
static bool skip(const char **p, const char *text)
{
    size_t length = strlen(text);

    if (strncmp(*p, text, length) != 0)
        return false;
    *p += length;
    return true;
}

/* Read exactly `digits` digits. */
static bool number(const char **p, int digits, int *ret_value)
{
    int value = 0;

    for (int i = 0; i < digits; i++, (*p)++) {
        if (!is_digit(**p))
            return false;
        value = value * 10 + (**p - '0');
    }
    *ret_value = value;
    return true;
}

/* Go over one of the names and say which, from 0; -1 when none stands there. A name that begins
 * another comes after it. */
static int name(const char **p, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (skip(p, names[i]))
            return i;
    return -1;
}

static bool short_weekday(const char **p)
{
    static const char *const names[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

    return name(p, names, 7) >= 0;
}

static bool long_weekday(const char **p)
{
    static const char *const names[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};

    return name(p, names, 7) >= 0;
}

static bool month(const char **p, int *ret_month)
{
    static const char *const names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

    *ret_month = name(p, names, 12) + 1;
    return *ret_month > 0;
}

static bool time_of_day(const char **p, struct date *d)
{
    return number(p, 2, &d->hour) && skip(p, ":") && number(p, 2, &d->minute) && skip(p, ":") &&
           number(p, 2, &d->second);
}

/* ---- the three forms --------------------------------------------------------------------- */

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool imf_fixdate(const char **p, struct date *d)
{
    return short_weekday(p) && skip(p, ", ") && number(p, 2, &d->day) && skip(p, " ") &&
           month(p, &d->month) && skip(p, " ") && number(p, 4, &d->year) && skip(p, " ") &&
           time_of_day(p, d) && skip(p, " GMT");
}

/* Sunday, 06-Nov-94 08:49:37 GMT, which RFC 9110 (5.6.7) takes for the past when it would be more
 * than 50 years ahead. */
static bool rfc850_date(const char **p, int64_t wall_now, struct date *d)
{
    int newest = 1970 + 50 + (int)(wall_now / WEIR_SECOND / SECONDS_OF_A_YEAR);
    int digits = 0;

    if (!(long_weekday(p) && skip(p, ", ") && number(p, 2, &d->day) && skip(p, "-") &&
          month(p, &d->month) && skip(p, "-") && number(p, 2, &digits) && skip(p, " ") &&
          time_of_day(p, d) && skip(p, " GMT")))
        return false;
    d->year = newest - (newest - digits) % 100;
    return true;
}

/* Sun Nov  6 08:49:37 1994 */
static bool asctime_date(const char **p, struct date *d)
{
    if (!(short_weekday(p) && skip(p, " ") && month(p, &d->month) && skip(p, " ")))
        return false;
    if (!(skip(p, " ") ? number(p, 1, &d->day) : number(p, 2, &d->day)))
        return false;
    return skip(p, " ") && time_of_day(p, d) && skip(p, " ") && number(p, 4, &d->year);
}

/* ---- calendar ---------------------------------------------------------------------------- */

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* A leap second, 60, is allowed in any minute. */
static bool exists(const struct date *d)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int in_month = days[d->month - 1] + (d->month == 2 && is_leap(d->year));

    return d->day >= 1 && d->day <= in_month && d->hour < 24 && d->minute < 60 && d->second <= 60;
}

/* Seconds since 1970. Years are counted from March, so that the leap day is a year's last. */
static int64_t seconds_of(const struct date *d)
{
    int64_t year = d->year - (d->month <= 2);
    int from_march = (d->month + 9) % 12;
    int64_t day_of_year = (153 * from_march + 2) / 5 + d->day - 1;
    int64_t cycle = (year >= 0 ? year : year - 399) / 400; /* of 400 years, 146097 days each */
    int64_t of_cycle = year - cycle * 400;
    int64_t days = cycle * 146097 + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + day_of_year;

    /* 1 March of the year 0 was 719468 days before 1970. */
    return (days - 719468) * 86400 + d->hour * 3600 + d->minute * 60 + d->second;
}

static weir_time until(int64_t seconds, int64_t wall_now)
{
    if (seconds > INT64_MAX / WEIR_SECOND)
        return INT64_MAX;
    if (seconds < INT64_MIN / WEIR_SECOND || seconds * WEIR_SECOND <= wall_now)
        return 0;
    if (wall_now < 0 && seconds * WEIR_SECOND > INT64_MAX + wall_now)
        return INT64_MAX;
    return seconds * WEIR_SECOND - wall_now;
}

/* ---- whole values ------------------------------------------------------------------------ */

static bool is_end(const char *p)
{
    while (is_blank(*p))
        p++;
    return *p == '\0';
}

static bool parse_seconds(const char *p, weir_time *ret_delay)
{
    weir_time value = 0;

    if (!is_digit(*p))
        return false;
    for (; is_digit(*p); p++) {
        weir_time more = (*p - '0') * WEIR_SECOND;

        value = value > (INT64_MAX - more) / 10 ? INT64_MAX : value * 10 + more;
    }
    if (!is_end(p))
        return false;
    *ret_delay = value;
    return true;
}

static bool parse_date(const char *text, int64_t wall_now, weir_time *ret_delay)
{
    struct date d = {0};
    const char *p = text;
    bool is_read = imf_fixdate(&p, &d) || (p = text, rfc850_date(&p, wall_now, &d)) ||
                   (p = text, asctime_date(&p, &d));

    if (!is_read || !is_end(p) || !exists(&d))
        return false;
    *ret_delay = until(seconds_of(&d), wall_now);
    return true;
}

bool weir_retry_after_parse(const char *text, int64_t wall_now, weir_time *ret_delay)
{
    while (is_blank(*text))
        text++;
    return parse_seconds(text, ret_delay) || parse_date(text, wall_now, ret_delay);
}
