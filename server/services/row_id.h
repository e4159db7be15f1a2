/* SPDX-License-Identifier: MIT */
/* An id as the API shows it, read back into the values that a database may have shown that way. */
#ifndef WEIR_SERVER_ROW_ID_H
#define WEIR_SERVER_ROW_ID_H

#include <stdbool.h>
#include <stddef.h>

/* A finite decimal number in the form of JSON; false for anything else. */
bool row_id_read_real(const char *id, double *ret_real);

/* The bytes of a base64 text with its padding, as JSON shows a blob, into `room`, which has room for
 * strlen(id) of them. False for what is no such text. */
bool row_id_read_blob(const char *id, char *room, size_t *ret_size);

/*
 * A time that JSON shows in ISO 8601 may be stored with a blank in place of the T, and with another
 * spelling of its zone. These are the most of them, and the room that each needs beside the id's own
 * bytes.
 */
#define ROW_ID_TIMES 15
#define ROW_ID_TIME_ROOM 8

/* Write spelling `number`, 0 to ROW_ID_TIMES - 1, of a time; the first is the id itself. False when
 * there is none of that number, which tells nothing about the others. */
bool row_id_spell_time(const char *id, unsigned number, char *room);

#endif
