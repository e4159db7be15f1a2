/* SPDX-License-Identifier: MIT */
/* How many processors this process may use. */
#include "cores.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS "/sys/fs/cgroup"
#define PATH_MOST 4096

int cores_of_quota(const char *text)
{
    char *end;
    long long quota = strtoll(text, &end, 10);

    if (end == text || *end != ' ' || quota <= 0)
        return 0;
    long long period = strtoll(end, NULL, 10);
    if (period <= 0 || quota / period > 1 << 20)
        return 0;
    return (int)((quota + period - 1) / period);
}

static bool read_line(const char *path, const char *beginning, char *line, int size)
{
    FILE *file = fopen(path, "re");
    bool is_found = false;

    if (file == NULL)
        return false;
    while (!is_found && fgets(line, size, file) != NULL)
        is_found = strncmp(line, beginning, strlen(beginning)) == 0;
    fclose(file);
    return is_found;
}

static int fewer(int a, int b)
{
    return b > 0 && b < a ? b : a;
}

/* A limit holds for all groups below it, so each one up to the root counts. */
static int limit_by_groups(int cores)
{
    char line[PATH_MOST], path[PATH_MOST + sizeof GROUPS + 16], quota[128];

    if (!read_line("/proc/self/cgroup", "0::/", line, sizeof line))
        return cores;
    line[strcspn(line, "\n")] = '\0';
    char *group = line + 3;
    for (char *slash = group + strlen(group); slash != NULL; slash = strrchr(group, '/')) {
        *slash = '\0';
        snprintf(path, sizeof path, GROUPS "%s/cpu.max", group);
        if (read_line(path, "", quota, sizeof quota))
            cores = fewer(cores, cores_of_quota(quota));
    }
    return cores;
}

int cores_usable(void)
{
    cpu_set_t set;
    int cores;

    /* A machine with more processors than a set has room for is asked how many it has. */
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        cores = CPU_COUNT(&set);
    else
        cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return limit_by_groups(cores > 0 ? cores : 1);
}
