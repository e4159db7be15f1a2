/* SPDX-License-Identifier: MIT */
/* Days and whole numbers as text. */
#include "parse.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

bool parse_date(const char *text, int *ret_year)
{
    static const int days_of[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (strlen(text) != 10)
        return false;
    for (size_t i = 0; i < 10; i++) {
        if (i == 4 || i == 7 ? text[i] != '-' : !is_digit(text[i]))
            return false;
    }
    int year = atoi(text), month = atoi(text + 5), day = atoi(text + 8);
    if (year < 1 || month < 1 || month > 12)
        return false;
    if (day < 1 || day > days_of[month - 1] + (month == 2 && is_leap(year)))
        return false;
    if (ret_year != NULL)
        *ret_year = year;
    return true;
}

bool parse_integer(const char *text, int64_t least, int64_t most, int64_t *ret_number)
{
    char *end;

    if (!is_digit(text[0]) && !(text[0] == '-' && is_digit(text[1])))
        return false;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || number < least || number > most)
        return false;
    *ret_number = number;
    return true;
}
