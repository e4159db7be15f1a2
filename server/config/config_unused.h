/* SPDX-License-Identifier: MIT */
/* Settings without effect that someone may rely on: variables by which other programs find their database, and half of a pair. */
#ifndef WEIR_SERVER_CONFIG_UNUSED_H
#define WEIR_SERVER_CONFIG_UNUSED_H

#include "dotenv.h"

/*
 * When nobody named a main database, so that it is `database`: a sentence that says that DATABASE_URL, or
 * some of libpq's variables, are set in the environment or the `.env` file and not used, and what uses
 * them; "" when none is set. Their values are not in it. malloc'ed; NULL when memory ran out.
 */
char *config_unused_database(const struct dotenv *dotenv, const char *database);

/* A sentence that says that there is a token for NocoDB and no NocoDB, without the token; "" when that is not so. Static. */
const char *config_unused_token(const char *base_url, const char *api_token);

#endif
