/* SPDX-License-Identifier: MIT */
/* What a response says of where it ends, and its connection; and the lists in which it says so. */
#include "check.h"
#include "http/response.h"
#include "http/text.h"

#include <stdio.h>
#include <stdlib.h>

static void add_line(weir_http_response *response, const char *line)
{
    weir_error error;

    check_int(weir__response_add_line(response, line, strlen(line), 65536, &error), WEIR_OK);
}

static void add_field(weir_http_response *response, const char *name, const char *value)
{
    char line[256];

    snprintf(line, sizeof line, "%s: %s\r\n", name, value);
    add_line(response, line);
}

static weir_http_response *new_response(const char *status_line)
{
    weir_http_response *response = weir__response_new();

    if (response == NULL)
        abort();
    add_line(response, status_line);
    return response;
}

/* ---- lists ------------------------------------------------------------------------------- */

static void a_list_has_what_stands_between_commas_and_blanks(void)
{
    static const char *const lists[][2] = {
        {"", ""},
        {" ,\t, ", ""},
        {"one", "<one>"},
        {"one,", "<one>"},
        {", one", "<one>"},
        {"one,two", "<one><two>"},
        {"a b", "<a><b>"},
        {"a ,\t,b", "<a><b>"},
        {"a;q=1, b=\"c\"", "<a;q=1><b=\"c\">"},
        {",,a", "<a>"},
        {"a,b , c\t", "<a><b><c>"},
    };

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const char *at = lists[i][0];
        const char *element;
        size_t size;
        char found[64] = "";

        while (weir__next_element(&at, &element, &size))
            snprintf(found + strlen(found), sizeof found - strlen(found), "<%.*s>", (int)size,
                     element);
        check_text(found, lists[i][1]);
        check_text(at, "");
    }
}

/* ---- the connection ---------------------------------------------------------------------- */

static bool says_close(const char *value)
{
    weir_http_response *response = new_response("HTTP/1.1 200 OK\r\n");

    add_field(response, "Connection", value);
    bool does = weir__response_says_close(response);
    weir_http_response_close(response);
    return does;
}

static void a_close_counts_at_any_place_of_a_list(void)
{
    check(says_close("close"));
    check(says_close("Keep-Alive, CLOSE"));
    check(says_close(",close ,x"));
    check(!says_close(""));
    check(!says_close("keep-alive"));
    check(!says_close("closed, x-close, clos"));
}

/* However many fields there are, up to as many as a response may have. */
static void a_close_counts_in_any_of_the_fields(void)
{
    for (int before = 0; before < RESPONSE_FIELDS_LIMIT; before++) {
        weir_http_response *response = new_response("HTTP/1.1 200 OK\r\n");

        for (int i = 0; i < before; i++)
            add_field(response, "Connection", i % 2 == 0 ? "keep-alive" : "x, y");
        check(!weir__response_says_close(response));
        add_field(response, "Connection", "z, close");
        check(weir__response_says_close(response));
        weir_http_response_close(response);
    }
}

/* ---- the body ---------------------------------------------------------------------------- */

/* What is -1 is no length, or has another framing. */
static void a_length_is_digits_that_fit_and_nothing_else(void)
{
    static const struct {
        const char *value;
        int64_t length;
    } cases[] = {
        {"0", 0},     {"5", 5},     {"00012", 12}, {"9223372036854775807", INT64_MAX},
        {"", -1},     {"-1", -1},   {"+1", -1},    {"9223372036854775808", -1},
        {"1x", -1},   {"1, 1", -1}, {"0x10", -1},  {"18446744073709551617", -1},
        {"  7\t", 7}, {"1 2", -1},  {"1.0", -1},   {"seven", -1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weir_http_response *response = new_response("HTTP/1.1 200 OK\r\n");

        check_int(weir__response_length(response), -1);
        add_field(response, "Content-Length", cases[i].value);
        check_int(weir__response_length(response), cases[i].length);
        check_int(weir__response_length_fault(response) == NULL, cases[i].length >= 0);
        add_field(response, "Transfer-Encoding", "chunked");
        check_int(weir__response_length(response), -1);
        weir_http_response_close(response);
    }
}

static void a_status_without_a_body_has_none_whatever_its_length(void)
{
    static const char *const lines[] = {"HTTP/1.1 204 No Content\r\n",
                                        "HTTP/1.1 304 Not Modified\r\n"};

    for (size_t i = 0; i < 2; i++) {
        weir_http_response *response = new_response(lines[i]);

        check_int(weir__response_length(response), 0);
        add_field(response, "Content-Length", "7");
        check_int(weir__response_length(response), 0);
        weir_http_response_close(response);
    }
}

/* ------------------------------------------------------------------------------------------ */

int main(void)
{
    run(a_list_has_what_stands_between_commas_and_blanks);
    run(a_close_counts_at_any_place_of_a_list);
    run(a_close_counts_in_any_of_the_fields);
    run(a_length_is_digits_that_fit_and_nothing_else);
    run(a_status_without_a_body_has_none_whatever_its_length);
    return check_done();
}
