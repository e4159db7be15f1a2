/* SPDX-License-Identifier: MIT */
/* The history of the figures: ten minutes, in their order, as columns of one length. */
#include "check.h"

#include <jansson.h>
#include <stdlib.h>

#include "figures/figures_history.h"

static const char *const names[FIGURES_HISTORY_POOLS] = {"main", "the \"other\""};

static json_t *read_history(struct figures_history *history)
{
    char *text = figures_history_json(history);
    json_t *json = json_loads(text, 0, NULL);

    check(json != NULL);
    free(text);
    return json;
}

static json_int_t at(const json_t *column, size_t index)
{
    return json_integer_value(json_array_get(column, index));
}

static void it_is_columns_of_nothing_at_first(void)
{
    struct figures_history *history = figures_history_open(names);
    json_t *json = read_history(history);

    check_int(json_array_size(json_object_get(json, "at")), 0);
    check_int(json_array_size(json_object_get(json, "pools")), FIGURES_HISTORY_POOLS);
    check_text(json_string_value(
                   json_object_get(json_array_get(json_object_get(json, "pools"), 1), "name")),
               names[1]);
    json_decref(json);
    figures_history_close(history);
}

static void the_last_ten_minutes_are_kept_in_their_order(void)
{
    struct figures_history *history = figures_history_open(names);

    for (uint32_t i = 0; i < 1000; i++) {
        const struct figures_moment moment = {.at_ms = 1764000000000 + 1000 * (int64_t)i,
                                              .pools = {{i, 0, 2}, {3, 4294967295, 5}},
                                              .requests = i,
                                              .failed = 7,
                                              .p99_us = 8};
        figures_history_add(history, &moment);
    }
    json_t *json = read_history(history);
    const json_t *pools = json_object_get(json, "pools");
    const json_t *used = json_object_get(json_array_get(pools, 0), "used");
    check_int(json_array_size(used), FIGURES_HISTORY_MOMENTS);
    check_int(at(used, 0), 400);
    check_int(at(used, 599), 999);
    check_int(at(json_object_get(json, "at"), 599), 1764000999000);
    check_int(at(json_object_get(json_array_get(pools, 1), "idle"), 300), 4294967295);
    check_int(at(json_object_get(json_array_get(pools, 1), "waiters"), 300), 5);
    check_int(at(json_object_get(json, "requests"), 1), 401);
    check_int(json_array_size(json_object_get(json, "failed")), FIGURES_HISTORY_MOMENTS);
    check_int(at(json_object_get(json, "p99_us"), 599), 8);
    json_decref(json);
    figures_history_close(history);
}

int main(void)
{
    run(it_is_columns_of_nothing_at_first);
    run(the_last_ten_minutes_are_kept_in_their_order);
    return check_done();
}
