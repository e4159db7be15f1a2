/* SPDX-License-Identifier: MIT */
/*
 * Move money between two accounts: a transaction, named parameters, and what to do with errors.
 *
 * The database is the first argument, or one in memory. A transfer that the database asks to retry
 * is retried; one that it refuses leaves both accounts as they were.
 *
 * Prints:
 *     moved 30
 *     refused: SQLSTATE 23514
 *     Ada 70
 *     Bea 80
 */
#include <weir/db.h>

#include <stdio.h>

static const char schema[] = "DROP TABLE IF EXISTS weir_example_account;"
                             "CREATE TABLE weir_example_account ("
                             "    name TEXT PRIMARY KEY,"
                             "    balance BIGINT NOT NULL CHECK (balance >= 0));"
                             "INSERT INTO weir_example_account VALUES ('Ada', 100), ('Bea', 50)";

/* Add to one balance. A name that does not exist is an error too. */
static weir_status add(weir_conn *conn, const char *name, int64_t amount, weir_error *reterr)
{
    const weir_param params[] = {{"name", weir_text(name)}, {"amount", weir_int(amount)}};
    weir_result *result = NULL;
    weir_status status = weir_conn_query(
        conn, "UPDATE weir_example_account SET balance = balance + :amount WHERE name = :name",
        params, 2, &result, reterr);

    if (status == WEIR_OK && weir_result_changed(result) != 1)
        status = weir_error_set(reterr, WEIR_NOT_FOUND, "no account of the name %s", name);
    weir_result_close(result);
    return status;
}

/* One attempt. A commit that fails has rolled back; after any other failure that is ours to do. */
static weir_status try_move(weir_conn *conn, const char *from, const char *to, int64_t amount,
                            weir_error *reterr)
{
    weir_status status = weir_conn_begin(conn, WEIR_TX_WRITE, reterr);
    if (status != WEIR_OK)
        return status;

    status = add(conn, from, -amount, reterr);
    if (status == WEIR_OK)
        status = add(conn, to, amount, reterr);
    if (status == WEIR_OK)
        return weir_conn_commit(conn, reterr);
    (void)weir_conn_rollback(conn, NULL); /* what matters is why */
    return status;
}

/*
 * WEIR_RETRY says that nothing was stored and that another attempt may succeed. After
 * WEIR_DISCONNECTED nobody knows whether a commit was stored, so that is not retried here.
 */
static weir_status move_money(weir_db *db, const char *from, const char *to, int64_t amount,
                              weir_error *reterr)
{
    weir_status status = WEIR_RETRY;

    for (int attempt = 0; attempt < 3 && status == WEIR_RETRY; attempt++) {
        weir_conn *conn = NULL;

        status = weir_db_acquire(db, weir_deadline_in(2000), &conn, reterr);
        if (status != WEIR_OK)
            return status;
        status = try_move(conn, from, to, amount, reterr);
        weir_conn_release(conn);
    }
    return status;
}

static weir_status print_accounts(weir_db *db, weir_error *reterr)
{
    weir_result *rows = NULL;
    weir_status status = weir_db_query(
        db, "SELECT name, balance FROM weir_example_account ORDER BY name", NULL, 0, &rows, reterr);
    if (status != WEIR_OK)
        return status;

    for (size_t row = 0; row < weir_result_row_count(rows); row++)
        printf("%s %lld\n", weir_result_value(rows, row, 0).text,
               (long long)weir_result_value(rows, row, 1).integer);
    weir_result_close(rows);
    return WEIR_OK;
}

static weir_status create_accounts(weir_db *db, weir_error *reterr)
{
    weir_conn *conn = NULL;
    weir_status status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, reterr);

    if (status == WEIR_OK)
        status = weir_conn_script(conn, schema, reterr);
    weir_conn_release(conn);
    return status;
}

int main(int argc, char **argv)
{
    weir_db *db = NULL;
    weir_error error;
    weir_status status = weir_db_open(argc > 1 ? argv[1] : "sqlite:///:memory:", NULL, &db, &error);

    if (status == WEIR_OK)
        status = create_accounts(db, &error);
    if (status == WEIR_OK)
        status = move_money(db, "Ada", "Bea", 30, &error);
    if (status == WEIR_OK)
        printf("moved 30\n");

    /* More than Ada has: the check of the table refuses it. */
    if (status == WEIR_OK && move_money(db, "Ada", "Bea", 1000, &error) == WEIR_QUERY)
        printf("refused: SQLSTATE %s\n", error.sqlstate);
    if (status == WEIR_OK)
        status = print_accounts(db, &error);
    if (status != WEIR_OK)
        fprintf(stderr, "%s: %s\n", weir_status_name(status), error.text);
    weir_db_close(db);
    return status != WEIR_OK;
}
