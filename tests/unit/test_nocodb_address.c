/* SPDX-License-Identifier: MIT */
/* Base URLs of NocoDB: what each stands for, and those below which no rows can be. */
#include "services/nocodb_address.h"

#include "check.h"

static void reads_as(const char *url, enum nocodb_api api, const char *base_url, const char *root,
                     const char *base_id)
{
    struct nocodb_address address;
    weir_error error = {0};

    check(nocodb_address_read(url, &address, &error) == WEIR_OK);
    check_text(error.text, "");
    check_int(address.api, api);
    check_text(address.base_url, base_url);
    check_text(address.root, root);
    if (base_id == NULL)
        check(address.base_id == NULL);
    else
        check_text(address.base_id, base_id);
    nocodb_address_clear(&address);
    check(address.base_url == NULL && address.root == NULL && address.base_id == NULL);
}

static const char *refusal(const char *url)
{
    struct nocodb_address address = {0};
    static weir_error error;

    check(nocodb_address_read(url, &address, &error) == WEIR_INVALID);
    check(address.base_url == NULL);
    return error.text;
}

static void each_api_is_known_by_its_path(void)
{
    reads_as("https://h/api/v2/tables", NOCODB_API_V2, "https://h/api/v2/tables", "https://h",
             NULL);
    reads_as("http://h:8080/api/v3/data/p1", NOCODB_API_V3, "http://h:8080/api/v3/data/p1",
             "http://h:8080", "p1");
    reads_as("http://h/api/v1/db/data/noco/p1", NOCODB_API_V1, "http://h/api/v1/db/data/noco/p1",
             "http://h", "p1");
    reads_as("http://h/sub/path/API/V2/tables", NOCODB_API_V2, "http://h/sub/path/API/V2/tables",
             "http://h/sub/path", NULL);
}

static void slashes_at_the_end_do_not_count(void)
{
    reads_as("https://h/api/v2/tables//", NOCODB_API_V2, "https://h/api/v2/tables", "https://h",
             NULL);
    reads_as("https://h/api/v3/data/p1/", NOCODB_API_V3, "https://h/api/v3/data/p1", "https://h",
             "p1");
    reads_as("http://h/base///", NOCODB_API_OTHER, "http://h/base", "http://h", NULL);
}

static void an_origin_and_the_second_api_alone_stand_for_its_tables(void)
{
    reads_as("https://h", NOCODB_API_V2, "https://h/api/v2/tables", "https://h", NULL);
    reads_as("https://h:8443/", NOCODB_API_V2, "https://h:8443/api/v2/tables", "https://h:8443",
             NULL);
    reads_as("https://h/api/v2", NOCODB_API_V2, "https://h/api/v2/tables", "https://h", NULL);
    reads_as("https://h/x/api/v2/", NOCODB_API_V2, "https://h/x/api/v2/tables", "https://h/x",
             NULL);
}

static void another_path_is_somebodys_own(void)
{
    reads_as("http://h/base", NOCODB_API_OTHER, "http://h/base", "http://h", NULL);
    reads_as("http://h/api/v22/x", NOCODB_API_OTHER, "http://h/api/v22/x", "http://h", NULL);
    reads_as("http://h/my-records", NOCODB_API_OTHER, "http://h/my-records", "http://h", NULL);
}

static void a_table_in_it_is_refused_with_how_it_must_end(void)
{
    static const char *const v2[] = {"http://h/api/v2/tables/m1",
                                     "http://h/api/v2/tables/m1/records",
                                     "http://h/api/v2/tables/m1/records/", "http://h/x/records"};

    for (size_t i = 0; i < sizeof v2 / sizeof *v2; i++) {
        check_contains(refusal(v2[i]), "leave out the table");
        check_contains(refusal(v2[i]), "must end with /api/v2/tables");
    }
    check_contains(refusal("http://h/api/v3/data/p1/m1"), "must end with /api/v3/data/{base id}");
    check_contains(refusal("http://h/api/v3/data/p1/m1/records"), "leave out the table");
    check_contains(refusal("http://h/api/v1/db/data/noco/p1/m1"), "leave out the table");
    check_text(refusal("http://h/api/v2/tables/m1/records"),
               "NocoDB base URL: there are no rows under \"/api/v2/tables/m1/records\"; leave out "
               "the "
               "table, which each request names: it must end with /api/v2/tables");
}

static void an_api_without_its_base_and_what_is_none_are_refused(void)
{
    static const char *const v3[] = {"http://h/api/v3", "http://h/api/v3/data",
                                     "http://h/api/v3/data/", "http://h/api/v3/meta/bases/p1"};
    static const char *const v1[] = {"http://h/api/v1", "http://h/api/v1/db/data",
                                     "http://h/api/v1/db/data/noco", "http://h/api/v1/nocodb",
                                     "http://h/nc/p1/api/v1"};

    for (size_t i = 0; i < sizeof v3 / sizeof *v3; i++)
        check_contains(refusal(v3[i]), "must end with /api/v3/data/{base id}");
    for (size_t i = 0; i < sizeof v1 / sizeof *v1; i++)
        check_contains(refusal(v1[i]), "must end with /api/v2/tables, /api/v3/data/{base id} or");
    check_contains(refusal("http://h/api/v2/meta/bases"), "must end with /api/v2/tables");
    check_contains(refusal("http://h/api"), "must end with /api/v2/tables");
    check_contains(refusal("http://h/dashboard"), "that is NocoDB's page");
    check_contains(refusal("http://h/dashboard/nc/p1/m1"), "that is NocoDB's page");
}

static void none_and_a_query_are_refused(void)
{
    check_text(refusal(NULL), "NocoDB base URL not configured");
    check_text(refusal(""), "NocoDB base URL not configured");
    check_text(refusal("//"), "NocoDB base URL not configured");
    check_contains(refusal("http://h/api/v2/tables?x"), "without a query or fragment");
    check_contains(refusal("http://h/dashboard/#/nc/p1"), "without a query or fragment");
}

int main(void)
{
    run(each_api_is_known_by_its_path);
    run(slashes_at_the_end_do_not_count);
    run(an_origin_and_the_second_api_alone_stand_for_its_tables);
    run(another_path_is_somebodys_own);
    run(a_table_in_it_is_refused_with_how_it_must_end);
    run(an_api_without_its_base_and_what_is_none_are_refused);
    run(none_and_a_query_are_refused);
    return check_done();
}
