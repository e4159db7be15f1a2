/* SPDX-License-Identifier: MIT */
/* What watching shows of a pool, a database, an HTTP session and the process. */
#include "unit/steps.h"

#include "unit/metrics_text.h"

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

/* ---- databases --------------------------------------------------------------------------- */

/* A database that is nothing but a pool and a listener. */
static struct fake_db {
    weir_pool *pool;
    weir_db_listener *listener;
    void *arg;
    weir_status answer;
    const char *database;
} fake_db;

static weir_pool *fake_db_pool(weir_db *db)
{
    return ((struct fake_db *)(void *)db)->pool;
}

static weir_status fake_db_listen(weir_db *db, weir_db_listener *listener, void *arg,
                                  weir_error *reterr)
{
    struct fake_db *own = (struct fake_db *)(void *)db;

    if (own->answer != WEIR_OK)
        return weir_error_set(reterr, own->answer, "no room");
    own->listener = listener;
    own->arg = arg;
    return WEIR_OK;
}

static const weir_metrics_db db_functions = {fake_db_pool, fake_db_listen};

static weir_db *open_fake_db(void)
{
    fake_db = (struct fake_db){.pool = open_pool(2, 1), .database = "shop"};
    open_metrics();
    return (weir_db *)(void *)&fake_db;
}

static void close_fake_db(void)
{
    weir_metrics_unwatch_pool(registry, fake_db.pool);
    weir_pool_close(fake_db.pool);
    close_metrics();
}

static void tell_statement(const char *operation, weir_time duration, size_t rows,
                           const weir_error *error)
{
    const weir_db_event event = {
        .db = (weir_db *)(void *)&fake_db,
        .engine = "postgresql",
        .database = fake_db.database,
        .operation = operation,
        .sql = "never shown",
        .duration = duration,
        .rows = rows,
        .status = error != NULL ? error->status : WEIR_OK,
        .error = error,
    };

    fake_db.listener(&event, fake_db.arg);
}

#define STATEMENT(operation)                                                                       \
    "{db_system_name=\"postgresql\",db_namespace=\"shop\",db_operation_name=\"" operation          \
    "\",db_client_connection_pool_name=\"fake\""

static void statements_are_shown_by_operation_and_error(void)
{
    weir_db *db = open_fake_db();
    weir_error error = {.status = WEIR_QUERY, .sqlstate = "23505"};

    check_int(weir_metrics_watch_db_with(registry, db, &db_functions, &e), WEIR_OK);
    tell_statement("SELECT", 2 * WEIR_MS, 3, NULL);
    tell_statement("SELECT", 4 * WEIR_MS, 0, NULL);
    tell_statement("INSERT", WEIR_MS, 0, NULL);
    tell_statement("INSERT", WEIR_MS, 0, &error);
    error = (weir_error){.status = WEIR_TIMEOUT};
    tell_statement("SELECT", 20 * WEIR_SECOND, 0, &error);
    render();
    check_line("db_client_operation_duration_seconds_count" STATEMENT("SELECT") "} 2");
    check_line("db_client_operation_duration_seconds_sum" STATEMENT("SELECT") "} 0.006");
    check_line(
        "db_client_operation_duration_seconds_bucket" STATEMENT("SELECT") ",le=\"0.001\"} 0");
    check_line(
        "db_client_operation_duration_seconds_bucket" STATEMENT("SELECT") ",le=\"0.005\"} 2");
    check_line("db_client_operation_duration_seconds_count" STATEMENT("INSERT") "} 1");
    check_line("db_client_operation_duration_seconds_count" STATEMENT(
        "INSERT") ",error_type=\"query\",db_response_status_code=\"23505\"} 1");
    check_line("db_client_operation_duration_seconds_bucket" STATEMENT(
        "SELECT") ",error_type=\"timeout\",le=\"10\"} 0");
    check_line("db_client_response_returned_rows_sum" STATEMENT("SELECT") "} 3");
    check_line("db_client_response_returned_rows_count" STATEMENT("SELECT") "} 2");
    check(strstr(text, "returned_rows_count" STATEMENT("INSERT")) == NULL);
    check(strstr(text, "never shown") == NULL);
    check_line("db_client_connection_max" POOL "3");
    close_fake_db();
}

#define COUNT_OF_SELECTS(database)                                                                 \
    "db_client_operation_duration_seconds_count{db_system_name=\"postgresql\",db_namespace="       \
    "\"" database "\",db_operation_name=\"SELECT\",db_client_connection_pool_name=\"fake\"}"

static void databases_that_follow_each_other_at_one_place_are_told_apart(void)
{
    weir_db *db = open_fake_db();
    char name[300];
    char line[600];

    check_int(weir_metrics_watch_db_with(registry, db, &db_functions, &e), WEIR_OK);
    tell_statement("SELECT", WEIR_MS, 1, NULL);
    fake_db.database = "store";
    tell_statement("SELECT", WEIR_MS, 1, NULL);
    tell_statement("SELECT", WEIR_MS, 1, NULL);
    memset(name, 'n', sizeof name);
    name[200] = '\0';
    fake_db.database = name;
    tell_statement("SELECT", WEIR_MS, 1, NULL);
    fake_db.database = "";
    tell_statement("SELECT", WEIR_MS, 1, NULL);
    render();
    check_line(COUNT_OF_SELECTS("shop") " 1");
    check_line(COUNT_OF_SELECTS("store") " 2");
    snprintf(line, sizeof line, COUNT_OF_SELECTS("%s") " 1", name);
    check_line(line);
    check_line("db_client_operation_duration_seconds_count{db_system_name=\"postgresql\","
               "db_operation_name=\"SELECT\",db_client_connection_pool_name=\"fake\"} 1");
    close_fake_db();
}

static void rows_are_counted_from_the_first_statement_that_returns_some(void)
{
    weir_db *db = open_fake_db();

    check_int(weir_metrics_watch_db_with(registry, db, &db_functions, &e), WEIR_OK);
    for (size_t rows = 0; rows < 4; rows++)
        tell_statement("INSERT", WEIR_MS, rows, NULL); /* … RETURNING */
    render();
    check_line("db_client_operation_duration_seconds_count" STATEMENT("INSERT") "} 4");
    check_line("db_client_response_returned_rows_count" STATEMENT("INSERT") "} 3");
    check_line("db_client_response_returned_rows_sum" STATEMENT("INSERT") "} 6");
    close_fake_db();
}

#define TELLERS 4
#define TOLD 500

static void *tell_many(void *arg)
{
    static const char *const operations[] = {"SELECT", "INSERT", "UPDATE", "DELETE"};

    for (int i = 0; i < TOLD; i++)
        tell_statement(operations[i % 4], WEIR_MS, 1, NULL);
    return arg;
}

static void statements_of_many_threads_are_all_counted(void)
{
    weir_db *db = open_fake_db();
    pthread_t threads[TELLERS];

    check_int(weir_metrics_watch_db_with(registry, db, &db_functions, &e), WEIR_OK);
    for (int i = 0; i < TELLERS; i++)
        pthread_create(&threads[i], NULL, tell_many, NULL);
    for (int i = 0; i < TELLERS; i++)
        pthread_join(threads[i], NULL);
    render();
    check_line("db_client_operation_duration_seconds_count" STATEMENT("SELECT") "} 500");
    check_line("db_client_operation_duration_seconds_count" STATEMENT("DELETE") "} 500");
    check_line("db_client_response_returned_rows_sum" STATEMENT("UPDATE") "} 500");
    close_fake_db();
}

static void a_database_without_room_for_a_listener_is_not_watched(void)
{
    weir_db *db = open_fake_db();

    fake_db.answer = WEIR_FULL;
    check_int(weir_metrics_watch_db_with(registry, db, &db_functions, &e), WEIR_FULL);
    check_text(e.text, "no room");
    check_text(render(), "");
    fake_db.answer = WEIR_OK;
    check_int(weir_metrics_watch_db_with(registry, db, &db_functions, &e), WEIR_OK);
    check_int(weir_metrics_watch_db_with(registry, db, &db_functions, &e), WEIR_ALREADY);
    close_fake_db();
}

/* ---- HTTP sessions ----------------------------------------------------------------------- */

static struct fake_http {
    weir_http_origin origins[100];
    size_t count;
    bool is_out_of_memory; /* it counts its origins, but lists none */
    weir_http_listener *listener;
    void *arg;
    weir_status answer;
} http;

static const char *fake_http_name(const weir_http *session)
{
    (void)session;
    return "api";
}

static size_t fake_get_origins(weir_http *session, weir_http_origin *origins, size_t capacity)
{
    (void)session;
    for (size_t i = 0; i < http.count && i < capacity && !http.is_out_of_memory; i++)
        origins[i] = http.origins[i];
    return http.count;
}

static weir_status fake_http_listen(weir_http *session, unsigned mask, weir_http_listener *listener,
                                    void *arg, weir_error *reterr)
{
    (void)session;
    check_int(mask,
              WEIR_EVENT_BIT(WEIR_HTTP_EVENT_ATTEMPT) | WEIR_EVENT_BIT(WEIR_HTTP_EVENT_REQUEST));
    if (http.answer != WEIR_OK)
        return weir_error_set(reterr, http.answer, "no room");
    http.listener = listener;
    http.arg = arg;
    return WEIR_OK;
}

static const weir_metrics_http http_functions = {fake_http_name, fake_get_origins,
                                                 fake_http_listen};
static weir_http *const session = (weir_http *)(void *)&http;

static void watch_http(size_t origins)
{
    memset(&http, 0, sizeof http);
    http.count = origins;
    for (size_t i = 0; i < origins; i++) {
        snprintf(http.origins[i].name, sizeof http.origins[i].name, "https://h%zu.example:443", i);
        http.origins[i].budget_balance = -1;
    }
    open_metrics();
    check_int(weir_metrics_watch_http_with(registry, session, &http_functions, &e), WEIR_OK);
}

static void unwatch_http(void)
{
    weir_metrics_unwatch_http(registry, session);
    close_metrics();
}

#define ORIGIN_(host, port)                                                                        \
    "{weir_session_name=\"api\",server_address=\"" host "\",server_port=\"" port "\""
#define ORIGIN ORIGIN_("h0.example", "443")

static void an_origin_is_shown_with_its_policies(void)
{
    watch_http(1);
    weir_http_origin *o = &http.origins[0];
    o->has_pool = true;
    o->pool.leased = 3;
    o->pool.idle = 2;
    o->pool.waiters = 4;
    o->pool.timeouts = 5;
    o->breaker.state = WEIR_BREAKER_HALF_OPEN;
    o->breaker.not_permitted = 6;
    o->budget_balance = 7;
    o->budget_denied = 8;
    o->cool_downs = 9;
    o->cool_down_until = weir_now() + 1000 * WEIR_SECOND;
    o->in_flight = 10;
    o->requests = 11;
    o->attempts = 12;
    o->opened = 13;
    o->reused = 14;
    o->resends = 15;
    o->redirects = 16;
    o->failed_connect = 17;
    o->failed_read = 18;
    o->failed_other = 19;
    o->refused = 20;
    o->cancelled = 21;
    o->causes[WEIR_CAUSE_BACKOFF] = 22;
    o->causes[WEIR_CAUSE_BUDGET] = 23;
    render();
    check_line("http_client_open_connections" ORIGIN ",http_connection_state=\"active\"} 3");
    check_line("http_client_open_connections" ORIGIN ",http_connection_state=\"idle\"} 2");
    check_line("http_client_active_requests" ORIGIN "} 10");
    check_line("weir_http_pending_requests" ORIGIN "} 4");
    check_line("weir_http_connection_timeouts_total" ORIGIN "} 5");
    check_line("weir_http_breaker_state" ORIGIN ",weir_breaker_state=\"half_open\"} 1");
    check_line("weir_http_breaker_state" ORIGIN ",weir_breaker_state=\"open\"} 0");
    check_line("weir_http_breaker_state" ORIGIN ",weir_breaker_state=\"closed\"} 0");
    check_line("weir_http_breaker_rejected_total" ORIGIN "} 6");
    check_line("weir_http_budget_balance" ORIGIN "} 7");
    check_line("weir_http_budget_denied_total" ORIGIN "} 8");
    check_line("weir_http_cool_downs_total" ORIGIN "} 9");
    check_contains(text, "weir_http_cool_down_seconds" ORIGIN "} 999.");
    check_line("weir_http_requests_total" ORIGIN "} 11");
    check_line("weir_http_attempts_total" ORIGIN "} 12");
    check_line("weir_http_connections_opened_total" ORIGIN "} 13");
    check_line("weir_http_connections_reused_total" ORIGIN "} 14");
    check_line("weir_http_resends_total" ORIGIN "} 15");
    check_line("weir_http_redirects_total" ORIGIN "} 16");
    check_line("weir_http_failures_total" ORIGIN ",weir_failure=\"connect\"} 17");
    check_line("weir_http_failures_total" ORIGIN ",weir_failure=\"read\"} 18");
    check_line("weir_http_failures_total" ORIGIN ",weir_failure=\"other\"} 19");
    check_line("weir_http_refused_total" ORIGIN "} 20");
    check_line("weir_http_cancelled_total" ORIGIN "} 21");
    check_line("weir_http_retry_decisions_total" ORIGIN ",weir_retry_cause=\"backoff\"} 22");
    check_line("weir_http_retry_decisions_total" ORIGIN ",weir_retry_cause=\"budget\"} 23");
    check_line("weir_http_wait_time_seconds_count" ORIGIN "} 0");
    check_line("weir_http_origins{weir_session_name=\"api\"} 1");
    unwatch_http();
}

static void an_origin_without_pool_and_budget_shows_neither(void)
{
    watch_http(1);
    render();
    check(strstr(text, "http_client_open_connections") == NULL);
    check(strstr(text, "weir_http_budget_balance") == NULL);
    check_line("weir_http_cool_down_seconds" ORIGIN "} 0");
    unwatch_http();
}

static void of_many_origins_those_used_last_are_shown(void)
{
    watch_http(100);
    render();
    check_line("weir_http_origins{weir_session_name=\"api\"} 100");
    check_line("weir_http_requests_total" ORIGIN_("h63.example", "443") "} 0");
    check(strstr(text, "h64.example") == NULL);
    check(strstr(text, "overflow") == NULL);
    http.is_out_of_memory = true;
    check_contains(render(), "weir_http_origins");
    check(strstr(text, "weir_http_requests_total") == NULL);
    unwatch_http();
}

static void tell_http(weir_http_event_kind kind, const char *origin, const char *method, int status,
                      weir_time duration, const weir_error *error)
{
    const weir_http_event event = {
        .kind = kind,
        .session = session,
        .origin = origin,
        .method = method,
        .url = "never shown",
        .status = status,
        .duration = duration,
        .error = error,
    };

    http.listener(&event, http.arg);
}

static void attempts_and_requests_are_shown_by_origin_method_and_status(void)
{
    const weir_error lost = {.status = WEIR_DISCONNECTED};
    const weir_error status = {.status = WEIR_RESPONSE};

    watch_http(0);
    tell_http(WEIR_HTTP_EVENT_ATTEMPT, "https://h0.example:443", "GET", 200, 20 * WEIR_MS, NULL);
    tell_http(WEIR_HTTP_EVENT_ATTEMPT, "https://h0.example:443", "GET", 503, 30 * WEIR_MS, &status);
    tell_http(WEIR_HTTP_EVENT_ATTEMPT, "http://[::1]:8080", "BREW", 0, WEIR_SECOND, &lost);
    tell_http(WEIR_HTTP_EVENT_REQUEST, "https://h0.example:443", "GET", 200, 50 * WEIR_SECOND,
              NULL);
    render();
#define ATTEMPT_COUNT "http_client_request_duration_seconds_count"
    check_line(ATTEMPT_COUNT ORIGIN
               ",http_request_method=\"GET\",http_response_status_code=\"200\"} 1");
    check_line(ATTEMPT_COUNT ORIGIN ",http_request_method=\"GET\",http_response_status_code=\"503\""
                                    ",error_type=\"503\"} 1");
    check_line(ATTEMPT_COUNT ORIGIN_(
        "[::1]", "8080") ",http_request_method=\"_OTHER\",error_type=\"disconnected\"} 1");
    check_line("weir_http_send_duration_seconds_bucket" ORIGIN
               ",http_request_method=\"GET\",le=\"30\"} 0");
    check_line("weir_http_send_duration_seconds_bucket" ORIGIN
               ",http_request_method=\"GET\",le=\"60\"} 1");
    check(strstr(text, "never shown") == NULL);
    unwatch_http();
}

static void origins_from_outside_are_bounded(void)
{
    char origin[280];

    watch_http(0);
    for (int i = 0; i < 1000; i++) {
        snprintf(origin, sizeof origin, "http://h%d.example:80", i);
        tell_http(WEIR_HTTP_EVENT_ATTEMPT, origin, "GET", 200, WEIR_MS, NULL);
    }
    memset(origin, 'x', sizeof origin);
    origin[sizeof origin - 1] = '\0'; /* cut before its port */
    memcpy(origin, "http://", 7);
    tell_http(WEIR_HTTP_EVENT_ATTEMPT, origin, "GET", 200, WEIR_MS, NULL);
    render();
    check_line(ATTEMPT_COUNT "{otel_metric_overflow=\"true\"} 745");
    unwatch_http();
}

static void a_session_without_room_for_a_listener_is_not_watched(void)
{
    memset(&http, 0, sizeof http);
    http.answer = WEIR_FULL;
    open_metrics();
    check_int(weir_metrics_watch_http_with(registry, session, &http_functions, &e), WEIR_FULL);
    check_text(e.text, "no room");
    check_text(render(), "");
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
    run(statements_are_shown_by_operation_and_error);
    run(databases_that_follow_each_other_at_one_place_are_told_apart);
    run(rows_are_counted_from_the_first_statement_that_returns_some);
    run(statements_of_many_threads_are_all_counted);
    run(a_database_without_room_for_a_listener_is_not_watched);
    run(an_origin_is_shown_with_its_policies);
    run(an_origin_without_pool_and_budget_shows_neither);
    run(of_many_origins_those_used_last_are_shown);
    run(attempts_and_requests_are_shown_by_origin_method_and_status);
    run(origins_from_outside_are_bounded);
    run(a_session_without_room_for_a_listener_is_not_watched);
    return check_done();
}
