/* SPDX-License-Identifier: MIT */
/* Options of a policy and the whole numbers each of them may be. */
#ifndef WEIR_POLICY_RANGE_H
#define WEIR_POLICY_RANGE_H

#include <weir/base.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

struct range {
    const char *name;
    int value, low, high;
};

/* WEIR_INVALID for the first value out of its range, with the name, the value and the range. */
static inline weir_status weir__check_ranges(const struct range *ranges, size_t count,
                                             weir_error *reterr)
{
    for (size_t i = 0; i < count; i++)
        if (ranges[i].value < ranges[i].low || ranges[i].value > ranges[i].high)
            return weir_error_set(reterr, WEIR_INVALID, "%s %d: must be %d to %d", ranges[i].name,
                                  ranges[i].value, ranges[i].low, ranges[i].high);
    return WEIR_OK;
}

#endif
