/* SPDX-License-Identifier: MIT */
/* The hosts that are reached without a proxy. */
#include "http/no_proxy.h"

#include "http/host.h"
#include "http/text.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* What one entry says. */
struct entry {
    enum { ENTRY_ALL, ENTRY_NAME, ENTRY_ADDRESS } kind;
    const char *name; /* `size` bytes, without a dot at either end */
    size_t size;
    bool is_below; /* *.name: the name itself is not meant */
    int family;
    unsigned char address[16];
    unsigned bits; /* of the address, that count */
    unsigned port; /* 0: any */
};

/* One entry while it is read: [at, end) is what is left of it. */
struct reading {
    const char *at;
    const char *end;
    const char *fault; /* what is wrong at `at`; NULL: nothing yet */
};

static bool fail(struct reading *r, const char *at, const char *fault)
{
    r->at = at;
    r->fault = fault;
    return false;
}

/* ---- parts ------------------------------------------------------------------------------- */

/* Digits up to the end, from `low` to `high`. */
static bool read_number(struct reading *r, unsigned low, unsigned high, const char *fault,
                        unsigned *ret_number)
{
    unsigned number = 0;

    if (r->at == r->end)
        return fail(r, r->at, fault);
    for (const char *digit = r->at; digit < r->end; digit++) {
        if (!weir__is_digit(*digit))
            return fail(r, digit, fault);
        number = number * 10 + (unsigned)(*digit - '0');
        if (number > high)
            return fail(r, r->at, fault);
    }
    if (number < low)
        return fail(r, r->at, fault);
    *ret_number = number;
    return true;
}

/* What may follow a host: nothing, or a port. */
static bool read_port(struct reading *r, struct entry *entry)
{
    if (r->at == r->end)
        return true;
    r->at++; /* the colon */
    return read_number(r, 1, 65535, "expected a port from 1 to 65535", &entry->port);
}

/* What may follow an address: nothing, a port, or how many of its bits count. */
static bool read_after_address(struct reading *r, struct entry *entry)
{
    entry->bits = entry->family == AF_INET ? 32 : 128;
    if (r->at == r->end || *r->at == ':')
        return read_port(r, entry);
    if (*r->at != '/')
        return fail(r, r->at, "expected a / or a port after an address");
    r->at++;
    return read_number(r, 0, entry->bits,
                       entry->family == AF_INET ? "expected a number of bits up to 32"
                                                : "expected a number of bits up to 128",
                       &entry->bits);
}

/* The address of `size` bytes at `from`, which goes on at `next`. */
static bool read_address(struct reading *r, struct entry *entry, const char *from, size_t size,
                         const char *next)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (size < sizeof text)
        memcpy(text, from, size);
    entry->kind = ENTRY_ADDRESS;
    if (inet_pton(entry->family, text, entry->address) != 1)
        return fail(r, from,
                    entry->family == AF_INET ? "expected an IPv4 address of four numbers"
                                             : "expected an IPv6 address, without a zone");
    r->at = next;
    return read_after_address(r, entry);
}

static bool read_ipv6(struct reading *r, struct entry *entry)
{
    const char *close = memchr(r->at, ']', (size_t)(r->end - r->at));
    const char *slash = memchr(r->at, '/', (size_t)(r->end - r->at));

    entry->family = AF_INET6;
    if (*r->at != '[') {
        const char *end = slash == NULL ? r->end : slash;
        return read_address(r, entry, r->at, (size_t)(end - r->at), end);
    }
    if (close == NULL)
        return fail(r, r->at, "expected ] after an IPv6 address");
    return read_address(r, entry, r->at + 1, (size_t)(close - r->at - 1), close + 1);
}

/* ---- names ------------------------------------------------------------------------------- */

static bool is_name_char(char c)
{
    return weir__is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
}

/* Whether the last label has digits only, as IPv4 addresses do, and no name of a host does. */
static bool ends_with_number(const char *name, size_t size)
{
    while (size > 0 && weir__is_digit(name[size - 1]))
        size--;
    return size == 0 || name[size - 1] == '.';
}

static bool check_name(struct reading *r, const char *name, size_t size)
{
    if (size == 0)
        return fail(r, name, "expected a host");
    if (size > HOST_LIMIT)
        return fail(r, name, "a host has at most 254 characters");
    for (size_t i = 0; i + 1 < size; i++)
        if (name[i] == '.' && name[i + 1] == '.')
            return fail(r, name + i + 1, "expected a name between two dots");
    return true;
}

static bool read_name(struct reading *r, struct entry *entry)
{
    const char *from = r->at;

    if (r->end - from >= 2 && memcmp(from, "*.", 2) == 0) {
        entry->is_below = true;
        from += 2;
    } else if (*from == '.') {
        from++;
    }
    const char *end = from;
    while (end < r->end && is_name_char(*end))
        end++;
    if (end < r->end && *end == '*')
        return fail(r, end, "a * must stand alone, or before the dot of a domain");
    if (end < r->end && *end == '/' && ends_with_number(from, (size_t)(end - from))) {
        entry->family = AF_INET;
        return read_address(r, entry, from, (size_t)(end - from), end);
    }
    if (end < r->end && *end != ':')
        return fail(r, end, "this character is not allowed in a host");

    size_t size = (size_t)(end - from);
    if (size > 0 && from[size - 1] == '.')
        size--;
    if (!check_name(r, from, size))
        return false;
    if (ends_with_number(from, size)) {
        entry->family = AF_INET;
        return from == r->at ? read_address(r, entry, from, size, end)
                             : fail(r, from, "expected a domain, not an address");
    }
    entry->kind = ENTRY_NAME;
    entry->name = from;
    entry->size = size;
    r->at = end;
    return read_port(r, entry);
}

/* ---- entries ----------------------------------------------------------------------------- */

static bool read_all(struct reading *r, struct entry *entry)
{
    entry->kind = ENTRY_ALL;
    r->at++;
    return read_port(r, entry);
}

static bool read_entry(struct reading *r, struct entry *entry)
{
    size_t size = (size_t)(r->end - r->at);
    const char *colon = memchr(r->at, ':', size);
    bool is_ipv6 = *r->at == '[' ||
                   (colon != NULL && memchr(colon + 1, ':', (size_t)(r->end - colon - 1)) != NULL);

    *entry = (struct entry){0};
    if (*r->at == '*' && (size == 1 || r->at[1] == ':'))
        return read_all(r, entry);
    return is_ipv6 ? read_ipv6(r, entry) : read_name(r, entry);
}

/* The next entry of a list, from *at on; false: there is none. */
static bool next_entry(const char **at, struct reading *ret_reading)
{
    const char *entry;
    size_t size;

    if (!weir__next_element(at, &entry, &size))
        return false;
    *ret_reading = (struct reading){.at = entry, .end = entry + size};
    return true;
}

/* ---- names of other scripts -------------------------------------------------------------- */

/* An entry, and the same as it is compared, in which the host is ASCII. */
struct ascii_entry {
    const char *at;
    size_t size;
    char *ascii;
    size_t host; /* where it stands, in both */
    size_t host_size;
    size_t ascii_size;
};

static weir_status host_to_ascii(struct ascii_entry *e, struct host_fault *ret_fault)
{
    char room[HOST_LIMIT + 1] = "";
    const char *host = e->at + e->host;
    weir_status status = weir__host_to_ascii(host, e->host_size, room, ret_fault);

    if (status != WEIR_OK)
        return status;
    size_t rest = e->size - e->host - e->host_size;
    e->ascii_size = strlen(room);
    memcpy(e->ascii, e->at, e->host);
    memcpy(e->ascii + e->host, room, e->ascii_size);
    memcpy(e->ascii + e->host + e->ascii_size, host + e->host_size, rest);
    return WEIR_OK;
}

/* Write an entry as it is compared. */
static weir_status to_ascii(struct ascii_entry *e, struct host_fault *ret_fault)
{
    const char *at = e->at;

    if (!weir__host_is_international(e->at, e->size)) {
        e->host_size = e->ascii_size = e->size;
        memcpy(e->ascii, e->at, e->size);
        return WEIR_OK;
    }
    if (e->size >= 2 && memcmp(at, "*.", 2) == 0)
        at++;
    at += *at == '.';
    e->host = (size_t)(at - e->at);
    while (e->host + e->host_size < e->size && *at != ':' && *at != '/') {
        e->host_size++;
        at++;
    }
    return host_to_ascii(e, ret_fault);
}

/* Write one entry at *to, if it means something. */
static weir_status copy_entry(const struct reading *r, char **to, struct host_fault *ret_fault)
{
    struct ascii_entry e = {.at = r->at, .size = (size_t)(r->end - r->at), .ascii = *to};
    struct entry entry;
    weir_status status = to_ascii(&e, ret_fault);
    if (status != WEIR_OK)
        return status;

    *to += e.size - e.host_size + e.ascii_size;
    struct reading again = {.at = e.ascii, .end = *to};
    if (read_entry(&again, &entry))
        return WEIR_OK;
    size_t at = (size_t)(again.at - e.ascii);
    if (at >= e.host + e.ascii_size)
        at = at - e.ascii_size + e.host_size;
    else if (e.host_size < e.size)
        at = at < e.host ? at : e.host;
    *ret_fault = (struct host_fault){e.at + at, again.fault};
    return WEIR_INVALID;
}

/* The most bytes of a list in ASCII. */
static size_t most_bytes(const char *list)
{
    struct reading reading;
    size_t size = strlen(list) + 2;

    while (next_entry(&list, &reading))
        if (weir__host_is_international(reading.at, (size_t)(reading.end - reading.at)))
            size += HOST_LIMIT;
    return size;
}

weir_status weir__no_proxy_copy(const char *list, const char *name, char **ret_list,
                                weir_error *reterr)
{
    char *copy = malloc(most_bytes(list));
    const char *at = list;
    char *to = copy;
    struct reading reading;
    struct host_fault fault = {list, ""};
    weir_status status = WEIR_OK;
    if (copy == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "%s: out of memory", name);

    while (status == WEIR_OK && next_entry(&at, &reading)) {
        status = copy_entry(&reading, &to, &fault);
        *to++ = ',';
    }
    *to = '\0';
    if (status == WEIR_OK) {
        *ret_list = copy;
        return WEIR_OK;
    }
    free(copy);
    if (status == WEIR_NO_MEMORY)
        return weir_error_set(reterr, status, "%s: out of memory", name);
    return weir_error_set(reterr, status, "%s, position %zu: %s", name,
                          (size_t)(fault.at - list) + 1, fault.what);
}

weir_status weir__no_proxy_check(const char *list, const char *name, weir_error *reterr)
{
    char *copy = NULL;
    weir_status status = weir__no_proxy_copy(list, name, &copy, reterr);

    free(copy);
    return status;
}

/* ---- who is meant ------------------------------------------------------------------------ */

/* An origin taken apart; `host` is without the brackets of IPv6 and a dot at its end. */
struct target {
    char host[HOST_LIMIT + 2];
    size_t size;
    unsigned port;
    int family; /* of its address; 0: it is a name */
    unsigned char address[16];
};

static struct target take_apart(const char *origin)
{
    struct target target = {.family = 0};
    const char *host = strstr(origin, "://") + 3;
    const char *colon = strrchr(host, ':');
    bool is_ipv6 = *host == '[';
    const char *from = host + is_ipv6;

    target.size = (size_t)(colon - from) - is_ipv6;
    if (target.size >= sizeof target.host)
        target.size = sizeof target.host - 1;
    memcpy(target.host, from, target.size);
    target.port = (unsigned)strtoul(colon + 1, NULL, 10);
    if (target.size > 0 && target.host[target.size - 1] == '.')
        target.host[--target.size] = '\0';
    if (is_ipv6 && inet_pton(AF_INET6, target.host, target.address) == 1)
        target.family = AF_INET6;
    else if (inet_pton(AF_INET, target.host, target.address) == 1)
        target.family = AF_INET;
    return target;
}

static bool is_same_text(const char *text, const char *other, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (weir__lower(text[i]) != weir__lower(other[i]))
            return false;
    return true;
}

static bool is_meant_by_name(const struct entry *entry, const struct target *target)
{
    if (target->family != 0 || target->size < entry->size)
        return false;

    size_t before = target->size - entry->size;
    if (!is_same_text(target->host + before, entry->name, entry->size))
        return false;
    return before == 0 ? !entry->is_below : target->host[before - 1] == '.';
}

static bool is_meant_by_address(const struct entry *entry, const struct target *target)
{
    size_t bytes = entry->bits / 8;
    unsigned rest = entry->bits % 8;

    if (entry->family != target->family || memcmp(entry->address, target->address, bytes) != 0)
        return false;
    return rest == 0 || ((entry->address[bytes] ^ target->address[bytes]) >> (8 - rest)) == 0;
}

static bool is_meant(const struct entry *entry, const struct target *target)
{
    if (entry->port != 0 && entry->port != target->port)
        return false;
    if (entry->kind == ENTRY_ALL)
        return true;
    return entry->kind == ENTRY_NAME ? is_meant_by_name(entry, target)
                                     : is_meant_by_address(entry, target);
}

bool weir__no_proxy_has(const char *list, const char *origin)
{
    struct target target = take_apart(origin);
    struct reading reading;
    struct entry entry;

    if (list == NULL)
        return false;
    while (next_entry(&list, &reading))
        if (read_entry(&reading, &entry) && is_meant(&entry, &target))
            return true;
    return false;
}
