/* SPDX-License-Identifier: MIT */
/*
 * The smallest test frame that serves: named tests, checks that say what they saw, TAP on stdout.
 *
 * `PROGRAM -k NAME`, with any number of -k, runs only the tests whose name contains NAME, or matches
 * it where it has a * or a ?. The exit status is 2 when there is none.
 */
#ifndef WEIR_TESTS_CHECK_H
#define WEIR_TESTS_CHECK_H

#include <fnmatch.h>
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
static char **check_arguments;            /* the program's, up to a NULL */

#ifdef __GLIBC__
/* glibc passes the arguments of main() to constructors too, so that no main() has to hand them on. */
__attribute__((constructor)) static void check_take_arguments(int count, char **arguments)
{
    (void)count;
    check_arguments = arguments;
}
#endif

/* The next NAME of a -k after *place, which moves there; NULL when none is left. */
static inline const char *check_next_choice(int *place)
{
    while (check_arguments != NULL && check_arguments[*place] != NULL) {
        if (strcmp(check_arguments[(*place)++], "-k") == 0 && check_arguments[*place] != NULL)
            return check_arguments[(*place)++];
    }
    return NULL;
}

/* Whether a test is to run: all are, unless some were chosen by name. */
static inline bool check_is_chosen(const char *name)
{
    int place = 0;
    const char *choice = check_next_choice(&place);
    bool is_everything = choice == NULL;

    for (; choice != NULL; choice = check_next_choice(&place)) {
        bool is_pattern = strpbrk(choice, "*?") != NULL;
        if (is_pattern ? fnmatch(choice, name, 0) == 0 : strstr(name, choice) != NULL)
            return true;
    }
    return is_everything;
}

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

/* Run one test, if it is chosen; its function's name is its sentence. */
#define run(test)                                                                                  \
    do {                                                                                           \
        if (!check_is_chosen(#test))                                                               \
            break;                                                                                 \
        check_failures_in_test = 0;                                                                \
        check_skipped_because = NULL;                                                              \
        test();                                                                                    \
        check_end_of(#test);                                                                       \
    } while (0)

/* Instead of run(): say that a test cannot run here, and why. */
#define check_skip(test, why)                                                                      \
    do {                                                                                           \
        if (!check_is_chosen(#test))                                                               \
            break;                                                                                 \
        check_tests_run++;                                                                         \
        printf("ok %d - %s # SKIP %s\n", check_tests_run, #test, why);                             \
        fflush(stdout);                                                                            \
    } while (0)

/* Print the plan; the result of main(). */
static inline int check_done(void)
{
    int place = 0;
    const char *choice = check_next_choice(&place);

    if (check_tests_run == 0 && choice != NULL) {
        fprintf(stderr, "%s: no test is named like", check_arguments[0]);
        for (; choice != NULL; choice = check_next_choice(&place))
            fprintf(stderr, " '%s'", choice);
        fprintf(stderr, "\n");
        return 2;
    }
    printf("1..%d\n", check_tests_run);
    return check_failed_tests != 0;
}

#endif
