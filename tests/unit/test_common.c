/* SPDX-License-Identifier: MIT */
/* What every room uses: UTF-8, hexadecimal, percent-encoding, hashes, numbers that look random, lists. */
#include "check.h"
#include "common/hash.h"
#include "common/hex.h"
#include "common/list.h"
#include "common/random.h"
#include "common/utf8.h"

#include <ctype.h>
#include <stdlib.h>

/* ---- UTF-8 --------------------------------------------------------------------------------- */

/* A character as Unicode (table 3-6) writes it. */
static size_t write_character(char *to, uint32_t code)
{
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};

    for (size_t i = length - 1; i > 0; i--) {
        to[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    to[0] = (char)(leads[length] | code);
    return length;
}

static void each_character_has_its_length(void)
{
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        char text[5] = "";
        size_t length = write_character(text, code);
        bool is_half = code >= 0xD800 && code <= 0xDFFF;

        if (utf8_length(text, text + length) != (is_half ? 0 : length))
            check_int(code, -1);
    }
}

static void nothing_else_is_a_character(void)
{
    long characters = 0;

    /* As many of four bytes, and of three, as Unicode has; what follows a shorter one does not count. */
    for (uint32_t word = 0; word < 0x2000000; word++) {
        char text[4] = {(char)(0xF0 | word >> 22), (char)(0x80 | (word >> 16 & 0x3F)),
                        (char)(word >> 8), (char)word};
        characters += utf8_length(text, text + 4) == 4;
        if (utf8_length(text + 1, text + 4) != 0)
            check_int(word, -1);
    }
    check_int(characters, 0x110000 - 0x10000);
    characters = 0;
    for (uint32_t word = 0; word < 0x1000000; word++) {
        char text[3] = {(char)(word >> 16), (char)(word >> 8), (char)word};
        characters += utf8_length(text, text + 3) == 3;
    }
    check_int(characters, 0x10000 - 0x800 - 0x800);
    characters = 0;
    for (uint32_t word = 0; word < 0x10000; word++) {
        char text[2] = {(char)(word >> 8), (char)word};
        characters += utf8_length(text, text + 2) == 2;
    }
    check_int(characters, 0x800 - 0x80);
}

static void a_character_that_is_cut_off_is_none(void)
{
    static const char *const texts[] = {"\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};

    for (size_t i = 0; i < 3; i++)
        for (size_t size = 1; size < strlen(texts[i]); size++)
            check_int(utf8_length(texts[i], texts[i] + size), 0);
}

static void a_span_ends_at_the_first_byte_of_no_character(void)
{
    char text[64];

    check_int(utf8_span(text, text), 0);
    for (size_t at = 0; at < sizeof text; at++) {
        memset(text, 'a', sizeof text);
        text[at] = '\xFF';
        check_int(utf8_span(text, text + sizeof text), at);
        check(utf8_is_valid(text, at));
        check(!utf8_is_valid(text, at + 1));
        memcpy(text + (at < 62 ? at : 62), "\xC3\xA4", 2);
        check_int(utf8_span(text, text + sizeof text), sizeof text);
    }
}

static void a_cut_splits_no_character(void)
{
    const char *text = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z";
    static const size_t cuts[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};

    for (size_t limit = 0; limit < sizeof cuts / sizeof cuts[0]; limit++)
        check_int(utf8_cut(text, limit), cuts[limit]);
}

/* ---- hexadecimal and percent --------------------------------------------------------------- */

static void digits_are_those_of_the_c_library(void)
{
    for (int c = 0; c < 256; c++) {
        char text[2] = {(char)c, '\0'};

        check_int(hex_digit((char)c), isxdigit(c) ? strtol(text, NULL, 16) : -1);
    }
}

static void each_byte_is_written_and_read_again(void)
{
    for (int c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        char expected[4], text[4] = "";

        snprintf(expected, sizeof expected, "%02x", (unsigned)byte);
        check(hex_write(text, &byte, 1) == text + 2);
        check_text(text, expected);
        snprintf(expected, sizeof expected, "%%%02X", (unsigned)byte);
        check(percent_write(text, (char)c) == text + 3);
        check(memcmp(text, expected, 3) == 0);
        check_int(percent_read(text, text + 3), c);
        text[1] = (char)tolower(text[1]);
        text[2] = (char)tolower(text[2]);
        check_int(percent_read(text, text + 3), c);
    }
}

static void two_digits_have_to_follow_a_percent_sign(void)
{
    static const char *const texts[] = {"%", "%4", "%4g", "%g4", "%%4", "% 4", "%+4", "%4%"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_int(percent_read(texts[i], texts[i] + strlen(texts[i])), -1);
    check_int(percent_read("%414", &"%414"[2]), -1); /* they are beyond the end */
}

/* ---- hashes and numbers -------------------------------------------------------------------- */

/* From the authors' test vectors. */
static void fnv_is_the_one_that_was_published(void)
{
    check(fnv1a_text(FNV1A_START, "") == UINT64_C(0xCBF29CE484222325));
    check(fnv1a_text(FNV1A_START, "a") == UINT64_C(0xAF63DC4C8601EC8C));
    check(fnv1a_text(FNV1A_START, "foobar") == UINT64_C(0x85944171F73967E8));
    check(fnv1a(FNV1A_START, '\xFF') == fnv1a_text(FNV1A_START, "\xFF"));
}

static void each_byte_and_the_size_change_a_hash(void)
{
    char bytes[40] = "";

    for (size_t size = 1; size <= sizeof bytes; size++) {
        uint64_t hash = hash_bytes(bytes, size);
        check(hash_bytes(bytes, size - 1) != hash);
        for (size_t i = 0; i < size; i++) {
            bytes[i] = 1;
            check(hash_bytes(bytes, size) != hash);
            bytes[i] = 0;
        }
    }
}

/* From the reference implementation, begun with 1234567. */
static void random_numbers_are_those_of_splitmix64(void)
{
    uint64_t state = 1234567;

    check(weir__scatter_next(&state) == UINT64_C(6457827717110365317));
    check(weir__scatter_next(&state) == UINT64_C(3203168211198807973));
    check(weir__scatter_next(&state) == UINT64_C(9817491932198370423));
    check(weir__scatter(1234567) == UINT64_C(6457827717110365317));
}

/* ---- lists --------------------------------------------------------------------------------- */

struct item {
    char name;
    struct item *next;
    struct item *previous;
};

struct items {
    struct item *first;
    struct item *last;
};

/* Their names from the first to the last; the other way around it has to be the same. */
static const char *names_of(const struct items *list)
{
    static char names[8];
    size_t count = 0;

    for (const struct item *i = list->first; i != NULL; i = i->next)
        names[count++] = i->name;
    names[count] = '\0';
    for (const struct item *i = list->last; i != NULL; i = i->previous)
        check(count > 0 && i->name == names[--count]);
    check_int(count, 0);
    return names;
}

static void a_list_grows_at_both_ends_and_loses_any(void)
{
    struct item a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'}, d = {.name = 'd'};
    struct items list = {NULL, NULL};

    LIST_ADD_FIRST(&b, next, previous, list.first, list.last);
    LIST_ADD_LAST(&c, next, previous, list.first, list.last);
    LIST_ADD_FIRST(&a, next, previous, list.first, list.last);
    LIST_ADD_LAST(&d, next, previous, list.first, list.last);
    check_text(names_of(&list), "abcd");
    LIST_REMOVE(&b, next, previous, list.first, list.last);
    check_text(names_of(&list), "acd");
    LIST_REMOVE(&d, next, previous, list.first, list.last);
    check_text(names_of(&list), "ac");
    LIST_REMOVE(&a, next, previous, list.first, list.last);
    check_text(names_of(&list), "c");
    LIST_REMOVE(&c, next, previous, list.first, list.last);
    check_text(names_of(&list), "");
    LIST_ADD_LAST(&a, next, previous, list.first, list.last);
    check_text(names_of(&list), "a");
}

int main(void)
{
    run(each_character_has_its_length);
    run(nothing_else_is_a_character);
    run(a_character_that_is_cut_off_is_none);
    run(a_span_ends_at_the_first_byte_of_no_character);
    run(a_cut_splits_no_character);
    run(digits_are_those_of_the_c_library);
    run(each_byte_is_written_and_read_again);
    run(two_digits_have_to_follow_a_percent_sign);
    run(fnv_is_the_one_that_was_published);
    run(each_byte_and_the_size_change_a_hash);
    run(random_numbers_are_those_of_splitmix64);
    run(a_list_grows_at_both_ends_and_loses_any);
    return check_done();
}
