/* SPDX-License-Identifier: MIT */
/* The table `Jurisdictions`, made from iso-codes in one transaction. */
#include "seed.h"

#include <jansson.h>

#include "log/log.h"

static const char *const create_table =
    "CREATE TABLE \"Jurisdictions\" (\"Alpha-3 Code\" TEXT PRIMARY KEY NOT NULL, \"Alpha-2 Code\" "
    "TEXT, \"Numeric Code\" TEXT, \"Name\" TEXT NOT NULL, \"Official Name\" TEXT, \"Common Name\" "
    "TEXT, \"Flag\" TEXT)";

static const char *const insert_row =
    "INSERT INTO \"Jurisdictions\" (\"Alpha-3 Code\", \"Alpha-2 Code\", \"Numeric Code\", "
    "\"Name\", "
    "\"Official Name\", \"Common Name\", \"Flag\") VALUES ($1, $2, $3, $4, $5, $6, $7)";

/* Members of iso-codes' entries, in the order of the columns. */
static const char *const members[] = {"alpha_3",       "alpha_2",     "numeric", "name",
                                      "official_name", "common_name", "flag"};

#define MEMBER_COUNT (sizeof members / sizeof *members)

/* The array of entries, or NULL after a warning. */
static json_t *read_entries(const char *path)
{
    json_error_t error;
    json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    json_t *entries = json_incref(json_object_get(file, "3166-1"));

    if (file == NULL)
        log_write(LOG_LEVEL_WARNING, "no table Jurisdictions: cannot read %s: %s", path,
                  error.text);
    else if (!json_is_array(entries))
        log_write(LOG_LEVEL_WARNING, "no table Jurisdictions: %s has no list \"3166-1\"", path);
    json_decref(file);
    if (!json_is_array(entries)) {
        json_decref(entries);
        return NULL;
    }
    return entries;
}

static weir_status insert_entry(struct db_session *session, const json_t *entry, weir_error *reterr)
{
    weir_param params[MEMBER_COUNT];

    for (size_t i = 0; i < MEMBER_COUNT; i++)
        params[i] =
            (weir_param){NULL, weir_text(json_string_value(json_object_get(entry, members[i])))};
    return db_session_query(session, insert_row, params, MEMBER_COUNT, NULL, reterr);
}

static weir_status fill(struct db_session *session, const json_t *entries, weir_error *reterr)
{
    const json_t *entry;
    size_t i;

    weir_status status = weir_conn_script(session->conn, create_table, reterr);
    if (status != WEIR_OK)
        return status;
    json_array_foreach(entries, i, entry)
    {
        status = insert_entry(session, entry, reterr);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* Whether there is no table at all, asked inside the transaction: of two processes that start at
 * once, the second sees what the first has made. */
static weir_status is_empty(struct db_session *session, bool *ret_is_empty, weir_error *reterr)
{
    weir_result *result = NULL;

    weir_status status =
        db_session_query(session, "SELECT count(*) FROM sqlite_master", NULL, 0, &result, reterr);
    if (status != WEIR_OK)
        return status;
    *ret_is_empty = weir_result_value(result, 0, 0).integer == 0;
    weir_result_close(result);
    return WEIR_OK;
}

static weir_status seed_in_transaction(struct db_session *session, const char *path,
                                       weir_error *reterr)
{
    bool empty = false;

    weir_status status = is_empty(session, &empty, reterr);
    if (status != WEIR_OK || !empty)
        return status;
    json_t *entries = read_entries(path);
    if (entries == NULL)
        return WEIR_OK;
    status = fill(session, entries, reterr);
    if (status == WEIR_OK)
        log_write(LOG_LEVEL_INFO,
                  "the database was empty: table Jurisdictions created with %zu entries",
                  json_array_size(entries));
    json_decref(entries);
    return status;
}

static weir_status seed_session(struct db_session *session, const char *path, weir_error *reterr)
{
    bool empty = false;

    /* Looked at without a lock first, so that an ordinary start needs none. */
    weir_status status = is_empty(session, &empty, reterr);
    if (status != WEIR_OK || !empty)
        return status;
    status = weir_conn_begin(session->conn, WEIR_TX_WRITE, reterr);
    if (status != WEIR_OK)
        return status;
    status = seed_in_transaction(session, path, reterr);
    if (status == WEIR_OK)
        return db_session_commit(session, reterr);
    (void)weir_conn_rollback(session->conn, NULL);
    return status;
}

weir_status seed_jurisdictions(struct managed_db *manager, const char *path, weir_time deadline,
                               weir_error *reterr)
{
    struct db_session session;
    struct db_handle *handle;

    weir_status status = managed_db_get_engine(manager, &handle, reterr);
    if (status != WEIR_OK)
        return status;
    bool is_sqlite = weir_db_engine(db_handle_db(handle))[0] == 's';
    managed_db_put_engine(handle);
    if (!is_sqlite)
        return WEIR_OK;

    status = managed_db_get_session(manager, deadline, &session, reterr);
    if (status != WEIR_OK)
        return status;
    status = seed_session(&session, path, reterr);
    db_session_end(&session);
    return status;
}
