/* SPDX-License-Identifier: MIT */
/* Bearer tokens: which are taken, and every way in which one is not. */
#include "auth.h"

#include "check.h"

#include <jwt.h>
#include <stdlib.h>

#define NOW 1700000000

static const char secret[] = "a secret of more than thirty-two bytes";

static enum auth_result check_header(const char *header, struct auth_claims *claims)
{
    memset(claims, 0, sizeof *claims);
    return auth_check(secret, header, NOW, claims);
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

    check(auth_make_token(secret, "anna", "moderator", NOW, 60, &token, NULL) == WEIR_OK);
    snprintf(header, sizeof header, "Bearer %s", token);
    check(check_header(header, &claims) == AUTH_OK);
    check_text(claims.sub, "anna");
    check_text(claims.role, "moderator");
    check(auth_check(secret, header, NOW + 59, &claims) == AUTH_OK);
    check(auth_check(secret, header, NOW + 60, &claims) == AUTH_INVALID);
    check(auth_check("another secret of thirty-two bytes", header, NOW, &claims) == AUTH_INVALID);
    free(token);
}

static void a_role_may_be_left_out(void)
{
    struct auth_claims claims;
    char header[1024], *token;

    check(auth_make_token(secret, "bert", NULL, NOW, 60, &token, NULL) == WEIR_OK);
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

    check(auth_make_token(secret, "anna", "moderator", NOW, 60, &token, NULL) == WEIR_OK);
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

static void tokens_for_nobody_are_not_made(void)
{
    char *token = NULL, longer[300];
    weir_error error;

    memset(longer, 'x', 257);
    longer[257] = '\0';
    check(auth_make_token(secret, "", NULL, NOW, 60, &token, &error) == WEIR_INVALID);
    check_text(error.text, "sub: must not be empty");
    check(auth_make_token(secret, longer, NULL, NOW, 60, &token, &error) == WEIR_INVALID);
    check(auth_make_token(secret, "a", "\xff", NOW, 60, &token, &error) == WEIR_INVALID);
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
    run(tokens_for_nobody_are_not_made);
    run(made_secrets_are_long_and_different);
    return check_done();
}
