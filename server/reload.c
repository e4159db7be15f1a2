/* SPDX-License-Identifier: MIT */
/* The configuration read again while the server runs: what changes at once, and what is only named. */
#include "reload.h"

#include <stdlib.h>
#include <string.h>

#include "figures/console.h"
#include "figures/metrics.h"
#include "managers/db_manager.h"
#include "managers/http_session_manager.h"
#include "managers/pool_url.h"
#include "managers/suggestions_db_manager.h"
#include "serve_listener.h"
#include "text/text.h"

/* ---- Changing one thing -------------------------------------------------------------------- */

static weir_status follow_closely(weir_error *reterr)
{
    weir_status status = managed_db_follow_closely(db_manager(), reterr);

    if (status == WEIR_OK)
        status = managed_db_follow_closely(suggestions_db_manager(), reterr);
    return status == WEIR_OK ? http_manager_follow_closely(reterr) : status;
}

/* The level last, because the others can fail: it is in force, or it is not. */
static weir_status change_log(const struct reload_parts *parts, const struct config *fresh,
                              weir_error *reterr)
{
    (void)parts;
    if (fresh->log_level == LOG_LEVEL_DEBUG) {
        weir_status status = follow_closely(reterr);
        if (status != WEIR_OK)
            return status;
    }
    log_set_format((enum log_format)fresh->log_format);
    log_set_level((enum log_level)fresh->log_level);
    return WEIR_OK;
}

static weir_status change_secret(const struct reload_parts *parts, const struct config *fresh,
                                 weir_error *reterr)
{
    if (fresh->jwt_secret == NULL)
        return weir_error_set(reterr, WEIR_UNSUPPORTED,
                              "it is no longer set, and tokens cannot be checked without it");
    return secret_replace(parts->secret, fresh->jwt_secret, reterr);
}

static weir_status change_limits(const struct reload_parts *parts, const struct config *fresh,
                                 weir_error *reterr)
{
    struct listener_options options = serve_listener_options(fresh);

    return listener_set_limits(parts->listener, &options, reterr);
}

static weir_status change_streams(const struct reload_parts *parts, const struct config *fresh,
                                  weir_error *reterr)
{
    (void)reterr;
    feed_set_max_readers(console_feed(parts->console), (unsigned)fresh->max_streams);
    return WEIR_OK;
}

/* Read when they are needed. */
static weir_status change_nothing(const struct reload_parts *parts, const struct config *fresh,
                                  weir_error *reterr)
{
    (void)parts, (void)fresh, (void)reterr;
    return WEIR_OK;
}

/* ---- Changing pools ------------------------------------------------------------------------- */

struct managed_db_options reload_pool_options(const struct managed_db *manager,
                                              const struct config *config)
{
    struct managed_db_options options = manager->defaults;

    /* As many as can be in use at once are kept: beyond pool_size each statement would open a connection.
     * The bound of both together stays. */
    int most = options.pool_size + options.max_overflow;
    int wanted = config->workers < most ? (int)config->workers : most;
    if (wanted > options.pool_size)
        options.pool_size = wanted;
    options.max_overflow = most - options.pool_size;
    options.echo = config->sql_echo != 0;
    options.shows_loans = config->connection_tracing != 0;
    return options;
}

/* Another database, unless it is none: an option that cannot be read is not told apart from one that is
 * not the pool's. */
static weir_status refuse_other(const char *url, weir_error *reterr)
{
    weir_db *db;

    weir_status status = weir_db_open(url, NULL, &db, reterr);
    if (status != WEIR_OK)
        return status;
    weir_db_close(db);
    return weir_error_set(reterr, WEIR_UNSUPPORTED,
                          "only options of the pool can change while the server runs");
}

/* Whether both name the same database and differ in options of its pool at most. */
static weir_status check_same_database(const char *url, const char *other, weir_error *reterr)
{
    weir_pool_options unused = WEIR_POOL_OPTIONS_DEFAULT;
    char *ours = NULL, *theirs = NULL;

    weir_status status = pool_url_split(url, &ours, &unused);
    if (status == WEIR_OK)
        status = pool_url_split(other, &theirs, &unused);
    if (status != WEIR_OK)
        weir_error_set(reterr, status, "out of memory");
    else if (strcmp(ours, theirs) != 0)
        status = refuse_other(other, reterr);
    free(ours);
    free(theirs);
    return status;
}

static weir_status prepare(const struct reload_parts *parts, struct managed_db *manager,
                           const char *url, const struct config *fresh, struct db_handle **ret_next,
                           weir_error *reterr)
{
    struct config running = *fresh;

    running.workers = parts->config->workers; /* which need a restart */
    struct managed_db_options options = reload_pool_options(manager, &running);
    return managed_db_prepare(manager, url, &options, ret_next, reterr);
}

/* The pool is another one by then: without its figures it is in force all the same. */
static weir_status take(const struct reload_parts *parts, struct managed_db *manager,
                        struct db_handle *next, weir_error *reterr)
{
    weir_error error;

    weir_status status = managed_db_take(manager, next, reterr);
    if (status == WEIR_OK && server_metrics_watch(parts->metrics, &error) != WEIR_OK)
        log_write(LOG_LEVEL_WARNING, "SIGHUP: no metrics of the pool \"%s\": %s",
                  manager->pool_name, error.text);
    return status;
}

static weir_status reopen(const struct reload_parts *parts, struct managed_db *manager,
                          const char *url, const struct config *fresh, weir_error *reterr)
{
    struct db_handle *next;

    weir_status status = prepare(parts, manager, url, fresh, &next, reterr);
    return status == WEIR_OK ? take(parts, manager, next, reterr) : status;
}

static weir_status change_main(const struct reload_parts *parts, const struct config *fresh,
                               weir_error *reterr)
{
    const char *url = fresh->sql_conn_string;

    weir_status status = check_same_database(parts->config->sql_conn_string, url, reterr);
    return status == WEIR_OK ? reopen(parts, db_manager(), url, fresh, reterr) : status;
}

static weir_status change_suggestions(const struct reload_parts *parts, const struct config *fresh,
                                      weir_error *reterr)
{
    const char *url = fresh->suggestions_sql_conn_string;

    weir_status status =
        check_same_database(parts->config->suggestions_sql_conn_string, url, reterr);
    return status == WEIR_OK ? reopen(parts, suggestions_db_manager(), url, fresh, reterr) : status;
}

/* Both or neither. The URLs come before in the table of options, so they are in force already. */
static weir_status change_both(const struct reload_parts *parts, const struct config *fresh,
                               weir_error *reterr)
{
    struct db_handle *main_db, *suggestions;

    weir_status status =
        prepare(parts, db_manager(), parts->config->sql_conn_string, fresh, &main_db, reterr);
    if (status != WEIR_OK)
        return status;
    status = prepare(parts, suggestions_db_manager(), parts->config->suggestions_sql_conn_string,
                     fresh, &suggestions, reterr);
    if (status != WEIR_OK) {
        managed_db_put_engine(main_db);
        return status;
    }
    status = take(parts, db_manager(), main_db, reterr);
    weir_status second = take(parts, suggestions_db_manager(), suggestions, reterr);
    return status == WEIR_OK ? second : status;
}

/* ---- What can change ------------------------------------------------------------------------ */

typedef weir_status change(const struct reload_parts *parts, const struct config *fresh,
                           weir_error *reterr);

static const struct {
    const char *variable;
    change *change;
} changes[] = {
    {"SQL_CONN_STRING", change_main},
    {"SUGGESTIONS_SQL_CONN_STRING", change_suggestions},
    {"JWT_SECRET", change_secret},
    {"LOG_LEVEL", change_log},
    {"LOG_FORMAT", change_log},
    {"WEIR_QUEUE_LIMIT", change_limits},
    {"WEIR_MAX_BODY_BYTES", change_limits},
    {"WEIR_MAX_TOTAL_BODY_BYTES", change_limits},
    {"WEIR_HEADER_TIMEOUT", change_limits},
    {"WEIR_BODY_TIMEOUT", change_limits},
    {"WEIR_KEEPALIVE_TIMEOUT", change_limits},
    {"WEIR_WRITE_TIMEOUT", change_limits},
    {"WEIR_REQUEST_TIMEOUT", change_limits},
    {"WEIR_DRAIN_TIMEOUT", change_nothing},
    {"WEIR_SHUTDOWN_DELAY", change_nothing},
    {"WEIR_MAX_STREAMS", change_streams},
    {"WEIR_SQL_ECHO", change_both},
    {"CONNECTION_TRACING", change_both},
};

static change *find_change(const char *variable)
{
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        if (strcmp(changes[i].variable, variable) == 0)
            return changes[i].change;
    }
    return NULL;
}

/* ---- The whole ------------------------------------------------------------------------------ */

/* Names, separated by commas. */
static void add_name(struct text *names, const char *name)
{
    text_add(names, names->size > 0 ? ", " : "");
    text_add(names, name);
}

/* Change one option, or note that it needs a restart. */
static void apply(const struct reload_parts *parts, struct config *fresh, size_t index,
                  struct text *changed, struct text *unchanged)
{
    const char *variable = config_option_variable(index);
    change *doing = find_change(variable);
    weir_error error = {0};

    if (!config_option_differs(parts->config, fresh, index))
        return;
    if (doing == NULL) {
        add_name(unchanged, variable);
    } else if (doing(parts, fresh, &error) != WEIR_OK) {
        log_write(LOG_LEVEL_WARNING, "SIGHUP: %s stays as it is until a restart: %s", variable,
                  error.text);
    } else {
        config_option_take(parts->config, fresh, index);
        add_name(changed, variable);
    }
}

static void tell(struct text *changed, struct text *unchanged)
{
    char *now = text_take(changed);
    char *later = text_take(unchanged);

    if (later != NULL && later[0] != '\0')
        log_write(LOG_LEVEL_WARNING, "SIGHUP: a restart is needed to change %s", later);
    log_write(LOG_LEVEL_INFO, "SIGHUP: configuration read again; changed: %s",
              now != NULL && now[0] != '\0' ? now : "nothing");
    free(now);
    free(later);
}

void reload(const struct reload_parts *parts)
{
    const struct config_source *source = parts->source;
    struct text changed = {0}, unchanged = {0};
    struct config fresh;
    weir_error error;

    if (config_load(source->flags, source->flag_count, source->dotenv_path, &fresh, &error) !=
        WEIR_OK) {
        log_write(LOG_LEVEL_ERROR, "SIGHUP: the configuration stays as it is: %s", error.text);
        return;
    }
    for (size_t i = 0; config_option_flag(i) != NULL; i++)
        apply(parts, &fresh, i, &changed, &unchanged);
    tell(&changed, &unchanged);
    config_clear(&fresh);
}
