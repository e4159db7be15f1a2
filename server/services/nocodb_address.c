/* SPDX-License-Identifier: MIT */
/* Base URLs by their path, segment by segment. */
#include "nocodb_address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text/text.h"

/* Parts of the URL that is read, and what it stands for so far. */
struct reading {
    const char *url;
    size_t size;       /* without slashes at its end */
    const char *path;  /* from its first slash; at the end where there is none */
    const char *end;   /* url + size */
    const char *added; /* what is to be added to the URL */
};

/* The path from the segments `name`, which are whole ones; NULL where it does not have them. */
static const char *find_segments(const struct reading *reading, const char *name)
{
    size_t size = strlen(name);

    for (const char *at = reading->path; at + size <= reading->end; at++) {
        if (strncasecmp(at, name, size) == 0 && (at + size == reading->end || at[size] == '/'))
            return at;
    }
    return NULL;
}

/* Whether the segments are all that is left from `at`. */
static bool is_rest(const struct reading *reading, const char *at, const char *name)
{
    size_t size = strlen(name);

    return (size_t)(reading->end - at) == size && strncasecmp(at, name, size) == 0;
}

/* How many segments are left from `at`, which is at a slash or the end. */
static int count_segments(const struct reading *reading, const char *at)
{
    int count = 0;

    for (; at < reading->end; at++)
        count += *at == '/';
    return count;
}

static weir_status refuse(const struct reading *reading, const char *advice, weir_error *reterr)
{
    return weir_error_set(
        reterr, WEIR_INVALID, "NocoDB base URL: there are no rows under \"%.*s\"; %s",
        (int)(reading->end - reading->path < 200 ? reading->end - reading->path : 200),
        reading->path, advice);
}

static weir_status refuse_table(const struct reading *reading, const char *ending,
                                weir_error *reterr)
{
    char advice[160];

    snprintf(advice, sizeof advice,
             "leave out the table, which each request names: it must end with %s", ending);
    return refuse(reading, advice, reterr);
}

/* ---- The three APIs -------------------------------------------------------------------------- */

static weir_status read_v2(struct reading *reading, const char *rest, weir_error *reterr)
{
    if (rest == reading->end)
        reading->added = "/tables";
    else if (count_segments(reading, rest) > 1 && strncasecmp(rest, "/tables/", 8) == 0)
        return refuse_table(reading, "/api/v2/tables", reterr);
    else if (!is_rest(reading, rest, "/tables"))
        return refuse(reading, "it must end with /api/v2/tables", reterr);
    return WEIR_OK;
}

static weir_status read_v3(const struct reading *reading, const char *rest, const char **ret_base,
                           weir_error *reterr)
{
    if (strncasecmp(rest, "/data/", 6) != 0 || count_segments(reading, rest) < 2)
        return refuse(reading,
                      "it must end with /api/v3/data/{base id}, as the API page of a base shows it",
                      reterr);
    if (count_segments(reading, rest) > 2)
        return refuse_table(reading, "/api/v3/data/{base id}", reterr);
    *ret_base = rest + 6;
    return WEIR_OK;
}

static weir_status read_v1(const struct reading *reading, const char *rest, const char **ret_base,
                           weir_error *reterr)
{
    if (strncasecmp(rest, "/db/data/", 9) != 0 || count_segments(reading, rest) < 4)
        return refuse(reading,
                      "it must end with /api/v2/tables, /api/v3/data/{base id} or "
                      "/api/v1/db/data/noco/{base id}",
                      reterr);
    if (count_segments(reading, rest) > 4)
        return refuse_table(reading, "/api/v1/db/data/noco/{base id}", reterr);
    *ret_base = strchr(rest + 9, '/') + 1;
    return WEIR_OK;
}

static weir_status read_other(struct reading *reading, enum nocodb_api *ret_api, weir_error *reterr)
{
    if (reading->path == reading->end) {
        reading->added = "/api/v2/tables";
        *ret_api = NOCODB_API_V2;
        return WEIR_OK;
    }
    if (find_segments(reading, "/dashboard") != NULL)
        return refuse(reading, "that is NocoDB's page; its API is at {origin}/api/v2/tables",
                      reterr);
    size_t size = (size_t)(reading->end - reading->path);
    if (size >= 8 && strncasecmp(reading->end - 8, "/records", 8) == 0)
        return refuse_table(reading, "/api/v2/tables", reterr);
    if (size >= 4 && strncasecmp(reading->end - 4, "/api", 4) == 0)
        return refuse(reading, "it must end with /api/v2/tables", reterr);
    return WEIR_OK;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static weir_status read_path(struct reading *reading, struct nocodb_address *address,
                             const char **ret_root_end, const char **ret_base, weir_error *reterr)
{
    static const struct {
        const char *name;
        enum nocodb_api api;
    } apis[] = {{"/api/v2", NOCODB_API_V2}, {"/api/v3", NOCODB_API_V3}, {"/api/v1", NOCODB_API_V1}};

    for (size_t i = 0; i < sizeof apis / sizeof *apis; i++) {
        const char *at = find_segments(reading, apis[i].name);
        if (at == NULL)
            continue;
        const char *rest = at + strlen(apis[i].name);
        address->api = apis[i].api;
        *ret_root_end = at;
        if (address->api == NOCODB_API_V2)
            return read_v2(reading, rest, reterr);
        return address->api == NOCODB_API_V3 ? read_v3(reading, rest, ret_base, reterr)
                                             : read_v1(reading, rest, ret_base, reterr);
    }
    *ret_root_end = reading->path;
    return read_other(reading, &address->api, reterr);
}

static struct reading begin(const char *url)
{
    struct reading reading = {.url = url, .size = strlen(url), .added = ""};
    const char *authority = strstr(url, "://");

    while (reading.size > 0 && url[reading.size - 1] == '/')
        reading.size--;
    reading.end = url + reading.size;
    authority = authority != NULL ? authority + 3 : url;
    reading.path = authority < reading.end ? authority + strcspn(authority, "/") : reading.end;
    if (reading.path > reading.end)
        reading.path = reading.end;
    return reading;
}

weir_status nocodb_address_read(const char *url, struct nocodb_address *ret_address,
                                weir_error *reterr)
{
    struct nocodb_address address = {.api = NOCODB_API_OTHER};
    const char *root_end, *base = NULL;

    if (url == NULL || url[strspn(url, "/")] == '\0')
        return weir_error_set(reterr, WEIR_INVALID, "NocoDB base URL not configured");
    if (strpbrk(url, "?#") != NULL)
        return weir_error_set(reterr, WEIR_INVALID,
                              "NocoDB base URL: must end with its path, "
                              "without a query or fragment");
    struct reading reading = begin(url);
    weir_status status = read_path(&reading, &address, &root_end, &base, reterr);
    if (status != WEIR_OK)
        return status;
    address.base_url = text_format("%.*s%s", (int)reading.size, url, reading.added);
    address.root = strndup(url, (size_t)(root_end - url));
    if (base != NULL)
        address.base_id = strndup(base, (size_t)(reading.end - base));
    if (address.base_url == NULL || address.root == NULL ||
        (base != NULL && address.base_id == NULL)) {
        nocodb_address_clear(&address);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "read NocoDB base URL: out of memory");
    }
    *ret_address = address;
    return WEIR_OK;
}

void nocodb_address_clear(struct nocodb_address *address)
{
    free(address->base_url);
    free(address->root);
    free(address->base_id);
    *address = (struct nocodb_address){.api = NOCODB_API_OTHER};
}
