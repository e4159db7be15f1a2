/* SPDX-License-Identifier: MIT */
/* `weir token`: a bearer token for the backend. */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/api/auth.h"
#include "server/config/duration.h"

#define TEN_YEARS_MS ((int64_t)3653 * 86400000)

static const char *const names[] = {"sub", "role", "ttl", "jwt-secret", "jwt-audience", NULL};

static void print_help(void)
{
    printf("Usage: weir token --sub NAME [--role ROLE] [--ttl TIME]\n"
           "Print a bearer token signed with JWT_SECRET, from the environment or a file .env in\n"
           "the working directory.\n\n"
           "  --sub NAME      who the token is for; stored with what is done with it\n"
           "  --role ROLE     `moderator` may decide on suggestions\n"
           "  --ttl TIME      how long it is valid: 90s, 30m, 1h, 7d; at most 10 years [1h]\n"
           "  --jwt-secret S  the secret itself; other users of the machine can read flags\n"
           "  --jwt-audience TEXT  which server it is for, if JWT_AUDIENCE does not say so\n");
}

static int fail(const char *text)
{
    fprintf(stderr, "weir token: %s\n", text);
    return EXIT_USAGE;
}

/* Print the token. */
static int make(const struct config *config, const struct flags *flags, int64_t ttl_ms)
{
    char *token;
    weir_error error;

    if (auth_make_token(config->jwt_secret, config->jwt_audience, flags_get(flags, "sub"),
                        flags_get(flags, "role"), time(NULL), ttl_ms / 1000, &token,
                        &error) != WEIR_OK)
        return fail(error.text);
    bool is_written = printf("%s\n", token) > 0 && fflush(stdout) == 0;
    free(token);
    return is_written ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Of the configuration, those flags that were given. */
static size_t collect(const struct flags *flags, struct config_flag *ret_given)
{
    static const char *const shared[] = {"jwt-secret", "jwt-audience"};
    size_t count = 0;

    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        const char *value = flags_get(flags, shared[i]);

        if (value != NULL)
            ret_given[count++] = (struct config_flag){shared[i], value};
    }
    return count;
}

int command_token(int argc, char **argv)
{
    struct flags flags;
    struct config config;
    struct config_flag given[2];
    weir_error error;
    int64_t ttl_ms = 3600000;

    if (!flags_read(argc, argv, names, &flags))
        return EXIT_USAGE;
    if (flags_answer(&flags, print_help))
        return EXIT_SUCCESS;
    if (flags_get(&flags, "sub") == NULL)
        return fail("--sub NAME is missing: who is the token for?");
    const char *ttl = flags_get(&flags, "ttl");
    if (ttl != NULL && (!duration_parse(ttl, &ttl_ms) || ttl_ms < 1000 || ttl_ms > TEN_YEARS_MS))
        return fail("--ttl: must be a duration from 1s to 10 years, as in 90s, 30m, 1h, 7d");

    size_t count = collect(&flags, given);
    if (config_load(given, count, ".env", &config, &error) != WEIR_OK)
        return fail(error.text);
    int status = config.jwt_secret != NULL
                     ? make(&config, &flags, ttl_ms)
                     : fail("JWT_SECRET is not set: a token needs the secret of the backend; "
                            "`weir serve` without one prints a token of its own");
    config_clear(&config);
    return status;
}
