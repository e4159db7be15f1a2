/* SPDX-License-Identifier: MIT */
/* HTTPSessionManager: initialized once, by hand or by its first use, held by any thread, closed and begun again. */
#include "managers/http_session_manager.h"

#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "log/log.h"

/* What is logged while `work` runs. */
static const char *logged(void (*work)(void))
{
    static char text[65536];
    int ends[2];

    check(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
    log_set_descriptor(ends[1]);
    work();
    log_set_descriptor(STDERR_FILENO);
    ssize_t size = read(ends[0], text, sizeof text - 1);
    text[size > 0 ? size : 0] = '\0';
    close(ends[0]);
    close(ends[1]);
    return text;
}

static struct http_handle *held(void)
{
    struct http_handle *handle = NULL;
    weir_error error = {0};

    check(http_manager_get_session(&handle, &error) == WEIR_OK);
    check_text(error.text, "");
    return handle;
}

static void close_manager(void)
{
    check(http_manager_close(weir_deadline_in(1000), NULL) == WEIR_OK);
}

static void initialize_with_options(void)
{
    struct http_session_options options = HTTP_SESSION_OPTIONS_DEFAULT;

    options.pool_connections = 3;
    options.pool_maxsize = 4;
    options.pool_block = true;
    options.max_retries = 0;
    options.backoff_factor_ms = 50;
    options.timeout_ms = 200000;
    check(http_manager_initialize(&options, NULL) == WEIR_OK);
}

static void it_is_initialized_with_what_it_is_given(void)
{
    check(!http_manager_is_initialized());
    check_contains(logged(initialize_with_options),
                   "INFO    HTTPSessionManager initialized: pool_connections 3, pool_maxsize 4, "
                   "pool_block on, max_retries 0, backoff_factor 50 ms, timeout 200000 ms\n");
    check(http_manager_is_initialized());

    struct http_handle *handle = held();
    const weir_http_options *options = weir_http_get_options(http_handle_session(handle));
    check_int(options->pool_connections, 3);
    check_int(options->pool_maxsize, 4);
    check_int(options->pool_block, WEIR_HTTP_WHEN_FULL_BLOCK);
    check_int(options->retry.total, 0);
    check_int(options->retry.backoff_factor_ms, 50);
    check_int(options->try_timeout_ms, 200000);
    check(options->total_timeout_ms >= 200000);
    check_int(options->retry.allowed_methods & WEIR_METHOD_POST, 0);
    http_manager_put_session(handle);
}

static void initialize_again(void)
{
    weir_error error;

    check(http_manager_initialize(NULL, &error) == WEIR_ALREADY);
    check_text(error.text, "HTTPSessionManager already initialized, skipping");
}

static void the_second_initialize_warns_and_keeps_the_first(void)
{
    check_contains(logged(initialize_again),
                   "WARNING HTTPSessionManager already initialized, skipping\n");
    struct http_handle *handle = held();
    check_int(weir_http_get_options(http_handle_session(handle))->pool_maxsize, 4);
    http_manager_put_session(handle);
}

static void closing_is_idempotent_and_initializing_works_again(void)
{
    struct http_handle *first = held();
    uint64_t number = http_handle_number(first);

    check_contains(logged(close_manager), "INFO    HTTPSessionManager closed\n");
    check(!http_manager_is_initialized());
    check_text(logged(close_manager), "");
    check(http_manager_initialize(NULL, NULL) == WEIR_OK);
    struct http_handle *second = held();
    check(http_handle_number(second) == number + 1);
    check(http_handle_session(second) != http_handle_session(first));
    check_int(weir_http_get_options(http_handle_session(second))->pool_maxsize, 20);

    /* The first one is closed to requests, but still there for who holds it. */
    weir_http_response *response = NULL;
    weir_error error;
    check(weir_http_get(http_handle_session(first), "http://127.0.0.1:1/", &response, &error) ==
          WEIR_CLOSED);
    check_text(weir_http_name(http_handle_session(first)), "http");
    http_manager_put_session(first);
    http_manager_put_session(second);
    close_manager();
}

static void get_and_put(void)
{
    http_manager_put_session(held());
}

static void the_first_use_initializes_with_the_defaults_and_says_so(void)
{
    struct http_handle *handle = NULL;

    check(!http_manager_find_session(&handle));
    const char *text = logged(get_and_put);
    check_contains(text,
                   "INFO    HTTPSessionManager not initialized, initializing with the defaults\n");
    check_contains(text,
                   "INFO    HTTPSessionManager initialized: pool_connections 10, pool_maxsize "
                   "20, pool_block off, max_retries 3, backoff_factor 300 ms, timeout 30000 ms\n");
    check(http_manager_is_initialized());
    check_text(logged(get_and_put), "");
    check(http_manager_find_session(&handle));
    http_manager_put_session(handle);
    http_manager_maintain();
    close_manager();
    http_manager_maintain();
}

static void options_out_of_range_leave_it_uninitialized(void)
{
    struct http_session_options options = HTTP_SESSION_OPTIONS_DEFAULT;
    weir_error error;

    options.pool_maxsize = 0;
    check(http_manager_initialize(&options, &error) == WEIR_INVALID);
    check_contains(error.text, "pool_maxsize");
    check(!http_manager_is_initialized());
    options = (struct http_session_options)HTTP_SESSION_OPTIONS_DEFAULT;
    options.ca_file = "/nowhere/ca.pem";
    check(http_manager_initialize(&options, &error) == WEIR_INVALID);
    check_contains(error.text, "/nowhere/ca.pem");
    check(!http_manager_is_initialized());
}

static void waits_can_be_ended_while_the_session_stays_the_managers(void)
{
    weir_http_response *response = NULL;
    weir_error error;

    http_manager_end_waits(WEIR_DEADLINE_NOW);
    check(http_manager_initialize(NULL, NULL) == WEIR_OK);
    http_manager_end_waits(WEIR_DEADLINE_NOW);
    check(http_manager_is_initialized());
    struct http_handle *handle = held();
    check(weir_http_get(http_handle_session(handle), "http://127.0.0.1:1/", &response, &error) ==
          WEIR_CLOSED);
    http_manager_put_session(handle);
    close_manager();
}

/* ---- Threads --------------------------------------------------------------------------------- */

static _Atomic bool is_over;
static _Atomic unsigned uses;

static void *use(void *arg)
{
    (void)arg;
    while (!atomic_load(&is_over)) {
        struct http_handle *handle = held();
        weir_http_maintain(http_handle_session(handle));
        http_manager_put_session(handle);
        atomic_fetch_add(&uses, 1);
    }
    return NULL;
}

static void nobody_meets_a_closed_session_while_others_open_and_close_it(void)
{
    pthread_t threads[4];
    weir_time until = weir_deadline_in(10000);

    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < 4; i++)
        check(pthread_create(&threads[i], NULL, use, NULL) == 0);
    while (atomic_load(&uses) < 400 && weir_now() < until) {
        close_manager();
        (void)!http_manager_initialize(NULL, NULL);
    }
    check(atomic_load(&uses) >= 400);
    atomic_store(&is_over, true);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    close_manager();
}

int main(void)
{
    run(it_is_initialized_with_what_it_is_given);
    run(the_second_initialize_warns_and_keeps_the_first);
    run(closing_is_idempotent_and_initializing_works_again);
    run(the_first_use_initializes_with_the_defaults_and_says_so);
    run(options_out_of_range_leave_it_uninitialized);
    run(waits_can_be_ended_while_the_session_stays_the_managers);
    run(nobody_meets_a_closed_session_while_others_open_and_close_it);
    return check_done();
}
