/* SPDX-License-Identifier: MIT */
/* The commands of `weir`, and what they share. */
#ifndef WEIR_CLI_COMMANDS_H
#define WEIR_CLI_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/config/config.h"

/* Exit statuses: 0 all well, 1 it failed, 2 it was called wrongly. */
#define EXIT_USAGE 2

/* Run a command; argv[0] is its name. Return the exit status. */
int command_bench(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_token(int argc, char **argv);
int command_top(int argc, char **argv);
int command_verify(int argc, char **argv);

#define MAX_FLAGS 128

/* The flags of one command line, in its order. `--help` and `--version` count apart. */
struct flags {
    struct config_flag list[MAX_FLAGS];
    size_t count;
    bool wants_help;
    bool wants_version;
};

/*
 * Read `--name value` and `--name=value` for the names given (NULL-terminated). False, after saying
 * what is wrong on standard error, for an unknown flag, a missing value, or a stray argument.
 */
bool flags_read(int argc, char **argv, const char *const *names, struct flags *ret_flags);

/* Print the help or the version if the flags ask for one; whether they did, and all is done. */
bool flags_answer(const struct flags *flags, void (*print_help)(void));

/* Take a word that stands alone, like --json, out of the arguments before the others are read; whether it
 * was there. */
bool flags_take_switch(int *argc, char **argv, const char *word);

/* The last value of a flag, or NULL. */
const char *flags_get(const struct flags *flags, const char *name);

/* The name most like `word` among the names (NULL-terminated), or NULL when none is near. */
const char *nearest(const char *word, const char *const *names);

#endif
