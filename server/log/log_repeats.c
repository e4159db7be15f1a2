/* SPDX-License-Identifier: MIT */
/* Repeated messages: the first few are logged, then only how many there were. */
#include "log_repeats.h"

#include <string.h>

#include "common/hash.h"
#include "common/utf8.h"

/* Of a message without its digits: times and counts differ where it is the same. */
static uint64_t hash_of(const char *message, bool has_digits)
{
    uint64_t hash = FNV1A_START;

    for (; *message != '\0'; message++) {
        if (!has_digits && *message >= '0' && *message <= '9')
            continue;
        hash = fnv1a(hash, *message);
    }
    return hash != 0 ? hash : 1;
}

static bool is_over(const struct repeat *place, weir_time now)
{
    return now - place->began >= REPEATS_WINDOW;
}

/* The place of a message, or one that can become it. */
static struct repeat *find(struct repeats *repeats, uint64_t hash, weir_time now)
{
    struct repeat *free_place = &repeats->places[REPEATS_MESSAGES];

    for (size_t i = 0; i < REPEATS_MESSAGES; i++) {
        struct repeat *place = &repeats->places[i];

        if (place->hash == hash)
            return place;
        if (place->hash == 0 || (is_over(place, now) && place->held_back == 0))
            free_place = place;
    }
    return free_place;
}

/* As much of a text as the sample holds, never half a character. */
static void copy_beginning(char sample[REPEATS_SAMPLE], const char *message)
{
    size_t length = strlen(message);
    size_t used = 0;

    while (used < length) {
        size_t size = utf8_length(message + used, message + length);
        size = size > 0 ? size : 1;
        if (used + size >= REPEATS_SAMPLE)
            break;
        used += size;
    }
    memcpy(sample, message, used);
    sample[used] = '\0';
}

bool repeats_admit(struct repeats *repeats, const char *kind, const char *message, weir_time now)
{
    uint64_t hash = kind != NULL ? hash_of(kind, true) : hash_of(message, false);
    struct repeat *place = find(repeats, hash, now);
    bool is_shared = place == &repeats->places[REPEATS_MESSAGES];
    unsigned most = kind != NULL && !is_shared ? REPEATS_KIND_LET_THROUGH : REPEATS_LET_THROUGH;

    if (place->hash == 0 || (place->hash != hash && !is_shared) ||
        (is_over(place, now) && place->held_back == 0))
        *place = (struct repeat){.hash = hash, .began = now};
    if (place->seen++ < most)
        return true;
    if (place->held_back++ == 0)
        copy_beginning(place->sample, message);
    return false;
}

bool repeats_take(struct repeats *repeats, weir_time now, bool is_end, struct held_back *ret_held)
{
    for (size_t i = 0; i <= REPEATS_MESSAGES; i++) {
        struct repeat *place = &repeats->places[i];

        if (place->hash == 0 || place->held_back == 0 || !(is_end || is_over(place, now)))
            continue;
        ret_held->count = place->held_back;
        ret_held->is_mixed = i == REPEATS_MESSAGES;
        memcpy(ret_held->sample, place->sample, REPEATS_SAMPLE);
        *place = (struct repeat){0};
        return true;
    }
    return false;
}
