/* SPDX-License-Identifier: MIT */
/* What standard output says once the backend listens: where, and how to see it work. */
#include "welcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth.h"

#define TOKEN_TTL_S (7 * 86400)

/* Whether there is Switzerland to show; asked of SQLite only, which answers at once. */
static bool has_jurisdictions(const struct welcome *welcome)
{
    char *row = NULL;

    if (strncmp(welcome->config->sql_conn_string, "sqlite", 6) != 0)
        return false;
    bool is_there = database_get_entry_by_id(welcome->database, "Jurisdictions", "CHE",
                                             weir_deadline_in(1000), &row, NULL, NULL) == WEIR_OK;
    free(row);
    return is_there;
}

/*
 * The token stands in one line, which is a link and sets a variable of the shell. The fragment of a link
 * stays in the browser: it is in no request and no log.
 */
static void print_token(const struct welcome *welcome, const char *address, const char *token)
{
    printf("JWT_SECRET is not set, so this start made its own. The link opens the console, with a "
           "token that works until the server ends;\nboth lines together, pasted into a shell, ask "
           "the "
           "API:\n\n  console=%s/#token=%s\n"
           "  curl -H \"Authorization: Bearer ${console#*=}\" %s/api/v1/tables%s\n\n",
           address, token, address, has_jurisdictions(welcome) ? "/Jurisdictions/CHE" : "");
}

void welcome_print(const struct welcome *welcome)
{
    const char *host = welcome->config->host;
    bool is_v6 = strchr(host, ':') != NULL;
    char address[128];
    char *token = NULL;

    snprintf(address, sizeof address, "http://%s%s%s:%d", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
             welcome->port);
    printf("weir %s listens on %s\n", weir_version(), address);
    if (welcome->own_secret != NULL &&
        auth_make_token(welcome->own_secret, welcome->config->jwt_audience, "local", "moderator",
                        time(NULL), TOKEN_TTL_S, &token, NULL) == WEIR_OK) {
        print_token(welcome, address, token);
        free(token);
    } else {
        printf("The console is at %s/ and asks for a token: `weir token --help`\n", address);
    }
    fflush(stdout);
}
