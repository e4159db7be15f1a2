/* SPDX-License-Identifier: MIT */
/* Retry-After: seconds or one of HTTP's three dates, and nothing else; or what urllib3 takes for either. */
#include "policy/retry_after.h"

#include "policy/calendar.h"
#include "policy/email_date.h"

#include <string.h>

/* The longest value that is put together of several fields, for urllib3. */
#define JOINED_SIZE 512

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

static int64_t seconds_of(const struct date *d)
{
    return weir__days_from_1970(d->year, d->month, d->day) * 86400 + d->hour * 3600 +
           d->minute * 60 + d->second;
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

/* Go over digits; what is too much is the longest time. */
static bool read_digits(const char **p, weir_time *ret_delay)
{
    weir_time value = 0;

    if (!is_digit(**p))
        return false;
    for (; is_digit(**p); (*p)++) {
        weir_time more = (**p - '0') * WEIR_SECOND;

        value = value > (INT64_MAX - more) / 10 ? INT64_MAX : value * 10 + more;
    }
    *ret_delay = value;
    return true;
}

static bool parse_seconds(const char *p, weir_time *ret_delay)
{
    weir_time delay = 0;

    if (!read_digits(&p, &delay) || !is_end(p))
        return false;
    *ret_delay = delay;
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

/* ---- as urllib3 reads it ----------------------------------------------------------------- */

static bool parse_as_urllib3(const char *text, int64_t wall_now, weir_time *ret_delay)
{
    const char *p = text;
    const char *end = text + strlen(text);
    weir_time delay = 0;
    int64_t seconds = 0;

    while (weir__is_email_blank(*p))
        p++;
    while (end > p && weir__is_email_blank(end[-1]))
        end--;
    if (p < end && read_digits(&p, &delay) && p == end) {
        *ret_delay = delay;
        return true;
    }
    if (!weir__email_date(text, &seconds))
        return false;
    *ret_delay = until(seconds, wall_now);
    return true;
}

/* What stands in several fields is one value to it, with commas between. false: that is too long. */
static bool join(const weir_attempt *attempt, char joined[JOINED_SIZE])
{
    size_t size = 0;

    for (size_t i = 0; i < attempt->retry_after_count; i++) {
        const char *value = attempt->retry_after[i];
        size_t length = strnlen(value, JOINED_SIZE);

        if (size + 2 + length >= JOINED_SIZE)
            return false;
        if (i > 0) {
            memcpy(joined + size, ", ", 2);
            size += 2;
        }
        memcpy(joined + size, value, length);
        size += length;
    }
    joined[size] = '\0';
    return true;
}

static bool read_as_urllib3(const weir_attempt *attempt, int64_t wall_now, weir_time *ret_delay)
{
    char joined[JOINED_SIZE];

    if (attempt->retry_after_count == 1)
        return parse_as_urllib3(attempt->retry_after[0], wall_now, ret_delay);
    return join(attempt, joined) && parse_as_urllib3(joined, wall_now, ret_delay);
}

/* ---- all of an attempt ------------------------------------------------------------------- */

struct retry_after weir__retry_after_read(const weir_retry_options *options,
                                          const weir_attempt *attempt, int64_t wall_now)
{
    struct retry_after read = {0};

    if (options->urllib3_rules && attempt->retry_after_count > 0) {
        read.valid = read_as_urllib3(attempt, wall_now, &read.longest);
        read.invalid = 1 - read.valid;
        return read;
    }
    for (size_t i = 0; i < attempt->retry_after_count; i++) {
        weir_time delay = 0;
        bool is_valid = weir_retry_after_parse(attempt->retry_after[i], wall_now, &delay);

        read.valid += is_valid;
        read.invalid += !is_valid;
        if (delay > read.longest)
            read.longest = delay;
    }
    return read;
}

bool weir_retry_after_asked(const weir_retry_options *options, const weir_attempt *attempt,
                            int64_t wall_now, weir_time *ret_delay)
{
    struct retry_after read = weir__retry_after_read(options, attempt, wall_now);

    if (read.valid > 0)
        *ret_delay = read.longest;
    return read.valid > 0;
}
