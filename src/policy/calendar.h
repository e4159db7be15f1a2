/* SPDX-License-Identifier: MIT */
/* The Gregorian calendar, before 1582 too. */
#ifndef WEIR_POLICY_CALENDAR_H
#define WEIR_POLICY_CALENDAR_H

#include <stdint.h>

/* Days from 1970 to a date; `month` counts from 1. Years are counted from March, so that the leap day is a
 * year's last. */
static inline int64_t weir__days_from_1970(int year, int month, int day)
{
    int64_t from_march = year - (month <= 2);
    int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    int64_t cycle = (from_march >= 0 ? from_march : from_march - 399) / 400; /* of 146097 days */
    int64_t of_cycle = from_march - cycle * 400;
    int64_t days = cycle * 146097 + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + day_of_year;

    return days - 719468; /* 1 March of the year 0 was so many days before 1970 */
}

#endif
