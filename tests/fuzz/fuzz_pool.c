/* SPDX-License-Identifier: MIT */
/* Bytes become operations on a pool, with a fake driver and clock; a plain model says what each may answer. */
#include "fuzz.h"
#include "unit/fake.h"

/*
 * The first bytes choose the options, every further one is an operation (its low five bits) with an
 * argument (its high three). While an acquire waits, or the driver is in the middle of something,
 * the operations that follow are the other threads'.
 */
const char *const fuzz_seeds[] = {
    "AAAAaaaabbbb@@@@",
    "QbqAAABBBCCCDDDEEEFFFGGGHHHIIIJJJ",
    "1a2b3c4d5e6f7g8h9i0jKkLlMmNnOoPp",
    "zzzzzyyyyyxxxxxwwwwwvvvvvuuuuuttttt",
    "!A\"B#C$D%E&F'G(H)I*J+K,L-M.N/O",
    NULL,
};

enum { HELD = 8, STALE = 4, DEPTH = 4 };

static struct fake f;
static weir_pool *pool;
static const uint8_t *input;
static size_t left;

/* The model: who holds what, and what was seen so far. */
static weir_lease held[HELD];
static weir_lease stale[STALE];
static unsigned stale_next;
static int depth;      /* acquires and driver calls in progress below this one */
static int waiting;    /* of them, those that wait: in the queue, or for the last lease */
static bool is_closed; /* disposed */
static bool may_fail;  /* the driver was told to fail or to take time */
static uint64_t checkouts;
static uint64_t misuses;

static unsigned next_byte(void)
{
    if (left == 0)
        return 0;
    left--;
    return *input++;
}

static int count_held(bool with_detached)
{
    int count = 0;

    for (int i = 0; i < HELD; i++)
        count += held[i].pool != NULL && (with_detached || held[i].slot != NULL);
    return count;
}

static weir_pool_stats stats(void)
{
    weir_pool_stats s;

    weir_pool_get_stats(pool, &s);
    return s;
}

/* What must hold between any two operations, and more when nothing is in progress below. */
static void check_all(void)
{
    must(pool_check(pool) == 0);
    must(f.faults == 0);
    for (int i = 0; i < HELD; i++) {
        if (held[i].pool == NULL)
            continue;
        const struct fake_connection *c = held[i].connection;
        must(c != NULL && c->is_open);
        for (int j = 0; j < i; j++)
            must(held[j].connection != held[i].connection);
    }
    weir_pool_stats s = stats();
    must(s.misuses == misuses);
    must(s.waiters <= waiting);
    must(s.leased <= s.slots && s.connections <= s.slots);
    if (depth > 0)
        return;
    must(pool_check_live(pool, &f) == 0);
    must(s.leased == count_held(false));
    must(s.checkouts == checkouts);
    must(s.connects == (uint64_t)f.opened);
    must(f.live == s.connections + count_held(true) - count_held(false));
}

/* ---- operations -------------------------------------------------------------------------- */

static void step(void);

/* Another thread's turn, in the middle of what this one does. */
static void let_others(struct fake *fake)
{
    (void)fake;
    if (depth >= DEPTH || left == 0)
        return;
    depth++;
    for (unsigned steps = next_byte() % 4; steps > 0; steps--)
        step();
    depth--;
}

static void while_waiting(struct fake *fake)
{
    waiting++;
    must(pool_check(pool) == 0);
    let_others(fake);
    waiting--;
}

static int free_place(void)
{
    for (int i = 0; i < HELD; i++)
        if (held[i].pool == NULL)
            return i;
    return -1;
}

static void acquire(unsigned argument)
{
    static const weir_time waits[] = {0, 0, 1, 100, 1000, 20000, 700000, 3000000};
    weir_lease lease = {0};
    weir_time deadline =
        waits[argument] == 0 ? WEIR_DEADLINE_NOW : f.now + waits[argument] * WEIR_US;
    bool was_closed = is_closed;
    weir_pool_stats before = stats();
    bool had_room = before.leased < before.slots;
    bool had_line = before.waiters > 0;
    weir_error e;

    if (free_place() < 0 || depth >= DEPTH)
        return;
    depth++;
    weir_status status = weir_pool_acquire(pool, deadline, &lease, &e);
    depth--;
    if (status == WEIR_OK)
        checkouts++;
    must((status == WEIR_OK) == (lease.pool != NULL));
    must(status == WEIR_OK || e.status == status);
    must(!was_closed || status == WEIR_CLOSED);
    if (deadline == WEIR_DEADLINE_NOW && !was_closed) {
        bool is_strict = pool->options.handoff_after_us == 0;

        if (!had_room || (had_line && is_strict))
            must(status == WEIR_TIMEOUT);
        if (had_room && !(had_line && is_strict) && !may_fail)
            must(status == WEIR_OK);
    }
    int place = free_place();
    if (status == WEIR_OK && place >= 0)
        held[place] = lease;
    else
        must(weir_pool_release(&lease) == WEIR_OK);
}

static weir_lease *choose_held(unsigned argument)
{
    for (unsigned i = 0; i < HELD; i++) {
        weir_lease *lease = &held[(argument + i) % HELD];

        if (lease->pool != NULL)
            return lease;
    }
    return NULL;
}

/* Take it out of the model first: while the pool works on it, it is nobody's. */
static void give_back(unsigned argument, bool is_broken)
{
    weir_lease *place = choose_held(argument);
    if (place == NULL)
        return;
    weir_lease lease = *place;

    *place = (weir_lease){0};
    stale[stale_next++ % STALE] = lease;
    depth++;
    must((is_broken ? weir_pool_discard(&lease, NULL) : weir_pool_release(&lease)) == WEIR_OK);
    depth--;
    must(lease.pool == NULL && lease.connection == NULL);
}

static void misuse(unsigned argument)
{
    weir_lease copy = stale[argument % STALE];
    if (copy.pool == NULL)
        return;
    bool is_detached = copy.slot == NULL;

    if (argument < 4)
        must(weir_pool_release(&copy) == WEIR_MISUSE);
    else
        must(weir_pool_discard(&copy, NULL) == WEIR_MISUSE);
    must(weir_pool_soft_invalidate(&copy) == WEIR_MISUSE);
    must(weir_pool_detach(&copy) == WEIR_MISUSE);
    misuses += is_detached ? 1 : 3;
}

static void change_lease(unsigned argument, bool is_detach)
{
    weir_lease *lease = choose_held(argument);
    if (lease == NULL)
        return;
    bool was_detached = lease->slot == NULL;
    weir_lease before = *lease;
    weir_status expected = was_detached ? WEIR_MISUSE : WEIR_OK;

    must((is_detach ? weir_pool_detach(lease) : weir_pool_soft_invalidate(lease)) == expected);
    if (is_detach && !was_detached)
        stale[stale_next++ % STALE] = before;
}

static void arm(enum fake_call call, unsigned argument)
{
    may_fail = true;
    f.behaviour[call].fail_next = (int)(argument & 3);
    f.behaviour[call].takes = (argument & 4) != 0 ? 30 * WEIR_MS : 0;
}

static void dispose(unsigned argument)
{
    if (argument != 7)
        return; /* rarely: it is the end of all lending */
    is_closed = true;
    depth++;
    weir_status status = weir_pool_dispose(pool, f.now + 10 * WEIR_MS, NULL);
    depth--;
    must(status == WEIR_OK || status == WEIR_TIMEOUT);
}

static void perform(unsigned operation, unsigned argument)
{
    if (operation < 10)
        acquire(argument);
    else if (operation < 16)
        give_back(argument, false);
    else if (operation < 18)
        give_back(argument, true);
    else if (operation == 18)
        change_lease(argument, true);
    else if (operation == 19)
        change_lease(argument, false);
    else if (operation == 20)
        misuse(argument);
    else if (operation == 21)
        weir_pool_evict_all(pool);
    else if (operation == 22)
        dispose(argument);
    else if (operation == 23)
        f.spurious = (int)argument;
    else if (operation < 27)
        f.now += ((weir_time)1 << (argument * 4)) * WEIR_US;
    else
        arm((enum fake_call)(operation - 27), argument);
}

static void step(void)
{
    unsigned byte = next_byte();

    perform(byte & 31, byte >> 5);
    check_all();
}

/* ---- a life ------------------------------------------------------------------------------ */

static weir_pool_options choose_options(void)
{
    unsigned a = next_byte();
    unsigned b = next_byte();
    weir_pool_options o = fake_options(&f, 1 + (int)(a & 3), (int)(a >> 2 & 3));

    o.handoff_after_us = (a & 16) != 0 ? 500 : 0;
    o.use_lifo = (a & 32) != 0;
    o.ping_bypass_ms = (a & 64) != 0 ? 0 : 500;
    o.pool_pre_ping = (a & 128) == 0;
    o.max_waiters = (b & 3) == 3 ? 1024 : (int)(b & 3);
    o.pool_recycle_s = (b & 4) != 0 ? 1 : -1;
    o.recycle_jitter_percent = (b & 8) != 0 ? 50 : 0;
    o.pool_timeout_ms = 1;
    return o;
}

static void begin(void)
{
    fake_init(&f);
    memset(held, 0, sizeof held);
    memset(stale, 0, sizeof stale);
    depth = 0;
    waiting = 0;
    is_closed = false;
    may_fail = false;
    checkouts = 0;
    misuses = 0;
    weir_pool_options o = choose_options();
    f.on_wait = while_waiting;
    for (int i = 0; i < FAKE_CALLS; i++)
        f.behaviour[i].hook = i == FAKE_IS_ALIVE ? NULL : let_others;
    pool = fake_open(&f, &o);
}

/* Half of the leases come back before the pool is given up, the others after it. */
static void end(void)
{
    left = 0;
    for (unsigned i = 0; i < HELD / 2; i++)
        give_back(i, false);
    check_all();
    weir_pool_close(pool);
    for (unsigned i = 0; i < HELD; i++)
        give_back(i, i % 2 == 0);
    must(f.live == 0 && f.faults == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    left = size < 1000 ? size : 1000;
    begin();
    while (left > 0)
        step();
    end();
    return 0;
}
