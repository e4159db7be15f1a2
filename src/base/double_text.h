/* SPDX-License-Identifier: MIT */
/* Doubles as decimal text: the fewest digits that read back as the same number, whatever the locale. */
#ifndef WEIR_BASE_DOUBLE_TEXT_H
#define WEIR_BASE_DOUBLE_TEXT_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest is "-1.7976931348623157e+308"; a locale's decimal point may have four bytes. */
#define WEIR__DOUBLE_ROOM 32

/* Copy what printf() wrote, with a point whatever the locale wrote there; returns its length. */
static inline size_t weir__double_clean(const char *from, char room[WEIR__DOUBLE_ROOM])
{
    size_t size = 0;

    for (; *from != '\0'; from++) {
        bool is_plain =
            (*from >= '0' && *from <= '9') || *from == '-' || *from == '+' || *from == 'e';
        if (is_plain)
            room[size++] = *from;
        else if (size == 0 || room[size - 1] != '.')
            room[size++] = '.';
    }
    room[size] = '\0';
    return size;
}

static inline bool weir__double_try(double real, int count, char *digits)
{
    snprintf(digits, WEIR__DOUBLE_ROOM, "%.*g", count, real);
    return strtod(digits, NULL) == real;
}

/*
 * Sixteen digits, the last one raised by one. printf() rounds to the nearest decimal; just above a
 * power of two the doubles below lie twice as close as those above, so that the nearest decimal
 * below may read back as another double while the one above does not. 46 powers of two need this,
 * all of them written with an exponent.
 */
static inline bool weir__double_try_above(double real, char *digits)
{
    snprintf(digits, WEIR__DOUBLE_ROOM, "%.15e", real);
    char *last = strchr(digits, 'e') - 1;
    if (*last == '9')
        return false;
    ++*last;
    return strtod(digits, NULL) == real;
}

/*
 * Write a finite number, terminated, as "%g" does; returns its length. A number of up to 15 digits
 * is found again in the first try, since every double in the normal range tells that many apart.
 */
static inline size_t weir__double_write(double real, char room[WEIR__DOUBLE_ROOM])
{
    char digits[WEIR__DOUBLE_ROOM];
    int count = fabs(real) < DBL_MIN ? 1 : 15;

    while (!weir__double_try(real, count, digits) && count < 17)
        count++;
    if (count == 17 && !weir__double_try_above(real, digits))
        (void)weir__double_try(real, 17, digits);
    return weir__double_clean(digits, room);
}

#endif
