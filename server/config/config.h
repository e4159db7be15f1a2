/* SPDX-License-Identifier: MIT */
/* What the backend is told: flags, environment, the `.env` file and defaults, in this order. */
#ifndef WEIR_SERVER_CONFIG_H
#define WEIR_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/base.h>

#include "log/log.h"

/* Shortest JWT_SECRET that is accepted, in bytes: RFC 7518, section 3.2 asks for as many bits as
 * the hash of HS256 has. */
#define CONFIG_MIN_SECRET 32

/*
 * The configuration, resolved and within its ranges. Every field's meaning, default and range stand
 * once, in the table of config.c, which also makes the help text.
 */
struct config {
    char *sql_conn_string;
    char *suggestions_sql_conn_string; /* the main one's when not given */
    char *jwt_secret;                  /* NULL when not given, as the next */
    char *jwt_audience;
    int64_t log_level;  /* an enum log_level */
    int64_t log_format; /* an enum log_format */
    char *host;
    int64_t port;
    char *health_host;   /* NULL when not given */
    int64_t health_port; /* 0 when not given */
    int64_t workers;
    int64_t queue_limit;
    int64_t max_connections;
    int64_t max_connections_per_ip;
    int64_t max_body_bytes;
    int64_t max_total_body_bytes;
    int64_t max_header_bytes;
    int64_t header_timeout_ms;
    int64_t body_timeout_ms;
    int64_t keepalive_timeout_ms;
    int64_t write_timeout_ms;
    int64_t request_timeout_ms;
    int64_t drain_timeout_ms;
    int64_t shutdown_delay_ms;
    int64_t max_streams;
    int64_t sql_echo;      /* 0 or 1 */
    char *nocodb_base_url; /* NULL when not given, as the texts below */
    char *nocodb_api_token;
    int64_t nocodb_rate_limit;
    int64_t nocodb_calls;
    int64_t http_pool_connections;
    int64_t http_pool_maxsize;
    int64_t http_pool_block; /* 0 or 1 */
    int64_t http_max_retries;
    int64_t http_backoff_factor_ms;
    int64_t http_timeout_ms;
    char *http_ca_file;
    char *http_proxy;
    char *http_no_proxy;
    int64_t connection_tracing; /* 0 or 1 */
    char *otel_service_name;
    int64_t otel_traces_sampler_arg; /* millionths */
    char *otel_exporter_otlp_endpoint;
    char *otel_exporter_otlp_traces_endpoint;
    char *otel_exporter_otlp_headers;
    char *otel_exporter_otlp_certificate;
    int64_t otel_exporter_otlp_timeout; /* milliseconds, as the next */
    int64_t otel_bsp_schedule_delay;
    int64_t otel_bsp_max_queue_size;
    int64_t otel_bsp_max_export_batch_size;
    /* No option: that DATABASE_URL or the like is set and not used, because SQL_CONN_STRING is not; a
     * sentence without its value, to be shown. "" or NULL: nothing to say. */
    char *unused_database;
};

/* One flag of the command line: its name without the dashes, and its value. */
struct config_flag {
    const char *name;
    const char *value;
};

/* Where a configuration is read from: enough to read it again. */
struct config_source {
    const struct config_flag *flags;
    size_t flag_count;
    const char *dotenv_path;
};

/*
 * Resolve the configuration: for each option the last flag of its name, else the environment
 * variable, else the `.env` file's, else the default. Only the winner is checked. An empty text
 * counts as not given, except for SQL_CONN_STRING, which is then refused where it is used.
 *
 * The caller ends *ret_config with config_clear(), after success only.
 *
 * Errors: WEIR_INVALID for an unknown flag, an unknown WEIR_ name in the `.env` file, or a value out of
 *         range: names the option, where the value came from, and the allowed range; values of
 *         secret options are never shown. WEIR_SYSTEM when the file cannot be read, WEIR_NO_MEMORY.
 */
WEIR_MUST_CHECK weir_status config_load(const struct config_flag *flags, size_t flag_count,
                                        const char *dotenv_path, struct config *ret_config,
                                        weir_error *reterr);

/* Whether an option of the table below is not the same in both; and take one's value over, of a text
 * leaving the former one there, for config_clear(). */
bool config_option_differs(const struct config *a, const struct config *b, size_t index);
void config_option_take(struct config *to, struct config *from, size_t index);

/* Free the texts, overwriting the secrets. */
void config_clear(struct config *config);

/*
 * The default of --workers: two for each core, and at most 16. More only stand in each other's way
 * (bench/README.md), as long as their statements do not wait for a database far away.
 */
int config_workers_for(int cores);

/* Whether only this machine can reach the host: localhost, 127.0.0.0/8, ::1. */
bool config_is_loopback(const char *host);

/* The table, for help and for parsing the command line: NULL beyond the last. `ret_help` is the
 * sentence with range and default; both may be NULL. */
const char *config_option_flag(size_t index);
const char *config_option_variable(size_t index);
char *config_option_help(size_t index);

#endif
