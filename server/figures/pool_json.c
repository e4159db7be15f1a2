/* SPDX-License-Identifier: MIT */
/* What pools and the HTTP session tell of themselves, as GET /api/v1/pools shows it. */
#include "pool_json.h"

#include <stdlib.h>
#include <string.h>

#include "managers/database_place.h"
#include "managers/db_manager.h"
#include "managers/http_session_manager.h"
#include "managers/suggestions_db_manager.h"

json_t *pool_json_counters(const weir_pool_stats *stats)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
        {"checkouts", stats->checkouts},
        {"waits", stats->waits},
        {"handed_over", stats->handed_over},
        {"overtaken", stats->overtaken},
        {"timeouts", stats->timeouts},
        {"refused", stats->refused},
        {"peer_refusals", stats->peer_refusals},
        {"connects", stats->connects},
        {"connect_errors", stats->connect_errors},
        {"closes", stats->closes},
        {"detached", stats->detached},
        {"pings", stats->pings},
        {"ping_failures", stats->ping_failures},
        {"resets", stats->resets},
        {"misuses", stats->misuses},
        {"leaks", stats->leaks},
        {"nested", stats->nested},
    };
    json_t *object = json_object();
    json_t *closed_by = json_object();

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        json_object_set_new(object, all[i].name, json_integer((json_int_t)all[i].value));
    for (int i = WEIR_REASON_NONE + 1; i < WEIR_REASON_COUNT; i++)
        json_object_set_new(closed_by, weir_reason_name((weir_reason)i),
                            json_integer((json_int_t)stats->closed_by[i]));
    json_object_set_new(object, "closed_by", closed_by);
    return object;
}

json_t *pool_json_times(const weir_histogram *histogram)
{
    return json_pack("{s:I, s:f, s:f, s:f}", "count", (json_int_t)histogram->count, "p50_ms",
                     (double)weir_histogram_quantile(histogram, 0.5) / 1e6, "p99_ms",
                     (double)weir_histogram_quantile(histogram, 0.99) / 1e6, "max_ms",
                     (double)histogram->max / 1e6);
}

/* ---- The databases ------------------------------------------------------------------------- */

static json_t *settings(const weir_pool_options *options)
{
    json_t *object = json_object();
    weir_pool_setting setting;

    for (size_t i = 0; weir_pool_options_get(options, i, &setting); i++) {
        bool is_whole = setting.number == (double)(json_int_t)setting.number;
        json_t *value = setting.kind == WEIR_SETTING_BOOL   ? json_boolean(setting.number != 0)
                        : setting.kind == WEIR_SETTING_WORD ? json_string(setting.word)
                        : is_whole ? json_integer((json_int_t)setting.number)
                                   : json_real(setting.number);
        json_object_set_new(object, setting.name, value);
    }
    return object;
}

/* How many holders are listed, those who hold longest. */
#define HOLDERS_SHOWN 64

static void add_text(json_t *object, const char *name, const char *text)
{
    if (text[0] != '\0')
        json_object_set_new(object, name, json_string(text));
}

/* Beside where in the source it was: for which request, in which trace, with which statement. */
static json_t *holder_json(const weir_pool_holder *holder, struct loans *loans)
{
    const char *file = holder->file != NULL ? holder->file : "";
    const char *slash = strrchr(file, '/');
    json_t *object = json_pack(
        "{s:I, s:s, s:i, s:i, s:f, s:b}", "connection", (json_int_t)holder->connection_id, "file",
        slash != NULL ? slash + 1 : file, "line", holder->line, "thread", holder->thread, "age_ms",
        (double)holder->age / 1e6, "is_cancelling", (int)holder->is_cancelling);
    struct loan loan;

    if (loans_find(loans, holder->connection_id, holder->is_cancelling, &loan)) {
        add_text(object, "route", loan.route);
        add_text(object, "statement", loan.statement);
        add_text(object, "trace_id", loan.trace_id);
    }
    return object;
}

static json_t *holders(weir_pool *pool, struct loans *loans)
{
    weir_pool_holder found[HOLDERS_SHOWN];
    size_t count = weir_pool_get_holders(pool, found, HOLDERS_SHOWN);
    json_t *array = json_array();

    for (size_t i = 0; i < count && i < HOLDERS_SHOWN; i++)
        json_array_append_new(array, holder_json(&found[i], loans));
    return array;
}

static json_t *place_json(weir_db *db)
{
    struct database_place place;

    database_place_read(weir_db_url(db), &place);
    return json_pack("{s:s, s:s}", "host", place.host, "name", place.name);
}

static json_t *describe_pool(struct managed_db *manager)
{
    struct db_handle *handle;
    weir_pool_stats stats;
    char line[160];

    if (managed_db_get_engine(manager, &handle, NULL) != WEIR_OK)
        return json_pack("{s:s, s:b}", "name", manager->pool_name, "is_initialized", 0);
    weir_pool *pool = weir_db_pool(db_handle_db(handle));
    weir_pool_get_stats(pool, &stats);
    weir_pool_status_line(pool, line, sizeof line);
    json_t *object = json_pack(
        "{s:s, s:b, s:s, s:o, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:o, s:{s:o, s:o, s:o}, "
        "s:o}",
        "name", weir_pool_name(pool), "is_initialized", 1, "engine",
        weir_db_engine(db_handle_db(handle)), "database", place_json(db_handle_db(handle)),
        "settings", settings(weir_pool_get_options(pool)), "size", stats.pool_size, "idle",
        stats.idle, "used", stats.leased, "overflow", stats.overflow, "connections",
        stats.connections, "waiters", stats.waiters, "peer_limit", stats.peer_limit, "status", line,
        "counters", pool_json_counters(&stats), "times", "wait", pool_json_times(&stats.wait_time),
        "create", pool_json_times(&stats.create_time), "use", pool_json_times(&stats.use_time),
        "holders", holders(pool, db_handle_loans(handle)));
    managed_db_put_engine(handle);
    return object;
}

/* ---- The HTTP session ------------------------------------------------------------------------ */

/* How many origins are listed, those used last. */
#define ORIGINS_SHOWN 32

static const char *block_name(weir_http_when_full block)
{
    switch (block) {
    case WEIR_HTTP_WHEN_FULL_BLOCK:
        return "block";
    case WEIR_HTTP_WHEN_FULL_FAIL:
        return "fail";
    case WEIR_HTTP_WHEN_FULL_OVERFLOW:
        break;
    }
    return "overflow";
}

static json_t *http_settings(const weir_http_options *options)
{
    return json_pack("{s:i, s:i, s:s, s:i, s:i, s:f, s:f, s:f, s:i, s:f}", "pool_connections",
                     options->pool_connections, "pool_maxsize", options->pool_maxsize, "pool_block",
                     block_name(options->pool_block), "max_per_origin", options->max_per_origin,
                     "max_total", options->max_total, "timeout", options->try_timeout_ms / 1000.0,
                     "connect_timeout", options->connect_timeout_ms / 1000.0, "idle_timeout",
                     options->idle_timeout_ms / 1000.0, "max_retries", options->retry.total,
                     "backoff_factor", options->retry.backoff_factor_ms / 1000.0);
}

/* Seconds from now to an instant; 0 when it has passed. */
static double seconds_until(weir_time at)
{
    weir_time now = weir_now();

    return at > now ? (double)(at - now) / (double)WEIR_SECOND : 0.0;
}

static json_t *breaker_json(const weir_breaker_stats *stats)
{
    return json_pack("{s:s, s:f, s:i, s:i, s:i, s:f, s:f, s:i, s:I}", "state",
                     weir_breaker_state_name(stats->state), "open_for",
                     stats->state == WEIR_BREAKER_OPEN ? seconds_until(stats->open_until) : 0.0,
                     "calls", (int)stats->counts.calls, "failed", (int)stats->counts.failed, "slow",
                     (int)stats->counts.slow, "failure_rate", stats->failure_rate, "slow_call_rate",
                     stats->slow_call_rate, "permits_out", stats->permits_out, "not_permitted",
                     (json_int_t)stats->not_permitted);
}

static json_t *origin_pool_json(const weir_http_origin *origin)
{
    const weir_pool_stats *stats = &origin->pool;

    if (!origin->has_pool)
        return json_null();
    return json_pack(
        "{s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:{s:o, s:o, s:o}}", "size", stats->pool_size, "idle",
        stats->idle, "used", stats->leased, "overflow", stats->overflow, "connections",
        stats->connections, "waiters", stats->waiters, "counters", pool_json_counters(stats),
        "times", "wait", pool_json_times(&stats->wait_time), "create",
        pool_json_times(&stats->create_time), "use", pool_json_times(&stats->use_time));
}

static json_t *responses_json(const uint64_t responses[6])
{
    static const char *const names[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
    json_t *object = json_object();

    for (size_t i = 0; i < 6; i++)
        json_object_set_new(object, names[i], json_integer((json_int_t)responses[i]));
    return object;
}

static json_t *origin_counters_json(const weir_http_origin *origin)
{
    const struct {
        const char *name;
        uint64_t value;
    } all[] = {
        {"requests", origin->requests},
        {"attempts", origin->attempts},
        {"opened", origin->opened},
        {"reused", origin->reused},
        {"resends", origin->resends},
        {"redirects", origin->redirects},
        {"failed_connect", origin->failed_connect},
        {"failed_read", origin->failed_read},
        {"failed_other", origin->failed_other},
        {"refused", origin->refused},
        {"cancelled", origin->cancelled},
        {"cool_downs", origin->cool_downs},
        {"budget_denied", origin->budget_denied},
        {"invalid_retry_afters", origin->invalid_retry_afters},
    };
    json_t *object = json_object();
    json_t *causes = json_object();

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        json_object_set_new(object, all[i].name, json_integer((json_int_t)all[i].value));
    for (int i = 0; i <= WEIR_CAUSE_REFUSED; i++)
        json_object_set_new(causes, weir_retry_cause_name((weir_retry_cause)i),
                            json_integer((json_int_t)origin->causes[i]));
    json_object_set_new(object, "responses", responses_json(origin->responses));
    json_object_set_new(object, "causes", causes);
    return object;
}

/* The share of attempts that went over a connection used before. */
static double reuse_rate(const weir_http_origin *origin)
{
    return origin->attempts > 0 ? (double)origin->reused / (double)origin->attempts : 0.0;
}

static json_t *origin_json(const weir_http_origin *origin)
{
    json_t *budget =
        origin->budget_balance >= 0 ? json_integer(origin->budget_balance) : json_null();

    return json_pack("{s:s, s:i, s:f, s:o, s:o, s:o, s:f, s:o}", "origin", origin->name,
                     "in_flight", origin->in_flight, "reuse_rate", reuse_rate(origin), "pool",
                     origin_pool_json(origin), "breaker", breaker_json(&origin->breaker),
                     "budget_balance", budget, "cool_down", seconds_until(origin->cool_down_until),
                     "counters", origin_counters_json(origin));
}

static json_t *describe_session(weir_http *session)
{
    weir_http_origin *origins = calloc(ORIGINS_SHOWN, sizeof *origins);
    json_t *list = json_array();

    if (origins == NULL) {
        json_decref(list);
        return NULL;
    }
    size_t count = weir_http_get_origins(session, origins, ORIGINS_SHOWN);
    for (size_t i = 0; i < count && i < ORIGINS_SHOWN; i++)
        json_array_append_new(list, origin_json(&origins[i]));
    free(origins);
    return json_pack("{s:s, s:b, s:o, s:I, s:o}", "name", weir_http_name(session), "is_initialized",
                     1, "settings", http_settings(weir_http_get_options(session)), "origin_count",
                     (json_int_t)count, "origins", list);
}

json_t *http_session_json(void)
{
    struct http_handle *handle;

    if (!http_manager_find_session(&handle))
        return json_pack("{s:s, s:b}", "name", "http", "is_initialized", 0);
    json_t *object = describe_session(http_handle_session(handle));
    http_manager_put_session(handle);
    return object;
}

json_t *pools_json(void)
{
    return json_pack("{s:[o, o], s:o}", "pools", describe_pool(db_manager()),
                     describe_pool(suggestions_db_manager()), "http", http_session_json());
}
