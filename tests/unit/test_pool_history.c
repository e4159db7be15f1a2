/* SPDX-License-Identifier: MIT */
/* The lives of connections: what is kept, of how many, and what makes room for what. */
#include "check.h"

#include "managers/pool_history.h"

#include <weir/trace.h>

static int opened;

static weir_status open_thing(void *arg, weir_time deadline, void **ret_connection,
                              weir_error *reterr)
{
    (void)arg, (void)deadline, (void)reterr;
    opened++;
    *ret_connection = &opened;
    return WEIR_OK;
}

static void close_thing(void *arg, void *connection)
{
    (void)arg, (void)connection;
}

static weir_pool *open_pool(int pool_size, bool has_loans, struct pool_history **ret_history)
{
    const weir_driver driver = {.connect = open_thing, .close = close_thing};
    weir_pool_options options = WEIR_POOL_OPTIONS_DEFAULT;
    weir_pool *pool = NULL;

    options.pool_size = pool_size;
    options.max_overflow = 0;
    check_int(weir_pool_open(&options, &driver, NULL, &pool, NULL), WEIR_OK);
    check_int(pool_history_open(pool, has_loans, ret_history, NULL), WEIR_OK);
    return pool;
}

static int take_line;

static weir_lease take(weir_pool *pool)
{
    weir_lease lease = {0};

    take_line = __LINE__ + 1;
    check_int(weir_pool_acquire(pool, WEIR_DEADLINE_DEFAULT, &lease, NULL), WEIR_OK);
    return lease;
}

static const json_t *lives(const json_t *json)
{
    return json_object_get(json, "connections");
}

static int64_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* The names of a life's events, one after the other. */
static const char *events_of(const json_t *life)
{
    static char text[512];
    const json_t *event;
    size_t i;

    text[0] = '\0';
    json_array_foreach(json_object_get(life, "events"), i, event)
    {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "",
                 json_string_value(json_object_get(event, "event")));
    }
    return text;
}

static void a_connection_is_opened_invalidated_and_closed_with_the_reason(void)
{
    struct pool_history *history = NULL;
    weir_pool *pool = open_pool(1, false, &history);
    const weir_error error = {WEIR_DISCONNECTED, 0, "", "the server went away"};
    weir_lease lease = take(pool);

    weir_pool_discard(&lease, &error);
    json_t *json = pool_history_json(history);
    check(json_is_false(json_object_get(json, "has_loans")));
    check_int(json_array_size(lives(json)), 1);
    const json_t *life = json_array_get(lives(json), 0);
    check_text(events_of(life), "connect invalidate close");
    check(json_is_false(json_object_get(life, "is_open")));
    check_text(json_string_value(json_object_get(life, "error")), "the server went away");
    const json_t *events = json_object_get(life, "events");
    const json_t *connect = json_array_get(events, 0);
    check(json_object_get(connect, "reason") == NULL);
    check_text(json_string_value(json_object_get(json_array_get(events, 2), "reason")),
               "discarded");
    check_text(json_string_value(json_object_get(connect, "file")), "test_pool_history.c");
    check_int(number(connect, "line"), take_line);
    check(number(connect, "thread") > 0);
    check(json_object_get(connect, "trace_id") == NULL);
    json_decref(json);
    weir_pool_close(pool);
    pool_history_close(history);
}

static void loans_are_kept_only_when_asked_for(void)
{
    for (int has_loans = 0; has_loans < 2; has_loans++) {
        struct pool_history *history = NULL;
        weir_pool *pool = open_pool(1, has_loans != 0, &history);
        weir_lease lease = take(pool);

        weir_pool_release(&lease);
        json_t *json = pool_history_json(history);
        check_text(events_of(json_array_get(lives(json), 0)),
                   has_loans != 0 ? "connect checkout reset checkin" : "connect");
        json_decref(json);
        weir_pool_close(pool);
        pool_history_close(history);
    }
}

static void the_trace_in_which_it_was_borrowed_is_named(void)
{
    struct pool_history *history = NULL;
    weir_pool *pool = open_pool(1, true, &history);
    weir_tracer *tracer = NULL;
    char id[WEIR_TRACE_ID_SIZE];
    weir_span root;

    check_int(weir_tracer_open(NULL, &tracer, NULL), WEIR_OK);
    weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL);
    weir_lease lease = take(pool);
    weir_trace_id_format(&root.context, id);
    weir_span_end(&root);
    weir_pool_release(&lease);
    json_t *json = pool_history_json(history);
    const json_t *events = json_object_get(json_array_get(lives(json), 0), "events");
    for (size_t i = 0; i < 2; i++)
        check_text(json_string_value(json_object_get(json_array_get(events, i), "trace_id")), id);
    check(json_object_get(json_array_get(events, 3), "trace_id") == NULL);
    json_decref(json);
    weir_pool_close(pool);
    pool_history_close(history);
    weir_tracer_close(tracer);
}

static void of_each_connection_the_last_events_are_kept_and_all_counted(void)
{
    struct pool_history *history = NULL;
    weir_pool *pool = open_pool(1, true, &history);

    for (int i = 0; i < 100; i++) {
        weir_lease lease = take(pool);
        weir_pool_release(&lease);
    }
    json_t *json = pool_history_json(history);
    const json_t *life = json_array_get(lives(json), 0);
    const json_t *counts = json_object_get(life, "counts");
    check_int(json_array_size(json_object_get(life, "events")), 16);
    check_int(number(counts, "checkout"), 100);
    check_int(number(counts, "connect"), 1);
    json_decref(json);
    weir_pool_close(pool);
    pool_history_close(history);
}

/* Two slots, so 66 places: the oldest closed ones make room, never an open one. */
static void of_closed_connections_the_last_are_remembered_and_open_ones_always(void)
{
    struct pool_history *history = NULL;
    weir_pool *pool = open_pool(2, false, &history);
    weir_lease old = take(pool);

    for (int i = 0; i < 300; i++) {
        weir_lease lease = take(pool);
        weir_pool_discard(&lease, NULL);
    }
    json_t *json = pool_history_json(history);
    check_int(json_array_size(lives(json)), 66);
    check_int(number(json_array_get(lives(json), 0), "id"), 1);
    check(json_is_true(json_object_get(json_array_get(lives(json), 0), "is_open")));
    for (size_t i = 1; i < 66; i++)
        check_int(number(json_array_get(lives(json), i), "id"), 301 - 65 + (int)i);
    json_decref(json);
    weir_pool_release(&old);
    weir_pool_close(pool);
    pool_history_close(history);
}

static void a_detached_connection_lives_on_until_it_is_closed(void)
{
    struct pool_history *history = NULL;
    weir_pool *pool = open_pool(1, false, &history);
    weir_lease lease = take(pool);

    check_int(weir_pool_detach(&lease), WEIR_OK);
    json_t *json = pool_history_json(history);
    check(json_is_true(json_object_get(json_array_get(lives(json), 0), "is_open")));
    json_decref(json);
    weir_pool_release(&lease);
    json = pool_history_json(history);
    check_text(events_of(json_array_get(lives(json), 0)), "connect detach close_detached");
    check(json_is_false(json_object_get(json_array_get(lives(json), 0), "is_open")));
    json_decref(json);
    weir_pool_close(pool);
    pool_history_close(history);
}

static void long_causes_are_cut_between_characters(void)
{
    struct pool_history *history = NULL;
    weir_pool *pool = open_pool(1, false, &history);
    weir_error error = {WEIR_DISCONNECTED, 0, "", ""};

    for (int odd = 0; odd < 2; odd++) {
        size_t used = 0;
        if (odd != 0)
            error.text[used++] = 'x';
        while (used + 2 < 400) {
            memcpy(error.text + used, "\xC3\xA9", 2);
            used += 2;
        }
        error.text[used] = '\0';
        weir_lease lease = take(pool);
        weir_pool_discard(&lease, &error);
        json_t *json = pool_history_json(history);
        const char *text =
            json_string_value(json_object_get(json_array_get(lives(json), (size_t)odd), "error"));
        check(text != NULL && strlen(text) >= 125 && strncmp(text, error.text, strlen(text)) == 0);
        json_decref(json);
    }
    weir_pool_close(pool);
    pool_history_close(history);
}

static void a_pool_that_has_no_room_for_a_listener_is_refused(void)
{
    struct pool_history *histories[9] = {NULL};
    weir_pool *pool = open_pool(1, false, &histories[0]);
    weir_error error;

    for (int i = 1; i < 8; i++)
        check_int(pool_history_open(pool, false, &histories[i], NULL), WEIR_OK);
    check_int(pool_history_open(pool, false, &histories[8], &error), WEIR_FULL);
    check(histories[8] == NULL);
    weir_pool_close(pool);
    for (int i = 0; i < 9; i++)
        pool_history_close(histories[i]);
}

int main(void)
{
    run(a_connection_is_opened_invalidated_and_closed_with_the_reason);
    run(loans_are_kept_only_when_asked_for);
    run(the_trace_in_which_it_was_borrowed_is_named);
    run(of_each_connection_the_last_events_are_kept_and_all_counted);
    run(of_closed_connections_the_last_are_remembered_and_open_ones_always);
    run(a_detached_connection_lives_on_until_it_is_closed);
    run(long_causes_are_cut_between_characters);
    run(a_pool_that_has_no_room_for_a_listener_is_refused);
    return check_done();
}
