/* SPDX-License-Identifier: MIT */
/* The smallest test frame that serves: named tests, checks that say what they saw, TAP on stdout. */
#ifndef WEIR_TESTS_CHECK_H
#define WEIR_TESTS_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int check_failures_in_test;
static int check_failed_tests;
static int check_tests_run;

/* Go on after a failed check: the later ones often tell why. */
#define check(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            check_failures_in_test++;                                                              \
            printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                     \
        }                                                                                          \
    } while (0)

#define check_int(actual, expected)                                                                \
    do {                                                                                           \
        long long check_actual = (long long)(actual);                                              \
        long long check_expected = (long long)(expected);                                          \
        if (check_actual != check_expected) {                                                      \
            check_failures_in_test++;                                                              \
            printf("# %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #actual, check_actual,   \
                   check_expected);                                                                \
        }                                                                                          \
    } while (0)

#define check_text(actual, expected)                                                               \
    do {                                                                                           \
        const char *check_actual = (actual);                                                       \
        const char *check_expected = (expected);                                                   \
        if (check_actual == NULL || strcmp(check_actual, check_expected) != 0) {                   \
            check_failures_in_test++;                                                              \
            printf("# %s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #actual,             \
                   check_actual == NULL ? "(null)" : check_actual, check_expected);                \
        }                                                                                          \
    } while (0)

#define check_contains(actual, part)                                                               \
    do {                                                                                           \
        const char *check_actual = (actual);                                                       \
        if (check_actual == NULL || strstr(check_actual, (part)) == NULL) {                        \
            check_failures_in_test++;                                                              \
            printf("# %s:%d: %s is \"%s\", without \"%s\"\n", __FILE__, __LINE__, #actual,         \
                   check_actual == NULL ? "(null)" : check_actual, (part));                        \
        }                                                                                          \
    } while (0)

/* Run one test; its function's name is its sentence. */
#define run(test)                                                                                  \
    do {                                                                                           \
        check_failures_in_test = 0;                                                                \
        test();                                                                                    \
        check_tests_run++;                                                                         \
        check_failed_tests += check_failures_in_test != 0;                                         \
        printf("%s %d - %s\n", check_failures_in_test ? "not ok" : "ok", check_tests_run, #test);  \
        fflush(stdout);                                                                            \
    } while (0)

/* Print the plan; the result of main(). */
static inline int check_done(void)
{
    printf("1..%d\n", check_tests_run);
    return check_failed_tests != 0;
}

#endif
