/* SPDX-License-Identifier: MIT */
/* The router: which route serves a method and a path, and what its {names} stand for. */
#include "router.h"

#include <stdlib.h>
#include <string.h>

#include "text/urltext.h"

/* One segment of a pattern: a literal, or a name whose braces are already gone. */
struct segment {
    bool is_name;
    char *text;
};

struct compiled {
    struct http_route route;
    char *text; /* the pattern, cut into the segments below */
    struct segment segments[ROUTER_SEGMENTS];
    size_t segment_count;
};

/* Sorted so that the first one that fits is the most specific. */
struct router {
    struct compiled *routes;
    size_t count;
};

/* ---- Compiling ---------------------------------------------------------------------------- */

static weir_status bad_route(const struct http_route *route, const char *why, weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_INVALID, "route %s %s: %s",
                          route->method == NULL ? "(no method)" : route->method,
                          route->pattern == NULL ? "(no pattern)" : route->pattern, why);
}

static bool is_method(const char *method)
{
    if (method == NULL || method[0] == '\0')
        return false;
    for (; *method != '\0'; method++) {
        if (*method < 'A' || *method > 'Z')
            return false;
    }
    return true;
}

static bool is_name(const char *text)
{
    if (text[0] == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if ((*text < 'a' || *text > 'z') && (*text < '0' || *text > '9') && *text != '_')
            return false;
    }
    return true;
}

/* "{table}" becomes the name "table"; a brace anywhere else is a mistake. */
static bool cut_segment(char *text, struct segment *ret_segment)
{
    size_t size = strlen(text);

    *ret_segment = (struct segment){false, text};
    if (size > 2 && text[0] == '{' && text[size - 1] == '}') {
        text[size - 1] = '\0';
        *ret_segment = (struct segment){true, text + 1};
        return is_name(text + 1);
    }
    return size > 0 && strpbrk(text, "{}%?#") == NULL;
}

static bool repeats_a_name(const struct compiled *compiled)
{
    for (size_t i = 1; i < compiled->segment_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (compiled->segments[i].is_name && compiled->segments[k].is_name &&
                strcmp(compiled->segments[i].text, compiled->segments[k].text) == 0)
                return true;
        }
    }
    return false;
}

static weir_status cut_pattern(struct compiled *compiled, weir_error *reterr)
{
    size_t names = 0;
    char *rest = compiled->text + 1;

    if (rest[0] == '\0')
        return WEIR_OK;
    while (rest != NULL) {
        struct segment *segment = &compiled->segments[compiled->segment_count];
        char *text = strsep(&rest, "/");

        if (compiled->segment_count == ROUTER_SEGMENTS)
            return bad_route(&compiled->route, "too many segments", reterr);
        if (!cut_segment(text, segment))
            return bad_route(&compiled->route, "a segment is empty or malformed", reterr);
        names += segment->is_name;
        compiled->segment_count++;
    }
    if (names > ROUTER_PARAMS)
        return bad_route(&compiled->route, "too many {names}", reterr);
    if (repeats_a_name(compiled))
        return bad_route(&compiled->route, "a {name} is used twice", reterr);
    return WEIR_OK;
}

static weir_status compile(const struct http_route *route, struct compiled *compiled,
                           weir_error *reterr)
{
    compiled->route = *route;
    if (!is_method(route->method))
        return bad_route(route, "the method must be capital letters", reterr);
    if (route->pattern == NULL || route->pattern[0] != '/')
        return bad_route(route, "the pattern must begin with a slash", reterr);
    if (route->handler == NULL)
        return bad_route(route, "there is no handler", reterr);
    compiled->text = strdup(route->pattern);
    if (compiled->text == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "route %s: out of memory", route->pattern);
    return cut_pattern(compiled, reterr);
}

/* Literals before names, place by place; patterns that fit the same paths compare equal. */
static int compare_paths(const struct compiled *a, const struct compiled *b)
{
    if (a->segment_count != b->segment_count)
        return a->segment_count < b->segment_count ? -1 : 1;
    for (size_t i = 0; i < a->segment_count; i++) {
        const struct segment *left = &a->segments[i];
        const struct segment *right = &b->segments[i];
        int order = left->is_name || right->is_name ? left->is_name - right->is_name
                                                    : strcmp(left->text, right->text);

        if (order != 0)
            return order;
    }
    return 0;
}

static int compare_routes(const void *left, const void *right)
{
    const struct compiled *a = left;
    const struct compiled *b = right;
    int order = compare_paths(a, b);

    return order != 0 ? order : strcmp(a->route.method, b->route.method);
}

/* An Allow header lists at most every method there is, and HEAD and OPTIONS. */
static bool allow_has_room(const struct router *router)
{
    size_t need = sizeof("HEAD, OPTIONS");

    for (size_t i = 0; i < router->count; i++) {
        bool is_new = true;

        for (size_t k = 0; k < i && is_new; k++)
            is_new = strcmp(router->routes[i].route.method, router->routes[k].route.method) != 0;
        need += is_new ? strlen(router->routes[i].route.method) + 2 : 0;
    }
    return need <= ROUTER_ALLOW;
}

static weir_status check_whole(const struct router *router, weir_error *reterr)
{
    for (size_t i = 1; i < router->count; i++) {
        if (compare_routes(&router->routes[i - 1], &router->routes[i]) == 0)
            return bad_route(&router->routes[i].route, "another route serves the same", reterr);
    }
    if (!allow_has_room(router))
        return weir_error_set(reterr, WEIR_INVALID, "routes: too many different methods");
    return WEIR_OK;
}

weir_status router_open(const struct http_route *routes, size_t count, struct router **ret_router,
                        weir_error *reterr)
{
    struct router *router = calloc(1, sizeof(*router));
    weir_status status = WEIR_OK;

    if (router == NULL || (router->routes = calloc(count + 1, sizeof(*router->routes))) == NULL) {
        status = weir_error_set(reterr, WEIR_NO_MEMORY, "routes: out of memory");
        goto fail;
    }
    for (; status == WEIR_OK && router->count < count; router->count++)
        status = compile(&routes[router->count], &router->routes[router->count], reterr);
    if (status != WEIR_OK)
        goto fail;
    qsort(router->routes, count, sizeof(*router->routes), compare_routes);
    status = check_whole(router, reterr);
    if (status != WEIR_OK)
        goto fail;
    *ret_router = router;
    return WEIR_OK;

fail:
    router_close(router);
    return status;
}

void router_close(struct router *router)
{
    if (router == NULL)
        return;
    for (size_t i = 0; i < router->count; i++)
        free(router->routes[i].text);
    free(router->routes);
    free(router);
}

/* ---- Finding ------------------------------------------------------------------------------ */

/* A path cut into decoded segments. */
struct cut_path {
    const char *segments[ROUTER_SEGMENTS];
    size_t count;
};

/*
 * Returns 200, or the status that says why no route can fit. Every segment shrinks or keeps its
 * size when decoded and its NUL takes the place of a slash, so path_size + 1 bytes suffice.
 */
static unsigned cut(const char *path, size_t size, char *scratch, struct cut_path *ret_cut)
{
    size_t at = 1;

    if (size == 0 || path[0] != '/')
        return 404;
    if (size > 1 && path[size - 1] == '/' && path[--size - 1] == '/')
        return 404;
    for (ret_cut->count = 0; at < size; ret_cut->count++) {
        const char *slash = memchr(path + at, '/', size - at);
        size_t end = slash == NULL ? size : (size_t)(slash - path);
        size_t decoded_size;

        if (ret_cut->count == ROUTER_SEGMENTS)
            return 404;
        if (!url_decode(path + at, end - at, false, scratch, &decoded_size))
            return 400;
        ret_cut->segments[ret_cut->count] = scratch;
        scratch += decoded_size + 1;
        at = end + 1;
    }
    return 200;
}

static bool fits(const struct compiled *compiled, const struct cut_path *path)
{
    if (compiled->segment_count != path->count)
        return false;
    for (size_t i = 0; i < path->count; i++) {
        const struct segment *segment = &compiled->segments[i];

        if (path->segments[i][0] == '\0')
            return false;
        if (!segment->is_name && strcmp(segment->text, path->segments[i]) != 0)
            return false;
    }
    return true;
}

static void bind(const struct compiled *compiled, const struct cut_path *path,
                 struct router_match *match)
{
    match->status = 200;
    match->route = &compiled->route;
    for (size_t i = 0; i < path->count; i++) {
        if (!compiled->segments[i].is_name)
            continue;
        match->names[match->param_count] = compiled->segments[i].text;
        match->values[match->param_count] = path->segments[i];
        match->param_count++;
    }
}

static bool lists(const char *allow, const char *method)
{
    size_t size = strlen(method);

    for (const char *at = allow; (at = strstr(at, method)) != NULL; at += size) {
        bool starts = at == allow || at[-1] == ' ';
        bool ends = at[size] == '\0' || at[size] == ',';

        if (starts && ends)
            return true;
    }
    return false;
}

static void allow(struct router_match *match, const char *method)
{
    if (lists(match->allow, method))
        return;
    if (match->allow[0] != '\0')
        strncat(match->allow, ", ", ROUTER_ALLOW - strlen(match->allow) - 1);
    strncat(match->allow, method, ROUTER_ALLOW - strlen(match->allow) - 1);
}

/* No route serves this method: say which ones the path knows. */
static void explain(const struct router *router, const char *method, const struct cut_path *path,
                    struct router_match *match)
{
    for (size_t i = 0; i < router->count; i++) {
        if (!fits(&router->routes[i], path))
            continue;
        allow(match, router->routes[i].route.method);
        if (strcmp(router->routes[i].route.method, "GET") == 0)
            allow(match, "HEAD");
    }
    if (match->allow[0] == '\0') {
        match->status = 404;
        return;
    }
    allow(match, "OPTIONS");
    match->status = strcmp(method, "OPTIONS") == 0 ? 204 : 405;
}

static const struct compiled *pick(const struct router *router, const char *method,
                                   const struct cut_path *path)
{
    for (size_t i = 0; i < router->count; i++) {
        if (strcmp(router->routes[i].route.method, method) == 0 && fits(&router->routes[i], path))
            return &router->routes[i];
    }
    return NULL;
}

void router_find(const struct router *router, const char *method, const char *path,
                 size_t path_size, char *scratch, struct router_match *ret_match)
{
    struct cut_path segments;
    const struct compiled *found;

    *ret_match = (struct router_match){.status = cut(path, path_size, scratch, &segments)};
    if (ret_match->status != 200)
        return;
    found = pick(router, method, &segments);
    if (found == NULL && strcmp(method, "HEAD") == 0)
        found = pick(router, "GET", &segments);
    if (found == NULL)
        explain(router, method, &segments, ret_match);
    else
        bind(found, &segments, ret_match);
}
