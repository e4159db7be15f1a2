/* SPDX-License-Identifier: MIT */
/* Bearer tokens: JWT signed with HS256 and nothing else. */
#ifndef WEIR_SERVER_AUTH_H
#define WEIR_SERVER_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/base.h>

/* Longest `sub` and `role` of a token, in characters (`sub` is stored in a column of that width). */
#define AUTH_NAME_MAX 256

/* What a valid token says. "" where it says nothing. */
struct auth_claims {
    char sub[AUTH_NAME_MAX * 4 + 1];
    char role[AUTH_NAME_MAX * 4 + 1];
};

enum auth_result {
    AUTH_OK,
    AUTH_MISSING,   /* no Authorization header */
    AUTH_MALFORMED, /* not `Bearer <token>` */
    AUTH_INVALID,   /* not signed with HS256 and this secret, expired, not yet valid, or no JWT */
};

/*
 * Judge the value of an Authorization header (NULL when there is none) at `now`, seconds since
 * 1970.
 *
 * A token is three parts of base64url (RFC 7515: no padding, no other bytes, unused bits zero); header and
 * claims are one JSON object each, without a name twice and with nothing after it. `alg` must be HS256,
 * spelled so. `typ`, if it is there, is JWT or at+jwt, in any case, also with "application/" before it. A
 * `crit` header makes it invalid. With an `audience` (NULL: none), `aud` must be it, or a list that has it.
 * `exp` and `nbf` count when present, without leeway; a token without `exp` does not expire. *ret_claims
 * is written for AUTH_OK only. Why a token is invalid is told to nobody.
 * Source: RFC 7515, RFC 7519, RFC 8725 section 3, RFC 9068 section 2.1.
 * Threads: any.
 */
enum auth_result auth_check(const char *secret, const char *audience, const char *authorization,
                            int64_t now, struct auth_claims *ret_claims);

/* The sentence that goes with a result in a 401: NULL for AUTH_OK. */
const char *auth_result_text(enum auth_result result);

/*
 * Make a token that is valid from `now` for `ttl` seconds. `audience` and `role` may be NULL. The caller frees
 * *ret_token with free().
 *
 * Errors: WEIR_INVALID for an empty, too long or non-UTF-8 sub or role; WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status auth_make_token(const char *secret, const char *audience,
                                            const char *sub, const char *role, int64_t now,
                                            int64_t ttl, char **ret_token, weir_error *reterr);

/*
 * A secret nobody knows: 256 bits of the kernel's randomness in hexadecimal. The caller frees it.
 * Errors: WEIR_SYSTEM, WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status auth_make_secret(char **ret_secret, weir_error *reterr);

#endif
