/* SPDX-License-Identifier: MIT */
/* HTTP sessions against a server of the command's own, which fails as it is told. */
#include "verify.h"

#include <stdlib.h>
#include <time.h>

#include "verify_site.h"

#define REQUESTS 20
#define CALLS 4 /* counted by the breaker before it decides */
#define BREAKER_WAIT_MS 1000
#define NAP_MS 20
#define LIMIT_MS 15000

/* A server and a session that talks to it. */
struct talk {
    struct verify_site *site;
    weir_http *session;
};

static weir_http_options quick_options(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    options.name = "weir-verify";
    options.retry.backoff_factor_ms = 10;
    options.breaker.minimum_calls = CALLS;
    options.breaker.window_size = CALLS;
    options.breaker.wait_in_open_ms = BREAKER_WAIT_MS;
    options.breaker.wait_jitter_percent = 0;
    options.breaker.permitted_calls_in_half_open = 1;
    return options;
}

static bool begin(const struct verification *verification, const weir_http_options *options,
                  struct talk *talk, struct verify_finding *finding)
{
    weir_error error;

    *talk = (struct talk){NULL, NULL};
    weir_status status = verify_site_start(&talk->site, &error);
    if (status == WEIR_OK)
        status = verification->calls->open_http(options, &talk->session, &error);
    if (status == WEIR_OK)
        return true;
    verify_site_stop(talk->site);
    verify_fail(finding, "%s", error.text);
    return false;
}

static void end(struct talk *talk)
{
    weir_http_close(talk->session);
    verify_site_stop(talk->site);
}

/* Send one request; *ret_code is the response's status. */
static weir_status send_one(const struct talk *talk, const char *method, int *ret_code,
                            weir_error *reterr)
{
    weir_http_request *request;
    weir_http_response *response;

    weir_status status =
        weir_http_request_open(method, verify_site_url(talk->site), &request, reterr);
    if (status != WEIR_OK)
        return status;
    status = weir_http_send(talk->session, request, weir_deadline_in(LIMIT_MS), &response, reterr);
    if (status == WEIR_OK) {
        *ret_code = weir_http_response_status(response);
        weir_http_response_close(response);
    }
    weir_http_request_close(request);
    return status;
}

/* ---- reuse ------------------------------------------------------------------------------- */

void verify_http_reuse(const struct verification *verification,
                       const struct verify_database *database, struct verify_finding *finding)
{
    weir_http_options options = quick_options();
    weir_status status = WEIR_OK;
    weir_error error;
    struct talk talk;
    int code = 0;

    (void)database;
    if (!begin(verification, &options, &talk, finding))
        return;
    for (int i = 0; i < REQUESTS && status == WEIR_OK; i++)
        status = send_one(&talk, "GET", &code, &error);
    int connections = verify_site_connections(talk.site);
    if (status != WEIR_OK)
        verify_fail(finding, "%s", error.text);
    else if (connections != 1)
        verify_fail(finding, "%d requests, one after the other, opened %d connections", REQUESTS,
                    connections);
    else
        verify_pass(finding, "%d requests, one after the other, went over 1 connection", REQUESTS);
    end(&talk);
}

/* ---- retries ----------------------------------------------------------------------------- */

/* A GET that is answered 503 twice; whether it was retried as it should. */
static bool get_is_repeated(const struct talk *talk, struct verify_finding *finding)
{
    weir_error error;
    int code = 0, before = verify_site_requests(talk->site);

    verify_site_fail(talk->site, 2);
    weir_status status = send_one(talk, "GET", &code, &error);
    int sent = verify_site_requests(talk->site) - before;
    if (status == WEIR_OK && code == 200 && sent == 3)
        return true;
    if (status != WEIR_OK)
        verify_fail(finding, "a GET that was answered 503 twice was sent %d times and failed: %s",
                    sent, error.text);
    else
        verify_fail(finding,
                    "a GET that was answered 503 twice was sent %d times and ended with %d", sent,
                    code);
    return false;
}

/* A POST that is answered 503 once: sent again, it might be carried out twice. */
static bool post_is_not_repeated(const struct talk *talk, struct verify_finding *finding)
{
    weir_error error;
    int code = 0, before = verify_site_requests(talk->site);

    verify_site_fail(talk->site, 1);
    (void)send_one(talk, "POST", &code, &error);
    int sent = verify_site_requests(talk->site) - before;
    if (sent == 1)
        return true;
    verify_fail(finding, "a POST that was answered 503 was sent %d times", sent);
    return false;
}

void verify_http_retries(const struct verification *verification,
                         const struct verify_database *database, struct verify_finding *finding)
{
    weir_http_options options = quick_options();
    struct talk talk;

    (void)database;
    options.use_breaker = false;
    if (!begin(verification, &options, &talk, finding))
        return;
    if (get_is_repeated(&talk, finding) && post_is_not_repeated(&talk, finding))
        verify_pass(finding,
                    "a GET that was answered 503 twice was sent 3 times and ended with 200; a POST "
                    "that was answered 503 was sent once");
    end(&talk);
}

/* ---- breaker ----------------------------------------------------------------------------- */

/* Fail until the breaker opens, and a bit more: how many requests reached the server. */
static int fail_many(const struct talk *talk)
{
    weir_error error;
    int code;

    verify_site_fail(talk->site, -1);
    for (int i = 0; i < 2 * CALLS; i++)
        (void)send_one(talk, "GET", &code, &error);
    verify_site_fail(talk->site, 0);
    return verify_site_requests(talk->site);
}

/* Ask until it is let through again. */
static bool comes_back(const struct talk *talk)
{
    weir_time end_at = weir_deadline_in(LIMIT_MS);
    struct timespec nap = {0, NAP_MS * WEIR_MS};
    weir_error error;
    int code = 0;

    while (send_one(talk, "GET", &code, &error) != WEIR_OK) {
        if (weir_now() > end_at)
            return false;
        nanosleep(&nap, NULL);
    }
    return code == 200;
}

void verify_http_breaker(const struct verification *verification,
                         const struct verify_database *database, struct verify_finding *finding)
{
    weir_http_options options = quick_options();
    struct talk talk;

    (void)database;
    options.retry.total = WEIR_RETRY_DISABLED;
    if (!begin(verification, &options, &talk, finding))
        return;
    weir_time opened = weir_now();
    int reached = fail_many(&talk);
    if (reached != CALLS)
        verify_fail(finding,
                    "of %d requests to a server that failed them all, %d reached it; the breaker "
                    "was to open after %d",
                    2 * CALLS, reached, CALLS);
    else if (!comes_back(&talk))
        verify_fail(finding, "it opened after %d failures and did not close within %d ms", CALLS,
                    LIMIT_MS);
    else
        verify_pass(finding,
                    "it opened after %d failures, kept %d requests from the server, and closed "
                    "once that answered again, %.0f ms later",
                    CALLS, CALLS, (double)(weir_now() - opened) / (double)WEIR_MS);
    end(&talk);
}
