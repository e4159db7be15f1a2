/* SPDX-License-Identifier: MIT */
/* A session's options: checked, and copied with their texts. */
#include "http/options.h"

#include "common/option.h"
#include "http/host.h"
#include "http/no_proxy.h"
#include "http/text.h"
#include "http/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LIMIT 31
#define TEXT_LIMIT 65536

/* ---- numbers ----------------------------------------------------------------------------- */

#define NUMBER(field, low, high) OPTION_FIELD(weir_http_options, OPTION_INT, field, low, high)

static const char *const when_full[] = {"WEIR_HTTP_WHEN_FULL_OVERFLOW", "WEIR_HTTP_WHEN_FULL_BLOCK",
                                        "WEIR_HTTP_WHEN_FULL_FAIL", NULL};

static const struct option_row rows[] = {
    NUMBER(pool_connections, 1, 1024),
    NUMBER(pool_maxsize, 1, 1024),
    NUMBER(max_per_origin, 1, 1024),
    NUMBER(max_total, 1, 1024),
    NUMBER(acquire_timeout_ms, 0, DAY_MS),
    NUMBER(max_waiters, 0, 1000000),
    NUMBER(idle_timeout_ms, 0, DAY_MS),
    NUMBER(max_lifetime_s, -1, 31536000),
    NUMBER(lifetime_jitter_percent, 0, 100),
    NUMBER(connect_timeout_ms, 1, DAY_MS),
    NUMBER(try_timeout_ms, 1, DAY_MS),
    NUMBER(total_timeout_ms, 1, DAY_MS),
    NUMBER(unstated_pause_ms, 0, DAY_MS),
    NUMBER(max_header_bytes, 256, 262144),
    NUMBER(max_error_bytes, 0, 16777216),
    NUMBER(max_expansion, 1, 10000),
    OPTION_FIELD(weir_http_options, OPTION_INT64, max_body_bytes, 0, BODY_LIMIT),
    OPTION_WORDS(weir_http_options, pool_block, NULL, WEIR_HTTP_WHEN_FULL_FAIL, when_full),
};

/* ---- options within ---------------------------------------------------------------------- */

static weir_status check_policies(const weir_http_options *options, weir_error *reterr)
{
    weir_budget budget;
    weir_breaker breaker;
    weir_rate_limiter rate_limit;
    weir_error error;
    const char *name = "retry";
    weir_status status = weir_retry_check(&options->retry, &error);

    if (status == WEIR_OK) {
        name = "budget";
        status = weir_budget_init(&budget, &options->budget, &error);
    }
    if (status == WEIR_OK) {
        name = "breaker";
        status = weir_breaker_init(&breaker, &options->breaker, &error);
    }
    if (status == WEIR_OK) {
        name = "rate_limit";
        status = weir_rate_limiter_init(&rate_limit, &options->rate_limit, &error);
    }
    if (status == WEIR_OK)
        return WEIR_OK;
    return weir_error_set(reterr, status, "%s: %s", name, error.text);
}

/* ---- texts ------------------------------------------------------------------------------- */

struct text_option {
    const char *name;
    size_t offset;
    bool may_be_null;
    bool may_be_empty;
    size_t most;
};

#define TEXT(field, may_be_null, may_be_empty, most)                                               \
    {                                                                                              \
#field, offsetof(weir_http_options, field), may_be_null, may_be_empty, most                \
    }

/* All of them: this table is what is copied, too. */
static const struct text_option texts[] = {
    TEXT(name, false, false, NAME_LIMIT),    TEXT(ca_file, true, false, TEXT_LIMIT),
    TEXT(ca_path, true, false, TEXT_LIMIT),  TEXT(cert_file, true, false, TEXT_LIMIT),
    TEXT(key_file, true, false, TEXT_LIMIT), TEXT(proxy, true, false, TEXT_LIMIT),
    TEXT(no_proxy, true, true, TEXT_LIMIT),  TEXT(user_agent, true, true, TEXT_LIMIT),
};

static const char *text_of(const weir_http_options *options, const struct text_option *option)
{
    const char *text;

    memcpy(&text, (const char *)options + option->offset, sizeof text);
    return text;
}

static void set_text(weir_http_options *options, const struct text_option *option, const char *text)
{
    memcpy((char *)options + option->offset, &text, sizeof text);
}

/* None of them is quoted: one is a proxy with its password. */
static weir_status check_text(const weir_http_options *options, const struct text_option *option,
                              weir_error *reterr)
{
    const char *text = text_of(options, option);
    if (text == NULL && option->may_be_null)
        return WEIR_OK;

    size_t least = option->may_be_empty ? 0 : 1;
    size_t size = text == NULL ? 0 : strnlen(text, option->most + 1);
    if (size < least || size > option->most)
        return weir_error_set(reterr, WEIR_INVALID, "%s: must have %zu to %zu bytes%s",
                              option->name, least, option->most,
                              option->may_be_null && least > 0 ? ", or be NULL" : "");
    for (size_t i = 0; i < size; i++)
        if (weir__is_control(text[i]))
            return weir_error_set(reterr, WEIR_INVALID, "%s: has a control character at byte %zu",
                                  option->name, i + 1);
    return WEIR_OK;
}

static weir_status check_texts(const weir_http_options *options, weir_error *reterr)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        weir_status status = check_text(options, &texts[i], reterr);
        if (status != WEIR_OK)
            return status;
    }
    if (options->key_file != NULL && options->cert_file == NULL)
        return weir_error_set(reterr, WEIR_INVALID, "key_file: needs a cert_file");
    return WEIR_OK;
}

/* ---- the proxy --------------------------------------------------------------------------- */

/* *ret_authority is what follows the scheme. */
static weir_status check_proxy_scheme(const char *proxy, const char **ret_authority,
                                      weir_error *reterr)
{
    static const char *const schemes[] = {"http://", "https://", "socks5h://", "socks5://"};

    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        size_t at = 0;
        while (schemes[i][at] != '\0' && weir__lower(proxy[at]) == schemes[i][at])
            at++;
        if (schemes[i][at] == '\0') {
            *ret_authority = proxy + at;
            return WEIR_OK;
        }
    }
    return weir_error_set(reterr, WEIR_INVALID,
                          "proxy: must begin with http://, https://, socks5h:// or socks5://");
}

/* Host and port as in any other URL; `from` is not the beginning of what was given, so that no
 * position is told. */
static weir_status check_proxy_host(const char *from, size_t size, weir_error *reterr)
{
    char text[5 * ORIGIN_SIZE]; /* what becomes a host may be four times as long */
    struct url url = {0};
    weir_error why;
    int reason_size;
    size_t most = weir__host_is_international(from, size) ? sizeof text : ORIGIN_SIZE;
    if (size > most - sizeof "http://")
        return weir_error_set(reterr, WEIR_INVALID, "proxy: its host is too long");

    snprintf(text, sizeof text, "http://%.*s", (int)size, from);
    weir_status status = weir__url_parse(text, &url, &why);
    weir__url_clear(&url);
    if (status == WEIR_OK)
        return WEIR_OK;
    const char *reason = weir__url_reason(&why, &reason_size);
    return weir_error_set(reterr, status, "proxy: %.*s", reason_size, reason);
}

/* Where the host begins, and host and port end: behind a user and password, if there is an "@". */
static const char *find_proxy_host(const char *authority, const char **ret_end)
{
    size_t size = strcspn(authority, "/?#");
    const char *at = memchr(authority, '@', size);

    *ret_end = authority + size;
    return at == NULL ? authority : at + 1;
}

/* Only a host may be of another script. */
static weir_status check_proxy_characters(const char *proxy, const char *host, const char *end,
                                          weir_error *reterr)
{
    for (const char *at = proxy; *at != '\0'; at++)
        if (*at == ' ' || ((unsigned char)*at >= 0x80 && (at < host || at >= end)))
            return weir_error_set(reterr, WEIR_INVALID,
                                  "proxy, position %zu: this character must be percent-encoded",
                                  (size_t)(at - proxy) + 1);
    return WEIR_OK;
}

/* A user and password end at the one "@". */
static weir_status check_proxy_parts(const char *proxy, const char *authority, weir_error *reterr)
{
    const char *end;
    const char *host = find_proxy_host(authority, &end);
    weir_status status = check_proxy_characters(proxy, host, end, reterr);
    if (status != WEIR_OK)
        return status;

    if (*end != '\0' && strcmp(end, "/") != 0)
        return weir_error_set(reterr, WEIR_INVALID,
                              "proxy: must have nothing after host and port; "
                              "a / ? or # before is percent-encoded");
    if (memchr(host, '@', (size_t)(end - host)) != NULL)
        return weir_error_set(reterr, WEIR_INVALID,
                              "proxy: an @ in a user or password must be percent-encoded");
    return check_proxy_host(host, (size_t)(end - host), reterr);
}

static weir_status check_proxy(const weir_http_options *options, weir_error *reterr)
{
    const char *proxy = options->proxy;
    const char *authority = proxy;
    if (options->proxy_from_environment && (proxy != NULL || options->no_proxy != NULL))
        return weir_error_set(reterr, WEIR_INVALID,
                              "proxy_from_environment: not together with proxy or no_proxy");
    if (options->no_proxy != NULL) {
        weir_status status = weir__no_proxy_check(options->no_proxy, "no_proxy", reterr);
        if (status != WEIR_OK)
            return status;
    }
    if (proxy == NULL)
        return WEIR_OK;

    weir_status status = check_proxy_scheme(proxy, &authority, reterr);
    return status == WEIR_OK ? check_proxy_parts(proxy, authority, reterr) : status;
}

/* ------------------------------------------------------------------------------------------ */

weir_status weir__http_options_check(const weir_http_options *options, weir_error *reterr)
{
    weir_status status = option_check_all(options, rows, COUNT_OF(rows), reterr);

    if (status == WEIR_OK)
        status = check_policies(options, reterr);
    if (status == WEIR_OK)
        status = check_texts(options, reterr);
    if (status == WEIR_OK)
        status = check_proxy(options, reterr);
    return status;
}

/* A probe that comes back when its permit has gone to another is not heard: then a server that only
 * hangs would keep its breaker half-open for ever. */
static int lease_of(const weir_http_options *options)
{
    int least = options->try_timeout_ms > DAY_MS / 2 ? DAY_MS : 2 * options->try_timeout_ms;
    int lease = options->breaker.permit_lease_ms;

    return lease > least ? lease : least;
}

/* The proxy with its host as it is looked up; it was checked. malloc'ed. */
static char *copy_proxy(const char *proxy)
{
    char ascii[HOST_LIMIT + 1];
    struct host_fault fault;
    const char *end;
    const char *host = find_proxy_host(strstr(proxy, "://") + 3, &end);
    size_t size = (size_t)(end - host);
    if (!weir__host_is_international(host, size))
        return strdup(proxy);

    const char *colon = memchr(host, ':', size);
    size = colon == NULL ? size : (size_t)(colon - host);
    char *copy = malloc(strlen(proxy) + sizeof ascii);
    if (copy == NULL || weir__host_to_ascii(host, size, ascii, &fault) != WEIR_OK) {
        free(copy);
        return NULL;
    }
    char *at = stpncpy(copy, proxy, (size_t)(host - proxy));
    strcpy(stpcpy(at, ascii), host + size);
    return copy;
}

static char *copy_text(const struct text_option *option, const char *text)
{
    bool is_proxy = option->offset == offsetof(weir_http_options, proxy);

    return is_proxy ? copy_proxy(text) : strdup(text);
}

weir_status weir__http_options_copy(const weir_http_options *options, weir_http_options *ret_copy,
                                    weir_error *reterr)
{
    weir_http_options copy = *options;
    bool is_whole = true;

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const char *text = text_of(options, &texts[i]);
        char *own = text == NULL || !is_whole ? NULL : copy_text(&texts[i], text);

        is_whole = is_whole && (text == NULL || own != NULL);
        set_text(&copy, &texts[i], own);
    }
    if (!is_whole) {
        weir__http_options_clear(&copy);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "options: out of memory");
    }
    copy.breaker.permit_lease_ms = lease_of(options);
    *ret_copy = copy;
    return WEIR_OK;
}

void weir__http_options_clear(weir_http_options *copy)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char *text;

        memcpy(&text, (const char *)copy + texts[i].offset, sizeof text);
        if (text != NULL)
            explicit_bzero(text, strlen(text));
        free(text);
        set_text(copy, &texts[i], NULL);
    }
}
