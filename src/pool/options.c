/* SPDX-License-Identifier: MIT */
/* The options of a pool: their ranges, and how they are written in a URL. One table says both. */
#include "pool/core.h"

#include <string.h>
#include <strings.h>

/* A whole-number option: its name in URLs, its place, how many of its units one of the URL's is. */
struct number_option {
    const char *name;
    size_t offset;
    int low;
    int high;
    int scale; /* 1000: the URL says seconds, fractions allowed, the field milliseconds */
};

#define NUMBER(name, field, low, high, scale)                                                      \
    {                                                                                              \
        name, offsetof(weir_pool_options, field), low, high, scale                                 \
    }

static const struct number_option numbers[] = {
    NUMBER("pool_size", pool_size, 0, WEIR_POOL_CEILING, 1),
    NUMBER("max_overflow", max_overflow, -1, WEIR_POOL_CEILING, 1),
    NUMBER("pool_timeout", pool_timeout_ms, -1, 86400000, 1000),
    NUMBER("pool_recycle", pool_recycle_s, -1, 31536000, 1),
    NUMBER("recycle_jitter", recycle_jitter_percent, 0, 100, 1),
    NUMBER("ping_bypass_ms", ping_bypass_ms, 0, 3600000, 1),
    NUMBER("ping_timeout_ms", ping_timeout_ms, 1, 3600000, 1),
    NUMBER("reset_timeout_ms", reset_timeout_ms, 1, 3600000, 1),
    NUMBER("handoff_after_us", handoff_after_us, 0, 10000000, 1),
    NUMBER("max_waiters", max_waiters, 0, 1000000, 1),
    NUMBER("use_time_every", use_time_every, 1, 1048576, 1),
    NUMBER("leak_report_after_ms", leak_report_after_ms, 0, 86400000, 1),
};

#define NUMBERS (sizeof numbers / sizeof numbers[0])

static int *place_of(weir_pool_options *options, const struct number_option *number)
{
    return (int *)(void *)((char *)options + number->offset);
}

static int value_of(const weir_pool_options *options, const struct number_option *number)
{
    int value;

    memcpy(&value, (const char *)options + number->offset, sizeof value);
    return value;
}

/* ---- ranges ------------------------------------------------------------------------------ */

/* -1 means something of its own wherever it is allowed; in a URL's seconds it stays -1. */
static weir_status out_of_range(const struct number_option *number, const char *value,
                                weir_error *reterr)
{
    const char *unit = number->scale == 1000 ? " seconds" : "";
    double high = (double)number->high / number->scale;

    return weir_error_set(reterr, WEIR_INVALID, "%s=%s: must be %d to %.0f%s", number->name, value,
                          number->low, high, unit);
}

static weir_status check_number(const weir_pool_options *options,
                                const struct number_option *number, weir_error *reterr)
{
    int value = value_of(options, number);
    if (value >= number->low && value <= number->high)
        return WEIR_OK;
    return weir_error_set(reterr, WEIR_INVALID, "%s%s %d: must be %d to %d", number->name,
                          number->scale == 1000 ? "_ms" : "", value, number->low, number->high);
}

static weir_status check_name(const char *name, weir_error *reterr)
{
    size_t length = name == NULL ? 0 : strnlen(name, NAME_SIZE);

    if (length == 0 || length == NAME_SIZE)
        return weir_error_set(reterr, WEIR_INVALID, "pool name: must have 1 to %d bytes",
                              NAME_SIZE - 1);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7F)
            return weir_error_set(reterr, WEIR_INVALID,
                                  "pool name: has a control character at byte %zu", i + 1);
    return WEIR_OK;
}

weir_status weir__pool_options_check(const weir_pool_options *options, weir_error *reterr)
{
    weir_status status = check_name(options->name, reterr);

    for (size_t i = 0; i < NUMBERS && status == WEIR_OK; i++)
        status = check_number(options, &numbers[i], reterr);
    if (status != WEIR_OK)
        return status;
    if (options->pool_size + options->max_overflow > WEIR_POOL_CEILING)
        return weir_error_set(reterr, WEIR_INVALID,
                              "pool_size %d with max_overflow %d: together at most %d",
                              options->pool_size, options->max_overflow, WEIR_POOL_CEILING);
    if (options->reset_on_return > WEIR_RESET_NONE)
        return weir_error_set(reterr, WEIR_INVALID,
                              "reset_on_return %d: must be rollback, commit or none",
                              (int)options->reset_on_return);
    if (options->nested > WEIR_NESTED_REFUSE)
        return weir_error_set(reterr, WEIR_INVALID, "nested %d: must be allow, warn or refuse",
                              (int)options->nested);
    return WEIR_OK;
}

/* ---- text -------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/*
 * Read a decimal number, in thousandths, and nothing else: no sign but '-', no blanks, no hexadecimal,
 * no exponent, and no locale's idea of a decimal point. What is finer than a thousandth or larger than
 * any option is no number either.
 */
static bool parse_decimal(const char *text, int64_t *ret_thousandths)
{
    bool is_negative = *text == '-';
    const char *p = text + is_negative;
    int64_t value = 0;
    int64_t unit = 1000;

    if (!is_digit(*p))
        return false;
    for (; is_digit(*p) && value <= INT32_MAX; p++)
        value = value * 10 + (*p - '0');
    value *= unit;
    if (*p == '.') {
        for (p++; is_digit(*p) && (unit > 1 || *p == '0'); p++) {
            unit /= 10;
            value += unit * (*p - '0');
        }
    }
    *ret_thousandths = is_negative ? -value : value;
    return *p == '\0';
}

static weir_status set_number(weir_pool_options *options, const struct number_option *number,
                              const char *text, weir_error *reterr)
{
    int64_t value;

    /* -1 is a word of its own and no amount of seconds; nothing else below 0 is anything. */
    if (!parse_decimal(text, &value) || (value < 0 && value != -1000))
        return out_of_range(number, text, reterr);
    if (value > 0)
        value *= number->scale;
    if (value % 1000 != 0 || value / 1000 < number->low || value / 1000 > number->high)
        return out_of_range(number, text, reterr);
    *place_of(options, number) = (int)(value / 1000);
    return WEIR_OK;
}

static weir_status set_bool(bool *place, const char *name, const char *text, weir_error *reterr)
{
    static const char *const yes[] = {"true", "1", "yes", "on"};
    static const char *const no[] = {"false", "0", "no", "off"};

    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *place = strcasecmp(text, yes[i]) == 0;
            return WEIR_OK;
        }
    }
    return weir_error_set(reterr, WEIR_INVALID, "%s=%s: must be true or false", name, text);
}

static weir_status set_reset(weir_reset *place, const char *name, const char *text,
                             weir_error *reterr)
{
    static const char *const words[] = {"rollback", "commit", "none"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *place = (weir_reset)i;
            return WEIR_OK;
        }
    }
    return weir_error_set(reterr, WEIR_INVALID, "%s=%s: must be rollback, commit or none", name,
                          text);
}

static weir_status set_nested(weir_nested *place, const char *name, const char *text,
                              weir_error *reterr)
{
    static const char *const words[] = {"allow", "warn", "refuse"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *place = (weir_nested)i;
            return WEIR_OK;
        }
    }
    return weir_error_set(reterr, WEIR_INVALID, "%s=%s: must be allow, warn or refuse", name, text);
}

weir_status weir_pool_options_set(weir_pool_options *options, const char *name, const char *text,
                                  weir_error *reterr)
{
    for (size_t i = 0; i < NUMBERS; i++)
        if (strcmp(name, numbers[i].name) == 0)
            return set_number(options, &numbers[i], text, reterr);
    if (strcmp(name, "pool_pre_ping") == 0)
        return set_bool(&options->pool_pre_ping, name, text, reterr);
    if (strcmp(name, "pool_use_lifo") == 0)
        return set_bool(&options->use_lifo, name, text, reterr);
    if (strcmp(name, "pool_reset_on_return") == 0)
        return set_reset(&options->reset_on_return, name, text, reterr);
    if (strcmp(name, "pool_nested") == 0)
        return set_nested(&options->nested, name, text, reterr);
    return weir_error_set(reterr, WEIR_NOT_FOUND, "%s: no option of a pool has this name", name);
}
