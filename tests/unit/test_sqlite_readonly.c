/* SPDX-License-Identifier: MIT */
/* SQLite files that cannot be written, or are not to be, and what the system refuses while opening one. */
#include "db_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static bool is_root;

/* A directory of its own for each test: "<fixture>/<name>". */
static const char *make_directory(const char *name)
{
    static char path[200];

    snprintf(path, sizeof path, "%s/%s", fixture_directory, name);
    if (mkdir(path, 0755) != 0)
        abort();
    return path;
}

static weir_db *open_in(const char *directory, const char *query)
{
    char url[300];

    snprintf(url, sizeof url, "sqlite:///%s/x.db%s", directory, query);
    return fixture_open(url, NULL);
}

/* In WAL mode, with one row, closed. */
static void make_database(const char *directory)
{
    weir_db *db = open_in(directory, "");

    fixture_run_in(db, "CREATE TABLE t (x)");
    fixture_run_in(db, "INSERT INTO t VALUES ('one')");
    weir_db_close(db);
}

/* The same with a -wal that holds a second row, as after a crash. */
static void make_database_with_wal(const char *directory)
{
    char command[700];

    make_database(directory);
    weir_db *db = open_in(directory, "");
    weir_conn *conn = fixture_acquire(db);
    fixture_run(conn, "INSERT INTO t VALUES ('two')");
    snprintf(command, sizeof command, "cd %s && cp x.db copy.db && cp x.db-wal copy.db-wal",
             directory);
    check_int(system(command), 0);
    weir_conn_release(conn);
    weir_db_close(db);
    snprintf(command, sizeof command, "cd %s && mv copy.db x.db && mv copy.db-wal x.db-wal",
             directory);
    check_int(system(command), 0);
}

static void check_rows(weir_db *db, const char *expected)
{
    weir_conn *conn = fixture_acquire(db);

    fixture_json(conn, "SELECT x FROM t ORDER BY rowid", expected);
    fixture_fail(conn, "INSERT INTO t VALUES ('no')", WEIR_QUERY, "25006");
    fixture_json(conn, "SELECT x FROM t ORDER BY rowid", expected);
    weir_conn_release(conn);
}

static void check_refused(weir_db *db, const char *part)
{
    weir_conn *conn = NULL;
    weir_error error = {0};

    check_status(weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error), WEIR_CONNECT, error);
    check_contains(error.text, part);
    weir_conn_release(conn);
    weir_db_close(db);
}

/* Root may write anything, so it puts on another user. False: it could not, and the test is skipped. */
static bool protect(const char *directory)
{
    char command[300];

    snprintf(command, sizeof command, "chmod a-w %s/x.db* && chmod 0555 %s", directory, directory);
    check_int(system(command), 0);
    if (!is_root || seteuid(65534) == 0)
        return true;
    printf("# seteuid: %s\n", strerror(errno));
    check_cannot("root could not become another user");
    return false;
}

static void unprotect(const char *directory)
{
    if (is_root)
        check_int(seteuid(0), 0);
    chmod(directory, 0755);
}

/* ---- what cannot be written -------------------------------------------------------------- */

static void a_wal_file_where_nothing_can_be_written_is_read(void)
{
    const char *directory = make_directory("still");

    make_database(directory);
    if (protect(directory)) {
        weir_db *db = open_in(directory, "");
        check_rows(db, "[{\"x\":\"one\"}]");
        weir_db_close(db);
        db = open_in(directory, "?mode=ro");
        check_rows(db, "[{\"x\":\"one\"}]");
        weir_db_close(db);
    }
    unprotect(directory);
}

static void what_its_wal_holds_is_not_left_out_silently(void)
{
    const char *directory = make_directory("with-wal");

    make_database_with_wal(directory);
    if (protect(directory)) {
        check_refused(open_in(directory, ""), "immutable=1 in the URL");
        weir_db *db = open_in(directory, "?immutable=1");
        check_rows(db, "[{\"x\":\"one\"}]");
        weir_db_close(db);
    }
    unprotect(directory);
    weir_db *db = open_in(directory, "?mode=ro"); /* where a -shm can be made, all is read */
    chmod(directory, 0755);
    check_rows(db, "[{\"x\":\"one\"},{\"x\":\"two\"}]");
    weir_db_close(db);
}

/* What only this user cannot write, another may: the answer of a moment in which that happens is not
 * given, and the next connection sees what was written. */
static void a_file_that_is_written_after_all_is_noticed_at_once(void)
{
    const char *directory = make_directory("after-all");
    weir_error error = {0};

    make_database(directory);
    if (!is_root) {
        check_cannot("only root can be another user in the middle");
        return;
    }
    if (protect(directory)) {
        weir_db *reader = open_in(directory, "");
        weir_conn *conn = fixture_acquire(reader);
        fixture_json(conn, "SELECT x FROM t", "[{\"x\":\"one\"}]");
        check_int(seteuid(0), 0);
        chmod(directory, 0755);
        weir_db *writer = open_in(directory, "");
        fixture_run_in(writer, "UPDATE t SET x = 'other'");
        chmod(directory, 0555);
        check_int(seteuid(65534), 0);
        check_status(weir_conn_query(conn, "SELECT x FROM t", NULL, 0, NULL, &error),
                     WEIR_DISCONNECTED, error);
        check_contains(error.text, "was written to");
        weir_conn_release(conn);
        check_rows(reader, "[{\"x\":\"other\"}]");
        weir_db_close(reader);
        check_int(seteuid(0), 0);
        weir_db_close(writer);
    }
    unprotect(directory);
}

/* In a child, because its mounts are its own. 77: could not be tried. */
static int read_from_read_only_mount(const char *directory)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount(directory, directory, NULL, MS_BIND, NULL) != 0 ||
        mount("", directory, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0)
        return 77;

    weir_db *db = open_in(directory, "");
    check_rows(db, "[{\"x\":\"one\"}]");
    weir_db_close(db);
    return check_failures_in_test != 0;
}

static void a_wal_file_on_a_read_only_mount_is_read(void)
{
    const char *directory = make_directory("mount");
    int status;

    make_database(directory);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int result = read_from_read_only_mount(directory);
        fflush(stdout);
        _exit(result);
    }
    check(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        check_cannot("no mount of its own: only root has one, where the system allows it");
    else
        check_int(WEXITSTATUS(status), 0);
}

/* ---- what is not to be written ----------------------------------------------------------- */

static void the_mode_of_the_url_is_kept(void)
{
    const char *directory = make_directory("modes");
    char path[300];

    snprintf(path, sizeof path, "%s/x.db", directory);
    check_refused(open_in(directory, "?mode=ro"), "does not exist");
    check_refused(open_in(directory, "?mode=rw"), "does not exist");
    check_refused(open_in(directory, "?immutable=1"), "does not exist");
    check(access(path, F_OK) != 0);
    weir_db *db = open_in(directory, "?mode=rwc");
    fixture_run_in(db, "CREATE TABLE t (x)");
    weir_db_close(db);
    db = open_in(directory, "?mode=rw&immutable=0");
    fixture_run_in(db, "INSERT INTO t VALUES ('one')");
    weir_db_close(db);
    db = open_in(directory, "?mode=ro&pool_size=2");
    check_rows(db, "[{\"x\":\"one\"}]");
    weir_db_close(db);
    db = open_in(directory, "?immutable=true");
    check_rows(db, "[{\"x\":\"one\"}]");
    weir_db_close(db);
}

static void check_not_opened(const char *url, const char *part)
{
    weir_db *db = NULL;
    weir_error error = {0};

    check_status(weir_db_open(url, NULL, &db, &error), WEIR_INVALID, error);
    check_contains(error.text, part);
    weir_db_close(db);
}

static void other_modes_are_refused_by_name(void)
{
    check_not_opened("sqlite:///x.db?mode=memory", "mode must be ro, rw or rwc");
    check_not_opened("sqlite:///x.db?mode=RO", "mode must be ro, rw or rwc");
    check_not_opened("sqlite:///x.db?immutable=2", "immutable must be true or false");
    check_not_opened("sqlite:///:memory:?mode=ro", "for files, not for :memory:");
    check_not_opened("sqlite:///x.db?cache=shared", "unknown option cache");
    check_not_opened("postgresql:///x?pool_size=-9", "pool_size");
}

/* A name with all that has a meaning in a URI. */
static void any_name_can_be_read_as_immutable(void)
{
    char url[300];

    snprintf(url, sizeof url, "%s", fixture_url("a%253F%3Fb%23c%20d.db"));
    weir_db *db = fixture_open(url, NULL);
    fixture_run_in(db, "CREATE TABLE t (x)");
    fixture_run_in(db, "INSERT INTO t VALUES ('one')");
    weir_db_close(db);
    check_int(access(fixture_path("a%3F?b#c d.db"), F_OK), 0);
    strcat(url, "?immutable=1");
    db = fixture_open(url, NULL);
    check_rows(db, "[{\"x\":\"one\"}]");
    weir_db_close(db);
}

/* ---- what the system refuses ------------------------------------------------------------- */

/* As many descriptors are left as the loop says: the file, its directory, -wal and -shm each fail once,
 * and each says why. */
static void too_many_open_files_are_called_so(void)
{
    const char *directory = make_directory("descriptors");
    struct rlimit before;
    int refusals = 0;
    bool is_open = false;

    make_database(directory);
    getrlimit(RLIMIT_NOFILE, &before);
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(next);
    for (int left = 0; left < 12 && !is_open; left++) {
        weir_db *db = open_in(directory, "");
        weir_conn *conn = NULL;
        weir_error error = {0};
        struct rlimit low = {(rlim_t)(next + left), before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &low);
        weir_status status = weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error);
        setrlimit(RLIMIT_NOFILE, &before);
        is_open = status == WEIR_OK;
        refusals += !is_open;
        if (!is_open) {
            check_int(status, WEIR_CONNECT);
            check_contains(error.text, "too many files open");
        }
        weir_conn_release(conn);
        weir_db_close(db);
    }
    printf("# %d refusals\n", refusals);
    check(is_open);
    check(refusals >= 3);
}

static void a_refusal_names_its_own_reason(void)
{
    const char *directory = make_directory("reasons");
    char path[300];
    char url[400];

    make_database(directory);
    snprintf(path, sizeof path, "%s/loop.db", directory);
    check_int(symlink("loop.db", path), 0);
    snprintf(url, sizeof url, "sqlite:///%s/loop.db", directory);
    check_refused(fixture_open(url, NULL), "symbolic link");
    snprintf(path, sizeof path, "%s/x.db", directory);
    chmod(path, 0);
    if (is_root && seteuid(65534) != 0) {
        check_cannot("root could not become another user");
        return;
    }
    check_refused(open_in(directory, ""), "no permission");
    check_refused(open_in(directory, "?mode=ro"), "no permission");
    if (is_root)
        check_int(seteuid(0), 0);
}

int main(void)
{
    fixture_start();
    is_root = geteuid() == 0;
    chmod(fixture_directory, 0755);
    run(a_wal_file_on_a_read_only_mount_is_read); /* first: it forks */
    run(a_wal_file_where_nothing_can_be_written_is_read);
    run(what_its_wal_holds_is_not_left_out_silently);
    run(a_file_that_is_written_after_all_is_noticed_at_once);
    run(the_mode_of_the_url_is_kept);
    run(other_modes_are_refused_by_name);
    run(any_name_can_be_read_as_immutable);
    run(too_many_open_files_are_called_so);
    run(a_refusal_names_its_own_reason);
    fixture_stop();
    return check_done();
}
