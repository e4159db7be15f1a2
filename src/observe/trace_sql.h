/* SPDX-License-Identifier: MIT */
/* The text of a statement without the values in it. */
#ifndef WEIR_OBSERVE_TRACE_SQL_H
#define WEIR_OBSERVE_TRACE_SQL_H

#include <stddef.h>

/*
 * Write what stands in `sql` except values: strings of every kind and numbers become "?", comments
 * vanish, and what separates words becomes one space. Names, quoted or not, and parameters stay. Stops
 * when `room` is used up, the terminating zero included; returns the length.
 */
size_t weir__sql_without_values(const char *sql, char *to, size_t room);

#endif
