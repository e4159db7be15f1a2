/* SPDX-License-Identifier: MIT */
/* Reads the value of an option from its text. */
#include "config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/option.h"
#include "duration.h"
#include "log/log.h"

static bool parse_number(const char *text, int64_t *ret_number)
{
    char *end;

    /* strtoll() would skip blanks and take a plus, which nobody means to write. */
    if (*text != '-' && (*text < '0' || *text > '9'))
        return false;
    errno = 0;
    *ret_number = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static bool parse_bool(const char *text, int64_t *ret_number)
{
    bool value;

    if (!option_parse_bool(text, &value))
        return false;
    *ret_number = value;
    return true;
}

static bool parse_level(const char *text, int64_t *ret_number)
{
    enum log_level level;

    if (!log_level_parse(text, &level))
        return false;
    *ret_number = (int64_t)level;
    return true;
}

static bool parse_format(const char *text, int64_t *ret_number)
{
    enum log_format format;

    if (!log_format_parse(text, &format))
        return false;
    *ret_number = (int64_t)format;
    return true;
}

/* Up to six decimals count. strtod() would take "nan" and "0x1", and another comma elsewhere. */
static bool parse_share(const char *text, int64_t *ret_number)
{
    int64_t weight = MILLION;
    int64_t sum = 0;

    if (*text != '0' && *text != '1' && *text != '.')
        return false;
    if (*text != '.')
        sum = (*text++ - '0') * weight;
    if (*text == '.' && text[1] == '\0')
        return false;
    if (*text == '.')
        for (text++; *text >= '0' && *text <= '9'; text++) {
            weight /= 10;
            sum += (*text - '0') * weight;
        }
    *ret_number = sum;
    return *text == '\0';
}

bool config_value_parse(const struct config_option *option, const char *text, int64_t *ret_number)
{
    bool is_fine = option->kind == KIND_NUMBER   ? parse_number(text, ret_number)
                   : option->kind == KIND_SPAN   ? duration_parse(text, ret_number)
                   : option->kind == KIND_LEVEL  ? parse_level(text, ret_number)
                   : option->kind == KIND_FORMAT ? parse_format(text, ret_number)
                   : option->kind == KIND_SHARE  ? parse_share(text, ret_number)
                                                 : parse_bool(text, ret_number);

    if (option->kind == KIND_LEVEL || option->kind == KIND_FORMAT || option->kind == KIND_BOOL)
        return is_fine;
    return is_fine && *ret_number >= option->least && *ret_number <= option->most;
}

void config_value_allowed(const struct config_option *option, char *out, size_t size)
{
    switch (option->kind) {
    case KIND_NUMBER:
        snprintf(out, size, "%" PRId64 " to %" PRId64, option->least, option->most);
        break;
    case KIND_SPAN:
        snprintf(out, size, "a duration from %" PRId64 "ms to %" PRId64 "h, as in 500ms, 10s, 2m",
                 option->least, option->most / HOUR_MS);
        break;
    case KIND_LEVEL:
        snprintf(out, size, "DEBUG, INFO, WARNING or ERROR");
        break;
    case KIND_FORMAT:
        snprintf(out, size, "text or json");
        break;
    case KIND_BOOL:
        snprintf(out, size, "true or false");
        break;
    case KIND_SHARE:
        snprintf(out, size, "a share from 0 to 1, as in 0.05");
        break;
    default:
        out[0] = '\0';
    }
}
