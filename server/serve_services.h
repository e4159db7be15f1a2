/* SPDX-License-Identifier: MIT */
/* Starts and closes the services of the backend. */
#ifndef WEIR_SERVER_SERVE_SERVICES_H
#define WEIR_SERVER_SERVE_SERVICES_H

#include "api/routes.h"
#include "config/config.h"

/* Fill an empty database, and open the services on the pools, which must be open. After an error none is open. */
WEIR_MUST_CHECK weir_status serve_start_services(const struct config *config, struct app *app,
                                                 weir_error *reterr);

void serve_close_services(struct app *app);

#endif
