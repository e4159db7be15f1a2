/* SPDX-License-Identifier: MIT */
/* Numbers as Prometheus' text writes them. */
#include "observe/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void weir__number_write(double value, char number[NUMBER_ROOM])
{
    if (isnan(value))
        memcpy(number, "NaN", 4);
    else if (isinf(value))
        memcpy(number, value > 0 ? "+Inf" : "-Inf", 5);
    else if (fabs(value) < 1e15 && value == (double)(long long)value)
        snprintf(number, NUMBER_ROOM, "%lld", (long long)value);
    else
        weir__double_write(value, number);
}
