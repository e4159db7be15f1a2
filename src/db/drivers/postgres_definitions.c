/* SPDX-License-Identifier: MIT */
/* Who changes what names mean on PostgreSQL, and who has to know: ALTER, CREATE, DROP, search_path. */
#include "common/random.h"
#include "db/drivers/postgres.h"
#include "db/lexer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

/* ---- what the connections of a database share ---------------------------------------------- */

weir_status weir__pg_engine_new(struct db_config *config, weir_error *reterr)
{
    config->engine_state = calloc(1, sizeof(struct pg_engine));
    if (config->engine_state == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "open database: out of memory");
    return WEIR_OK;
}

void weir__pg_engine_close(struct db_config *config)
{
    free(config->engine_state);
    config->engine_state = NULL;
}

uint64_t weir__pg_random(void)
{
    uint64_t number = 0;

    /* Without random numbers a moment and an address tell connections apart well enough. */
    if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != (ssize_t)sizeof(number))
        number = weir__scatter((uint64_t)weir_now()) ^ (uintptr_t)&number;
    return number != 0 ? number : 1;
}

void weir__pg_renew_edition(struct pg_conn *conn, uint64_t edition)
{
    atomic_compare_exchange_strong_explicit(&weir__pg_engine(conn)->edition, &edition,
                                            weir__pg_random(), memory_order_relaxed,
                                            memory_order_relaxed);
}

uint64_t weir__pg_edition(const struct pg_conn *conn, bool is_named)
{
    if (!is_named && !conn->is_pooled)
        return 0;
    return atomic_load_explicit(&weir__pg_engine(conn)->edition, memory_order_relaxed);
}

const char *weir__pg_text(const struct statement *statement, uint64_t edition, char **ret_storage)
{
    static const char form[] = "%s /* %016llx */";
    size_t room = statement->text_size + sizeof(form) + 16;

    *ret_storage = NULL;
    if (edition == 0)
        return statement->text;
    *ret_storage = malloc(room);
    if (*ret_storage != NULL)
        snprintf(*ret_storage, room, form, statement->text, (unsigned long long)edition);
    return *ret_storage;
}

/* ---- what a text creates ------------------------------------------------------------------- */

static bool is_one_of(const struct token *token, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (weir__token_is_word(token, *words))
            return true;
    }
    return false;
}

static bool is_char(const struct token *token, char c)
{
    return token->kind == TOKEN_OTHER && *token->at == c;
}

/* The next token that is none of these words. */
static struct token skip_words(const char **at, const char *end, const char *const *words)
{
    struct token token;

    do
        token = weir__token_next(at, end, DIALECT_POSTGRES);
    while (is_one_of(&token, words));
    return token;
}

/* `pg_temp.`, from its first token. By its own name, pg_temp_3, the schema may be another session's. */
static bool is_in_own_schema(struct token token, const char *at, const char *end)
{
    static const char name[] = "pg_temp";
    bool is_name = token.kind == TOKEN_NAME && token.inside_size == sizeof(name) - 1 &&
                   memcmp(token.inside, name, sizeof(name) - 1) == 0;

    if (!is_name && !weir__token_is_word(&token, name))
        return false;
    token = weir__token_next(&at, end, DIALECT_POSTGRES);
    return is_char(&token, '.');
}

static const char *const temporary[] = {"temp", "temporary", NULL};

/* Behind CREATE: whether it is for this session only. In doubt it is for all. */
static bool creates_own(const char *at, const char *end)
{
    static const char *const before[] = {"or", "replace", "local", "global", NULL};
    static const char *const kinds[] = {"table",    "view",      "sequence",  "type", "domain",
                                        "function", "procedure", "aggregate", NULL};
    static const char *const between[] = {"if", "not", "exists", NULL};
    struct token token = skip_words(&at, end, before);

    if (is_one_of(&token, temporary))
        return true;
    if (!is_one_of(&token, kinds))
        return false;
    token = skip_words(&at, end, between);
    return is_in_own_schema(token, at, end);
}

/* The same behind INTO of a SELECT. TEMP may also be the name of the table, when one of these words or
 * no word follows; they are reserved (12 to 18). */
static bool stores_in_own(const char *at, const char *end)
{
    static const char *const before[] = {"local", "global", NULL};
    static const char *const behind[] = {"from",   "where",     "group",  "having", "window",
                                         "union",  "intersect", "except", "order",  "limit",
                                         "offset", "fetch",     "for",    NULL};
    struct token token = skip_words(&at, end, before);

    if (!is_one_of(&token, temporary))
        return is_in_own_schema(token, at, end);
    token = weir__token_next(&at, end, DIALECT_POSTGRES);
    return token.kind == TOKEN_NAME || (token.kind == TOKEN_WORD && !is_one_of(&token, behind));
}

/* Before version 15 a number could run into it: `SELECT 1INTO t`. */
static bool is_into(const struct token *token)
{
    return weir__token_is_word(token, "into") ||
           (token->kind == TOKEN_WORD && token->size > 4 && *token->at >= '0' &&
            *token->at <= '9' && strncasecmp(token->at + token->size - 4, "into", 4) == 0);
}

/* Whether INTO behind these two belongs to INSERT or MERGE, which begin a statement or a WITH query;
 * elsewhere these words can be names of columns. */
static bool is_into_of_rows(const struct token *before, const struct token *last)
{
    static const char *const commands[] = {"insert", "merge", NULL};

    return is_one_of(last, commands) &&
           (before->kind == TOKEN_END || is_char(before, ';') || is_char(before, '('));
}

unsigned weir__pg_creates(const char *sql)
{
    const char *at = sql;
    const char *end = sql + strlen(sql);
    struct token before = {.kind = TOKEN_END};
    struct token last = {.kind = TOKEN_END};
    unsigned changes = 0;

    for (;;) {
        struct token token = weir__token_next(&at, end, DIALECT_POSTGRES);
        if (token.kind == TOKEN_END)
            return changes;
        if (weir__token_is_word(&token, "create"))
            changes |= creates_own(at, end) ? PG_CHANGE_OWN : PG_CHANGE_ALL;
        else if (is_into(&token) && !is_into_of_rows(&before, &last))
            changes |= stores_in_own(at, end) ? PG_CHANGE_OWN : PG_CHANGE_ALL;
        before = last;
        last = token;
    }
}

/* ---- what a command changes ---------------------------------------------------------------- */

/* Settings and words that decide in which schema a name is looked up. */
static bool is_about_names(const char *text, size_t size)
{
    static const char *const words[] = {"search_path", "schema", "role", "authorization"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strlen(words[i]) == size && strncasecmp(words[i], text, size) == 0)
            return true;
    }
    return false;
}

/* SET and RESET of what decides where names are looked up. A SET of anything else, also of
 * `app.role`, is common in front of a transaction's statements and must cost them nothing. */
static bool sets_names(const char *sql, bool is_reset)
{
    const char *at = sql;
    const char *end = sql + strlen(sql);
    struct token last = {.kind = TOKEN_END};

    for (;;) {
        struct token token = weir__token_next(&at, end, DIALECT_POSTGRES);
        bool is_name = token.kind == TOKEN_NAME;

        if (token.kind == TOKEN_END)
            return false;
        if (is_about_names(is_name ? token.inside : token.at,
                           is_name ? token.inside_size : token.size) &&
            !is_char(&last, '.'))
            return true;
        if (is_reset && weir__token_is_word(&token, "all"))
            return true;
        last = token;
    }
}

/* Whether set_config() with these arguments sets such a thing, or nobody can see what. */
static bool arguments_set_names(const char *at, const char *end)
{
    struct token open = weir__token_next(&at, end, DIALECT_POSTGRES);
    struct token name = weir__token_next(&at, end, DIALECT_POSTGRES);
    struct token comma = weir__token_next(&at, end, DIALECT_POSTGRES);

    return !is_char(&open, '(') || name.kind != TOKEN_STRING || !is_char(&comma, ',') ||
           is_about_names(name.inside, name.inside_size);
}

/* The same by a function, or by an UPDATE of pg_settings. */
static bool calls_set_names(const char *sql)
{
    const char *at = sql;
    const char *end = sql + strlen(sql);

    for (;;) {
        struct token token = weir__token_next(&at, end, DIALECT_POSTGRES);
        if (token.kind == TOKEN_END)
            return false;
        if (weir__token_is_word(&token, "pg_settings"))
            return true;
        if (weir__token_is_word(&token, "set_config") && arguments_set_names(at, end))
            return true;
    }
}

static bool starts_with(const char *tag, const char *start)
{
    return strncmp(tag, start, strlen(start)) == 0;
}

/* What a tag tells alone. DO runs code that nobody can look into; functions and procedures do, too, but
 * are called too often to suspect each call: what they change is noticed after prepared_max_age_ms. */
static unsigned changes_by_tag(const char *tag)
{
    switch (tag[0]) {
    case 'A':
        return starts_with(tag, "ALTER ") ? PG_CHANGE_ALL : 0;
    case 'C':
        return strcmp(tag, "COMMIT PREPARED") == 0 ? PG_CHANGE_ALL : 0;
    case 'D':
        if (strcmp(tag, "DISCARD TEMP") == 0 || strcmp(tag, "DISCARD ALL") == 0)
            return PG_CHANGE_OWN;
        return starts_with(tag, "DROP ") || strcmp(tag, "DO") == 0 ? PG_CHANGE_ALL : 0;
    case 'G': /* names are not looked up in a schema that must not be used; nor after REVOKE */
        return starts_with(tag, "GRANT") ? PG_CHANGE_ALL : 0;
    case 'I':
        return starts_with(tag, "IMPORT ") ? PG_CHANGE_ALL : 0;
    case 'R':
        return starts_with(tag, "REVOKE") ? PG_CHANGE_ALL : 0;
    default:
        return 0;
    }
}

/* What the text tells, where the tag admits of it: CREATE TABLE … AS, CREATE MATERIALIZED VIEW and SELECT …
 * INTO are SELECT when they have stored rows (12 to 18), and EXPLAIN ANALYZE of them is EXPLAIN. */
static unsigned changes_by_text(const char *tag, const char *sql, unsigned created)
{
    switch (tag[0]) {
    case 'C':
        return starts_with(tag, "CREATE ") ? (created != 0 ? created : PG_CHANGE_ALL) : 0;
    case 'E':
        return strcmp(tag, "EXPLAIN") == 0 ? created : 0;
    case 'R':
        return strcmp(tag, "RESET") == 0 && sets_names(sql, true) ? PG_CHANGE_OWN : 0;
    case 'S':
        if (strcmp(tag, "SET") == 0)
            return sets_names(sql, false) ? PG_CHANGE_OWN : 0;
        return starts_with(tag, "SELECT") ? created : 0;
    default:
        return 0;
    }
}

/* Which statement of a script a tag belongs to nobody knows: what one of them creates is for all. */
static unsigned changes_of(const char *tag, const char *sql, struct pg_effects effects,
                           bool is_script)
{
    unsigned created = is_script && effects.creates != 0 ? PG_CHANGE_ALL : effects.creates;
    unsigned changes = changes_by_tag(tag) | changes_by_text(tag, sql, created);

    if (effects.touches_session && changes == 0 && calls_set_names(sql))
        changes = PG_CHANGE_OWN;
    return changes;
}

void weir__pg_note_change(struct pg_conn *conn, const char *tag, const char *sql,
                          struct pg_effects effects, bool is_script)
{
    conn->changes_now |= changes_of(tag, sql, effects, is_script);

    /* Also ROLLBACK TO a savepoint, which leaves the transaction open. */
    if (conn->changes_open != 0 && strcmp(tag, "ROLLBACK") == 0)
        conn->changes_now |= conn->changes_open;
    if (tag[0] == 'D' && starts_with(tag, "DEALLOCATE"))
        conn->saw_deallocate = true;
}

static void make_known(struct pg_conn *conn, unsigned changes)
{
    struct pg_engine *engine = weir__pg_engine(conn);

    if ((changes & PG_CHANGE_OWN) != 0)
        conn->own_definitions++;
    if ((changes & PG_CHANGE_ALL) == 0)
        return;

    /* A pooler that finds what is prepared by its text (PgBouncer since 1.21) prepares it on each of its
     * sessions when it is first used there: perhaps between two changes of which the second undoes the
     * first, so that no description differs. Texts from before a change are used no more after it. */
    if (conn->is_pooled)
        atomic_store_explicit(&engine->edition, weir__pg_random(), memory_order_relaxed);
    atomic_fetch_add_explicit(&engine->definitions, 1, memory_order_release);
}

void weir__pg_note_end(struct pg_conn *conn)
{
    if ((conn->changes_now | conn->changes_open) == 0)
        return;
    if (PQtransactionStatus(conn->pg) == PQTRANS_IDLE) {
        make_known(conn, conn->changes_now | conn->changes_open);
        conn->changes_open = 0;
    } else {
        make_known(conn, conn->changes_now);
        conn->changes_open |= conn->changes_now;
    }
    conn->changes_now = 0;
}

/* Nobody knows whether a transaction ended well that was open when its connection was lost. */
void weir__pg_note_close(struct pg_conn *conn)
{
    make_known(conn, conn->changes_now | conn->changes_open);
}
