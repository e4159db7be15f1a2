/* SPDX-License-Identifier: MIT */
/*
 * A GET of 1 KiB through weir_http beside the same through libcurl alone, over connections that are
 * kept, from nginx on loopback. What counts is the CPU time of this process per request; nginx works
 * in processes of its own. Then the same for 64 KiB of gzipped text, which libcurl decodes by itself;
 * beside a new handle per request; and over https where each request needs a new connection, with the
 * system's bundle of certificates to trust.
 *
 * All take turns in short rounds, each round begins with another one, and a ratio is the median of
 * the rounds' ratios, so that what else the machine does meets all. A single client shares one
 * processor with nginx, for the reason that bench_db.c gives. A new handle per request leaves its port
 * taken for a minute: 8 threads that make 2,000 requests each so come to search for free ones, which
 * is half of what they cost (200 each: some 2.5 times weir_http_send). Not shown: a network,
 * larger bodies, retries and redirects, and what a cheaper server or a busier machine would do to the
 * wall time.
 *
 * Needs tests/with_nginx.sh. With --check, a ratio outside of its limit is a failure.
 */
#include "http_ways.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#define MOST_ROUNDS 60
#define MOST_WAYS 8

/* ---- the server, seen from outside --------------------------------------------------------- */

static const char *need_env(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL) {
        fprintf(stderr, "bench_http: %s is not set: run this through tests/with_nginx.sh\n", name);
        exit(1);
    }
    return value;
}

/* How many connections nginx has accepted; the observer has one that it keeps. */
static long count_accepts(void)
{
    static CURL *observer;
    static struct client page;
    long accepts = -1;

    if (observer == NULL) {
        observer = new_handle(&page);
        curl_easy_setopt(observer, CURLOPT_URL, need_env("WEIR_TEST_NGINX_STATUS"));
    }
    page.size = 0;
    must_perform(observer);
    page.body[page.size] = '\0';
    const char *table = strstr(page.body, "requests\n");
    bench_must(table != NULL && sscanf(table, "requests %ld", &accepts) == 1, "stub_status");
    return accepts;
}

static void pin(pid_t pid, const cpu_set_t *set)
{
    if (sched_setaffinity(pid, sizeof(*set), set) != 0)
        printf("process %d could not be given its processors\n", (int)pid);
}

static pid_t worker_of_nginx(void)
{
    char path[128];
    long master = 0;
    long worker = 0;
    FILE *file = fopen(need_env("WEIR_TEST_NGINX_PID"), "r");

    bench_must(file != NULL && fscanf(file, "%ld", &master) == 1, "reading nginx's process id");
    fclose(file);
    snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", master, master);
    file = fopen(path, "r");
    bench_must(file != NULL && fscanf(file, "%ld", &worker) == 1, "reading its worker's");
    fclose(file);
    return (pid_t)worker;
}

/* ---- measuring ----------------------------------------------------------------------------- */

/* A way to ask, and how often it is taken in a round, by all threads together. */
struct way {
    const char *name;
    void (*ask)(struct client *client);
    int requests;
};

/* What its rounds took, per request, in microseconds. */
struct record {
    double cpu[MOST_ROUNDS];
    double wall[MOST_ROUNDS];
    long connections;
};

static struct record records[MOST_WAYS];
static int thread_count;
static int round_count;

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void ask_many(void *arg, int number)
{
    const struct way *way = arg;

    for (int i = 0; i < way->requests / thread_count; i++)
        way->ask(&clients[number]);
}

static void time_round(const struct way *way, struct record *record, int round)
{
    struct way copy = *way;
    int requests = way->requests / thread_count * thread_count;
    long accepts = count_accepts();
    double start = cpu_seconds();
    weir_time wall = bench_run_threads(thread_count, ask_many, &copy);

    record->cpu[round] = (cpu_seconds() - start) / requests * 1e6;
    record->wall[round] = (double)wall / requests / 1e3;
    record->connections += count_accepts() - accepts;
}

/* The median of values, divided by others round by round, with the bounds of the middle half. */
struct summary {
    double median, low, high, least;
};

static struct summary summarize(const double *values, const double *divisors)
{
    double sorted[MOST_ROUNDS];
    struct summary summary;

    for (int i = 0; i < round_count; i++)
        sorted[i] = values[i] / (divisors != NULL ? divisors[i] : 1);
    summary.median = bench_median(sorted, (size_t)round_count);
    summary.least = sorted[0];
    summary.low = sorted[round_count / 4];
    summary.high = sorted[round_count - 1 - round_count / 4];
    return summary;
}

/* Take all ways in turns, and print each beside the first. */
static void measure(const struct way *ways, int count, int threads, int rounds)
{
    bench_must(count <= MOST_WAYS && rounds <= MOST_ROUNDS && threads <= MOST_THREADS, "the plan");
    memset(records, 0, sizeof records);
    thread_count = threads;
    round_count = rounds;
    for (int i = 0; i < count; i++)
        time_round(&ways[i], &records[i], 0); /* warms up, and is written over */
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++)
            time_round(&ways[(i + round) % count], &records[(i + round) % count], round);
    printf("  %-47s %7s %8s %7s   %-14s %8s %7s\n", "", "CPU µs", "least", "ratio", "middle half",
           "per s", "opened");
    for (int i = 0; i < count; i++) {
        struct summary cpu = summarize(records[i].cpu, NULL);
        struct summary ratio = summarize(records[i].cpu, records[0].cpu);
        double wall = summarize(records[i].wall, NULL).median;
        printf("  %-46s %7.1f %8.1f %7.2f   %4.2f to %-6.2f %8.0f %7ld\n", ways[i].name, cpu.median,
               cpu.least, ratio.median, ratio.low, ratio.high, 1e6 / wall, records[i].connections);
    }
    fflush(stdout);
}

/* ---- what is compared ---------------------------------------------------------------------- */

static bool is_within = true;

static void hold(const char *what, double value, double least, double most)
{
    bool is_fine = value >= least && value <= most;

    printf("  %-46s %7.2f   %s %.2f%s\n", what, value, least > 0 ? "at least" : "at most",
           least > 0 ? least : most, is_fine ? "" : ": NOT KEPT");
    is_within &= is_fine;
}

static void bench_kept(const char *base, const char *scheme, int threads, int requests)
{
    enum { ONCE, AGAIN, STACK, SEND, GET, COUNT };
    const struct way ways[COUNT] = {
        [ONCE] = {"libcurl, a handle per thread, options set once", ask_once, requests},
        [AGAIN] = {"libcurl, reset and set again, response kept", ask_again, requests},
        [STACK] = {"libcurl, handles behind one mutex", ask_stack, requests},
        [SEND] = {"weir_http_send", ask_send, requests},
        [GET] = {"weir_http_get", ask_get, requests},
    };

    printf("\n%s, %d thread%s, connections kept\n", scheme, threads, threads == 1 ? "" : "s");
    snprintf(url, sizeof(url), "%s/", base);
    open_session(30000);
    measure(ways, COUNT, threads, 60);
    hold("weir_http_send to a handle per thread",
         summarize(records[SEND].cpu, records[ONCE].cpu).median, 0, 1.10);
    hold("connections that weir_http_send opened", (double)records[SEND].connections, 0, 20);
    close_all();
}

static void bench_gzip(const char *base, const char *scheme, int threads, int requests)
{
    enum { ONCE, SEND, COUNT };
    const struct way ways[COUNT] = {
        [ONCE] = {"libcurl, which decodes by itself", ask_once, requests},
        [SEND] = {"weir_http_send", ask_send, requests},
    };

    printf("\n%s, %d thread%s, connections kept, 64 KiB of gzipped text\n", scheme, threads,
           threads == 1 ? "" : "s");
    snprintf(url, sizeof(url), "%s/gzip", base);
    body_size = TEXT_SIZE;
    open_session(30000);
    measure(ways, COUNT, threads, 60);
    hold("weir_http_send to libcurl's own decoding",
         summarize(records[SEND].cpu, records[ONCE].cpu).median, 0, 1.10);
    close_all();
    body_size = BODY_SIZE;
}

/* As many requests in a round that the start of the threads is of no account. */
static void bench_new_handles(const char *base, const char *scheme, int threads, int requests,
                              int rounds)
{
    enum { SEND, NEW, COUNT };
    const struct way ways[COUNT] = {
        [SEND] = {"weir_http_send", ask_send, requests},
        [NEW] = {"libcurl, a new handle per request", ask_new, requests},
    };

    printf("\n%s, %d thread%s, %d requests each\n", scheme, threads, threads == 1 ? "" : "s",
           requests / threads);
    snprintf(url, sizeof(url), "%s/", base);
    open_session(30000);
    measure(ways, COUNT, threads, rounds);
    hold("a new handle per request to weir_http_send",
         summarize(records[NEW].cpu, records[SEND].cpu).median, 3, 1e9);
    close_all();
}

/* A copy of the system's bundle with nginx's own certificate at its end; a temporary file. */
static void write_bundle(char *path)
{
    const char *parts[] = {curl_version_info(CURLVERSION_NOW)->cainfo, ca_file};
    FILE *bundle = fdopen(mkstemp(path), "w");
    char buffer[4096];
    size_t size;

    bench_must(bundle != NULL, "a temporary file");
    for (int i = 0; i < 2; i++) {
        FILE *part = parts[i] != NULL ? fopen(parts[i], "r") : NULL;
        bench_must(part != NULL, "reading the system's bundle of certificates");
        while ((size = fread(buffer, 1, sizeof(buffer), part)) > 0)
            bench_must(fwrite(buffer, 1, size, bundle) == size, "writing a bundle");
        fclose(part);
    }
    bench_must(fclose(bundle) == 0, "writing a bundle");
}

static void bench_new_connections(const char *base)
{
    char path[] = "/tmp/weir-bench.XXXXXX";
    const struct way ways[] = {
        {"libcurl, a new handle per request", ask_new, 2},
        {"libcurl, one handle that keeps its store", ask_fresh, 20},
        {"weir_http_send, idle_timeout_ms = 0", ask_send, 20},
    };

    printf(
        "\nhttps, 1 thread, a new connection per request, the system's bundle of certificates\n");
    snprintf(url, sizeof(url), "%s/", base);
    write_bundle(path);
    ca_file = path;
    open_session(0);
    measure(ways, 3, 1, 20);
    close_all();
    unlink(path);
}

static void bench_all(void)
{
    const char *http = need_env("WEIR_TEST_NGINX_HTTP");
    const char *https = need_env("WEIR_TEST_NGINX_HTTPS");
    pid_t worker = worker_of_nginx();
    cpu_set_t one;
    cpu_set_t all;

    ca_file = need_env("WEIR_TEST_NGINX_CA");
    bench_must(sched_getaffinity(0, sizeof(all), &all) == 0, "sched_getaffinity");
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    pin(0, &one);
    pin(worker, &one);
    bench_kept(http, "http", 1, 200);
    bench_kept(https, "https", 1, 200);
    bench_gzip(http, "http", 1, 60);
    bench_new_handles(http, "http", 1, 2000, 5);
    bench_new_handles(https, "https", 1, 100, 5);
    bench_new_connections(https);
    ca_file = need_env("WEIR_TEST_NGINX_CA");
    pin(0, &all);
    pin(worker, &all);
    bench_kept(http, "http", 8, 2400);
    bench_kept(https, "https", 8, 2400);
    bench_gzip(http, "http", 8, 800);
    bench_new_handles(https, "https", 8, 800, 5);
    bench_new_handles(http, "http", 8, 16000, 3);
}

int main(int argc, char **argv)
{
    bool checks = argc > 1 && strcmp(argv[1], "--check") == 0;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    printf("GET of 1 KiB from nginx on loopback, CPU of this process per request; libcurl %s\n",
           curl_version_info(CURLVERSION_NOW)->version);
    bench_all();
    return checks && !is_within;
}
