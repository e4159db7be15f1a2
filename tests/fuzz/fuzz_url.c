/* SPDX-License-Identifier: MIT */
/* Any text as a database URL: refused, or parsed so that its redacted form means the same. */
#include "fuzz.h"

#include "db/url.h"

const char *const fuzz_seeds[] = {
    "sqlite:///:memory:",
    "sqlite:////var/lib/x.db?pool_size=5&busy_timeout_ms=100",
    "postgresql://user:pass%40word@db1:5432,db2:5433/name?sslmode=require&password=x",
    "postgres://[::1]:5432/d",
    "postgresql+psycopg2://u@/d?host=/run/postgresql",
    "postgresql://%2Frun/d?sslkey=a&sslpassword=b",
    "://",
    "%00",
    "@",
    "?a=b&c=d",
    NULL,
};

static void must_equal(const char *a, const char *b)
{
    must((a == NULL) == (b == NULL));
    must(a == NULL || strcmp(a, b) == 0);
}

/* Everything but the secrets comes back. */
static void check_redacted(const weir_url *url)
{
    weir_url *again = NULL;
    weir_error error;

    must(weir_url_parse(weir_url_redacted(url), &again, &error) == WEIR_OK);
    must_equal(url->engine, again->engine);
    must_equal(url->user, again->user);
    must_equal(url->host, again->host);
    must_equal(url->port, again->port);
    must_equal(url->database, again->database);
    must_equal(url->password == NULL ? NULL : "***", again->password);
    must(url->option_count == again->option_count);
    for (size_t i = 0; i < url->option_count; i++) {
        must_equal(url->options[i].name, again->options[i].name);
        must_equal(weir__url_option_is_secret(url->options[i].name) ? "***" : url->options[i].value,
                   again->options[i].value);
    }
    weir_url_close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    weir_url *url = NULL;
    weir_error error = {0};
    weir_status status = weir_url_parse(text, &url, &error);

    must(status == WEIR_OK || status == WEIR_INVALID || status == WEIR_UNSUPPORTED);
    must((status == WEIR_OK) == (url != NULL));
    must((status == WEIR_OK) == (error.text[0] == '\0'));
    if (url != NULL)
        check_redacted(url);
    weir_url_close(url);
    free(text);
    return 0;
}
