/* SPDX-License-Identifier: MIT */
/* A pool's driver that does nothing: what is left is the pool. */
#ifndef WEIR_BENCH_NOTHING_H
#define WEIR_BENCH_NOTHING_H

#include <weir/pool.h>

static inline weir_status connect_nothing(void *arg, weir_time deadline, void **ret_connection,
                                          weir_error *reterr)
{
    static int nothing;

    (void)arg, (void)deadline, (void)reterr;
    *ret_connection = &nothing;
    return WEIR_OK;
}

static inline void close_nothing(void *arg, void *connection)
{
    (void)arg, (void)connection;
}

#endif
