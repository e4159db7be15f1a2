/* SPDX-License-Identifier: MIT */
/* NocoDB's filter clause, written so that it says what was meant and nothing else. */
#ifndef WEIR_SERVER_NOCODB_WHERE_H
#define WEIR_SERVER_NOCODB_WHERE_H

#include <stddef.h>

#include <weir/base.h>

/* Most conditions of one clause, and its size in bytes before percent-encoding. */
#define NOCODB_WHERE_CONDITIONS 32
#define NOCODB_WHERE_BYTES 8000

enum nocodb_op {
    NOCODB_LIKE, /* contains the text, which may have no backslash; % and _ in it stand for anything, as in SQL */
    NOCODB_TEXT,  /* equals the text exactly, which may be empty */
    NOCODB_EQ,    /* equals the value; true and false are a Checkbox's */
    NOCODB_BLANK, /* is null, or an empty text; PostgreSQL refuses it of a Checkbox and of links */
    NOCODB_UNSET, /* the same of a Checkbox, and of nothing else */
    NOCODB_LT,    /* is less than the number, or before the day */
    NOCODB_LE,
    NOCODB_GT,
    NOCODB_GE
};

/* One condition. Texts are UTF-8 and borrowed. */
struct nocodb_condition {
    const char *column;
    enum nocodb_op op;
    /* A number, `true` and `false` as JSON has them; a day as 2024-01-31; for NOCODB_TEXT and NOCODB_LIKE
     * a text as it stands; NULL where the operator takes none. */
    const char *value;
};

/* The grammars that NocoDB's APIs read: v1 and v2, and v3. */
enum nocodb_dialect { NOCODB_V2, NOCODB_V3 };

/*
 * Write conditions, all of which must hold, as the value of the query parameter `where`:
 * `(Name,like,%x%)~and(Year,eq,2020)`; "" when there are none.
 *
 * There are two grammars. The older one, which v1 and v2 read, knows no quotes: a comma, a parenthesis
 * or a ~ in a name or value could be taken for its own. The newer one, which v3 reads and v2 after a
 * leading @, wraps names and values in a quote that they do not contain; it has no escape. What the
 * older one can say is said in it; for the rest, and for v3, all names and texts are wrapped.
 *
 * The caller frees *ret_clause.
 *
 * Errors:  WEIR_INVALID names the column, and why it cannot be said: empty names and texts, control
 *          characters, the separators U+2028 and U+2029, what is no UTF-8; where quotes are needed,
 *          both kinds of them in one text, or a backslash at the end of a name; numbers that are none;
 *          too many or too long.
 *          WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status nocodb_where(const struct nocodb_condition *conditions, size_t count,
                                         enum nocodb_dialect dialect, char **ret_clause,
                                         weir_error *reterr);

/*
 * Read a condition from `column:value`, as it stands in a query, for one of these:
 *
 *   NOCODB_LIKE  a number, true or false to equal; any other text to be contained
 *   NOCODB_TEXT  true, false or a day to equal; any other text, a number's digits too, to be equal to
 *                the whole of it
 *   both         null is to be blank; what stands in JSON's quotes is a text and nothing else
 *   NOCODB_LT, NOCODB_LE, NOCODB_GT, NOCODB_GE  the value as it stands
 *
 * A column in JSON's quotes may contain a colon. *ret_condition points into *ret_memory, which the caller
 * frees.
 *
 * Errors: WEIR_INVALID, WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status nocodb_condition_parse(enum nocodb_op op, const char *text,
                                                   struct nocodb_condition *ret_condition,
                                                   char **ret_memory, weir_error *reterr);

#endif
