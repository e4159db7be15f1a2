/* SPDX-License-Identifier: MIT */
/* Pages of rows in every shape, and keys of any size compared as numbers. */
#include "services/nocodb_page.h"

#include "check.h"

static struct nocodb_page read_page(const char *text)
{
    struct nocodb_page page = {0};
    weir_error error = {0};

    check(nocodb_page_read(text, strlen(text), &page, &error) == WEIR_OK);
    check_text(error.text, "");
    return page;
}

static void check_rows(const char *text, const char *const *expected)
{
    struct nocodb_page page = read_page(text);
    const char *row;
    size_t size, count = 0;

    for (; json_text_next(&page.rows, &row, &size); count++) {
        check(expected[count] != NULL && size == strlen(expected[count]) &&
              memcmp(row, expected[count], size) == 0);
        if (expected[count] == NULL)
            return;
    }
    check(expected[count] == NULL);
    check_int(page.row_count, count);
}

static void rows_of_every_shape_come_as_they_were_sent(void)
{
    static const char *const rows[] = {"{\"a\":[1,{\"b\":\"],}\"}]}", "{ \"n\" : 1.10 }", NULL};
    static const char *const none[] = {NULL};

    check_rows("[{\"a\":[1,{\"b\":\"],}\"}]} , { \"n\" : 1.10 }]", rows);
    check_rows("{\"list\": [{\"a\":[1,{\"b\":\"],}\"}]},\n{ \"n\" : 1.10 }\t], \"pageInfo\":{}}",
               rows);
    check_rows("{\"data\":[{\"a\":[1,{\"b\":\"],}\"}]},{ \"n\" : 1.10 }]}", rows);
    check_rows("{\"next\":null,\"records\":[{\"a\":[1,{\"b\":\"],}\"}]},{ \"n\" : 1.10 }]}", rows);
    check_rows(" [ ] ", none);
    check_rows("{\"list\":[]}", none);
}

static void what_comes_after_is_told_by_flags_and_links(void)
{
    check_int(read_page("[]").more, NOCODB_MORE_UNKNOWN);
    check_int(read_page("{\"data\":[]}").more, NOCODB_MORE_UNKNOWN);
    check_int(read_page("{\"list\":[],\"pageInfo\":{\"isLastPage\":true}}").more, NOCODB_MORE_NO);
    check_int(read_page("{\"list\":[],\"pageInfo\":{\"isLastPage\":false}}").more, NOCODB_MORE_YES);
    check_int(read_page("{\"list\":[],\"pageInfo\":{\"isLastPage\":null}}").more,
              NOCODB_MORE_UNKNOWN);
    check_int(read_page("{\"list\":[],\"pageInfo\":{\"next\":\"u\"}}").more, NOCODB_MORE_YES);
    check_int(read_page("{\"records\":[],\"next\":\"u\"}").more, NOCODB_MORE_YES);
    check_int(read_page("{\"records\":[],\"next\":null}").more, NOCODB_MORE_NO);
    check_int(read_page("{\"records\":[]}").more, NOCODB_MORE_NO_LINK);
    check_int(read_page("{\"records\":[],\"nestedNext\":null}").more, NOCODB_MORE_NO_LINK);
}

static void the_servers_page_size_is_kept_if_it_is_one(void)
{
    check_int(read_page("{\"list\":[],\"pageInfo\":{\"pageSize\":25}}").page_size, 25);
    check_int(read_page("{\"list\":[]}").page_size, 0);
    check_int(read_page("{\"list\":[],\"pageInfo\":{\"pageSize\":-1}}").page_size, 0);
    check_int(read_page("{\"list\":[],\"pageInfo\":{\"pageSize\":1e300}}").page_size, 0);
    check_int(read_page("{\"list\":[],\"pageInfo\":{\"pageSize\":\"9\"}}").page_size, 0);
}

static void what_is_no_page_is_refused(void)
{
    static const char *const wrong[] = {"",
                                        "{",
                                        "null",
                                        "7",
                                        "{}",
                                        "{\"list\":{}}",
                                        "[1]",
                                        "[[]]",
                                        "{\"list\":[null]}",
                                        "[{\"a\":1,\"a\":1}]"};
    struct nocodb_page page;
    weir_error error;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        check(nocodb_page_read(wrong[i], strlen(wrong[i]), &page, &error) == WEIR_PROTOCOL);
        check_contains(error.text, "NocoDB's answer");
    }
    check(nocodb_row_check("{\"a\":1}", 7, NULL, 0, &error) == WEIR_OK);
    check(nocodb_row_check("[{}]", 4, NULL, 0, &error) == WEIR_PROTOCOL);
    check_text(error.text, "NocoDB's answer is not a row: not a JSON object");
    check(nocodb_row_check("{\"a\":1", 6, NULL, 0, &error) == WEIR_PROTOCOL);
}

static void a_row_has_the_columns_that_were_asked_for(void)
{
    static const struct {
        const char *row;
        const char *columns[3];
        const char *missing; /* NULL: it is as it should be */
    } cases[] = {
        {"{\"Title\":\"x\"}", {"Title"}, NULL},
        {"{\"Title\":null}", {"Title"}, NULL},
        {"{\"Title\":null,\"Year\":[]}", {"Year", "Title"}, NULL},
        {"{\"Title\":\"x\"}", {"Title", "Title"}, NULL},
        {"{\"Title\":\"x\"}", {"cgwqliwyspyq56w"}, NULL}, /* by its id */
        {"{}", {"Nme"}, "Nme"},
        {"{\"Title\":\"x\"}", {"Title", "Nme"}, "Nme"},
        {"{\"Year\":1}", {"Nme", "Year"}, "Nme"},
        {"{\"Year\":1}", {"Nme", "Nme", "Year"}, "Nme"},
        {"{}", {"title"}, "title"},
    };
    weir_error error;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *row = cases[i].row;
        size_t count = 0;

        while (count < 3 && cases[i].columns[count] != NULL)
            count++;
        weir_status status = nocodb_row_check(row, strlen(row), cases[i].columns, count, &error);
        check(status == (cases[i].missing == NULL ? WEIR_OK : WEIR_INVALID));
        if (cases[i].missing != NULL) {
            check_contains(error.text, "without column");
            check_contains(error.text, cases[i].missing);
        }
    }
}

static bool key_of(const char *row, const char *column, char out[NOCODB_KEY_TEXT])
{
    return nocodb_row_key(row, strlen(row), column, out);
}

static void a_key_is_a_whole_number_wherever_it_stands(void)
{
    char key[NOCODB_KEY_TEXT];

    check(key_of("{\"a\":{\"Id\":1},\"Id\":12}", "Id", key) && strcmp(key, "12") == 0);
    check(key_of("{\"Id\":-7}", "Id", key) && strcmp(key, "-7") == 0);
    check(key_of("{\"Id\":0}", "Id", key) && strcmp(key, "0") == 0);
    check(key_of("{\"Id\":\"123456789012345678901234567890\"}", "Id", key) &&
          strcmp(key, "123456789012345678901234567890") == 0);
    check(key_of("{\"id\":5,\"fields\":{\"N\":3}}", "N", key) && strcmp(key, "3") == 0);
    check(key_of("{\"id\":5,\"fields\":{\"N\":3}}", "Id", key) && strcmp(key, "5") == 0);
}

/* Another column that is left out has no value, and the id is none for it. */
static void the_id_of_v3_stands_for_the_column_id_only(void)
{
    static const char row[] = "{\"id\":5,\"fields\":{\"N\":3}}";
    char key[NOCODB_KEY_TEXT];

    check(key_of(row, "ID", key) && strcmp(key, "5") == 0);
    check(key_of(row, "id", key) && strcmp(key, "5") == 0);
    check(!key_of(row, "M", key));
    check(!key_of(row, "Idx", key));
    check(!key_of("{\"id\":5,\"fields\":{\"N\":null}}", "N", key));
    check(key_of("{\"id\":5,\"fields\":{\"Id\":3}}", "Id", key) && strcmp(key, "3") == 0);
}

static void a_row_has_an_id_under_either_name(void)
{
    check(nocodb_row_has_id("{\"a\":1,\"Id\":1}", 14));
    check(nocodb_row_has_id("{\"id\":\"x\"}", 10));
    check(!nocodb_row_has_id("{\"a\":{\"Id\":1}}", 14));
    check(!nocodb_row_has_id("{}", 2));
}

static void what_is_no_whole_number_is_no_key(void)
{
    static const char *const wrong[] = {"1.5",
                                        "1e3",
                                        "null",
                                        "true",
                                        "\"\"",
                                        "\"x\"",
                                        "\"-\"",
                                        "\"007\"",
                                        "-0",
                                        "{}",
                                        "[1]",
                                        "\"1 \"",
                                        "1234567890123456789012345678901234567890"};
    char row[96], key[NOCODB_KEY_TEXT];

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(row, sizeof row, "{\"Id\":%s}", wrong[i]);
        check(!key_of(row, "Id", key));
    }
    check(!key_of("{\"id\":5}", "Id", key));
    check(!key_of("{}", "Id", key));
}

static void keys_are_compared_as_numbers(void)
{
    static const char *const rising[] = {"-1000000000000000000000000000000",
                                         "-20",
                                         "-3",
                                         "0",
                                         "3",
                                         "20",
                                         "9007199254740992",
                                         "9007199254740993",
                                         "1000000000000000000000000000000"};

    for (size_t i = 0; i < sizeof rising / sizeof *rising; i++) {
        for (size_t k = 0; k < sizeof rising / sizeof *rising; k++) {
            int order = nocodb_key_compare(rising[i], rising[k]);
            check(i < k ? order < 0 : i > k ? order > 0 : order == 0);
        }
    }
}

static void keys_beyond_what_a_double_holds_are_not_exact(void)
{
    static const char *const exact[] = {"0", "-1", "9007199254740991", "-9007199254740991"};
    static const char *const rounded[] = {"9007199254740992", "9007199254740993",
                                          "-9007199254740992", "12345678901234567890",
                                          "1000000000000000000000000000000"};

    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        check(nocodb_key_is_exact(exact[i]));
    for (size_t i = 0; i < sizeof rounded / sizeof *rounded; i++)
        check(!nocodb_key_is_exact(rounded[i]));
}

int main(void)
{
    run(rows_of_every_shape_come_as_they_were_sent);
    run(what_comes_after_is_told_by_flags_and_links);
    run(the_servers_page_size_is_kept_if_it_is_one);
    run(what_is_no_page_is_refused);
    run(a_key_is_a_whole_number_wherever_it_stands);
    run(the_id_of_v3_stands_for_the_column_id_only);
    run(a_row_has_an_id_under_either_name);
    run(what_is_no_whole_number_is_no_key);
    run(keys_are_compared_as_numbers);
    run(a_row_has_the_columns_that_were_asked_for);
    run(keys_beyond_what_a_double_holds_are_not_exact);
    return check_done();
}
