/* SPDX-License-Identifier: MIT */
/* Settings without effect that someone may rely on: variables by which other programs find their database, and half of a pair. */
#include "config_unused.h"

#include <stdlib.h>

#include "text/text.h"

/* libpq's, which count once the URL leaves something open, and not for SQLite. */
static const char *const pg_names[] = {"PGHOST", "PGHOSTADDR", "PGPORT",   "PGDATABASE",
                                       "PGUSER", "PGPASSWORD", "PGSERVICE"};

#define PG_COUNT (sizeof pg_names / sizeof *pg_names)

static bool is_set(const char *value)
{
    return value != NULL && value[0] != '\0';
}

static char *unused_url(const char *database)
{
    return text_format("DATABASE_URL is set but not used: SQL_CONN_STRING is not set, so the main "
                       "database is %s; SQL_CONN_STRING=\"$DATABASE_URL\" uses the other one",
                       database);
}

/* "PGHOST is" or "PGHOST, PGPORT and PGUSER are". */
static void add_names(struct text *text, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        text_addf(text, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " and ", names[i]);
    text_add(text, count == 1 ? " is" : " are");
}

/* libpq reads the environment and never a `.env` file. */
static char *unused_pg(const struct dotenv *dotenv, const char *database)
{
    const char *names[PG_COUNT];
    size_t count = 0;
    bool are_in_file = false;
    struct text text = {0};

    for (size_t i = 0; i < PG_COUNT; i++) {
        bool is_in_file = is_set(dotenv_get(dotenv, pg_names[i]));

        are_in_file |= is_in_file;
        if (is_in_file || is_set(getenv(pg_names[i])))
            names[count++] = pg_names[i];
    }
    if (count == 0)
        return text_take(&text);
    add_names(&text, names, count);
    text_addf(&text,
              " set but not used: SQL_CONN_STRING is not set, so the main database is %s; %s",
              database,
              are_in_file ? "SQL_CONN_STRING=postgresql://user:password@host/database names "
                            "another; PG variables in the file .env are not used"
                          : "SQL_CONN_STRING=postgresql:// uses what they name");
    return text_take(&text);
}

const char *config_unused_token(const char *base_url, const char *api_token)
{
    return is_set(api_token) && !is_set(base_url)
               ? "NOCODB_API_TOKEN is set but not used: NOCODB_BASE_URL says where NocoDB is"
               : "";
}

char *config_unused_database(const struct dotenv *dotenv, const char *database)
{
    if (is_set(getenv("DATABASE_URL")) || is_set(dotenv_get(dotenv, "DATABASE_URL")))
        return unused_url(database);
    return unused_pg(dotenv, database);
}
