/* SPDX-License-Identifier: MIT */
/*
 * Hear what a pool does: a listener that prints each event of a database with one connection.
 *
 * Prints:
 *     -- a first statement
 *     first_connect 1
 *     connect 1
 *     checkout 1
 *     reset 1
 *     checkin 1
 *     -- nobody can have a second connection
 *     checkout 1
 *     timeout
 *     reset 1
 *     checkin 1
 *     -- evicted: the next statement gets a new connection
 *     close 1 evicted
 *     connect 2
 *     checkout 2
 *     reset 2
 *     checkin 2
 *     -- thrown away by its holder
 *     checkout 2
 *     invalidate 2 discarded
 *     close 2 discarded
 *     checkin
 *     -- closed
 */
#include <weir/db.h>

#include <stdio.h>

/* Called on the thread that causes the event, with no lock held. Events of several threads come at
 * the same time; a listener that collects must lock for itself. */
static weir_status print_event(const weir_pool_event *event, void *arg)
{
    FILE *out = arg;

    fprintf(out, "%s", weir_pool_event_name(event->kind));
    if (event->connection_id != 0)
        fprintf(out, " %llu", (unsigned long long)event->connection_id);
    if (event->reason != WEIR_REASON_NONE)
        fprintf(out, " %s", weir_reason_name(event->reason));
    fprintf(out, "\n");
    return WEIR_OK;
}

static weir_status run(weir_db *db, weir_error *reterr)
{
    weir_conn *conn = NULL;
    weir_conn *second = NULL;

    printf("-- a first statement\n");
    weir_status status = weir_db_query(db, "SELECT 1", NULL, 0, NULL, reterr);
    if (status != WEIR_OK)
        return status;

    printf("-- nobody can have a second connection\n");
    status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, reterr);
    if (status != WEIR_OK)
        return status;
    status = weir_db_acquire(db, WEIR_DEADLINE_NOW, &second, reterr);
    weir_conn_release(conn);
    if (status != WEIR_TIMEOUT)
        return status;

    printf("-- evicted: the next statement gets a new connection\n");
    weir_pool_evict_all(weir_db_pool(db));
    status = weir_db_query(db, "SELECT 1", NULL, 0, NULL, reterr);
    if (status != WEIR_OK)
        return status;

    printf("-- thrown away by its holder\n");
    status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, reterr);
    if (status == WEIR_OK)
        weir_conn_discard(conn);
    return status;
}

int main(void)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_db *db = NULL;
    weir_error error;

    options.pool.pool_size = 1;
    options.pool.max_overflow = 0;
    weir_status status = weir_db_open("sqlite:///:memory:", &options, &db, &error);
    if (status == WEIR_OK)
        status = weir_pool_listen(weir_db_pool(db), WEIR_EVENT_ALL, print_event, stdout, &error);
    if (status == WEIR_OK)
        status = run(db, &error);
    printf("-- closed\n");
    weir_db_close(db);
    if (status != WEIR_OK)
        fprintf(stderr, "%s\n", error.text);
    return status != WEIR_OK;
}
