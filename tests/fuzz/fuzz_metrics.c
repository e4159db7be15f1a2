/* SPDX-License-Identifier: MIT */
/* Labels, descriptions and figures of any bytes: the text is one that Prometheus' parser takes, and says the same. */
#include "fuzz.h"

#include <weir/metrics.h>

#include <math.h>

const char *const fuzz_seeds[] = {
    "mail|print|\"} 1\nevil 2",
    "back\\slash\\|\\n|\n",
    "caf\xC3\xA9|\xE2\x82\xAC|\xF0\x9F\x98\x80",
    "\xFF\xC0\x80|\xED\xA0\x80|\xF4\x90\x80\x80|a\xC3",
    "||",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
    "456"
    "7890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
    "12"
    "3456789012345678901234567890123456789012345678901234567890\xE2\x82\xAC",
    NULL,
};

/* ---- a reader of the format, as strict as it is described -------------------------------- */

static bool is_name_byte(char c, bool is_first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!is_first && c >= '0' && c <= '9');
}

static const char *read_name(const char *at)
{
    must(is_name_byte(*at, true));
    while (is_name_byte(*at, false))
        at++;
    return at;
}

/* One UTF-8 character, nothing else. */
static const char *read_character(const char *at)
{
    unsigned char lead = (unsigned char)*at;
    int more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    uint32_t code = lead < 0x80 ? lead : lead & (0x3Fu >> more);
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

    must(lead < 0x80 || (lead >= 0xC0 && lead < 0xF8));
    for (int i = 1; i <= more; i++) {
        must(((unsigned char)at[i] & 0xC0) == 0x80);
        code = code << 6 | ((unsigned char)at[i] & 0x3Fu);
    }
    must(code >= least[more] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF));
    return at + 1 + more;
}

/* Up to the quote, or the end of the line. */
static const char *read_escaped(const char *at, char end)
{
    while (*at != end) {
        must(*at != '\0' && *at != '\n');
        if (*at == '\\') {
            at++;
            must(*at == '\\' || *at == 'n' || (*at == '"' && end == '"'));
        }
        at = read_character(at);
    }
    return at;
}

static const char *read_labels(const char *at)
{
    do {
        at = read_name(at + 1);
        must(*at == '=' && at[1] == '"');
        at = read_escaped(at + 2, '"') + 1;
    } while (*at == ',');
    must(*at == '}');
    return at + 1;
}

static const char *read_number(const char *at, double *ret_value)
{
    char *end;

    *ret_value = strtod(at, &end);
    must(end > at && *end == '\n');
    return end + 1;
}

/* The sum of all samples. */
static double read_text(const char *at)
{
    double sum = 0;
    double value;

    while (*at != '\0') {
        if (*at == '#') {
            at = read_escaped(at, '\n') + 1;
            continue;
        }
        at = read_name(at);
        if (*at == '{')
            at = read_labels(at);
        must(*at == ' ');
        at = read_number(at + 1, &value);
        sum += value;
    }
    return sum;
}

/* ---- the target -------------------------------------------------------------------------- */

struct figures {
    const char *const *values;
    weir_metric *metric;
    double value;
};

static void write_figure(weir_metrics_writer *writer, void *arg)
{
    const struct figures *figures = arg;

    weir_metrics_write(writer, figures->metric, figures->values, figures->value);
}

static weir_metric *add(weir_metrics *metrics, const char *name, const char *description,
                        weir_metric_kind kind)
{
    weir_metric_options o = WEIR_METRIC_OPTIONS_DEFAULT;
    weir_metric *metric;

    o.name = name;
    o.kind = kind;
    o.description = description;
    o.labels[0] = "one";
    o.labels[1] = "two";
    o.labels[2] = "three";
    o.max_series = 3;
    must(weir_metrics_add(metrics, &o, &metric, NULL) == WEIR_OK);
    return metric;
}

/* Count under the pieces of the input, three by three, and let a source write a number made of it. */
static void use(weir_metrics *metrics, char *input, const uint8_t *data, size_t size)
{
    const char *values[3] = {NULL, NULL, NULL};
    weir_metric *counted = add(metrics, "fuzz.counted", input, WEIR_METRIC_COUNTER);
    struct figures figures = {values, add(metrics, "fuzz.written", "", WEIR_METRIC_GAUGE), 0};
    double expected = 0;
    int pieces = 0;
    char *rest = input;

    for (char *piece; (piece = strsep(&rest, "|")) != NULL; pieces++) {
        values[pieces % 3] = piece;
        weir_series_add(weir_metric_series(counted, values), 1);
        expected++;
    }
    if (size >= sizeof figures.value)
        memcpy(&figures.value, data, sizeof figures.value);
    must(weir_metrics_add_source(metrics, write_figure, &figures, NULL) == WEIR_OK);

    char *text;
    size_t length;
    must(weir_metrics_render(metrics, &text, &length, NULL) == WEIR_OK);
    must(strlen(text) == length);
    double sum = read_text(text);
    /* The number that is read is the very number that was written. */
    if (isnan(figures.value))
        must(isnan(sum));
    else
        must(sum == expected + figures.value || sum == figures.value + expected);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *input = fuzz_text(data, size);
    weir_metrics *metrics;

    must(weir_metrics_open(&metrics, NULL) == WEIR_OK);
    use(metrics, input, data, size);
    weir_metrics_close(metrics);
    free(input);
    return 0;
}
