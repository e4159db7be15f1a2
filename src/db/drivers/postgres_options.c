/* SPDX-License-Identifier: MIT */
/* The options of a PostgreSQL URL: what libpq takes, what others write for it, what is refused. */
#include "db/drivers/postgres_connect.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* How others spell something that has another name here; refused, with what to write. */
static const struct {
    const char *name;
    const char *instead;
} foreign[] = {
    {"schema", "options=-c%20search_path%3D… sets the schema"},
    {"currentSchema", "options=-c%20search_path%3D… sets the schema"},
    {"search_path", "use options=-c%20search_path%3D…"},
    {"statement_timeout", "use statement_timeout_ms"},
    {"connection_limit", "use pool_size"},
    {"pgbouncer", "leave it out; statement_cache_size=0 prepares nothing"},
    {"ApplicationName", "use application_name"},
    {"ssl-mode", "use sslmode"},
    {"ssl_mode", "use sslmode"},
    {"sslaccept", "use sslmode=verify-full, or sslmode=require"},
    {"charset", "weir uses UTF8 with every server"},
    {"encoding", "weir uses UTF8 with every server"},
};

/* The values of sslmode, and those of `ssl` (JDBC, asyncpg, Node), which libpq has in URLs as well. */
static const struct {
    const char *written; /* without case, - and _ */
    const char *mode;
    bool is_for_ssl; /* not a value of sslmode */
} tls_modes[] = {
    {"disable", "disable", false},    {"allow", "allow", false},
    {"prefer", "prefer", false},      {"require", "require", false},
    {"verifyca", "verify-ca", false}, {"verifyfull", "verify-full", false},
    {"true", "require", true},        {"on", "require", true},
    {"yes", "require", true},         {"1", "require", true},
    {"false", "disable", true},       {"off", "disable", true},
    {"no", "disable", true},          {"0", "disable", true},
};

/* Equal without regard to case, hyphens and underscores. */
static bool is_spelt(const char *text, const char *plain)
{
    for (;; text++) {
        if (*text == '-' || *text == '_')
            continue;
        if (tolower((unsigned char)*text) != *plain)
            return false;
        if (*plain++ == '\0')
            return true;
    }
}

static const char *tls_mode_of(const char *value, bool is_ssl)
{
    for (size_t i = 0; i < sizeof(tls_modes) / sizeof(*tls_modes); i++) {
        if ((is_ssl || !tls_modes[i].is_for_ssl) && is_spelt(value, tls_modes[i].written))
            return tls_modes[i].mode;
    }
    return NULL;
}

static bool is_utf8(const char *encoding)
{
    return is_spelt(encoding, "utf8") || is_spelt(encoding, "unicode");
}

/* ---- checking ------------------------------------------------------------------------------ */

static weir_status refuse(const struct url_option *option, const char *why, weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_INVALID, "URL option \"%.64s\": %s", option->name, why);
}

static weir_status refuse_value(const struct url_option *option, const char *wanted,
                                weir_error *reterr)
{
    return weir_error_set(reterr, WEIR_INVALID, "URL option \"%.64s\": %.64s is not one of %s",
                          option->name, option->value, wanted);
}

static bool is_known_to(const PQconninfoOption *known, const char *name)
{
    while (known->keyword != NULL && strcmp(known->keyword, name) != 0)
        known++;
    return known->keyword != NULL;
}

/* An option that is libpq's, or nobody's. */
static weir_status check_other(const struct url_option *option, const PQconninfoOption *known,
                               weir_error *reterr)
{
    if (is_known_to(known, option->name))
        return WEIR_OK;
    for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
        if (strcmp(foreign[i].name, option->name) == 0)
            return refuse(option, foreign[i].instead, reterr);
    }
    return weir_error_set(reterr, WEIR_INVALID,
                          "URL option \"%.64s\": unknown to the pool, the database and libpq",
                          option->name);
}

static weir_status check(const struct url_option *option, const PQconninfoOption *known,
                         weir_error *reterr)
{
    bool is_ssl = strcmp(option->name, "ssl") == 0;

    if (is_ssl || strcmp(option->name, "sslmode") == 0)
        return tls_mode_of(option->value, is_ssl) != NULL
                   ? WEIR_OK
                   : refuse_value(option,
                                  is_ssl
                                      ? "true, false or a value of sslmode: disable, allow, "
                                        "prefer, require, verify-ca, verify-full"
                                      : "disable, allow, prefer, require, verify-ca, verify-full",
                                  reterr);
    if (strcmp(option->name, "client_encoding") == 0)
        return is_utf8(option->value)
                   ? WEIR_OK
                   : refuse(option, "weir uses UTF8 only; the server converts", reterr);
    if (strcmp(option->name, "target_session_attrs") == 0 && weir__pg_role_of(option->value) < 0)
        return refuse_value(option, "any, read-write, read-only, primary, standby, prefer-standby",
                            reterr);
    return check_other(option, known, reterr);
}

/* Refuse what cannot be meant while there is still somebody to tell. */
weir_status weir__pg_engine_open(struct db_config *config, weir_error *reterr)
{
    PQconninfoOption *known = PQconndefaults();
    weir_status status = WEIR_OK;

    if (known == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "read libpq's options: out of memory");
    for (size_t i = 0; i < config->url->option_count && status == WEIR_OK; i++) {
        if (!config->url->options[i].is_taken)
            status = check(&config->url->options[i], known, reterr);
    }
    PQconninfoFree(known);
    return status == WEIR_OK ? weir__pg_engine_new(config, reterr) : status;
}

/* ---- for libpq ----------------------------------------------------------------------------- */

void weir__pg_keywords_add(struct pg_keywords *keywords, const char *name, const char *value)
{
    if (value == NULL)
        return;
    keywords->names[keywords->count] = name;
    keywords->values[keywords->count] = value;
    keywords->count++;
}

static void add_option(struct pg_keywords *keywords, const struct url_option *option)
{
    bool is_ssl = strcmp(option->name, "ssl") == 0;

    if (is_ssl || strcmp(option->name, "sslmode") == 0)
        weir__pg_keywords_add(keywords, "sslmode", tls_mode_of(option->value, is_ssl));
    else
        weir__pg_keywords_add(keywords, option->name, option->value);
}

/*
 * Nothing among them would be unusual in a start-up message: poolers refuse what they do not know
 * (PgBouncer 1.18 any `options`; 1.26 a statement_timeout in them, and a trailing blank). What the
 * session needs besides is set when it stands: weir__pg_set_up(). So `options` and application_name
 * of the URL, the environment or a service file stay as libpq finds them.
 *
 * A dead peer is found within about a minute: an idle one by keepalives, one that owes us an
 * acknowledgement by the user timeout.
 */
bool weir__pg_keywords_init(struct pg_keywords *keywords, const struct db_config *config)
{
    const struct weir_url *url = config->url;
    size_t room = url->option_count + 16 + PG_KEYWORDS_MORE;

    *keywords = (struct pg_keywords){.names = calloc(room, sizeof(*keywords->names)),
                                     .values = calloc(room, sizeof(*keywords->values))};
    if (keywords->names == NULL || keywords->values == NULL) {
        weir__pg_keywords_clear(keywords);
        return false;
    }
    weir__pg_keywords_add(keywords, "host", url->host);
    weir__pg_keywords_add(keywords, "port", url->port);
    weir__pg_keywords_add(keywords, "user", url->user);
    weir__pg_keywords_add(keywords, "password", url->password);
    weir__pg_keywords_add(keywords, "dbname", url->database);
    weir__pg_keywords_add(keywords, "fallback_application_name", "weir");
    weir__pg_keywords_add(keywords, "application_name", config->options.application_name);
    weir__pg_keywords_add(keywords, "tcp_user_timeout", "30000");
    weir__pg_keywords_add(keywords, "keepalives_idle", "30");
    weir__pg_keywords_add(keywords, "keepalives_interval", "10");
    weir__pg_keywords_add(keywords, "keepalives_count", "3");
    for (size_t i = 0; i < url->option_count; i++) {
        if (!url->options[i].is_taken)
            add_option(keywords, &url->options[i]);
    }
    weir__pg_keywords_add(keywords, "client_encoding", "UTF8");
    return true;
}

void weir__pg_keywords_clear(struct pg_keywords *keywords)
{
    free(keywords->names);
    free(keywords->values);
    *keywords = (struct pg_keywords){0};
}
