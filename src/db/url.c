/* SPDX-License-Identifier: MIT */
/* The parser of database URLs. No error of this file quotes the URL: any part may be a password. */
#include "db/url.h"

#include "common/hex.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is read, where the decoded strings go, and who hears of the first fault. */
struct parser {
    const char *text;
    const char *end;
    char *room; /* next free byte of the storage; it is large enough for all by its size */
    weir_error *reterr;
};

/* ---- leaves ------------------------------------------------------------------------------ */

static weir_status invalid_at(const struct parser *p, const char *at, const char *expected)
{
    return weir_error_set(p->reterr, WEIR_INVALID, "database URL, position %zu: %s",
                          (size_t)(at - p->text) + 1, expected);
}

/* Append [from, to) decoded, without a terminator. */
static weir_status decode(struct parser *p, const char *from, const char *to)
{
    for (const char *at = from; at < to; at++) {
        if (*at != '%') {
            *p->room++ = *at;
            continue;
        }
        int byte = percent_read(at, to);
        if (byte < 0)
            return invalid_at(p, at, "expected two hexadecimal digits after %");
        if (byte == 0)
            return invalid_at(p, at, "%00 is not allowed");
        *p->room++ = (char)byte;
        at += 2;
    }
    return WEIR_OK;
}

/* Decode [from, to) into a string of its own. */
static weir_status decode_part(struct parser *p, const char *from, const char *to,
                               const char **ret_part)
{
    char *start = p->room;
    weir_status status = decode(p, from, to);
    if (status != WEIR_OK)
        return status;

    *p->room++ = '\0';
    *ret_part = start;
    return WEIR_OK;
}

static const char *find(const char *from, const char *to, char c)
{
    const char *found = memchr(from, c, (size_t)(to - from));

    return found == NULL ? to : found;
}

static const char *find_last(const char *from, const char *to, char c)
{
    while (to > from)
        if (*--to == c)
            return to;
    return NULL;
}

/* ---- scheme ------------------------------------------------------------------------------ */

static const char *engine_of_scheme(const char *scheme, size_t size)
{
    static const struct {
        const char *scheme;
        const char *engine;
    } known[] = {
#ifdef WEIR_WITH_SQLITE
        {"sqlite", "sqlite"},
#endif
#ifdef WEIR_WITH_POSTGRES
        {"postgresql", "postgresql"},
        {"postgres", "postgresql"},
#endif
        {NULL, NULL},
    };

    for (size_t i = 0; known[i].scheme != NULL; i++)
        if (strlen(known[i].scheme) == size && strncasecmp(known[i].scheme, scheme, size) == 0)
            return known[i].engine;
    return NULL;
}

static bool is_scheme_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* `engine://` or `engine+driver://`; *ret_at is what follows. */
static weir_status parse_scheme(struct parser *p, struct weir_url *url, const char **ret_at)
{
    const char *at = p->text;
    if (strncasecmp(at, "jdbc:", 5) == 0)
        return weir_error_set(
            p->reterr, WEIR_UNSUPPORTED,
            "database URL: \"jdbc:\" is for Java: leave it out, and write user and "
            "password as in postgresql://user:password@host/database");
    while (at < p->end && is_scheme_char(*at))
        at++;
    size_t size = (size_t)(at - p->text);
    if (at < p->end && *at == '+' && size > 0)
        for (at++; at < p->end && is_scheme_char(*at);)
            at++;
    if (size == 0 || p->end - at < 3 || memcmp(at, "://", 3) != 0)
        return invalid_at(p, at,
                          "expected a scheme and ://, as in sqlite:///file.db or "
                          "postgresql://user@host/database");

    url->engine = engine_of_scheme(p->text, size);
    if (url->engine == NULL)
        return weir_error_set(p->reterr, WEIR_UNSUPPORTED,
                              "database URL: this build has no driver for \"%.*s\"",
                              size > 32 ? 32 : (int)size, p->text);
    *ret_at = at + 3;
    return WEIR_OK;
}

/* ---- where the database is --------------------------------------------------------------- */

static weir_status parse_sqlite_path(struct parser *p, struct weir_url *url, const char *from,
                                     const char *to)
{
    if (from < to && *from != '/')
        return invalid_at(p, from,
                          "expected a third slash: sqlite:///relative.db or "
                          "sqlite:////absolute.db");
    if (to - from <= 1) {
        url->database = ":memory:";
        return WEIR_OK;
    }
    return decode_part(p, from + 1, to, &url->database);
}

static weir_status parse_user(struct parser *p, struct weir_url *url, const char *from,
                              const char *to)
{
    const char *colon = find(from, to, ':');
    weir_status status = WEIR_OK;

    if (colon > from)
        status = decode_part(p, from, colon, &url->user);
    if (status == WEIR_OK && colon < to)
        status = decode_part(p, colon + 1, to, &url->password);
    return status;
}

static weir_status check_port(struct parser *p, const char *from, const char *to)
{
    unsigned long port = 0;

    for (const char *at = from; at < to; at++) {
        if (*at < '0' || *at > '9')
            return invalid_at(p, at, "expected a port of digits only");
        port = port * 10 + (unsigned long)(*at - '0');
        if (port > 65535)
            return invalid_at(p, from, "expected a port from 1 to 65535");
    }
    if (to > from && port == 0)
        return invalid_at(p, from, "expected a port from 1 to 65535");
    return WEIR_OK;
}

/* The end of the host and the start of its port (NULL: none) within one `host:port`. */
static weir_status split_host(struct parser *p, const char **from, const char *to,
                              const char **ret_host_end, const char **ret_port)
{
    *ret_port = NULL;
    if (*from < to && **from == '[') {
        const char *close = find(*from, to, ']');
        if (close == to)
            return invalid_at(p, *from, "expected ] after an IPv6 address");
        if (close + 1 < to && close[1] != ':')
            return invalid_at(p, close + 1, "expected : and a port after ]");
        *ret_port = close + 1 < to ? close + 2 : NULL;
        *ret_host_end = close;
        (*from)++;
        return WEIR_OK;
    }

    const char *colon = find(*from, to, ':');
    *ret_host_end = colon;
    if (colon < to)
        *ret_port = colon + 1;
    return WEIR_OK;
}

/* The ports of a list of hosts, as libpq wants them: beside the hosts, not behind each. */
struct ports {
    char text[1024];
    size_t size;
    bool has_any;
};

static bool add_to_ports(struct ports *ports, const char *from, const char *to)
{
    size_t size = (size_t)(to - from);
    if (size > sizeof ports->text - ports->size)
        return false;

    memcpy(ports->text + ports->size, from, size);
    ports->size += size;
    return true;
}

/* One `host:port` that ends at `to`. */
static weir_status parse_host(struct parser *p, const char *from, const char *to,
                              struct ports *ports)
{
    const char *host_end = to;
    const char *port = NULL;
    weir_status status = split_host(p, &from, to, &host_end, &port);
    if (status == WEIR_OK)
        status = decode(p, from, host_end);
    if (status != WEIR_OK || port == NULL)
        return status;

    ports->has_any |= port < to;
    if (!add_to_ports(ports, port, to))
        return invalid_at(p, from, "too many hosts");
    return check_port(p, port, to);
}

/* `host:port,host:port`: the hosts joined by commas into one string, the ports into the other. */
static weir_status parse_hosts(struct parser *p, struct weir_url *url, const char *from,
                               const char *to)
{
    struct ports ports = {.size = 0};
    char *hosts = p->room;

    for (const char *at = from;; at++) {
        const char *end = find(at, to, ',');
        weir_status status = parse_host(p, at, end, &ports);
        if (status != WEIR_OK)
            return status;
        at = end;
        if (at == to)
            break;
        *p->room++ = ',';
        if (!add_to_ports(&ports, at, at + 1))
            return invalid_at(p, at, "too many hosts");
    }
    *p->room++ = '\0';
    if (hosts[0] != '\0')
        url->host = hosts;
    if (ports.has_any) {
        url->port = memcpy(p->room, ports.text, ports.size);
        p->room += ports.size;
        *p->room++ = '\0';
    }
    return WEIR_OK;
}

/* `user:pass/word@host` would make "pass" a port and show the rest as the database: refuse it. */
static weir_status refuse_cut_password(struct parser *p, const char *slash, const char *to)
{
    if (find(slash, to, '@') == to)
        return WEIR_OK;
    return invalid_at(p, slash,
                      "write / as %2F in a user name or password, and @ as %40 in the "
                      "name of a database");
}

static weir_status parse_network(struct parser *p, struct weir_url *url, const char *from,
                                 const char *to)
{
    const char *slash = find(from, to, '/');
    const char *at_sign = find_last(from, slash, '@');
    const char *hosts = at_sign == NULL ? from : at_sign + 1;
    weir_status status = WEIR_OK;

    if (at_sign != NULL)
        status = parse_user(p, url, from, at_sign);
    else
        status = refuse_cut_password(p, slash, to);
    if (status == WEIR_OK)
        status = parse_hosts(p, url, hosts, slash);
    if (status == WEIR_OK && to - slash > 1)
        status = decode_part(p, slash + 1, to, &url->database);
    return status;
}

/* ---- query ------------------------------------------------------------------------------- */

bool weir__url_option_is_secret(const char *name)
{
    return strcasestr(name, "pass") != NULL || strcasestr(name, "sslkey") != NULL ||
           strcasestr(name, "secret") != NULL || strcasestr(name, "token") != NULL;
}

static weir_status parse_query(struct parser *p, struct weir_url *url, const char *from)
{
    for (const char *at = from; at < p->end;) {
        const char *end = find(at, p->end, '&');
        const char *equals = find(at, end, '=');
        if (equals == at || equals == end)
            return invalid_at(p, at, "expected option=value");

        struct url_option *option = &url->options[url->option_count];
        weir_status status = decode_part(p, at, equals, &option->name);
        if (status == WEIR_OK)
            status = decode_part(p, equals + 1, end, &option->value);
        if (status != WEIR_OK)
            return status;
        option->is_taken = false;
        url->option_count++;
        at = end < p->end ? end + 1 : end;
    }
    return WEIR_OK;
}

/* ---- redaction --------------------------------------------------------------------------- */

static void append(struct parser *p, const char *from, const char *to)
{
    memcpy(p->room, from, (size_t)(to - from));
    p->room += to - from;
}

static void append_stars(struct parser *p)
{
    memcpy(p->room, "***", 3);
    p->room += 3;
}

/* Copy the URL as it was written, secrets as stars. `authority` follows the ://. */
static void redact(struct parser *p, struct weir_url *url, const char *authority, const char *query)
{
    char *start = p->room;
    const char *rest = authority;

    append(p, p->text, authority);
    if (url->password != NULL) {
        const char *path = find(authority, query, '/');
        append(p, authority, find(authority, path, ':') + 1);
        append_stars(p);
        rest = find_last(authority, path, '@');
    }
    append(p, rest, query);
    for (size_t i = 0; i < url->option_count; i++) {
        /* `query` stands on the ? or & before this option. */
        const char *end = find(query + 1, p->end, '&');
        const char *value = find(query, end, '=') + 1;
        append(p, query, value);
        if (weir__url_option_is_secret(url->options[i].name))
            append_stars(p);
        else
            append(p, value, end);
        query = end;
    }
    *p->room++ = '\0';
    url->redacted = start;
}

/* ---- the whole --------------------------------------------------------------------------- */

static weir_status parse(struct parser *p, struct weir_url *url)
{
    for (const char *at = p->text; at < p->end; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            return invalid_at(p, at, "control characters must be percent-encoded");

    const char *authority = p->end;
    weir_status status = parse_scheme(p, url, &authority);
    if (status != WEIR_OK)
        return status;

    const char *query = find(authority, p->end, '?');
    if (strcmp(url->engine, "sqlite") == 0)
        status = parse_sqlite_path(p, url, authority, query);
    else
        status = parse_network(p, url, authority, query);
    if (status == WEIR_OK && query < p->end)
        status = parse_query(p, url, query + 1);
    if (status == WEIR_OK)
        redact(p, url, authority, query);
    return status;
}

/* One block: the URL, its options, then the strings. Decoded parts are never longer than what they
 * stand for; hosts, ports and options add separators and terminators; the redacted copy comes on
 * top, with stars for at most the password and every option. */
static struct weir_url *new_url(const char *text, size_t length)
{
    size_t options = 1;
    for (const char *at = text; *at != '\0'; at++)
        options += *at == '&';

    size_t head = sizeof(struct weir_url) + options * sizeof(struct url_option);
    size_t strings = 2 * length + 8 + 2 * options + length + 3 * (options + 1) + 1;
    struct weir_url *url = calloc(1, head + strings);
    if (url == NULL)
        return NULL;
    url->options = (struct url_option *)(url + 1);
    url->storage = (char *)url + head;
    url->storage_size = strings;
    return url;
}

weir_status weir_url_parse(const char *text, weir_url **ret_url, weir_error *reterr)
{
    size_t length = strlen(text);
    struct weir_url *url = new_url(text, length);
    if (url == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "database URL: out of memory");

    struct parser p = {text, text + length, url->storage, reterr};
    weir_status status = parse(&p, url);
    if (status != WEIR_OK) {
        weir_url_close(url);
        return status;
    }
    *ret_url = url;
    return WEIR_OK;
}

void weir_url_close(weir_url *url)
{
    if (url == NULL)
        return;
    explicit_bzero(url->storage, url->storage_size);
    free(url);
}

const char *weir_url_engine(const weir_url *url)
{
    return url->engine;
}

const char *weir_url_redacted(const weir_url *url)
{
    return url->redacted;
}
