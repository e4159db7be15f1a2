/* SPDX-License-Identifier: MIT */
/* Numbers as Prometheus' text writes them. */
#ifndef WEIR_OBSERVE_NUMBER_H
#define WEIR_OBSERVE_NUMBER_H

#include "base/double_text.h"

#define NUMBER_ROOM WEIR__DOUBLE_ROOM

/* The shortest text that reads back as the same number, whatever the locale. */
void weir__number_write(double value, char number[NUMBER_ROOM]);

#endif
