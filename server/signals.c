/* SPDX-License-Identifier: MIT */
/* The signals of the backend: those that end it, the first by a drain and the second at once, and SIGHUP. */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include <weir/clock.h>

/* timeout(1) and a few supervisors send one signal twice, to the process and to its group. */
#define SAME_SIGNAL (20 * WEIR_MS)

static weir_time first_signal_at;

static void exit_at_once(int signal_number)
{
    static const char text[] = "second signal: exiting at once\n";

    if (weir_now() - first_signal_at < SAME_SIGNAL)
        return;
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    _exit(128 + signal_number);
}

static void fill_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

void signals_block(void)
{
    sigset_t set;

    fill_set(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int signals_wait(void)
{
    sigset_t set;
    int number;

    fill_set(&set);
    while ((number = sigwaitinfo(&set, NULL)) < 0 && errno == EINTR)
        continue;
    return number;
}

void signals_let_next_exit(void)
{
    struct sigaction action = {.sa_handler = exit_at_once};
    sigset_t set;

    first_signal_at = weir_now();
    fill_set(&set);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGHUP, SIG_IGN); /* there is nothing to read it for, and no reason to end */
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}
