/* SPDX-License-Identifier: MIT */
/* Hashes for tables of what programs and their servers name; none withstands one who looks for collisions. */
#ifndef WEIR_COMMON_HASH_H
#define WEIR_COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* FNV-1a, a byte at a time: for short texts, and for those that are not hashed whole. */
#define FNV1A_START UINT64_C(0xCBF29CE484222325)

static inline uint64_t fnv1a(uint64_t hash, char byte)
{
    return (hash ^ (unsigned char)byte) * UINT64_C(0x100000001B3);
}

static inline uint64_t fnv1a_text(uint64_t hash, const char *text)
{
    while (*text != '\0')
        hash = fnv1a(hash, *text++);
    return hash;
}

/* A hash goes on with another value: multiply and fold. */
static inline uint64_t hash_mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 32;
}

/* Eight bytes at a time: for texts of hundreds of bytes. */
static inline uint64_t hash_bytes(const char *bytes, size_t size)
{
    uint64_t hash = size;

    while (size > 0) {
        uint64_t word = 0;
        size_t step = size < sizeof word ? size : sizeof word;
        memcpy(&word, bytes, step);
        hash = hash_mix(hash, word);
        bytes += step;
        size -= step;
    }
    return hash;
}

#endif
