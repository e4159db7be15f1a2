/* SPDX-License-Identifier: MIT */
/* One attempt in flight: libcurl and the connection it waits for, until both are done or time is up. */
#include "http/transfer.h"

#include <limits.h>
#include <stdio.h>

/* ---- who may end it ---------------------------------------------------------------------- */

static void wake_multi(void *arg)
{
    curl_multi_wakeup(arg);
}

static void let_wake(weir_http_request *request, CURLM *multi)
{
    weir__lock(&request->lock);
    request->wake = multi != NULL ? wake_multi : NULL;
    request->wake_arg = multi;
    weir__unlock(&request->lock);
}

/* A closing session lets attempts in flight end by themselves, until they are cut. */
static bool is_signalled(const struct transfer *t)
{
    uint32_t word = atomic_load_explicit(&t->request->word, memory_order_acquire);

    return word == SIGNAL_CANCELLED ||
           (word == SIGNAL_CLOSED &&
            atomic_load_explicit(&t->session->is_cut, memory_order_acquire));
}

/* ---- libcurl's part ---------------------------------------------------------------------- */

/* What is going on. */
struct run {
    struct handle *handle;
    struct transfer *t;
    bool is_running; /* libcurl has not ended yet */
    bool is_over;
    weir_time begun; /* by the machine's clock, as libcurl counts */
    weir_time until; /* when there must be a connection */
};

/* Let libcurl do what it can do now, and note its end. */
static void perform(struct run *run)
{
    struct transfer *t = run->t;
    CURLMsg *message = NULL;
    int running = 1;
    int left = 0;
    CURLMcode code = curl_multi_perform(run->handle->multi, &running);

    if (code == CURLM_OK && running > 0)
        return;
    if (code == CURLM_OK)
        message = curl_multi_info_read(run->handle->multi, &left);
    t->code = message != NULL ? message->data.result : CURLE_OUT_OF_MEMORY;
    run->is_running = false;
}

/* The same, until it has asked for all the addresses that it knows: it comes with one or two each time, and
 * would wait for what happens to them. */
static void perform_all(struct run *run)
{
    unsigned asked;

    do {
        asked = run->t->dial->asked;
        perform(run);
    } while (run->is_running && asked != run->t->dial->asked && !run->t->dial->is_lending);
}

/* Begin anew, with what is left of the time. */
static void run_again(struct run *run, weir_time now)
{
    struct handle *handle = run->handle;
    weir_time left_ms = run->t->timeout_ms - (now - run->begun) / WEIR_MS;
    weir_time connect_ms = (run->until - now) / WEIR_MS;

    curl_multi_remove_handle(handle->multi, handle->easy);
    handle->timeout_ms = 0;
    handle->detail[0] = '\0';
    weir__handle_set_timeouts(handle, left_ms > 0 ? (int)left_ms : 1,
                              connect_ms > 0 ? (int)connect_ms : 1);
    run->is_running = curl_multi_add_handle(handle->multi, handle->easy) == CURLM_OK;
    if (run->is_running)
        return;
    run->t->code = CURLE_OUT_OF_MEMORY;
    run->is_over = true;
}

/* ---- the connection ---------------------------------------------------------------------- */

/* Ask for the addresses once more; what libcurl remembers of them may be old. */
static void renew(struct run *run, weir_time now)
{
    weir__handle_set_memory(run->handle, 0);
    run_again(run, now);
}

static void fail_to_connect(struct run *run)
{
    struct transfer *t = run->t;

    t->code = CURLE_COULDNT_CONNECT;
    t->system_errno = weir__dial_describe(t->dial, run->handle->detail, sizeof run->handle->detail);
    run->is_over = true;
}

/* It took too long, and libcurl, which may have ended long ago, has not said so. */
static void end_by_time(struct run *run)
{
    snprintf(run->handle->detail, sizeof run->handle->detail, "the connection took too long");
    run->t->code = CURLE_OPERATION_TIMEDOUT;
    run->is_over = true;
}

/* Whether there is an address to connect to. */
static bool is_dialling(const struct run *run)
{
    return run->t->dial->count > 0 && !run->t->dial->is_lending && run->t->stop == STOP_NONE;
}

static void dial(struct run *run)
{
    struct dial *d = run->t->dial;
    weir_time now = weir_now();
    enum dial_state state = weir__dial_step(d, now);

    if (state == DIAL_IS_READY) {
        d->is_lending = true;
        weir__handle_set_memory(run->handle, NAMES_REMEMBERED_S); /* they were asked for just now */
        run_again(run, now);
    } else if (now >= run->until) {
        end_by_time(run);
    } else if (!run->is_running && weir__dial_should_renew(d, state, now)) {
        renew(run, now);
    } else if (state == DIAL_FAILED && !run->is_running) {
        fail_to_connect(run);
    }
}

/* ---- the whole --------------------------------------------------------------------------- */

/* How soon libcurl is asked for more addresses, which it may have without a socket that tells. */
#define MORE_ADDRESSES (20 * WEIR_MS)

/* How long there is nothing to do, unless somebody wakes us. */
static int poll_ms(weir_time until)
{
    weir_time left_ms = (until - weir_now()) / WEIR_MS + 1;

    if (left_ms < 1)
        return 1;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

static void wait(struct run *run)
{
    struct curl_waitfd waits[DIAL_ADDRESSES];
    /* libcurl looks at its time when it is asked to perform; its timer may ask a moment too soon, and
     * not again. */
    weir_time until = run->begun + run->t->timeout_ms * WEIR_MS;
    weir_time step = WEIR_DEADLINE_NEVER;
    unsigned count = 0;

    if (is_dialling(run)) {
        count = weir__dial_waits(run->t->dial, waits, &step);
        until = step < run->until ? step : run->until;
        if (run->is_running && until > weir_now() + MORE_ADDRESSES)
            until = weir_now() + MORE_ADDRESSES;
    }
    if (curl_multi_poll(run->handle->multi, waits, count, poll_ms(until), NULL) == CURLM_OK)
        return;
    run->t->code = CURLE_OUT_OF_MEMORY;
    run->is_over = true;
}

static void drive(struct run *run)
{
    struct transfer *t = run->t;

    while (!run->is_over) {
        if (run->is_running)
            perform_all(run);
        if (is_dialling(run))
            dial(run);
        else if (!run->is_running)
            return;
        if (run->is_over)
            return;
        if (is_signalled(t)) {
            t->stop = STOP_SIGNALLED;
            t->code = CURLE_ABORTED_BY_CALLBACK;
            return;
        }
        wait(run);
    }
}

/* The errno behind a failure of which libcurl does not tell it: a look-up or the client's own certificate
 * for which there was no descriptor, or a look-up for which there was no thread. */
static int hidden_errno(const struct transfer *t)
{
    switch (t->code) {
    case CURLE_OPERATION_TIMEDOUT: /* to which 8.22 comes where it can begin no thread */
        return t->dial->asked == 0 ? weir__lacking() : 0;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_SSL_CERTPROBLEM:
        return weir__lacking();
    default:
        return 0;
    }
}

void weir__drive(struct handle *handle, struct transfer *t)
{
    int connect_ms = t->session->options.connect_timeout_ms;
    struct run run = {.handle = handle, .t = t, .is_running = true, .begun = weir_now()};

    run.until = run.begun + (connect_ms < t->timeout_ms ? connect_ms : t->timeout_ms) * WEIR_MS;
    weir__dial_init(t->dial);
    let_wake(t->request, handle->multi);
    drive(&run);
    let_wake(t->request, NULL);
    if (t->sends == 0 && t->system_errno == 0)
        t->system_errno = hidden_errno(t);
    weir__dial_clear(t->dial);
}
