/* SPDX-License-Identifier: MIT */
/* What the listener makes of the events of a pool. */
#include "unit/steps.h"
#include "unit/trace_scene.h"

#include <weir/pool.h>

static weir_pool *open_traced_pool(int pool_size)
{
    weir_pool *pool = open_pool(pool_size, 0);

    check_int(weir_pool_listen(pool, WEIR_TRACE_POOL_EVENTS, weir_trace_on_pool_event, NULL, NULL),
              WEIR_OK);
    return pool;
}

static void opening_a_connection_is_a_span(void)
{
    begin_trace();
    weir_pool *pool = open_traced_pool(1);
    f.behaviour[FAKE_CONNECT].takes = 30 * WEIR_MS;
    int here = __LINE__ + 1;
    weir_lease lease = take(pool);

    check_int(weir_tracer_count(tracer), 1);
    weir_span span = finished(tracer, 0);
    check_text(span.name, "connect fake");
    check(is_child_of(&span, &root));
    check_int(span.kind, WEIR_SPAN_INTERNAL);
    check_int(span.duration, 30 * WEIR_MS);
    check_text(text_of(&span, "db.client.connection.pool.name"), "fake");
    check_int(number_of(&span, "weir.connection.id"), 1);
    check_text(text_of(&span, "code.file.path"), __FILE__);
    check_int(number_of(&span, "code.line.number"), here);
    check(!span.has_failed);
    give(pool, &lease);
    weir_pool_close(pool);
    check_int(weir_tracer_count(tracer), 1);
    end_trace();
}

static weir_lease lent;

static void give_back_after_a_while(struct fake *fake)
{
    fake->now += 20 * WEIR_MS;
    weir_pool_release(&lent);
}

static void standing_in_line_is_a_span(void)
{
    weir_pool *pool = open_traced_pool(1);
    lent = take(pool);
    begin_trace();
    f.on_wait = give_back_after_a_while;
    weir_lease lease = take(pool);

    check_int(weir_tracer_count(tracer), 1);
    weir_span span = finished(tracer, 0);
    check_text(span.name, "wait fake");
    check(is_child_of(&span, &root));
    check_int(span.duration, 20 * WEIR_MS);
    check_int(number_of(&span, "weir.connection.id"), 1);
    check(!span.has_failed);
    give(pool, &lease);
    end_trace();
    weir_pool_close(pool);
}

static void giving_up_is_a_failed_span_that_says_who_holds_what(void)
{
    weir_pool *pool = open_traced_pool(1);
    weir_lease lease = take(pool);
    begin_trace();
    refused(pool, WEIR_TIMEOUT);

    weir_span span = finished(tracer, 0);
    check_text(span.name, "wait fake");
    check(span.has_failed && span.duration > 0);
    check_text(text_of(&span, "error.type"), "timeout");
    check_contains(weir_span_message(&span), "test_trace_pool.c");
    give(pool, &lease);
    end_trace();
    weir_pool_close(pool);
}

static void a_ping_without_an_answer_is_a_failed_span(void)
{
    weir_pool *pool = open_traced_pool(1);
    weir_lease lease = take(pool);
    give(pool, &lease);
    f.now += 60 * WEIR_SECOND;
    f.behaviour[FAKE_PING].fail_next = 1;
    begin_trace();
    lease = take(pool);

    check_int(weir_tracer_count(tracer), 2);
    weir_span span = finished(tracer, 0);
    check_text(span.name, "ping fake");
    check(span.has_failed);
    check_text(text_of(&span, "error.type"), "disconnected");
    check_text(finished(tracer, 1).name, "connect fake");
    give(pool, &lease);
    end_trace();
    weir_pool_close(pool);
}

static void a_ping_that_was_answered_is_a_span(void)
{
    weir_pool *pool = open_traced_pool(1);
    weir_lease lease = take(pool);
    give(pool, &lease);
    f.now += 60 * WEIR_SECOND;
    f.behaviour[FAKE_PING].takes = 7 * WEIR_MS;
    begin_trace();
    lease = take(pool);

    check_int(weir_tracer_count(tracer), 1);
    weir_span span = finished(tracer, 0);
    check_text(span.name, "ping fake");
    check_int(span.duration, 7 * WEIR_MS);
    check(is_child_of(&span, &root) && !span.has_failed);
    give(pool, &lease);
    end_trace();
    weir_pool_close(pool);
}

static void a_traced_pool_keeps_its_fast_path(void)
{
    check_int(WEIR_TRACE_POOL_EVENTS & WEIR_EVENT_EACH_LOAN, 0);
}

static void outside_of_a_trace_a_pool_records_nothing(void)
{
    weir_pool *pool = open_traced_pool(1);
    weir_lease lease = take(pool);

    tracer = open_tracer(0, 16);
    check(!weir_span_begin_root(tracer, &root, "root", WEIR_SPAN_SERVER, NULL, NULL));
    discard(pool, &lease, NULL);
    lease = take(pool);
    refused(pool, WEIR_TIMEOUT);
    check_int(weir_tracer_count(tracer), 0);
    give(pool, &lease);
    weir_pool_close(pool);
    end_trace();
}

int main(void)
{
    run(opening_a_connection_is_a_span);
    run(standing_in_line_is_a_span);
    run(giving_up_is_a_failed_span_that_says_who_holds_what);
    run(a_ping_without_an_answer_is_a_failed_span);
    run(a_ping_that_was_answered_is_a_span);
    run(a_traced_pool_keeps_its_fast_path);
    run(outside_of_a_trace_a_pool_records_nothing);
    return check_done();
}
