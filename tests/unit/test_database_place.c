/* SPDX-License-Identifier: MIT */
/* Where a database is: host and name out of every form of URL, never a user, an option or half a character. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "managers/database_place.h"
#include "common/utf8.h"

static void is_at(const char *url, const char *host, const char *name)
{
    struct database_place place;

    database_place_read(url, &place);
    check_text(place.host, host);
    check_text(place.name, name);
}

static void a_server_is_named_with_its_port(void)
{
    is_at("postgresql://db.example/orders", "db.example", "orders");
    is_at("postgresql://ada:***@db.example:5433/orders?pool_size=5", "db.example:5433", "orders");
    is_at("postgresql://a%40b:***@[::1]:5432/orders", "[::1]:5432", "orders");
    is_at("postgresql+psycopg2://ada@db1:5432,db2:5433/orders", "db1:5432,db2:5433", "orders");
    is_at("postgresql://db.example/gr%C3%B6%C3%9Fe", "db.example", "größe");
}

static void options_of_the_query_stand_in_for_what_is_missing(void)
{
    is_at("postgresql:///orders?host=/var/run/postgresql", "/var/run/postgresql", "orders");
    is_at("postgresql:///orders?sslmode=require&host=db.example&port=6432", "db.example:6432",
          "orders");
    is_at("postgresql://db.example?dbname=orders&password=***", "db.example", "orders");
    is_at("postgresql://db.example/orders?host=other&hostname=x", "db.example", "orders");
    is_at("postgresql:///", "", "");
}

static void a_file_is_named_by_its_path(void)
{
    is_at("sqlite:///weir.db", "", "weir.db");
    is_at("sqlite:////var/lib/weir.db?mode=ro", "", "/var/lib/weir.db");
    is_at("sqlite:///:memory:", "", ":memory:");
    is_at("sqlite://", "", ":memory:");
    is_at("none at all", "", "");
}

static void what_is_too_long_is_cut_between_characters(void)
{
    struct database_place place;
    char url[2048] = "postgresql://h/";

    for (int i = 0; i < 200; i++)
        strcat(url, "%C3%B6");
    database_place_read(url, &place);
    check(strlen(place.name) > 30 && strlen(place.name) < sizeof place.name);
    check(utf8_is_valid(place.name, strlen(place.name)));
    is_at("postgresql://h/%FF", "h", "");
}

int main(void)
{
    run(a_server_is_named_with_its_port);
    run(options_of_the_query_stand_in_for_what_is_missing);
    run(a_file_is_named_by_its_path);
    run(what_is_too_long_is_cut_between_characters);
    return check_done();
}
