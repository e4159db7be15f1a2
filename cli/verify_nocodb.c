/* SPDX-License-Identifier: MIT */
/* The configured NocoDB: that there is one, that it takes the token, and that a row comes from below the base URL. */
#include "verify.h"

#include <stdio.h>
#include <string.h>

#include "server/services/nocodb_address.h"
#include "server/services/nocodb_page.h"
#include "server/services/nocodb_version.h"

#define LIMIT_MS 15000
#define BODY_LIMIT (4 << 20)
#define BASES 20 /* looked through at most for a table */
#define ID_TEXT 64

/* A NocoDB that is asked, and its last answer. */
struct talk {
    const char *token;
    struct nocodb_address address;
    weir_http *session;
    weir_http_response *response;
    struct verify_finding *finding;
    char version[NOCODB_VERSION_TEXT];
};

static weir_status open_talk(const struct verification *verification, struct talk *talk,
                             weir_error *reterr)
{
    const struct config *config = verification->config;
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    options.name = "weir-verify";
    options.ca_file = config->http_ca_file;
    options.proxy = config->http_proxy;
    options.no_proxy = config->http_no_proxy;
    options.retry.total = WEIR_RETRY_DISABLED; /* the first answer is wanted, as it comes */
    options.follow_redirects = false;          /* as in the backend, which follows none */
    weir_status status = nocodb_address_read(config->nocodb_base_url, &talk->address, reterr);
    if (status != WEIR_OK)
        return status;
    talk->token = config->nocodb_api_token;
    return verification->calls->open_http(&options, &talk->session, reterr);
}

static void close_talk(struct talk *talk)
{
    weir_http_response_close(talk->response);
    weir_http_close(talk->session);
    nocodb_address_clear(&talk->address);
}

/* Send a GET of the segments, up to the NULL, below a URL; false after a failure without an answer. */
static bool ask(struct talk *talk, const char *url, const char *const *segments)
{
    weir_http_request *request;
    weir_error error;

    weir_http_response_close(talk->response);
    talk->response = NULL;
    weir_status status = weir_http_request_open("GET", url, &request, &error);
    if (status == WEIR_OK) {
        for (; *segments != NULL; segments++)
            weir_http_request_segment(request, *segments);
        weir_http_request_query(request, "limit", "1");
        weir_http_request_max_body(request, BODY_LIMIT);
        if (talk->token != NULL)
            weir_http_request_secret(request, "xc-token", talk->token);
        status = weir_http_send(talk->session, request, weir_deadline_in(LIMIT_MS), &talk->response,
                                &error);
        weir_http_request_close(request);
    }
    if (status != WEIR_OK)
        verify_fail(talk->finding, "%s", error.text);
    return status == WEIR_OK;
}

/* The same, and true only for an answer of 200; what else it is, is told with what was asked for. */
static bool get(struct talk *talk, const char *url, const char *const *segments, const char *what)
{
    if (!ask(talk, url, segments))
        return false;
    int code = weir_http_response_status(talk->response);
    if (code == 200)
        return true;
    if (code == 401 || code == 403)
        verify_fail(talk->finding, "it answers %d: NOCODB_API_TOKEN is %s", code,
                    talk->token != NULL ? "refused" : "not set");
    else if (code >= 300 && code < 400)
        verify_fail(talk->finding,
                    "it answers %d, a redirect: set NOCODB_BASE_URL to where the API is", code);
    else
        verify_fail(talk->finding, "asked for %s, it answers %d", what, code);
    return false;
}

/* ---- there is one ------------------------------------------------------------------------ */

static bool is_nocodb(struct talk *talk)
{
    static const char *const path[] = {"api", "v1", "version", NULL};
    size_t size;

    if (!get(talk, talk->address.root, path, "its version"))
        return false;
    const char *body = weir_http_response_body(talk->response, &size);
    if (!nocodb_version_read(body, size, talk->version)) {
        verify_fail(talk->finding,
                    "the server there is not NocoDB: /api/v1/version is something else");
        return false;
    }
    if (nocodb_version_is_too_old(talk->version)) {
        verify_fail(talk->finding, "NocoDB %s is older than %s: %s", talk->version, NOCODB_OLDEST,
                    NOCODB_OLDEST_REASON);
        return false;
    }
    return true;
}

/* ---- a table ----------------------------------------------------------------------------- */

/* The text of a member, without its quotes; ids hold nothing that JSON escapes. */
static bool read_id(const char *object, size_t size, char id[ID_TEXT])
{
    size_t length;
    const char *value = json_text_member(object, size, "id", &length);

    if (value == NULL || length < 3 || value[0] != '"' || length - 2 >= ID_TEXT)
        return false;
    memcpy(id, value + 1, length - 2);
    id[length - 2] = '\0';
    return true;
}

/* The ids in the list just answered, `most` of them at most; -1 when it is none. */
static int read_ids(struct talk *talk, char ids[][ID_TEXT], int most)
{
    struct nocodb_page page;
    const char *object;
    weir_error error;
    size_t size;
    int count = 0;
    const char *body = weir_http_response_body(talk->response, &size);

    if (nocodb_page_read(body, size, &page, &error) != WEIR_OK) {
        verify_fail(talk->finding, "%s", error.text);
        return -1;
    }
    while (count < most && json_text_next(&page.rows, &object, &size))
        count += read_id(object, size, ids[count]);
    return count;
}

/* A table of the base; 1, 0 when it has none, -1 when it could not be asked. */
static int find_in(struct talk *talk, const char *base, char table[ID_TEXT])
{
    const char *const path[] = {"api", "v2", "meta", "bases", base, "tables", NULL};

    if (!get(talk, talk->address.root, path, "the tables of a base"))
        return -1;
    return read_ids(talk, (char(*)[ID_TEXT])table, 1);
}

/* The table of which a row is asked for: of the base in the URL, or of the first that has one. */
static bool find_table(struct talk *talk, char table[ID_TEXT])
{
    static const char *const path[] = {"api", "v2", "meta", "bases", NULL};
    char bases[BASES][ID_TEXT];
    int found = 0;

    if (!get(talk, talk->address.root, path, "its bases"))
        return false;
    int count = read_ids(talk, bases, BASES);
    if (count < 0)
        return false;
    if (talk->address.base_id != NULL)
        found = find_in(talk, talk->address.base_id, table);
    for (int i = 0; i < count && found == 0 && talk->address.base_id == NULL; i++)
        found = find_in(talk, bases[i], table);
    if (found == 0)
        verify_fail(talk->finding,
                    "it accepts the token, but there is no table to read a row from");
    return found > 0;
}

/* ---- a row ------------------------------------------------------------------------------- */

static bool read_row(struct talk *talk, const char *table, size_t *ret_count)
{
    bool has_records = talk->address.api == NOCODB_API_V2 || talk->address.api == NOCODB_API_V3;
    const char *const path[] = {table, has_records ? "records" : NULL, NULL};
    struct nocodb_page page;
    weir_error error;
    size_t size;

    if (!get(talk, talk->address.base_url, path, "a row"))
        return false;
    const char *body = weir_http_response_body(talk->response, &size);
    if (nocodb_page_read(body, size, &page, &error) != WEIR_OK) {
        verify_fail(talk->finding, "%s", error.text);
        return false;
    }
    *ret_count = page.row_count;
    return true;
}

static void check(struct talk *talk)
{
    weir_time begin_at = weir_now();
    char table[ID_TEXT];
    size_t count;

    if (is_nocodb(talk) && find_table(talk, table) && read_row(talk, table, &count))
        verify_pass(talk->finding,
                    "NocoDB %s accepts the token, and table %s %s; %.0f ms for all of it",
                    talk->version[0] != '\0' ? talk->version : "(of unknown version)", table,
                    count > 0 ? "gave a row" : "is empty",
                    (double)(weir_now() - begin_at) / (double)WEIR_MS);
}

void verify_nocodb(const struct verification *verification, const struct verify_database *database,
                   struct verify_finding *finding)
{
    struct talk talk = {.finding = finding};
    weir_error error;

    (void)database;
    if (verification->config->nocodb_base_url == NULL) {
        verify_skip(finding, "NOCODB_BASE_URL is not set");
        return;
    }
    if (open_talk(verification, &talk, &error) == WEIR_OK)
        check(&talk);
    else
        verify_fail(finding, "%s", error.text);
    close_talk(&talk);
}
