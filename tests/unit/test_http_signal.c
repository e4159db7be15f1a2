/* SPDX-License-Identifier: MIT */
/* How other threads reach the sender of a request: a word to sleep on, and a wake for one on the wire. */
#include "check.h"
#include "http/park.h"
#include "http/request.h"

#include <errno.h>
#include <stdlib.h>

static weir_http_request *open_request(void)
{
    weir_http_request *request = NULL;

    if (weir_http_request_open("GET", "http://h/", &request, NULL) != WEIR_OK)
        abort();
    return request;
}

static void the_first_signal_stays(void)
{
    weir_http_request *request = open_request();

    weir_http_request_cancel(request);
    check_int(atomic_load(&request->word), SIGNAL_CANCELLED);
    weir__request_signal(request, SIGNAL_CLOSED);
    check_int(atomic_load(&request->word), SIGNAL_CANCELLED);
    atomic_store(&request->word, SIGNAL_NONE);
    weir__request_signal(request, SIGNAL_CLOSED);
    weir_http_request_cancel(request);
    check_int(atomic_load(&request->word), SIGNAL_CLOSED);
    weir_http_request_close(request);
}

struct woken {
    weir_http_request *request;
    int times;
    int lock_state; /* what pthread_mutex_trylock() said of the lock */
    uint32_t word;
};

static void note_wake(void *arg)
{
    struct woken *woken = arg;

    woken->times++;
    woken->lock_state = pthread_mutex_trylock(&woken->request->lock);
    woken->word = atomic_load(&woken->request->word);
}

static void a_sender_on_the_wire_is_woken_under_the_lock_after_the_word_is_written(void)
{
    weir_http_request *request = open_request();
    struct woken woken = {.request = request};

    request->wake = note_wake;
    request->wake_arg = &woken;
    weir_http_request_cancel(request);
    check_int(woken.times, 1);
    check_int(woken.lock_state, EBUSY);
    check_int(woken.word, SIGNAL_CANCELLED);
    check_int(pthread_mutex_trylock(&request->lock), 0);
    pthread_mutex_unlock(&request->lock);
    weir_http_request_close(request);
}

static void *sleep_on(void *arg)
{
    weir_http_request *request = arg;

    while (atomic_load(&request->word) == SIGNAL_NONE)
        weir__http_park(&request->word, SIGNAL_NONE, WEIR_DEADLINE_NEVER);
    return NULL;
}

/* Whether the sleeper is asleep yet or not, it returns: a lost wake would hang here. */
static void a_sleeping_sender_is_woken(void)
{
    for (int i = 0; i < 100; i++) {
        weir_http_request *request = open_request();
        pthread_t thread;

        check_int(pthread_create(&thread, NULL, sleep_on, request), 0);
        weir_http_request_cancel(request);
        check_int(pthread_join(thread, NULL), 0);
        weir_http_request_close(request);
    }
}

static void a_sleep_ends_at_its_deadline_and_leaves_errno(void)
{
    _Atomic uint32_t word = 0;
    weir_time until = weir_now() + 2 * WEIR_MS;

    errno = EPIPE;
    while (weir_now() < until)
        weir__http_park(&word, 0, until);
    weir__http_park(&word, 0, WEIR_DEADLINE_NOW);
    weir__http_park(&word, 0, WEIR_DEADLINE_DEFAULT);
    weir__http_park(&word, 1, WEIR_DEADLINE_NEVER);
    check_int(errno, EPIPE);
}

int main(void)
{
    run(the_first_signal_stays);
    run(a_sender_on_the_wire_is_woken_under_the_lock_after_the_word_is_written);
    run(a_sleeping_sender_is_woken);
    run(a_sleep_ends_at_its_deadline_and_leaves_errno);
    return check_done();
}
