/* SPDX-License-Identifier: MIT */
/* Bearer tokens: which are taken, and every way in which one is not. */
#include "api/auth.h"

#include "check.h"

#include <jwt.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#define NOW 1700000000

static const char secret[] = "a secret of more than thirty-two bytes";

static enum auth_result check_header(const char *header, struct auth_claims *claims)
{
    memset(claims, 0, sizeof *claims);
    return auth_check(secret, NULL, header, NOW, claims);
}

/* Judge "Bearer <token>". */
static enum auth_result judge(const char *token)
{
    struct auth_claims claims;
    char header[8192];

    snprintf(header, sizeof header, "Bearer %s", token);
    return check_header(header, &claims);
}

/* A token with these grants (JSON) and optionally headers, signed as told. Freed by the caller. */
static char *make(const char *grants, const char *headers, jwt_alg_t algorithm, const char *key)
{
    jwt_t *jwt;
    char *token;

    check(jwt_new(&jwt) == 0);
    if (headers != NULL)
        check(jwt_add_headers_json(jwt, headers) == 0);
    check(jwt_add_grants_json(jwt, grants) == 0);
    check(jwt_set_alg(jwt, algorithm, (const unsigned char *)key,
                      key != NULL ? (int)strlen(key) : 0) == 0);
    token = jwt_encode_str(jwt);
    check(token != NULL);
    jwt_free(jwt);
    return token;
}

static enum auth_result judge_made(const char *grants, const char *headers, jwt_alg_t algorithm,
                                   const char *key)
{
    char *token = make(grants, headers, algorithm, key);
    enum auth_result result = judge(token);

    free(token);
    return result;
}

static void a_token_we_made_says_what_we_put_in(void)
{
    struct auth_claims claims;
    char header[1024], *token;

    check(auth_make_token(secret, NULL, "anna", "moderator", NOW, 60, &token, NULL) == WEIR_OK);
    snprintf(header, sizeof header, "Bearer %s", token);
    check(check_header(header, &claims) == AUTH_OK);
    check_text(claims.sub, "anna");
    check_text(claims.role, "moderator");
    check(auth_check(secret, NULL, header, NOW + 59, &claims) == AUTH_OK);
    check(auth_check(secret, NULL, header, NOW + 60, &claims) == AUTH_INVALID);
    check(auth_check("another secret of thirty-two bytes", NULL, header, NOW, &claims) ==
          AUTH_INVALID);
    free(token);
}

static void a_role_may_be_left_out(void)
{
    struct auth_claims claims;
    char header[1024], *token;

    check(auth_make_token(secret, NULL, "bert", NULL, NOW, 60, &token, NULL) == WEIR_OK);
    snprintf(header, sizeof header, "bearer  %s", token);
    check(check_header(header, &claims) == AUTH_OK);
    check_text(claims.role, "");
    free(token);
}

static void headers_that_are_no_bearer_token_are_told_apart(void)
{
    struct auth_claims claims;

    check(check_header(NULL, &claims) == AUTH_MISSING);
    check(check_header("", &claims) == AUTH_MISSING);
    check(check_header("Bearer", &claims) == AUTH_MALFORMED);
    check(check_header("Bearer ", &claims) == AUTH_MALFORMED);
    check(check_header("Basic abc", &claims) == AUTH_MALFORMED);
    check(check_header("Bearer a b", &claims) == AUTH_MALFORMED);
    check(check_header("abc", &claims) == AUTH_MALFORMED);
    check(check_header("Bearer abc", &claims) == AUTH_INVALID);
}

static void the_sentences_are_those_of_the_interface(void)
{
    check_text(auth_result_text(AUTH_MISSING), "Authorization header missing");
    check_text(auth_result_text(AUTH_MALFORMED), "Invalid token format. Use 'Bearer <token>'.");
    check_text(auth_result_text(AUTH_INVALID), "Invalid or expired token");
    check(auth_result_text(AUTH_OK) == NULL);
}

static void only_hs256_is_taken(void)
{
    check(judge_made("{\"sub\":\"a\"}", NULL, JWT_ALG_HS256, secret) == AUTH_OK);
    check(judge_made("{\"sub\":\"a\"}", NULL, JWT_ALG_HS384, secret) == AUTH_INVALID);
    check(judge_made("{\"sub\":\"a\"}", NULL, JWT_ALG_HS512, secret) == AUTH_INVALID);
    check(judge_made("{\"sub\":\"a\"}", NULL, JWT_ALG_NONE, NULL) == AUTH_INVALID);
}

static void unsigned_tokens_are_refused_however_they_are_written(void)
{
    /* {"alg":"none"}, {"alg":"None"} and {"alg":"RS256"} over {"sub":"a"}, without a signature. */
    check(judge("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.") == AUTH_INVALID);
    check(judge("eyJhbGciOiJOb25lIn0.eyJzdWIiOiJhIn0.") == AUTH_INVALID);
    check(judge("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.") == AUTH_INVALID);
    check(judge("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.AAAA") == AUTH_INVALID);
    check(judge("eyJzdWIiOiJhIn0.eyJzdWIiOiJhIn0.AAAA") == AUTH_INVALID);
}

static void a_changed_token_is_refused_at_every_byte(void)
{
    char *token;

    check(auth_make_token(secret, NULL, "anna", "moderator", NOW, 60, &token, NULL) == WEIR_OK);
    size_t length = strlen(token);
    for (size_t i = 0; i < length; i++) {
        char kept = token[i];
        token[i] = kept == 'A' ? 'B' : 'A';
        /* The last base64 character holds four bits of the signature and two of nothing. */
        check(judge(token) == AUTH_INVALID || i == length - 1);
        token[i] = kept;
    }
    for (size_t i = 0; i < length; i++) {
        char kept = token[i];
        token[i] = '\0';
        check(judge(token) != AUTH_OK);
        token[i] = kept;
    }
    free(token);
}

static void times_count_when_they_are_there(void)
{
    static const struct {
        const char *grants;
        enum auth_result result;
    } cases[] = {
        {"{}", AUTH_OK},
        {"{\"exp\":1700000001}", AUTH_OK},
        {"{\"exp\":1700000000}", AUTH_INVALID},
        {"{\"exp\":1699999999}", AUTH_INVALID},
        {"{\"exp\":1700000000.5}", AUTH_OK},
        {"{\"exp\":\"1800000000\"}", AUTH_INVALID},
        {"{\"exp\":null}", AUTH_INVALID},
        {"{\"exp\":-1}", AUTH_INVALID},
        {"{\"nbf\":1700000000}", AUTH_OK},
        {"{\"nbf\":1700000001}", AUTH_INVALID},
        {"{\"nbf\":true}", AUTH_INVALID},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum auth_result result = judge_made(cases[i].grants, NULL, JWT_ALG_HS256, secret);
        check_int(result, cases[i].result);
    }
}

static void names_are_texts_of_at_most_256_characters(void)
{
    char grants[2048], name[1024] = "";

    check(judge_made("{\"sub\":7}", NULL, JWT_ALG_HS256, secret) == AUTH_INVALID);
    check(judge_made("{\"role\":[\"moderator\"]}", NULL, JWT_ALG_HS256, secret) == AUTH_INVALID);
    check(judge_made("{\"sub\":null}", NULL, JWT_ALG_HS256, secret) == AUTH_OK);
    for (int i = 0; i < 256; i++)
        strcat(name, "é");
    snprintf(grants, sizeof grants, "{\"sub\":\"%s\"}", name);
    check(judge_made(grants, NULL, JWT_ALG_HS256, secret) == AUTH_OK);
    snprintf(grants, sizeof grants, "{\"sub\":\"%sx\"}", name);
    check(judge_made(grants, NULL, JWT_ALG_HS256, secret) == AUTH_INVALID);
}

static void critical_extensions_are_refused(void)
{
    check(judge_made("{}", "{\"kid\":\"1\"}", JWT_ALG_HS256, secret) == AUTH_OK);
    check(judge_made("{}", "{\"crit\":[\"b64\"]}", JWT_ALG_HS256, secret) == AUTH_INVALID);
    check(judge_made("{}", "{\"crit\":true}", JWT_ALG_HS256, secret) == AUTH_INVALID);
}

/* HMAC with the secret over `header` "." `claims`, which are base64url already; judged for `audience`. */
static enum auth_result judge_raw_for(const char *header, const char *claims, const char *audience)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char mac[33] = {0};
    struct auth_claims found;
    char text[2048];
    size_t size = (size_t)snprintf(text, sizeof text, "Bearer %s.%s", header, claims);

    check(HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)text + 7, size - 7, mac,
               NULL) != NULL);
    text[size++] = '.';
    for (size_t i = 0; i < 33; i += 3) {
        unsigned bits = (unsigned)mac[i] << 16 | (unsigned)mac[i + 1] << 8 | mac[i + 2];

        for (int shift = 18; shift >= 0; shift -= 6)
            text[size++] = digits[bits >> shift & 63];
    }
    text[size - 1] = '\0'; /* 43 digits are 32 bytes */
    return auth_check(secret, audience, text, NOW, &found);
}

static enum auth_result judge_raw(const char *header, const char *claims)
{
    return judge_raw_for(header, claims, NULL);
}

#define HS256 "eyJhbGciOiJIUzI1NiJ9" /* {"alg":"HS256"} */
#define SUB_A "eyJzdWIiOiJhIn0"      /* {"sub":"a"} */

static void the_algorithm_is_spelled_as_it_is(void)
{
    check(judge_raw(HS256, SUB_A) == AUTH_OK);
    check(judge_raw("eyJhbGciOiJoczI1NiJ9", SUB_A) == AUTH_INVALID);    /* hs256 */
    check(judge_raw("eyJhbGciOiJIczI1NiJ9", SUB_A) == AUTH_INVALID);    /* Hs256 */
    check(judge_raw("eyJhbGciOiJIUzI1NiAifQ", SUB_A) == AUTH_INVALID);  /* "HS256 " */
    check(judge_raw("eyJhbGciOlsiSFMyNTYiXX0", SUB_A) == AUTH_INVALID); /* ["HS256"] */
}

static void nothing_may_stand_beside_the_json(void)
{
    check(judge_raw(HS256, "eyJzdWIiOiJhIn0geA") == AUTH_INVALID);           /* {"sub":"a"} x */
    check(judge_raw(HS256, "eyJzdWIiOiJhIn17fQ") == AUTH_INVALID);           /* {"sub":"a"}{} */
    check(judge_raw("eyJhbGciOiJIUzI1NiJ9eA", SUB_A) == AUTH_INVALID);       /* {"alg":"HS256"}x */
    check(judge_raw(HS256, "eyJzdWIiOiJhIiwic3ViIjoiYiJ9") == AUTH_INVALID); /* sub twice */
    check(judge_raw(HS256, "W10") == AUTH_INVALID);                          /* [] */
    check(judge_raw(HS256, "") == AUTH_INVALID);
}

static void base64url_is_taken_in_one_spelling(void)
{
    check(judge_raw(HS256, "eyJzdWIiOiJhIn0=") == AUTH_INVALID); /* padding */
    check(judge_raw(HS256, "eyJzdWIiOiJhIn1") == AUTH_INVALID);  /* unused bits */
    check(judge_raw(HS256, "eyJzdWIi\nOiJhIn0") == AUTH_INVALID);
    check(judge_raw(HS256, "eyJzdWIi!OiJhIn0") == AUTH_INVALID);
    check(judge_raw("eyJhbGciOiJIUzI1NiJ9\t", SUB_A) == AUTH_INVALID);
    check(judge_raw(HS256, "eyJzdWIiOiJhIn0A") == AUTH_INVALID); /* one digit too many */
    check(judge_raw(HS256, "eyJzdWIiOiI_fj8ifQ") == AUTH_OK);    /* "?~?" has an underscore */
    check(judge_raw(HS256, "eyJzdWIiOiI/fj8ifQ") == AUTH_INVALID);
}

static void types_of_tokens_are_taken_by_name(void)
{
    check(judge_made("{}", "{\"typ\":\"JWT\"}", JWT_ALG_HS256, secret) == AUTH_OK);
    check(judge_raw("eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9", SUB_A) == AUTH_OK); /* at+jwt */
    check(judge_raw("eyJhbGciOiJIUzI1NiIsInR5cCI6ImFwcGxpY2F0aW9uL2F0K2p3dCJ9", SUB_A) == AUTH_OK);
    check(judge_raw("eyJhbGciOiJIUzI1NiIsInR5cCI6Imp3dCJ9", SUB_A) == AUTH_OK); /* jwt */
    check(judge_raw("eyJhbGciOiJIUzI1NiIsInR5cCI6ImRwb3Arand0In0", SUB_A) == AUTH_INVALID);
    check(judge_raw("eyJhbGciOiJIUzI1NiIsInR5cCI6MX0", SUB_A) == AUTH_INVALID); /* 1 */
}

static void the_audience_counts_when_there_is_one(void)
{
    static const char one[] = "eyJhdWQiOiJ3ZWlyIn0";             /* {"aud":"weir"} */
    static const char several[] = "eyJhdWQiOlsieCIsIndlaXIiXX0"; /* {"aud":["x","weir"]} */
    char *token = NULL;
    char header[1024];
    struct auth_claims claims;

    check(judge_raw_for(HS256, one, "weir") == AUTH_OK);
    check(judge_raw_for(HS256, several, "weir") == AUTH_OK);
    check(judge_raw_for(HS256, one, "Weir") == AUTH_INVALID);
    check(judge_raw_for(HS256, one, "wei") == AUTH_INVALID);
    check(judge_raw_for(HS256, several, "y") == AUTH_INVALID);
    check(judge_raw_for(HS256, SUB_A, "weir") == AUTH_INVALID);
    check(judge_raw_for(HS256, one, NULL) == AUTH_OK);
    check(auth_make_token(secret, "weir", "anna", NULL, NOW, 60, &token, NULL) == WEIR_OK);
    snprintf(header, sizeof header, "Bearer %s", token);
    check(auth_check(secret, "weir", header, NOW, &claims) == AUTH_OK);
    check(auth_check(secret, "other", header, NOW, &claims) == AUTH_INVALID);
    free(token);
}

static void tokens_for_nobody_are_not_made(void)
{
    char *token = NULL, longer[300];
    weir_error error;

    memset(longer, 'x', 257);
    longer[257] = '\0';
    check(auth_make_token(secret, NULL, "", NULL, NOW, 60, &token, &error) == WEIR_INVALID);
    check_text(error.text, "sub: must not be empty");
    check(auth_make_token(secret, NULL, longer, NULL, NOW, 60, &token, &error) == WEIR_INVALID);
    check(auth_make_token(secret, NULL, "a", "\xff", NOW, 60, &token, &error) == WEIR_INVALID);
    check_contains(error.text, "role: must be UTF-8");
    check(token == NULL);
}

static void made_secrets_are_long_and_different(void)
{
    char *a = NULL, *b = NULL;

    check(auth_make_secret(&a, NULL) == WEIR_OK);
    check(auth_make_secret(&b, NULL) == WEIR_OK);
    check_int(strlen(a), 64);
    check(strcmp(a, b) != 0);
    check_int(strspn(a, "0123456789abcdef"), 64);
    free(a);
    free(b);
}

int main(void)
{
    run(a_token_we_made_says_what_we_put_in);
    run(a_role_may_be_left_out);
    run(headers_that_are_no_bearer_token_are_told_apart);
    run(the_sentences_are_those_of_the_interface);
    run(only_hs256_is_taken);
    run(unsigned_tokens_are_refused_however_they_are_written);
    run(a_changed_token_is_refused_at_every_byte);
    run(times_count_when_they_are_there);
    run(names_are_texts_of_at_most_256_characters);
    run(critical_extensions_are_refused);
    run(the_algorithm_is_spelled_as_it_is);
    run(nothing_may_stand_beside_the_json);
    run(base64url_is_taken_in_one_spelling);
    run(types_of_tokens_are_taken_by_name);
    run(the_audience_counts_when_there_is_one);
    run(tokens_for_nobody_are_not_made);
    run(made_secrets_are_long_and_different);
    return check_done();
}
