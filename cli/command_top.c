/* SPDX-License-Identifier: MIT */
/* `weir top`: the pools of a running server, live in a terminal. */
#include "commands.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config/duration.h"
#include "top_screen.h"

#define KEY_WAIT_MS 100 /* how late new figures, and a signal, may be seen */
#define ONCE_COLUMNS 160

static const char *const names[] = {"url", "token", "interval", NULL};

static volatile sig_atomic_t was_interrupted;

static void on_signal(int number)
{
    (void)number;
    was_interrupted = 1;
}

static void print_help(void)
{
    printf(
        "Usage: weir top [OPTION]...\n"
        "Show the pools of a running server, who holds their connections, and the servers that\n"
        "it calls, live in the terminal.\n\n"
        "  --url URL        the server [http://127.0.0.1:8000]\n"
        "  --token TOKEN    a bearer token for it [WEIR_TOKEN, from the environment]; other users\n"
        "                   of the machine can read flags\n"
        "  --interval TIME  how often to ask it, 100ms to 1h [1s]\n"
        "  --once           print the current state as plain text, and exit\n\n"
        "Keys: q quits, arrows and tab choose a pool, s sorts, p pauses, h shows help.\n"
        "NO_COLOR, if not empty, turns colours off.\n"
        "Exit status: 0 all well, 1 the server refuses the token, or --once got no answer,\n"
        "2 wrong usage.\n");
}

static int fail(int status, const char *text)
{
    fprintf(stderr, "weir top: %s\n", text);
    return status;
}

/* ---- Once --------------------------------------------------------------------------------- */

static int print_once(const struct top_snapshot *snapshot, struct top_view *view,
                      struct top_page *page)
{
    if (snapshot->state != TOP_LIVE)
        return fail(EXIT_FAILURE, snapshot->problem);
    view->width = ONCE_COLUMNS;
    view->height = TOP_LINES;
    top_view_draw(view, snapshot, page);
    for (size_t i = 0; i < page->count; i++) {
        const struct top_line *line = &page->lines[i];
        size_t size = line->size;

        while (size > 0 && line->text[size - 1] == ' ')
            size--;
        printf("%.*s\n", (int)size, line->text);
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- Live --------------------------------------------------------------------------------- */

/* False when it is time to end. */
static bool obey(enum top_key key, struct top_view *view, struct top_snapshot *snapshot)
{
    switch (key) {
    case TOP_KEY_QUIT:
        return false;
    case TOP_KEY_UP:
    case TOP_KEY_DOWN:
        top_view_move(view, &snapshot->figures, key == TOP_KEY_UP ? -1 : 1);
        break;
    case TOP_KEY_PAUSE:
        view->is_paused = !view->is_paused;
        break;
    case TOP_KEY_SORT:
        view->order = (view->order + 1) % TOP_ORDERS;
        top_view_arrange(view, &snapshot->figures);
        break;
    case TOP_KEY_HELP:
        view->has_help = !view->has_help;
        break;
    case TOP_KEY_NONE:
        break;
    }
    return true;
}

static void watch(struct top_source *source, struct top_snapshot *snapshot, struct top_view *view,
                  struct top_page *page)
{
    enum top_key key;

    do {
        if (!view->is_paused && top_source_read(source, snapshot))
            top_view_arrange(view, &snapshot->figures);
        if (snapshot->state == TOP_REFUSED)
            return;
        top_screen_size(&view->width, &view->height);
        top_view_draw(view, snapshot, page);
        top_screen_show(page);
        key = top_screen_key(KEY_WAIT_MS);
    } while (obey(key, view, snapshot) && !was_interrupted);
}

static int show_live(struct top_source *source, struct top_snapshot *snapshot,
                     struct top_view *view, struct top_page *page)
{
    struct sigaction action = {.sa_handler = on_signal};
    const char *no_color = getenv("NO_COLOR");
    weir_error error;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return fail(EXIT_USAGE, "not a terminal; --once prints plain text");
    if (top_source_start(source, &error) != WEIR_OK)
        return fail(EXIT_FAILURE, error.text);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    if (!top_screen_open(no_color == NULL || no_color[0] == '\0'))
        return fail(EXIT_USAGE,
                    "the terminal's type (TERM) is not known; --once prints plain text");
    watch(source, snapshot, view, page);
    top_screen_close();
    return snapshot->state == TOP_REFUSED ? fail(EXIT_FAILURE, snapshot->problem) : EXIT_SUCCESS;
}

/* ---- The command -------------------------------------------------------------------------- */

static int run(struct top_source *source, const char *url, bool is_once)
{
    static struct top_snapshot snapshot; /* too large for a stack */
    static struct top_page page;
    char shown_url[128];
    struct top_view view = {.url = shown_url};

    top_copy_text(shown_url, sizeof shown_url, url);
    top_source_ask(source);
    if (top_source_read(source, &snapshot))
        top_view_arrange(&view, &snapshot.figures);
    if (snapshot.state == TOP_REFUSED)
        return fail(EXIT_FAILURE, snapshot.problem);
    return is_once ? print_once(&snapshot, &view, &page)
                   : show_live(source, &snapshot, &view, &page);
}

static bool read_interval(const struct flags *flags, int *ret_ms)
{
    const char *text = flags_get(flags, "interval");
    int64_t ms = 1000;

    if (text != NULL && (!duration_parse(text, &ms) || ms < 100 || ms > 3600000))
        return false;
    *ret_ms = (int)ms;
    return true;
}

int command_top(int argc, char **argv)
{
    bool is_once = flags_take_switch(&argc, argv, "--once");
    struct top_source *source;
    struct flags flags;
    weir_error error;
    int interval_ms;

    if (!flags_read(argc, argv, names, &flags))
        return EXIT_USAGE;
    if (flags_answer(&flags, print_help))
        return EXIT_SUCCESS;
    if (!read_interval(&flags, &interval_ms))
        return fail(EXIT_USAGE, "--interval: must be a duration from 100ms to 1h, as in 500ms, 2s");
    const char *url = flags_get(&flags, "url");
    const char *token = flags_get(&flags, "token");
    if (url == NULL)
        url = "http://127.0.0.1:8000";
    if (token == NULL)
        token = getenv("WEIR_TOKEN");
    if (token == NULL || token[0] == '\0')
        return fail(EXIT_USAGE, "a token is needed: set WEIR_TOKEN, or --token; `weir token --sub "
                                "you` makes one, and `weir serve` without JWT_SECRET prints one");
    if (top_source_open(url, token, interval_ms, &source, &error) != WEIR_OK)
        return fail(error.status == WEIR_INVALID ? EXIT_USAGE : EXIT_FAILURE, error.text);
    int status = run(source, url, is_once);
    top_source_close(source);
    return status;
}
