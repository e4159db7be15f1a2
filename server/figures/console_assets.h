/* SPDX-License-Identifier: MIT */
/* The files of the console's page, as web/embed.c put them into the program. */
#ifndef WEIR_SERVER_CONSOLE_ASSETS_H
#define WEIR_SERVER_CONSOLE_ASSETS_H

#include <stddef.h>

struct console_asset {
    const char *name; /* "console.css" */
    const char *etag; /* with its quotes; changes with the content */
    const unsigned char *bytes;
    size_t size;
};

extern const struct console_asset console_assets[];
extern const size_t console_asset_count;

#endif
