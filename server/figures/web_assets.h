/* SPDX-License-Identifier: MIT */
/* The files of web/ that web/embed.c puts into the program. */
#ifndef WEIR_SERVER_WEB_ASSETS_H
#define WEIR_SERVER_WEB_ASSETS_H

#include <stddef.h>

struct web_asset {
    const char *name; /* "console.css" */
    const char *etag; /* with its quotes; changes with the content */
    const unsigned char *bytes;
    size_t size;
};

/* The pages that `weir serve` serves: the console and the description of the API. */
extern const struct web_asset console_assets[];
extern const size_t console_asset_count;

/* The report of `weir bench --html`, which is in the `weir` command alone. */
extern const struct web_asset report_assets[];
extern const size_t report_asset_count;

#endif
