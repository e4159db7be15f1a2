/* SPDX-License-Identifier: MIT */
/* The instance of SuggestionsDBManager and its defaults. */
#include "suggestions_db_manager.h"

static struct managed_db instance = {
    .name = "SuggestionsDBManager",
    .pool_name = "suggestions",
    .defaults = {.pool_size = 3,
                 .max_overflow = 5,
                 .pool_timeout_ms = 30000,
                 .pool_recycle_s = 3600,
                 .pool_pre_ping = true},
    .lock = WEIR_MUTEX_INITIALIZER,
};

struct managed_db *suggestions_db_manager(void)
{
    return &instance;
}
