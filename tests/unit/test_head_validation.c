/* SPDX-License-Identifier: MIT */
/* Validation of heads: every row of the hostile-request table that is about a head, as a pure check. */
#include "check.h"

#include <stdlib.h>

#include "http/head_validation.h"
#include "text/urltext.h"

#define MAX_FIELDS 8

/* A head as a parser would hand it over: names and values alternating, ended by NULL. */
struct sample {
    const char *method;
    const char *target;
    const char *version;
    const char *lines[2 * MAX_FIELDS + 1];
};

static struct head_verdict judge(const struct sample *sample, struct body_framing *ret_body)
{
    struct head_field fields[MAX_FIELDS];
    struct request_head head = {sample->method, sample->target, sample->version, fields, 0};

    for (const char *const *at = sample->lines; at[0] != NULL; at += 2)
        fields[head.field_count++] =
            (struct head_field){at[0], strlen(at[0]), at[1], strlen(at[1])};
    return head_validate(&head, ret_body);
}

static unsigned status_of(const struct sample *sample)
{
    struct body_framing body;

    return judge(sample, &body).status;
}

/* The status of a POST over HTTP/1.1 with Host and the given lines. */
#define post_status(...)                                                                           \
    status_of(&(struct sample){"POST", "/x", "HTTP/1.1", {"Host", "h", __VA_ARGS__, NULL}})

static unsigned target_status(const char *method, const char *target)
{
    return status_of(&(struct sample){method, target, "HTTP/1.1", {"Host", "h", NULL}});
}

/* ---- The request line --------------------------------------------------------------------- */

static void a_plain_request_passes(void)
{
    struct body_framing body;
    struct sample sample = {"GET", "/a/b?c=d", "HTTP/1.1", {"Host", "example.org:80", NULL}};

    check_int(judge(&sample, &body).status, 0);
    check(!body.is_chunked);
    check(!body.has_length);
}

static void a_method_must_be_a_token(void)
{
    check_int(target_status("", "/"), 400);
    check_int(target_status("GE(T", "/"), 400);
    check_int(target_status("G\x01T", "/"), 400);
    check_int(target_status("PROPFIND", "/"), 0);
}

static void other_versions_are_not_spoken(void)
{
    check_int(status_of(&(struct sample){"GET", "/", "HTTP/9.9", {"Host", "h", NULL}}), 505);
    check_int(status_of(&(struct sample){"GET", "/", "HTTP/1.2", {"Host", "h", NULL}}), 505);
    check_int(status_of(&(struct sample){"GET", "/", "", {"Host", "h", NULL}}), 505);
    check_int(status_of(&(struct sample){"GET", "/", "HTTP/1.0", {NULL}}), 0);
}

static void a_target_holds_no_space_no_control_byte_and_no_fragment(void)
{
    check_int(target_status("GET", "/a b"), 400);
    check_int(target_status("GET", "/a\tb"), 400);
    check_int(target_status("GET", "/a\rb"), 400);
    check_int(target_status("GET", "/a\x7f"), 400);
    check_int(target_status("GET", "/a#b"), 400);
    check_int(target_status("GET", "/a%20b"), 0);
}

static void a_target_has_one_of_three_forms(void)
{
    check_int(target_status("GET", ""), 400);
    check_int(target_status("GET", "a"), 400);
    check_int(target_status("GET", "example.org:443"), 400);
    check_int(target_status("GET", "*"), 400);
    check_int(target_status("OPTIONS", "*"), 0);
    check_int(target_status("GET", "http://h/a"), 0);
    check_int(target_status("GET", "ftp://h/a"), 400);
}

/* ---- Header lines ------------------------------------------------------------------------- */

static void http_1_1_needs_exactly_one_host(void)
{
    check_int(status_of(&(struct sample){"GET", "/", "HTTP/1.1", {NULL}}), 400);
    check_int(status_of(&(struct sample){"GET", "/", "HTTP/1.1", {"Host", "a", "host", "b", NULL}}),
              400);
    check_int(status_of(&(struct sample){"GET", "/", "HTTP/1.1", {"Host", "a", "Host", "a", NULL}}),
              400);
}

static void a_host_is_made_of_host_characters(void)
{
    static const char *const bad[] = {"a b", "a,b", "a/b", "u@h", "a\\b", "\xc3\xa9"};
    static const char *const good[] = {"", "localhost:8000", "[::1]:80", "xn--bcher-kva.example"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_int(status_of(&(struct sample){"GET", "/", "HTTP/1.1", {"Host", bad[i], NULL}}), 400);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        check_int(status_of(&(struct sample){"GET", "/", "HTTP/1.1", {"Host", good[i], NULL}}), 0);
}

static void a_header_name_is_a_token(void)
{
    check_int(post_status("", "v"), 400);
    check_int(post_status("X Y", "v"), 400);
    check_int(post_status("Transfer-Encoding ", "chunked"), 400);
    check_int(post_status("X(Y)", "v"), 400);
    check_int(post_status("X_Y.z", "v"), 0);
}

static void a_header_value_holds_no_control_byte_but_tab(void)
{
    check_int(post_status("X", "a\rb"), 400);
    check_int(post_status("X", "a\nb"), 400);
    check_int(post_status("X", "a\x01"), 400);
    check_int(post_status("X", "\x7f"), 400);
    check_int(post_status("X", "a\tb"), 0);
    check_int(post_status("X", "\xc3\xa9"), 0);
}

static void headers_that_may_stand_once_are_refused_twice(void)
{
    check_int(post_status("Content-Length", "3", "content-length", "3"), 400);
    check_int(post_status("Content-Length", "3", "Content-Length", "4"), 400);
    check_int(post_status("Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"), 400);
    check_int(post_status("Authorization", "a", "Authorization", "b"), 400);
    check_int(post_status("Content-Type", "a", "Content-Type", "b"), 400);
    check_int(post_status("Accept", "a", "Accept", "b"), 0);
}

/* ---- Framing ------------------------------------------------------------------------------ */

static void a_content_length_is_plain_digits(void)
{
    static const char *const bad[] = {"", "+3", "-3", "3 ", "3, 3", "0x3", "3.0", "three"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_int(post_status("Content-Length", bad[i]), 400);
}

static void a_content_length_beyond_64_bits_is_too_large(void)
{
    check_int(post_status("Content-Length", "18446744073709551619"), 413);
    check_int(post_status("Content-Length", "18446744073709551616"), 413);
    check_int(post_status("Content-Length", "99999999999999999999999999"), 413);
    check_int(post_status("Content-Length", "18446744073709551615"), 0);
}

static void a_content_length_is_told(void)
{
    struct body_framing body;
    struct sample sample = {
        "POST", "/", "HTTP/1.1", {"Host", "h", "Content-Length", "0001234", NULL}};

    check_int(judge(&sample, &body).status, 0);
    check(body.has_length);
    check_int(body.length, 1234);
}

static void both_framings_together_are_refused(void)
{
    check_int(post_status("Content-Length", "3", "Transfer-Encoding", "chunked"), 400);
    check_int(post_status("Transfer-Encoding", "chunked", "Content-Length", "0"), 400);
}

static void the_only_transfer_encoding_is_chunked(void)
{
    static const char *const other[] = {"xchunked", "gzip, chunked", "identity", "gzip;q=1",
                                        "chunkedx"};
    static const char *const bad[] = {"chunked, chunked", "chunked;a=b", "chunked ", ",chunked",
                                      ""};

    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        check_int(post_status("Transfer-Encoding", other[i]), 501);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_int(post_status("Transfer-Encoding", bad[i]), 400);
    check_int(post_status("Transfer-Encoding", "Chunked"), 0);
}

static void http_1_0_has_no_transfer_encoding(void)
{
    struct sample sample = {"POST", "/", "HTTP/1.0", {"Transfer-Encoding", "chunked", NULL}};

    check_int(status_of(&sample), 400);
}

static void the_only_expectation_is_100_continue(void)
{
    check_int(post_status("Expect", "100-Continue"), 0);
    check_int(post_status("Expect", "200-ok"), 417);
}

static void a_refusal_never_repeats_the_clients_bytes(void)
{
    struct body_framing body;
    struct sample sample = {"GET", "/", "HTTP/1.1", {"Host", "<script>", NULL}};
    struct head_verdict verdict = judge(&sample, &body);

    check_int(verdict.status, 400);
    check(strstr(verdict.reason, "script") == NULL);
}

/* ---- Every byte accounted for ------------------------------------------------------------- */

/* A head as the lenient parser leaves it: separators overwritten with NULs, in place. `·` below is
 * such a NUL. */
struct parsed {
    char block[128];
    size_t size;
    struct head_field fields[3];
    struct request_head head;
};

static void put_field(struct parsed *parsed, size_t index, size_t name_at, size_t value_at)
{
    const char *name = parsed->block + name_at;
    const char *value = parsed->block + value_at;

    parsed->fields[index] = (struct head_field){name, strlen(name), value, strlen(value)};
}

/* "GET /x HTTP/1.1" and two header lines, "Host: h" and "A:b". */
static void parse(struct parsed *parsed, const char *text, size_t size)
{
    *parsed = (struct parsed){.size = size};
    memcpy(parsed->block, text, size);
    parsed->head = (struct request_head){parsed->block, parsed->block + 4, parsed->block + 7,
                                         parsed->fields, 2};
    put_field(parsed, 0, 17, 23);
    put_field(parsed, 1, 26, 28);
}

#define parse_text(parsed, text) parse(parsed, text, sizeof(text) - 1)

static bool accounts(const struct parsed *parsed)
{
    return head_accounts_for_block(parsed->block, parsed->size, parsed->block + 4, &parsed->head);
}

static void a_head_without_tricks_is_accounted_for(void)
{
    struct parsed parsed;

    parse_text(&parsed, "GET\0/x\0HTTP/1.1\0\0Host\0 h\0\0A\0b\0\0\0\0");
    check(accounts(&parsed));
}

static void a_bare_lf_leaves_one_byte_too_few(void)
{
    struct parsed parsed;

    parse_text(&parsed, "GET\0/x\0HTTP/1.1\0\0Host\0 h\0A\0b\0\0\0\0");
    put_field(&parsed, 1, 25, 27);
    check(!accounts(&parsed));
    parse_text(&parsed, "GET\0/x\0HTTP/1.1\0\0Host\0 h\0\0A\0b\0\0\0");
    check(!accounts(&parsed));
}

static void a_value_cut_at_a_nul_leaves_a_gap(void)
{
    struct parsed parsed;

    parse_text(&parsed, "GET\0/x\0HTTP/1.1\0\0Host\0 h\0evil\0\0A\0b\0\0\0\0");
    put_field(&parsed, 1, 31, 33);
    check(!accounts(&parsed));
}

static void a_target_cut_at_a_nul_leaves_a_gap(void)
{
    struct parsed parsed;

    parse_text(&parsed, "GET\0/x\0HTTP/1.1\0\0Host\0 h\0\0A\0b\0\0\0\0");
    parsed.block[5] = '\0';
    parsed.head.target = "/";
    check(!accounts(&parsed));
}

static void a_folded_line_that_was_moved_lies_elsewhere(void)
{
    struct parsed parsed;
    char moved[] = "A\0b folded";

    parse_text(&parsed, "GET\0/x\0HTTP/1.1\0\0Host\0 h\0\0A\0b\0\0 folded\0\0\0\0");
    parsed.fields[1].name = moved;
    check(!accounts(&parsed));
    parsed.fields[1] = (struct head_field){moved, 1, moved + 2, strlen(moved + 2)};
    check(!accounts(&parsed));
}

static void a_line_that_starts_with_a_nul_does_not_end_the_head(void)
{
    struct parsed parsed;

    parse_text(&parsed, "GET\0/x\0HTTP/1.1\0\0Host\0 h\0\0A\0b\0\0\0Content-Length: 9\0\0");
    check(!accounts(&parsed));
}

static void only_spaces_and_tabs_may_stand_before_a_value(void)
{
    struct parsed parsed;

    parse_text(&parsed, "GET\0/x\0HTTP/1.1\0\0Host\0\th\0\0A\0b\0\0\0\0");
    check(accounts(&parsed));
    parse_text(&parsed, "GET\0/x\0HTTP/1.1\0\0Host\0\0h\0\0A\0b\0\0\0\0");
    check(!accounts(&parsed));
}

static void a_head_without_header_lines_is_accounted_for(void)
{
    struct parsed parsed;

    parse_text(&parsed, "GET\0/x\0HTTP/1.0\0\0\0\0");
    parsed.head.field_count = 0;
    check(accounts(&parsed));
}

/* ---- Text in URLs ------------------------------------------------------------------------- */

static const char *decoded(const char *text, bool plus_is_space)
{
    static char out[64];
    size_t size;

    return url_decode(text, strlen(text), plus_is_space, out, &size) ? out : "(refused)";
}

static void percent_decoding_gives_the_bytes_back(void)
{
    check_text(decoded("a%20b%2Fc", false), "a b/c");
    check_text(decoded("%C3%A9", false), "\xc3\xa9");
    check_text(decoded("a+b", false), "a+b");
    check_text(decoded("a+b", true), "a b");
    check_text(decoded("", true), "");
}

static void broken_percent_encoding_is_refused(void)
{
    check_text(decoded("%", false), "(refused)");
    check_text(decoded("a%2", false), "(refused)");
    check_text(decoded("%zz", false), "(refused)");
    check_text(decoded("%2g", false), "(refused)");
    check_text(decoded("%41", false), "A");
}

static void an_encoded_nul_is_refused(void)
{
    check_text(decoded("a%00b", false), "(refused)");
}

static void what_is_not_utf_8_is_refused(void)
{
    check_text(decoded("%ff", false), "(refused)");
    check_text(decoded("%c0%af", false), "(refused)");
    check_text(decoded("%ed%a0%80", false), "(refused)");
    check_text(decoded("%f4%90%80%80", false), "(refused)");
    check_text(decoded("%c3", false), "(refused)");
    check_text(decoded("%f0%9f%90%99", false), "\xf0\x9f\x90\x99");
}

int main(void)
{
    run(a_plain_request_passes);
    run(a_method_must_be_a_token);
    run(other_versions_are_not_spoken);
    run(a_target_holds_no_space_no_control_byte_and_no_fragment);
    run(a_target_has_one_of_three_forms);
    run(http_1_1_needs_exactly_one_host);
    run(a_host_is_made_of_host_characters);
    run(a_header_name_is_a_token);
    run(a_header_value_holds_no_control_byte_but_tab);
    run(headers_that_may_stand_once_are_refused_twice);
    run(a_content_length_is_plain_digits);
    run(a_content_length_beyond_64_bits_is_too_large);
    run(a_content_length_is_told);
    run(both_framings_together_are_refused);
    run(the_only_transfer_encoding_is_chunked);
    run(http_1_0_has_no_transfer_encoding);
    run(the_only_expectation_is_100_continue);
    run(a_refusal_never_repeats_the_clients_bytes);
    run(a_head_without_tricks_is_accounted_for);
    run(a_bare_lf_leaves_one_byte_too_few);
    run(a_value_cut_at_a_nul_leaves_a_gap);
    run(a_target_cut_at_a_nul_leaves_a_gap);
    run(a_folded_line_that_was_moved_lies_elsewhere);
    run(a_line_that_starts_with_a_nul_does_not_end_the_head);
    run(only_spaces_and_tabs_may_stand_before_a_value);
    run(a_head_without_header_lines_is_accounted_for);
    run(percent_decoding_gives_the_bytes_back);
    run(broken_percent_encoding_is_refused);
    run(an_encoded_nul_is_refused);
    run(what_is_not_utf_8_is_refused);
    return check_done();
}
