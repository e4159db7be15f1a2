/* SPDX-License-Identifier: MIT */
/* Parameters in SQL: everything that the lexer takes for something else is left alone. */
#include "db/params.h"

#include "common/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the servers take: a 16-bit count in PostgreSQL's protocol, SQLite's compiled-in limit. */
#define MOST_IN_POSTGRES 65535
#define MOST_IN_SQLITE 32766

/* A parameter in the text: `size` bytes at `offset` become placeholder `number`, behind a space when
 * it would otherwise run into what stands before it. */
struct place {
    size_t offset;
    size_t size;
    int number;
    bool needs_space;
};

/* The name of a placeholder, where it first stands. */
struct name {
    const char *at;
    size_t size;
};

struct scanner {
    const char *sql;
    const char *at;
    const char *end;
    enum sql_dialect dialect;
    int brackets; /* how deep in PostgreSQL's [ ] */

    struct place *places;
    size_t place_count;
    int highest; /* of `$n` */

    /* Names in order of their numbers; `buckets`, a power of two and at least twice as many, holds
     * 1 + index of each at the first free place from its hash on. */
    struct name *names;
    size_t name_count;
    uint32_t *buckets;
    size_t bucket_count;

    weir_error *reterr;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- what is found ----------------------------------------------------------------------- */

static weir_status no_memory(const struct scanner *s)
{
    return weir_error_set(s->reterr, WEIR_NO_MEMORY, "statement: out of memory");
}

/* Make room for one more of `size` bytes after `count`; grows when count is a power of two. */
static void *grow(void *array, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return array;
    return realloc(array, (count == 0 ? 1 : count * 2) * size);
}

static int most_parameters(const struct scanner *s)
{
    return s->dialect == DIALECT_POSTGRES ? MOST_IN_POSTGRES : MOST_IN_SQLITE;
}

static weir_status too_many(const struct scanner *s)
{
    return weir_error_set(s->reterr, WEIR_INVALID, "statement: more than %d parameters",
                          most_parameters(s));
}

/* `LIMIT:n` must not become LIMIT$1, which PostgreSQL reads as one name. */
static bool runs_into_text(const struct scanner *s)
{
    if (s->dialect != DIALECT_POSTGRES || s->at == s->sql || *s->at == '$')
        return false;
    return weir__is_name_char(s->at[-1]) || s->at[-1] == '$';
}

static weir_status add_place(struct scanner *s, size_t size, int number)
{
    if (s->name_count > 0 && s->highest > 0)
        return weir_error_set(
            s->reterr, WEIR_INVALID, "statement with both :%.*s and $%d: use one kind of parameter",
            s->names[0].size > 64 ? 64 : (int)s->names[0].size, s->names[0].at, s->highest);

    struct place *places = grow(s->places, s->place_count, sizeof *places);
    if (places == NULL)
        return no_memory(s);
    s->places = places;
    places[s->place_count++] =
        (struct place){(size_t)(s->at - s->sql), size, number, runs_into_text(s)};
    s->at += size;
    return WEIR_OK;
}

static weir_status add_positional(struct scanner *s)
{
    const char *end = s->at + 1;
    int number = 0;

    for (; is_digit(*end); end++) {
        number = number * 10 + (*end - '0');
        if (number > most_parameters(s))
            return too_many(s);
    }
    if (number == 0)
        return weir_error_set(s->reterr, WEIR_INVALID, "statement: parameters begin at $1, not $0");
    if (number > s->highest)
        s->highest = number;
    return add_place(s, (size_t)(end - s->at), number);
}

/* Names are short and come from the programmer. */
static size_t hash_name(const char *at, size_t size)
{
    uint64_t hash = FNV1A_START;

    for (size_t i = 0; i < size; i++)
        hash = fnv1a(hash, at[i]);
    return (size_t)hash;
}

/* The bucket that holds this name, or the free one where it belongs. */
static uint32_t *bucket_of(const struct scanner *s, const char *at, size_t size)
{
    for (size_t i = hash_name(at, size);; i++) {
        uint32_t *bucket = &s->buckets[i & (s->bucket_count - 1)];
        if (*bucket == 0)
            return bucket;
        const struct name *name = &s->names[*bucket - 1];
        if (name->size == size && memcmp(name->at, at, size) == 0)
            return bucket;
    }
}

static bool grow_buckets(struct scanner *s)
{
    size_t count = s->bucket_count == 0 ? 16 : s->bucket_count * 2;
    uint32_t *buckets = calloc(count, sizeof *buckets);
    if (buckets == NULL)
        return false;

    free(s->buckets);
    s->buckets = buckets;
    s->bucket_count = count;
    for (size_t i = 0; i < s->name_count; i++)
        *bucket_of(s, s->names[i].at, s->names[i].size) = (uint32_t)i + 1;
    return true;
}

static weir_status add_named(struct scanner *s)
{
    const char *at = s->at + 1;
    size_t size = 0;
    while (weir__is_name_char(at[size]))
        size++;

    if (s->name_count * 2 >= s->bucket_count && !grow_buckets(s))
        return no_memory(s);
    uint32_t *bucket = bucket_of(s, at, size);
    if (*bucket == 0) {
        if (s->name_count >= (size_t)most_parameters(s))
            return too_many(s);
        struct name *names = grow(s->names, s->name_count, sizeof *names);
        if (names == NULL)
            return no_memory(s);
        s->names = names;
        names[s->name_count++] = (struct name){at, size};
        *bucket = (uint32_t)s->name_count;
    }
    return add_place(s, size + 1, (int)*bucket);
}

/* Whether this colon is the one of a slice, `a[1:n]`: inside brackets and right behind a value. */
static bool is_slice(const struct scanner *s)
{
    if (s->brackets == 0)
        return false;
    char before = s->at[-1];
    return weir__is_name_char(before) || before == ')' || before == ']' || before == '"' ||
           before == '\'';
}

static weir_status scan_colon(struct scanner *s)
{
    if (s->at[1] == ':' || s->at[1] == '=') {
        s->at += 2;
        return WEIR_OK;
    }
    if (weir__is_name_start(s->at[1]) && !is_slice(s))
        return add_named(s);
    s->at++;
    return WEIR_OK;
}

/* Pass one token; s->at is not at the end. */
static weir_status scan_token(struct scanner *s)
{
    struct token token = weir__token_at(s->at, s->end, s->dialect);
    char c = *s->at;

    if (token.kind == TOKEN_OTHER && c == ':')
        return scan_colon(s);
    if (token.kind == TOKEN_OTHER && c == '$' && is_digit(s->at[1]))
        return add_positional(s);
    if (token.kind == TOKEN_OTHER && c == '[')
        s->brackets++;
    else if (token.kind == TOKEN_OTHER && c == ']' && s->brackets > 0)
        s->brackets--;
    s->at += token.size;
    return WEIR_OK;
}

/* ---- the text in the dialect ------------------------------------------------------------- */

static size_t digits_of(int number)
{
    size_t digits = 1;

    for (; number >= 10; number /= 10)
        digits++;
    return digits;
}

static char *write_text(const struct scanner *s, char *to)
{
    const char *from = s->sql;

    for (size_t i = 0; i < s->place_count; i++) {
        const struct place *place = &s->places[i];
        size_t before = (size_t)(s->sql + place->offset - from);
        memcpy(to, from, before);
        to += before;
        if (place->needs_space)
            *to++ = ' ';
        to += sprintf(to, "%c%d", s->dialect == DIALECT_POSTGRES ? '$' : '?', place->number);
        from = s->sql + place->offset + place->size;
    }
    size_t rest = strlen(from) + 1;
    memcpy(to, from, rest);
    return to + rest;
}

/* One block: pointers to the names, the text, the names. */
static weir_status write_translation(const struct scanner *s, struct translation *ret)
{
    size_t pointers = s->name_count * sizeof(char *);
    size_t text_size = strlen(s->sql);
    size_t names_size = 0;
    for (size_t i = 0; i < s->place_count; i++)
        text_size +=
            1 + digits_of(s->places[i].number) + s->places[i].needs_space - s->places[i].size;
    for (size_t i = 0; i < s->name_count; i++)
        names_size += s->names[i].size + 1;

    char *storage = malloc(pointers + text_size + 1 + names_size);
    if (storage == NULL)
        return no_memory(s);
    const char **names = (const char **)storage;
    char *to = write_text(s, storage + pointers);
    for (size_t i = 0; i < s->name_count; i++) {
        names[i] = memcpy(to, s->names[i].at, s->names[i].size);
        to += s->names[i].size;
        *to++ = '\0';
    }
    *ret = (struct translation){
        .text = storage + pointers,
        .text_size = text_size,
        .param_count = s->name_count > 0 ? (int)s->name_count : s->highest,
        .names = s->name_count > 0 ? names : NULL,
        .storage = storage,
    };
    return WEIR_OK;
}

weir_status weir__translate(const char *sql, enum sql_dialect dialect, struct translation *ret,
                            weir_error *reterr)
{
    struct scanner s = {
        .sql = sql, .at = sql, .end = sql + strlen(sql), .dialect = dialect, .reterr = reterr};
    weir_status status = WEIR_OK;

    while (status == WEIR_OK && s.at < s.end)
        status = scan_token(&s);
    if (status == WEIR_OK)
        status = write_translation(&s, ret);
    free(s.places);
    free(s.names);
    free(s.buckets);
    return status;
}

void weir__translation_clear(struct translation *translation)
{
    free(translation->storage);
    *translation = (struct translation){0};
}
