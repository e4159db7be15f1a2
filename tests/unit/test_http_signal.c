/* SPDX-License-Identifier: MIT */
/* How other threads reach the sender of a request: a word to sleep on, and a wake for one on the wire. */
#include "check.h"
#include "http/request.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static weir_http_request *open_request(void)
{
    weir_http_request *request = NULL;

    if (weir_http_request_open("GET", "http://h/", &request, NULL) != WEIR_OK)
        abort();
    return request;
}

/* A session that closes lets what is on the wire finish; who is cancelled meanwhile is so at once. */
static void a_cancel_outweighs_a_close_and_nothing_outweighs_a_cancel(void)
{
    weir_http_request *request = open_request();

    weir_http_request_cancel(request);
    check_int(atomic_load(&request->word), SIGNAL_CANCELLED);
    weir__request_signal(request, SIGNAL_CLOSED);
    check_int(atomic_load(&request->word), SIGNAL_CANCELLED);
    atomic_store(&request->word, SIGNAL_NONE);
    weir__request_signal(request, SIGNAL_CLOSED);
    check_int(atomic_load(&request->word), SIGNAL_CLOSED);
    weir_http_request_cancel(request);
    check_int(atomic_load(&request->word), SIGNAL_CANCELLED);
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
    woken->lock_state = pthread_mutex_trylock(&woken->request->lock.raw);
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
    check_int(pthread_mutex_trylock(&request->lock.raw), 0);
    pthread_mutex_unlock(&request->lock.raw);
    weir_http_request_close(request);
}

struct sleeper {
    weir_http_request *request;
    _Atomic pid_t id;
};

static void *sleep_on(void *arg)
{
    struct sleeper *sleeper = arg;

    atomic_store(&sleeper->id, gettid());
    while (atomic_load(&sleeper->request->word) == SIGNAL_NONE)
        weir_wait((uint32_t *)(uintptr_t)&sleeper->request->word, SIGNAL_NONE, WEIR_DEADLINE_NEVER);
    return NULL;
}

/* Whether the kernel says of a thread of this process that it sleeps. */
static bool is_asleep(pid_t id)
{
    char path[64];
    char text[64] = "";

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)id);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *state = strrchr(text, ')');
    return state != NULL && strncmp(state, ") S", 3) == 0;
}

/* A wake that is lost would leave the sleeper where it is. */
static void a_sleeping_sender_is_woken(void)
{
    struct sleeper sleeper = {.request = open_request()};
    weir_time limit = weir_now() + 10 * WEIR_SECOND;
    pthread_t thread;

    check_int(pthread_create(&thread, NULL, sleep_on, &sleeper), 0);
    while ((atomic_load(&sleeper.id) == 0 || !is_asleep(atomic_load(&sleeper.id))) &&
           weir_now() < limit)
        sched_yield();
    check(is_asleep(atomic_load(&sleeper.id)));
    weir_http_request_cancel(sleeper.request);
    check_int(pthread_join(thread, NULL), 0);
    weir_http_request_close(sleeper.request);
}

/* Whether it sleeps already, is about to, or has not begun. */
static void a_signal_is_never_missed(void)
{
    for (int i = 0; i < 100; i++) {
        struct sleeper sleeper = {.request = open_request()};
        pthread_t thread;

        check_int(pthread_create(&thread, NULL, sleep_on, &sleeper), 0);
        weir_http_request_cancel(sleeper.request);
        check_int(pthread_join(thread, NULL), 0);
        weir_http_request_close(sleeper.request);
    }
}

static void a_sleep_ends_at_its_deadline_and_leaves_errno(void)
{
    _Atomic uint32_t word = 0;
    weir_time until = weir_now() + 2 * WEIR_MS;

    errno = EPIPE;
    while (weir_now() < until)
        weir_wait((uint32_t *)(uintptr_t)&word, 0, until);
    weir_wait((uint32_t *)(uintptr_t)&word, 0, WEIR_DEADLINE_NOW);
    weir_wait((uint32_t *)(uintptr_t)&word, 0, WEIR_DEADLINE_DEFAULT);
    weir_wait((uint32_t *)(uintptr_t)&word, 1, WEIR_DEADLINE_NEVER);
    check_int(errno, EPIPE);
}

int main(void)
{
    run(a_cancel_outweighs_a_close_and_nothing_outweighs_a_cancel);
    run(a_sender_on_the_wire_is_woken_under_the_lock_after_the_word_is_written);
    run(a_sleeping_sender_is_woken);
    run(a_signal_is_never_missed);
    run(a_sleep_ends_at_its_deadline_and_leaves_errno);
    return check_done();
}
