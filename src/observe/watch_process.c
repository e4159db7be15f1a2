/* SPDX-License-Identifier: MIT */
/* The process itself, as Prometheus' own clients show it. */
#include <weir/metrics.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { CPU, RESIDENT, VIRTUAL, OPEN_FDS, MAX_FDS, START, THREADS, BUILD, PROCESS_METRICS };

#define GAUGE(name_, unit_, description_)                                                          \
    {                                                                                              \
        .name = (name_), .kind = WEIR_METRIC_GAUGE, .unit = (unit_), .description = (description_) \
    }

static const weir_metric_options table[PROCESS_METRICS] = {
    [CPU] = {.name = "process.cpu.seconds",
             .unit = "s",
             .description = "CPU time used, in user and system mode"},
    [RESIDENT] = GAUGE("process.resident_memory.bytes", "By", "Resident memory"),
    [VIRTUAL] = GAUGE("process.virtual_memory.bytes", "By", "Virtual memory"),
    [OPEN_FDS] = GAUGE("process.open_fds", "{descriptor}", "Open file descriptors"),
    [MAX_FDS] = GAUGE("process.max_fds", "{descriptor}", "Limit of open file descriptors"),
    [START] = GAUGE("process.start_time.seconds", "s", "When the process started, in Unix time"),
    [THREADS] = GAUGE("process.threads", "{thread}", "Threads"),
    [BUILD] = {.name = "weir.build.info",
               .kind = WEIR_METRIC_GAUGE,
               .description = "1, with the version of weir",
               .labels = {"version"}},
};

/* A file of /proc, at most `size` - 1 bytes of it; empty when it cannot be read. */
static void read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, size - 1) : -1;

    if (fd >= 0)
        close(fd);
    text[length > 0 ? length : 0] = '\0';
}

/* The fields of /proc/self/stat behind the program's name, which may hold anything: the number at
 * `index`, where the state is 0. */
static double stat_field(const char *stat, int index)
{
    const char *at = strrchr(stat, ')');

    for (int i = 0; at != NULL && i <= index; i++) {
        at = strchr(at, ' ');
        at = at != NULL ? at + 1 : NULL;
    }
    return at != NULL ? strtod(at, NULL) : 0;
}

/* The instant of the machine's start, in Unix time. */
static double boot_time(void)
{
    struct timespec now;
    struct timespec since;

    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &since);
    return (double)(now.tv_sec - since.tv_sec) + (double)(now.tv_nsec - since.tv_nsec) / 1e9;
}

static double count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    double count = 0;

    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    /* Neither "." and ".." nor the descriptor of the folder. */
    return count > 3 ? count - 3 : 0;
}

/* In Unix time. A fixed figure: computed at each rendering it would tremble with the wall clock. */
static double started_at;
static pthread_once_t start_once = PTHREAD_ONCE_INIT;

static void find_start(void)
{
    char stat[1024];

    read_file("/proc/self/stat", stat, sizeof stat);
    started_at = boot_time() + stat_field(stat, 19) / (double)sysconf(_SC_CLK_TCK);
}

static void write_process(weir_metrics_writer *writer, void *arg)
{
    weir_metric *const *metrics = weir_metrics_writer_table(writer);
    const char *const version[] = {weir_version()};
    char stat[1024];
    struct timespec cpu = {0, 0};
    struct rlimit limit = {0, 0};

    (void)arg;
    read_file("/proc/self/stat", stat, sizeof stat);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    getrlimit(RLIMIT_NOFILE, &limit);
    weir_metrics_write(writer, metrics[CPU], NULL, (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
    weir_metrics_write(writer, metrics[THREADS], NULL, stat_field(stat, 17));
    weir_metrics_write(writer, metrics[VIRTUAL], NULL, stat_field(stat, 20));
    weir_metrics_write(writer, metrics[RESIDENT], NULL,
                       stat_field(stat, 21) * (double)sysconf(_SC_PAGESIZE));
    weir_metrics_write(writer, metrics[OPEN_FDS], NULL, count_descriptors());
    weir_metrics_write(writer, metrics[MAX_FDS], NULL, (double)limit.rlim_cur);
    weir_metrics_write(writer, metrics[START], NULL, started_at);
    weir_metrics_write(writer, metrics[BUILD], version, 1);
}

weir_status weir_metrics_watch_process(weir_metrics *metrics, weir_error *reterr)
{
    pthread_once(&start_once, find_start);
    return weir_metrics_add_table_source(metrics, table, PROCESS_METRICS, write_process, NULL,
                                         reterr);
}
