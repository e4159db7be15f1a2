/* SPDX-License-Identifier: MIT */
/* A secret that can be replaced while others use it. */
#include "secret.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/lock.h"

/* The secret while it is the current one, and whoever is between take and put, hold it. */
struct secret_hold {
    /* Counts up under the secret's lock, down anywhere; acquire-release, so that the last sees that
     * the others are done. */
    _Atomic unsigned holders;
    size_t size;
    char text[];
};

struct secret {
    struct weir__mutex lock;
    struct secret_hold *current_locked;
};

static struct secret_hold *make(const char *text)
{
    size_t size = strlen(text) + 1;
    struct secret_hold *hold = malloc(sizeof *hold + size);

    if (hold == NULL)
        return NULL;
    atomic_init(&hold->holders, 1);
    hold->size = size;
    memcpy(hold->text, text, size);
    return hold;
}

weir_status secret_open(const char *text, struct secret **ret_secret, weir_error *reterr)
{
    struct secret *secret = malloc(sizeof *secret);
    struct secret_hold *first = make(text);

    if (secret == NULL || first == NULL) {
        free(secret);
        free(first);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
    }
    weir__mutex_init(&secret->lock);
    secret->current_locked = first;
    *ret_secret = secret;
    return WEIR_OK;
}

void secret_close(struct secret *secret)
{
    if (secret == NULL)
        return;
    secret_put(secret->current_locked);
    weir__mutex_clear(&secret->lock);
    free(secret);
}

weir_status secret_replace(struct secret *secret, const char *text, weir_error *reterr)
{
    struct secret_hold *next = make(text);

    if (next == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
    weir__lock(&secret->lock);
    struct secret_hold *former = secret->current_locked;
    secret->current_locked = next;
    weir__unlock(&secret->lock);
    secret_put(former);
    return WEIR_OK;
}

struct secret_hold *secret_take(struct secret *secret)
{
    weir__lock(&secret->lock);
    struct secret_hold *hold = secret->current_locked;
    atomic_fetch_add_explicit(&hold->holders, 1, memory_order_relaxed);
    weir__unlock(&secret->lock);
    return hold;
}

const char *secret_text(const struct secret_hold *hold)
{
    return hold->text;
}

void secret_put(struct secret_hold *hold)
{
    if (atomic_fetch_sub_explicit(&hold->holders, 1, memory_order_acq_rel) != 1)
        return;
    explicit_bzero(hold->text, hold->size);
    free(hold);
}
