/* SPDX-License-Identifier: MIT */
/* How many elements an array has. */
#ifndef WEIR_COMMON_COUNT_OF_H
#define WEIR_COMMON_COUNT_OF_H

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

#endif
