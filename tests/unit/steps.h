/* SPDX-License-Identifier: MIT */
/* The steps of a pool's tests, each with the check of every invariant after it. */
#ifndef WEIR_TESTS_STEPS_H
#define WEIR_TESTS_STEPS_H

#include "unit/fake.h"
#include "check.h"

/* The one driver, listener and error of a test program. */
static struct fake f;
static __attribute__((unused)) struct fake_log heard;
static weir_error e;

static inline weir_pool *open_pool(int pool_size, int max_overflow)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, pool_size, max_overflow);
    return fake_open(&f, &o);
}

static inline weir_lease take_at(weir_pool *pool, const char *file, int line)
{
    weir_lease lease = {0};

    check_int(weir_pool_acquire_at(pool, WEIR_DEADLINE_DEFAULT, &lease, &e, file, line), WEIR_OK);
    check_int(pool_check_live(pool, &f), 0);
    return lease;
}
#define take(pool) take_at(pool, __FILE__, __LINE__)

static inline void give(weir_pool *pool, weir_lease *lease)
{
    check_int(weir_pool_release(lease), WEIR_OK);
    check_int(pool_check_live(pool, &f), 0);
}

static inline void discard(weir_pool *pool, weir_lease *lease, const weir_error *cause)
{
    check_int(weir_pool_discard(lease, cause), WEIR_OK);
    check_int(pool_check_live(pool, &f), 0);
}

/* An acquire that fails with `status` and leaves the lease alone. */
static inline void refused(weir_pool *pool, weir_status status)
{
    weir_lease lease = {.token = 12345};

    check_int(weir_pool_acquire(pool, WEIR_DEADLINE_DEFAULT, &lease, &e), status);
    check_int(e.status, status);
    check_int(lease.token, 12345);
    check_int(pool_check_live(pool, &f), 0);
}

/* SQLAlchemy's size(), checkedin(), overflow(), checkedout(), and its status(). */
static inline void check_status_at(weir_pool *pool, int size, int in, int overflow, int out,
                                   int line)
{
    weir_pool_stats s;
    char expected[128];
    char actual[128];

    weir_pool_get_stats(pool, &s);
    if (s.pool_size != size || s.idle != in || s.overflow != overflow || s.leased != out)
        printf("# at line %d: (%d, %d, %d, %d), not (%d, %d, %d, %d)\n", line, s.pool_size, s.idle,
               s.overflow, s.leased, size, in, overflow, out);
    check(s.pool_size == size && s.idle == in && s.overflow == overflow && s.leased == out);
    int length = snprintf(expected, sizeof expected,
                          "Pool size: %d  Connections in pool: %d Current Overflow: %d Current "
                          "Checked out connections: %d",
                          size, in, overflow, out);
    check_int(weir_pool_status_line(pool, actual, sizeof actual), length);
    check_text(actual, expected);
    check_int(pool_check_live(pool, &f), 0);
}
#define check_status(pool, size, in, overflow, out)                                                \
    check_status_at(pool, size, in, overflow, out, __LINE__)

#endif
