/* SPDX-License-Identifier: MIT */
/* The values, parameters and results of a database's statements (weir/db.h). */
#ifndef WEIR_RESULT_H
#define WEIR_RESULT_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- values ------------------------------------------------------------------------------ */

typedef enum weir_type {
    WEIR_NULL,
    WEIR_BOOL,
    WEIR_INT, /* 64-bit signed */
    WEIR_DOUBLE,
    WEIR_TEXT, /* UTF-8 if the database ensures that; also numbers that fit no other type (numeric) */
    WEIR_BLOB,
    WEIR_JSON,     /* the text of a JSON value */
    WEIR_TIMESTAMP /* ISO 8601 text: 2024-02-29, 2024-02-29T12:30:00.5, 2024-02-29T12:30:00+02:00 */
} weir_type;

/* Return the word for a type ("timestamp"). Static. */
WEIR_API const char *weir_type_name(weir_type type);

/* One value. `text` and `size` hold TEXT, BLOB, JSON and TIMESTAMP; in a result, the text types are also
 * NUL-terminated. */
typedef struct weir_value {
    weir_type type;
    bool boolean;
    int64_t integer;
    double real;
    const char *text;
    size_t size;
} weir_value;

/* Make a value. Text is borrowed, not copied: it must outlive the value. NULL text makes WEIR_NULL. */
WEIR_API weir_value weir_null(void);
WEIR_API weir_value weir_bool(bool boolean);
WEIR_API weir_value weir_int(int64_t integer);
WEIR_API weir_value weir_double(double real);
WEIR_API weir_value weir_text(const char *text);
WEIR_API weir_value weir_text_n(const char *text, size_t size);
WEIR_API weir_value weir_blob(const void *bytes, size_t size);
WEIR_API weir_value weir_json(const char *text);
WEIR_API weir_value weir_timestamp(const char *iso8601);

/*
 * One parameter of a statement. `name` is that of `:name` without the colon, or NULL for positional
 * parameters, which are $1, $2, … in order. A statement uses only one of the two kinds.
 */
typedef struct weir_param {
    const char *name;
    weir_value value;
} weir_param;

/* ---- results ----------------------------------------------------------------------------- */

/*
 * A result: columns, rows, and how many rows a write changed. Everything it returns is valid until
 * weir_result_close(). Out-of-range rows and columns give WEIR_NULL or NULL, never undefined
 * behaviour. Threads: any, until it is closed.
 */
typedef struct weir_result weir_result;

WEIR_API void weir_result_close(weir_result *result);
WEIR_API size_t weir_result_row_count(const weir_result *result);
WEIR_API size_t weir_result_column_count(const weir_result *result);
WEIR_API int64_t weir_result_changed(
    const weir_result *result); /* rows that INSERT, UPDATE or DELETE changed; else 0 */
WEIR_API const char *weir_result_column_name(const weir_result *result, size_t column);
/* Return the index of the first column with that name, or -1. */
WEIR_API int weir_result_column_index(const weir_result *result, const char *name);
WEIR_API weir_value weir_result_value(const weir_result *result, size_t row, size_t column);

/*
 * Write the result as JSON text: an array of objects, one per row, with the keys in column order; or one
 * row as an object. NULL, booleans, integers, doubles and JSON become the JSON values of their kind (NaN
 * and infinite doubles become null), blobs become base64 strings, and everything else becomes strings.
 * Doubles have the fewest digits that read back as the same number. The caller frees *ret_text with
 * free(); ret_size may be NULL.
 *
 * JSON is always UTF-8: a byte of the database's text that is not part of a valid character is written as
 * U+FFFD; see weir_result_is_utf8().
 *
 * Errors:  WEIR_NO_MEMORY; WEIR_NOT_FOUND for a row out of range.
 */
WEIR_API WEIR_MUST_CHECK weir_status weir_result_to_json(const weir_result *result, char **ret_text,
                                                         size_t *ret_size, weir_error *reterr);
WEIR_API WEIR_MUST_CHECK weir_status weir_result_row_to_json(const weir_result *result, size_t row,
                                                             char **ret_text, size_t *ret_size,
                                                             weir_error *reterr);

/*
 * Check whether all text in the result is UTF-8. If not, *ret_row and *ret_column (either may be NULL) give
 * the position of the first value that is not. SQLite, and PostgreSQL databases with the encoding
 * SQL_ASCII, store whatever bytes they are given, and weir_result_value() returns them unchanged. A
 * PostgreSQL database with any other encoding returns UTF-8, or its own error (22021, 22P05) if it cannot.
 */
WEIR_API bool weir_result_is_utf8(const weir_result *result, size_t *ret_row, size_t *ret_column);

#ifdef __cplusplus
}
#endif

#endif
