/* SPDX-License-Identifier: MIT */
/* Names of hosts: checked, and those of other scripts turned into ASCII by libidn2. */
#include "http/host.h"

#include "http/text.h"

#include <idn2.h>
#include <string.h>

/* The most bytes of a name that can become HOST_LIMIT characters, but for what is mapped to nothing. */
#define NAME_LIMIT (4 * HOST_LIMIT)

static const char no_name_character[] = "this character is not allowed in a host";
static const char no_host[] = "expected a host";
static const char no_label[] = "expected a name, and a dot only between two names";
static const char long_label[] = "a label of a host has at most 63 characters";
static const char long_name[] = "a host has at most 254 characters";

static bool is_ascii(char c)
{
    return (unsigned char)c < 0x80;
}

/* With nothing to decode, and nothing that another parser could take for the end of the name. */
static bool is_name_character(char c)
{
    return weir__is_alphanumeric(c) || c == '-' || c == '.' || c == '_';
}

bool weir__host_is_international(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!is_ascii(name[i]))
            return true;
    return false;
}

/* ---- a name of ASCII --------------------------------------------------------------------- */

/* The first fault of a name of ASCII, whose end is a zero; NULL: there is none. */
static const char *find_fault(const char *name, const char **ret_at)
{
    *ret_at = name;
    if (*name == '\0')
        return no_host;
    while (*name != '\0') {
        size_t size = strcspn(name, ".");

        for (size_t i = 0; i < size; i++)
            if (!is_name_character(name[i]))
                return *ret_at = name + i, no_name_character;
        *ret_at = name;
        if (size == 0 || size > 63)
            return size == 0 ? no_label : long_label;
        name += size + (name[size] == '.');
    }
    return NULL;
}

/* ---- of another script ------------------------------------------------------------------- */

/* The next character of a text of UTF-8 that is well-formed. */
static unsigned next_character(const char **at)
{
    unsigned char first = (unsigned char)*(*at)++;
    unsigned character = first < 0xC0 ? first : first < 0xE0 ? first & 0x1F : first & 0x0F;

    if (first >= 0xF0)
        character = first & 0x07;
    while (((unsigned char)**at & 0xC0) == 0x80)
        character = character << 6 | ((unsigned char)*(*at)++ & 0x3F);
    return character;
}

/*
 * Whether a name means the same by transitional processing, which libidn2 does without a look at the
 * tables of IDNA 2008 and at the rules for two directions: those have no symbols, and so no emoji, which
 * UTS #46 allows. False where there is one of the four characters that it treats otherwise, or one of a
 * script that is written from right to left.
 */
static bool is_same_in_transition(const char *name)
{
    while (*name != '\0') {
        unsigned c = next_character(&name);

        if (c == 0xDF || c == 0x1E9E || c == 0x3C2 || c == 0x200C || c == 0x200D)
            return false;
        if ((c >= 0x590 && c < 0x900) || (c >= 0x200E && c < 0x2070) ||
            (c >= 0xFB1D && c < 0xFE00) || (c >= 0xFE70 && c < 0xFF00) ||
            (c >= 0x10800 && c < 0x11000) || (c >= 0x1E800 && c < 0x1F000))
            return false;
    }
    return true;
}

static const char *describe(int code)
{
    switch (code) {
    case IDN2_ENCODING_ERROR:
        return "a host that is not ASCII must be UTF-8";
    case IDN2_PUNYCODE_BIG_OUTPUT:
    case IDN2_TOO_BIG_LABEL:
        return "a label of a host has at most 63 characters in its xn-- form";
    case IDN2_TOO_BIG_DOMAIN:
        return long_name;
    case IDN2_HYPHEN_STARTEND:
        return "an international name must not begin or end with a hyphen";
    case IDN2_2HYPHEN:
        return "an international name must not have hyphens as its third and fourth characters";
    case IDN2_LEADING_COMBINING:
        return "a name must not begin with a combining mark";
    case IDN2_BIDI:
        return "a name must not mix directions of writing";
    case IDN2_PUNYCODE_BAD_INPUT:
    case IDN2_PUNYCODE_OVERFLOW:
    case IDN2_INVALID_ALABEL:
    case IDN2_UALABEL_MISMATCH:
    case IDN2_ALABEL_ROUNDTRIP_FAILED:
        return "this xn-- name is not a valid international name";
    default:
        return "this name has a character that is not allowed in a host";
    }
}

/* Convert a name that ends with a zero. *ret_what: what is wrong with it; NULL: nothing. */
static weir_status convert(const char *name, char *ret_ascii, const char **ret_what)
{
    uint8_t *ascii = NULL;
    const uint8_t *from = (const uint8_t *)name;
    const char *at;
    int code = idn2_lookup_u8(from, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (code == IDN2_DISALLOWED && is_same_in_transition(name))
        code = idn2_lookup_u8(from, &ascii, IDN2_NFC_INPUT | IDN2_TRANSITIONAL);
    if (code == IDN2_MALLOC)
        return WEIR_NO_MEMORY;

    *ret_what = describe(code);
    if (code == IDN2_OK)
        *ret_what = find_fault((const char *)ascii, &at);
    /* What a character was mapped to, "a/c" for example, is not what the user sees there. */
    if (*ret_what == no_name_character)
        *ret_what = describe(IDN2_DISALLOWED);
    size_t size = *ret_what == NULL ? strlen((const char *)ascii) : 0;
    if (size > HOST_LIMIT)
        *ret_what = long_name;
    else if (*ret_what == NULL)
        memcpy(ret_ascii, ascii, size + 1);
    idn2_free(ascii);
    return WEIR_OK;
}

/* The bytes of a dot, of which UTS #46 knows four; 0: there is none. */
static size_t size_of_dot(const char *at)
{
    static const char *const dots[] = {".", "\xE3\x80\x82", "\xEF\xBC\x8E", "\xEF\xBD\xA1"};

    for (size_t i = 0; i < sizeof dots / sizeof dots[0]; i++)
        if (strncmp(at, dots[i], strlen(dots[i])) == 0)
            return strlen(dots[i]);
    return 0;
}

/* Say where the first label stands that is wrong by itself, if there is one. The name is cut up. */
static void find_label(char *name, struct host_fault *fault)
{
    char ascii[HOST_LIMIT + 1];

    for (char *label = name; *label != '\0';) {
        char *end = label;
        const char *what = no_label;
        while (*end != '\0' && size_of_dot(end) == 0)
            end++;
        size_t dot = size_of_dot(end);

        *end = '\0';
        if (end > label && convert(label, ascii, &what) != WEIR_OK)
            return;
        if (what != NULL) {
            fault->at += label - name;
            fault->what = what == no_host ? no_label : what;
            return;
        }
        label = end + dot;
    }
}

static weir_status convert_all(const char *name, size_t size, char *ret_ascii,
                               struct host_fault *ret_fault)
{
    char copy[NAME_LIMIT + 1];

    *ret_fault = (struct host_fault){name, long_name};
    if (size > NAME_LIMIT)
        return WEIR_INVALID;
    for (size_t i = 0; i < size; i++)
        if (is_ascii(name[i]) && !is_name_character(name[i])) {
            *ret_fault = (struct host_fault){name + i, no_name_character};
            return WEIR_INVALID;
        }
    memcpy(copy, name, size);
    copy[size] = '\0';
    weir_status status = convert(copy, ret_ascii, &ret_fault->what);
    if (status != WEIR_OK || ret_fault->what == NULL)
        return status;
    find_label(copy, ret_fault);
    return WEIR_INVALID;
}

/* ------------------------------------------------------------------------------------------ */

weir_status weir__host_to_ascii(const char *name, size_t size, char ret_ascii[HOST_LIMIT + 1],
                                struct host_fault *ret_fault)
{
    const char *at;

    if (weir__host_is_international(name, size))
        return convert_all(name, size, ret_ascii, ret_fault);
    size_t kept = size < HOST_LIMIT + 1 ? size : HOST_LIMIT;
    memcpy(ret_ascii, name, kept);
    ret_ascii[kept] = '\0';
    ret_fault->what = find_fault(ret_ascii, &at);
    ret_fault->at = name + (at - ret_ascii);
    if (ret_fault->what == NULL && kept < size)
        *ret_fault = (struct host_fault){name, long_name};
    return ret_fault->what == NULL ? WEIR_OK : WEIR_INVALID;
}
