/* SPDX-License-Identifier: MIT */
/* How many processors this process may use. */
#ifndef WEIR_SERVER_CORES_H
#define WEIR_SERVER_CORES_H

/*
 * The processors that the process may run on (taskset, cpusets), or as many as its control group may have
 * time of (version 2; containers with a limit), rounded up, whichever are fewer; at least 1.
 */
int cores_usable(void);

/* What a file cpu.max allows, "200000 100000" being 2; 0: no limit, or none that can be read. */
int cores_of_quota(const char *text);

#endif
