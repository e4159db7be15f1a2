/* SPDX-License-Identifier: MIT */
/* Every allocation on the way of a row or list from NocoDB fails once: no crash, no leak, a clear status. */
#include "alloc_fail.h"
#include "http_certs.h"
#include "http_peer.h"

#include <jansson.h>
#include <stdarg.h>

#include "managers/http_session_manager.h"
#include "log/log.h"
#include "services/nocodb_service.h"

/* ---- more allocations -------------------------------------------------------------------- */

/* What the service allocates by other names comes here too, by the linker's --wrap. */
WEIR_PRINTF(2, 0) int __real_vasprintf(char **ret_text, const char *format, va_list args);
WEIR_PRINTF(2, 0) int __wrap_vasprintf(char **ret_text, const char *format, va_list args);
WEIR_PRINTF(3, 0)
int __wrap___vasprintf_chk(char **ret_text, int flag, const char *format, va_list args);

int __wrap_vasprintf(char **ret_text, const char *format, va_list args)
{
    if (alloc_fail_this())
        return -1;
    int size = __real_vasprintf(ret_text, format, args);
    if (size >= 0)
        alloc_fail_count(*ret_text);
    return size;
}

/* Where the compiler fortifies. */
int __wrap___vasprintf_chk(char **ret_text, int flag, const char *format, va_list args)
{
    (void)flag;
    return __wrap_vasprintf(ret_text, format, args);
}

/* Of jansson's own none fails, but each must be freed. */
static void *allocate_for_jansson(size_t size)
{
    return alloc_fail_count(__real_malloc(size));
}

/* ---- a NocoDB of two pages --------------------------------------------------------------- */

#define PAGE_ROWS 20
#define V2_ROW "{\"Id\":%d,\"Title\":\"a text of some length, for row %d\"}"
#define V3_ROW "{\"id\":%d,\"fields\":{\"Title\":\"a text of some length, for row %d\"}}"

static bool answer_row(struct peer_exchange *x)
{
    static const char row[] = "{\"Id\":7,\"Title\":\"seven\"}";
    static const char none[] = "{\"error\":\"ERR_RECORD_NOT_FOUND\",\"message\":\"no such row\"}";

    if (strstr(x->target, "/records/7") == NULL)
        return peer_reply(x, 404, "", none, sizeof none - 1);
    return peer_reply(x, 200, "", row, sizeof row - 1);
}

/* The second page is asked for by offset, by number, or by what its keys are above. */
static bool answer(struct peer_exchange *x, void *arg)
{
    bool is_v3 = strstr(x->target, "/api/v3/") != NULL;
    bool is_last = strstr(x->target, "offset=20") != NULL || strstr(x->target, "page=2") != NULL ||
                   strstr(x->target, "gt%2C20") != NULL;
    int first = is_last ? PAGE_ROWS + 1 : 1;
    char body[PAGE_ROWS * 80 + 100];
    int size = sprintf(body, is_v3 ? "{\"records\":[" : "{\"list\":[");

    (void)arg;
    if (strstr(x->target, "/records/") != NULL)
        return answer_row(x);
    for (int id = first; id < first + PAGE_ROWS; id++) {
        size += sprintf(body + size, id > first ? "," : "");
        size += is_v3 ? sprintf(body + size, V3_ROW, id, id) : sprintf(body + size, V2_ROW, id, id);
    }
    if (is_v3)
        size += sprintf(body + size, is_last ? "]}" : "],\"next\":\"http://elsewhere/\"}");
    else
        size += sprintf(body + size, "],\"pageInfo\":{\"isLastPage\":%s,\"pageSize\":%d}}",
                        is_last ? "true" : "false", PAGE_ROWS);
    return peer_reply(x, 200, "", body, (size_t)size);
}

/* ---- calls ------------------------------------------------------------------------------- */

static struct peer *peer;
static struct certs certs; /* a few, where each session would read all of the system's */
static weir_error error;

/* What a call may answer; a failure says that it was for want of memory. */
static bool is_fine(weir_status status)
{
    if (alloc_fail_is_fine(status, &error))
        return true;
    check_contains(error.text, "memory");
    return false;
}

static void get_rows(struct nocodb_service *service)
{
    weir_time retry_after = 0;
    char *text = NULL;

    if (is_fine(nocodb_get_row(service, "t", "7", NULL, 0, weir_deadline_in(20000), &text,
                               &retry_after, &error)))
        check_text(text, "{\"Id\":7,\"Title\":\"seven\"}");
    else
        check(text == NULL);
    free(text);

    text = NULL;
    weir_status status = nocodb_get_row(service, "t", "8", NULL, 0, weir_deadline_in(20000), &text,
                                        &retry_after, &error);
    if (status != WEIR_NOT_FOUND)
        check(!is_fine(status));
    check(text == NULL);
    check_int(retry_after, 0);
}

static void list_rows(struct nocodb_service *service, enum nocodb_paging paging)
{
    static const struct nocodb_condition filter = {"Title", NOCODB_LIKE, "for row"};
    struct nocodb_query query = NOCODB_QUERY_DEFAULT;
    weir_time retry_after = 0;
    char *text = NULL;
    int rows = 0;

    query.conditions = &filter;
    query.condition_count = 1;
    query.page_size = PAGE_ROWS;
    query.paging = paging;
    if (is_fine(nocodb_list_rows(service, "t", &query, weir_deadline_in(20000), &text, &retry_after,
                                 &error))) {
        for (const char *at = text; (at = strstr(at, "\"Title\"")) != NULL; at++)
            rows++;
        check_int(rows, 2 * PAGE_ROWS);
        check_contains(text, "for row 40");
    } else {
        check(text == NULL);
    }
    check_int(retry_after, 0);
    free(text);
}

/* Whatever failed before, nothing is lent or under way, and the next call finds all in order. */
static void check_works(struct nocodb_service *service)
{
    static weir_http_origin origins[4];
    long failing = atomic_exchange(&alloc_fail_in, -1);
    struct http_handle *handle = NULL;

    get_rows(service);
    check(http_manager_find_session(&handle));
    size_t count = weir_http_get_origins(http_handle_session(handle), origins, 4);
    check_int(count, 1);
    check_int(origins[0].pool.leased, 0);
    check_int(origins[0].in_flight, 0);
    http_manager_put_session(handle);
    atomic_store(&alloc_fail_in, failing);
}

static void call(const char *path)
{
    struct http_session_options http = HTTP_SESSION_OPTIONS_DEFAULT;
    struct nocodb_options options = NOCODB_OPTIONS_DEFAULT;
    struct nocodb_service *service = NULL;
    char url[PEER_URL_SIZE];

    http.backoff_factor_ms = 0;
    http.ca_file = certs.ca;
    options.base_url = peer_url(peer, path, url);
    options.api_token = "token";
    options.rate_limit = 0;
    if (!is_fine(http_manager_initialize(&http, &error)))
        return;
    if (is_fine(nocodb_service_open(&options, &service, &error))) {
        get_rows(service);
        list_rows(service, NOCODB_OFFSET);
        list_rows(service, NOCODB_KEYSET);
        check_works(service);
        nocodb_service_close(service);
    } else {
        check(service == NULL);
    }
    check_int(http_manager_close(weir_deadline_in(2000), NULL), WEIR_OK);
}

static void call_v2(void)
{
    call("/api/v2/tables");
}

static void call_v3(void)
{
    call("/api/v3/data/base");
}

static void every_allocation_on_the_way_of_a_row_or_list_fails_once(void)
{
    call_v2();
    long alive = atomic_load(&alloc_fail_alive);
    call_v2();
    check_int(atomic_load(&alloc_fail_alive), alive); /* all that is freed was counted */
    long v2 = alloc_fail_each(call_v2);
    long v3 = alloc_fail_each(call_v3);
    printf("# %ld and %ld allocations failed\n", v2, v3);
    check(v2 > 120); /* with those of the libraries */
    check(v3 > 120);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    json_set_alloc_funcs(allocate_for_jansson, free);
    certs_make(&certs);
    peer = peer_start(&(struct peer_options){.handler = answer});
    run(every_allocation_on_the_way_of_a_row_or_list_fails_once);
    peer_stop(peer);
    certs_remove(&certs);
    return check_done();
}
