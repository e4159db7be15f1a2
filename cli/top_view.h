/* SPDX-License-Identifier: MIT */
/* The page of `weir top`: figures in, lines of text with styles out, the same for a screen and for a pipe. */
#ifndef WEIR_CLI_TOP_VIEW_H
#define WEIR_CLI_TOP_VIEW_H

#include "top_source.h"

#define TOP_COLUMNS 256
#define TOP_LINES 256

enum top_style {
    TOP_PLAIN,
    TOP_TITLE,
    TOP_FAINT,
    TOP_GOOD,
    TOP_WARN,
    TOP_BAD,
    TOP_STYLES /* how many */
};

struct top_line {
    size_t size;
    bool is_chosen;                   /* the line of the chosen pool */
    char text[TOP_COLUMNS];           /* printable ASCII */
    unsigned char style[TOP_COLUMNS]; /* an enum top_style for each */
};

struct top_page {
    size_t count;
    struct top_line lines[TOP_LINES];
};

enum top_order { TOP_BY_NAME, TOP_BY_USED, TOP_BY_WAITERS, TOP_BY_RATE, TOP_ORDERS };

/* How it is looked at. */
struct top_view {
    const char *url; /* printable ASCII */
    size_t width, height;
    enum top_order order;
    bool is_paused;
    bool has_help;
    char chosen[40]; /* the pool whose holders are shown; "": the first */
};

/* Sort the pools as the view says, and make sure that the chosen pool is one of them. */
void top_view_arrange(struct top_view *view, struct top_figures *figures);

/* Choose the pool that is so many further down, around the end. */
void top_view_move(struct top_view *view, const struct top_figures *figures, int step);

/* Draw. No more than width columns and height lines. */
void top_view_draw(const struct top_view *view, const struct top_snapshot *snapshot,
                   struct top_page *page);

#endif
