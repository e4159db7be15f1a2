/* SPDX-License-Identifier: MIT */
/* The database's options: one table of names and ranges, for structs and URLs alike. */
#include "db/options.h"

#include "common/option.h"

#include <string.h>

#define APPLICATION_NAME_BYTES 63

#define NUMBER(field, name, low, high, scale)                                                      \
    OPTION_NAMED(weir_db_options, OPTION_INT, field, name, low, high, scale)

static const struct option_row rows[] = {
    NUMBER(statement_timeout_ms, "statement_timeout_ms", 0, 86400000, 1),
    NUMBER(connect_timeout_ms, "connect_timeout", 1, 3600000, 1000),
    NUMBER(statement_cache_size, "statement_cache_size", 0, 10000, 1),
    NUMBER(prepared_max_age_ms, "prepared_max_age_ms", 0, 86400000, 1),
    NUMBER(busy_timeout_ms, "busy_timeout_ms", 0, 3600000, 1),
    NUMBER(cancel_timeout_ms, "cancel_timeout_ms", 1, 3600000, 1),
    OPTION_NAMED(weir_db_options, OPTION_INT64, max_result_bytes, "max_result_bytes", 1024,
                 (int64_t)1 << 40, 1),
};

/* WEIR_NOT_FOUND: it is not the database's nor the pool's. */
static weir_status set(weir_db_options *options, const struct url_option *option,
                       weir_error *reterr)
{
    const struct option_row *row = option_find(rows, COUNT_OF(rows), option->name);

    if (row != NULL)
        return option_set(options, row, option->value, reterr);
    if (strcmp(option->name, "application_name") != 0)
        return weir_pool_options_set(&options->pool, option->name, option->value, reterr);
    options->application_name = option->value;
    return WEIR_OK;
}

static weir_status apply(struct url_option *option, weir_db_options *options, weir_error *reterr)
{
    weir_error error;
    weir_status status = set(options, option, &error);

    option->is_taken = status == WEIR_OK;
    if (status == WEIR_OK || status == WEIR_NOT_FOUND) /* the driver's, if it knows it */
        return WEIR_OK;
    return weir_error_set(reterr, status, "database URL: %s", error.text);
}

static weir_status check(const weir_db_options *options, weir_error *reterr)
{
    weir_status status = option_check_all(options, rows, COUNT_OF(rows), reterr);

    if (status != WEIR_OK)
        return status;
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
