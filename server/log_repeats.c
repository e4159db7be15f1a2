/* SPDX-License-Identifier: MIT */
/* The same message again and again: a few times, then only how often. */
#include "log_repeats.h"

#include <string.h>

#include "urltext.h"

/* FNV-1a of what is no digit: times and counts differ where the message is the same. */
static uint64_t hash_of(const char *message)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (; *message != '\0'; message++) {
        if (*message >= '0' && *message <= '9')
            continue;
        hash = (hash ^ (unsigned char)*message) * UINT64_C(1099511628211);
    }
    return hash != 0 ? hash : 1;
}

static bool is_over(const struct repeat *place, weir_time now)
{
    return now - place->began >= REPEATS_WINDOW;
}

/* The place of a message, or one that can become it; NULL: all are in use. */
static struct repeat *find(struct repeats *repeats, uint64_t hash, weir_time now)
{
    struct repeat *free_place = NULL;

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
        size_t size = utf8_char_size(message + used, length - used);
        size = size > 0 ? size : 1;
        if (used + size >= REPEATS_SAMPLE)
            break;
        used += size;
    }
    memcpy(sample, message, used);
    sample[used] = '\0';
}

bool repeats_admit(struct repeats *repeats, const char *message, weir_time now)
{
    uint64_t hash = hash_of(message);
    struct repeat *place = find(repeats, hash, now);

    if (place == NULL)
        return true;
    if (place->hash != hash || (is_over(place, now) && place->held_back == 0))
        *place = (struct repeat){.hash = hash, .began = now};
    if (place->seen++ < REPEATS_LET_THROUGH)
        return true;
    if (place->held_back++ == 0)
        copy_beginning(place->sample, message);
    return false;
}

bool repeats_take(struct repeats *repeats, weir_time now, bool is_end, unsigned *ret_held_back,
                  char ret_sample[REPEATS_SAMPLE])
{
    for (size_t i = 0; i < REPEATS_MESSAGES; i++) {
        struct repeat *place = &repeats->places[i];

        if (place->hash == 0 || place->held_back == 0 || !(is_end || is_over(place, now)))
            continue;
        *ret_held_back = place->held_back;
        memcpy(ret_sample, place->sample, REPEATS_SAMPLE);
        *place = (struct repeat){0};
        return true;
    }
    return false;
}
