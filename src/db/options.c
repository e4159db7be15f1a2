/* SPDX-License-Identifier: MIT */
/* The database's options: one table of names and ranges, for structs and URLs alike. */
#include "db/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define APPLICATION_NAME_BYTES 63

/* A whole-number option: where it is in weir_db_options, and its range. In the URL a unit of the
 * option counts `scale` of the struct's. */
struct number {
    const char *name;
    size_t offset;
    bool is_wide; /* int64_t, not int */
    int64_t least;
    int64_t most;
    int scale;
};

static const struct number numbers[] = {
    {"statement_timeout_ms", offsetof(weir_db_options, statement_timeout_ms), false, 0, 86400000,
     1},
    {"connect_timeout", offsetof(weir_db_options, connect_timeout_ms), false, 1, 3600000, 1000},
    {"statement_cache_size", offsetof(weir_db_options, statement_cache_size), false, 0, 10000, 1},
    {"prepared_max_age_ms", offsetof(weir_db_options, prepared_max_age_ms), false, 0, 86400000, 1},
    {"busy_timeout_ms", offsetof(weir_db_options, busy_timeout_ms), false, 0, 3600000, 1},
    {"cancel_timeout_ms", offsetof(weir_db_options, cancel_timeout_ms), false, 1, 3600000, 1},
    {"max_result_bytes", offsetof(weir_db_options, max_result_bytes), true, 1024, (int64_t)1 << 40,
     1},
};

#define NUMBER_COUNT (sizeof numbers / sizeof numbers[0])

static int64_t load(const weir_db_options *options, const struct number *number)
{
    const char *at = (const char *)options + number->offset;
    int64_t wide;
    int narrow;

    if (number->is_wide) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

static void store(weir_db_options *options, const struct number *number, int64_t value)
{
    char *at = (char *)options + number->offset;
    int narrow = (int)value;

    if (number->is_wide)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &narrow, sizeof narrow);
}

static weir_status set_number(weir_db_options *options, const struct number *number,
                              const char *text, weir_error *reterr)
{
    int64_t least = number->least < number->scale ? number->least : number->least / number->scale;
    int64_t most = number->most / number->scale;
    char *end;

    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < least || value > most)
        return weir_error_set(reterr, WEIR_INVALID, "database URL: %s must be %lld to %lld",
                              number->name, (long long)least, (long long)most);
    store(options, number, value * number->scale);
    return WEIR_OK;
}

/* WEIR_NOT_FOUND: it is not the database's, and *reterr is untouched. */
static weir_status set_own(weir_db_options *options, const struct url_option *option,
                           weir_error *reterr)
{
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        if (strcmp(numbers[i].name, option->name) == 0)
            return set_number(options, &numbers[i], option->value, reterr);
    if (strcmp(option->name, "application_name") != 0)
        return WEIR_NOT_FOUND;
    options->application_name = option->value;
    return WEIR_OK;
}

static weir_status apply(struct url_option *option, weir_db_options *options, weir_error *reterr)
{
    weir_error pool_error;
    weir_status status = set_own(options, option, reterr);
    if (status == WEIR_NOT_FOUND) {
        status = weir_pool_options_set(&options->pool, option->name, option->value, &pool_error);
        if (status != WEIR_OK && status != WEIR_NOT_FOUND)
            return weir_error_set(reterr, status, "database URL: %s", pool_error.text);
    }
    option->is_taken = status == WEIR_OK;
    return status == WEIR_NOT_FOUND ? WEIR_OK : status; /* the driver's, if it knows it */
}

static weir_status check(const weir_db_options *options, weir_error *reterr)
{
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        int64_t value = load(options, &numbers[i]);
        if (value < numbers[i].least || value > numbers[i].most)
            return weir_error_set(reterr, WEIR_INVALID, "%s%s %lld: must be %lld to %lld",
                                  numbers[i].name, numbers[i].scale == 1000 ? "_ms" : "",
                                  (long long)value, (long long)numbers[i].least,
                                  (long long)numbers[i].most);
    }
    if (options->application_name != NULL &&
        strlen(options->application_name) > APPLICATION_NAME_BYTES)
        return weir_error_set(reterr, WEIR_INVALID, "application_name: must be at most %d bytes",
                              APPLICATION_NAME_BYTES);
    return WEIR_OK;
}

weir_status weir__db_options_resolve(struct weir_url *url, weir_db_options *options,
                                     weir_error *reterr)
{
    weir_status status = WEIR_OK;

    for (size_t i = 0; i < url->option_count && status == WEIR_OK; i++)
        status = apply(&url->options[i], options, reterr);
    return status == WEIR_OK ? check(options, reterr) : status;
}
