/* SPDX-License-Identifier: MIT */
/* What watching shows of a pool and of the process. */
#include "unit/steps.h"

#include "unit/metrics_text.h"

#include <weir/pool.h>

#include <pthread.h>
#include <unistd.h>

#define POOL "{db_client_connection_pool_name=\"fake\"} "

/* ---- pools ------------------------------------------------------------------------------- */

static void a_pool_is_shown_as_its_statistics_are(void)
{
    weir_pool *pool = open_pool(2, 1);

    open_metrics();
    check_int(weir_metrics_watch_pool(registry, pool, &e), WEIR_OK);
    f.behaviour[FAKE_CONNECT].takes = 2 * WEIR_MS;
    weir_lease a = take(pool);
    weir_lease b = take(pool);
    weir_lease c = take(pool);
    f.behaviour[FAKE_CONNECT].takes = 0;
    refused(pool, WEIR_TIMEOUT);
    render();
    check_line("db_client_connections{db_client_connection_pool_name=\"fake\","
               "db_client_connection_state=\"used\"} 3");
    check_line("db_client_connections{db_client_connection_pool_name=\"fake\","
               "db_client_connection_state=\"idle\"} 0");
    check_line("db_client_connection_max" POOL "3");
    check_line("db_client_connection_idle_max" POOL "2");
    check_line("db_client_connection_idle_min" POOL "0");
    check_line("db_client_connection_pending_requests" POOL "0");
    check_line("db_client_connection_timeouts_total" POOL "1");
    check_line("db_client_connection_create_time_seconds_count" POOL "3");
    check_line("db_client_connection_create_time_seconds_sum" POOL "0.006");
    check_line("db_client_connection_create_time_seconds_bucket{db_client_connection_pool_name="
               "\"fake\",le=\"0.001\"} 0");
    check_line("db_client_connection_create_time_seconds_bucket{db_client_connection_pool_name="
               "\"fake\",le=\"0.0025\"} 3");
    check_line("weir_pool_open_connections" POOL "3");
    check_line("weir_pool_peer_limit" POOL "0");
    check_line("weir_pool_peer_refusals_total" POOL "0");
    check_line("weir_pool_checkouts_total" POOL "3");
    check_line("weir_pool_waits_total" POOL "1");
    check_line("weir_pool_connects_total" POOL "3");
    check_line("weir_pool_closes_total" POOL "0");
    give(pool, &a);
    give(pool, &b);
    give(pool, &c);
    render();
    check_line("db_client_connections{db_client_connection_pool_name=\"fake\","
               "db_client_connection_state=\"idle\"} 2");
    check_line("weir_pool_closes_total" POOL "1");
    check(strstr(text, "weir_reason=\"overflow\"") == NULL);
    weir_metrics_unwatch_pool(registry, pool);
    weir_pool_close(pool);
    close_metrics();
}

static void a_limit_of_the_server_is_shown_while_it_is_known(void)
{
    open_metrics();
    weir_pool *pool = open_pool(3, 0);
    weir_lease none = {0};

    check_int(weir_metrics_watch_pool(registry, pool, &e), WEIR_OK);
    f.room = 2;
    weir_lease a = take(pool);
    weir_lease b = take(pool);
    check_int(weir_pool_try_acquire(pool, &none, &e), WEIR_TIMEOUT);
    render();
    check_line("weir_pool_peer_limit" POOL "2");
    check_line("weir_pool_peer_refusals_total" POOL "1");
    f.now += 61 * WEIR_SECOND;
    render();
    check_line("weir_pool_peer_limit" POOL "0");
    check_line("weir_pool_peer_refusals_total" POOL "1");
    give(pool, &a);
    give(pool, &b);
    weir_metrics_unwatch_pool(registry, pool);
    weir_pool_close(pool);
    close_metrics();
}

static void what_is_thrown_away_is_counted_by_reason(void)
{
    weir_pool *pool = open_pool(2, 0);
    weir_lease lease;

    open_metrics();
    check_int(weir_metrics_watch_pool(registry, pool, &e), WEIR_OK);
    lease = take(pool);
    discard(pool, &lease, NULL);
    lease = take(pool);
    give(pool, &lease);
    weir_pool_evict_all(pool);
    f.now += 2 * 3600 * WEIR_SECOND;
    lease = take(pool);
    give(pool, &lease);
    f.now += 2 * 3600 * WEIR_SECOND; /* too old */
    lease = take(pool);
    give(pool, &lease);
    f.now += WEIR_SECOND;
    f.behaviour[FAKE_PING].fail_next = 1;
    lease = take(pool);
    give(pool, &lease);
    render();
#define THROWN "weir_pool_invalidated_total{db_client_connection_pool_name=\"fake\",weir_reason="
    check_line(THROWN "\"discarded\"} 1");
    check_line(THROWN "\"evicted\"} 1");
    check_line(THROWN "\"ping-failed\"} 1");
    check_line(THROWN "\"stale-socket\"} 0");
    check_line("weir_pool_recycled_total" POOL "1");
    check_line("weir_pool_pings_total" POOL "1");
    check_line("weir_pool_ping_failures_total" POOL "1");
    weir_metrics_unwatch_pool(registry, pool);
    weir_pool_close(pool);
    close_metrics();
}

static void the_bounds_in_seconds_are_those_of_the_pool(void)
{
    open_metrics();
    weir_pool *pool = open_pool(1, 0);
    check_int(weir_metrics_watch_pool(registry, pool, &e), WEIR_OK);
    f.behaviour[FAKE_CONNECT].takes = 1;
    /* Openings that take exactly a bound stay in its bucket: each bound adds one. */
    for (int i = 0; i < WEIR_HISTOGRAM_BUCKETS - 1; i++) {
        f.behaviour[FAKE_CONNECT].takes = weir_histogram_bounds[i];
        weir_lease lease = take(pool);
        discard(pool, &lease, NULL);
    }
    render();
    const char *at = text;
    for (int i = 0; i < WEIR_HISTOGRAM_BUCKETS - 1; i++) {
        double bound = 0;
        int count = 0;

        at = strstr(at, "create_time_seconds_bucket");
        check(at != NULL && sscanf(strstr(at, "le="), "le=\"%lf\"} %d", &bound, &count) == 2);
        check_int((int64_t)(bound * 1e9 + 0.5), weir_histogram_bounds[i]);
        check_int(count, i + 1);
        at = at != NULL ? at + 1 : text;
    }
    weir_metrics_unwatch_pool(registry, pool);
    weir_pool_close(pool);
    close_metrics();
}

static void a_pool_is_watched_once_and_pools_of_one_name_are_added_up(void)
{
    static struct fake other;
    weir_pool *pool = open_pool(2, 1);

    fake_init(&other);
    weir_pool_options o = fake_options(&other, 5, 0);
    weir_pool *namesake = fake_open(&other, &o);
    open_metrics();
    check_int(weir_metrics_watch_pool(registry, pool, &e), WEIR_OK);
    check_int(weir_metrics_watch_pool(registry, pool, &e), WEIR_ALREADY);
    check_int(weir_metrics_watch_pool(registry, namesake, &e), WEIR_OK);
    render();
    check_line("db_client_connection_max" POOL "8");
    weir_metrics_unwatch_pool(registry, namesake);
    render();
    check_line("db_client_connection_max" POOL "3");
    weir_metrics_unwatch_pool(registry, pool);
    weir_metrics_unwatch_pool(registry, pool);
    check_text(render(), "");
    weir_pool_close(pool);
    weir_pool_close(namesake);
    close_metrics();
}

static void a_disposed_pool_can_still_be_watched(void)
{
    weir_pool *pool = open_pool(2, 1);

    open_metrics();
    check_int(weir_metrics_watch_pool(registry, pool, &e), WEIR_OK);
    weir_lease lease = take(pool);
    give(pool, &lease);
    check_int(weir_pool_dispose(pool, WEIR_DEADLINE_NOW, &e), WEIR_OK);
    render();
    check_line("weir_pool_open_connections" POOL "0");
    check_line("weir_pool_closes_total" POOL "1");
    weir_metrics_unwatch_pool(registry, pool);
    weir_pool_close(pool);
    close_metrics();
}

/* ---- the process ------------------------------------------------------------------------- */

static double figure(const char *name)
{
    const char *at = strstr(text, name);

    return at != NULL ? strtod(at + strlen(name), NULL) : -1;
}

static void *nothing(void *arg)
{
    return arg;
}

static void *render_in_a_thread(void *arg)
{
    render();
    return arg;
}

static void the_process_is_shown_as_it_is(void)
{
    pthread_t thread;

    /* The first thread of a program brings one of a sanitizer's with it. */
    pthread_create(&thread, NULL, nothing, NULL);
    pthread_join(thread, NULL);
    open_metrics();
    check_int(weir_metrics_watch_process(registry, &e), WEIR_OK);
    check_int(weir_metrics_watch_process(registry, &e), WEIR_ALREADY);
    render();
    double files = figure("\nprocess_open_fds ");
    int fd = dup(1);
    render();
    check_int(figure("\nprocess_open_fds "), files + 1);
    close(fd);
    check(files >= 3 && files < figure("\nprocess_max_fds "));
    double threads = figure("\nprocess_threads ");
    pthread_create(&thread, NULL, render_in_a_thread, NULL);
    pthread_join(thread, NULL);
    check_int(figure("\nprocess_threads "), threads + 1);
    check(figure("\nprocess_cpu_seconds_total ") > 0);
    double resident = figure("\nprocess_resident_memory_bytes ");
    check(resident > 100000 && resident < figure("\nprocess_virtual_memory_bytes "));
    double started = figure("\nprocess_start_time_seconds ");
    double now = (double)time(NULL);
    check(started > now - 600 && started < now + 2);
    check_line("weir_build_info{version=\"" WEIR_VERSION "\"} 1");
    close_metrics();
}

int main(void)
{
    run(the_process_is_shown_as_it_is);
    run(a_pool_is_shown_as_its_statistics_are);
    run(a_limit_of_the_server_is_shown_while_it_is_known);
    run(what_is_thrown_away_is_counted_by_reason);
    run(the_bounds_in_seconds_are_those_of_the_pool);
    run(a_pool_is_watched_once_and_pools_of_one_name_are_added_up);
    run(a_disposed_pool_can_still_be_watched);
    return check_done();
}
