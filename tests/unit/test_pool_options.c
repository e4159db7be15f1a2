/* SPDX-License-Identifier: MIT */
/* A pool's options: each at its limits and beyond, as fields and as text, and thousands of random ones. */
#include "unit/steps.h"

#include <limits.h>
#include <locale.h>

struct number {
    const char *name; /* in URLs and errors */
    size_t offset;
    int low;
    int high;
    int standard;
    int scale;
    const char *field_name; /* in errors about the field */
    const char *range;      /* in errors about the text */
};

#define NUMBER(name, field, low, high, standard, scale, range)                                     \
    {                                                                                              \
        name, offsetof(weir_pool_options, field), low, high, standard, scale, #field, range        \
    }

static const struct number numbers[] = {
    NUMBER("pool_size", pool_size, 0, 1024, 5, 1, "0 to 1024"),
    NUMBER("max_overflow", max_overflow, -1, 1024, 10, 1, "-1 to 1024"),
    NUMBER("pool_timeout", pool_timeout_ms, -1, 86400000, 30000, 1000, "-1 to 86400 seconds"),
    NUMBER("pool_recycle", pool_recycle_s, -1, 31536000, 3600, 1, "-1 to 31536000"),
    NUMBER("recycle_jitter", recycle_jitter_percent, 0, 100, 10, 1, "0 to 100"),
    NUMBER("ping_bypass_ms", ping_bypass_ms, 0, 3600000, 500, 1, "0 to 3600000"),
    NUMBER("ping_timeout_ms", ping_timeout_ms, 1, 3600000, 5000, 1, "1 to 3600000"),
    NUMBER("reset_timeout_ms", reset_timeout_ms, 1, 3600000, 5000, 1, "1 to 3600000"),
    NUMBER("handoff_after_us", handoff_after_us, 0, 10000000, 0, 1, "0 to 10000000"),
    NUMBER("max_waiters", max_waiters, 0, 1000000, 1024, 1, "0 to 1000000"),
    NUMBER("use_time_every", use_time_every, 1, 1048576, 64, 1, "1 to 1048576"),
    NUMBER("leak_report_after_ms", leak_report_after_ms, 0, 86400000, 0, 1, "0 to 86400000"),
};
enum { NUMBERS = sizeof numbers / sizeof numbers[0] };

static int *field(weir_pool_options *options, const struct number *number)
{
    return (int *)(void *)((char *)options + number->offset);
}

static weir_status try_open(const weir_pool_options *options)
{
    weir_pool *pool = NULL;
    weir_status status = weir_pool_open(options, &fake_driver, &f, &pool, &e);

    check((status == WEIR_OK) == (pool != NULL));
    weir_pool_close(pool);
    return status;
}

static weir_pool_options defaults(void)
{
    weir_pool_options o = WEIR_POOL_OPTIONS_DEFAULT;

    fake_init(&f);
    o.clock = &f.clock;
    return o;
}

/* ---- fields ------------------------------------------------------------------------------ */

static void the_defaults_are_those_of_the_documentation(void)
{
    weir_pool_options o = defaults();

    for (int i = 0; i < NUMBERS; i++)
        check_int(*field(&o, &numbers[i]), numbers[i].standard);
    check_text(o.name, "pool");
    check(o.pool_pre_ping && !o.use_lifo);
    check_int(o.reset_on_return, WEIR_RESET_ROLLBACK);
    check_int(o.nested, WEIR_NESTED_ALLOW);
    check_int(try_open(&o), WEIR_OK);
}

static void each_number_is_accepted_at_its_limits_and_refused_beyond_by_name(void)
{
    for (int i = 0; i < NUMBERS; i++) {
        const struct number *n = &numbers[i];
        const int outside[] = {n->low - 1, n->high + 1, INT_MIN, INT_MAX};
        char text[80];

        weir_pool_options o = defaults();
        if (i == 0)
            o.max_overflow = 0;
        if (i == 1)
            o.pool_size = 0;
        *field(&o, n) = n->low;
        check_int(try_open(&o), WEIR_OK);
        *field(&o, n) = n->high;
        check_int(try_open(&o), WEIR_OK);
        for (int j = 0; j < 4; j++) {
            *field(&o, n) = outside[j];
            check_int(try_open(&o), WEIR_INVALID);
            snprintf(text, sizeof text, "%s %d: must be %d to %d", n->field_name, outside[j],
                     n->low, n->high);
            check_contains(e.text, text);
        }
    }
}

static void size_and_overflow_together_stay_below_the_ceiling(void)
{
    weir_pool_options o = defaults();

    o.pool_size = 1000;
    o.max_overflow = 24;
    check_int(try_open(&o), WEIR_OK);
    o.max_overflow = 25;
    check_int(try_open(&o), WEIR_INVALID);
    check_contains(e.text, "pool_size 1000 with max_overflow 25: together at most 1024");
    o.pool_size = 1024;
    o.max_overflow = -1;
    check_int(try_open(&o), WEIR_OK);
}

static void a_name_has_1_to_63_bytes_without_control_characters(void)
{
    weir_pool_options o = defaults();
    char name[80];
    char text[80];

    memset(name, 'n', sizeof name);
    name[63] = '\0';
    o.name = name;
    check_int(try_open(&o), WEIR_OK);
    name[63] = 'n';
    name[64] = '\0';
    check_int(try_open(&o), WEIR_INVALID);
    check_contains(e.text, "1 to 63 bytes");
    o.name = "";
    check_int(try_open(&o), WEIR_INVALID);
    o.name = NULL;
    check_int(try_open(&o), WEIR_INVALID);
    name[5] = '\0';
    o.name = name;
    for (int c = 1; c < 256; c++) {
        bool is_control = c < 0x20 || c == 0x7F;

        name[2] = (char)c;
        check_int(try_open(&o), is_control ? WEIR_INVALID : WEIR_OK);
        snprintf(text, sizeof text, "control character at byte 3");
        if (is_control)
            check_contains(e.text, text);
    }
}

static void an_unknown_way_to_reset_is_refused(void)
{
    weir_pool_options o = defaults();

    o.reset_on_return = (weir_reset)3;
    check_int(try_open(&o), WEIR_INVALID);
    check_contains(e.text, "must be rollback, commit or none");
    o.reset_on_return = (weir_reset)-1;
    check_int(try_open(&o), WEIR_INVALID);
}

static void an_unknown_way_with_nested_acquires_is_refused(void)
{
    weir_pool_options o = defaults();

    o.nested = (weir_nested)3;
    check_int(try_open(&o), WEIR_INVALID);
    check_text(e.text, "nested 3: must be allow, warn or refuse");
    o.nested = (weir_nested)-1;
    check_int(try_open(&o), WEIR_INVALID);
    o.nested = WEIR_NESTED_REFUSE;
    check_int(try_open(&o), WEIR_OK);
}

/* ---- text -------------------------------------------------------------------------------- */

static weir_status set(weir_pool_options *options, const char *name, const char *text)
{
    return weir_pool_options_set(options, name, text, &e);
}

static void each_number_is_set_from_text_at_its_limits_and_refused_beyond(void)
{
    for (int i = 0; i < NUMBERS; i++) {
        const struct number *n = &numbers[i];
        weir_pool_options o = defaults();
        char text[32];
        int low_text = n->low / (n->low == -1 ? 1 : n->scale);

        snprintf(text, sizeof text, "%d", low_text);
        check_int(set(&o, n->name, text), WEIR_OK);
        check_int(*field(&o, n), n->low);
        snprintf(text, sizeof text, "%d", n->high / n->scale);
        check_int(set(&o, n->name, text), WEIR_OK);
        check_int(*field(&o, n), n->high);

        for (int j = 0; j < 2; j++) {
            char expected[80];

            snprintf(text, sizeof text, "%d", j == 0 ? low_text - 1 : n->high / n->scale + 1);
            check_int(set(&o, n->name, text), WEIR_INVALID);
            check_int(*field(&o, n), n->high);
            snprintf(expected, sizeof expected, "%s=%s: must be %s", n->name, text, n->range);
            check_text(e.text, expected);
        }
    }
}

static void what_is_not_a_number_is_refused(void)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "5 ",
                                      " 5",
                                      "+5",
                                      "five",
                                      "0x5",
                                      "5e1",
                                      "1e400",
                                      "nan",
                                      "inf",
                                      "-",
                                      "--1",
                                      "5.5.",
                                      "5,5",
                                      ".5",
                                      "-.5",
                                      "5-",
                                      "٥",
                                      "5\n",
                                      "-2",
                                      "99999999999999999999",
                                      "-1.5",
                                      "18446744073709551621",
                                      "340282366920938463463374607431768211461",
                                      "4294967301"};

    for (int i = 0; i < NUMBERS; i++)
        for (size_t j = 0; j < sizeof bad / sizeof bad[0]; j++) {
            weir_pool_options o = defaults();

            check_int(set(&o, numbers[i].name, bad[j]), WEIR_INVALID);
            check_contains(e.text, numbers[i].range);
            check_int(*field(&o, &numbers[i]), numbers[i].standard);
        }
}

/* Seconds with fractions of a thousandth, exactly; nothing of -1 but itself is "for ever". */
static void pool_timeout_takes_fractions_of_a_second(void)
{
    static const struct {
        const char *text;
        int ms;
    } good[] = {{"0", 0},       {"2.5", 2500},  {"0.001", 1},    {"1.001", 1001},
                {"4.35", 4350}, {"-1", -1},     {"-1.0", -1},    {"1.", 1000},
                {"007", 7000},  {"0.250", 250}, {"2.675", 2675}, {"86400.000", 86400000},
                {"-0", 0}};
    static const char *const bad[] = {"0.0001", "-0.001", "-0.5", "86400.001", "-1.001", "1.0005"};
    weir_pool_options o = defaults();

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        o.pool_timeout_ms = 77;
        check_int(set(&o, "pool_timeout", good[i].text), WEIR_OK);
        check_int(o.pool_timeout_ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        o.pool_timeout_ms = 77;
        check_int(set(&o, "pool_timeout", bad[i]), WEIR_INVALID);
        check_int(o.pool_timeout_ms, 77);
    }
    for (int ms = 0; ms <= 100000; ms += 1) {
        char text[32];

        snprintf(text, sizeof text, "%d.%03d", ms / 1000, ms % 1000);
        if (set(&o, "pool_timeout", text) != WEIR_OK || o.pool_timeout_ms != ms) {
            check_text(text, "this to be exact");
            return;
        }
    }
    check_int(set(&o, "pool_size", "2.5"), WEIR_INVALID);
    check_int(set(&o, "pool_size", "2.0"), WEIR_OK);
    check_int(o.pool_size, 2);
}

/* A program may choose a locale whose decimal point is a comma; a URL does not follow it. */
static void the_locale_changes_nothing(void)
{
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "de_CH.UTF-8"};
    bool is_set = false;

    for (size_t i = 0; i < 4 && !is_set; i++)
        is_set = setlocale(LC_ALL, locales[i]) != NULL;
    weir_pool_options o = defaults();
    check_int(set(&o, "pool_timeout", "2.5"), WEIR_OK);
    check_int(o.pool_timeout_ms, 2500);
    check_int(set(&o, "pool_timeout", "2,5"), WEIR_INVALID);
    setlocale(LC_ALL, "C");
    if (!is_set)
        printf("# no locale with a decimal comma is installed here: only the C locale was tried\n");
}

static void switches_and_ways_are_set_by_their_words(void)
{
    weir_pool_options o = defaults();
    static const char *const yes[] = {"true", "1", "TRUE", "yes", "on"};
    static const char *const no[] = {"false", "0", "False", "no", "off"};

    for (int i = 0; i < 5; i++) {
        check_int(set(&o, "pool_pre_ping", no[i]), WEIR_OK);
        check(!o.pool_pre_ping);
        check_int(set(&o, "pool_pre_ping", yes[i]), WEIR_OK);
        check(o.pool_pre_ping);
        check_int(set(&o, "pool_use_lifo", yes[i]), WEIR_OK);
        check(o.use_lifo);
        check_int(set(&o, "pool_use_lifo", no[i]), WEIR_OK);
        check(!o.use_lifo);
    }
    check_int(set(&o, "pool_pre_ping", "maybe"), WEIR_INVALID);
    check_text(e.text, "pool_pre_ping=maybe: must be true or false");
    check_int(set(&o, "pool_use_lifo", ""), WEIR_INVALID);
    check_int(set(&o, "pool_reset_on_return", "commit"), WEIR_OK);
    check_int(o.reset_on_return, WEIR_RESET_COMMIT);
    check_int(set(&o, "pool_reset_on_return", "none"), WEIR_OK);
    check_int(o.reset_on_return, WEIR_RESET_NONE);
    check_int(set(&o, "pool_reset_on_return", "rollback"), WEIR_OK);
    check_int(o.reset_on_return, WEIR_RESET_ROLLBACK);
    check_int(set(&o, "pool_reset_on_return", "vacuum"), WEIR_INVALID);
    check_text(e.text, "pool_reset_on_return=vacuum: must be rollback, commit or none");
    check_int(set(&o, "pool_nested", "warn"), WEIR_OK);
    check_int(o.nested, WEIR_NESTED_WARN);
    check_int(set(&o, "pool_nested", "Refuse"), WEIR_OK);
    check_int(o.nested, WEIR_NESTED_REFUSE);
    check_int(set(&o, "pool_nested", "allow"), WEIR_OK);
    check_int(o.nested, WEIR_NESTED_ALLOW);
    check_int(set(&o, "pool_nested", "maybe"), WEIR_INVALID);
    check_text(e.text, "pool_nested=maybe: must be allow, warn or refuse");
}

static void an_unknown_name_is_not_found(void)
{
    static const char *const names[] = {"",     "pool",  "pool_sizes",     "Pool_Size",
                                        "name", "clock", "pool_timeout_ms"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        weir_pool_options o = defaults();

        check_int(set(&o, names[i], "1"), WEIR_NOT_FOUND);
        check_contains(e.text, "no option of a pool has this name");
        check_int(weir_pool_options_set(&o, names[i], "1", NULL), WEIR_NOT_FOUND);
    }
}

/* ---- random ------------------------------------------------------------------------------ */

static uint64_t seed = 42;

static int any_int(int low, int high)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    switch ((seed >> 60) & 7) {
    case 0:
        return low;
    case 1:
        return high;
    case 2:
        return low - 1;
    case 3:
        return (int)(seed >> 32);
    default:
        return low + (int)((seed >> 33) % ((uint64_t)high - (uint64_t)low + 1));
    }
}

/* psycopg#1124, SQLAlchemy's max_overflow -2: every value is refused, or the pool works. */
static void every_value_is_refused_or_sane(void)
{
    int opened = 0;

    for (int round = 0; round < 3000; round++) {
        weir_pool_options o = defaults();
        weir_pool *pool = NULL;
        weir_lease c[3] = {{0}};
        weir_pool_stats s;

        for (int i = 0; i < 3; i++) {
            const struct number *n = &numbers[(seed >> 40) % NUMBERS];
            *field(&o, n) = any_int(n->low, n->high);
        }
        if (weir_pool_open(&o, &fake_driver, &f, &pool, &e) != WEIR_OK) {
            check_int(e.status, WEIR_INVALID);
            continue;
        }
        opened++;
        weir_pool_get_stats(pool, &s);
        check(s.slots >= 1 && s.slots <= WEIR_POOL_CEILING);
        for (int i = 0; i < 3; i++)
            check(weir_pool_acquire(pool, f.now + WEIR_SECOND, &c[i], &e) == WEIR_OK ||
                  i >= s.slots);
        check(f.now - FAKE_START <= 3 * WEIR_SECOND);
        for (int i = 0; i < 3; i++)
            check_int(weir_pool_release(&c[i]), WEIR_OK);
        check_int(pool_check_live(pool, &f), 0);
        weir_pool_close(pool);
        check_int(f.live, 0);
    }
    check(opened > 300);
}

static void set_from(weir_pool_options *options, const weir_pool_setting *setting)
{
    char text[32];

    snprintf(text, sizeof text, "%.15g", setting->number);
    check_int(weir_pool_options_set(options, setting->name,
                                    setting->kind == WEIR_SETTING_WORD ? setting->word : text, &e),
              WEIR_OK);
}

static void what_is_got_can_be_set(void)
{
    weir_pool_options o = defaults();
    weir_pool_options copy = defaults();
    weir_pool_setting setting;
    size_t count = 0;

    for (int i = 0; i < NUMBERS; i++)
        *field(&o, &numbers[i]) = numbers[i].high;
    o.pool_timeout_ms = 1500;
    o.pool_recycle_s = -1;
    o.pool_pre_ping = !o.pool_pre_ping;
    o.use_lifo = !o.use_lifo;
    o.reset_on_return = WEIR_RESET_COMMIT;
    o.nested = WEIR_NESTED_REFUSE;
    for (; weir_pool_options_get(&o, count, &setting); count++)
        set_from(&copy, &setting);
    check_int(count, NUMBERS + 4);
    for (int i = 0; i < NUMBERS; i++)
        check_int(*field(&copy, &numbers[i]), *field(&o, &numbers[i]));
    check(copy.pool_pre_ping == o.pool_pre_ping && copy.use_lifo == o.use_lifo);
    check_int(copy.reset_on_return, o.reset_on_return);
    check_int(copy.nested, o.nested);
    check(!weir_pool_options_get(&o, SIZE_MAX, &setting));
}

static void a_value_that_is_no_word_is_got_without_one(void)
{
    const int values[] = {-1, 3, INT_MAX, INT_MIN};
    weir_pool_options o = defaults();
    weir_pool_setting setting;

    for (int i = 0; i < 4; i++) {
        o.reset_on_return = (weir_reset)values[i];
        o.nested = (weir_nested)values[i];
        for (size_t k = 0; weir_pool_options_get(&o, k, &setting); k++)
            check(setting.word == NULL);
    }
}

int main(void)
{
    run(the_defaults_are_those_of_the_documentation);
    run(each_number_is_accepted_at_its_limits_and_refused_beyond_by_name);
    run(size_and_overflow_together_stay_below_the_ceiling);
    run(a_name_has_1_to_63_bytes_without_control_characters);
    run(an_unknown_way_to_reset_is_refused);
    run(an_unknown_way_with_nested_acquires_is_refused);
    run(each_number_is_set_from_text_at_its_limits_and_refused_beyond);
    run(what_is_not_a_number_is_refused);
    run(pool_timeout_takes_fractions_of_a_second);
    run(the_locale_changes_nothing);
    run(switches_and_ways_are_set_by_their_words);
    run(what_is_got_can_be_set);
    run(a_value_that_is_no_word_is_got_without_one);
    run(an_unknown_name_is_not_found);
    run(every_value_is_refused_or_sane);
    return check_done();
}
