/* SPDX-License-Identifier: MIT */
/* Pages on a terminal, with curses. */
#include "top_screen.h"

#include <curses.h>

static SCREEN *screen;
static attr_t looks[TOP_STYLES];

/* Where there are no colours, weight does: the words say the rest. */
static void set_looks(bool has_colours)
{
    static const short colours[TOP_STYLES] = {
        [TOP_TITLE] = COLOR_CYAN,
        [TOP_GOOD] = COLOR_GREEN,
        [TOP_WARN] = COLOR_YELLOW,
        [TOP_BAD] = COLOR_RED,
    };

    looks[TOP_TITLE] = A_BOLD;
    looks[TOP_FAINT] = A_DIM;
    looks[TOP_WARN] = looks[TOP_BAD] = A_BOLD;
    if (!has_colours || !has_colors())
        return;
    start_color();
    use_default_colors();
    for (int i = 0; i < TOP_STYLES; i++) {
        if (colours[i] != 0 && init_pair((short)i, colours[i], -1) == OK)
            looks[i] |= (attr_t)COLOR_PAIR(i);
    }
}

bool top_screen_open(bool has_colours)
{
    screen = newterm(NULL, stdout, stdin);
    if (screen == NULL)
        return false;
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    set_looks(has_colours);
    return true;
}

void top_screen_close(void)
{
    endwin();
    delscreen(screen);
    screen = NULL;
}

void top_screen_size(size_t *ret_width, size_t *ret_height)
{
    *ret_width = (size_t)(COLS > 0 ? COLS : 0);
    *ret_height = (size_t)(LINES > 0 ? LINES : 0);
}

void top_screen_show(const struct top_page *page)
{
    erase();
    for (size_t y = 0; y < page->count; y++) {
        const struct top_line *line = &page->lines[y];

        for (size_t x = 0; x < line->size; x++)
            mvaddch((int)y, (int)x,
                    (chtype)(unsigned char)line->text[x] | looks[line->style[x]] |
                        (line->is_chosen && x < 14 ? A_REVERSE : 0));
    }
    refresh();
}

enum top_key top_screen_key(int wait_ms)
{
    timeout(wait_ms);
    switch (getch()) {
    case 'q':
    case 'Q':
        return TOP_KEY_QUIT;
    case KEY_UP:
    case 'k':
        return TOP_KEY_UP;
    case KEY_DOWN:
    case 'j':
    case '\t':
        return TOP_KEY_DOWN;
    case 'p':
        return TOP_KEY_PAUSE;
    case 's':
        return TOP_KEY_SORT;
    case 'h':
    case '?':
        return TOP_KEY_HELP;
    default:
        return TOP_KEY_NONE;
    }
}
