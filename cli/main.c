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

/* One that begins with a dash was meant as an option of the command itself, which are two. */
static int complain(const char *word)
{
    const char *names[COMMAND_COUNT + 3] = {"--version", "--help"};
    bool is_option = word[0] == '-';

    for (size_t i = 0; i < COMMAND_COUNT && !is_option; i++)
        names[i] = commands[i].name;
    const char *guess = nearest(word, names);
    fprintf(stderr, "weir: unknown %s %s", is_option ? "option" : "command", word);
    if (guess != NULL)
        fprintf(stderr, "; did you mean %s?", guess);
    fprintf(stderr, "\n`weir --help` lists %s.\n", is_option ? "what there is" : "them");
    return EXIT_USAGE;
}

static bool is_one_of(const char *word, const char *a, const char *b, const char *c)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0 || strcmp(word, c) == 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (is_one_of(argv[1], "--version", "-V", "version")) {
        printf("weir %s\n", weir_version());
        return EXIT_SUCCESS;
    }
    if (is_one_of(argv[1], "--help", "-h", "help")) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    return complain(argv[1]);
}
