/* SPDX-License-Identifier: MIT */
/* Tokens by libjwt: it checks the signature, we pin the algorithm and read the claims. */
#include "auth.h"

#include <errno.h>
#include <jansson.h>
#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "urltext.h"

static size_t count_characters(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

static bool is_fit_name(const char *name)
{
    return utf8_is_valid(name, strlen(name)) && count_characters(name) <= AUTH_NAME_MAX;
}

/* ---- Checking ----------------------------------------------------------------------------- */

/* Copy an optional text claim; false when it is there but is no text or too long. */
static bool read_text_claim(const json_t *claims, const char *name, char *out, size_t size)
{
    const json_t *claim = json_object_get(claims, name);

    out[0] = '\0';
    if (claim == NULL || json_is_null(claim))
        return true;
    if (!json_is_string(claim) || !is_fit_name(json_string_value(claim)))
        return false;
    snprintf(out, size, "%s", json_string_value(claim));
    return true;
}

/* RFC 7519: a NumericDate may have a fraction. False when the claim is there and is no number. */
static bool read_time_claim(const json_t *claims, const char *name, double fallback,
                            double *ret_time)
{
    const json_t *claim = json_object_get(claims, name);

    *ret_time = fallback;
    if (claim == NULL)
        return true;
    if (!json_is_number(claim))
        return false;
    *ret_time = json_number_value(claim);
    return true;
}

static bool read_claims(const json_t *claims, int64_t now, struct auth_claims *ret_claims)
{
    double expires, begins;

    if (!read_time_claim(claims, "exp", (double)INT64_MAX, &expires) ||
        !read_time_claim(claims, "nbf", 0, &begins))
        return false;
    if ((double)now >= expires || (double)now < begins)
        return false;
    return read_text_claim(claims, "sub", ret_claims->sub, sizeof ret_claims->sub) &&
           read_text_claim(claims, "role", ret_claims->role, sizeof ret_claims->role);
}

/* RFC 7515, 4.1.11: who does not understand an extension named in `crit` must refuse the token. */
static bool has_critical_extension(jwt_t *jwt)
{
    char *critical = jwt_get_headers_json(jwt, "crit");
    bool is_there = critical != NULL;

    free(critical);
    return is_there;
}

static bool check_token(const char *secret, const char *token, int64_t now,
                        struct auth_claims *ret_claims)
{
    jwt_t *jwt = NULL;
    bool is_valid = false;

    if (jwt_decode(&jwt, token, (const unsigned char *)secret, (int)strlen(secret)) != 0)
        return false;
    if (jwt_get_alg(jwt) == JWT_ALG_HS256 && !has_critical_extension(jwt)) {
        char *text = jwt_get_grants_json(jwt, NULL);
        json_t *claims = text != NULL ? json_loads(text, 0, NULL) : NULL;
        is_valid = json_is_object(claims) && read_claims(claims, now, ret_claims);
        json_decref(claims);
        free(text);
    }
    jwt_free(jwt);
    return is_valid;
}

enum auth_result auth_check(const char *secret, const char *authorization, int64_t now,
                            struct auth_claims *ret_claims)
{
    struct auth_claims claims;

    if (authorization == NULL || authorization[0] == '\0')
        return AUTH_MISSING;
    if (strncasecmp(authorization, "Bearer ", 7) != 0)
        return AUTH_MALFORMED;

    const char *token = authorization + 7;
    token += strspn(token, " ");
    if (*token == '\0' || strchr(token, ' ') != NULL)
        return AUTH_MALFORMED;
    if (!check_token(secret, token, now, &claims))
        return AUTH_INVALID;
    *ret_claims = claims;
    return AUTH_OK;
}

const char *auth_result_text(enum auth_result result)
{
    switch (result) {
    case AUTH_MISSING:
        return "Authorization header missing";
    case AUTH_MALFORMED:
        return "Invalid token format. Use 'Bearer <token>'.";
    case AUTH_INVALID:
        return "Invalid or expired token";
    case AUTH_OK:
        break;
    }
    return NULL;
}

/* ---- Making ------------------------------------------------------------------------------- */

static weir_status check_name(const char *what, const char *name, weir_error *reterr)
{
    if (name[0] == '\0')
        return weir_error_set(reterr, WEIR_INVALID, "%s: must not be empty", what);
    if (!is_fit_name(name))
        return weir_error_set(reterr, WEIR_INVALID, "%s: must be UTF-8, at most %d characters",
                              what, AUTH_NAME_MAX);
    return WEIR_OK;
}

static char *encode(const char *secret, const char *sub, const char *role, int64_t now, int64_t ttl)
{
    jwt_t *jwt = NULL;
    char *text = NULL;

    if (jwt_new(&jwt) != 0)
        return NULL;
    if (jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)secret, (int)strlen(secret)) == 0 &&
        jwt_add_grant(jwt, "sub", sub) == 0 &&
        (role == NULL || jwt_add_grant(jwt, "role", role) == 0) &&
        jwt_add_grant_int(jwt, "iat", (long)now) == 0 &&
        jwt_add_grant_int(jwt, "exp", (long)(now + ttl)) == 0)
        text = jwt_encode_str(jwt);
    jwt_free(jwt);
    return text;
}

weir_status auth_make_token(const char *secret, const char *sub, const char *role, int64_t now,
                            int64_t ttl, char **ret_token, weir_error *reterr)
{
    weir_status status = check_name("sub", sub, reterr);
    if (status == WEIR_OK && role != NULL)
        status = check_name("role", role, reterr);
    if (status != WEIR_OK)
        return status;

    char *token = encode(secret, sub, role, now, ttl);
    if (token == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "make token: out of memory");
    *ret_token = token;
    return WEIR_OK;
}

weir_status auth_make_secret(char **ret_secret, weir_error *reterr)
{
    unsigned char bytes[32];
    char *secret = malloc(2 * sizeof bytes + 1);

    if (secret == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "make secret: out of memory");
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        int code = errno;
        free(secret);
        weir_error_set(reterr, WEIR_SYSTEM, "make secret: no randomness: %s", strerror(code));
        if (reterr != NULL)
            reterr->native = code;
        return WEIR_SYSTEM;
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        sprintf(secret + 2 * i, "%02x", bytes[i]);
    explicit_bzero(bytes, sizeof bytes);
    *ret_secret = secret;
    return WEIR_OK;
}
