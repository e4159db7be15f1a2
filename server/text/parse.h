/* SPDX-License-Identifier: MIT */
/* Days and whole numbers as text. */
#ifndef WEIR_SERVER_PARSE_H
#define WEIR_SERVER_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether it is YYYY-MM-DD (ISO 8601), a day that the Gregorian calendar has, year 1 to 9999. ret_year may
 * be NULL. */
bool parse_date(const char *text, int *ret_year);

/* Whether it is a whole decimal number within the limits, with nothing else around it. */
bool parse_integer(const char *text, int64_t least, int64_t most, int64_t *ret_number);

#endif
