/* SPDX-License-Identifier: MIT */
/* The smallest test frame that serves: named tests, checks that say what they saw, TAP on stdout. */
#ifndef WEIR_TESTS_CHECK_H
#define WEIR_TESTS_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Whether a sanitizer slows this program down, and not the libraries of others. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

static int check_failures_in_test;
static int check_failed_tests;
static int check_tests_run;
static const char *check_skipped_because; /* what the running test said */

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

/* Functions, because what a response returned by value holds is gone at the end of a declaration. */
static inline void check_text_at(const char *file, int line, const char *what, const char *actual,
                                 const char *expected)
{
    if (actual != NULL && strcmp(actual, expected) == 0)
        return;
    check_failures_in_test++;
    printf("# %s:%d: %s is \"%s\", not \"%s\"\n", file, line, what,
           actual == NULL ? "(null)" : actual, expected);
}

static inline void check_contains_at(const char *file, int line, const char *what,
                                     const char *actual, const char *part)
{
    if (actual != NULL && strstr(actual, part) != NULL)
        return;
    check_failures_in_test++;
    printf("# %s:%d: %s is \"%s\", without \"%s\"\n", file, line, what,
           actual == NULL ? "(null)" : actual, part);
}

#define check_text(actual, expected)                                                               \
    check_text_at(__FILE__, __LINE__, #actual, (actual), (expected))

#define check_contains(actual, part)                                                               \
    check_contains_at(__FILE__, __LINE__, #actual, (actual), (part))

static inline void check_end_of(const char *name)
{
    bool is_skip = check_failures_in_test == 0 && check_skipped_because != NULL;

    check_tests_run++;
    check_failed_tests += check_failures_in_test != 0;
    printf("%s %d - %s%s%s\n", check_failures_in_test != 0 ? "not ok" : "ok", check_tests_run, name,
           is_skip ? " # SKIP " : "", is_skip ? check_skipped_because : "");
    fflush(stdout);
}

/* Within a test: say that here it cannot prove its sentence, and why. Checks that failed still count. */
static inline void check_cannot(const char *why)
{
    check_skipped_because = why;
}

/* Run one test; its function's name is its sentence. */
#define run(test)                                                                                  \
    do {                                                                                           \
        check_failures_in_test = 0;                                                                \
        check_skipped_because = NULL;                                                              \
        test();                                                                                    \
        check_end_of(#test);                                                                       \
    } while (0)

/* Instead of run(): say that a test cannot run here, and why. */
#define check_skip(test, why)                                                                      \
    do {                                                                                           \
        check_tests_run++;                                                                         \
        printf("ok %d - %s # SKIP %s\n", check_tests_run, #test, why);                             \
        fflush(stdout);                                                                            \
    } while (0)

/* Print the plan; the result of main(). */
static inline int check_done(void)
{
    printf("1..%d\n", check_tests_run);
    return check_failed_tests != 0;
}

#endif
