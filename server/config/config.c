/* SPDX-License-Identifier: MIT */
/* The table of options, and how the four sources of a value are laid over each other. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config_unused.h"
#include "config_value.h"
#include "cores.h"
#include "dotenv.h"
#include "text/text.h"

#define AT(field) offsetof(struct config, field)

/* Filled by fill_defaults(). */
static char workers_default[16];

static const struct config_option options[] = {
    {"sql-conn-string", "SQL_CONN_STRING", KIND_SECRET, AT(sql_conn_string), "sqlite:///weir.db", 0,
     0, "main database; pool options may be given in its query"},
    {"suggestions-sql-conn-string", "SUGGESTIONS_SQL_CONN_STRING", KIND_SECRET,
     AT(suggestions_sql_conn_string), NULL, 0, 0,
     "suggestions database, with a pool of its own; the main one when not given"},
    {"jwt-secret", "JWT_SECRET", KIND_SECRET, AT(jwt_secret), NULL, 0, 0,
     "HS256 secret of bearer tokens, at least 32 bytes; a random one per start when not given. "
     "Other users of the machine can read flags: prefer the variable"},
    {"jwt-audience", "JWT_AUDIENCE", KIND_TEXT, AT(jwt_audience), NULL, 0, 0,
     "value that the aud claim of bearer tokens must be or contain; aud is not checked when not "
     "given"},
    {"log-level", "LOG_LEVEL", KIND_LEVEL, AT(log_level), "INFO", 0, 0,
     "DEBUG, INFO, WARNING or ERROR; DEBUG logs pool checkouts, checkins and recycling"},
    {"log-format", "LOG_FORMAT", KIND_FORMAT, AT(log_format), "text", 0, 0,
     "text, or json: one object a line, with the pool, connection and trace it is about"},
    {"host", "HOST", KIND_TEXT, AT(host), "127.0.0.1", 0, 0,
     "address to listen on; beyond this machine only with JWT_SECRET"},
    {"port", "PORT", KIND_NUMBER, AT(port), "8000", 0, 65535, "TCP port; 0 lets the system choose"},
    {"health-host", "WEIR_HEALTH_HOST", KIND_TEXT, AT(health_host), NULL, 0, 0,
     "address for --health-port, without which it is refused; that of --host when not given"},
    {"health-port", "WEIR_HEALTH_PORT", KIND_NUMBER, AT(health_port), NULL, 1, 65535,
     "second TCP port, on which only /healthz, /readyz and /metrics are answered; none when not "
     "given"},
    {"workers", "WEIR_WORKERS", KIND_NUMBER, AT(workers), workers_default, 1, 1024,
     "threads that run requests, each with one statement in flight; when not given two for each "
     "core that the process may use, from 2 to 16"},
    {"queue-limit", "WEIR_QUEUE_LIMIT", KIND_NUMBER, AT(queue_limit), "128", 0, 65536,
     "requests that may wait for a worker; beyond it 503 at once"},
    {"max-connections", "WEIR_MAX_CONNECTIONS", KIND_NUMBER, AT(max_connections), "1024", 8, 65536,
     "open client connections"},
    {"max-connections-per-ip", "WEIR_MAX_CONNECTIONS_PER_IP", KIND_NUMBER,
     AT(max_connections_per_ip), "0", 0, 65536,
     "open connections of one address; 0 for no such limit"},
    {"max-body-bytes", "WEIR_MAX_BODY_BYTES", KIND_NUMBER, AT(max_body_bytes), "1048576", 0,
     1 << 30, "largest request body; beyond it 413"},
    {"max-total-body-bytes", "WEIR_MAX_TOTAL_BODY_BYTES", KIND_NUMBER, AT(max_total_body_bytes),
     "67108864", 0, 1LL << 36, "bodies of all requests together, in memory; beyond it 503"},
    {"max-header-bytes", "WEIR_MAX_HEADER_BYTES", KIND_NUMBER, AT(max_header_bytes), "16384", 1024,
     1 << 20, "request line and headers together; beyond it 431"},
    {"header-timeout", "WEIR_HEADER_TIMEOUT", KIND_SPAN, AT(header_timeout_ms), "10s", 10, HOUR_MS,
     "for the whole header of a request to arrive"},
    {"body-timeout", "WEIR_BODY_TIMEOUT", KIND_SPAN, AT(body_timeout_ms), "30s", 10, HOUR_MS,
     "for the whole body of a request to arrive"},
    {"keepalive-timeout", "WEIR_KEEPALIVE_TIMEOUT", KIND_SPAN, AT(keepalive_timeout_ms), "60s", 10,
     HOUR_MS, "from one response to the next request of a connection"},
    {"write-timeout", "WEIR_WRITE_TIMEOUT", KIND_SPAN, AT(write_timeout_ms), "30s", 10, HOUR_MS,
     "for the client to take a whole response"},
    {"request-timeout", "WEIR_REQUEST_TIMEOUT", KIND_SPAN, AT(request_timeout_ms), "30s", 10,
     HOUR_MS, "for a request to be served, waiting and database included"},
    {"drain-timeout", "WEIR_DRAIN_TIMEOUT", KIND_SPAN, AT(drain_timeout_ms), "10s", 0, HOUR_MS,
     "for requests in flight to finish after SIGTERM"},
    {"shutdown-delay", "WEIR_SHUTDOWN_DELAY", KIND_SPAN, AT(shutdown_delay_ms), "0s", 0, HOUR_MS,
     "from SIGTERM to the drain: /readyz says 503, so that a load balancer looks elsewhere, and "
     "everything else goes on"},
    {"max-streams", "WEIR_MAX_STREAMS", KIND_NUMBER, AT(max_streams), "32", 0, 1024,
     "consoles that may follow the figures at once; beyond it 503"},
    {"sql-echo", "WEIR_SQL_ECHO", KIND_BOOL, AT(sql_echo), "false", 0, 1,
     "log every statement, without its parameters"},
    {"nocodb-base-url", "NOCODB_BASE_URL", KIND_TEXT, AT(nocodb_base_url), NULL, 0, 0,
     "where NocoDB's rows are, as https://host/api/v2/tables; /api/v1/nocodb is off when not "
     "given"},
    {"nocodb-api-token", "NOCODB_API_TOKEN", KIND_SECRET, AT(nocodb_api_token), NULL, 0, 0,
     "token for it, sent as header xc-token. Other users of the machine can read flags: prefer the "
     "variable"},
    {"nocodb-rate-limit", "NOCODB_RATE_LIMIT", KIND_NUMBER, AT(nocodb_rate_limit), "0", 0, 1000,
     "requests to it per second, over all clients: 5 for NocoDB's own cloud; 0 for no such limit"},
    {"nocodb-calls", "NOCODB_CALLS", KIND_NUMBER, AT(nocodb_calls), "16", 1, 1024,
     "calls to it at once, each on a thread of its own beside the workers"},
    {"http-pool-connections", "WEIR_HTTP_POOL_CONNECTIONS", KIND_NUMBER, AT(http_pool_connections),
     "10", 1, 1024, "servers whose connections are kept"},
    {"http-pool-maxsize", "WEIR_HTTP_POOL_MAXSIZE", KIND_NUMBER, AT(http_pool_maxsize), "20", 1,
     1024, "connections kept per server"},
    {"http-pool-block", "WEIR_HTTP_POOL_BLOCK", KIND_BOOL, AT(http_pool_block), "false", 0, 1,
     "wait for one of them instead of opening another"},
    {"http-max-retries", "WEIR_HTTP_MAX_RETRIES", KIND_NUMBER, AT(http_max_retries), "3", 0, 100,
     "retries of a request to another server that failed"},
    {"http-backoff-factor", "WEIR_HTTP_BACKOFF_FACTOR", KIND_SPAN, AT(http_backoff_factor_ms),
     "300ms", 0, HOUR_MS, "first pause before a retry, which doubles with each"},
    {"http-timeout", "WEIR_HTTP_TIMEOUT", KIND_SPAN, AT(http_timeout_ms), "30s", 10, HOUR_MS,
     "for one attempt of a request to another server"},
    {"http-ca-file", "WEIR_HTTP_CA_FILE", KIND_TEXT, AT(http_ca_file), NULL, 0, 0,
     "certificates of other servers to trust, a PEM file; the system's when not given"},
    {"http-proxy", "WEIR_HTTP_PROXY", KIND_SECRET, AT(http_proxy), NULL, 0, 0,
     "proxy to other servers, as http://user:password@host:3128; none when not given"},
    {"http-no-proxy", "WEIR_HTTP_NO_PROXY", KIND_TEXT, AT(http_no_proxy), NULL, 0, 0,
     "hosts reached without the proxy, separated by commas"},
    {"connection-tracing", "CONNECTION_TRACING", KIND_BOOL, AT(connection_tracing), "false", 0, 1,
     "record the recent checkouts of each connection, for /api/v1/pools/{name}/connections; costs "
     "each checkout a little"},
    {"otel-service-name", "OTEL_SERVICE_NAME", KIND_TEXT, AT(otel_service_name), "weir", 0, 0,
     "service name in the traces of this server"},
    {"otel-traces-sampler-arg", "OTEL_TRACES_SAMPLER_ARG", KIND_SHARE, AT(otel_traces_sampler_arg),
     "1", 0, MILLION,
     "which share of the requests is traced, where the caller's traceparent does not decide"},
    {"otel-exporter-otlp-endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", KIND_TEXT,
     AT(otel_exporter_otlp_endpoint), NULL, 0, 0,
     "collector of traces, as http://127.0.0.1:4318, to which /v1/traces is added; nothing is "
     "exported when not given"},
    {"otel-exporter-otlp-traces-endpoint", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", KIND_TEXT,
     AT(otel_exporter_otlp_traces_endpoint), NULL, 0, 0,
     "the same, but the whole URL; wins over the other"},
    {"otel-exporter-otlp-headers", "OTEL_EXPORTER_OTLP_HEADERS", KIND_SECRET,
     AT(otel_exporter_otlp_headers), NULL, 0, 0,
     "headers for the collector, as name=value,name=value, percent-encoded. Other users of the "
     "machine can read flags: prefer the variable"},
    {"otel-exporter-otlp-certificate", "OTEL_EXPORTER_OTLP_CERTIFICATE", KIND_TEXT,
     AT(otel_exporter_otlp_certificate), NULL, 0, 0,
     "certificates of the collector to trust, a PEM file; the system's when not given"},
    {"otel-exporter-otlp-timeout", "OTEL_EXPORTER_OTLP_TIMEOUT", KIND_NUMBER,
     AT(otel_exporter_otlp_timeout), "10000", 1, HOUR_MS,
     "milliseconds for one request to the collector, its retries included"},
    {"otel-bsp-schedule-delay", "OTEL_BSP_SCHEDULE_DELAY", KIND_NUMBER, AT(otel_bsp_schedule_delay),
     "5000", 1, HOUR_MS, "milliseconds that a finished span may wait to be sent with others"},
    {"otel-bsp-max-queue-size", "OTEL_BSP_MAX_QUEUE_SIZE", KIND_NUMBER, AT(otel_bsp_max_queue_size),
     "2048", 16, 65536,
     "finished spans that are kept, for the collector and for /api/v1/traces; the oldest make "
     "room"},
    {"otel-bsp-max-export-batch-size", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", KIND_NUMBER,
     AT(otel_bsp_max_export_batch_size), "512", 1, 65536, "spans of one request to the collector"},
};

int config_workers_for(int cores)
{
    return cores > 8 ? 16 : 2 * cores;
}

static void fill_defaults(void)
{
    snprintf(workers_default, sizeof workers_default, "%d", config_workers_for(cores_usable()));
}

#define OPTION_COUNT (sizeof options / sizeof *options)

/* A value before it is checked, and where it came from, for errors. */
struct candidate {
    const char *text;
    const char *source;
};

static char **text_field(struct config *config, const struct config_option *option)
{
    return (char **)(void *)((char *)config + option->offset);
}

static int64_t *number_field(struct config *config, const struct config_option *option)
{
    return (int64_t *)(void *)((char *)config + option->offset);
}

static bool is_text(const struct config_option *option)
{
    return option->kind == KIND_TEXT || option->kind == KIND_SECRET;
}

/* ---- Setting one value -------------------------------------------------------------------- */

static weir_status set_value(struct config *config, const struct config_option *option,
                             const struct candidate *candidate, weir_error *reterr)
{
    char allowed[96];

    if (is_text(option)) {
        char *copy = strdup(candidate->text);
        if (copy == NULL)
            return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
        *text_field(config, option) = copy;
        /* The analyzer does not follow a field named by its offset; config_clear() frees the text. */
        return WEIR_OK; /* NOLINT(clang-analyzer-unix.Malloc) */
    }
    if (config_value_parse(option, candidate->text, number_field(config, option)))
        return WEIR_OK;
    config_value_allowed(option, allowed, sizeof allowed);
    return weir_error_set(reterr, WEIR_INVALID, "%s \"%.64s\" (%s): must be %s", option->variable,
                          candidate->text, candidate->source, allowed);
}

/* ---- Finding the value that counts -------------------------------------------------------- */

static const struct config_option *find_flag(const char *name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(options[i].flag, name) == 0)
            return &options[i];
    }
    return NULL;
}

static const struct config_option *find_variable(const char *name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(options[i].variable, name) == 0)
            return &options[i];
    }
    return NULL;
}

static weir_status check_flags(const struct config_flag *flags, size_t count, weir_error *reterr)
{
    for (size_t i = 0; i < count; i++) {
        if (find_flag(flags[i].name) == NULL)
            return weir_error_set(reterr, WEIR_INVALID, "unknown option --%s", flags[i].name);
    }
    return WEIR_OK;
}

/* Other programs' names may stand in a `.env` file; a WEIR_ name we do not know is a typing error. */
static weir_status check_dotenv(const struct dotenv *dotenv, const char *path, weir_error *reterr)
{
    const char *name;

    for (size_t i = 0; (name = dotenv_name_at(dotenv, i)) != NULL; i++) {
        if (strncmp(name, "WEIR_", 5) == 0 && find_variable(name) == NULL)
            return weir_error_set(reterr, WEIR_INVALID, "read %s: line %d: unknown option %s", path,
                                  dotenv_line_at(dotenv, i), name);
    }
    return WEIR_OK;
}

/* An empty text counts as not given, but an empty main URL is passed on to be refused: silently
 * writing to another database than the one meant would be worse. */
static bool is_given(const struct config_option *option, const char *text)
{
    return text != NULL && (text[0] != '\0' || option->offset == AT(sql_conn_string));
}

static struct candidate choose(const struct config_option *option, const struct config_flag *flags,
                               size_t flag_count, const struct dotenv *dotenv,
                               const char *dotenv_path)
{
    for (size_t i = flag_count; i-- > 0;) {
        if (strcmp(flags[i].name, option->flag) == 0)
            return (struct candidate){flags[i].value, "command line"};
    }
    const char *text = getenv(option->variable);
    if (is_given(option, text))
        return (struct candidate){text, "environment"};
    text = dotenv_get(dotenv, option->variable);
    if (is_given(option, text))
        return (struct candidate){text, dotenv_path};
    return (struct candidate){option->default_text, "default"};
}

/* ---- Rules that concern more than one value ------------------------------------------------ */

bool config_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* A text without a default may still be empty, from a flag; that counts as not given too. */
static void drop_empty_texts(struct config *config)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!is_text(&options[i]) || options[i].default_text != NULL)
            continue;
        char **text = text_field(config, &options[i]);
        if (*text != NULL && (*text)[0] == '\0') {
            free(*text);
            *text = NULL;
        }
    }
}

static weir_status check_together(struct config *config, weir_error *reterr)
{
    drop_empty_texts(config);
    size_t length = config->jwt_secret != NULL ? strlen(config->jwt_secret) : 0;
    if (config->jwt_secret != NULL && length < CONFIG_MIN_SECRET)
        return weir_error_set(reterr, WEIR_INVALID,
                              "JWT_SECRET is %zu bytes long: HS256 needs at least %d; "
                              "`openssl rand -base64 48` makes a good one",
                              length, CONFIG_MIN_SECRET);
    if (config->jwt_secret == NULL && !config_is_loopback(config->host))
        return weir_error_set(reterr, WEIR_INVALID,
                              "HOST %s can be reached from other machines, so JWT_SECRET must be "
                              "set: `openssl rand -base64 48` makes a good one",
                              config->host);
    if (config->max_connections_per_ip > config->max_connections)
        return weir_error_set(reterr, WEIR_INVALID,
                              "WEIR_MAX_CONNECTIONS_PER_IP \"%" PRId64 "\": must be 0 to "
                              "WEIR_MAX_CONNECTIONS, which is %" PRId64,
                              config->max_connections_per_ip, config->max_connections);
    if (config->max_total_body_bytes < config->max_body_bytes)
        return weir_error_set(reterr, WEIR_INVALID,
                              "WEIR_MAX_TOTAL_BODY_BYTES \"%" PRId64 "\": must be at least "
                              "WEIR_MAX_BODY_BYTES, which is %" PRId64,
                              config->max_total_body_bytes, config->max_body_bytes);
    if (config->health_host != NULL && config->health_port == 0)
        return weir_error_set(reterr, WEIR_INVALID,
                              "WEIR_HEALTH_HOST \"%s\": is the address of a second port, so "
                              "WEIR_HEALTH_PORT must be set too",
                              config->health_host);
    if (config->suggestions_sql_conn_string == NULL) {
        config->suggestions_sql_conn_string = strdup(config->sql_conn_string);
        if (config->suggestions_sql_conn_string == NULL)
            return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
    }
    return WEIR_OK;
}

static weir_status resolve(const struct config_flag *flags, size_t flag_count,
                           const struct dotenv *dotenv, const char *dotenv_path,
                           struct config *config, weir_error *reterr)
{
    weir_status status = check_flags(flags, flag_count, reterr);
    if (status == WEIR_OK)
        status = check_dotenv(dotenv, dotenv_path, reterr);
    for (size_t i = 0; i < OPTION_COUNT && status == WEIR_OK; i++) {
        struct candidate found = choose(&options[i], flags, flag_count, dotenv, dotenv_path);
        if (found.text != NULL)
            status = set_value(config, &options[i], &found, reterr);
        if (options[i].offset == AT(sql_conn_string) && found.text == options[i].default_text) {
            config->unused_database = config_unused_database(dotenv, found.text);
            if (config->unused_database == NULL)
                status = weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory");
        }
    }
    if (status == WEIR_OK)
        status = check_together(config, reterr);
    return status;
}

weir_status config_load(const struct config_flag *flags, size_t flag_count, const char *dotenv_path,
                        struct config *ret_config, weir_error *reterr)
{
    struct config config = {0};
    struct dotenv *dotenv;

    fill_defaults();
    weir_status status = dotenv_read(dotenv_path, &dotenv, reterr);
    if (status != WEIR_OK)
        return status;
    status = resolve(flags, flag_count, dotenv, dotenv_path, &config, reterr);
    dotenv_close(dotenv);
    if (status != WEIR_OK) {
        config_clear(&config);
        return status;
    }
    *ret_config = config;
    return WEIR_OK;
}

void config_clear(struct config *config)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!is_text(&options[i]))
            continue;
        char **text = text_field(config, &options[i]);
        if (*text != NULL)
            explicit_bzero(*text, strlen(*text));
        free(*text);
        *text = NULL;
    }
    free(config->unused_database);
    config->unused_database = NULL;
}

bool config_option_differs(const struct config *a, const struct config *b, size_t index)
{
    const struct config_option *option = &options[index];

    if (!is_text(option))
        return memcmp((const char *)a + option->offset, (const char *)b + option->offset,
                      sizeof(int64_t)) != 0;
    const char *x = *text_field((struct config *)(uintptr_t)a, option);
    const char *y = *text_field((struct config *)(uintptr_t)b, option);
    return x == NULL || y == NULL ? x != y : strcmp(x, y) != 0;
}

void config_option_take(struct config *to, struct config *from, size_t index)
{
    const struct config_option *option = &options[index];

    if (is_text(option)) {
        char *text = *text_field(to, option);
        *text_field(to, option) = *text_field(from, option);
        *text_field(from, option) = text;
    } else {
        *number_field(to, option) = *number_field(from, option);
    }
}

const char *config_option_flag(size_t index)
{
    return index < OPTION_COUNT ? options[index].flag : NULL;
}

const char *config_option_variable(size_t index)
{
    return index < OPTION_COUNT ? options[index].variable : NULL;
}

char *config_option_help(size_t index)
{
    struct text help = {0};
    char allowed[96] = "";

    if (index >= OPTION_COUNT)
        return NULL;
    fill_defaults();
    text_add(&help, options[index].help);
    /* Their own sentences name the values already. */
    if (options[index].kind != KIND_LEVEL && options[index].kind != KIND_FORMAT)
        config_value_allowed(&options[index], allowed, sizeof allowed);
    if (allowed[0] != '\0')
        text_addf(&help, " (%s)", allowed);
    if (options[index].default_text != NULL)
        text_addf(&help, " [%s]", options[index].default_text);
    return text_take(&help);
}
