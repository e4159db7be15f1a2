/* SPDX-License-Identifier: MIT */
/* What standard output says once the backend listens: where, and how to see it work. */
#ifndef WEIR_SERVER_WELCOME_H
#define WEIR_SERVER_WELCOME_H

#include "config.h"
#include "database_service.h"

struct welcome {
    const struct config *config;
    int port;
    const char *own_secret; /* of this start, to sign a token with; NULL: there is a JWT_SECRET */
    struct database_service *database;
};

/* Print it. */
void welcome_print(const struct welcome *welcome);

#endif
