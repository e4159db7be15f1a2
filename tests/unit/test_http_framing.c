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

/* ------------------------------------------------------------------------------------------ */

int main(void)
{
    run(a_list_has_what_stands_between_commas_and_blanks);
    run(a_close_counts_at_any_place_of_a_list);
    return check_done();
}
