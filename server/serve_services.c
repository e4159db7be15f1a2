/* SPDX-License-Identifier: MIT */
/* Starts and closes the services of the backend. */
#include "serve_services.h"

#include "log/log.h"
#include "managers/db_manager.h"
#include "seed.h"

#define SEED_LIMIT_MS 10000

/* A first start that cannot fill the database is a start all the same. */
static void seed(void)
{
    weir_error error;

    if (seed_jurisdictions(db_manager(), WEIR_ISO_3166_1, weir_deadline_in(SEED_LIMIT_MS),
                           &error) != WEIR_OK)
        log_write(LOG_LEVEL_WARNING, "no table Jurisdictions: %s", error.text);
}

static weir_status open_nocodb(const struct config *config, struct app *app, weir_error *reterr)
{
    struct nocodb_options options = NOCODB_OPTIONS_DEFAULT;

    if (config->nocodb_base_url == NULL)
        return WEIR_OK;
    options.base_url = config->nocodb_base_url;
    options.api_token = config->nocodb_api_token;
    options.rate_limit = (int)config->nocodb_rate_limit;
    options.max_calls = (int)config->nocodb_calls;
    return nocodb_service_open(&options, &app->nocodb, reterr);
}

void serve_close_services(struct app *app)
{
    nocodb_service_close(app->nocodb);
    suggestion_service_close(app->suggestions);
    database_service_close(app->database);
}

weir_status serve_start_services(const struct config *config, struct app *app, weir_error *reterr)
{
    seed();
    weir_status status = database_service_open(NULL, NULL, &app->database, reterr);
    if (status == WEIR_OK)
        status = suggestion_service_open(NULL, NULL, &app->suggestions, reterr);
    if (status == WEIR_OK)
        status = open_nocodb(config, app, reterr);
    if (status != WEIR_OK)
        serve_close_services(app);
    return status;
}
