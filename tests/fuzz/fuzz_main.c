/* SPDX-License-Identifier: MIT */
/* A plain fuzzer for compilers without libFuzzer: the seeds, and random changes of them for some seconds. */
#include "fuzz.h"

#include <time.h>

#define LONGEST 4096

static uint64_t random_state = 88172645463325252u;

/* xorshift; the same sequence in every run, unless argv says otherwise. */
static size_t pick(size_t count)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return count == 0 ? 0 : (size_t)(random_state % count);
}

static size_t count_seeds(void)
{
    size_t count = 0;

    while (fuzz_seeds[count] != NULL)
        count++;
    return count;
}

/* Put `size` bytes at `at`, moving the rest. Returns the new length. */
static size_t insert(uint8_t *data, size_t length, size_t at, const void *bytes, size_t size)
{
    if (length + size > LONGEST)
        return length;
    memmove(data + at + size, data + at, length - at);
    memcpy(data + at, bytes, size);
    return length + size;
}

static size_t change(uint8_t *data, size_t length)
{
    static const char telling[] = "'\"`$:[]()-/*\\\n\r%@?&=;,._0123456789aE \x80\xFF";
    size_t at = pick(length + 1);
    uint8_t byte = pick(4) == 0 ? (uint8_t)pick(256) : (uint8_t)telling[pick(sizeof telling - 1)];
    const char *piece = fuzz_seeds[pick(count_seeds())];

    switch (pick(5)) {
    case 0: /* change one */
        if (at < length)
            data[at] = byte;
        return length;
    case 1: /* add one */
        return insert(data, length, at, &byte, 1);
    case 2: { /* drop some */
        size_t size = pick(length - at + 1) % 8;
        memmove(data + at, data + at + size, length - at - size);
        return length - size;
    }
    case 3: /* cut */
        return pick(8) == 0 ? at : length;
    default: /* cross with another */
        return insert(data, length, at, piece, pick(strlen(piece) + 1));
    }
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* fuzz_x [seconds [seed]] */
int main(int argc, char **argv)
{
    double until = seconds() + (argc > 1 ? atof(argv[1]) : 5);
    size_t count = count_seeds();
    static uint8_t data[LONGEST];
    unsigned long runs = 0;

    random_state += argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    for (size_t i = 0; i < count; i++)
        LLVMFuzzerTestOneInput((const uint8_t *)fuzz_seeds[i], strlen(fuzz_seeds[i]));
    while (seconds() < until) {
        const char *seed = fuzz_seeds[pick(count)];
        size_t length = strlen(seed);
        memcpy(data, seed, length);
        for (size_t i = pick(12); i > 0; i--) {
            length = change(data, length);
            LLVMFuzzerTestOneInput(data, length);
            runs++;
        }
    }
    printf("%lu inputs\n", runs);
    return 0;
}
