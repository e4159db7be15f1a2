/* SPDX-License-Identifier: MIT */
/* The configuration: who wins, what is refused, and what an error shows. */
#include "config/config.h"

#include "check.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/cores.h"
#include "managers/http_session_manager.h"

static char dotenv_path[] = "/tmp/weir-config-XXXXXX";

static const char *const variables[] = {"SQL_CONN_STRING",
                                        "SUGGESTIONS_SQL_CONN_STRING",
                                        "JWT_SECRET",
                                        "LOG_LEVEL",
                                        "HOST",
                                        "PORT",
                                        "WEIR_WORKERS",
                                        "WEIR_DRAIN_TIMEOUT",
                                        "WEIR_SQL_ECHO",
                                        "NOCODB_BASE_URL",
                                        "NOCODB_API_TOKEN",
                                        "NOCODB_RATE_LIMIT",
                                        "NOCODB_CALLS",
                                        "WEIR_HTTP_POOL_MAXSIZE",
                                        "WEIR_HTTP_PROXY",
                                        "OTEL_TRACES_SAMPLER_ARG"};

static const char long_secret[] = "0123456789abcdef0123456789abcdef";

/* An empty world: no variable, and this `.env` file. */
static void start_with(const char *dotenv)
{
    FILE *file = fopen(dotenv_path, "w");

    check(file != NULL && fputs(dotenv, file) >= 0 && fclose(file) == 0);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
}

static struct config load(const struct config_flag *flags, size_t count)
{
    struct config config = {0};
    weir_error error = {0};

    check(config_load(flags, count, dotenv_path, &config, &error) == WEIR_OK);
    check_text(error.text, "");
    return config;
}

static weir_error refuse(const struct config_flag *flags, size_t count)
{
    struct config config = {0};
    weir_error error = {0};

    check(config_load(flags, count, dotenv_path, &config, &error) == WEIR_INVALID);
    return error;
}

static void defaults_are_those_of_the_documentation(void)
{
    start_with("");
    struct config config = load(NULL, 0);

    check_text(config.sql_conn_string, "sqlite:///weir.db");
    check_text(config.suggestions_sql_conn_string, "sqlite:///weir.db");
    check(config.jwt_secret == NULL);
    check_int(config.log_level, LOG_LEVEL_INFO);
    check_text(config.host, "127.0.0.1");
    check_int(config.port, 8000);
    check_int(config.workers, config_workers_for(cores_usable()));
    check_int(config.max_body_bytes, 1 << 20);
    check_int(config.drain_timeout_ms, 10000);
    check_int(config.shutdown_delay_ms, 0);
    check_int(config.request_timeout_ms, 30000);
    check_int(config.sql_echo, 0);
    config_clear(&config);
    check(config.host == NULL);
}

static void workers_are_two_for_each_core_from_2_to_16(void)
{
    check_int(config_workers_for(1), 2);
    check_int(config_workers_for(2), 4);
    check_int(config_workers_for(3), 6);
    check_int(config_workers_for(7), 14);
    check_int(config_workers_for(8), 16);
    check_int(config_workers_for(9), 16);
    check_int(config_workers_for(64), 16);
    check_int(config_workers_for(INT_MAX), 16);
}

static void a_quota_counts_as_the_cores_it_is_worth(void)
{
    check_int(cores_of_quota("200000 100000\n"), 2);
    check_int(cores_of_quota("150000 100000\n"), 2);
    check_int(cores_of_quota("50000 100000\n"), 1);
    check_int(cores_of_quota("1 1\n"), 1);
    check_int(cores_of_quota("max 100000\n"), 0);
    check_int(cores_of_quota("0 100000\n"), 0);
    check_int(cores_of_quota("-1 100000\n"), 0);
    check_int(cores_of_quota("200000 0\n"), 0);
    check_int(cores_of_quota("200000\n"), 0);
    check_int(cores_of_quota(""), 0);
    check_int(cores_of_quota("9000000000000000000 1\n"), 0);
    check(cores_usable() >= 1);
}

static void a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(void)
{
    const struct config_flag flag = {"port", "4"};

    start_with("PORT=2\n");
    struct config config = load(NULL, 0);
    check_int(config.port, 2);
    config_clear(&config);

    setenv("PORT", "3", 1);
    config = load(NULL, 0);
    check_int(config.port, 3);
    config_clear(&config);

    config = load(&flag, 1);
    check_int(config.port, 4);
    config_clear(&config);
}

static void the_last_flag_of_a_name_counts(void)
{
    const struct config_flag flags[] = {{"port", "1"}, {"port", "2"}};

    start_with("");
    struct config config = load(flags, 2);
    check_int(config.port, 2);
    config_clear(&config);
}

static void a_wrong_value_that_does_not_count_is_no_error(void)
{
    const struct config_flag flag = {"port", "4"};

    start_with("PORT=zwei\n");
    struct config config = load(&flag, 1);
    check_int(config.port, 4);
    config_clear(&config);
}

static void an_empty_value_counts_as_not_given_except_for_the_main_database(void)
{
    start_with("PORT=\nJWT_SECRET=''\nSUGGESTIONS_SQL_CONN_STRING=\n");
    setenv("HOST", "", 1);
    struct config config = load(NULL, 0);
    check_int(config.port, 8000);
    check_text(config.host, "127.0.0.1");
    check(config.jwt_secret == NULL);
    check_text(config.suggestions_sql_conn_string, "sqlite:///weir.db");
    config_clear(&config);

    setenv("SQL_CONN_STRING", "", 1);
    config = load(NULL, 0);
    check_text(config.sql_conn_string, "");
    config_clear(&config);
}

static void suggestions_use_the_main_database_unless_they_have_their_own(void)
{
    start_with("SQL_CONN_STRING=postgresql://h/a\n");
    struct config config = load(NULL, 0);
    check_text(config.suggestions_sql_conn_string, "postgresql://h/a");
    config_clear(&config);

    setenv("SUGGESTIONS_SQL_CONN_STRING", "sqlite:///s.db", 1);
    config = load(NULL, 0);
    check_text(config.suggestions_sql_conn_string, "sqlite:///s.db");
    config_clear(&config);
}

static void values_out_of_range_are_named_with_source_and_range(void)
{
    start_with("");
    setenv("PORT", "65536", 1);
    weir_error error = refuse(NULL, 0);
    check_text(error.text, "PORT \"65536\" (environment): must be 0 to 65535");

    const struct config_flag workers[] = {{"port", "0"}, {"workers", "0"}};
    error = refuse(workers, 2);
    check_text(error.text, "WEIR_WORKERS \"0\" (command line): must be 1 to 1024");

    start_with("LOG_LEVEL=loud\n");
    error = refuse(NULL, 0);
    check_contains(error.text, "LOG_LEVEL \"loud\" (/tmp/weir-config-");
    check_contains(error.text, "must be DEBUG, INFO, WARNING or ERROR");
}

static void numbers_are_whole_and_nothing_else(void)
{
    static const char *const wrong[] = {
        "80x", " 80", "+80", "0x50", "8.0", "", "99999999999999999999"};

    start_with("");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct config_flag flag = {"port", wrong[i]};
        check_contains(refuse(&flag, 1).text, "must be 0 to 65535");
    }
}

static void spans_and_booleans_are_read(void)
{
    const struct config_flag flags[] = {{"drain-timeout", "1.5s"}, {"sql-echo", "Yes"}};
    const struct config_flag wrong = {"drain-timeout", "2h"};
    const struct config_flag unclear = {"sql-echo", "maybe"};

    start_with("");
    struct config config = load(flags, 2);
    check_int(config.drain_timeout_ms, 1500);
    check_int(config.sql_echo, 1);
    config_clear(&config);
    check_contains(refuse(&wrong, 1).text, "must be a duration from 0ms to 1h");
    check_contains(refuse(&unclear, 1).text, "must be true or false");
}

static void a_share_is_a_decimal_from_0_to_1(void)
{
    static const struct {
        const char *text;
        int64_t millionths;
    } right[] = {{"0", 0},         {"1", 1000000},      {"0.25", 250000}, {".5", 500000},
                 {"1.0", 1000000}, {"0.000001", 1},     {"0.0000019", 1}, {"1.0000009", 1000000},
                 {"0.0", 0},       {"0.123456", 123456}};
    static const char *const wrong[] = {"1.1", "1.000001", "2",    "-0", "+1", "nan", "0x1",
                                        "1e0", "0,5",      "0.5 ", ".",  "1.", "10",  "0.5.5"};

    start_with("");
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        setenv("OTEL_TRACES_SAMPLER_ARG", right[i].text, 1);
        struct config config = load(NULL, 0);
        check_int(config.otel_traces_sampler_arg, right[i].millionths);
        config_clear(&config);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("OTEL_TRACES_SAMPLER_ARG", wrong[i], 1);
        weir_error error = refuse(NULL, 0);
        check_contains(error.text, "must be a share from 0 to 1");
    }
}

static void unknown_flags_and_weir_names_are_refused(void)
{
    const struct config_flag flag = {"prot", "1"};

    start_with("");
    check_text(refuse(&flag, 1).text, "unknown option --prot");
    start_with("OTHER_PROGRAM=1\nPATH=x\n\nWEIR_WROKERS=4\n");
    check_contains(refuse(NULL, 0).text, "line 4: unknown option WEIR_WROKERS");
}

static void short_secrets_are_refused_and_never_shown(void)
{
    start_with("");
    setenv("JWT_SECRET", "MYSECRET", 1);
    weir_error error = refuse(NULL, 0);
    check_contains(error.text, "JWT_SECRET is 8 bytes long: HS256 needs at least 32");
    check(strstr(error.text, "MYSECRET") == NULL);

    setenv("JWT_SECRET", long_secret, 1);
    struct config config = load(NULL, 0);
    check_text(config.jwt_secret, long_secret);
    config_clear(&config);
}

static void a_host_beyond_this_machine_needs_a_secret(void)
{
    const struct config_flag flag = {"host", "0.0.0.0"};

    start_with("");
    check_contains(refuse(&flag, 1).text, "HOST 0.0.0.0 can be reached from other machines");
    setenv("JWT_SECRET", long_secret, 1);
    struct config config = load(&flag, 1);
    check_text(config.host, "0.0.0.0");
    config_clear(&config);
}

static void loopback_is_this_machine_only(void)
{
    static const char *const inside[] = {"localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1"};
    static const char *const outside[] = {"0.0.0.0", "::",         "10.0.0.1", "128.0.0.1",
                                          "",        "localhost.", "::2",      "example.org"};

    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        check(config_is_loopback(inside[i]));
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        check(!config_is_loopback(outside[i]));
}

static void limits_that_contradict_each_other_are_refused(void)
{
    const struct config_flag flags[] = {{"max-connections", "8"}, {"max-connections-per-ip", "9"}};

    start_with("");
    check_contains(refuse(flags, 2).text, "WEIR_MAX_CONNECTIONS_PER_IP \"9\": must be 0 to");
    check_contains(refuse(&(struct config_flag){"max-total-body-bytes", "1048575"}, 1).text,
                   "WEIR_MAX_TOTAL_BODY_BYTES \"1048575\": must be at least WEIR_MAX_BODY_BYTES, "
                   "which is 1048576");
}

static void an_address_without_the_port_that_it_is_for_is_refused(void)
{
    const struct config_flag flags[] = {{"health-host", "10.0.0.1"}, {"health-port", "8001"}};
    struct config config;

    start_with("");
    check_contains(refuse(flags, 1).text, "WEIR_HEALTH_HOST \"10.0.0.1\": is the address of a "
                                          "second port, so WEIR_HEALTH_PORT must be set too");
    check_contains(refuse(&(struct config_flag){"health-host", "::1"}, 1).text, "\"::1\"");
    config = load(flags, 2);
    check(config.health_port == 8001 && strcmp(config.health_host, "10.0.0.1") == 0);
    config_clear(&config);
    config = load(&(struct config_flag){"health-host", ""}, 1);
    check(config.health_host == NULL);
    config_clear(&config);
}

static void every_option_explains_itself(void)
{
    size_t count = 0;

    for (; config_option_flag(count) != NULL; count++) {
        char *help = config_option_help(count);
        check(config_option_variable(count) != NULL);
        check(help != NULL && strlen(help) > 20);
        free(help);
    }
    check_int(count, 50);
    check(config_option_help(count) == NULL);
}

static void nocodb_is_not_configured_until_it_has_a_url(void)
{
    const struct config_flag empty[] = {{"nocodb-base-url", ""}, {"http-ca-file", ""}};

    start_with("");
    struct config config = load(empty, 2);
    check(config.nocodb_base_url == NULL && config.nocodb_api_token == NULL);
    check(config.http_ca_file == NULL && config.http_proxy == NULL && config.http_no_proxy == NULL);
    check_int(config.nocodb_rate_limit, 0);
    check_int(config.nocodb_calls, 16);
    config_clear(&config);

    start_with("NOCODB_BASE_URL=https://n.example/api/v2/tables/\nNOCODB_API_TOKEN=t\n");
    setenv("NOCODB_RATE_LIMIT", "5", 1);
    setenv("NOCODB_CALLS", "2", 1);
    config = load(NULL, 0);
    check_text(config.nocodb_base_url, "https://n.example/api/v2/tables/");
    check_text(config.nocodb_api_token, "t");
    check_int(config.nocodb_rate_limit, 5);
    check_int(config.nocodb_calls, 2);
    config_clear(&config);
    check(config.nocodb_api_token == NULL);
}

static void the_http_session_has_the_defaults_of_its_manager(void)
{
    const struct config_flag flags[] = {{"http-pool-maxsize", "1025"}};
    const struct http_session_options defaults = HTTP_SESSION_OPTIONS_DEFAULT;

    start_with("");
    struct config config = load(NULL, 0);
    check_int(config.http_pool_connections, defaults.pool_connections);
    check_int(config.http_pool_maxsize, defaults.pool_maxsize);
    check_int(config.http_pool_block, defaults.pool_block);
    check_int(config.http_max_retries, defaults.max_retries);
    check_int(config.http_backoff_factor_ms, defaults.backoff_factor_ms);
    check_int(config.http_timeout_ms, defaults.timeout_ms);
    config_clear(&config);
    check_contains(refuse(flags, 1).text, "WEIR_HTTP_POOL_MAXSIZE \"1025\" (command line)");
}

static void a_broken_file_is_an_error_with_its_position(void)
{
    start_with("PORT=1\nHOST\n");
    check_contains(refuse(NULL, 0).text, "line 2, column 5: expected = after the name");
}

int main(void)
{
    int descriptor = mkstemp(dotenv_path);

    if (descriptor < 0)
        return 1;
    close(descriptor);
    run(defaults_are_those_of_the_documentation);
    run(workers_are_two_for_each_core_from_2_to_16);
    run(a_quota_counts_as_the_cores_it_is_worth);
    run(a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default);
    run(the_last_flag_of_a_name_counts);
    run(a_wrong_value_that_does_not_count_is_no_error);
    run(an_empty_value_counts_as_not_given_except_for_the_main_database);
    run(suggestions_use_the_main_database_unless_they_have_their_own);
    run(values_out_of_range_are_named_with_source_and_range);
    run(numbers_are_whole_and_nothing_else);
    run(spans_and_booleans_are_read);
    run(a_share_is_a_decimal_from_0_to_1);
    run(unknown_flags_and_weir_names_are_refused);
    run(short_secrets_are_refused_and_never_shown);
    run(a_host_beyond_this_machine_needs_a_secret);
    run(loopback_is_this_machine_only);
    run(limits_that_contradict_each_other_are_refused);
    run(an_address_without_the_port_that_it_is_for_is_refused);
    run(every_option_explains_itself);
    run(nocodb_is_not_configured_until_it_has_a_url);
    run(the_http_session_has_the_defaults_of_its_manager);
    run(a_broken_file_is_an_error_with_its_position);
    unlink(dotenv_path);
    return check_done();
}
