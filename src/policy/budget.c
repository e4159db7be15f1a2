/* SPDX-License-Identifier: MIT */
/* The retry budget: a leaky bucket in slices, exact because it counts hundredths of a retry. */
#include <weir/budget.h>

#include "common/option.h"

/* Finagle puts 1000 in and takes 5000 out at 20 %; here it is 20 in and 100 out, which is whole for
 * every percentage. */
#define ONE_RETRY 100

#define NUMBER(field, low, high) OPTION_FIELD(weir_budget_options, OPTION_INT, field, low, high)

static const struct option_row rows[] = {
    NUMBER(percent, 0, 100),
    NUMBER(min_per_second, 0, 10000),
    NUMBER(window_s, 1, 60),
};

weir_status weir_budget_init(weir_budget *ret_budget, const weir_budget_options *options,
                             weir_error *reterr)
{
    static const weir_budget_options defaults = WEIR_BUDGET_OPTIONS_DEFAULT;
    const weir_budget_options *o = options == NULL ? &defaults : options;
    weir_status status = option_check_all(o, rows, COUNT_OF(rows), reterr);

    if (status == WEIR_OK)
        *ret_budget = (weir_budget){.options = *o};
    return status;
}

static int64_t *slice_at(weir_budget *budget, int64_t slice)
{
    return &budget->slices[slice % WEIR_BUDGET_SLICES];
}

/* Forget what is older than the window, and find the slice of this instant. */
static int64_t *advance(weir_budget *budget, weir_time now)
{
    int64_t slice = now / (budget->options.window_s * WEIR_SECOND / WEIR_BUDGET_SLICES);

    if (slice - budget->slice > WEIR_BUDGET_SLICES)
        budget->slice = slice - WEIR_BUDGET_SLICES;
    while (budget->slice < slice)
        *slice_at(budget, ++budget->slice) = 0;
    return slice_at(budget, budget->slice);
}

/* What can be spent: the sum of the window, on top of the floor. */
static int64_t balance(const weir_budget *budget)
{
    const weir_budget_options *o = &budget->options;
    int64_t sum = (int64_t)o->min_per_second * o->window_s * ONE_RETRY;

    for (int i = 0; i < WEIR_BUDGET_SLICES; i++)
        sum += budget->slices[i];
    return sum;
}

void weir_budget_deposit(weir_budget *budget, weir_time now)
{
    *advance(budget, now) += budget->options.percent;
}

bool weir_budget_withdraw(weir_budget *budget, bool timed_out, weir_time now)
{
    int64_t *slice = advance(budget, now);
    int64_t cost = timed_out && budget->options.timeouts_cost_double ? 2 * ONE_RETRY : ONE_RETRY;

    if (balance(budget) < cost)
        return false;
    *slice -= cost;
    return true;
}

int64_t weir_budget_balance(weir_budget *budget, weir_time now)
{
    advance(budget, now);
    int64_t spendable = balance(budget);
    return spendable < 0 ? 0 : spendable / ONE_RETRY;
}
