/* SPDX-License-Identifier: MIT */
/* The NocoDB service without a NocoDB: what it refuses to begin, and what it does when its session goes. */
#include "services/nocodb_service.h"

#include "check.h"

#include <stdlib.h>

#include "managers/http_session_manager.h"
#include "log/log.h"
#include "services/nocodb_exchange.h"

/* Nobody listens there. */
static const char nowhere[] = "http://127.0.0.1:1/base//";

static struct nocodb_service *open_service(int rate_limit, int max_calls)
{
    const struct nocodb_options options = {nowhere, "geheim", rate_limit, max_calls};
    struct nocodb_service *service = NULL;
    weir_error error = {0};

    check(nocodb_service_open(&options, &service, &error) == WEIR_OK);
    check_text(error.text, "");
    return service;
}

static const char *refusal(const char *base_url, const char *api_token)
{
    const struct nocodb_options options = {base_url, api_token, 5, 1};
    struct nocodb_service *service = NULL;
    static weir_error error;

    check(nocodb_service_open(&options, &service, &error) == WEIR_INVALID);
    check(service == NULL);
    check(strstr(error.text, "geheim") == NULL);
    return error.text;
}

static void an_empty_base_url_is_refused(void)
{
    check_text(refusal(NULL, "geheim"), "NocoDB base URL not configured");
    check_text(refusal("", "geheim"), "NocoDB base URL not configured");
    check_text(refusal("//", "geheim"), "NocoDB base URL not configured");
}

static void a_url_or_token_that_cannot_be_used_is_refused_without_being_told(void)
{
    check_contains(refusal("nocodb", NULL), "NocoDB base URL: ");
    check_contains(refusal("file:///etc/passwd", NULL), "NocoDB base URL: ");
    check_contains(refusal("http://u:geheim@h/", NULL), "NocoDB base URL: ");
    check_contains(refusal("http://h/\r\n", NULL), "NocoDB base URL: ");
    check_contains(refusal("http://h/?geheim", NULL), "must end with its path");
    check_contains(refusal("http://h/#geheim", NULL), "must end with its path");
    check_contains(refusal("http://h/", "geheim\r\nx: y"), "NocoDB API token: ");
}

static const char *list_refusal(struct nocodb_service *service, const struct nocodb_query *query)
{
    static weir_error error;
    weir_time retry_after = 7;
    char *text = NULL;

    check(nocodb_list_rows(service, "t", query, weir_deadline_in(1000), &text, &retry_after,
                           &error) == WEIR_INVALID);
    check(text == NULL);
    check_int(retry_after, 0);
    return error.text;
}

static void queries_that_make_no_sense_are_refused_before_anything_is_sent(void)
{
    struct nocodb_service *service = open_service(1, 1);
    const struct nocodb_query fine = NOCODB_QUERY_DEFAULT;
    struct nocodb_query query = fine;

    query.page_size = 0;
    check_text(list_refusal(service, &query), "page_size 0: must be 1 to 1000");
    query.page_size = 1001;
    check_text(list_refusal(service, &query), "page_size 1001: must be 1 to 1000");
    query = fine;
    query.offset = -1;
    check_contains(list_refusal(service, &query), "must not be negative");
    query.offset = 0;
    query.limit = -2;
    check_contains(list_refusal(service, &query), "must not be negative");
    query = fine;
    query.paging = NOCODB_KEYSET;
    query.offset = 1;
    check_contains(list_refusal(service, &query), "offset: not possible with keyset paging");
    query.offset = 0;
    query.key = "";
    check_contains(list_refusal(service, &query), "cannot sort by a column of that name");
    const struct nocodb_sort sort = {"Year", true}, signed_sort = {"-Year", false};
    const char *const fields[] = {"Name", "a,b"};
    query.key = NULL;
    query.sorts = &sort;
    query.sort_count = 1;
    check_contains(list_refusal(service, &query), "sort: not possible with keyset paging");
    query.paging = NOCODB_OFFSET;
    query.sorts = &signed_sort;
    check_contains(list_refusal(service, &query), "sort: column \"-Year\" begins with a sign");
    query.sort_count = NOCODB_SORTS + 1;
    check_contains(list_refusal(service, &query), "sort: 9 columns: at most 8 are possible");
    query = fine;
    query.fields = fields;
    query.field_count = 2;
    check_contains(list_refusal(service, &query), "fields: column \"a,b\" holds a comma");
    query.field_count = NOCODB_FIELDS + 1;
    check_contains(list_refusal(service, &query), "fields: 65 columns: at most 64 are possible");
    nocodb_service_close(service);
}

static void ids_that_are_paths_of_nocodbs_own_are_refused_before_anything_is_sent(void)
{
    static const char *const words[] = {"count", "COUNT", "find-one", "groupby", "GroupBy"};
    struct nocodb_service *service = open_service(0, 1);
    weir_error error;
    char *text = NULL;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        check(nocodb_get_row(service, "t", words[i], NULL, 0, weir_deadline_in(1000), &text, NULL,
                             &error) == WEIR_INVALID);
        check_contains(error.text, "NocoDB has a path of its own there");
    }
    check(text == NULL);
    nocodb_service_close(service);
}

static void a_limit_of_no_rows_asks_for_none(void)
{
    struct nocodb_service *service = open_service(1, 1);
    struct nocodb_query query = NOCODB_QUERY_DEFAULT;
    char *text = NULL;

    query.limit = 0;
    check(nocodb_list_rows(service, "t", &query, weir_deadline_in(1000), &text, NULL, NULL) ==
          WEIR_OK);
    check_text(text, "[]");
    free(text);
    nocodb_service_close(service);
}

static void calls_beyond_the_limit_are_refused_at_once(void)
{
    struct nocodb_service *service = open_service(0, 0);
    const struct nocodb_query query = NOCODB_QUERY_DEFAULT;
    weir_error error;
    char *text = NULL;

    check(nocodb_get_row(service, "t", "1", NULL, 0, weir_deadline_in(1000), &text, NULL, &error) ==
          WEIR_FULL);
    check_text(error.text, "0 calls to NocoDB are already in flight");
    check(nocodb_list_rows(service, "t", &query, weir_deadline_in(1000), &text, NULL, &error) ==
          WEIR_FULL);
    nocodb_service_close(service);
}

/* Of two calls within one period of the limit the first goes out, and the second would come too late. */
static void check_limit(struct nocodb_service *service)
{
    weir_time retry_after = 0;
    weir_error error = {0};
    char *text = NULL;

    check(nocodb_get_row(service, "t", "1", NULL, 0, weir_deadline_in(900), &text, &retry_after,
                         &error) == WEIR_CONNECT);
    check_text(error.text, "NocoDB cannot be reached");
    check(strstr(error.text, "geheim") == NULL);
    check(nocodb_get_row(service, "t", "1", NULL, 0, weir_deadline_in(300), &text, &retry_after,
                         &error) == WEIR_REFUSED);
    check(retry_after > 0 && retry_after <= 1250 * WEIR_MS);
    check(text == NULL);
}

static void the_rate_limit_holds_on_the_next_session_too(void)
{
    struct http_session_options options = HTTP_SESSION_OPTIONS_DEFAULT;

    options.max_retries = 0;
    check(http_manager_close(WEIR_DEADLINE_NOW, NULL) == WEIR_OK);
    check(http_manager_initialize(&options, NULL) == WEIR_OK);
    struct nocodb_service *service = open_service(1, 4);
    check_limit(service);
    check(http_manager_close(WEIR_DEADLINE_NOW, NULL) == WEIR_OK);
    check(http_manager_initialize(&options, NULL) == WEIR_OK);
    check_limit(service);
    nocodb_service_close(service);
    nocodb_service_close(NULL);
    check(http_manager_close(WEIR_DEADLINE_NOW, NULL) == WEIR_OK);
}

static void a_rate_limit_that_could_not_be_set_is_tried_again(void)
{
    struct nocodb_server server;
    weir_error error;

    check(nocodb_server_init(nowhere, NULL, 1000001, 1, &server, NULL) == WEIR_OK);
    for (int i = 0; i < 2; i++) {
        check(nocodb_server_set_rate_limit(&server, &error) == WEIR_INVALID);
        check_contains(error.text, "1000001");
    }
    nocodb_server_clear(&server);
    check(http_manager_close(WEIR_DEADLINE_NOW, NULL) == WEIR_OK);
}

/* A new one would not have the options of the old: no proxy, for one. */
static void a_call_after_the_session_was_closed_makes_no_other(void)
{
    struct nocodb_service *service = open_service(0, 1);
    const struct nocodb_query query = NOCODB_QUERY_DEFAULT;
    weir_time retry_after = 7;
    weir_error error;
    char *text = NULL;

    check(http_manager_close(WEIR_DEADLINE_NOW, NULL) == WEIR_OK);
    check(nocodb_get_row(service, "t", "1", NULL, 0, weir_deadline_in(1000), &text, &retry_after,
                         &error) == WEIR_CLOSED);
    check_text(error.text, "NocoDB: the HTTP session is closed");
    check_int(retry_after, 0);
    check(nocodb_list_rows(service, "t", &query, weir_deadline_in(1000), &text, NULL, &error) ==
          WEIR_CLOSED);
    check(text == NULL);
    check(!http_manager_is_initialized());
    nocodb_service_close(service);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    run(an_empty_base_url_is_refused);
    run(a_url_or_token_that_cannot_be_used_is_refused_without_being_told);
    run(queries_that_make_no_sense_are_refused_before_anything_is_sent);
    run(ids_that_are_paths_of_nocodbs_own_are_refused_before_anything_is_sent);
    run(a_limit_of_no_rows_asks_for_none);
    run(calls_beyond_the_limit_are_refused_at_once);
    run(the_rate_limit_holds_on_the_next_session_too);
    run(a_rate_limit_that_could_not_be_set_is_tried_again);
    run(a_call_after_the_session_was_closed_makes_no_other);
    return check_done();
}
