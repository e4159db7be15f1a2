/* SPDX-License-Identifier: MIT */
/* A session's options: the range of each, what contradicts itself, and a copy that stands alone. */
#include "check.h"
#include "http/options.h"

#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static weir_error error;

static void check_fine(const weir_http_options *options)
{
    error = (weir_error){0};
    check_int(weir__http_options_check(options, &error), WEIR_OK);
    check_text(error.text, "");
}

static void check_refused(const weir_http_options *options, const char *part)
{
    error = (weir_error){0};
    check_int(weir__http_options_check(options, &error), WEIR_INVALID);
    check_int(error.status, WEIR_INVALID);
    check_contains(error.text, part);
    check(strstr(error.text, "hunter2") == NULL);
}

static void the_defaults_are_fine(void)
{
    const weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    check_fine(&options);
}

/* ---- numbers ----------------------------------------------------------------------------- */

struct number {
    const char *name;
    size_t offset;
    int low;
    int high;
};

/* As include/weir/http.h says. */
static const struct number numbers[] = {
    {"pool_connections", offsetof(weir_http_options, pool_connections), 1, 1024},
    {"pool_maxsize", offsetof(weir_http_options, pool_maxsize), 1, 1024},
    {"max_per_origin", offsetof(weir_http_options, max_per_origin), 1, 1024},
    {"max_total", offsetof(weir_http_options, max_total), 1, 1024},
    {"acquire_timeout_ms", offsetof(weir_http_options, acquire_timeout_ms), 0, 86400000},
    {"max_waiters", offsetof(weir_http_options, max_waiters), 0, 1000000},
    {"idle_timeout_ms", offsetof(weir_http_options, idle_timeout_ms), 0, 86400000},
    {"max_lifetime_s", offsetof(weir_http_options, max_lifetime_s), -1, 31536000},
    {"lifetime_jitter_percent", offsetof(weir_http_options, lifetime_jitter_percent), 0, 100},
    {"connect_timeout_ms", offsetof(weir_http_options, connect_timeout_ms), 1, 86400000},
    {"try_timeout_ms", offsetof(weir_http_options, try_timeout_ms), 1, 86400000},
    {"total_timeout_ms", offsetof(weir_http_options, total_timeout_ms), 1, 86400000},
    {"unstated_pause_ms", offsetof(weir_http_options, unstated_pause_ms), 0, 86400000},
    {"max_header_bytes", offsetof(weir_http_options, max_header_bytes), 256, 262144},
    {"max_error_bytes", offsetof(weir_http_options, max_error_bytes), 0, 16777216},
    {"max_expansion", offsetof(weir_http_options, max_expansion), 1, 10000},
};

static weir_http_options with_number(const struct number *number, int value)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    memcpy((char *)&options + number->offset, &value, sizeof value);
    return options;
}

static void each_number_has_its_range_and_is_named_beyond_it(void)
{
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        const struct number *number = &numbers[i];
        const int beyond[] = {number->low - 1, number->high + 1};
        weir_http_options options = with_number(number, number->low);
        char text[128];

        check_fine(&options);
        options = with_number(number, number->high);
        check_fine(&options);
        for (size_t j = 0; j < COUNT_OF(beyond); j++) {
            options = with_number(number, beyond[j]);
            snprintf(text, sizeof text, "%s %d: must be %d to %d", number->name, beyond[j],
                     number->low, number->high);
            check_refused(&options, text);
        }
    }
}

static void a_body_has_at_most_2_to_the_53_bytes(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    options.max_body_bytes = 0;
    check_fine(&options);
    options.max_body_bytes = 9007199254740992;
    check_fine(&options);
    options.max_body_bytes = 9007199254740993;
    check_refused(&options, "max_body_bytes 9007199254740993: must be 0 to 9007199254740992");
    options.max_body_bytes = -1;
    check_refused(&options, "max_body_bytes -1");
}

static void pool_block_is_one_of_three(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    options.pool_block = WEIR_HTTP_WHEN_FULL_BLOCK;
    check_fine(&options);
    options.pool_block = WEIR_HTTP_WHEN_FULL_FAIL;
    check_fine(&options);
    options.pool_block = (weir_http_when_full)3;
    check_refused(&options, "pool_block 3");
    options.pool_block = (weir_http_when_full)-1;
    check_refused(&options, "pool_block -1");
}

static void a_larger_pool_than_max_per_origin_is_no_contradiction(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    options.pool_maxsize = 50;
    options.max_per_origin = 10;
    check_fine(&options);
}

static void options_of_the_policies_are_checked_and_named(void)
{
    const weir_http_options plain = WEIR_HTTP_OPTIONS_DEFAULT;
    weir_http_options options = plain;

    options.retry.backoff_max_ms = -1;
    check_refused(&options, "retry: backoff_max_ms -1: must be 0 to 86400000");
    options = plain;
    options.budget.percent = 101;
    check_refused(&options, "budget: percent 101: must be 0 to 100");
    options = plain;
    options.breaker.window_size = 0;
    check_refused(&options, "breaker: window_size 0");
    options = plain;
    options.rate_limit.burst = 0;
    check_refused(&options, "rate_limit: burst 0");
}

/* ---- texts ------------------------------------------------------------------------------- */

static void a_name_has_1_to_31_bytes_and_no_control_characters(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    options.name = "1234567890123456789012345678901";
    check_fine(&options);
    options.name = "12345678901234567890123456789012";
    check_refused(&options, "name: must have 1 to 31 bytes");
    options.name = "";
    check_refused(&options, "name: must have 1 to 31 bytes");
    options.name = NULL;
    check_refused(&options, "name: must have 1 to 31 bytes");
    options.name = "a\nb";
    check_refused(&options, "name: has a control character at byte 2");
    options.name = "caf\xC3\xA9 1";
    check_fine(&options);
}

static void a_user_agent_may_be_empty_but_not_split_the_header(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    options.user_agent = "";
    check_fine(&options);
    options.user_agent = NULL;
    check_fine(&options);
    options.user_agent = "a\r\nX: y";
    check_refused(&options, "user_agent: has a control character at byte 2");
}

static void files_are_named_or_null(void)
{
    const weir_http_options plain = WEIR_HTTP_OPTIONS_DEFAULT;
    weir_http_options options = plain;

    options.ca_file = "";
    check_refused(&options, "ca_file: must have 1 to 65536 bytes, or be NULL");
    options = plain;
    options.ca_path = "";
    check_refused(&options, "ca_path: must have");
    options = plain;
    options.cert_file = "both.pem";
    check_fine(&options);
    options.key_file = "key\n.pem";
    check_refused(&options, "key_file: has a control character at byte 4");
    options.key_file = "key.pem";
    check_fine(&options);
    options.cert_file = NULL;
    check_refused(&options, "key_file: needs a cert_file");
}

static void a_text_has_a_limit(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;
    char *text = malloc(65538);

    if (text == NULL)
        abort();
    for (size_t i = 0; i < 65537; i++)
        text[i] = i % 2 == 0 ? ',' : 'a';
    text[65537] = '\0';
    options.no_proxy = text + 1;
    check_fine(&options);
    options.no_proxy = text;
    check_refused(&options, "no_proxy: must have 0 to 65536 bytes");
    free(text);
}

/* ---- the proxy --------------------------------------------------------------------------- */

static void a_proxy_is_a_url_of_four_schemes_with_credentials_or_without(void)
{
    static const char *const good[] = {
        "http://relay",       "http://relay:3128/",
        "HTTPS://proxy:443",  "socks5h://user:pa%40ss@relay:1080",
        "socks5://127.0.0.1", "http://user:pass@[::1]:8080",
    };
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    for (size_t i = 0; i < COUNT_OF(good); i++) {
        options.proxy = good[i];
        check_fine(&options);
    }
    options.no_proxy = "";
    check_fine(&options);
    options.no_proxy = "localhost,.example.com";
    check_fine(&options);
    options.no_proxy = "localhost,*.example.com,192.168.*";
    check_refused(&options, "no_proxy, position 33: a * must stand alone, or before the dot of "
                            "a domain");
}

static void a_bad_proxy_is_refused_and_never_shown(void)
{
    static const struct {
        const char *proxy;
        const char *part;
    } bad[] = {
        {"", "proxy: must have 1 to"},
        {"hunter2:3128", "proxy: must begin with http://"},
        {"ftp://user:hunter2@relay", "proxy: must begin with http://"},
        {"socks4://hunter2", "proxy: must begin with http://"},
        {"http://user:hunter2 @relay", "proxy, position 20"},
        {"http://user:hunter2\xC3\xA9@relay", "proxy, position 20"},
        {"http://user:hunter2@r\xC3\xA9lay/\xC3\xA9", "proxy, position 28"},
        {"http://user:hunter2@r\xC3\xA9lay:8\xC3\xA9", "proxy: expected a port of digits only"},
        {"http://user:hunter2@r\xE9lay", "proxy: a host that is not ASCII must be UTF-8"},
        {"socks5h://user:hunter2@\xC3\xA9..r", "proxy: expected a name, and a dot"},
        {"http://user:hunter2\r\n@relay", "proxy: has a control character at byte 20"},
        {"http://", "proxy: expected a host"},
        {"http://user:hunter2@", "proxy: expected a host"},
        {"http://user:hunter2@relay:99999", "proxy: expected a port from 1 to 65535"},
        {"http://user:hunter2@relay:http", "proxy: expected a port of digits only"},
        {"http://user:hunter2@pro%78y", "proxy: this character is not allowed in a host"},
        {"http://user:hun@ter2@relay", "proxy: an @ in a user or password"},
        {"http://user:hun/ter2@relay", "proxy: must have nothing after host and port"},
        {"http://relay/hunter2", "proxy: must have nothing after host and port"},
        {"socks5h://proxy?hunter2", "proxy: must have nothing after host and port"},
        {"http://relay/#hunter2", "proxy: must have nothing after host and port"},
    };
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        options.proxy = bad[i].proxy;
        check_refused(&options, bad[i].part);
    }
}

static void the_host_of_a_proxy_has_a_limit_whatever_it_is_made_of(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;
    char proxy[400];

    memset(proxy, '0', sizeof proxy);
    memcpy(proxy, "http://h:", 9);
    memcpy(proxy + sizeof proxy - 4, "808", 4);
    options.proxy = proxy;
    check_refused(&options, "proxy: its host is too long");
}

static void the_host_of_a_proxy_is_kept_as_it_is_looked_up(void)
{
    static const char *const table[][2] = {
        {"http://user:p%40ss@R\xC3\xA9lay.example:81",
         "http://user:p%40ss@xn--rlay-bpa.example:81"},
        {"socks5h://r\xC3\xA9lay\xE3\x80\x82", "socks5h://xn--rlay-bpa."},
        {"https://\xC3\xA9/", "https://xn--9ca/"},
        {"HTTP://Relay:81", "HTTP://Relay:81"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;
        weir_http_options copy;
        options.proxy = table[i][0];
        check_int(weir__http_options_check(&options, &error), WEIR_OK);
        check_int(weir__http_options_copy(&options, &copy, &error), WEIR_OK);
        check_text(copy.proxy, table[i][1]);
        weir__http_options_clear(&copy);
    }
}

static void the_environment_and_a_proxy_contradict_each_other(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;

    options.proxy_from_environment = true;
    check_fine(&options);
    options.no_proxy = "localhost";
    check_refused(&options, "proxy_from_environment");
    options.no_proxy = NULL;
    options.proxy = "http://relay";
    check_refused(&options, "proxy_from_environment");
    options.proxy_from_environment = false;
    check_fine(&options);
}

/* ---- the copy ---------------------------------------------------------------------------- */

static void a_copy_has_texts_of_its_own(void)
{
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;
    weir_http_options copy;
    char text[] = "http://user:pass@relay";

    options.proxy = text;
    options.no_proxy = "a";
    options.ca_file = "b";
    options.ca_path = "c";
    options.cert_file = "d";
    options.key_file = "e";
    options.max_total = 77;
    check_int(weir__http_options_copy(&options, &copy, &error), WEIR_OK);
    memset(text, 'x', sizeof text - 1);
    check_text(copy.proxy, "http://user:pass@relay");
    check_text(copy.name, "http");
    check_text(copy.no_proxy, "a");
    check_text(copy.ca_file, "b");
    check_text(copy.ca_path, "c");
    check_text(copy.cert_file, "d");
    check_text(copy.key_file, "e");
    check_text(copy.user_agent, "weir/" WEIR_VERSION);
    check(copy.name != options.name && copy.user_agent != options.user_agent);
    check_int(copy.max_total, 77);
    weir__http_options_clear(&copy);
    check(copy.name == NULL && copy.proxy == NULL && copy.user_agent == NULL);
    weir__http_options_clear(&copy);
}

static void a_text_that_is_not_there_is_not_there_in_the_copy(void)
{
    const weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;
    weir_http_options copy;

    check_int(weir__http_options_copy(&options, &copy, &error), WEIR_OK);
    check(copy.proxy == NULL && copy.no_proxy == NULL && copy.ca_file == NULL);
    check(copy.ca_path == NULL && copy.cert_file == NULL && copy.key_file == NULL);
    weir__http_options_clear(&copy);
}

int main(void)
{
    run(the_defaults_are_fine);
    run(each_number_has_its_range_and_is_named_beyond_it);
    run(a_body_has_at_most_2_to_the_53_bytes);
    run(pool_block_is_one_of_three);
    run(a_larger_pool_than_max_per_origin_is_no_contradiction);
    run(options_of_the_policies_are_checked_and_named);
    run(a_name_has_1_to_31_bytes_and_no_control_characters);
    run(a_user_agent_may_be_empty_but_not_split_the_header);
    run(files_are_named_or_null);
    run(a_text_has_a_limit);
    run(a_proxy_is_a_url_of_four_schemes_with_credentials_or_without);
    run(a_bad_proxy_is_refused_and_never_shown);
    run(the_host_of_a_proxy_has_a_limit_whatever_it_is_made_of);
    run(the_host_of_a_proxy_is_kept_as_it_is_looked_up);
    run(the_environment_and_a_proxy_contradict_each_other);
    run(a_copy_has_texts_of_its_own);
    run(a_text_that_is_not_there_is_not_there_in_the_copy);
    return check_done();
}
