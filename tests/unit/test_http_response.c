/* SPDX-License-Identifier: MIT */
/* Responses while they arrive: fields, foldings, interim answers, limits; and what is read of them. */
#include "check.h"
#include "http/response.h"
#include "http/text.h"

#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define LIMIT 65536

static weir_error error;

static weir_http_response *new_response(void)
{
    weir_http_response *response = weir__response_new();

    if (response == NULL)
        abort();
    error = (weir_error){0};
    return response;
}

static weir_status add(weir_http_response *response, const char *line)
{
    return weir__response_add_line(response, line, strlen(line), LIMIT, &error);
}

/* Lines that are all taken; ends with NULL. */
static void add_all(weir_http_response *response, const char *const *lines)
{
    for (; *lines != NULL; lines++)
        check_int(add(response, *lines), WEIR_OK);
}

/* One line after a status line: refused so. */
static void check_refused(const char *line, size_t size, const char *part)
{
    weir_http_response *response = new_response();

    check_int(add(response, "HTTP/1.1 200 OK\r\n"), WEIR_OK);
    check_int(weir__response_add_line(response, line, size, LIMIT, &error), WEIR_PROTOCOL);
    check_int(error.status, WEIR_PROTOCOL);
    check_contains(error.text, part);
    check(strstr(error.text, "hunter2") == NULL);
    check_int(response->field_count, 0);
    weir_http_response_close(response);
}

/* ---- the header -------------------------------------------------------------------------- */

static void a_header_is_read_in_any_case_and_in_its_order(void)
{
    static const char *const lines[] = {"HTTP/1.1 404 Not Found\r\n",
                                        "Content-Type: text/plain\r\n",
                                        "Set-Cookie: a=1\r\n",
                                        "X-Empty:\r\n",
                                        "set-cookie:b=2\r\n",
                                        "\r\n",
                                        NULL};
    weir_http_response *response = new_response();
    const char *name = NULL;
    const char *value = NULL;

    add_all(response, lines);
    check_int(weir_http_response_status(response), 404);
    check_text(weir_http_response_header(response, "content-TYPE"), "text/plain");
    check_text(weir_http_response_header(response, "Set-Cookie"), "a=1");
    check_text(weir_http_response_header(response, "x-empty"), "");
    check(weir_http_response_header(response, "Content") == NULL);
    check(weir_http_response_header(response, "Content-Types") == NULL);
    check(weir_http_response_header(response, "") == NULL);
    check(weir_http_response_header_at(response, 0, &name, &value));
    check_text(name, "Content-Type");
    check(weir_http_response_header_at(response, 3, &name, &value));
    check_text(name, "set-cookie");
    check_text(value, "b=2");
    check(!weir_http_response_header_at(response, 4, &name, &value));
    check_text(name, "set-cookie");
    weir_http_response_close(response);
}

static void all_values_of_a_name_are_found_and_counted(void)
{
    static const char *const lines[] = {"HTTP/1.1 429 Slow\r\n", "Retry-After: 1\r\n",
                                        "Other: x\r\n",          "retry-after: 2\r\n",
                                        "RETRY-AFTER: 3\r\n",    NULL};
    weir_http_response *response = new_response();
    const char *values[3] = {NULL, NULL, NULL};

    add_all(response, lines);
    check_int(weir__response_values(response, "Retry-After", NULL, 0), 3);
    check_int(weir__response_values(response, "Retry-After", values, 2), 3);
    check_text(values[0], "1");
    check_text(values[1], "2");
    check(values[2] == NULL);
    check_int(weir__response_values(response, "Missing", values, 3), 0);
    weir_http_response_close(response);
}

static void blanks_around_a_value_are_no_part_of_it(void)
{
    static const char *const lines[] = {"HTTP/1.1 200 OK\r\n",
                                        "A: \t b \tc\t \r\n",
                                        "D:e\n",
                                        "F: g",
                                        "H: \r\n",
                                        "I: \xC3\xA9\r\n",
                                        NULL};
    weir_http_response *response = new_response();

    add_all(response, lines);
    check_text(weir_http_response_header(response, "A"), "b \tc");
    check_text(weir_http_response_header(response, "D"), "e");
    check_text(weir_http_response_header(response, "F"), "g");
    check_text(weir_http_response_header(response, "H"), "");
    check_text(weir_http_response_header(response, "I"), "\xC3\xA9");
    weir_http_response_close(response);
}

static void blanks_before_a_colon_are_no_part_of_the_name_except_where_the_body_ends(void)
{
    static const char *const lines[] = {"HTTP/1.1 200 OK\r\n",      "Server : one\r\n",
                                        "Content-Type\t : two\r\n", "Retry-After :3\r\n",
                                        "Content-Lengths : 4\r\n",  NULL};
    static const char *const framing[] = {"Content-Length : 5\r\n", "content-length\t:5\r\n",
                                          "Transfer-Encoding : chunked\r\n"};
    weir_http_response *response = weir__response_new();

    add_all(response, lines);
    check_text(weir_http_response_header(response, "Server"), "one");
    check_text(weir_http_response_header(response, "Content-Type"), "two");
    check_text(weir_http_response_header(response, "Retry-After"), "3");
    check_text(weir_http_response_header(response, "Content-Lengths"), "4");
    weir_http_response_close(response);
    for (size_t i = 0; i < COUNT_OF(framing); i++)
        check_refused(framing[i], strlen(framing[i]),
                      "a blank before the colon of Content-Length or Transfer-Encoding");
}

static void a_folded_value_goes_on_after_one_space(void)
{
    static const char *const lines[] = {"HTTP/1.1 200 OK\r\n",
                                        "A: b\r\n",
                                        "C: d\r\n",
                                        "\t  e f \r\n",
                                        "  \r\n",
                                        " g\r\n",
                                        "H:\r\n",
                                        " i\r\n",
                                        "\r\n",
                                        NULL};
    weir_http_response *response = new_response();

    add_all(response, lines);
    check_text(weir_http_response_header(response, "A"), "b");
    check_text(weir_http_response_header(response, "C"), "d e f g");
    check_text(weir_http_response_header(response, "H"), "i");
    weir_http_response_close(response);
}

/* Where libcurl reads a field line by line, and others put it together. */
static void a_field_that_says_where_the_body_ends_is_not_folded(void)
{
    static const char *const framing[] = {"Transfer-Encoding:\r\n",
                                          "transfer-encoding: identity,\r\n", "Content-Length:\r\n",
                                          "Content-length: 1\r\n"};

    for (size_t i = 0; i < COUNT_OF(framing); i++) {
        weir_http_response *response = new_response();

        check_int(add(response, "HTTP/1.1 200 OK\r\n"), WEIR_OK);
        check_int(add(response, framing[i]), WEIR_OK);
        check_int(add(response, " \t\r\n"), WEIR_OK); /* nothing is added */
        check_int(add(response, "\thunter2\r\n"), WEIR_PROTOCOL);
        check_contains(error.text, "a folded Content-Length or Transfer-Encoding");
        weir_http_response_close(response);
    }
}

/* However much it looks like a field. */
static void a_head_has_one_status_line(void)
{
    static const char *const lines[] = {"HTTP/1.1 204 No\r\n", "HTTP/1.1 200 OK: hunter2\r\n",
                                        "HTTP/1.1: 200\r\n", "HTTP/2 100\r\n"};

    for (size_t i = 0; i < COUNT_OF(lines); i++)
        check_refused(lines[i], strlen(lines[i]), "a line that is not a field");
}

static void a_status_line_ends_what_an_interim_answer_had(void)
{
    static const char *const lines[] = {"HTTP/1.1 103 Early Hints\r\n", "Link: </a>\r\n", "\r\n",
                                        "HTTP/1.1 200 OK\r\n",          "A: b\r\n",       NULL};
    weir_http_response *response = new_response();

    add_all(response, lines);
    check_int(weir_http_response_status(response), 200);
    check(weir_http_response_header(response, "Link") == NULL);
    check_text(weir_http_response_header(response, "A"), "b");
    check_int(response->field_count, 1);
    weir_http_response_close(response);
}

static void a_status_has_three_digits(void)
{
    static const struct {
        const char *line;
        int status;
    } good[] = {
        {"HTTP/1.1 200 OK\r\n", 200}, {"HTTP/1.1 200\r\n", 200},    {"HTTP/1.0 599 x\r\n", 599},
        {"HTTP/2 204 \r\n", 204},     {"HTTP/1.1  301 a\r\n", 301}, {"HTTP/1.1 999 \xFF\r\n", 999},
    };
    static const char *const bad[] = {
        "HTTP/1.1\r\n",         "HTTP/1.1 \r\n",        "HTTP/1.1 20\r\n",
        "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 2x0 OK\r\n",  "HTTP/1.1 -20 OK\r\n",
        "HTTP/1.1 099 OK\r\n",  "HTTP/1.1 20 0 OK\r\n", "HTTP/\r\n",
    };

    for (size_t i = 0; i < COUNT_OF(good); i++) {
        weir_http_response *response = new_response();

        check_int(add(response, good[i].line), WEIR_OK);
        check_int(weir_http_response_status(response), good[i].status);
        weir_http_response_close(response);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        weir_http_response *response = new_response();

        check_int(add(response, bad[i]), WEIR_PROTOCOL);
        check_contains(error.text, "status");
        weir_http_response_close(response);
    }
}

static void control_characters_are_kept_out(void)
{
    for (int c = 0; c < 256; c++) {
        char line[] = "A: hunter2?x\r\n";
        line[10] = (char)c;

        if (c == '\t' || (c >= 0x20 && c != 0x7F)) {
            weir_http_response *response = new_response();
            check_int(add(response, line), WEIR_OK);
            weir_http_response_close(response);
            continue;
        }
        check_refused(line, sizeof line - 1, "a control character");
    }
    check_refused("HTTP/1.1 200 O\0K\r\n", 18, "a control character");
    check_refused("A: b\r\r\n", 7, "a control character");
}

static void a_token_holds_the_characters_of_rfc_9110(void)
{
    static const char all[] = "!#$%&'*+-.^_`|~0123456789"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    for (int c = 0; c < 256; c++) {
        char text = (char)c;

        check_int(weir__token_length(&text, 1), memchr(all, c, sizeof all - 1) != NULL);
    }
}

/* Eight characters are looked at together. */
static void a_control_character_is_found_at_every_place(void)
{
    char value[21];

    for (int c = 0; c < 256; c++)
        for (size_t at = 0; at < sizeof value; at++)
            for (size_t tab = 0; tab < sizeof value; tab++) {
                bool is_bad = c != '\t' && (c < 0x20 || c == 0x7F);

                memset(value, "x\x80"[at % 2], sizeof value);
                value[tab] = '\t';
                value[at] = (char)c;
                check_int(weir__value_fault(value, sizeof value), is_bad ? at : sizeof value);
            }
}

static void a_line_that_is_no_field_is_refused_and_not_shown(void)
{
    static const char *const bad[] = {"hunter2\r\n", ": hunter2\r\n",     "A B: hunter2\r\n",
                                      "A \r\n",      "\xC3: hunter2\r\n", "A(b): hunter2\r\n"};

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        check_refused(bad[i], strlen(bad[i]), "a line that is not a field");
    check_refused(" : hunter2\r\n", 12, "a line that continues nothing");
    check_refused(" hunter2\r\n", 10, "a line that continues nothing");
}

static void a_folding_after_a_new_status_line_continues_nothing(void)
{
    weir_http_response *response = new_response();

    check_int(add(response, "HTTP/1.1 100 Continue\r\n"), WEIR_OK);
    check_int(add(response, "A: b\r\n"), WEIR_OK);
    check_int(add(response, "\r\n"), WEIR_OK);
    check_int(add(response, "HTTP/1.1 200 OK\r\n"), WEIR_OK);
    check_int(add(response, " c\r\n"), WEIR_PROTOCOL);
    weir_http_response_close(response);
}

/* ---- limits ------------------------------------------------------------------------------ */

static void a_response_has_at_most_256_fields(void)
{
    weir_http_response *response = new_response();

    check_int(add(response, "HTTP/1.1 200 OK\r\n"), WEIR_OK);
    for (int i = 0; i < RESPONSE_FIELDS_LIMIT; i++)
        check_int(add(response, "A: b\r\n"), WEIR_OK);
    check_int(add(response, " folded\r\n"), WEIR_OK);
    check_int(add(response, "A: b\r\n"), WEIR_LIMIT);
    check_contains(error.text, "256 fields");
    check_int(response->field_count, 256);
    check_int(weir__response_values(response, "A", NULL, 0), 256);
    weir_http_response_close(response);
}

static void all_lines_together_have_the_limit(void)
{
    weir_http_response *response = new_response();

    check_int(weir__response_add_line(response, "HTTP/1.1 200 OK\r\n", 17, 30, &error), WEIR_OK);
    check_int(weir__response_add_line(response, "Abcd: efgh\r\n", 12, 30, &error), WEIR_OK);
    check_int(weir__response_add_line(response, "\r\n", 2, 30, &error), WEIR_LIMIT);
    check_contains(error.text, "30 bytes");
    check_int(weir__response_add_line(response, "\n", 1, 30, &error), WEIR_OK);
    check_int(weir__response_add_line(response, "\n", 1, 30, &error), WEIR_LIMIT);
    check_int(weir__response_add_line(response, "", SIZE_MAX, 30, &error), WEIR_LIMIT);
    weir_http_response_close(response);
}

/* What adds nothing to the fields would else be taken for ever. */
static void endless_interim_answers_and_empty_foldings_reach_the_limit(void)
{
    static const char *const lines[][2] = {{"\r\n", "HTTP/1.1 100 Continue\r\n"},
                                           {" \r\n", "\t\r\n"}};

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        weir_http_response *response = new_response();
        weir_status status = WEIR_OK;

        check_int(add(response, "HTTP/1.1 100 OK\r\n"), WEIR_OK);
        check_int(add(response, "A: b\r\n"), WEIR_OK);
        for (int n = 0; n < LIMIT && status == WEIR_OK; n++)
            status = add(response, lines[i][n % 2]);
        check_int(status, WEIR_LIMIT);
        weir_http_response_close(response);
    }
}

static void a_long_value_survives_the_growth_of_what_holds_it(void)
{
    weir_http_response *response = new_response();
    char line[3000];

    check_int(add(response, "HTTP/1.1 200 OK\r\n"), WEIR_OK);
    check_int(add(response, "First: one\r\n"), WEIR_OK);
    memset(line, 'v', sizeof line);
    memcpy(line, "Long: ", 6);
    for (int i = 0; i < 20; i++)
        check_int(weir__response_add_line(response, line, sizeof line, LIMIT, &error), WEIR_OK);
    line[0] = ' ';
    check_int(weir__response_add_line(response, line, 2000, LIMIT, &error), WEIR_OK);
    check_text(weir_http_response_header(response, "First"), "one");
    check_int(strlen(weir_http_response_header(response, "Long")), sizeof line - 6);
    const char *name = NULL;
    const char *value = NULL;
    check(weir_http_response_header_at(response, 20, &name, &value));
    check_text(name, "Long");
    check_int(strlen(value), sizeof line - 6 + 2000);
    weir_http_response_close(response);
}

/* ---- the body ---------------------------------------------------------------------------- */

static void an_empty_body_is_an_empty_text(void)
{
    weir_http_response *response = new_response();
    size_t size = 7;

    check_text(weir_http_response_body(response, &size), "");
    check_int(size, 0);
    check_int(weir__response_add_body(response, "", 0, &error), WEIR_OK);
    check_text(weir_http_response_body(response, &size), "");
    check_text(weir_http_response_body(response, NULL), "");
    weir_http_response_close(response);
}

static void a_body_grows_piece_by_piece_and_ends_with_a_zero(void)
{
    weir_http_response *response = new_response();
    char piece[777];
    size_t size = 0;
    bool is_right = true;

    for (size_t n = 0; n < 300; n++) {
        size_t part = n % sizeof piece;

        memset(piece, 'a' + (int)(n % 26), sizeof piece);
        check_int(weir__response_add_body(response, piece, part, &error), WEIR_OK);
        check_int(weir_http_response_body(response, &size)[response->body_size], 0);
    }
    const char *at = weir_http_response_body(response, &size);
    check_int(size, 299 * 300 / 2);
    for (size_t n = 0; n < 300; n++)
        for (size_t i = 0; i < n; i++)
            is_right = is_right && *at++ == (char)('a' + n % 26);
    check(is_right);
    check(response->body_capacity > size && response->body_capacity < 4 * size);
    weir_http_response_close(response);
}

static void a_body_of_small_pieces_is_moved_a_few_times_only(void)
{
    weir_http_response *response = new_response();
    size_t capacity = 0;
    int moves = 0;

    for (int i = 0; i < 1000000; i++) {
        check_int(weir__response_add_body(response, "x", 1, &error), WEIR_OK);
        moves += response->body_capacity != capacity;
        capacity = response->body_capacity;
    }
    check(moves <= 10);
    weir_http_response_close(response);
}

static void a_body_of_known_size_takes_its_memory_once_and_within_reason(void)
{
    static const struct {
        int64_t said;
        size_t first;
    } cases[] = {{-1, 4096}, {0, 1}, {1024, 1025}, {1048575, 1048576}, {INT64_MAX, 1048576}};

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        weir_http_response *response = new_response();

        weir__response_expect_body(response, cases[i].said);
        check_int(weir__response_add_body(response, "", 0, &error), WEIR_OK);
        check_int(response->body_capacity, cases[i].first);
        /* More than was said comes as well. */
        check_int(weir__response_add_body(response, "abc", 3, &error), WEIR_OK);
        check_text(weir_http_response_body(response, NULL), "abc");
        weir_http_response_close(response);
    }
}

static void a_body_may_hold_zeros(void)
{
    weir_http_response *response = new_response();
    size_t size = 0;

    check_int(weir__response_add_body(response, "a\0", 2, &error), WEIR_OK);
    check_int(weir__response_add_body(response, "b", 1, &error), WEIR_OK);
    check(memcmp(weir_http_response_body(response, &size), "a\0b", 4) == 0);
    check_int(size, 3);
    weir_http_response_close(response);
}

static void a_size_beyond_all_memory_is_no_memory_and_changes_nothing(void)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, SIZE_MAX / 2 - 1};
    weir_http_response *response = new_response();

    check_int(weir__response_add_body(response, "abc", 3, &error), WEIR_OK);
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        check_int(weir__response_add_body(response, "", sizes[i], &error), WEIR_NO_MEMORY);
    check_text(weir_http_response_body(response, NULL), "abc");
    weir_http_response_close(response);
}

/* ---- the whole --------------------------------------------------------------------------- */

static void the_url_stands_beside_a_header_of_any_size(void)
{
    char url[2000];

    memset(url, 'u', sizeof url - 1);
    url[sizeof url - 1] = '\0';
    for (size_t from = 0; from < sizeof url; from++) {
        weir_http_response *response = new_response();

        if (from % 2 == 0)
            check_int(add(response, "A: b\r\n"), WEIR_OK);
        check(weir__response_set_url(response, url + from));
        check_text(weir_http_response_url(response), url + from);
        if (from % 2 == 0)
            check_text(weir_http_response_header(response, "A"), "b");
        weir_http_response_close(response);
    }
}

static void a_cleared_response_is_empty(void)
{
    weir_http_response *response = new_response();
    size_t size = 7;

    check_text(weir_http_response_url(response), "");
    check_int(add(response, "HTTP/1.1 500 Error\r\n"), WEIR_OK);
    check_int(add(response, "A: b\r\n"), WEIR_OK);
    check(weir__response_set_url(response, "http://h/?a=b"));
    check_int(weir__response_add_body(response, "abc", 3, &error), WEIR_OK);
    response->is_truncated = true;
    check(weir_http_response_is_truncated(response));

    weir__response_clear(response);
    check_int(weir_http_response_status(response), 0);
    check(weir_http_response_header(response, "A") == NULL);
    check_text(weir_http_response_body(response, &size), "");
    check_int(size, 0);
    check(!weir_http_response_is_truncated(response));
    check_text(weir_http_response_url(response), "");

    /* And counts from nothing. */
    check_int(weir__response_add_line(response, "HTTP/1.1 200 OK\r\n", 17, 17, &error), WEIR_OK);
    weir_http_response_close(response);
}

static void closing_nothing_is_fine(void)
{
    weir_http_response_close(NULL);
    weir_http_response_close(new_response());
}

int main(void)
{
    run(a_header_is_read_in_any_case_and_in_its_order);
    run(all_values_of_a_name_are_found_and_counted);
    run(blanks_around_a_value_are_no_part_of_it);
    run(blanks_before_a_colon_are_no_part_of_the_name_except_where_the_body_ends);
    run(a_folded_value_goes_on_after_one_space);
    run(a_field_that_says_where_the_body_ends_is_not_folded);
    run(a_head_has_one_status_line);
    run(a_status_line_ends_what_an_interim_answer_had);
    run(a_status_has_three_digits);
    run(control_characters_are_kept_out);
    run(a_token_holds_the_characters_of_rfc_9110);
    run(a_control_character_is_found_at_every_place);
    run(a_line_that_is_no_field_is_refused_and_not_shown);
    run(a_folding_after_a_new_status_line_continues_nothing);
    run(a_response_has_at_most_256_fields);
    run(all_lines_together_have_the_limit);
    run(endless_interim_answers_and_empty_foldings_reach_the_limit);
    run(a_long_value_survives_the_growth_of_what_holds_it);
    run(an_empty_body_is_an_empty_text);
    run(a_body_grows_piece_by_piece_and_ends_with_a_zero);
    run(a_body_of_small_pieces_is_moved_a_few_times_only);
    run(a_body_of_known_size_takes_its_memory_once_and_within_reason);
    run(a_body_may_hold_zeros);
    run(a_size_beyond_all_memory_is_no_memory_and_changes_nothing);
    run(the_url_stands_beside_a_header_of_any_size);
    run(a_cleared_response_is_empty);
    run(closing_nothing_is_fine);
    return check_done();
}
