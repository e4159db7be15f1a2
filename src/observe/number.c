/* SPDX-License-Identifier: MIT */
/* Numbers as Prometheus' text writes them. */
#include "observe/number.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weir__number_clean(const char *from, char *to)
{
    char *start = to;

    for (; *from != '\0'; from++) {
        bool is_plain =
            (*from >= '0' && *from <= '9') || *from == '-' || *from == '+' || *from == 'e';

        if (is_plain)
            *to++ = *from;
        else if (to == start || to[-1] != '.')
            *to++ = '.';
    }
    *to = '\0';
}

/* The shortest of 15 to 17 digits that reads back as the same number. */
static void write_fraction(double value, char number[NUMBER_ROOM])
{
    char text[NUMBER_ROOM];

    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    weir__number_clean(text, number);
}

void weir__number_write(double value, char number[NUMBER_ROOM])
{
    if (isnan(value))
        memcpy(number, "NaN", 4);
    else if (isinf(value))
        memcpy(number, value > 0 ? "+Inf" : "-Inf", 5);
    else if (fabs(value) < 1e15 && value == (double)(long long)value)
        snprintf(number, NUMBER_ROOM, "%lld", (long long)value);
    else
        write_fraction(value, number);
}
