/* SPDX-License-Identifier: MIT */
/* The reading of flags, and the guess at what was meant by an unknown one. */
#include "commands.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "server/text/text.h"

#define HELP_VALUE 1
#define VERSION_VALUE 2

const char *nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    unsigned least = 3; /* more than two edits is another word */

    for (; *names != NULL; names++) {
        unsigned distance = text_distance(word, *names);
        if (distance < least && distance < strlen(*names)) {
            least = distance;
            best = *names;
        }
    }
    return best;
}

static bool complain(const char *command, const char *what, const char *word, const char *guess)
{
    fprintf(stderr, "weir %s: %s %s", command, what, word);
    if (guess != NULL)
        fprintf(stderr, "; did you mean --%s?", guess);
    fprintf(stderr, "\n`weir %s --help` lists its options.\n", command);
    return false;
}

static bool complain_unknown(const char *command, const char *argument, const char *const *names)
{
    const char *all[MAX_FLAGS] = {"help", "version"};
    char word[64];
    size_t dashes = strspn(argument, "-");

    snprintf(word, sizeof word, "%.*s", (int)strcspn(argument + dashes, "="), argument + dashes);
    for (size_t i = 0; names[i] != NULL && i + 3 < MAX_FLAGS; i++)
        all[i + 2] = names[i];
    return complain(command, "unknown option", argument, nearest(word, all));
}

/* getopt's own table; those with a value of their own stand alone, the others take an argument. */
static void fill_options(const char *const *names, struct option options[MAX_FLAGS])
{
    size_t count = 0;

    for (; names[count] != NULL && count + 3 < MAX_FLAGS; count++)
        options[count] = (struct option){names[count], required_argument, NULL, 0};
    options[count++] = (struct option){"help", no_argument, NULL, HELP_VALUE};
    options[count++] = (struct option){"version", no_argument, NULL, VERSION_VALUE};
    options[count] = (struct option){NULL, 0, NULL, 0};
}

bool flags_read(int argc, char **argv, const char *const *names, struct flags *ret_flags)
{
    struct option options[MAX_FLAGS];
    int found, index = 0;

    *ret_flags = (struct flags){0};
    fill_options(names, options);
    optind = 0;
    /* A leading + stops at the first stray argument; the colon tells a missing value apart. */
    while ((found = getopt_long(argc, argv, "+:h", options, &index)) != -1) {
        if (found == HELP_VALUE || found == 'h')
            ret_flags->wants_help = true;
        else if (found == VERSION_VALUE)
            ret_flags->wants_version = true;
        else if (found == ':')
            return complain(argv[0], "no value for", argv[optind - 1], NULL);
        else if (found != 0)
            return complain_unknown(argv[0], argv[optind - 1], names);
        else if (ret_flags->count < MAX_FLAGS)
            ret_flags->list[ret_flags->count++] = (struct config_flag){names[index], optarg};
    }
    if (optind < argc)
        return complain(argv[0], "unexpected argument", argv[optind], NULL);
    return true;
}

bool flags_answer(const struct flags *flags, void (*print_help)(void))
{
    if (flags->wants_help)
        print_help();
    else if (flags->wants_version)
        printf("weir %s\n", weir_version());
    return flags->wants_help || flags->wants_version;
}

bool flags_take_switch(int *argc, char **argv, const char *word)
{
    int kept = 1;

    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], word) != 0)
            argv[kept++] = argv[i];
    }
    bool was_there = kept < *argc;
    *argc = kept;
    argv[kept] = NULL;
    return was_there;
}

const char *flags_get(const struct flags *flags, const char *name)
{
    for (size_t i = flags->count; i-- > 0;) {
        if (strcmp(flags->list[i].name, name) == 0)
            return flags->list[i].value;
    }
    return NULL;
}
