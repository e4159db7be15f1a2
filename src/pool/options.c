/* SPDX-License-Identifier: MIT */
/* The options of a pool: a row for each has its field, its name in URLs and its range. */
#include "common/option.h"
#include "pool/core.h"

#define NUMBER(field, name, low, high, scale)                                                      \
    OPTION_NAMED(weir_pool_options, OPTION_INT, field, name, low, high, scale)
#define TRUTH(field, name) OPTION_NAMED(weir_pool_options, OPTION_BOOL, field, name, 0, 1, 1)

static const char *const resets[] = {"rollback", "commit", "none", NULL};
static const char *const nestings[] = {"allow", "warn", "refuse", NULL};

static const struct option_row rows[] = {
    NUMBER(pool_size, "pool_size", 0, WEIR_POOL_CEILING, 1),
    NUMBER(max_overflow, "max_overflow", -1, WEIR_POOL_CEILING, 1),
    NUMBER(pool_timeout_ms, "pool_timeout", -1, 86400000, 1000),
    NUMBER(pool_recycle_s, "pool_recycle", -1, 31536000, 1),
    NUMBER(recycle_jitter_percent, "recycle_jitter", 0, 100, 1),
    TRUTH(pool_pre_ping, "pool_pre_ping"),
    NUMBER(ping_bypass_ms, "ping_bypass_ms", 0, 3600000, 1),
    NUMBER(ping_timeout_ms, "ping_timeout_ms", 1, 3600000, 1),
    NUMBER(reset_timeout_ms, "reset_timeout_ms", 1, 3600000, 1),
    TRUTH(use_lifo, "pool_use_lifo"),
    OPTION_WORDS(weir_pool_options, reset_on_return, "pool_reset_on_return", WEIR_RESET_NONE,
                 resets),
    NUMBER(handoff_after_us, "handoff_after_us", 0, 10000000, 1),
    NUMBER(max_waiters, "max_waiters", 0, 1000000, 1),
    NUMBER(use_time_every, "use_time_every", 1, 1048576, 1),
    NUMBER(leak_report_after_ms, "leak_report_after_ms", 0, 86400000, 1),
    OPTION_WORDS(weir_pool_options, nested, "pool_nested", WEIR_NESTED_REFUSE, nestings),
};

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

    if (status == WEIR_OK)
        status = option_check_all(options, rows, COUNT_OF(rows), reterr);
    if (status != WEIR_OK)
        return status;
    if (options->pool_size + options->max_overflow > WEIR_POOL_CEILING)
        return weir_error_set(reterr, WEIR_INVALID,
                              "pool_size %d with max_overflow %d: together at most %d",
                              options->pool_size, options->max_overflow, WEIR_POOL_CEILING);
    return WEIR_OK;
}

weir_status weir_pool_options_set(weir_pool_options *options, const char *name, const char *text,
                                  weir_error *reterr)
{
    const struct option_row *row = option_find(rows, COUNT_OF(rows), name);

    if (row == NULL)
        return weir_error_set(reterr, WEIR_NOT_FOUND, "%s: no option of a pool has this name",
                              name);
    return option_set(options, row, text, reterr);
}

bool weir_pool_options_get(const weir_pool_options *options, size_t index,
                           weir_pool_setting *ret_setting)
{
    if (index >= COUNT_OF(rows))
        return false;
    const struct option_row *row = &rows[index];
    int64_t value = option_load(options, row);

    *ret_setting = (weir_pool_setting){.name = row->name, .number = (double)value};
    if (row->kind == OPTION_BOOL) {
        ret_setting->kind = WEIR_SETTING_BOOL;
    } else if (row->kind == OPTION_WORD) {
        ret_setting->kind = WEIR_SETTING_WORD;
        ret_setting->word = option_check(options, row, NULL) == WEIR_OK ? row->words[value] : NULL;
    } else if (value > 0) { /* -1 is a word of its own */
        ret_setting->number /= (double)row->scale;
    }
    return true;
}
