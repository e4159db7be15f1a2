/* SPDX-License-Identifier: MIT */
/* `weir serve`. */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/serve.h"

static void print_help(void)
{
    const char *flag;

    printf("Usage: weir serve [OPTION]...\n"
           "Run the backend until SIGTERM; a second signal ends it at once.\n\n"
           "Each option is also a variable, of the environment or of a file .env in the working\n"
           "directory. A flag wins over the environment, that over .env, that over the default.\n");
    for (size_t i = 0; (flag = config_option_flag(i)) != NULL; i++) {
        char *help = config_option_help(i);
        printf("\n  --%s VALUE    (%s)\n      %s\n", flag, config_option_variable(i),
               help != NULL ? help : "");
        free(help);
    }
}

int command_serve(int argc, char **argv)
{
    const char *names[MAX_FLAGS] = {0};
    struct flags flags;
    struct config config;
    weir_error error;

    for (size_t i = 0; config_option_flag(i) != NULL && i + 1 < MAX_FLAGS; i++)
        names[i] = config_option_flag(i);
    if (!flags_read(argc, argv, names, &flags))
        return EXIT_USAGE;
    if (flags_answer(&flags, print_help))
        return EXIT_SUCCESS;
    if (config_load(flags.list, flags.count, ".env", &config, &error) != WEIR_OK) {
        fprintf(stderr, "weir serve: %s\n", error.text);
        return EXIT_USAGE;
    }
    log_set_level((enum log_level)config.log_level);
    log_set_format((enum log_format)config.log_format);
    const struct config_source source = {flags.list, flags.count, ".env"};
    int status = serve_run(&config, &source);
    config_clear(&config);
    return status;
}
