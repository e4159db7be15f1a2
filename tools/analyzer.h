/* SPDX-License-Identifier: MIT */
/* Included by clang-tidy before every file: what its analyzer, which sees one file at a time, cannot know. */
#ifndef WEIR_TOOLS_ANALYZER_H
#define WEIR_TOOLS_ANALYZER_H

#include <weir/base.h>

/* It returns the status it is given, so what comes after `return weir_error_set(…)` is failure. */
#define weir_error_set(reterr, status, ...)                                                        \
    ((void)weir_error_set(reterr, status, __VA_ARGS__), (status))

#endif
