/* SPDX-License-Identifier: MIT */
/* Statuses, errors, deadlines, and sleeping on a word. */
#include <weir/base.h>
#include <weir/clock.h>

#include "base/double_text.h"
#include "base/park.h"
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define STATUS_ONE(name, word, text) WEIR_##name,
static const weir_status every_status[] = {WEIR_STATUS_MAP(STATUS_ONE)};
#undef STATUS_ONE
enum { STATUS_COUNT = sizeof every_status / sizeof every_status[0] };

/* An error whose every byte is set, so that what a call leaves alone shows. */
static weir_error stained_error(void)
{
    weir_error e;

    memset(&e, 0x55, sizeof e);
    return e;
}

/* A string of `length` times 'a', then `tail`. The caller frees it. */
static char *long_text(size_t length, const char *tail)
{
    char *text = malloc(length + strlen(tail) + 1);

    if (text == NULL)
        abort();
    memset(text, 'a', length);
    memcpy(text + length, tail, strlen(tail) + 1);
    return text;
}

static void every_status_has_a_word_of_its_own_and_a_text(void)
{
    for (int i = 0; i < STATUS_COUNT; i++) {
        const char *name = weir_status_name(every_status[i]);

        check_int(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        check(strlen(name) > 0 && strlen(weir_status_text(every_status[i])) > 0);
        for (int j = 0; j < i; j++)
            check(strcmp(name, weir_status_name(every_status[j])) != 0);
    }
    check_text(weir_status_name(WEIR_OK), "ok");
    check_text(weir_status_name(WEIR_NOT_READY), "not-ready");
    check_text(weir_status_text(WEIR_TIMEOUT), "the deadline passed");
    check_int(WEIR_OK, 0);
}

static void a_status_outside_of_the_table_is_called_unknown(void)
{
    check_text(weir_status_name((weir_status)STATUS_COUNT), "unknown");
    check_text(weir_status_text((weir_status)STATUS_COUNT), "unknown");
}

static void the_library_is_the_version_its_header_says(void)
{
    char numbers[32];

    snprintf(numbers, sizeof numbers, "%d.%d.%d", WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR,
             WEIR_VERSION_PATCH);
    check_text(weir_version(), WEIR_VERSION);
    check_text(weir_version(), numbers);
}

static void an_error_is_written_whole_and_its_status_returned(void)
{
    weir_error e = stained_error();

    check_int(weir_error_set(&e, WEIR_CONNECT, "connect db \"%s\": %d ms", "orders", 250),
              WEIR_CONNECT);
    check_int(e.status, WEIR_CONNECT);
    check_int(e.native, 0);
    check_text(e.sqlstate, "");
    check_text(e.text, "connect db \"orders\": 250 ms");
}

static void an_error_nobody_wants_only_returns_its_status(void)
{
    check_int(weir_error_set(NULL, WEIR_FULL, "%s", "unheard"), WEIR_FULL);
}

static void an_error_can_be_wrapped_in_its_own_place(void)
{
    weir_error e;

    weir_error_set(&e, WEIR_SYSTEM, "connection refused");
    weir_error_set(&e, WEIR_CONNECT, "open pool \"%s\": %s", "main", e.text);
    check_int(e.status, WEIR_CONNECT);
    check_text(e.text, "open pool \"main\": connection refused");
}

static void setting_an_error_leaves_errno_alone(void)
{
    weir_error e;
    char *text = long_text(2 * (size_t)WEIR_ERROR_TEXT, "");

    errno = EPIPE;
    weir_error_set(&e, WEIR_SYSTEM, "%s", text);
    check_int(errno, EPIPE);
    weir_error_set(NULL, WEIR_SYSTEM, "%s", text);
    check_int(errno, EPIPE);
    free(text);
}

static void a_text_that_fits_to_the_byte_is_kept_whole(void)
{
    weir_error e;
    char *fits = long_text(WEIR_ERROR_TEXT - 4, "\xe2\x82\xac");

    weir_error_set(&e, WEIR_QUERY, "%s", fits);
    check_int(strlen(e.text), WEIR_ERROR_TEXT - 1);
    check_text(e.text, fits);
    free(fits);
}

static void a_longer_text_is_cut_at_the_last_byte(void)
{
    weir_error e;
    char *text = long_text(2 * (size_t)WEIR_ERROR_TEXT, "");

    weir_error_set(&e, WEIR_QUERY, "%s", text);
    check_int(strlen(e.text), WEIR_ERROR_TEXT - 1);
    check(strncmp(e.text, text, WEIR_ERROR_TEXT - 1) == 0);
    free(text);
}

/* Where the cut falls `inside` bytes into `character`, those bytes go too. */
static void check_cut(const char *character, size_t inside)
{
    weir_error e;
    size_t before = (size_t)WEIR_ERROR_TEXT - 1 - inside;
    char *text = long_text(before, character);

    weir_error_set(&e, WEIR_QUERY, "%s and more", text);
    size_t wanted = inside == strlen(character) ? before + inside : before;
    check_int(strlen(e.text), wanted);
    check(strncmp(e.text, text, wanted) == 0);
    free(text);
}

static void a_cut_never_splits_a_utf8_character(void)
{
    const char *characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8c\x8a"};

    for (size_t i = 0; i < 3; i++)
        for (size_t inside = 0; inside <= strlen(characters[i]); inside++)
            check_cut(characters[i], inside);
}

static void a_cut_in_bytes_that_are_no_utf8_stays_in_bounds(void)
{
    weir_error e;
    char *text = long_text(0, "");

    text = realloc(text, 2 * (size_t)WEIR_ERROR_TEXT);
    if (text == NULL)
        abort();
    memset(text, 0x80, 2 * (size_t)WEIR_ERROR_TEXT);
    text[2 * WEIR_ERROR_TEXT - 1] = '\0';
    weir_error_set(&e, WEIR_QUERY, "%s", text);
    check(strlen(e.text) < WEIR_ERROR_TEXT);
    check(strlen(e.text) >= WEIR_ERROR_TEXT - 5);
    free(text);
}

static void the_clock_never_goes_back(void)
{
    weir_time last = weir_now();

    check(last > 0);
    for (int i = 0; i < 1000; i++) {
        weir_time now = weir_now();
        check(now >= last);
        last = now;
    }
}

static void a_deadline_counts_from_now_and_its_special_values_hold(void)
{
    weir_time before = weir_now();
    weir_time deadline = weir_deadline_in(250);
    weir_time after = weir_now();

    check(deadline >= before + 250 * WEIR_MS && deadline <= after + 250 * WEIR_MS);
    check_int(weir_deadline_in(0), WEIR_DEADLINE_NOW);
    check_int(weir_deadline_in(-1), WEIR_DEADLINE_NEVER);
    check_int(weir_deadline_in(INT64_MIN), WEIR_DEADLINE_NEVER);
}

static void a_deadline_beyond_the_end_of_time_is_never(void)
{
    check_int(weir_deadline_in(INT64_MAX), WEIR_DEADLINE_NEVER);
    check_int(weir_deadline_in(INT64_MAX / WEIR_MS), WEIR_DEADLINE_NEVER);
    check(weir_deadline_in(INT64_MAX / WEIR_MS / 2) < WEIR_DEADLINE_NEVER);
}

static void parking_on_a_word_that_changed_returns_at_once(void)
{
    _Atomic uint32_t word = 1;

    weir__park(&word, 0, WEIR_DEADLINE_NEVER);
    check_int(atomic_load(&word), 1);
}

static void parking_ends_at_the_deadline_and_not_before(void)
{
    _Atomic uint32_t word = 0;
    weir_time deadline = weir_deadline_in(20);

    errno = EPIPE;
    while (weir_now() < deadline) /* a park may end early for no reason */
        weir__park(&word, 0, deadline);
    check(weir_now() >= deadline);
    check(weir_now() < deadline + 10 * WEIR_SECOND);
    check_int(errno, EPIPE);
}

static void parking_until_a_deadline_long_past_returns_at_once(void)
{
    _Atomic uint32_t word = 0;

    weir__park(&word, 0, WEIR_DEADLINE_NOW);
    weir__park(&word, 0, -WEIR_SECOND);
    check_int(atomic_load(&word), 0);
}

static void *set_and_unpark(void *arg)
{
    _Atomic uint32_t *word = arg;

    atomic_store(word, 1);
    weir__unpark(word);
    return NULL;
}

static void a_parked_thread_is_woken_by_an_unpark(void)
{
    for (int round = 0; round < 200; round++) {
        _Atomic uint32_t word = 0;
        pthread_t other;

        if (pthread_create(&other, NULL, set_and_unpark, &word) != 0)
            abort();
        while (atomic_load(&word) == 0)
            weir__park(&word, 0, WEIR_DEADLINE_NEVER);
        pthread_join(other, NULL);
    }
    check(true); /* a lost wake-up would have hung */
}

struct sleeper {
    _Atomic uint32_t word;
    _Atomic unsigned returns;
    weir_time until;
};

static void *park_until_set(void *arg)
{
    struct sleeper *sleeper = arg;

    while (atomic_load(&sleeper->word) == 0) {
        weir__park(&sleeper->word, 0, sleeper->until);
        atomic_fetch_add(&sleeper->returns, 1);
    }
    return NULL;
}

static void parking_until_the_far_future_sleeps(void)
{
    /* Seconds that 32 bits have not got, that wrap to the past, and the last instant of all. */
    weir_time second = weir_now() / WEIR_SECOND;
    weir_time instants[] = {(second + INT32_MAX) * WEIR_SECOND,
                            ((weir_time)UINT32_MAX + 2) * WEIR_SECOND, WEIR_DEADLINE_NEVER - 1};

    for (size_t i = 0; i < sizeof instants / sizeof *instants; i++) {
        struct sleeper sleeper = {.until = instants[i]};
        _Atomic uint32_t never = 0;
        weir_time soon = weir_deadline_in(20);
        pthread_t other;

        if (pthread_create(&other, NULL, park_until_set, &sleeper) != 0)
            abort();
        while (weir_now() < soon)
            weir__park(&never, 0, soon);
        set_and_unpark(&sleeper.word);
        pthread_join(other, NULL);
        check(atomic_load(&sleeper.returns) < 100);
    }
}

/* ---- doubles as text --------------------------------------------------------------------- */

static int digits_of(const char *text)
{
    char digits[WEIR__DOUBLE_ROOM];
    int count = 0;
    int end = 0;

    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text >= '0' && *text <= '9' && (count > 0 || *text != '0'))
            digits[count++] = *text;
        end = count > 0 && digits[count - 1] != '0' ? count : end;
    }
    return end;
}

static void doubles_have_the_fewest_digits_that_read_back(void)
{
    static const struct {
        double real;
        const char *text;
    } cases[] = {
        {0.1, "0.1"},
        {2.675, "2.675"},
        {1.0 / 3, "0.3333333333333333"},
        {0.30000000000000004, "0.30000000000000004"},
        {100, "100"},
        {-0.0, "-0"},
        {1e300, "1e+300"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {-1.5e-323, "-1.5e-323"},
        {1e-310, "1e-310"},
        {0x1p-1017, "7.120236347223045e-307"},
        {-0x1p-957, "-8.209073602596753e-289"},
    };
    char text[WEIR__DOUBLE_ROOM];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = weir__double_write(cases[i].real, text);
        check_text(text, cases[i].text);
        check_int(size, strlen(text));
    }
}

/* Where one 16-digit decimal reads back, 17 digits are one too many: no neighbour of it does. */
static void no_power_of_two_has_a_digit_too_many(void)
{
    char text[WEIR__DOUBLE_ROOM];
    char shorter[WEIR__DOUBLE_ROOM];

    for (int power = -1074; power <= 1023; power++) {
        double real = ldexp(1, power);
        weir__double_write(real, text);
        check(strtod(text, NULL) == real);
        int digits = digits_of(text);
        if (digits == 1)
            continue;
        snprintf(shorter, sizeof shorter, "%.*e", digits - 2, real);
        char *last = strchr(shorter, 'e') - 1;
        for (int step = -1; step <= 1; step++) {
            char digit = *last;
            if (digit + step >= '0' && digit + step <= '9') {
                *last = (char)(digit + step);
                check(strtod(shorter, NULL) != real);
            }
            *last = digit;
        }
    }
}

int main(void)
{
    run(every_status_has_a_word_of_its_own_and_a_text);
    run(a_status_outside_of_the_table_is_called_unknown);
    run(the_library_is_the_version_its_header_says);
    run(an_error_is_written_whole_and_its_status_returned);
    run(an_error_nobody_wants_only_returns_its_status);
    run(an_error_can_be_wrapped_in_its_own_place);
    run(setting_an_error_leaves_errno_alone);
    run(a_text_that_fits_to_the_byte_is_kept_whole);
    run(a_longer_text_is_cut_at_the_last_byte);
    run(a_cut_never_splits_a_utf8_character);
    run(a_cut_in_bytes_that_are_no_utf8_stays_in_bounds);
    run(the_clock_never_goes_back);
    run(a_deadline_counts_from_now_and_its_special_values_hold);
    run(a_deadline_beyond_the_end_of_time_is_never);
    run(parking_on_a_word_that_changed_returns_at_once);
    run(parking_ends_at_the_deadline_and_not_before);
    run(parking_until_a_deadline_long_past_returns_at_once);
    run(a_parked_thread_is_woken_by_an_unpark);
    run(parking_until_the_far_future_sleeps);
    run(doubles_have_the_fewest_digits_that_read_back);
    run(no_power_of_two_has_a_digit_too_many);
    return check_done();
}
