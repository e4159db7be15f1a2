/* SPDX-License-Identifier: MIT */
/* Database URLs: parts, errors with positions, and that no secret is ever shown. */
#include "check.h"
#include "db/url.h"

#include <stdlib.h>

/* The parsed URL, or NULL after a failed check. */
static weir_url *parse(const char *text)
{
    weir_url *url = NULL;
    weir_error error = {0};
    weir_status status = weir_url_parse(text, &url, &error);

    if (status != WEIR_OK)
        printf("# %s: %s\n", text, error.text);
    check_int(status, WEIR_OK);
    return url;
}

static void check_sqlite_path(const char *text, const char *path)
{
    weir_url *url = parse(text);
    if (url == NULL)
        return;

    check_text(weir_url_engine(url), "sqlite");
    check_text(url->database, path);
    check(url->host == NULL && url->port == NULL && url->user == NULL && url->password == NULL);
    weir_url_close(url);
}

static void sqlite_paths_are_relative_absolute_or_in_memory(void)
{
    check_sqlite_path("sqlite:///relative.db", "relative.db");
    check_sqlite_path("sqlite:///a/b.db", "a/b.db");
    check_sqlite_path("sqlite:////absolute/x.db", "/absolute/x.db");
    check_sqlite_path("sqlite:///:memory:", ":memory:");
    check_sqlite_path("sqlite://", ":memory:");
    check_sqlite_path("sqlite:///", ":memory:");
    check_sqlite_path("sqlite+pysqlite:///x.db", "x.db");
    check_sqlite_path("SQLite:///x.db", "x.db");
    check_sqlite_path("sqlite:///a%20b%3F.db", "a b?.db");
    check_sqlite_path("sqlite:///x.db?pool_size=3", "x.db");
}

/* Compare a part that may be absent. */
static void check_part(const char *actual, const char *expected)
{
    if (expected == NULL)
        check(actual == NULL);
    else
        check_text(actual, expected);
}

struct parts {
    const char *text;
    const char *user;
    const char *password;
    const char *host;
    const char *port;
    const char *database;
};

static void postgresql_urls_fall_into_their_parts(void)
{
    static const struct parts table[] = {
        {"postgresql://u:p@h:5432/d", "u", "p", "h", "5432", "d"},
        {"postgres://u@h/d", "u", NULL, "h", NULL, "d"},
        {"postgresql+psycopg2://u:p@h/d", "u", "p", "h", NULL, "d"},
        {"postgresql://h", NULL, NULL, "h", NULL, NULL},
        {"postgresql://h/", NULL, NULL, "h", NULL, NULL},
        {"postgresql:///d", NULL, NULL, NULL, NULL, "d"},
        {"postgresql://", NULL, NULL, NULL, NULL, NULL},
        {"postgresql://u@/d?host=/run/postgresql", "u", NULL, NULL, NULL, "d"},
        {"postgresql://u:@h/d", "u", "", "h", NULL, "d"},
        {"postgresql://:p@h/d", NULL, "p", "h", NULL, "d"},
        {"postgresql://u:p%40%2F%3A@h/d", "u", "p@/:", "h", NULL, "d"},
        {"postgresql://u:a@b@h/d", "u", "a@b", "h", NULL, "d"},
        {"postgresql://u:a:b@h/d", "u", "a:b", "h", NULL, "d"},
        {"postgresql://[::1]:5433/d", NULL, NULL, "::1", "5433", "d"},
        {"postgresql://[fe80::1]/d", NULL, NULL, "fe80::1", NULL, "d"},
        {"postgresql://a:1,b:2/d", NULL, NULL, "a,b", "1,2", "d"},
        {"postgresql://a,b:2,[::1]/d", NULL, NULL, "a,b,::1", ",2,", "d"},
        {"postgresql://a,b/d", NULL, NULL, "a,b", NULL, "d"},
        {"postgresql://%2Frun%2Fpostgresql/d", NULL, NULL, "/run/postgresql", NULL, "d"},
        {"postgresql://h/caf%C3%A9", NULL, NULL, "h", NULL, "caf\xC3\xA9"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        weir_url *url = parse(table[i].text);
        if (url == NULL)
            continue;
        check_text(weir_url_engine(url), "postgresql");
        check_part(url->user, table[i].user);
        check_part(url->password, table[i].password);
        check_part(url->host, table[i].host);
        check_part(url->port, table[i].port);
        check_part(url->database, table[i].database);
        weir_url_close(url);
    }
}

static void query_options_keep_their_order_and_are_decoded(void)
{
    weir_url *url = parse("postgresql://h/d?sslmode=require&a%20b=c%26d&empty=&sslmode=disable");
    if (url == NULL)
        return;

    check_int(url->option_count, 4);
    check_text(url->options[0].name, "sslmode");
    check_text(url->options[0].value, "require");
    check_text(url->options[1].name, "a b");
    check_text(url->options[1].value, "c&d");
    check_text(url->options[2].value, "");
    check_text(url->options[3].value, "disable");
    check(!url->options[0].is_taken);
    weir_url_close(url);
}

static void check_invalid(const char *text, const char *position, const char *expected)
{
    weir_url *url = (weir_url *)&url;
    weir_error error = {0};

    check_int(weir_url_parse(text, &url, &error), WEIR_INVALID);
    check_int(error.status, WEIR_INVALID);
    check_contains(error.text, position);
    check_contains(error.text, expected);
    check(url == (weir_url *)&url); /* untouched */
}

static void faults_are_named_with_their_position(void)
{
    check_invalid("", "position 1:", "scheme");
    check_invalid("sqlite", "position 7:", "://");
    check_invalid("sqlite:/x.db", "position 7:", "://");
    check_invalid("://x", "position 1:", "scheme");
    check_invalid("sqlite://x.db", "position 10:", "third slash");
    check_invalid("sqlite:///%", "position 11:", "hexadecimal");
    check_invalid("sqlite:///a%4", "position 12:", "hexadecimal");
    check_invalid("sqlite:///a%zz", "position 12:", "hexadecimal");
    check_invalid("sqlite:///a%00b", "position 12:", "%00");
    check_invalid("sqlite:///a\nb", "position 12:", "control");
    check_invalid("postgresql://h:x/d", "position 16:", "digits");
    check_invalid("postgresql://h:70000/d", "position 16:", "65535");
    check_invalid("postgresql://h:0/d", "position 16:", "65535");
    check_invalid("postgresql://h:99999999999999999999/d", "position 16:", "65535");
    check_invalid("postgresql://[::1/d", "position 14:", "]");
    check_invalid("postgresql://[::1]x/d", "position 19:", "port");
    check_invalid("postgresql://h/d?x", "position 18:", "option=value");
    check_invalid("postgresql://h/d?a=1&=2", "position 22:", "option=value");
    check_invalid("postgresql://h/d?a=1&&b=2", "position 22:", "option=value");
}

static void schemes_without_a_driver_are_unsupported(void)
{
    weir_url *url;
    weir_error error = {0};

    check_int(weir_url_parse("mysql://u:hidden@h/d", &url, &error), WEIR_UNSUPPORTED);
    check_contains(error.text, "mysql");
    check(strstr(error.text, "hidden") == NULL);
}

static void check_redacted(const char *text, const char *redacted)
{
    weir_url *url = parse(text);
    if (url == NULL)
        return;

    check_text(weir_url_redacted(url), redacted);
    weir_url_close(url);
}

static void redaction_hides_every_secret_and_nothing_else(void)
{
    check_redacted("postgresql://u:secret@h:1/d?a=b", "postgresql://u:***@h:1/d?a=b");
    check_redacted("postgresql://u:a@b@h/d", "postgresql://u:***@h/d");
    check_redacted("postgresql://u:@h/d", "postgresql://u:***@h/d");
    check_redacted("postgresql://:x@/d", "postgresql://:***@/d");
    check_redacted("postgresql://u@h/d", "postgresql://u@h/d");
    check_redacted("postgresql://h/d?password=x&sslmode=require&sslpassword=y",
                   "postgresql://h/d?password=***&sslmode=require&sslpassword=***");
    check_redacted("postgresql://h/d?passfile=/secret/x&sslkey=/k",
                   "postgresql://h/d?passfile=***&sslkey=***");
    check_redacted("postgresql://h/d?p%61ssword=x", "postgresql://h/d?p%61ssword=***");
    check_redacted("sqlite:///x.db?pool_size=2", "sqlite:///x.db?pool_size=2");
}

/* A parse that fails anywhere in the URL says nothing of what stands in it. */
static void no_error_quotes_a_password(void)
{
    static const char *const broken[] = {
        "postgresql://user:S3cr3t@h:port/d",
        "postgresql://user:S3cr3t/x@h/d",
        "postgresql://user:S3cr3t%@h/d",
        "postgresql://user:12/S3cr3t@h/d",
        "postgresql://user:S3cr3t@h/d?x",
        "postgresql://user:S3cr3t?x@h/d",
        "postgresql://user:S3cr3t@[h/d",
        "user:S3cr3t@h/d",
        "S3cr3t",
        "postgresql://user:S3cr3t\x01@h/d",
        "sqlite://user:S3cr3t@h/x.db",
        "postgresql:/user:S3cr3t@h/d",
    };

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        weir_url *url = NULL;
        weir_error error = {0};
        weir_status status = weir_url_parse(broken[i], &url, &error);
        if (status == WEIR_OK)
            printf("# parsed: %s\n", broken[i]);
        check_int(status, WEIR_INVALID);
        check(strstr(error.text, "S3cr3t") == NULL);
        weir_url_close(url);
    }
}

static void many_hosts_are_bounded(void)
{
    size_t size = 1 << 16;
    char *text = malloc(size);
    weir_url *url = NULL;
    weir_error error = {0};
    if (text == NULL)
        return;

    strcpy(text, "postgresql://");
    for (size_t at = strlen(text); at + 8 < size; at += 7)
        memcpy(text + at, "h:5432,", 8);
    check_int(weir_url_parse(text, &url, &error), WEIR_INVALID);
    check_contains(error.text, "too many hosts");
    free(text);
}

static void close_takes_null(void)
{
    weir_url_close(NULL);
    check(true);
}

int main(void)
{
    run(sqlite_paths_are_relative_absolute_or_in_memory);
    run(postgresql_urls_fall_into_their_parts);
    run(query_options_keep_their_order_and_are_decoded);
    run(faults_are_named_with_their_position);
    run(schemes_without_a_driver_are_unsupported);
    run(redaction_hides_every_secret_and_nothing_else);
    run(no_error_quotes_a_password);
    run(many_hosts_are_bounded);
    run(close_takes_null);
    return check_done();
}
