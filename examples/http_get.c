/* SPDX-License-Identifier: MIT */
/*
 * Get a page over HTTP and watch what it takes: a listener prints each attempt and each retry.
 *
 * The URL is the first argument. A server that is not available twice and then says hello makes it
 * print what stands below: two failures, each retried after a short pause, all over one connection.
 *
 * Prints:
 *     attempt 1: 503
 *     again, because of backoff
 *     attempt 2: 503, over a connection used before
 *     again, because of backoff
 *     attempt 3: 200, over a connection used before
 *     hello
 *     3 attempts, 1 connection opened
 */
#include <weir/http.h>

#include <stdio.h>

static void watch(const weir_http_event *event, void *arg)
{
    (void)arg;
    if (event->kind == WEIR_HTTP_EVENT_RETRY) {
        printf("again, because of %s\n", weir_retry_cause_name(event->cause));
        return;
    }
    printf("attempt %u: ", event->attempt);
    if (event->error != NULL)
        printf("%s", weir_status_name(event->error->status));
    else
        printf("%d", event->status);
    printf("%s\n", event->is_reused ? ", over a connection used before" : "");
}

/* WEIR_OK means a response, whatever its status. A 404 for instance is not retried and comes here. */
static weir_status print_page(const weir_http_response *response, weir_error *reterr)
{
    int code = weir_http_response_status(response);
    size_t size;
    const char *body = weir_http_response_body(response, &size);

    if (code != 200)
        return weir_error_set(reterr, WEIR_NOT_FOUND, "status %d", code);
    fwrite(body, 1, size, stdout);
    return WEIR_OK;
}

static weir_status get(weir_http *session, const char *url, weir_error *reterr)
{
    weir_http_request *request = NULL;
    weir_http_response *response = NULL;
    weir_status status = weir_http_request_open("GET", url, &request, reterr);

    if (status != WEIR_OK)
        return status;
    /* What goes wrong here is remembered by the request and told when it is sent. */
    weir_http_request_header(request, "Accept", "text/plain");
    status = weir_http_send(session, request, weir_deadline_in(5000), &response, reterr);
    if (status == WEIR_OK)
        status = print_page(response, reterr);
    if (status == WEIR_OK) {
        const weir_http_report *report = weir_http_request_report(request);

        printf("%u attempts, %u connection%s opened\n", report->attempts, report->opened,
               report->opened == 1 ? "" : "s");
    }
    weir_http_response_close(response);
    weir_http_request_close(request);
    return status;
}

int main(int argc, char **argv)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;
    weir_http *session = NULL;
    weir_error error;
    weir_status status;

    if (argc != 2) {
        fprintf(stderr, "usage: %s URL\n", argv[0]);
        return 2;
    }
    options.name = "example";
    options.retry.backoff_factor_ms = 20; /* an example should not take long */
    status = weir_http_open(&options, &session, &error);
    if (status == WEIR_OK)
        status = weir_http_listen(session,
                                  WEIR_EVENT_BIT(WEIR_HTTP_EVENT_ATTEMPT) |
                                      WEIR_EVENT_BIT(WEIR_HTTP_EVENT_RETRY),
                                  watch, NULL, &error);
    if (status == WEIR_OK)
        status = get(session, argv[1], &error);
    if (status != WEIR_OK)
        fprintf(stderr, "%s: %s\n", weir_status_name(status), error.text);
    weir_http_close(session);
    return status != WEIR_OK;
}
