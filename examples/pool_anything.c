/* SPDX-License-Identifier: MIT */
/*
 * Pool something that is not a database: helper processes, of which there should be few.
 *
 * A connection here is a running `cat` at the other end of a socket. The driver is two functions,
 * one that starts a process and one that ends it; the pool does the rest. Four threads send lines
 * through at most two processes.
 *
 * Prints:
 *     400 lines came back
 *     never more than 2 processes
 *     0 processes left
 */
#include <weir/pool.h>

#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, LINES_PER_THREAD = 100, PROCESSES = 2 };

/* ---- the driver -------------------------------------------------------------------------- */

struct helper {
    pid_t process;
    int socket;
};

/* Start `cat` with `end` as its input and output. The other end is closed by exec. */
static int start_cat(pid_t *ret_process, int end)
{
    char name[] = "cat";
    char *const command[] = {name, NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, end, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, end, STDOUT_FILENO);
    int error = posix_spawnp(ret_process, name, &actions, NULL, command, environment);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Nothing here can take long, so the deadline is not looked at. */
static weir_status start_helper(void *arg, weir_time deadline, void **ret_connection,
                                weir_error *reterr)
{
    int ends[2];
    struct helper *helper = malloc(sizeof *helper);

    (void)arg, (void)deadline;
    if (helper == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        free(helper);
        return weir_error_set(reterr, WEIR_SYSTEM, "start helper: no socket");
    }
    int error = start_cat(&helper->process, ends[1]);
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        free(helper);
        return weir_error_set(reterr, WEIR_CONNECT, "start helper: %s", strerror(error));
    }
    helper->socket = ends[0];
    *ret_connection = helper;
    return WEIR_OK;
}

/* `cat` ends when its input does. Its slot is used for another only when it is gone. */
static void end_helper(void *arg, void *connection)
{
    struct helper *helper = connection;

    (void)arg;
    close(helper->socket);
    waitpid(helper->process, NULL, 0);
    free(helper);
}

/* ---- its users --------------------------------------------------------------------------- */

/* Send a line and read it back; false when the helper is no longer what it was. */
static bool echo(struct helper *helper, const char *line)
{
    char answer[64];
    size_t size = strlen(line);
    size_t got = 0;

    if (send(helper->socket, line, size, MSG_NOSIGNAL) != (ssize_t)size)
        return false;
    while (got < size) {
        ssize_t part = recv(helper->socket, answer + got, size - got, 0);

        if (part <= 0)
            return false;
        got += (size_t)part;
    }
    return memcmp(answer, line, size) == 0;
}

static void *send_lines(void *arg)
{
    weir_pool *pool = arg;
    size_t returned = 0;

    for (int i = 0; i < LINES_PER_THREAD; i++) {
        weir_lease lease;
        weir_error error;
        char line[32];

        if (weir_pool_acquire(pool, weir_deadline_in(5000), &lease, &error) != WEIR_OK) {
            fprintf(stderr, "%s\n", error.text);
            break;
        }
        snprintf(line, sizeof line, "line %d\n", i);
        if (echo(lease.connection, line)) {
            returned++;
            weir_pool_release(&lease);
        } else {
            weir_pool_discard(&lease, NULL); /* the next holder gets a new process */
        }
    }
    return (void *)returned;
}

int main(void)
{
    const weir_driver driver = {.connect = start_helper, .close = end_helper};
    weir_pool_options options = WEIR_POOL_OPTIONS_DEFAULT;
    weir_pool *pool = NULL;
    pthread_t threads[THREADS];
    size_t returned = 0;
    weir_error error;

    options.name = "helpers";
    options.pool_size = PROCESSES;
    options.max_overflow = 0; /* a hard cap */
    if (weir_pool_open(&options, &driver, NULL, &pool, &error) != WEIR_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, send_lines, pool) != 0)
            return 1;
    for (int i = 0; i < THREADS; i++) {
        void *count;

        pthread_join(threads[i], &count);
        returned += (size_t)count;
    }

    weir_pool_stats stats;
    weir_pool_get_stats(pool, &stats);
    printf("%zu lines came back\n", returned);
    if (stats.connects <= PROCESSES)
        printf("never more than %d processes\n", PROCESSES);
    if (weir_pool_dispose(pool, weir_deadline_in(5000), &error) != WEIR_OK)
        fprintf(stderr, "%s\n", error.text);
    weir_pool_get_stats(pool, &stats);
    printf("%d processes left\n", stats.connections);
    weir_pool_close(pool);
    return 0;
}
