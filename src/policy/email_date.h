/* SPDX-License-Identifier: MIT */
/* Dates as Python's email.utils reads them, which is how urllib3 reads those of Retry-After. */
#ifndef WEIR_POLICY_EMAIL_DATE_H
#define WEIR_POLICY_EMAIL_DATE_H

#include <stdbool.h>
#include <stdint.h>

/* What str.isspace() calls a blank, byte by byte of ISO 8859-1. */
bool weir__is_email_blank(char c);

/*
 * Read a date as `mktime_tz(parsedate_tz(text))` of Python 3.11 does: RFC 5322 with and without the weekday,
 * RFC 850, asctime, day and month in either order, months in full, years of two digits (69 and above are of
 * the last century), zones by number or by one of fourteen names. A zone that is not known counts as
 * UTC, and so does none. Numbers are not held against the calendar: the 31st of June is the 1st of July,
 * hour 24 the next day's first.
 *
 * *ret_seconds counts from 1970 UTC; numbers beyond 10^12 count as that. false, and nothing set: no date,
 * or one whose year is not from 1 to 9999.
 */
bool weir__email_date(const char *text, int64_t *ret_seconds);

#endif
