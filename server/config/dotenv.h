/* SPDX-License-Identifier: MIT */
/* A `.env` file: names and values, one pair per line, errors with their position. */
#ifndef WEIR_SERVER_DOTENV_H
#define WEIR_SERVER_DOTENV_H

#include <stddef.h>

#include <weir/base.h>

/*
 * The grammar, a subset of what shells and docker read alike:
 *
 *   # a comment                     blank lines and comments are skipped
 *   NAME=value                      spaces around name, "=" and value are dropped
 *   export NAME=value               the word `export` may stand before it
 *   NAME=value # comment            a # after a space begins a comment
 *   NAME='as it stands $x \n'       nothing is special inside single quotes
 *   NAME="a \"b\"\n\\ \$"           \n \r \t \" \' \\ \$ inside double quotes, no others
 *   NAME=                           the empty value
 *
 * Quoted values may span lines. Names are [A-Za-z_][A-Za-z0-9_]*. $NAME is not expanded. A name
 * that comes twice has its last value. The file is UTF-8 (a byte order mark is skipped) without
 * NUL, at most 1 MiB; lines end with \n or \r\n.
 */
struct dotenv;

/*
 * Parse a file's text. The caller ends *ret_dotenv with dotenv_close().
 *
 * Errors: WEIR_INVALID with line and column (both from 1, column in bytes) and what was expected
 *         there, never with a value; WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status dotenv_parse(const char *text, size_t size, struct dotenv **ret_dotenv,
                                         weir_error *reterr);

/* The same from a file; one that does not exist is empty. Errors also: WEIR_SYSTEM. */
WEIR_MUST_CHECK weir_status dotenv_read(const char *path, struct dotenv **ret_dotenv,
                                        weir_error *reterr);

/* The value of a name, or NULL. Valid until dotenv_close(). */
const char *dotenv_get(const struct dotenv *dotenv, const char *name);

/* The pairs in the order of the file, for looking at all names; NULL beyond the last. */
const char *dotenv_name_at(const struct dotenv *dotenv, size_t index);
int dotenv_line_at(const struct dotenv *dotenv, size_t index);

/* Free it, overwriting the values, which may be secrets. NULL is fine. */
void dotenv_close(struct dotenv *dotenv);

#endif
