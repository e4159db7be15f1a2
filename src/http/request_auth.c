/* SPDX-License-Identifier: MIT */
/* Adds credentials and the idempotency key to a request. No error of this file quotes a value. */
#include "http/request_build.h"

#include "common/hex.h"
#include "http/text.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* ---- credentials ------------------------------------------------------------------------- */

/* Visible ASCII: b64token of RFC 6750 and a little more, but nothing that ends it. */
static weir_status check_token(const char *token, weir_error *reterr)
{
    size_t size = strnlen(token, FIELDS_SIZE_LIMIT + 1);

    if (size == 0)
        return weir_error_set(reterr, WEIR_INVALID, "bearer token: must not be empty");
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)token[i] <= ' ' || (unsigned char)token[i] >= 0x7F)
            return weir_error_set(reterr, WEIR_INVALID,
                                  "bearer token, position %zu: must be visible ASCII", i + 1);
    return WEIR_OK;
}

/* Add Authorization with a value that is overwritten and freed here; NULL: out of memory. */
static weir_status authorize(weir_http_request *request, char *value, weir_error *reterr)
{
    if (value == NULL)
        return weir__request_no_memory(reterr);

    weir_status status = weir__request_add_field(request, "Authorization", value, true, reterr);
    weir__free_secret(value, strlen(value));
    return status;
}

weir_status weir_http_request_bearer(weir_http_request *request, const char *token)
{
    static const char scheme[] = "Bearer ";
    weir_error error;
    weir_status status = check_token(token, &error);
    if (status != WEIR_OK)
        return weir__request_keep(request, status, &error);

    size_t size = strlen(token) + 1;
    char *value = malloc(sizeof scheme - 1 + size);
    if (value != NULL) {
        memcpy(value, scheme, sizeof scheme - 1);
        memcpy(value + sizeof scheme - 1, token, size);
    }
    return weir__request_keep(request, authorize(request, value, &error), &error);
}

/* RFC 7617 has no place for a colon in the user, nor for control characters in either. */
static weir_status check_user(const char *user, const char *password, weir_error *reterr)
{
    if (strnlen(user, FIELDS_SIZE_LIMIT) + strnlen(password, FIELDS_SIZE_LIMIT) >=
        FIELDS_SIZE_LIMIT)
        return weir_error_set(
            reterr, WEIR_LIMIT,
            "basic auth: user and password together must be shorter than %d bytes",
            FIELDS_SIZE_LIMIT);
    if (strchr(user, ':') != NULL)
        return weir_error_set(reterr, WEIR_INVALID,
                              "basic auth: the user must not contain a colon");
    for (size_t i = 0; user[i] != '\0'; i++)
        if (weir__is_control(user[i]))
            return weir_error_set(reterr, WEIR_INVALID,
                                  "basic auth, position %zu of the user: a control character",
                                  i + 1);
    for (size_t i = 0; password[i] != '\0'; i++)
        if (weir__is_control(password[i]))
            return weir_error_set(reterr, WEIR_INVALID,
                                  "basic auth, position %zu of the password: a control character",
                                  i + 1);
    return WEIR_OK;
}

/* "Basic " and the pair in base64, malloc'ed; NULL: out of memory. */
static char *encode_basic(const char *user, const char *password)
{
    static const char scheme[] = "Basic ";
    size_t size = strlen(user) + 1 + strlen(password);
    char *pair = malloc(size + 1);
    char *value = malloc(sizeof scheme + (size + 2) / 3 * 4);

    if (pair != NULL && value != NULL) {
        snprintf(pair, size + 1, "%s:%s", user, password);
        memcpy(value, scheme, sizeof scheme - 1);
        EVP_EncodeBlock((unsigned char *)value + sizeof scheme - 1, (const unsigned char *)pair,
                        (int)size);
        weir__free_secret(pair, size);
        return value;
    }
    free(pair);
    free(value);
    return NULL;
}

weir_status weir_http_request_basic_auth(weir_http_request *request, const char *user,
                                         const char *password)
{
    weir_error error;
    weir_status status = check_user(user, password, &error);

    if (status == WEIR_OK)
        status = authorize(request, encode_basic(user, password), &error);
    return weir__request_keep(request, status, &error);
}

/* ---- the key of a request ---------------------------------------------------------------- */

static weir_status draw_key(char ret_key[33], weir_error *reterr)
{
    unsigned char random[16];
    ssize_t got;

    do
        got = getrandom(random, sizeof random, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof random) {
        int native = errno;
        weir_error_set(reterr, WEIR_SYSTEM, "Idempotency-Key: getrandom() failed with errno %d",
                       native);
        reterr->native = native;
        return WEIR_SYSTEM;
    }
    *hex_write(ret_key, random, sizeof random) = '\0';
    return WEIR_OK;
}

weir_status weir_http_request_idempotency_key(weir_http_request *request, const char *key)
{
    weir_error error;
    char drawn[33];
    weir_status status = WEIR_OK;

    if (key == NULL)
        status = draw_key(drawn, &error);
    if (status == WEIR_OK)
        status = weir__request_add_field(request, "Idempotency-Key", key == NULL ? drawn : key,
                                         false, &error);
    return weir__request_keep(request, status, &error);
}
