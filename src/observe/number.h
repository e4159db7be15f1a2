/* SPDX-License-Identifier: MIT */
/* Numbers as Prometheus' text writes them. */
#ifndef WEIR_OBSERVE_NUMBER_H
#define WEIR_OBSERVE_NUMBER_H

/* Room for any of them: a sign, 17 digits, a point, an exponent. */
#define NUMBER_ROOM 32

/* The shortest text that reads back as the same number, whatever the locale. */
void weir__number_write(double value, char number[NUMBER_ROOM]);

/* Copy what printf() wrote, with a point whatever the locale wrote there. */
void weir__number_clean(const char *from, char *to);

#endif
