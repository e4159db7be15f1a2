/* SPDX-License-Identifier: MIT */
/* The instance of DatabaseManager and its defaults. */
#include "db_manager.h"

static struct managed_db instance = {
    .name = "DatabaseManager",
    .pool_name = "main",
    .defaults = {.pool_size = 5,
                 .max_overflow = 10,
                 .pool_timeout_ms = 30000,
                 .pool_recycle_s = 3600,
                 .pool_pre_ping = true},
    .lock = WEIR_MUTEX_INITIALIZER,
};

struct managed_db *db_manager(void)
{
    return &instance;
}
