/* SPDX-License-Identifier: MIT */
/* Tokens: read strictly and checked here, with the MAC of OpenSSL; made by libjwt. */
#include "auth.h"

#include <errno.h>
#include <jansson.h>
#include <jwt.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "common/hex.h"
#include "common/utf8.h"

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

/* A token by its parts, which point into it. */
struct parts {
    const char *header;
    size_t header_size;
    const char *claims;
    size_t claims_size;
    const char *signature;
    size_t signature_size;
};

static bool cut_parts(const char *token, struct parts *ret_parts)
{
    const char *first = strchr(token, '.');
    const char *second = first != NULL ? strchr(first + 1, '.') : NULL;

    if (second == NULL || strchr(second + 1, '.') != NULL)
        return false;
    *ret_parts = (struct parts){
        .header = token,
        .header_size = (size_t)(first - token),
        .claims = first + 1,
        .claims_size = (size_t)(second - first) - 1,
        .signature = second + 1,
        .signature_size = strlen(second + 1),
    };
    return true;
}

static int base64url_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

/*
 * RFC 7515, section 2: no padding, no line breaks, nothing else. `out` has room for 3/4 of the size. Bits
 * left over must be zero, so that one value has one spelling.
 */
static bool base64url_decode(const char *text, size_t size, unsigned char *out, size_t *ret_size)
{
    uint32_t bits = 0;
    int count = 0;

    *ret_size = 0;
    for (size_t i = 0; i < size; i++) {
        int value = base64url_value(text[i]);

        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        out[(*ret_size)++] = (unsigned char)(bits >> count);
        bits &= (1u << count) - 1;
    }
    return count < 6 && bits == 0;
}

/* The object that a part holds, and nothing after it; NULL for anything else. */
static json_t *read_part(const char *text, size_t size)
{
    unsigned char *bytes = malloc(size / 4 * 3 + 3);
    json_t *json = NULL;
    size_t length;

    if (bytes != NULL && base64url_decode(text, size, bytes, &length))
        json = json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL);
    free(bytes);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

/* RFC 7515, 4.1.9: a media type, with or without "application/". RFC 9068 has at+jwt for access tokens. */
static bool is_fit_type(const json_t *type)
{
    static const char prefix[] = "application/";
    const char *text = json_string_value(type);

    if (type == NULL)
        return true;
    if (text == NULL)
        return false;
    if (strncasecmp(text, prefix, sizeof prefix - 1) == 0)
        text += sizeof prefix - 1;
    return strcasecmp(text, "JWT") == 0 || strcasecmp(text, "at+jwt") == 0;
}

/* RFC 7515: `alg` is case-sensitive (4.1.1); who does not understand an extension named in `crit` must
 * refuse the token (4.1.11). */
static bool is_fit_header(const json_t *header)
{
    const char *algorithm = json_string_value(json_object_get(header, "alg"));

    return algorithm != NULL && strcmp(algorithm, "HS256") == 0 &&
           is_fit_type(json_object_get(header, "typ")) && json_object_get(header, "crit") == NULL;
}

static bool is_signed(const char *secret, const struct parts *parts)
{
    unsigned char expected[32];
    unsigned char given[36];
    unsigned expected_size = 0;
    size_t given_size;

    /* What is signed is the header, the point and the claims, as they stand in the token. */
    return parts->signature_size == 43 &&
           base64url_decode(parts->signature, parts->signature_size, given, &given_size) &&
           HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)parts->header,
                parts->header_size + 1 + parts->claims_size, expected, &expected_size) != NULL &&
           expected_size == given_size && CRYPTO_memcmp(expected, given, given_size) == 0;
}

/* RFC 7519, 4.1.3: one text, or a list of them. */
static bool is_meant_for(const json_t *audiences, const char *audience)
{
    size_t i;
    const json_t *each;

    if (json_is_string(audiences))
        return strcmp(json_string_value(audiences), audience) == 0;
    json_array_foreach(audiences, i, each)
    {
        if (json_is_string(each) && strcmp(json_string_value(each), audience) == 0)
            return true;
    }
    return false;
}

static bool check_token(const char *secret, const char *audience, const char *token, int64_t now,
                        struct auth_claims *ret_claims)
{
    struct parts parts;
    json_t *header = NULL;
    json_t *claims = NULL;
    bool is_valid = false;

    if (!cut_parts(token, &parts) || !is_signed(secret, &parts))
        return false;
    header = read_part(parts.header, parts.header_size);
    claims = read_part(parts.claims, parts.claims_size);
    if (header != NULL && claims != NULL && is_fit_header(header))
        is_valid = (audience == NULL || is_meant_for(json_object_get(claims, "aud"), audience)) &&
                   read_claims(claims, now, ret_claims);
    json_decref(header);
    json_decref(claims);
    return is_valid;
}

enum auth_result auth_check(const char *secret, const char *audience, const char *authorization,
                            int64_t now, struct auth_claims *ret_claims)
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
    if (!check_token(secret, audience, token, now, &claims))
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

static char *encode(const char *secret, const char *audience, const char *sub, const char *role,
                    int64_t now, int64_t ttl)
{
    jwt_t *jwt = NULL;
    char *text = NULL;

    if (jwt_new(&jwt) != 0)
        return NULL;
    if (jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)secret, (int)strlen(secret)) == 0 &&
        jwt_add_grant(jwt, "sub", sub) == 0 &&
        (role == NULL || jwt_add_grant(jwt, "role", role) == 0) &&
        (audience == NULL || jwt_add_grant(jwt, "aud", audience) == 0) &&
        jwt_add_grant_int(jwt, "iat", (long)now) == 0 &&
        jwt_add_grant_int(jwt, "exp", (long)(now + ttl)) == 0)
        text = jwt_encode_str(jwt);
    jwt_free(jwt);
    return text;
}

weir_status auth_make_token(const char *secret, const char *audience, const char *sub,
                            const char *role, int64_t now, int64_t ttl, char **ret_token,
                            weir_error *reterr)
{
    weir_status status = check_name("sub", sub, reterr);
    if (status == WEIR_OK && role != NULL)
        status = check_name("role", role, reterr);
    if (status != WEIR_OK)
        return status;

    char *token = encode(secret, audience, sub, role, now, ttl);
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
        weir_error_set(reterr, WEIR_SYSTEM, "make secret: cannot get random bytes: %s",
                       strerror(code));
        if (reterr != NULL)
            reterr->native = code;
        return WEIR_SYSTEM;
    }
    *hex_write(secret, bytes, sizeof bytes) = '\0';
    explicit_bzero(bytes, sizeof bytes);
    *ret_secret = secret;
    return WEIR_OK;
}
