/* SPDX-License-Identifier: MIT */
/* Prepares statements on PostgreSQL, checks that they still hold, and closes them. */
#include "common/hash.h"
#include "db/drivers/postgres_infer_types.h"
#include "db/lexer.h"

#include <stdlib.h>
#include <string.h>

/* A statement whose values have changed their types so often will go on with it. */
#define MOST_MISFITS 8

/* So many statements lost on one database are no accident. */
#define MOST_LOSSES 2

/* ---- letting go ---------------------------------------------------------------------------- */

void weir__pg_unprepare(struct pg_conn *conn, struct pg_prepared *prepared)
{
    if (prepared->name[0] != '\0' && prepared->epoch == conn->epoch && !conn->is_lost)
        weir__pg_drop_name(conn, prepared->number);
    prepared->name[0] = '\0';
    prepared->has_same_columns = false;
}

void weir__pg_forget(void *arg, struct statement *statement)
{
    struct pg_conn *conn = arg;
    struct pg_prepared *prepared = statement->prepared;

    statement->prepared = NULL;
    if (prepared == NULL)
        return;
    weir__pg_unprepare(conn, prepared);
    weir__columns_unref(prepared->columns);
    free(prepared->types);
    free(prepared);
}

/* ---- statements that are not kept ---------------------------------------------------------- */

/* The place and the key of what is known of this statement with parameters of these kinds. */
static uint64_t *place_of(struct pg_conn *conn, const struct statement *statement,
                          const struct pg_params *params, uint64_t *ret_key)
{
    uint64_t key = hash_mix(hash_mix(statement->hash, params->blobs), params->numbers) << 2;

    *ret_key = key;
    return &conn->typed[key >> 2 & (PG_TYPED_PLACES - 1)];
}

/* ---- kept statements ----------------------------------------------------------------------- */

static bool may_prepare(const struct pg_conn *conn, const struct pg_prepared *prepared)
{
    bool has_room = PG_CAN_CLOSE || conn->abandoned_epoch != conn->epoch ||
                    conn->abandoned_count < conn->config->options.statement_cache_size;

    return has_room && !conn->has_collided && !prepared->was_lost &&
           atomic_load_explicit(&weir__pg_engine(conn)->losses, memory_order_relaxed) < MOST_LOSSES;
}

/* A number comes for what was text so far. */
static bool has_new_numbers(const struct pg_prepared *prepared, const struct pg_params *params)
{
    return prepared->typing == PG_UNTYPED &&
           (params->numbers & prepared->description.texts & ~prepared->tried) != 0;
}

static bool is_prepared(const struct pg_conn *conn, const struct pg_prepared *prepared,
                        const struct pg_params *params)
{
    return prepared->name[0] != '\0' && prepared->epoch == conn->epoch &&
           prepared->blobs == params->blobs && !params->has_late_blob &&
           !has_new_numbers(prepared, params) &&
           (prepared->types == NULL || weir__pg_types_fit(params, prepared->types)) &&
           atomic_load_explicit(&weir__pg_engine(conn)->losses, memory_order_relaxed) < MOST_LOSSES;
}

static bool is_typed(const struct pg_prepared *prepared, const struct pg_params *params)
{
    return params->count == 0 ||
           (prepared->is_typed && prepared->blobs == params->blobs &&
            !has_new_numbers(prepared, params) &&
            (prepared->types == NULL || weir__pg_types_fit(params, prepared->types)));
}

static void send_as(struct pg_params *params, const struct pg_prepared *prepared)
{
    params->typing = prepared->typing;
    params->declared = prepared->types;
}

/* Commands in which no name is looked up, many of them in each transaction. */
static bool names_nothing(const struct token *first)
{
    static const char *const words[] = {"begin",    "start", "commit",    "end",
                                        "rollback", "abort", "savepoint", "release",
                                        "set",      "reset", "show"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (weir__token_is_word(first, words[i]))
            return true;
    }
    return false;
}

static struct pg_prepared *prepared_of(struct statement *statement)
{
    struct pg_prepared *prepared = statement->prepared;
    const char *at = statement->text;

    if (prepared != NULL)
        return prepared;
    struct token first = weir__token_next(&at, at + statement->text_size, DIALECT_POSTGRES);
    prepared = calloc(1, sizeof(*prepared));
    if (prepared != NULL) {
        prepared->effects = weir__pg_effects_of(statement->text);
        prepared->is_select = weir__token_is_word(&first, "select");
        prepared->names_nothing = names_nothing(&first);
    }
    statement->prepared = prepared;
    return prepared;
}

static void adopt(struct pg_prepared *prepared, struct pg_job *job)
{
    memcpy(prepared->name, job->name, sizeof(prepared->name));
    prepared->number = job->number;
    prepared->epoch = job->conn->epoch;
    prepared->edition = job->edition;
    prepared->unprepared_at = 0;
    prepared->description = job->first;
    prepared->typing = job->typing;
    prepared->first_typing = job->first_typing;
    prepared->blobs = job->params->blobs;
    prepared->tried = job->typing == PG_UNTYPED ? job->tried : 0;
    prepared->is_typed = true;
    free(prepared->types);
    prepared->types = NULL;
    if (job->typing != PG_UNTYPED) {
        prepared->types = job->types;
        job->types = NULL;
    }
}

/*
 * Values whose types change with each use would have a statement prepared each time. Where the server
 * takes them for text it gets them as text from then on; else each goes with its own type, unprepared.
 */
static bool is_erratic(struct pg_prepared *prepared, const struct pg_params *params)
{
    if (prepared->types != NULL && !weir__pg_types_fit(params, prepared->types))
        prepared->misfits++;
    if (prepared->misfits > MOST_MISFITS && prepared->first_typing == PG_UNTYPED)
        prepared->tried = UINT64_MAX;
    return prepared->misfits > MOST_MISFITS && prepared->first_typing != PG_UNTYPED;
}

/* Prepare it, or at least find out how to send it. */
static weir_status make_anew(struct pg_conn *conn, struct statement *statement,
                             struct pg_params *params, weir_time *now, weir_time deadline,
                             enum pg_way *ret_way, weir_error *reterr)
{
    struct pg_prepared *prepared = prepared_of(statement);
    uint64_t definitions = weir__pg_definitions(conn);
    struct pg_job job = {
        .conn = conn,
        .statement = statement,
        .params = params,
        .deadline = deadline,
    };

    if (prepared == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "prepare a statement: out of memory");
    bool is_typed_by_value = is_erratic(prepared, params);
    weir__pg_unprepare(conn, prepared);
    *ret_way = PG_UNPREPARED;
    if (is_typed_by_value && prepared->is_typed) {
        params->typing = PG_TEXTUAL;
        return WEIR_OK;
    }
    job.tried = prepared->misfits > MOST_MISFITS ? UINT64_MAX : 0;
    job.is_named = may_prepare(conn, prepared);
    job.edition = weir__pg_edition(conn, job.is_named);
    send_as(params, prepared);
    if (!job.is_named && is_typed(prepared, params))
        return WEIR_OK;
    job.types = calloc((size_t)params->count + 1, sizeof(Oid));
    if (job.types == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "prepare a statement: out of memory");
    weir_status status = weir__pg_resolve_types(&job, reterr);
    *now = weir_now();
    if (status == WEIR_OK) {
        adopt(prepared, &job);
        prepared->definitions = definitions;
        prepared->checked_at = *now;
        send_as(params, prepared);
        *ret_way = prepared->name[0] != '\0' ? PG_PREPARED : PG_UNPREPARED;
    }
    free(job.types);
    return status;
}

/* The same for one that is used once. */
static weir_status make_once(struct pg_conn *conn, const struct statement *statement,
                             struct pg_params *params, weir_time *now, weir_time deadline,
                             weir_error *reterr)
{
    uint64_t key;
    uint64_t *place = place_of(conn, statement, params, &key);
    struct pg_job job = {
        .conn = conn,
        .statement = statement,
        .params = params,
        .deadline = deadline,
        .edition = weir__pg_edition(conn, false),
    };

    if (params->count == 0)
        return WEIR_OK;
    if ((*place & ~(uint64_t)3) == key && (*place & 3) != 0) {
        params->typing = (enum pg_typing)((*place & 3) - 1);
        return WEIR_OK;
    }
    job.types = calloc((size_t)params->count, sizeof(Oid));
    if (job.types == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "out of memory for %d parameters",
                              params->count);
    weir_status status = weir__pg_resolve_types(&job, reterr);
    *now = weir_now();
    if (status == WEIR_OK) {
        params->typing = job.typing;
        *place = key | ((uint64_t)job.typing + 1);
    }
    free(job.types);
    return status;
}

/* ---- statements that are old --------------------------------------------------------------- */

/* Since this statement grew old, or since the last change that is known, nobody had the server look
 * names up anew. Behind a pooler that would be done in one of its sessions; and pgpool-II (4.3.5) takes
 * DISCARD PLANS for the end of all that is prepared, and ends the session when any of it is used (XX000). */
static bool must_forget_plans(const struct pg_conn *conn, const struct pg_prepared *prepared)
{
    return conn->is_direct && (conn->plans_definitions != weir__pg_definitions(conn) ||
                               conn->plans_at < prepared->unprepared_at);
}

/* Describe it as it was described at first. What is prepared stays, but names in it are looked up anew. */
static weir_status describe_again(struct pg_conn *conn, const struct statement *statement,
                                  const struct pg_params *params, weir_time deadline,
                                  struct pg_description *ret_description, weir_error *reterr)
{
    const struct pg_prepared *prepared = statement->prepared;
    Oid *types = prepared->first_typing == PG_UNTYPED ? NULL : prepared->types;
    Oid *blobs = NULL;
    char *storage = NULL;
    uint64_t definitions = weir__pg_definitions(conn);
    weir_time start = weir_now();
    struct pg_question question = {
        .name = "",
        .text = weir__pg_text(statement, weir__pg_edition(conn, false), &storage),
        .types = types,
        .forgets_plans = must_forget_plans(conn, prepared),
    };

    if (question.text == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "describe a statement: out of memory");
    if (types == NULL && prepared->blobs != 0) {
        types = blobs = calloc((size_t)params->count, sizeof(Oid));
        if (blobs == NULL) {
            free(storage);
            return weir_error_set(reterr, WEIR_NO_MEMORY, "describe a statement: out of memory");
        }
        weir__pg_types_write(params, PG_UNTYPED, blobs);
        question.types = blobs;
    }
    question.type_count = types != NULL ? params->count : 0;
    weir_status status = weir__pg_ask(conn, &question, deadline, ret_description, reterr);
    if (status == WEIR_OK && question.forgets_plans) {
        conn->plans_at = start;
        conn->plans_definitions = definitions;
    }
    free(storage);
    free(blobs);
    return status;
}

bool weir__pg_is_outdated(struct pg_conn *conn, const struct statement *statement,
                          const struct pg_params *params, weir_time deadline)
{
    const struct pg_prepared *prepared = statement->prepared;
    struct pg_description description;
    weir_error error = {0};
    weir_status status = describe_again(conn, statement, params, deadline, &description, &error);

    if (status != WEIR_OK)
        return status == WEIR_QUERY && (weir__pg_is_guess(&error) || conn->met_stale);
    return description.fingerprint != prepared->description.fingerprint;
}

/*
 * An old statement runs unprepared at first, which takes no round trip more and is right whatever
 * has changed. When it is used again soon, so that it is worth it, it is described anew.
 */
static weir_status refresh(struct pg_conn *conn, struct statement *statement,
                           struct pg_params *params, weir_time *now, weir_time deadline,
                           enum pg_way *ret_way, weir_error *reterr)
{
    struct pg_prepared *prepared = statement->prepared;
    weir_time max_age = conn->config->options.prepared_max_age_ms * WEIR_MS;
    uint64_t definitions = weir__pg_definitions(conn);
    struct pg_description description;

    send_as(params, prepared);
    if (prepared->unprepared_at == 0 || *now - prepared->unprepared_at >= max_age) {
        prepared->unprepared_at = *now;
        *ret_way = PG_UNPREPARED;
        return WEIR_OK;
    }
    if (conn->is_pooled && prepared->edition != weir__pg_edition(conn, true))
        return make_anew(conn, statement, params, now, deadline, ret_way, reterr);
    weir_status status = describe_again(conn, statement, params, deadline, &description, reterr);
    *now = weir_now();
    if (status == WEIR_QUERY && conn->met_stale)
        weir__pg_renew_edition(conn, weir__pg_edition(conn, false));
    if (status != WEIR_OK && (status != WEIR_QUERY || weir__pg_state(conn) != CONN_IDLE))
        return status == WEIR_QUERY && conn->met_stale ? weir__pg_stale(reterr) : status;
    if (status == WEIR_OK && description.fingerprint == prepared->description.fingerprint) {
        prepared->checked_at = *now;
        prepared->definitions = definitions;
        *ret_way = PG_PREPARED;
        return WEIR_OK;
    }
    weir__pg_renew_edition(conn, prepared->edition);
    return make_anew(conn, statement, params, now, deadline, ret_way, reterr);
}

static bool is_fresh(const struct pg_conn *conn, const struct pg_prepared *prepared, weir_time now)
{
    return prepared->definitions == weir__pg_definitions(conn) &&
           now - prepared->checked_at < conn->config->options.prepared_max_age_ms * WEIR_MS;
}

/* ---- the ways in --------------------------------------------------------------------------- */

weir_status weir__pg_make_ready(struct pg_conn *conn, struct statement *statement,
                                struct pg_params *params, weir_time *now, weir_time deadline,
                                enum pg_way *ret_way, weir_error *reterr)
{
    const struct pg_prepared *prepared = statement->prepared;

    *ret_way = PG_UNPREPARED;
    if (!statement->is_cached || params->has_late_blob)
        return make_once(conn, statement, params, now, deadline, reterr);
    if (prepared == NULL || !is_prepared(conn, prepared, params))
        return make_anew(conn, statement, params, now, deadline, ret_way, reterr);

    /* In a failed transaction nothing can be asked, and only its end can be run. */
    if (!prepared->names_nothing && !is_fresh(conn, prepared, *now) &&
        PQtransactionStatus(conn->pg) != PQTRANS_INERROR)
        return refresh(conn, statement, params, now, deadline, ret_way, reterr);
    *ret_way = PG_PREPARED;
    return WEIR_OK;
}

void weir__pg_forget_types(struct pg_conn *conn, struct statement *statement,
                           const struct pg_params *params)
{
    struct pg_prepared *prepared = statement->prepared;
    uint64_t key;

    if (prepared != NULL)
        prepared->is_typed = false;
    else
        *place_of(conn, statement, params, &key) = 0;
}

void weir__pg_note_loss(struct pg_conn *conn)
{
    if (!conn->saw_deallocate)
        atomic_fetch_add_explicit(&weir__pg_engine(conn)->losses, 1, memory_order_relaxed);
}
