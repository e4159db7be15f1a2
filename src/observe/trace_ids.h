/* SPDX-License-Identifier: MIT */
/* Random ids for traces and spans, and whether this process is still the one it was. */
#ifndef WEIR_OBSERVE_TRACE_IDS_H
#define WEIR_OBSERVE_TRACE_IDS_H

#include <stddef.h>
#include <stdint.h>

/* Fill with random bytes, not all of them zero. `size` is 8 or 16. Threads: any; each has a
 * generator of its own, seeded by the kernel, anew in a forked child. */
void weir__random_id(uint8_t *id, size_t size);

/* How many forks lie between the process in which this was first asked and this one. */
unsigned weir__forks(void);

#endif
