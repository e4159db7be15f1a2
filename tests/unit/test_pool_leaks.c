/* SPDX-License-Identifier: MIT */
/* Who keeps a connection for too long, who takes a second one, and how long things took. */
#include "unit/steps.h"

#include <unistd.h>

static weir_pool *open_watched(int pool_size, int leak_report_after_ms, weir_nested nested)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, pool_size, 0);

    o.leak_report_after_ms = leak_report_after_ms;
    o.nested = nested;
    weir_pool *pool = fake_open(&f, &o);
    fake_listen(pool, &heard);
    return pool;
}

static void check_counts(weir_pool *pool, uint64_t leaks, uint64_t nested)
{
    weir_pool_stats s;

    weir_pool_get_stats(pool, &s);
    check_int(s.leaks, leaks);
    check_int(s.nested, nested);
}

/* Take with another thread's mark on the slot, as if that had acquired it: nothing else of a thread is
 * looked at. */
static weir_lease take_as_another(weir_pool *pool)
{
    weir_lease lease = take(pool);

    atomic_store(&lease.slot->thread, (int)gettid() + 1);
    return lease;
}

/* ---- leaks ------------------------------------------------------------------------------- */

static void a_lease_is_reported_once_it_is_out_for_longer_than_allowed(void)
{
    weir_pool *pool = open_watched(2, 500, WEIR_NESTED_ALLOW);
    int here = __LINE__ + 1;
    weir_lease c = take(pool);

    heard.count = 0;
    weir_pool_maintain(pool);
    f.now += 500 * WEIR_MS;
    weir_pool_maintain(pool);
    check_text(fake_heard(&heard), "");
    f.now += 1;
    weir_pool_maintain(pool);
    check_int(heard.events[0].number, 0);
    check_int(heard.events[0].connection_id, weir_lease_connection_id(&c));
    check_text(heard.events[0].file, __FILE__);
    check_int(heard.events[0].line, here);
    check_int(heard.events[0].thread, gettid());
    check_int(heard.events[0].duration, 500 * WEIR_MS + 1);
    check_text(fake_heard(&heard), "leak");
    f.now += 3600 * WEIR_SECOND;
    weir_pool_maintain(pool);
    check_text(fake_heard(&heard), "");
    check_counts(pool, 1, 0);
    give(pool, &c);
    weir_pool_close(pool);
}

static void each_loan_of_a_slot_is_reported_for_itself(void)
{
    weir_pool *pool = open_watched(1, 1, WEIR_NESTED_ALLOW);

    for (int i = 0; i < 3; i++) {
        weir_lease c = take(pool);
        f.now += 2 * WEIR_MS;
        heard.count = 0;
        weir_pool_maintain(pool);
        weir_pool_maintain(pool);
        check_text(fake_heard(&heard), "leak");
        give(pool, &c);
        weir_pool_maintain(pool);
    }
    check_counts(pool, 3, 0);
    weir_pool_close(pool);
}

static weir_pool *tended;

static void maintain_after_a_second(struct fake *fake)
{
    fake->now += WEIR_SECOND;
    weir_pool_maintain(tended);
}

/* While a connection is opened, or closed for nobody, it is not lost, however long that takes. */
static void what_is_being_opened_or_evicted_is_no_leak(void)
{
    weir_pool *pool = open_watched(1, 1, WEIR_NESTED_ALLOW);

    tended = pool;
    f.behaviour[FAKE_CONNECT].hook = maintain_after_a_second;
    weir_lease c = take(pool);
    give(pool, &c);
    f.behaviour[FAKE_CLOSE].hook = maintain_after_a_second;
    weir_pool_evict_all(pool);
    check_int(f.behaviour[FAKE_CLOSE].calls, 1);
    check_counts(pool, 0, 0);
    weir_pool_close(pool);
}

static void nothing_is_reported_where_it_was_not_asked_for_or_nobody_holds_anything(void)
{
    weir_pool *pool = open_watched(1, 0, WEIR_NESTED_ALLOW);
    weir_lease c = take(pool);

    f.now += 3600 * WEIR_SECOND;
    weir_pool_maintain(pool);
    check_counts(pool, 0, 0);
    give(pool, &c);
    weir_pool_close(pool);

    pool = open_watched(1, 1, WEIR_NESTED_ALLOW);
    c = take(pool);
    give(pool, &c);
    c = take(pool);
    check_int(weir_pool_detach(&c), WEIR_OK);
    f.now += 3600 * WEIR_SECOND;
    weir_pool_maintain(pool);
    check_counts(pool, 0, 0);
    check_int(weir_pool_release(&c), WEIR_OK);
    weir_pool_close(pool);
}

/* A slot taken lock-free still says who had it before, for an instant: that is nobody's lease. */
static void a_slot_whose_new_holder_has_not_yet_said_who_it_is_is_no_leak(void)
{
    weir_pool *pool = open_watched(1, 1, WEIR_NESTED_REFUSE);
    weir_lease c = take(pool);
    struct weir_slot *slot = c.slot;

    give(pool, &c);
    f.now += 3600 * WEIR_SECOND;
    uint64_t word = atomic_load(&slot->word);
    check(slot_try_take(slot, &word));
    weir_pool_maintain(pool);
    check_counts(pool, 0, 0);
    check(slot_try_put(slot, slot_taken(word)));
    check_int(pool_check_live(pool, &f), 0);
    weir_pool_close(pool);
}

/* ---- nested ------------------------------------------------------------------------------ */

static void a_nested_acquire_is_not_noticed_where_it_is_allowed(void)
{
    weir_pool *pool = open_watched(2, 0, WEIR_NESTED_ALLOW);
    weir_lease a = take(pool);

    heard.count = 0;
    weir_lease b = take(pool);
    check_text(fake_heard(&heard), "connect checkout");
    check_counts(pool, 0, 0);
    give(pool, &b);
    give(pool, &a);
    weir_pool_close(pool);
}

static void a_nested_acquire_is_told_with_both_places_and_served(void)
{
    weir_pool *pool = open_watched(2, 0, WEIR_NESTED_WARN);
    char place[64];

    snprintf(place, sizeof place, "it acquired at test_pool_leaks.c:%d", __LINE__ + 1);
    weir_lease a = take(pool);
    f.now += WEIR_SECOND;
    heard.count = 0;
    int here = __LINE__ + 1;
    weir_lease b = take(pool);
    check_text(heard.events[0].file, __FILE__);
    check_int(heard.events[0].line, here);
    check_int(heard.events[0].thread, gettid());
    check_int(heard.events[0].error, WEIR_MISUSE);
    check_contains(heard.text, place);
    check_int(heard.events[0].connection_id, weir_lease_connection_id(&a));
    check_int(heard.events[0].duration, WEIR_SECOND);
    check_text(fake_heard(&heard), "nested connect checkout");
    check_counts(pool, 0, 1);
    give(pool, &a);
    give(pool, &b);
    weir_pool_close(pool);
}

static void a_nested_acquire_is_refused_with_both_places_and_takes_nothing(void)
{
    weir_pool *pool = open_watched(1, 0, WEIR_NESTED_REFUSE);
    char places[160];
    weir_lease none = {0};
    int here = __LINE__ + 1;
    weir_lease a = take(pool);

    heard.count = 0;
    check_int(weir_pool_acquire_at(pool, WEIR_DEADLINE_NEVER, &none, &e, "a/b/c.c", 7),
              WEIR_MISUSE);
    snprintf(places, sizeof places,
             "pool \"fake\": thread %d acquires at c.c:7 while it holds the connection that it "
             "acquired at test_pool_leaks.c:%d",
             (int)gettid(), here);
    check_text(e.text, places);
    check_int(e.status, WEIR_MISUSE);
    check(none.slot == NULL);
    check_text(fake_heard(&heard), "nested");
    check_int(weir_pool_try_acquire(pool, &none, NULL), WEIR_MISUSE);
    check_status(pool, 1, 0, 0, 1);
    check_counts(pool, 0, 2);
    give(pool, &a);
    a = take(pool);
    give(pool, &a);
    check_counts(pool, 0, 2);
    weir_pool_close(pool);
}

static void what_was_given_back_in_any_way_is_not_held(void)
{
    weir_pool *pool = open_watched(3, 0, WEIR_NESTED_REFUSE);
    weir_lease detached = take(pool);

    check_int(weir_pool_detach(&detached), WEIR_OK);
    weir_lease c = take(pool);
    discard(pool, &c, NULL);
    c = take(pool);
    weir_pool_evict_all(pool);
    give(pool, &c);
    f.behaviour[FAKE_CONNECT].fail_next = 1;
    refused(pool, WEIR_CONNECT);
    c = take(pool);
    f.behaviour[FAKE_RESET].fail_next = 1;
    give(pool, &c);
    c = take(pool);
    give(pool, &c);
    check_counts(pool, 0, 0);
    give(pool, &detached);
    weir_pool_close(pool);
}

static void another_threads_connection_is_not_this_threads(void)
{
    weir_pool *pool = open_watched(2, 0, WEIR_NESTED_REFUSE);
    weir_lease a = take_as_another(pool);
    weir_lease b = take(pool);

    refused(pool, WEIR_MISUSE);
    give(pool, &b);
    give(pool, &a);
    check_counts(pool, 0, 1);
    weir_pool_close(pool);
}

/* On the machine's clock threads come back to the slot they used last, by one swap. */
static void a_nested_acquire_is_told_each_time_also_where_threads_have_their_slots(void)
{
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 2, 0);
    weir_pool *pool = NULL;

    o.clock = NULL;
    o.nested = WEIR_NESTED_WARN;
    check_int(weir_pool_open(&o, &fake_driver, &f, &pool, &e), WEIR_OK);
    weir_lease a = take(pool);
    for (int i = 1; i <= 3; i++) {
        weir_lease b = take(pool);
        give(pool, &b);
        check_counts(pool, 0, (uint64_t)i);
    }
    give(pool, &a);
    weir_pool_close(pool);
}

/* A slot that goes from hand to hand while somebody waits is from then on the next one's. */
static weir_lease handed;

static void give_back_while_waited_for(struct fake *fake)
{
    check_int(weir_pool_release(&handed), WEIR_OK);
    fake->now += 3 * WEIR_MS;
    tended = fake->pool;
    fake->on_now = maintain_after_a_second;
}

static void a_slot_handed_over_is_not_held_by_the_one_who_gave_it(void)
{
    weir_pool *pool = open_watched(1, 1, WEIR_NESTED_REFUSE);

    handed = take_as_another(pool);
    f.on_wait = give_back_while_waited_for;
    heard.count = 0;
    int here = __LINE__ + 1;
    weir_lease b = take(pool);
    check_text(heard.events[2].file, __FILE__);
    check_int(heard.events[2].line, here);
    check_int(heard.events[2].thread, gettid());
    check_int(heard.events[2].number, 1);
    check_int(heard.events[2].duration, WEIR_SECOND + 3 * WEIR_MS);
    check_text(fake_heard(&heard), "reset checkin wait ping checkout");
    give(pool, &b);
    f.on_wait = NULL;
    check_counts(pool, 0, 0);
    weir_pool_close(pool);
}

static void try_in_vain(struct fake *fake)
{
    weir_lease none = {0};

    check_int(weir_pool_try_acquire(fake->pool, &none, NULL), WEIR_TIMEOUT);
}

static void discard_as_this_thread(struct fake *fake)
{
    atomic_store(&handed.slot->thread, (int)gettid());
    check_int(weir_pool_discard(&handed, NULL), WEIR_OK);
    fake->on_now = try_in_vain;
}

static void the_right_to_open_handed_over_is_not_held_by_the_one_who_gave_it(void)
{
    weir_pool *pool = open_watched(1, 0, WEIR_NESTED_REFUSE);

    handed = take_as_another(pool);
    f.on_wait = discard_as_this_thread;
    weir_lease b = take(pool);
    check(f.on_now == NULL);
    f.on_wait = NULL;
    give(pool, &b);
    check_counts(pool, 0, 0);
    weir_pool_close(pool);
}

/* ---- durations --------------------------------------------------------------------------- */

static void events_say_how_long_it_took(void)
{
    weir_pool *pool = open_watched(1, 0, WEIR_NESTED_ALLOW);
    weir_lease none = {0};

    f.behaviour[FAKE_CONNECT].takes = 7 * WEIR_MS;
    weir_lease c = take(pool);
    check_int(heard.events[0].duration, 0);
    check_int(heard.events[1].duration, 7 * WEIR_MS);
    check_int(heard.events[2].duration, 0);
    check_text(fake_heard(&heard), "first_connect connect checkout");

    check_int(weir_pool_acquire(pool, f.now + 5 * WEIR_MS, &none, &e), WEIR_TIMEOUT);
    check_int(heard.events[0].duration, 5 * WEIR_MS);
    check_int(heard.events[0].thread, gettid());
    check_text(fake_heard(&heard), "timeout");

    give(pool, &c);
    heard.count = 0;
    f.now += 20 * WEIR_SECOND;
    f.behaviour[FAKE_PING].takes = 4 * WEIR_MS;
    f.behaviour[FAKE_PING].fail_next = 1;
    c = take(pool);
    check_int(heard.events[0].duration, 4 * WEIR_MS);
    check_int(heard.events[1].duration, 0);
    check_int(heard.events[2].duration, 20 * WEIR_SECOND + 9 * WEIR_MS);
    check_int(heard.events[3].duration, 7 * WEIR_MS);
    check_text(fake_heard(&heard), "ping_failure invalidate close connect checkout");
    give(pool, &c);
    weir_pool_close(pool);
}

/* The slot of a connection that was discarded is handed over as the right to open another. */
static void discard_while_waited_for(struct fake *fake)
{
    (void)fake;
    check_int(weir_pool_discard(&handed, NULL), WEIR_OK);
}

static void a_wait_may_end_with_the_right_to_open(void)
{
    weir_pool *pool = open_watched(1, 0, WEIR_NESTED_ALLOW);

    handed = take(pool);
    f.on_wait = discard_while_waited_for;
    heard.count = 0;
    weir_lease c = take(pool);
    check_int(heard.events[3].number, 0);
    check_int(heard.events[3].connection_id, 0);
    check_text(fake_heard(&heard), "invalidate close checkin wait connect checkout");
    f.on_wait = NULL;
    give(pool, &c);
    weir_pool_close(pool);
}

static void a_wait_in_vain_is_a_timeout_and_no_wait(void)
{
    weir_pool *pool = open_watched(1, 0, WEIR_NESTED_ALLOW);
    weir_lease c = take(pool);

    heard.count = 0;
    refused(pool, WEIR_TIMEOUT);
    check_text(fake_heard(&heard), "timeout");
    give(pool, &c);
    weir_pool_close(pool);
}

/* The late one: the wait took all of the time, and the connection would have to be opened yet. */
static void a_timeout_after_the_wait_says_how_long_all_of_it_took(void)
{
    weir_pool *pool = open_watched(1, 0, WEIR_NESTED_ALLOW);
    weir_lease none = {0};

    handed = take(pool);
    f.on_wait = discard_while_waited_for;
    f.behaviour[FAKE_CLOSE].takes = 30 * WEIR_MS;
    heard.count = 0;
    check_int(weir_pool_acquire(pool, f.now + 10 * WEIR_MS, &none, &e), WEIR_TIMEOUT);
    check_int(heard.events[4].duration, 30 * WEIR_MS);
    check_int(heard.events[4].error, WEIR_TIMEOUT);
    check_text(fake_heard(&heard), "invalidate close checkin wait timeout");
    f.on_wait = NULL;
    weir_pool_close(pool);
}

/* ---- threads ----------------------------------------------------------------------------- */

enum { ROUNDS = 20000 };

static weir_pool *shared;
static _Atomic bool is_over_capacity;

static weir_status must_not_be_heard(const weir_pool_event *event, void *arg)
{
    (void)arg;
    printf("# heard %s of thread %d at line %d, %lld ns\n", weir_pool_event_name(event->kind),
           event->thread, event->line, (long long)event->duration);
    return WEIR_OK;
}

static void *borrow_and_return(void *arg)
{
    uintptr_t failures = 0;

    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        weir_lease c = {0};
        if (weir_pool_acquire(shared, WEIR_DEADLINE_NEVER, &c, NULL) != WEIR_OK)
            failures++;
        weir_pool_release(&c);
    }
    return (void *)failures;
}

static void *maintain_all_the_time(void *arg)
{
    (void)arg;
    while (!atomic_load(&is_over_capacity))
        weir_pool_maintain(shared);
    return NULL;
}

/* Slots change hands all the time, with and without a line: whose they are is never mistaken. */
static void threads_that_share_slots_are_neither_nested_nor_leaking(void)
{
    static const weir_driver plain = {.connect = fake_connect, .close = fake_close};
    fake_init(&f);
    weir_pool_options o = fake_options(&f, 2, 0);
    pthread_t threads[4];
    pthread_t tender;

    o.clock = NULL;
    o.nested = WEIR_NESTED_REFUSE;
    o.leak_report_after_ms = 60000;
    o.pool_pre_ping = false;
    check_int(weir_pool_open(&o, &plain, &f, &shared, &e), WEIR_OK);
    check_int(weir_pool_listen(shared,
                               WEIR_EVENT_BIT(WEIR_EVENT_LEAK) | WEIR_EVENT_BIT(WEIR_EVENT_NESTED),
                               must_not_be_heard, NULL, &e),
              WEIR_OK);
    weir_lease warm = {0};
    check_int(weir_pool_acquire(shared, WEIR_DEADLINE_NOW, &warm, &e), WEIR_OK);
    check_int(weir_pool_release(&warm), WEIR_OK);
    atomic_store(&shared->slots[0].acquired_at, weir_now() - 3600 * WEIR_SECOND);
    is_over_capacity = false;
    check_int(pthread_create(&tender, NULL, maintain_all_the_time, NULL), 0);
    for (int i = 0; i < 4; i++)
        check_int(pthread_create(&threads[i], NULL, borrow_and_return, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *failures = NULL;
        pthread_join(threads[i], &failures);
        check_int((uintptr_t)failures, 0);
    }
    atomic_store(&is_over_capacity, true);
    pthread_join(tender, NULL);
    check_counts(shared, 0, 0);
    check_int(pool_check(shared), 0);
    weir_pool_close(shared);
}

/* ---- the fast path ----------------------------------------------------------------------- */

static bool is_plain_with(unsigned mask, const weir_pool_options *changes)
{
    static const weir_driver plain = {.connect = fake_connect, .close = fake_close};
    weir_pool_options o = WEIR_POOL_OPTIONS_DEFAULT;
    weir_pool *pool = NULL;

    fake_init(&f);
    o.nested = changes->nested;
    o.leak_report_after_ms = changes->leak_report_after_ms;
    check_int(weir_pool_open(&o, &plain, &f, &pool, &e), WEIR_OK);
    if (mask != 0)
        check_int(weir_pool_listen(pool, mask, must_not_be_heard, NULL, &e), WEIR_OK);
    bool is_plain = pool->is_plain;
    weir_pool_close(pool);
    return is_plain;
}

static void only_listeners_for_each_loan_and_watches_end_the_fast_path(void)
{
    static const weir_pool_options none;
    static const weir_pool_options leaks = {.leak_report_after_ms = 1};
    static const weir_pool_options warns = {.nested = WEIR_NESTED_WARN};
    static const weir_pool_options refuses = {.nested = WEIR_NESTED_REFUSE};

    check(is_plain_with(0, &none));
    for (int kind = 0; kind < WEIR_EVENT_COUNT; kind++) {
        bool is_each_loan =
            kind == WEIR_EVENT_CHECKOUT || kind == WEIR_EVENT_CHECKIN || kind == WEIR_EVENT_RESET;
        check_int(is_plain_with(WEIR_EVENT_BIT(kind), &none), !is_each_loan);
        check_int((WEIR_EVENT_EACH_LOAN & WEIR_EVENT_BIT(kind)) != 0, is_each_loan);
    }
    check(is_plain_with(WEIR_EVENT_ALL & ~WEIR_EVENT_EACH_LOAN, &none));
    check(!is_plain_with(WEIR_EVENT_ALL, &none));
    check(!is_plain_with(0, &leaks));
    check(!is_plain_with(0, &warns));
    check(!is_plain_with(0, &refuses));
}

/* ---- being cancelled --------------------------------------------------------------------- */

static void a_loan_that_is_being_cancelled_is_nobodys_and_keeps_its_slot(void)
{
    weir_pool *pool = open_watched(1, 1, WEIR_NESTED_REFUSE);
    weir_lease c = take(pool);
    weir_lease copy = c;
    weir_lease other = {0};
    weir_pool_holder holder;
    weir_pool_stats stats;
    weir_error error;

    check_int(weir_pool_set_cancelling(&c), WEIR_OK);
    f.now += 10 * WEIR_MS;
    weir_pool_maintain(pool);
    check_int(weir_pool_acquire(pool, WEIR_DEADLINE_NOW, &other, &error), WEIR_TIMEOUT);
    check_contains(error.text, "(being cancelled, ");
    check_counts(pool, 0, 0);
    check_int(weir_pool_get_holders(pool, &holder, 1), 1);
    check(holder.is_cancelling);
    check_int(holder.thread, 0);
    weir_pool_get_stats(pool, &stats);
    check_int(stats.leased, 1);
    check_int(stats.cancelling, 1);
    check_int(weir_pool_release(&copy), WEIR_MISUSE);
    check_int(weir_pool_set_cancelling(&copy), WEIR_MISUSE);

    give(pool, &c);
    weir_pool_get_stats(pool, &stats);
    check_int(stats.leased, 0);
    check_int(stats.cancelling, 0);
    c = take(pool);
    check_int(weir_pool_get_holders(pool, &holder, 1), 1);
    check(!holder.is_cancelling);
    check_int(holder.thread, gettid());
    give(pool, &c);
    weir_pool_close(pool);
}

static void a_plain_pool_forgets_it_too_when_it_comes_back(void)
{
    weir_pool_stats stats;

    fake_init(&f);
    weir_pool_options o = fake_options(&f, 1, 0);
    weir_pool *pool = fake_open(&f, &o);
    weir_lease c = take(pool);

    check_int(weir_pool_set_cancelling(&c), WEIR_OK);
    check_int(weir_pool_release(&c), WEIR_OK);
    c = take(pool);
    weir_pool_get_stats(pool, &stats);
    check_int(stats.leased, 1);
    check_int(stats.cancelling, 0);
    weir_lease nothing = {0};
    check_int(weir_pool_set_cancelling(&nothing), WEIR_OK);
    give(pool, &c);
    weir_pool_close(pool);
}

int main(void)
{
    run(a_lease_is_reported_once_it_is_out_for_longer_than_allowed);
    run(each_loan_of_a_slot_is_reported_for_itself);
    run(what_is_being_opened_or_evicted_is_no_leak);
    run(nothing_is_reported_where_it_was_not_asked_for_or_nobody_holds_anything);
    run(a_slot_whose_new_holder_has_not_yet_said_who_it_is_is_no_leak);
    run(a_nested_acquire_is_not_noticed_where_it_is_allowed);
    run(a_nested_acquire_is_told_with_both_places_and_served);
    run(a_nested_acquire_is_refused_with_both_places_and_takes_nothing);
    run(what_was_given_back_in_any_way_is_not_held);
    run(another_threads_connection_is_not_this_threads);
    run(a_nested_acquire_is_told_each_time_also_where_threads_have_their_slots);
    run(a_slot_handed_over_is_not_held_by_the_one_who_gave_it);
    run(the_right_to_open_handed_over_is_not_held_by_the_one_who_gave_it);
    run(events_say_how_long_it_took);
    run(a_wait_may_end_with_the_right_to_open);
    run(a_wait_in_vain_is_a_timeout_and_no_wait);
    run(a_timeout_after_the_wait_says_how_long_all_of_it_took);
    run(threads_that_share_slots_are_neither_nested_nor_leaking);
    run(only_listeners_for_each_loan_and_watches_end_the_fast_path);
    run(a_loan_that_is_being_cancelled_is_nobodys_and_keeps_its_slot);
    run(a_plain_pool_forgets_it_too_when_it_comes_back);
    return check_done();
}
