/* SPDX-License-Identifier: MIT */
/* The router: which route serves what, what the names stand for, and which route tables are refused. */
#include "check.h"

#include <stdlib.h>

#include "http/router.h"

static void handle(void *arg, const struct http_request *request, struct http_response *response)
{
    (void)arg;
    (void)request;
    (void)response;
}

static const struct http_route table[] = {
    {"GET", "/", handle, NULL, false, false, NULL, NULL, false},
    {"GET", "/tables", handle, NULL, false, false, NULL, NULL, false},
    {"GET", "/tables/{table}", handle, NULL, false, false, NULL, NULL, false},
    {"GET", "/tables/{table}/{id}", handle, NULL, false, false, NULL, NULL, false},
    {"GET", "/tables/{table}/count", handle, NULL, false, false, NULL, NULL, false},
    {"POST", "/tables/new", handle, NULL, false, false, NULL, NULL, false},
    {"PUT", "/tables/{table}", handle, NULL, false, false, NULL, NULL, false},
};

static struct router *router;
static char scratch[256];

static struct router_match find(const char *method, const char *path)
{
    struct router_match match;

    router_find(router, method, path, strlen(path), scratch, &match);
    return match;
}

static const char *pattern_of(const char *method, const char *path)
{
    struct router_match match = find(method, path);

    return match.route == NULL ? "(none)" : match.route->pattern;
}

static void literal_paths_match_whole(void)
{
    check_text(pattern_of("GET", "/"), "/");
    check_text(pattern_of("GET", "/tables"), "/tables");
    check_text(pattern_of("GET", "/table"), "(none)");
    check_text(pattern_of("GET", "/tables/a/b/c"), "(none)");
}

static void a_trailing_slash_makes_no_difference(void)
{
    check_text(pattern_of("GET", "/tables/"), "/tables");
    check_text(pattern_of("GET", "/tables/x/"), "/tables/{table}");
    check_text(pattern_of("GET", "/tables//"), "(none)");
}

static void an_empty_segment_matches_nothing(void)
{
    check_text(pattern_of("GET", "//tables"), "(none)");
    check_text(pattern_of("GET", "/tables//7"), "(none)");
    check_text(pattern_of("GET", "//"), "(none)");
    check_text(pattern_of("GET", ""), "(none)");
    check_text(pattern_of("GET", "tables"), "(none)");
}

static void names_stand_for_decoded_segments(void)
{
    struct router_match match = find("GET", "/tables/Court%20Decisions/CD%2F7");

    check_int(match.status, 200);
    check_int(match.param_count, 2);
    check_text(match.values[0], "Court Decisions");
    check_text(match.values[1], "CD/7");
}

static void literals_are_compared_decoded(void)
{
    check_text(pattern_of("GET", "/%74ables"), "/tables");
}

static void a_literal_beats_a_name(void)
{
    check_text(pattern_of("GET", "/tables/x/count"), "/tables/{table}/count");
    check_text(pattern_of("GET", "/tables/x/7"), "/tables/{table}/{id}");
}

static void a_literal_with_another_method_does_not_hide_a_name(void)
{
    check_text(pattern_of("GET", "/tables/new"), "/tables/{table}");
    check_text(pattern_of("POST", "/tables/new"), "/tables/new");
}

static void head_falls_back_to_get(void)
{
    check_text(pattern_of("HEAD", "/tables"), "/tables");
}

static void an_unknown_path_is_404_for_every_method(void)
{
    check_int(find("GET", "/nowhere").status, 404);
    check_int(find("DELETE", "/nowhere").status, 404);
    check_int(find("OPTIONS", "/nowhere").status, 404);
}

static void a_known_path_with_another_method_is_405_and_says_which(void)
{
    struct router_match match = find("DELETE", "/tables/x");

    check_int(match.status, 405);
    check_text(match.allow, "GET, HEAD, PUT, OPTIONS");
    check_int(find("get", "/tables").status, 405);
}

static void options_says_which_methods(void)
{
    struct router_match match = find("OPTIONS", "/tables/new");

    check_int(match.status, 204);
    check_text(match.allow, "POST, GET, HEAD, PUT, OPTIONS");
}

static void broken_percent_encoding_is_400(void)
{
    check_int(find("GET", "/tables/%zz").status, 400);
    check_int(find("GET", "/tables/%ff").status, 400);
    check_int(find("GET", "/tables/a%00").status, 400);
}

static void a_path_of_too_many_segments_is_404(void)
{
    char path[2 * ROUTER_SEGMENTS + 8] = "";

    for (int i = 0; i <= ROUTER_SEGMENTS; i++)
        strcat(path, "/a");
    check_int(find("GET", path).status, 404);
}

/* ---- Tables that are refused -------------------------------------------------------------- */

static weir_status open_one(const char *method, const char *pattern, weir_error *reterr)
{
    const struct http_route route = {method, pattern, handle, NULL, false,
                                     false,  NULL,    NULL,   false};
    struct router *opened = NULL;
    weir_status status = router_open(&route, 1, &opened, reterr);

    router_close(opened);
    return status;
}

static void malformed_routes_are_refused_by_name(void)
{
    static const char *const bad[] = {"",      "a",      "/a/",     "/a//b", "/{}",
                                      "/{a",   "/a}",    "/x{a}",   "/{A}",  "/{a}/{a}",
                                      "/a%20", "/a?b=c", "/{a}{b}", "//"};
    weir_error error;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_int(open_one("GET", bad[i], &error), WEIR_INVALID);
        check_contains(error.text, bad[i]);
    }
    check_int(open_one("get", "/a", &error), WEIR_INVALID);
    check_int(open_one("", "/a", &error), WEIR_INVALID);
    check_int(open_one(NULL, "/a", &error), WEIR_INVALID);
    check_int(open_one("GET", NULL, &error), WEIR_INVALID);
    check_int(open_one("GET", "/a", &error), WEIR_OK);
}

static void a_route_without_handler_is_refused(void)
{
    const struct http_route route = {"GET", "/a", NULL, NULL, false, false, NULL, NULL, false};
    struct router *opened = NULL;
    weir_error error;

    check_int(router_open(&route, 1, &opened, &error), WEIR_INVALID);
}

static void too_many_names_or_segments_are_refused(void)
{
    weir_error error;
    char pattern[4 * ROUTER_SEGMENTS + 8] = "";

    check_int(open_one("GET", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", &error), WEIR_OK);
    check_int(open_one("GET", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", &error), WEIR_INVALID);
    for (int i = 0; i <= ROUTER_SEGMENTS; i++)
        strcat(pattern, "/a");
    check_int(open_one("GET", pattern, &error), WEIR_INVALID);
}

static void routes_that_no_request_could_tell_apart_are_refused(void)
{
    const struct http_route same[] = {
        {"GET", "/a/{b}", handle, NULL, false, false, NULL, NULL, false},
        {"POST", "/a/{b}", handle, NULL, false, false, NULL, NULL, false},
        {"GET", "/a/{c}", handle, NULL, false, false, NULL, NULL, false},
    };
    struct router *opened = NULL;
    weir_error error;

    check_int(router_open(same, 3, &opened, &error), WEIR_INVALID);
    check_contains(error.text, "/a/{");
    check_int(router_open(same, 2, &opened, &error), WEIR_OK);
    router_close(opened);
}

static void more_methods_than_an_allow_header_holds_are_refused(void)
{
    struct http_route routes[20];
    char methods[20][16];
    struct router *opened = NULL;
    weir_error error;

    for (size_t i = 0; i < 20; i++) {
        snprintf(methods[i], sizeof(methods[i]), "METHOD%c", (char)('A' + i));
        routes[i] =
            (struct http_route){methods[i], "/a", handle, NULL, false, false, NULL, NULL, false};
    }
    check_int(router_open(routes, 20, &opened, &error), WEIR_INVALID);
    check_int(router_open(routes, 5, &opened, &error), WEIR_OK);
    router_close(opened);
}

static void an_empty_table_finds_nothing(void)
{
    struct router *opened = NULL;
    struct router_match match;
    weir_error error;

    check_int(router_open(NULL, 0, &opened, &error), WEIR_OK);
    router_find(opened, "GET", "/", 1, scratch, &match);
    check_int(match.status, 404);
    router_close(opened);
}

int main(void)
{
    weir_error error;

    if (router_open(table, sizeof(table) / sizeof(table[0]), &router, &error) != WEIR_OK) {
        printf("Bail out! %s\n", error.text);
        return 1;
    }
    run(literal_paths_match_whole);
    run(a_trailing_slash_makes_no_difference);
    run(an_empty_segment_matches_nothing);
    run(names_stand_for_decoded_segments);
    run(literals_are_compared_decoded);
    run(a_literal_beats_a_name);
    run(a_literal_with_another_method_does_not_hide_a_name);
    run(head_falls_back_to_get);
    run(an_unknown_path_is_404_for_every_method);
    run(a_known_path_with_another_method_is_405_and_says_which);
    run(options_says_which_methods);
    run(broken_percent_encoding_is_400);
    run(a_path_of_too_many_segments_is_404);
    run(malformed_routes_are_refused_by_name);
    run(a_route_without_handler_is_refused);
    run(too_many_names_or_segments_are_refused);
    run(routes_that_no_request_could_tell_apart_are_refused);
    run(more_methods_than_an_allow_header_holds_are_refused);
    run(an_empty_table_finds_nothing);
    router_close(router);
    return check_done();
}
