/* SPDX-License-Identifier: MIT */
/* What the benchmarks share: medians of interleaved rounds, and threads that start together. */
#ifndef WEIR_BENCH_BENCH_H
#define WEIR_BENCH_BENCH_H

#include <weir/clock.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static inline int bench_compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static inline double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof values[0], bench_compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static inline void bench_must(bool is_fine, const char *what)
{
    if (is_fine)
        return;
    fprintf(stderr, "bench: %s failed\n", what);
    exit(1);
}

/* One thread's part of a run: what to call, and its number. */
struct bench_thread {
    void (*body)(void *arg, int number);
    void *arg;
    int number;
    pthread_barrier_t *start;
};

static inline void *bench_thread_main(void *arg)
{
    struct bench_thread *thread = arg;

    pthread_barrier_wait(thread->start);
    thread->body(thread->arg, thread->number);
    return NULL;
}

/* Run `body` on `count` threads that start together; the wall time from start to the last end. */
static inline weir_time bench_run_threads(int count, void (*body)(void *arg, int number), void *arg)
{
    enum { MOST = 256 };
    static pthread_t ids[MOST];
    static struct bench_thread threads[MOST];
    pthread_barrier_t start;

    bench_must(count <= MOST, "a run of so many threads");
    pthread_barrier_init(&start, NULL, (unsigned)count + 1);
    for (int i = 0; i < count; i++) {
        threads[i] = (struct bench_thread){body, arg, i, &start};
        bench_must(pthread_create(&ids[i], NULL, bench_thread_main, &threads[i]) == 0,
                   "pthread_create");
    }
    pthread_barrier_wait(&start);
    weir_time began = weir_now();
    for (int i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
    pthread_barrier_destroy(&start);
    return weir_now() - began;
}

#endif
