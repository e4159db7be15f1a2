/* SPDX-License-Identifier: MIT */
/* An option of the configuration, and how its value is read from text. */
#ifndef WEIR_SERVER_CONFIG_VALUE_H
#define WEIR_SERVER_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOUR_MS 3600000
#define MILLION 1000000

enum config_kind {
    KIND_TEXT,
    KIND_SECRET, /* a text that never reaches an error or a log */
    KIND_NUMBER,
    KIND_SPAN, /* milliseconds, written as a duration */
    KIND_LEVEL,
    KIND_FORMAT,
    KIND_BOOL,
    KIND_SHARE, /* millionths, written as 0.25 */
};

struct config_option {
    const char *flag;
    const char *variable;
    enum config_kind kind;
    size_t offset; /* of the field of struct config */
    const char *default_text;
    int64_t least;
    int64_t most;
    const char *help;
};

/* The number of a text, for all kinds but texts; false when the option does not take it. */
bool config_value_parse(const struct config_option *option, const char *text, int64_t *ret_number);

/* The values an option takes, as errors and the help say it; "" for texts. */
void config_value_allowed(const struct config_option *option, char *out, size_t size);

#endif
