/* SPDX-License-Identifier: MIT */
/* The prober's thread, and the snapshot it leaves behind. */
#include "health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lock.h"
#include "log/log.h"
#include "text/text.h"
#include "threads/background.h"

#define INTERVAL WEIR_SECOND
#define CHECK_LIMIT WEIR_SECOND
#define STALE_AFTER (5 * WEIR_SECOND)

/* What is known of one component. */
struct state {
    bool was_checked;
    bool is_fine;
    weir_time checked_at; /* when the last check ended, or the thread began */
    char reason[WEIR_ERROR_TEXT];
};

struct health {
    struct health_component components[HEALTH_MAX_COMPONENTS];
    size_t count;
    struct background *prober;

    /* Held for copying only, never during a check. Guards what follows. */
    struct weir__mutex lock;
    bool is_draining;
    struct state states[HEALTH_MAX_COMPONENTS];
};

static void log_change(const struct health_component *component, const struct state *before,
                       const struct state *after, const weir_error *error)
{
    if (before->was_checked && before->is_fine == after->is_fine)
        return;
    if (after->is_fine)
        log_write(LOG_LEVEL_INFO, "%s: ok", component->name);
    else
        log_write(LOG_LEVEL_WARNING, "%s: not ready: %s", component->name, error->text);
}

static void check_one(struct health *health, size_t i)
{
    const struct health_component *component = &health->components[i];
    weir_error error = {0};
    struct state after = {.was_checked = true};

    after.is_fine = component->check(component->arg, weir_now() + CHECK_LIMIT, &error) == WEIR_OK;
    after.checked_at = weir_now();
    snprintf(after.reason, sizeof after.reason, "%s",
             component->tell != NULL ? component->tell(&error) : error.text);

    weir__lock(&health->lock);
    struct state before = health->states[i];
    health->states[i] = after;
    weir__unlock(&health->lock);
    log_change(component, &before, &after, &error);
}

static void probe(struct background *prober, void *arg)
{
    struct health *health = arg;

    do {
        for (size_t i = 0; i < health->count; i++)
            check_one(health, i);
    } while (background_sleep(prober, weir_now() + INTERVAL));
}

static void clear(struct health *health)
{
    weir__mutex_clear(&health->lock);
    free(health);
}

weir_status health_start(const struct health_component *components, size_t count,
                         struct health **ret_health, weir_error *reterr)
{
    struct health *health = calloc(1, sizeof *health);

    if (health == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "start health checks: out of memory");
    health->count = count < HEALTH_MAX_COMPONENTS ? count : HEALTH_MAX_COMPONENTS;
    memcpy(health->components, components, health->count * sizeof *components);
    weir__mutex_init(&health->lock);
    for (size_t i = 0; i < health->count; i++)
        health->states[i].checked_at = weir_now();

    weir_status status =
        background_start("start health checks", probe, health, &health->prober, reterr);
    if (status != WEIR_OK) {
        clear(health);
        return status;
    }
    *ret_health = health;
    return WEIR_OK;
}

void health_set_draining(struct health *health)
{
    weir__lock(&health->lock);
    health->is_draining = true;
    weir__unlock(&health->lock);
}

/* Add one component's line; whether it is fine. */
static bool report_one(const struct health_component *component, const struct state *state,
                       weir_time now, struct text *out)
{
    if (now - state->checked_at > STALE_AFTER) {
        text_addf(out, "%s: no answer for %lld s\n", component->name,
                  (long long)((now - state->checked_at) / WEIR_SECOND));
        return false;
    }
    if (!state->was_checked) {
        text_addf(out, "%s: not checked yet\n", component->name);
        return false;
    }
    text_addf(out, "%s: %s\n", component->name, state->is_fine ? "ok" : state->reason);
    return state->is_fine;
}

char *health_report(struct health *health, bool *ret_is_ready)
{
    struct state states[HEALTH_MAX_COMPONENTS];
    struct text out = {0};

    weir__lock(&health->lock);
    memcpy(states, health->states, sizeof states);
    bool is_draining = health->is_draining;
    weir__unlock(&health->lock);

    bool is_ready = !is_draining;
    text_addf(&out, "server: %s\n", is_draining ? "draining" : "ok");
    for (size_t i = 0; i < health->count; i++)
        is_ready &= report_one(&health->components[i], &states[i], weir_now(), &out);
    *ret_is_ready = is_ready;
    return text_take(&out);
}

weir_status health_stop(struct health *health, weir_time deadline)
{
    if (health == NULL)
        return WEIR_OK;
    weir_status status = background_stop(health->prober, deadline);
    if (status == WEIR_OK)
        clear(health);
    return status;
}
