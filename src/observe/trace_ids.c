/* SPDX-License-Identifier: MIT */
/* Random ids for traces and spans, and whether this process is still the one it was. */
#include "observe/trace_ids.h"

#include <weir/clock.h>

#include "common/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* ---- forks ------------------------------------------------------------------------------- */

/* Written by the one thread of a child that was just forked; read relaxed, it orders nothing. */
static _Atomic unsigned forks;

static void count_fork(void)
{
    atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

unsigned weir__forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, watch_forks);
    return atomic_load_explicit(&forks, memory_order_relaxed);
}

/* ---- the generator ----------------------------------------------------------------------- */

/* xoshiro256**, by Blackman and Vigna. Ids must not collide; they need not be secret. */
static _Thread_local struct {
    uint64_t state[4];
    unsigned forks;
    bool is_seeded;
} local __attribute__((tls_model("initial-exec")));

/* What differs between threads and moments, where the kernel has nothing random to give yet. */
static void seed_by_hand(void)
{
    uint64_t seed = (uint64_t)weir_now() ^ ((uint64_t)getpid() << 40) ^ (uint64_t)(uintptr_t)&local;

    for (int i = 0; i < 4; i++)
        local.state[i] = weir__scatter_next(&seed);
}

static void seed(unsigned present_forks)
{
    if (getrandom(local.state, sizeof local.state, GRND_NONBLOCK) != (ssize_t)sizeof local.state ||
        (local.state[0] | local.state[1] | local.state[2] | local.state[3]) == 0)
        seed_by_hand();
    local.forks = present_forks;
    local.is_seeded = true;
}

static uint64_t rotate(uint64_t word, int by)
{
    return (word << by) | (word >> (64 - by));
}

static uint64_t next(void)
{
    uint64_t *s = local.state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

void weir__random_id(uint8_t *id, size_t size)
{
    unsigned present_forks = weir__forks();

    if (!local.is_seeded || local.forks != present_forks)
        seed(present_forks);
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = next();
        while (word == 0)
            word = next();
        memcpy(id + at, &word, sizeof word);
    }
}
