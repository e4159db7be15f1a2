/* SPDX-License-Identifier: MIT */
/* What the connections of a pool are checked out for: the request, its trace, and the last statement of each. */
#include "loans.h"

#include <weir/db.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lock.h"
#include "common/utf8.h"

/* A connection is looked for at so many places, beginning at the one that its id says. */
#define PLACES 8

struct place {
    struct loan loan; /* its statement with values, as the program wrote it */
    bool has_ended;
};

struct loans {
    size_t mask; /* of the places, whose number is a power of two */
    struct weir__mutex lock;
    struct place *places; /* guarded by it; an id of 0: never used */
};

static _Thread_local const char *request_method;
static _Thread_local const char *request_pattern;

struct loans *loans_open(int connections)
{
    struct loans *loans = calloc(1, sizeof *loans);
    size_t count = PLACES;

    while (count < 2 * (size_t)connections)
        count *= 2;
    struct place *places = calloc(count, sizeof *places);
    if (loans == NULL || places == NULL) {
        free(loans);
        free(places);
        return NULL;
    }
    loans->mask = count - 1;
    loans->places = places;
    weir__mutex_init(&loans->lock);
    return loans;
}

void loans_close(struct loans *loans)
{
    if (loans == NULL)
        return;
    weir__mutex_clear(&loans->lock);
    free(loans->places);
    free(loans);
}

/* ---- Places ------------------------------------------------------------------------------- */

static struct place *find_locked(struct loans *loans, uint64_t connection_id)
    WEIR_REQUIRES(loans->lock)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &loans->places[(connection_id + i) & loans->mask];

        if (place->loan.connection_id == connection_id)
            return place;
    }
    return NULL;
}

/* Its own place, or else that of the oldest connection nearby, which most likely is closed; one that was
 * never used comes before all. */
static struct place *take_locked(struct loans *loans, uint64_t connection_id)
    WEIR_REQUIRES(loans->lock)
{
    struct place *oldest = &loans->places[connection_id & loans->mask];

    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &loans->places[(connection_id + i) & loans->mask];

        if (place->loan.connection_id == connection_id)
            return place;
        if (place->loan.connection_id < oldest->loan.connection_id)
            oldest = place;
    }
    return oldest;
}

/* Copy what fits, never a part of a character. */
static void copy_text(char *to, size_t size, const char *text)
{
    size_t length = strnlen(text, size);

    if (length == size)
        length = utf8_cut(text, size - 1);
    memcpy(to, text, length);
    to[length] = '\0';
}

/* ---- Lending ------------------------------------------------------------------------------ */

void loans_set_request(const char *method, const char *pattern)
{
    request_method = method;
    request_pattern = pattern;
}

void loans_begin(struct loans *loans, uint64_t connection_id)
{
    const weir_span *span = weir_trace_current();
    char route[LOAN_ROUTE_SIZE] = "";
    char trace_id[WEIR_TRACE_ID_SIZE] = "";

    if (request_pattern != NULL)
        snprintf(route, sizeof route, "%s %s", request_method, request_pattern);
    if (span != NULL && span->context.is_sampled)
        weir_trace_id_format(&span->context, trace_id);
    weir__lock(&loans->lock);
    struct place *place = take_locked(loans, connection_id);
    place->has_ended = false;
    place->loan.connection_id = connection_id;
    place->loan.statement[0] = '\0';
    memcpy(place->loan.route, route, sizeof route);
    memcpy(place->loan.trace_id, trace_id, sizeof trace_id);
    weir__unlock(&loans->lock);
}

void loans_set_statement(struct loans *loans, uint64_t connection_id, const char *sql)
{
    weir__lock(&loans->lock);
    struct place *place = find_locked(loans, connection_id);
    if (place != NULL)
        copy_text(place->loan.statement, sizeof place->loan.statement, sql);
    weir__unlock(&loans->lock);
}

void loans_end(struct loans *loans, uint64_t connection_id)
{
    weir__lock(&loans->lock);
    struct place *place = find_locked(loans, connection_id);
    if (place != NULL)
        place->has_ended = true;
    weir__unlock(&loans->lock);
}

bool loans_find(struct loans *loans, uint64_t connection_id, bool is_cancelling,
                struct loan *ret_loan)
{
    char raw[LOAN_STATEMENT_SIZE];
    bool is_known = false;

    weir__lock(&loans->lock);
    const struct place *place = find_locked(loans, connection_id);
    if (place != NULL && connection_id != 0 && (is_cancelling || !place->has_ended)) {
        *ret_loan = place->loan;
        is_known = true;
    }
    weir__unlock(&loans->lock);
    if (!is_known)
        return false;
    memcpy(raw, ret_loan->statement, sizeof raw);
    size_t size = weir_sql_without_values(raw, ret_loan->statement, sizeof ret_loan->statement);
    if (!utf8_is_valid(ret_loan->statement, size))
        ret_loan->statement[0] = '\0';
    return true;
}
