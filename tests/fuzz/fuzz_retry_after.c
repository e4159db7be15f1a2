/* SPDX-License-Identifier: MIT */
/* Any text as a Retry-After, at any time of day: refused, or a time that is not negative and does not depend on blanks;
 * by urllib3's rules too, which take whatever the strict ones do. */
#include "fuzz.h"

#include <weir/retry.h>

const char *const fuzz_seeds[] = {
    "0",
    "120",
    " 7\t",
    "-1",
    "1.5",
    "9223372036854775808",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    "Fri, 31 Dec 9999 23:59:60 GMT",
    "Tue, 29 Feb 2000 00:00:00 GMT",
    "Wednesday, 29-Feb-00 24:00:00 GMT",
    "Sun, 6 November 94 8.49.37 -0530",
    "Nov 31, 1994 99:-1:+7 PDT, 2",
    "06-Nov-94 08:49:37+0100",
    "x,06 Nov EST 08:49 19_94",
    NULL,
};

/* It is later from an earlier clock, by just the difference, unless an end cuts it. */
static void check_clocks(const char *text, int64_t wall_now, weir_time delay)
{
    weir_time from_earlier = 0;

    must(weir_retry_after_parse(text, wall_now - WEIR_SECOND, &from_earlier));
    must(from_earlier >= delay);
    if (delay > 0 && from_earlier < INT64_MAX)
        must(from_earlier == delay || from_earlier == delay + WEIR_SECOND);
}

static void check_blanks(const char *text, int64_t wall_now, weir_time delay)
{
    size_t size = strlen(text) + 3;
    char *padded = malloc(size);
    weir_time again = -1;

    if (padded == NULL)
        abort();
    snprintf(padded, size, " %s\t", text);
    must(weir_retry_after_parse(padded, wall_now, &again));
    must(again == delay);
    free(padded);
}

static bool read_as_urllib3(const char *text, int64_t wall_now, weir_time *ret_delay)
{
    const weir_retry_options options = WEIR_RETRY_OPTIONS_URLLIB3;
    const weir_attempt attempt = {.retry_after = &text, .retry_after_count = 1};

    return weir_retry_after_asked(&options, &attempt, wall_now, ret_delay);
}

/* Later by no more than the difference of the clocks, and never sooner. */
static void check_as_urllib3(const char *text, int64_t wall_now, bool is_strict)
{
    weir_time delay = -7;
    weir_time from_earlier = -7;

    if (!read_as_urllib3(text, wall_now, &delay)) {
        must(delay == -7 && !is_strict);
        return;
    }
    must(delay >= 0);
    must(read_as_urllib3(text, wall_now - WEIR_SECOND, &from_earlier));
    must(from_earlier >= delay && (delay == INT64_MAX || from_earlier - delay <= WEIR_SECOND));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t clocks[] = {0, 784111777 * WEIR_SECOND, INT64_MAX,
                                     INT64_MIN + WEIR_SECOND};
    char *text = fuzz_text(data, size);
    int accepted = 0;

    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; i++) {
        weir_time delay = -7;

        bool is_strict = weir_retry_after_parse(text, clocks[i], &delay);

        check_as_urllib3(text, clocks[i], is_strict);
        if (!is_strict) {
            must(delay == -7);
            continue;
        }
        accepted++;
        must(delay >= 0);
        check_blanks(text, clocks[i], delay);
        /* The century of a two-digit year depends on the clock. */
        if (strchr(text, '-') == NULL)
            check_clocks(text, clocks[i], delay);
    }
    /* Whether the 29th of February of a two-digit year exists depends on the century too. */
    if (strchr(text, '-') == NULL)
        must(accepted == 0 || accepted == 4);
    free(text);
    return 0;
}
