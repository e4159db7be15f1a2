/* SPDX-License-Identifier: MIT */
/* SuggestionsDBManager: the one engine and pool of the suggestions database in this process. */
#ifndef WEIR_SERVER_SUGGESTIONS_DB_MANAGER_H
#define WEIR_SERVER_SUGGESTIONS_DB_MANAGER_H

#include "managed_db.h"

/*
 * The manager, never NULL; see managed_db.h for what it can do. Its defaults: pool_size 3,
 * max_overflow 5, pool_timeout 30 s, pool_recycle 3600 s, pool_pre_ping on, echo off.
 */
struct managed_db *suggestions_db_manager(void);

#endif
