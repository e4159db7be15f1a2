/* SPDX-License-Identifier: MIT */
/* Make every allocation of a scenario fail once. */
#ifndef WEIR_TESTS_ALLOC_FAIL_H
#define WEIR_TESTS_ALLOC_FAIL_H

#include "check.h"

#include <weir/base.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * A test that includes this is linked with the linker's --wrap for malloc, calloc, realloc,
 * aligned_alloc, strdup, strndup and free (alloc_fail_link in tests/unit/meson.build) and the static libraries,
 * so that the allocations of weir's own objects come through here; those inside shared libraries do
 * not. Any thread may allocate; one scenario at a time.
 */

static _Atomic long alloc_fail_in =
    -1; /* allocations until the one that fails; negative: none does */
static _Atomic long alloc_fail_alive; /* allocations not yet freed */

/* Count one allocation; true when it is the one to fail. */
static inline bool alloc_fail_this(void)
{
    return atomic_load(&alloc_fail_in) >= 0 && atomic_fetch_sub(&alloc_fail_in, 1) == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *memory);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
void __wrap_free(void *memory);

static inline void *alloc_fail_count(void *memory)
{
    if (memory != NULL)
        atomic_fetch_add(&alloc_fail_alive, 1);
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return alloc_fail_this() ? NULL : alloc_fail_count(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return alloc_fail_this() ? NULL : alloc_fail_count(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (alloc_fail_this())
        return NULL;
    void *moved = __real_realloc(memory, size);
    return memory == NULL ? alloc_fail_count(moved) : moved;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return alloc_fail_this() ? NULL : alloc_fail_count(__real_aligned_alloc(alignment, size));
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);

    return copy == NULL ? NULL : memcpy(copy, text, size);
}

char *__wrap_strndup(const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    char *copy = __wrap_malloc(length + 1);

    if (copy == NULL)
        return NULL;
    copy[length] = '\0';
    return memcpy(copy, text, length);
}

void __wrap_free(void *memory)
{
    if (memory != NULL)
        atomic_fetch_sub(&alloc_fail_alive, 1);
    __real_free(memory);
}

/*
 * How much is allocated, as soon as it is no more than `wanted`, or after five seconds. A thread that
 * the scenario left behind (a cancel in flight) may need a moment to let go of what is its own.
 */
static inline long alloc_fail_settled(long wanted)
{
    struct timespec moment = {0, 1000000};

    for (int i = 0; i < 5000 && atomic_load(&alloc_fail_alive) > wanted; i++)
        nanosleep(&moment, NULL);
    return atomic_load(&alloc_fail_alive);
}

/*
 * Run the scenario with no failure, then with its first allocation failing, then the second, until
 * none is left to fail. It cleans up after itself, and checks itself that what it got was success or
 * WEIR_NO_MEMORY. Afterwards as much must be allocated as before. Returns how many failed.
 */
static inline long alloc_fail_each(void (*scenario)(void))
{
    scenario(); /* what is made once and kept for good is made now */

    long alive = atomic_load(&alloc_fail_alive);
    for (long failing = 0;; failing++) {
        int failures = check_failures_in_test;

        atomic_store(&alloc_fail_in, failing);
        scenario();
        bool has_failed = atomic_exchange(&alloc_fail_in, -1) < 0;
        long settled = alloc_fail_settled(alive);
        check(settled <= alive);
        alive = settled;
        if (check_failures_in_test != failures) {
            printf("# when allocation %ld fails\n", failing + 1);
            return failing;
        }
        if (!has_failed)
            return failing;
    }
}

/* What a call may answer within a scenario. True when it went well. */
static inline bool alloc_fail_is_fine(weir_status status, const weir_error *error)
{
    if (status != WEIR_OK && status != WEIR_NO_MEMORY)
        printf("# %s: %s\n", weir_status_name(status), error->text);
    check(status == WEIR_OK || status == WEIR_NO_MEMORY);
    return status == WEIR_OK;
}

#endif
