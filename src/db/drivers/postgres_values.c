/* SPDX-License-Identifier: MIT */
/* Values on their way to PostgreSQL as parameters, and back from its results. */
#include "base/double_text.h"
#include "common/hex.h"
#include "db/drivers/postgres.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest number in text, terminated. */
#define NUMBER_ROOM WEIR__DOUBLE_ROOM

/* Numbers come with a decimal point, whatever the program's locale says. */
static locale_t plain_locale;

static void make_plain_locale(void)
{
    plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t get_plain_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_plain_locale);
    return plain_locale;
}

/* ---- parameters ---------------------------------------------------------------------------- */

static bool is_textual(weir_type type)
{
    return type == WEIR_TEXT || type == WEIR_JSON || type == WEIR_TIMESTAMP;
}

/* How many bytes the value needs in text form; 0 for those that need none of their own. */
static size_t room_of(const weir_value *value)
{
    if (value->type == WEIR_INT || value->type == WEIR_DOUBLE)
        return NUMBER_ROOM;
    return is_textual(value->type) ? value->size + 1 : 0;
}

static void write_int(char *room, int64_t integer)
{
    char digits[NUMBER_ROOM];
    size_t count = 0;
    uint64_t rest = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;

    do
        digits[count++] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (integer < 0)
        *room++ = '-';
    while (count > 0)
        *room++ = digits[--count];
    *room = '\0';
}

static void write_double(char *room, double real)
{
    if (isnan(real)) {
        snprintf(room, NUMBER_ROOM, "NaN");
        return;
    }
    if (isinf(real)) {
        snprintf(room, NUMBER_ROOM, real < 0 ? "-Infinity" : "Infinity");
        return;
    }
    weir__double_write(real, room);
}

static weir_status refuse(const struct statement *statement, int index, weir_status status,
                          const char *why, weir_error *reterr)
{
    if (statement->names != NULL)
        return weir_error_set(reterr, status, "parameter :%s %s", statement->names[index], why);
    return weir_error_set(reterr, status, "parameter $%d %s", index + 1, why);
}

/* Refuse what the protocol or the server's text cannot hold, and add up the bytes to be written. */
static weir_status measure(const struct statement *statement, const weir_value *values,
                           size_t *ret_bytes, weir_error *reterr)
{
    size_t bytes = 0;

    for (int i = 0; i < statement->param_count; i++) {
        const weir_value *value = &values[i];
        if (!is_textual(value->type) && value->type != WEIR_BLOB) {
            bytes += room_of(value);
            continue;
        }
        if (value->size >= (size_t)1 << 30)
            return refuse(statement, i, WEIR_LIMIT, "is larger than the 1 GiB PostgreSQL accepts",
                          reterr);
        if (is_textual(value->type) && memchr(value->text, '\0', value->size) != NULL)
            return refuse(statement, i, WEIR_INVALID,
                          "contains a zero byte, which PostgreSQL's text cannot hold", reterr);
        bytes += room_of(value);
    }
    *ret_bytes = bytes;
    return WEIR_OK;
}

/* Point the arrays at the room inside, or at one allocation. Returns where the texts go; NULL when
 * there is no memory. */
static char *make_room(struct pg_params *params, size_t bytes)
{
    size_t count = (size_t)params->count;

    params->texts = params->inline_texts;
    params->lengths = params->inline_lengths;
    params->formats = params->inline_formats;
    if (count <= PG_INLINE_PARAMS && bytes <= PG_INLINE_BYTES)
        return params->inline_bytes;

    char *storage = malloc(count * (sizeof(char *) + 2 * sizeof(int)) + bytes);
    if (storage == NULL)
        return NULL;
    params->storage = storage;
    params->texts = (const char **)(void *)storage;
    params->lengths = (int *)(void *)(storage + count * sizeof(char *));
    params->formats = params->lengths + count;
    return (char *)(params->formats + count);
}

/* Its bit, or none beyond the 64th. */
static uint64_t bit_of(int index)
{
    return index < 64 ? (uint64_t)1 << index : 0;
}

/* Write parameter `index`; returns where the next text goes. */
static char *write_param(struct pg_params *params, int index, const weir_value *value, char *room)
{
    params->lengths[index] = 0;
    params->formats[index] = 0;
    params->texts[index] = room;
    switch (value->type) {
    case WEIR_NULL:
        params->texts[index] = NULL;
        break;
    case WEIR_BOOL:
        params->texts[index] = value->boolean ? "t" : "f";
        break;
    case WEIR_INT:
        write_int(room, value->integer);
        params->numbers |= bit_of(index);
        break;
    case WEIR_DOUBLE:
        write_double(room, value->real);
        params->numbers |= bit_of(index);
        break;
    case WEIR_BLOB:
        params->texts[index] = value->text;
        params->lengths[index] = (int)value->size;
        params->formats[index] = 1;
        params->blobs |= bit_of(index);
        params->has_late_blob |= index >= 64;
        break;
    case WEIR_TEXT:
    case WEIR_JSON:
    case WEIR_TIMESTAMP:
        memcpy(room, value->text, value->size);
        room[value->size] = '\0';
        break;
    }
    return room + room_of(value);
}

weir_status weir__pg_params_init(struct pg_params *params, const struct statement *statement,
                                 const weir_value *values, weir_error *reterr)
{
    size_t bytes = 0;

    params->count = statement->param_count;
    params->values = values;
    params->typing = PG_UNTYPED;
    params->declared = NULL;
    params->blobs = 0;
    params->numbers = 0;
    params->has_late_blob = false;
    params->storage = NULL;
    weir_status status = measure(statement, values, &bytes, reterr);
    if (status != WEIR_OK)
        return status;
    char *room = make_room(params, bytes);
    if (room == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY,
                              "out of memory for %d parameters of %zu bytes", params->count, bytes);
    for (int i = 0; i < params->count; i++)
        room = write_param(params, i, &values[i], room);
    return WEIR_OK;
}

void weir__pg_params_clear(struct pg_params *params)
{
    free(params->storage);
    params->storage = NULL;
}

/* ---- results ------------------------------------------------------------------------------- */

weir_type weir__pg_type(Oid oid)
{
    switch (oid) {
    case OID_BOOL:
        return WEIR_BOOL;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
        return WEIR_INT;
    case OID_FLOAT4:
    case OID_FLOAT8:
        return WEIR_DOUBLE;
    case OID_BYTEA:
        return WEIR_BLOB;
    case OID_JSON:
    case OID_JSONB:
        return WEIR_JSON;
    case OID_DATE:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        return WEIR_TIMESTAMP;
    default:
        return WEIR_TEXT;
    }
}

/* The server wrote it, so it is a number within 64 bits. */
static int64_t read_int(const char *text)
{
    bool is_negative = *text == '-';
    uint64_t number = 0;

    for (text += is_negative; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (uint64_t)(*text - '0');
    return (int64_t)(is_negative ? 0 - number : number);
}

/*
 * Most doubles are short: a whole number below 2^53 divided by a power of ten that is exact, too,
 * so one division gives the right double (Clinger 1990). False for all others.
 */
static bool read_short_double(const char *text, double *ret_real)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    bool is_negative = *text == '-';
    uint64_t whole = 0;
    int digits = 0;
    int places = 0;
    bool has_point = false;

    if (FLT_EVAL_METHOD != 0)
        return false; /* where doubles are computed more precisely, they would be rounded twice */
    for (text += is_negative; *text != '\0'; text++) {
        if (*text == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (*text < '0' || *text > '9' || ++digits > 15)
            return false;
        whole = whole * 10 + (uint64_t)(*text - '0');
        places += has_point;
    }
    double real = (double)whole / powers[places];
    *ret_real = is_negative ? -real : real;
    return digits > 0;
}

static double read_double(const char *text)
{
    double real;

    if (read_short_double(text, &real))
        return real;
    return strtod_l(text, NULL, get_plain_locale());
}

/* bytea as `\x0af3`, the server's default. False when a byte is none. */
static bool decode_hex(const char *text, size_t size, char *room)
{
    for (size_t i = 0; i + 1 < size; i += 2) {
        int high = hex_digit(text[i]);
        int low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        *room++ = (char)(high << 4 | low);
    }
    return true;
}

/* bytea in the older escape form (bytea_output = escape), which libpq can read. */
static weir_status read_escaped(weir_result *result, struct cell *cell, const char *text,
                                weir_error *reterr)
{
    size_t size = 0;
    unsigned char *bytes = PQunescapeBytea((const unsigned char *)text, &size);

    if (bytes == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory for a bytea value");
    weir_status status =
        weir__cell_set_text(result, cell, WEIR_BLOB, (const char *)bytes, size, reterr);
    PQfreemem(bytes);
    return status;
}

static weir_status read_blob(weir_result *result, struct cell *cell, const char *text, size_t size,
                             weir_error *reterr)
{
    char *room = NULL;

    if (size < 2 || text[0] != '\\' || text[1] != 'x')
        return read_escaped(result, cell, text, reterr);
    weir_status status = weir__cell_reserve(result, cell, WEIR_BLOB, (size - 2) / 2, &room, reterr);
    if (status == WEIR_OK && !decode_hex(text + 2, size - 2, room))
        return weir_error_set(reterr, WEIR_QUERY,
                              "the server sent a bytea value that is not valid hex");
    return status;
}

static weir_status read_timestamp(weir_result *result, struct cell *cell, const char *text,
                                  size_t size, weir_error *reterr)
{
    char room[WEIR_TIMESTAMP_ROOM];
    size_t written = weir__timestamp_normalise(text, size, room);

    if (written == 0)
        return weir__cell_set_text(result, cell, WEIR_TEXT, text, size, reterr);
    return weir__cell_set_text(result, cell, WEIR_TIMESTAMP, room, written, reterr);
}

static weir_status read_cell(weir_result *result, struct cell *cell, Oid oid, const char *text,
                             size_t size, weir_error *reterr)
{
    weir_type type = weir__pg_type(oid);

    switch (type) {
    case WEIR_BOOL:
        weir__cell_set_bool(cell, *text == 't');
        return WEIR_OK;
    case WEIR_INT:
        weir__cell_set_int(cell, read_int(text));
        return WEIR_OK;
    case WEIR_DOUBLE:
        weir__cell_set_double(cell, read_double(text));
        return WEIR_OK;
    case WEIR_BLOB:
        return read_blob(result, cell, text, size, reterr);
    case WEIR_TIMESTAMP:
        return read_timestamp(result, cell, text, size, reterr);
    default:
        return weir__cell_set_text(result, cell, type, text, size, reterr);
    }
}

weir_status weir__pg_read_row(weir_result *result, const PGresult *rows, int row,
                              struct cell *cells, weir_error *reterr)
{
    int count = PQnfields(rows);

    for (int i = 0; i < count; i++) {
        size_t size = (size_t)PQgetlength(rows, row, i);
        if (size == 0 && PQgetisnull(rows, row, i))
            continue;
        weir_status status =
            read_cell(result, &cells[i], PQftype(rows, i), PQgetvalue(rows, row, i), size, reterr);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}
