/* SPDX-License-Identifier: MIT */
/* What standard output says once the backend listens: where, and how to see it work. */
#include "banner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/auth.h"

#define TOKEN_TTL_S (7 * 86400)

/* Whether there is Switzerland to show; asked of SQLite only, which answers at once. */
static bool has_jurisdictions(const struct banner *banner)
{
    char *row = NULL;

    if (strncmp(banner->config->sql_conn_string, "sqlite", 6) != 0)
        return false;
    bool is_there = database_get_entry_by_id(banner->database, "Jurisdictions", "CHE",
                                             weir_deadline_in(1000), &row, NULL, NULL) == WEIR_OK &&
                    row != NULL;
    free(row);
    return is_there;
}

/*
 * The token stands in one line, which is a link and sets a variable of the shell. The fragment of a link
 * stays in the browser: it is in no request and no log.
 */
static void print_token(const struct banner *banner, const char *address, const char *token)
{
    printf("JWT_SECRET is not set, so the server made its own. The link opens the console, with a "
           "token that works until the server stops;\nboth lines together, pasted into a shell, "
           "call the API:\n\n  console=%s/#token=%s\n"
           "  curl -H \"Authorization: Bearer ${console#*=}\" %s/api/v1/tables%s\n\n",
           address, token, address, has_jurisdictions(banner) ? "/Jurisdictions/CHE" : "");
}

void banner_print(const struct banner *banner)
{
    const char *host = banner->config->host;
    bool is_v6 = strchr(host, ':') != NULL;
    char address[128];
    char *token = NULL;

    snprintf(address, sizeof address, "http://%s%s%s:%d", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
             banner->port);
    printf("weir %s listens on %s\n", weir_version(), address);
    if (banner->own_secret != NULL &&
        auth_make_token(banner->own_secret, banner->config->jwt_audience, "local", "moderator",
                        time(NULL), TOKEN_TTL_S, &token, NULL) == WEIR_OK) {
        print_token(banner, address, token);
        free(token);
    } else {
        printf("The console is at %s/ and asks for a token: `weir token --help`\n", address);
    }
    fflush(stdout);
}
