/* SPDX-License-Identifier: MIT */
/* What standard output says once the backend listens: where, and how to see it work. */
#ifndef WEIR_SERVER_BANNER_H
#define WEIR_SERVER_BANNER_H

#include "config/config.h"
#include "services/database_service.h"

struct banner {
    const struct config *config;
    int port;
    const char *own_secret; /* of this start, to sign a token with; NULL: there is a JWT_SECRET */
    struct database_service *database;
};

/* Print it. */
void banner_print(const struct banner *banner);

#endif
