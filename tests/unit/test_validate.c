/* SPDX-License-Identifier: MIT */
/* Dates, addresses, numbers, and the list of wrong fields. */
#include "api/validate.h"
#include "text/parse.h"

#include "check.h"

#include <stdlib.h>

static void dates_are_days_the_calendar_has(void)
{
    static const char *const fine[] = {"2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31",
                                       "2023-04-30"};
    static const char *const wrong[] = {
        "2023-02-29",  "1900-02-29", "2024-02-30", "2024-04-31",          "2024-13-01",
        "2024-00-10",  "2024-01-00", "2024-01-32", "0000-01-01",          "2024-1-1",
        "24-01-01",    "2024/01/01", "20240101",   "2024-01-01T00:00:00", "",
        " 2024-01-01", "2024-01-0a", "-024-01-01", "2024-01-01 ",         "١٩٩٩-01-01"};
    int year = 0;

    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        check(parse_date(fine[i], NULL));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check(!parse_date(wrong[i], NULL));
    check(parse_date("1999-12-31", &year) && year == 1999);
}

static void addresses_are_checked_as_mail_servers_do(void)
{
    static const char *const fine[] = {"a@b.ch",
                                       "first.last+tag@sub.example.org",
                                       "o'neil@example.co",
                                       "x@a-b.example",
                                       "user@1password.com",
                                       "zoë@exämple.ch"};
    static const char *const wrong[] = {
        "",           "a",           "@b.ch",     "a@",       "a@b",      "a@b..ch",
        ".a@b.ch",    "a.@b.ch",     "a..b@c.ch", "a b@c.ch", "a@b c.ch", "a@-b.ch",
        "a@b-.ch",    "a@b.1",       "a@b.ch.",   "a@.b.ch",  "a\n@b.ch", "a@b@c.ch",
        "\"a\"@b.ch", "a@[1.2.3.4]", "a@1.2.3.4", "<a@b.ch>", "a@b_c.ch"};
    char longer[400];

    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        check(validate_is_email(fine[i]));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check(!validate_is_email(wrong[i]));
    memset(longer, 'a', 65);
    strcpy(longer + 65, "@b.ch");
    check(!validate_is_email(longer));
    check(validate_is_email(longer + 1));
    memset(longer, 'a', sizeof longer);
    memcpy(longer, "a@", 2);
    longer[66] = '.';
    longer[70] = '\0';
    check(!validate_is_email(longer)); /* a label of 64 */
}

static void numbers_are_whole_and_within_limits(void)
{
    int64_t number = 0;

    check(parse_integer("42", 1, 100, &number) && number == 42);
    check(parse_integer("-5", -9, 9, &number) && number == -5);
    check(parse_integer("9223372036854775807", 0, INT64_MAX, &number) && number == INT64_MAX);
    check(!parse_integer("9223372036854775808", 0, INT64_MAX, &number));
    check(!parse_integer("0", 1, 100, &number));
    check(!parse_integer("101", 1, 100, &number));
    check(!parse_integer("", 0, 9, &number));
    check(!parse_integer(" 1", 0, 9, &number));
    check(!parse_integer("+1", 0, 9, &number));
    check(!parse_integer("1.0", 0, 9, &number));
    check(!parse_integer("0x1", 0, 9, &number));
    check(!parse_integer("-", -9, 9, &number));
    check(number == INT64_MAX);
}

/* Check one object with all kinds of checks and give the 422's body. */
static char *errors_of(const char *text)
{
    static const char *const reserved[] = {"forbidden"};
    struct validation validation = {0};
    json_t *object = json_loads(text, JSON_DECODE_INT_AS_REAL, NULL);

    validate_required_text(&validation, object, "title");
    validate_required_date(&validation, object, "day");
    validate_required_object(&validation, object, "data");
    validate_optional_text(&validation, object, "source", 5);
    validate_optional_email(&validation, object, "mail");
    validate_absent(&validation, object, reserved, 1, "is not yours");
    json_decref(object);
    if (validation_is_clean(&validation))
        return NULL;
    return validation_take(&validation);
}

static void a_right_object_has_no_errors(void)
{
    check(errors_of("{\"title\":\"t\",\"day\":\"2024-02-29\",\"data\":{},\"source\":\"äöüéè\","
                    "\"mail\":null}") == NULL);
}

static void every_wrong_field_is_named_once_in_order(void)
{
    char *body = errors_of("{}");

    check_contains(body, "\"detail\":\"title: is required; day: is required; data: is required\"");
    check_contains(body, "{\"field\":\"title\",\"message\":\"is required\"}");
    free(body);
    body = errors_of("{\"title\":\" \\n\",\"day\":\"2023-02-29\",\"data\":[],\"source\":\"123456\","
                     "\"mail\":\"x\",\"forbidden\":null}");
    check_contains(body,
                   "title: must not be empty; day: must be a date as YYYY-MM-DD (ISO 8601); "
                   "data: must be an object; source: must be at most 5 characters long; mail: "
                   "must be an e-mail address; forbidden: is not yours");
    free(body);
    body = errors_of("{\"title\":1,\"day\":20240101,\"data\":null,\"source\":{},\"mail\":5}");
    check_contains(body, "title: must be a string; day: must be a string; data: is required; "
                         "source: must be a string; mail: must be an e-mail address");
    free(body);
}

static void taking_the_list_empties_it(void)
{
    struct validation validation = {0};

    validation_add(&validation, "a", "is %d", 1);
    check(!validation_is_clean(&validation));
    free(validation_take(&validation));
    check(validation_is_clean(&validation));
    validation_clear(&validation);
}

int main(void)
{
    run(dates_are_days_the_calendar_has);
    run(addresses_are_checked_as_mail_servers_do);
    run(numbers_are_whole_and_within_limits);
    run(a_right_object_has_no_errors);
    run(every_wrong_field_is_named_once_in_order);
    run(taking_the_list_empties_it);
    return check_done();
}
