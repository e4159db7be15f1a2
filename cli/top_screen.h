/* SPDX-License-Identifier: MIT */
/* The terminal of `weir top`: the only file that sees curses. */
#ifndef WEIR_CLI_TOP_SCREEN_H
#define WEIR_CLI_TOP_SCREEN_H

#include "top_view.h"

enum top_key {
    TOP_KEY_NONE, /* nothing was pressed in time, or nothing of ours */
    TOP_KEY_QUIT,
    TOP_KEY_UP,
    TOP_KEY_DOWN,
    TOP_KEY_PAUSE,
    TOP_KEY_SORT,
    TOP_KEY_HELP
};

/* Take over the terminal. False where it cannot show pages: its type is not known. */
bool top_screen_open(bool has_colours);

/* Give it back. */
void top_screen_close(void);

/* Show a page, and how large the screen is now. */
void top_screen_show(const struct top_page *page);
void top_screen_size(size_t *ret_width, size_t *ret_height);

/* Wait for a key, for so long at most. */
enum top_key top_screen_key(int wait_ms);

#endif
