/* SPDX-License-Identifier: MIT */
/* Which statements leave a PostgreSQL session other than they found it. */
#include "db/drivers/postgres.h"

#include <string.h>
#include <strings.h>

/* How deep strings are read that stand in strings; one deeper is taken for a change of the session. */
#define DEEPEST 4

/* What is remembered of a text while its tokens pass. */
struct scan {
    struct token last;     /* the token before; of the kind TOKEN_END at the start of a statement */
    struct token last_but; /* and the one before that */
    bool has_update;
    bool has_settings; /* the view pg_settings: an UPDATE of it is a SET */
};

/* ---- leaves ------------------------------------------------------------------------------ */

/* Before version 15 a number could run into the word behind it: `SELECT 1INTO TEMP t`. */
static struct token without_number(struct token token)
{
    if (token.kind != TOKEN_WORD)
        return token;
    while (token.size > 0 && *token.at >= '0' && *token.at <= '9') {
        token.at++;
        token.size--;
    }
    return token;
}

/* What a word or a name in double quotes says; its size in *ret_size, 0 for other tokens. */
static const char *name_of(const struct token *token, size_t *ret_size)
{
    *ret_size = token->kind == TOKEN_NAME ? token->inside_size : 0;
    if (token->kind == TOKEN_WORD)
        *ret_size = token->size;
    return token->kind == TOKEN_NAME ? token->inside : token->at;
}

static bool is_named(const struct token *token, const char *name)
{
    size_t size;
    const char *at = name_of(token, &size);

    return size == strlen(name) && strncasecmp(at, name, size) == 0;
}

static bool is_one_of(const struct token *token, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (weir__token_is_word(token, *words))
            return true;
    }
    return false;
}

/* Functions that change the session, and functions that run a text, which may come as a parameter. */
static bool is_function_of_session(const struct token *token)
{
    static const char *const names[] = {"set_config",
                                        "set_limit", /* of pg_trgm: SET in other words */
                                        "pg_advisory_lock",
                                        "pg_advisory_lock_shared",
                                        "pg_try_advisory_lock",
                                        "pg_try_advisory_lock_shared",
                                        "query_to_xml",
                                        "query_to_xml_and_xmlschema",
                                        "ts_stat",
                                        "ts_rewrite",
                                        NULL};

    for (const char *const *name = names; *name != NULL; name++) {
        if (is_named(token, *name))
            return true;
    }
    return false;
}

/* pg_temp, and the same schema by its own name, pg_temp_3. */
static bool is_temporary_schema(const struct token *token)
{
    static const char start[] = "pg_temp";
    size_t size;
    const char *at = name_of(token, &size);

    return size >= sizeof start - 1 && strncasecmp(at, start, sizeof start - 1) == 0;
}

/* CREATE TEMP …, SELECT … INTO TEMP …; but INSERT INTO temp is about a table of that name. */
static bool is_temporary(const struct scan *scan, const struct token *token)
{
    static const char *const temporary[] = {"temp", "temporary", NULL};
    static const char *const before[] = {"create", "into", "local", "global", "replace", NULL};
    static const char *const stores[] = {"insert", "merge", NULL};

    if (!is_one_of(token, temporary) || !is_one_of(&scan->last, before))
        return false;
    return !(weir__token_is_word(&scan->last, "into") && is_one_of(&scan->last_but, stores));
}

/* U&"…" and U&'…', in which escapes may spell anything. */
static bool is_unicode_escaped(const struct scan *scan, const struct token *token)
{
    return (token->kind == TOKEN_NAME || token->kind == TOKEN_STRING) &&
           scan->last.kind == TOKEN_OTHER && *scan->last.at == '&' &&
           scan->last.at + 1 == token->at && weir__token_is_word(&scan->last_but, "u");
}

/* ---- texts that change the session ------------------------------------------------------- */

static bool token_touches(struct scan *scan, const struct token *token)
{
    scan->has_update |= weir__token_is_word(token, "update");
    scan->has_settings |= is_named(token, "pg_settings");
    if (scan->has_update && scan->has_settings)
        return true;
    if (is_function_of_session(token) || is_temporary_schema(token) || is_temporary(scan, token) ||
        is_unicode_escaped(scan, token))
        return true;
    if (weir__token_is_word(token, "hold") && weir__token_is_word(&scan->last, "with"))
        return true;
    /* DO runs code that nobody can look into. Its tag says so, too, but only if it succeeds. */
    return scan->last.kind == TOKEN_END && weir__token_is_word(token, "do");
}

/* A string may be a statement that a function runs, so it is read like one. */
static bool text_touches(const char *at, const char *end, int depth)
{
    struct scan scan = {.last = {.kind = TOKEN_END}};

    for (;;) {
        struct token token = without_number(weir__token_next(&at, end, DIALECT_POSTGRES));
        if (token.kind == TOKEN_END)
            return false;
        if (token_touches(&scan, &token))
            return true;
        if (token.kind == TOKEN_STRING && token.inside_size > 0) {
            const char *inside_end = token.inside + token.inside_size;
            if (depth == DEEPEST || text_touches(token.inside, inside_end, depth + 1))
                return true;
        }
        if (token.kind == TOKEN_OTHER && *token.at == ';')
            token.kind = TOKEN_END;
        scan.last_but = scan.last;
        scan.last = token;
    }
}

bool weir__pg_touches_session(const char *sql)
{
    return text_touches(sql, sql + strlen(sql), 0);
}

/* ---- commands ---------------------------------------------------------------------------- */

static bool starts_with(const char *tag, const char *start)
{
    return strncmp(tag, start, strlen(start)) == 0;
}

/* Tags of what may change the session by its nature. */
static bool tag_touches_session(const char *tag)
{
    switch (tag[0]) {
    case 'S':
        return strcmp(tag, "SET") == 0;
    case 'R':
        return strcmp(tag, "RESET") == 0;
    case 'L':
        return strcmp(tag, "LISTEN") == 0 || strcmp(tag, "LOAD") == 0;
    case 'P':
        return strcmp(tag, "PREPARE") == 0;
    case 'U':
        return strcmp(tag, "UNLISTEN") == 0;
    case 'D':
        return strcmp(tag, "DO") == 0 || starts_with(tag, "DEALLOCATE") ||
               starts_with(tag, "DISCARD");
    default:
        return false;
    }
}

void weir__pg_note_command(struct pg_conn *conn, const char *tag)
{
    conn->is_dirty |= tag_touches_session(tag);

    /* Someone else may have taken our prepared statements away; they are made anew when needed. */
    if (tag[0] == 'D' && (strcmp(tag, "DEALLOCATE ALL") == 0 || strcmp(tag, "DISCARD ALL") == 0))
        conn->epoch++;
}

/*
 * PostgreSQL answers COMMIT, END and PREPARE TRANSACTION in a failed transaction with success and the
 * tag ROLLBACK, in all versions (xact.c, EndTransactionBlock() and PrepareTransactionBlock()). COMMIT
 * PREPARED is about another transaction, and an error there.
 */
bool weir__pg_commits_failed(const struct pg_conn *conn, const char *sql)
{
    const char *end;
    struct token word;
    struct token next;

    if (PQtransactionStatus(conn->pg) != PQTRANS_INERROR)
        return false;
    end = sql + strlen(sql);
    do
        word = weir__token_next(&sql, end, DIALECT_POSTGRES);
    while (word.kind == TOKEN_OTHER && *word.at == ';');
    next = weir__token_next(&sql, end, DIALECT_POSTGRES);
    if (weir__token_is_word(&word, "commit"))
        return !weir__token_is_word(&next, "prepared");
    return weir__token_is_word(&word, "end") ||
           (weir__token_is_word(&word, "prepare") && weir__token_is_word(&next, "transaction"));
}

weir_status weir__pg_commit_failed(weir_error *reterr)
{
    weir_error_set(reterr, WEIR_QUERY,
                   "commit: a statement in the transaction failed: rolled back");
    if (reterr != NULL)
        memcpy(reterr->sqlstate, "25P02", sizeof reterr->sqlstate);
    return WEIR_QUERY;
}
