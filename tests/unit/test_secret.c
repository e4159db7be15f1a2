/* SPDX-License-Identifier: MIT */
/* A secret that is replaced while others use it: each sees one text or the other, whole, for as long as it holds it. */
#include "config/secret.h"

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

#define READERS 3
#define ROUNDS 2000

static const char one[] = "one secret of more than thirty-two bytes";
static const char other[] = "another, which is a few bytes longer than the one";

static atomic_bool is_over;
static atomic_uint strange;

static void *read_it(void *arg)
{
    while (!atomic_load(&is_over)) {
        struct secret_hold *hold = secret_take(arg);
        const char *text = secret_text(hold);

        if (strcmp(text, one) != 0 && strcmp(text, other) != 0)
            atomic_fetch_add(&strange, 1);
        secret_put(hold);
    }
    return NULL;
}

static void who_holds_a_text_keeps_it_when_another_comes(void)
{
    struct secret *secret = NULL;

    check(secret_open(one, &secret, NULL) == WEIR_OK);
    struct secret_hold *former = secret_take(secret);
    check(secret_replace(secret, other, NULL) == WEIR_OK);
    struct secret_hold *latter = secret_take(secret);
    check_text(secret_text(former), one);
    check_text(secret_text(latter), other);
    secret_put(former);
    secret_put(latter);
    secret_close(secret);
    secret_close(NULL);
}

static void threads_see_one_text_or_the_other_and_never_a_part(void)
{
    pthread_t threads[READERS];
    struct secret *secret = NULL;

    check(secret_open(one, &secret, NULL) == WEIR_OK);
    for (int i = 0; i < READERS; i++)
        check(pthread_create(&threads[i], NULL, read_it, secret) == 0);
    for (int i = 0; i < ROUNDS; i++)
        check(secret_replace(secret, i % 2 == 0 ? other : one, NULL) == WEIR_OK);
    atomic_store(&is_over, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    check_int(atomic_load(&strange), 0);
    secret_close(secret);
}

int main(void)
{
    run(who_holds_a_text_keeps_it_when_another_comes);
    run(threads_see_one_text_or_the_other_and_never_a_part);
    return check_done();
}
