/* SPDX-License-Identifier: MIT */
/* The `weir` command: find the command meant and run it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/base.h>

#include "commands.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"bench", command_bench, "measure what pooling saves on a database"},
    {"serve", command_serve, "run the backend"},
    {"token", command_token, "print a bearer token for it"},
    {"top", command_top, "show its pools live in the terminal"},
    {"verify", command_verify, "check that pooling works on the configured databases"},
};

#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static void print_help(FILE *out)
{
    fprintf(out, "Usage: weir COMMAND [OPTION]...\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n`weir COMMAND --help` lists a command's options; `weir --version` prints the "
                 "version.\n");
}

static int complain(const char *word)
{
    const char *names[COMMAND_COUNT + 1] = {0};

    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    const char *guess = nearest(word, names);
    fprintf(stderr, "weir: unknown command %s", word);
    if (guess != NULL)
        fprintf(stderr, "; did you mean %s?", guess);
    fprintf(stderr, "\n`weir --help` lists them.\n");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("weir %s\n", weir_version());
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    return complain(argv[1]);
}
