/* SPDX-License-Identifier: MIT */
/* Which types PostgreSQL is told for parameters, where it would have to guess. */
#include "db/drivers/postgres.h"

#include <string.h>

static bool is_int4(int64_t integer)
{
    return integer >= INT32_MIN && integer <= INT32_MAX;
}

/* By the shape that db.h promises: a date alone, with a time, with a time and a zone. */
static Oid type_of_timestamp(const weir_value *value)
{
    const char *clock = memchr(value->text, 'T', value->size);

    if (clock == NULL)
        clock = memchr(value->text, ' ', value->size);
    if (clock == NULL)
        return OID_DATE;
    for (const char *at = clock; at < value->text + value->size; at++) {
        if (*at == '+' || *at == '-' || *at == 'Z' || *at == 'z')
            return OID_TIMESTAMPTZ;
    }
    return OID_TIMESTAMP;
}

/*
 * An integer is what the same digits would be in the text: int4 where they fit, so that functions of
 * an int take it (PostgreSQL makes an int8 of an int4 by itself, and never the other way round).
 */
static Oid type_of(const weir_value *value, enum pg_typing typing)
{
    if (value->type == WEIR_BLOB)
        return OID_BYTEA; /* bytes go as such, and must not be taken for anything else */
    if (typing == PG_UNTYPED)
        return 0;
    switch (value->type) {
    case WEIR_BOOL:
        return OID_BOOL;
    case WEIR_INT:
        return is_int4(value->integer) ? OID_INT4 : OID_INT8;
    case WEIR_DOUBLE:
        return OID_FLOAT8;
    case WEIR_JSON:
        return OID_JSONB;
    case WEIR_TIMESTAMP:
        return type_of_timestamp(value);
    case WEIR_TEXT:
    case WEIR_NULL:
    case WEIR_BLOB:
        break;
    }
    return typing == PG_TEXTUAL ? OID_TEXT : 0;
}

bool weir__pg_types_write(const struct pg_params *params, enum pg_typing typing, Oid *types)
{
    bool has_any = false;

    for (int i = 0; i < params->count; i++) {
        types[i] = type_of(&params->values[i], typing);
        has_any |= types[i] != 0;
    }
    return has_any;
}

bool weir__pg_types_fit(const struct pg_params *params, const Oid *types)
{
    for (int i = 0; i < params->count; i++) {
        const weir_value *value = &params->values[i];
        Oid wanted = type_of(value, PG_TYPED);
        bool fits = value->type == WEIR_NULL || wanted == types[i] ||
                    (wanted == OID_INT4 && types[i] == OID_INT8) ||
                    (value->type == WEIR_TEXT && types[i] == OID_TEXT);
        if (!fits)
            return false;
    }
    return true;
}
