/* SPDX-License-Identifier: MIT */
/* The reader of spans of time. */
#include "duration.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    int64_t ms;
} units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

#define HUNDRED_YEARS_MS ((int64_t)36525 * 86400000)

static bool find_unit(const char *name, int64_t *ret_ms)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(name, units[i].name) == 0) {
            *ret_ms = units[i].ms;
            return true;
        }
    }
    return false;
}

static bool is_digit(char c)
{
    return isascii(c) && isdigit(c);
}

bool duration_parse(const char *text, int64_t *ret_ms)
{
    int64_t whole = 0, fraction = 0, scale = 1, unit;
    const char *at = text;

    if (!is_digit(*at))
        return false;
    for (; is_digit(*at); at++) {
        whole = whole * 10 + (*at - '0');
        if (whole > HUNDRED_YEARS_MS)
            return false;
    }
    if (*at == '.') {
        if (!is_digit(*++at))
            return false;
        /* Six digits say a day to less than a tenth of a second; later ones are read and dropped. */
        for (; is_digit(*at); at++) {
            if (scale < 1000000) {
                fraction = fraction * 10 + (*at - '0');
                scale *= 10;
            }
        }
    }
    if (!find_unit(at, &unit) || whole > HUNDRED_YEARS_MS / unit)
        return false;
    *ret_ms = whole * unit + fraction * unit / scale;
    return true;
}
