/* SPDX-License-Identifier: MIT */
/* Repeated messages: the first few are logged, then only how many there were. */
#ifndef WEIR_SERVER_LOG_REPEATS_H
#define WEIR_SERVER_LOG_REPEATS_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/clock.h>

/* Of one message, so many are let through in one window, and of one kind; the rest is counted. */
#define REPEATS_LET_THROUGH 5
#define REPEATS_KIND_LET_THROUGH 1
#define REPEATS_WINDOW (10 * WEIR_SECOND)
#define REPEATS_MESSAGES 64
#define REPEATS_SAMPLE 160

/* One message: those that differ only in digits are the same. Or all of one kind. */
struct repeat {
    uint64_t hash; /* 0: the place is free */
    weir_time began;
    unsigned seen;
    unsigned held_back;
    char sample[REPEATS_SAMPLE]; /* the beginning of the first that was held back */
};

/* Arithmetic on the instants it is given; the caller's lock guards it. The last place is for all that
 * find no other. */
struct repeats {
    struct repeat places[REPEATS_MESSAGES + 1];
};

/* Whether a message is to be written, at `now`. `kind`, if not NULL, is what it is counted by. Of more than
 * REPEATS_MESSAGES different ones in a window, those beyond are counted together. */
bool repeats_admit(struct repeats *repeats, const char *kind, const char *message, weir_time now);

/* What was held back of one message. */
struct held_back {
    unsigned count;
    bool is_mixed; /* of several, for want of places */
    char sample[REPEATS_SAMPLE];
};

/* Take one message whose window is over and of which some were held back; false when there is none.
 * `is_end`: as if every window were over. */
bool repeats_take(struct repeats *repeats, weir_time now, bool is_end, struct held_back *ret_held);

#endif
