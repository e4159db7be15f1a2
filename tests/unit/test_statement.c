/* SPDX-License-Identifier: MIT */
/* The statement cache: found by text, dropped by age, nothing forgotten twice. */
#include "check.h"
#include "db/statement.h"

#include <stdlib.h>

/* What "prepared" statements there are: each is one byte on the heap, freed by forget(). */
static int alive;

static void forget(void *arg, struct statement *statement)
{
    check(arg == &alive);
    free(statement->prepared);
    statement->prepared = NULL;
    alive--;
}

static void init(struct statement_cache *cache, size_t capacity)
{
    weir_error error = {0};

    alive = 0;
    check_int(weir__statement_cache_init(cache, DIALECT_SQLITE, capacity, forget, &alive, &error),
              WEIR_OK);
}

static void clear(struct statement_cache *cache)
{
    weir__statement_cache_clear(cache);
    check_int(alive, 0);
}

/* Use a statement as a connection does; returns its id. */
static uint64_t use(struct statement_cache *cache, const char *sql)
{
    struct statement *statement = NULL;
    weir_error error = {0};

    check_int(weir__statement_get(cache, sql, &statement, &error), WEIR_OK);
    uint64_t id = statement->id;
    if (statement->is_cached && statement->prepared == NULL) {
        statement->prepared = malloc(1);
        alive++;
    }
    check(weir__statement_cache_is_sane(cache));
    weir__statement_done(cache, statement);
    check(weir__statement_cache_is_sane(cache));
    return id;
}

static void the_same_text_is_the_same_statement(void)
{
    struct statement_cache cache;
    char copy[] = "SELECT :a";

    init(&cache, 4);
    uint64_t id = use(&cache, "SELECT :a");
    check_int(use(&cache, "SELECT :a"), id);
    check_int(use(&cache, copy), id);
    check(use(&cache, "SELECT :b") != id);
    check_int(cache.count, 2);
    clear(&cache);
}

static void a_buffer_with_new_text_is_another_statement(void)
{
    struct statement_cache cache;
    char buffer[32];

    init(&cache, 4);
    strcpy(buffer, "SELECT 1");
    uint64_t first = use(&cache, buffer);
    strcpy(buffer, "SELECT 2");
    uint64_t second = use(&cache, buffer);
    check(first != second);
    strcpy(buffer, "SELECT 1");
    check_int(use(&cache, buffer), first);
    clear(&cache);
}

static void the_longest_unused_makes_room(void)
{
    struct statement_cache cache;

    init(&cache, 3);
    uint64_t a = use(&cache, "a");
    uint64_t b = use(&cache, "b");
    uint64_t c = use(&cache, "c");
    check_int(use(&cache, "a"), a);
    use(&cache, "d"); /* b is the oldest now */
    check_int(cache.count, 3);
    check_int(alive, 3);
    check_int(use(&cache, "a"), a);
    check_int(use(&cache, "c"), c);
    check(use(&cache, "b") != b);
    clear(&cache);
}

static void a_capacity_of_nothing_keeps_nothing(void)
{
    struct statement_cache cache;

    init(&cache, 0);
    uint64_t id = use(&cache, "SELECT :a");
    check(use(&cache, "SELECT :a") != id);
    check_int(cache.count, 0);
    check_int(alive, 0);
    clear(&cache);
}

static void what_could_not_be_prepared_is_not_kept(void)
{
    struct statement_cache cache;
    struct statement *statement;
    weir_error error;

    init(&cache, 4);
    check_int(weir__statement_get(&cache, "SELEKT", &statement, &error), WEIR_OK);
    check(statement->is_cached);
    weir__statement_done(&cache, statement);
    check_int(cache.count, 0);
    check(weir__statement_cache_is_sane(&cache));
    clear(&cache);
}

static void very_long_texts_are_not_kept(void)
{
    struct statement_cache cache;
    char *sql = malloc(STATEMENT_LONGEST_CACHED + 2);
    if (sql == NULL)
        return;

    init(&cache, 4);
    memset(sql, ' ', STATEMENT_LONGEST_CACHED + 1);
    sql[STATEMENT_LONGEST_CACHED + 1] = '\0';
    use(&cache, sql);
    check_int(cache.count, 0);
    use(&cache, sql + 1);
    check_int(cache.count, 1);
    clear(&cache);
    free(sql);
}

static void broken_parameters_are_refused_each_time(void)
{
    struct statement_cache cache;
    struct statement *statement;
    weir_error error = {0};

    init(&cache, 4);
    for (int i = 0; i < 2; i++)
        check_int(weir__statement_get(&cache, "SELECT :a, $1", &statement, &error), WEIR_INVALID);
    check_int(cache.count, 0);
    clear(&cache);
}

/* Twenty texts through a cache of eight, in a fixed disorder, against a model that is an array. */
static void any_order_of_use_keeps_the_most_recent(void)
{
    struct statement_cache cache;
    int recent[8];
    size_t recent_count = 0;
    unsigned seed = 12345;

    init(&cache, 8);
    for (int round = 0; round < 5000; round++) {
        seed = seed * 1103515245u + 12345u;
        int pick = (int)(seed >> 16) % 20;
        char sql[32];
        snprintf(sql, sizeof sql, "SELECT %d, :p", pick);
        uint64_t before = cache.last_id;
        use(&cache, sql);

        size_t place = 0;
        while (place < recent_count && recent[place] != pick)
            place++;
        bool was_there = place < recent_count;
        check_int(cache.last_id == before, was_there);
        if (!was_there && recent_count < 8)
            recent_count++;
        if (place == 8)
            place = 7;
        memmove(recent + 1, recent, place * sizeof recent[0]);
        recent[0] = pick;
    }
    check_int(alive, 8);
    clear(&cache);
}

int main(void)
{
    run(the_same_text_is_the_same_statement);
    run(a_buffer_with_new_text_is_another_statement);
    run(the_longest_unused_makes_room);
    run(a_capacity_of_nothing_keeps_nothing);
    run(what_could_not_be_prepared_is_not_kept);
    run(very_long_texts_are_not_kept);
    run(broken_parameters_are_refused_each_time);
    run(any_order_of_use_keeps_the_most_recent);
    return check_done();
}
