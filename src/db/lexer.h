/* SPDX-License-Identifier: MIT */
/* SQL as tokens: just enough of both engines' lexers to tell words from strings, names and comments. */
#ifndef WEIR_DB_LEXER_H
#define WEIR_DB_LEXER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What the engines read differently: PostgreSQL writes parameters as $1, has E'' strings, dollar
 * quotes, nested comments and array slices; SQLite writes them as ?1, and has `names` and [names].
 */
enum sql_dialect { DIALECT_SQLITE, DIALECT_POSTGRES };

enum token_kind {
    TOKEN_END,    /* of the text; its size is 0 */
    TOKEN_BLANK,  /* white space, or one comment */
    TOKEN_WORD,   /* a keyword, a name or a number; in PostgreSQL `1e5x` is one, too */
    TOKEN_STRING, /* '…', E'…' with what continues it, $tag$…$tag$ */
    TOKEN_NAME,   /* "…", in SQLite also `…` and […] */
    TOKEN_OTHER, /* any other single byte: an operator, a bracket, a colon, a dollar; SQLite's `?12` */
};

struct token {
    enum token_kind kind;
    const char *at;
    size_t size;

    /* Of strings and names: what stands between the quotes, as it is written, doubled quotes and
     * escapes included. It reaches to the end of the text where the end quote is missing. */
    const char *inside;
    size_t inside_size;
};

/*
 * The token at `at`, which must be the start of one. Tokens of a text follow each other without a gap.
 *
 * `end` is the end of the text; nothing is read beyond it. Strings are read with
 * standard_conforming_strings on, which weir's sessions have.
 */
struct token weir__token_at(const char *at, const char *end, enum sql_dialect dialect);

/* The next one behind *at that is no blank; *at is moved behind it. */
struct token weir__token_next(const char **at, const char *end, enum sql_dialect dialect);

/* Whether it is this word, in any case. */
bool weir__token_is_word(const struct token *token, const char *word);

/* The same for parameters (db/params.c): a name in `:name` begins and goes on with these. */
bool weir__is_name_start(char c);
bool weir__is_name_char(char c);

#endif
