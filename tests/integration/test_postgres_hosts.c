/* SPDX-License-Identifier: MIT */
/* PostgreSQL hosts: each has its share of the time, names are looked up within it, and roles are kept. */
#include "postgres_session.h"
#include "relay.h"

#include <netdb.h>

/* ---- the resolver, in the test's hands ---------------------------------------------------- */

static pthread_mutex_t resolver = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolver_moved = PTHREAD_COND_INITIALIZER;
static bool is_hanging = true;
static int hanging, most_hanging, looked_up;

/* `two.test` has three addresses; every name that begins with `hang` has one, once the test says so. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    static const char *const addresses[] = {"::1", "127.0.0.2", "127.0.0.1"};
    bool hangs = strncmp(name, "hang", 4) == 0;
    bool has_many = strcmp(name, "two.test") == 0;
    size_t count = has_many ? 3 : 1;

    (void)service;
    if (hints != NULL && (hints->ai_flags & AI_NUMERICHOST) && (hangs || has_many))
        return EAI_NONAME;
    pthread_mutex_lock(&resolver);
    looked_up += has_many || hangs;
    if (hangs && is_hanging) {
        most_hanging += ++hanging > most_hanging;
        pthread_cond_broadcast(&resolver_moved);
        while (is_hanging)
            pthread_cond_wait(&resolver_moved, &resolver);
        hanging--;
    }
    pthread_mutex_unlock(&resolver);
    if (strcmp(name, "nowhere.test") == 0)
        return EAI_NONAME;
    for (*ret = NULL; count > 0; count--) {
        const char *text = has_many ? addresses[count - 1] : hangs ? "127.0.0.1" : name;
        struct addrinfo *one = calloc(1, sizeof(*one) + sizeof(struct sockaddr_in6));
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)(one + 1);
        struct sockaddr_in *four = (struct sockaddr_in *)(one + 1);
        int port = service != NULL ? atoi(service) : 0;
        if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
            six->sin6_family = AF_INET6;
            six->sin6_port = htons((uint16_t)port);
            one->ai_addrlen = sizeof(*six);
        } else if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
            four->sin_family = AF_INET;
            four->sin_port = htons((uint16_t)port);
            one->ai_addrlen = sizeof(*four);
        } else {
            free(one);
            return EAI_NONAME;
        }
        one->ai_addr = (struct sockaddr *)(one + 1);
        one->ai_family = one->ai_addr->sa_family;
        one->ai_socktype = SOCK_STREAM;
        one->ai_next = *ret;
        *ret = one;
    }
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

static void let_resolver_go(void)
{
    pthread_mutex_lock(&resolver);
    is_hanging = false;
    pthread_cond_broadcast(&resolver_moved);
    pthread_mutex_unlock(&resolver);
}

/* ---- the servers -------------------------------------------------------------------------- */

static int primary_port;

static const char *control(const char *verb)
{
    static char said[64];
    char command[512];

    snprintf(command, sizeof(command), "%s %s", need_env("WEIR_TEST_PG_CONTROL"), verb);
    FILE *output = popen(command, "r");
    said[0] = '\0';
    if (output == NULL || (fgets(said, sizeof(said), output), pclose(output)) != 0) {
        check_failures_in_test++;
        printf("# %s failed\n", command);
    }
    said[strcspn(said, "\n")] = '\0';
    return said;
}

/* A URL over TCP with these hosts and options; `%d` in either is the primary's port. */
static const char *url_of(const char *hosts, const char *options)
{
    static char url[1024];
    const char *good = need_env("WEIR_TEST_PG_URL");
    const char *at = strrchr(good, '@');

    snprintf(url, sizeof(url), "%.*s@%s/weir%s", (int)(at - good), good, hosts, options);
    return url;
}

static char hosts_text[256];
#define hosts(...) (snprintf(hosts_text, sizeof(hosts_text), __VA_ARGS__), hosts_text)

/* Connect within so many milliseconds; the port it came to, 0 when it did not. */
static int connect_to(struct session *s, const char *url, int within_ms)
{
    check(session_init(s, url, 8));
    if (session_connect(s, weir_deadline_in(within_ms)) != WEIR_OK)
        return 0;
    return atoi(PQport(((struct pg_conn *)s->conn)->pg));
}

/* A socket that the kernel accepts connections for, and nobody else. */
static int listen_silently(const char *address, int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    inet_pton(AF_INET, address, &at.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, size) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0) {
        printf("Bail out! no socket on %s\n", address);
        exit(1);
    }
    *port = ntohs(at.sin_port);
    return fd;
}

/* ---- shares of the time ------------------------------------------------------------------- */

static void a_frozen_host_costs_its_share_and_the_next_is_tried(void)
{
    struct session s;
    int standby = atoi(control("standby"));

    control("freeze-standby");
    weir_time start = weir_now();
    check_int(
        connect_to(&s, url_of(hosts("127.0.0.1:%d,127.0.0.1:%d", standby, primary_port), ""), 3000),
        primary_port);
    check(weir_now() - start >= 1400 * WEIR_MS);
    check(took_less_than(start, 3000));
    session_close(&s);
    control("thaw-standby");
    control("end-standby");
}

static void hosts_that_accept_and_say_nothing_cost_their_shares(void)
{
    struct session s;
    int first = 0, second = 0;
    int fds[] = {listen_silently("127.0.0.1", &first), listen_silently("127.0.0.1", &second)};

    weir_time start = weir_now();
    check_int(connect_to(&s,
                         url_of(hosts("127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d", first, second,
                                      primary_port),
                                ""),
                         3000),
              primary_port);
    check(weir_now() - start >= 1900 * WEIR_MS);
    check(took_less_than(start, 3000));
    session_close(&s);
    start = weir_now();
    check_int(connect_to(&s, url_of(hosts("127.0.0.1:%d,127.0.0.1:%d", first, second), ""), 600),
              0);
    check(weir_now() - start >= 600 * WEIR_MS);
    check(took_less_than(start, 2000));
    check_contains(s.error.text, "did not answer in time; ");
    session_close(&s);
    close(fds[0]);
    close(fds[1]);
}

static void every_address_of_a_name_has_its_share(void)
{
    struct session s;
    char at[64];
    int port = primary_port;
    int silent = listen_silently("127.0.0.2", &port);

    snprintf(at, sizeof(at), "two.test:%d", primary_port);
    weir_time start = weir_now();
    check_int(connect_to(&s, url_of(at, ""), 3000), primary_port);
    check(weir_now() - start >= 1000 * WEIR_MS);
    check(took_less_than(start, 3000));
    if (s.conn != NULL) {
        PGconn *pg = ((struct pg_conn *)s.conn)->pg;
        check_text(PQhost(pg), "two.test"); /* what a certificate is checked against */
        check_text(PQhostaddr(pg), "127.0.0.1");
    }
    session_close(&s);
    close(silent);
    check_int(connect_to(&s, url_of(at, ""), 3000), primary_port);
    session_close(&s);
}

static void an_answer_ends_the_search_as_in_libpq(void)
{
    struct session s;
    char url[256];
    int port = 0;
    int silent = listen_silently("127.0.0.1", &port);

    snprintf(url, sizeof(url), "postgresql://weir:wrong@127.0.0.1:%d,127.0.0.1:%d/weir",
             primary_port, port);
    weir_time start = weir_now();
    check_int(connect_to(&s, url, 8000), 0);
    check(took_less_than(start, 3000));
    check_text(s.error.sqlstate, "28P01");
    session_close(&s);
    close(silent);
}

static void hosts_of_the_environment_and_addresses_are_walked_too(void)
{
    struct session s;
    char hosts_of[64], ports[64];
    char url[256];
    const char *good = need_env("WEIR_TEST_PG_URL");
    int port = 0;
    int silent = listen_silently("127.0.0.1", &port);
    const char *at = strrchr(good, '@');

    snprintf(url, sizeof(url), "%.*s@/weir", (int)(at - good), good);
    snprintf(hosts_of, sizeof(hosts_of), "127.0.0.1,127.0.0.1");
    snprintf(ports, sizeof(ports), "%d,%d", port, primary_port);
    setenv("PGHOST", hosts_of, 1);
    setenv("PGPORT", ports, 1);
    check_int(connect_to(&s, url, 2000), primary_port);
    session_close(&s);
    setenv("PGHOST", "any.name,other.name", 1);
    setenv("PGHOSTADDR", hosts_of, 1);
    check_int(connect_to(&s, url, 2000), primary_port);
    if (s.conn != NULL)
        check_text(PQhost(((struct pg_conn *)s.conn)->pg), "other.name");
    session_close(&s);
    unsetenv("PGHOSTADDR");
    setenv("PGPORT", "1,2,3", 1);
    check_int(connect_to(&s, url, 2000), 0);
    check_contains(s.error.text, "port numbers"); /* libpq's own words */
    session_close(&s);
    unsetenv("PGHOST");
    unsetenv("PGPORT");
    close(silent);
}

/* ---- names -------------------------------------------------------------------------------- */

static void a_resolver_that_hangs_costs_the_hosts_share_only(void)
{
    struct session s;

    weir_time start = weir_now();
    check_int(connect_to(&s, url_of(hosts("hang.test,127.0.0.1:%d", primary_port), ""), 2000),
              primary_port);
    check(weir_now() - start >= 900 * WEIR_MS);
    check(took_less_than(start, 2000));
    session_close(&s);
    start = weir_now();
    check_int(connect_to(&s, url_of("hang.test", ""), 300), 0);
    check(took_less_than(start, 1500));
    check_contains(s.error.text, "the address of host \"hang.test\" was not found in time");
    session_close(&s);
    check_int(connect_to(&s, url_of("nowhere.test", ""), 2000), 0);
    check_contains(s.error.text, "the address of host \"nowhere.test\" could not be found: ");
    session_close(&s);
}

static void *resolve_for_a_while(void *arg)
{
    struct pg_addresses addresses;
    weir_error error;
    char name[32];

    snprintf(name, sizeof(name), "hang-%d.test", *(int *)arg);
    *(int *)arg = weir__pg_resolve(name, weir_deadline_in(30000), &addresses, &error) == WEIR_OK &&
                          addresses.count == 1
                      ? 1
                      : 0;
    return NULL;
}

static void names_share_look_ups_and_these_are_bounded(void)
{
    enum { CALLERS = 60, NAMES = 20 };
    pthread_t threads[CALLERS];
    int arguments[CALLERS];
    int before = looked_up, answered = 0;

    for (int i = 0; i < CALLERS; i++) {
        arguments[i] = i % NAMES;
        pthread_create(&threads[i], NULL, resolve_for_a_while, &arguments[i]);
    }
    pthread_mutex_lock(&resolver);
    while (hanging < 16)
        pthread_cond_wait(&resolver_moved, &resolver);
    pthread_mutex_unlock(&resolver);
    let_resolver_go();
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        answered += arguments[i];
    }
    check_int(answered, CALLERS);
    check_int(most_hanging, 16);
    check(looked_up - before <= CALLERS);
    printf("# %d callers of %d names, %d look-ups\n", CALLERS, NAMES, looked_up - before);
}

/* ---- roles -------------------------------------------------------------------------------- */

static weir_db *open_db(const char *url, int size)
{
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_error error;
    weir_db *db = NULL;

    options.pool.pool_size = size;
    options.pool.max_overflow = 0;
    if (weir_db_open(url, &options, &db, &error) != WEIR_OK) {
        printf("Bail out! %s\n", error.text);
        exit(1);
    }
    return db;
}

/* All connections of the pool at once, so that each is open and idle afterwards. */
static void fill(weir_db *db, int size)
{
    weir_conn *conns[16] = {NULL};
    weir_error error;

    for (int i = 0; i < size; i++) {
        check_int(weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conns[i], &error), WEIR_OK);
        if (conns[i] != NULL)
            check_int(weir_conn_query(conns[i], "SELECT 1", NULL, 0, NULL, &error), WEIR_OK);
    }
    for (int i = 0; i < size; i++)
        weir_conn_release(conns[i]);
}

static weir_status one(weir_db *db, const char *sql, weir_error *error)
{
    *error = (weir_error){0};
    return weir_db_query(db, sql, NULL, 0, NULL, error);
}

static uint64_t closes_of(weir_db *db)
{
    weir_pool_stats stats;

    weir_pool_get_stats(weir_db_pool(db), &stats);
    return stats.closes;
}

static void connections_go_to_the_role_that_is_asked_for(void)
{
    int standby = atoi(control("standby"));
    const struct {
        const char *wanted;
        int port;
    } cases[] = {{"standby", standby},         {"read-only", standby},
                 {"prefer-standby", standby},  {"primary", primary_port},
                 {"read-write", primary_port}, {"any", primary_port}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (int turn = 0; turn < 2; turn++) {
            struct session s;
            char options[64];
            int first = turn == 0 ? primary_port : standby;
            int second = turn == 0 ? standby : primary_port;
            snprintf(options, sizeof(options), "?target_session_attrs=%s", cases[i].wanted);
            int port = connect_to(
                &s, url_of(hosts("127.0.0.1:%d,127.0.0.1:%d", first, second), options), 10000);
            check_int(port, i == 5 ? first : cases[i].port);
            session_close(&s);
        }
    }
    struct session s;
    check_int(
        connect_to(&s, url_of(hosts("127.0.0.1:%d", primary_port), "?target_session_attrs=standby"),
                   10000),
        0);
    check_contains(s.error.text, "standby");
    session_close(&s);
    control("freeze-standby");
    check_int(connect_to(&s,
                         url_of(hosts("127.0.0.1:%d,127.0.0.1:%d", standby, primary_port),
                                "?target_session_attrs=prefer-standby"),
                         4000),
              primary_port);
    session_close(&s);
    control("end-standby");
}

static void a_primary_that_became_read_only_is_left_at_once(void)
{
    enum { SIZE = 4 };
    weir_db *db = open_db(
        url_of(hosts("127.0.0.1:%d", primary_port), "?target_session_attrs=read-write"), SIZE);
    weir_error error;
    int read_only = 0, refused = 0;

    must(&observer, "CREATE TABLE IF NOT EXISTS moved (a int)");
    fill(db, SIZE);
    must(&observer, "ALTER SYSTEM SET default_transaction_read_only = on");
    must(&observer, "SELECT pg_reload_conf()");
    check(comes_to(&observer, "SHOW default_transaction_read_only", "on"));
    for (int i = 0; i < 100; i++) {
        weir_status status = one(db, "INSERT INTO moved VALUES (1)", &error);
        read_only += strcmp(error.sqlstate, "25006") == 0;
        refused += status == WEIR_CONNECT;
    }
    printf("# 100 writes: %d were refused by the server, %d found no server to write to\n",
           read_only, refused);
    check(read_only <= SIZE);
    check(refused >= 100 - SIZE);
    must(&observer, "SET default_transaction_read_only = off");
    must(&observer, "ALTER SYSTEM RESET default_transaction_read_only");
    must(&observer, "SELECT pg_reload_conf()");
    weir_time until = weir_deadline_in(5000);
    while (one(db, "INSERT INTO moved VALUES (1)", &error) != WEIR_OK && weir_now() < until)
        ;
    check_text(error.text, "");
    must(&observer, "RESET default_transaction_read_only");
    weir_db_close(db);
}

static void a_promoted_standby_is_left_where_a_standby_was_asked_for(void)
{
    enum { SIZE = 3 };
    int standby = atoi(control("standby"));
    const char *both = hosts("127.0.0.1:%d,127.0.0.1:%d", primary_port, standby);
    weir_db *strict = open_db(url_of(both, "?target_session_attrs=standby"), SIZE);
    weir_db *mild = open_db(url_of(both, "?target_session_attrs=prefer-standby"), SIZE);
    weir_db *readers = open_db(url_of(both, "?target_session_attrs=read-only"), SIZE);
    weir_error error;

    fill(strict, SIZE);
    fill(mild, SIZE);
    fill(readers, SIZE);
    control("promote");
    int served = 0;
    for (int i = 0; i < 10; i++)
        served += one(strict, "SELECT 1", &error) == WEIR_OK;
    check(served <= 1);
    served = 0;
    for (int i = 0; i < 10; i++)
        served += one(readers, "SELECT 1", &error) == WEIR_OK;
    check(served <= 1);
    for (int i = 0; i < 10; i++)
        check_int(one(mild, "SELECT 1", &error), WEIR_OK);
    fill(mild, SIZE);
    uint64_t closes = closes_of(mild);
    check_int(closes, SIZE);
    fill(mild, SIZE);
    check_int(closes_of(mild), closes);
    weir_db_close(strict);
    weir_db_close(mild);
    weir_db_close(readers);
    control("end-standby");
}

static void what_a_program_makes_read_only_itself_costs_nothing(void)
{
    weir_db *db =
        open_db(url_of(hosts("127.0.0.1:%d", primary_port), "?target_session_attrs=read-write"), 1);
    weir_conn *conn = NULL;
    weir_error error;

    must(&observer, "CREATE TABLE IF NOT EXISTS moved (a int)");
    fill(db, 1);
    for (int i = 0; i < 3; i++) {
        check_int(weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error), WEIR_OK);
        if (i == 0)
            check_int(weir_conn_begin(conn, WEIR_TX_READ, &error), WEIR_OK);
        else
            check_int(weir_conn_query(conn,
                                      i == 1 ? "SET default_transaction_read_only = on"
                                             : "BEGIN READ ONLY",
                                      NULL, 0, NULL, &error),
                      WEIR_OK);
        check_int(weir_conn_query(conn, "INSERT INTO moved VALUES (1)", NULL, 0, NULL, &error),
                  WEIR_QUERY);
        check_text(error.sqlstate, "25006");
        weir_conn_release(conn);
        check_int(one(db, "INSERT INTO moved VALUES (1)", &error), WEIR_OK);
    }
    check_int(closes_of(db), 0);
    weir_db_close(db);
}

/* Serializable it has not at all, and says so at the begin. */
static void a_standby_refuses_writes_and_stays_connected(void)
{
    static const struct {
        weir_tx kind;
        const char *sqlstate; /* of the begin */
    } cases[] = {{WEIR_TX_WRITE, ""}, {WEIR_TX_READ, ""}, {WEIR_TX_SERIALIZABLE, "0A000"}};
    static const char *const writes[] = {"INSERT INTO moved VALUES (1)",
                                         "CREATE TABLE none (a int)", "SELECT nextval('steps')",
                                         "DELETE FROM moved"};

    must(&observer, "CREATE TABLE IF NOT EXISTS moved (a int)");
    must(&observer, "CREATE SEQUENCE steps");
    weir_db *db = open_db(url_of(hosts("127.0.0.1:%d", atoi(control("standby"))), ""), 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (size_t j = 0; j < sizeof(writes) / sizeof(*writes); j++) {
            weir_conn *conn = NULL;
            weir_error error = {0};
            check_int(weir_db_acquire(db, WEIR_DEADLINE_DEFAULT, &conn, &error), WEIR_OK);
            bool is_begun = weir_conn_begin(conn, cases[i].kind, &error) == WEIR_OK;
            check_text(error.sqlstate, cases[i].sqlstate);
            check_int(weir_conn_depth(conn), is_begun);
            check_int(weir_conn_query(conn, writes[j], NULL, 0, NULL, &error), WEIR_QUERY);
            check_text(error.sqlstate, "25006");
            if (is_begun)
                check_int(weir_conn_rollback(conn, &error), WEIR_OK);
            check_int(weir_conn_query(conn, "SELECT a FROM moved", NULL, 0, NULL, &error), WEIR_OK);
            weir_conn_release(conn);
        }
    }
    check_int(closes_of(db), 0);
    weir_db_close(db);
    control("end-standby");
}

/* A server before PostgreSQL 14 and a pooler report no role: they are asked when it matters. */
static void a_server_that_reports_nothing_is_asked(void)
{
    struct session s;
    int standby = atoi(control("standby"));

    check_int(connect_to(&s,
                         url_of(hosts("127.0.0.1:%d", standby), "?target_session_attrs=standby"),
                         10000),
              standby);
    struct pg_conn *conn = s.conn;
    conn->is_pooled = true;
    check_int(driver.ping(conn, SOON, &s.error), WEIR_OK);
    control("promote");
    check_int(run_sql(&s, "SELECT 1"), WEIR_OK);
    check_int(driver.reset(conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_OK);
    check_int(driver.ping(conn, SOON, &s.error), WEIR_CONNECT);
    conn->was_read_only = true;
    check_int(driver.reset(conn, WEIR_RESET_ROLLBACK, SOON, &s.error), WEIR_CONNECT);
    check_contains(s.error.text, "target_session_attrs");
    session_close(&s);
    control("end-standby");
}

/* ---- closing ------------------------------------------------------------------------------ */

/* Takes a start-up message and answers as a server would, ignores Terminate, and closes once the other
 * side has: PGlite's socket server does. */
static void *serve_without_closing_first(void *arg)
{
    static const char hello[] = "R\0\0\0\x08\0\0\0\0"
                                "S\0\0\0\x12server_version\0"
                                "15.0\0"
                                "Z\0\0\0\5I";
    static const char answer_to_set_up[] = "E\0\0\0\x0fSERROR\0C42883\0\0"
                                           "Z\0\0\0\5I";
    int listener = *(int *)arg;
    int fd = accept(listener, NULL, NULL);
    char buffer[4096];

    if (recv(fd, buffer, sizeof(buffer), 0) > 0 && buffer[4] == 4 && buffer[5] == (char)210) {
        /* SSL was asked for */
        send(fd, "N", 1, MSG_NOSIGNAL);
        recv(fd, buffer, sizeof(buffer), 0);
    }
    char start[sizeof(hello)];
    memcpy(start, hello, sizeof(hello));
    start[13] = 0x18; /* length of the ParameterStatus */
    send(fd, start, sizeof(hello) - 1, MSG_NOSIGNAL);
    recv(fd, buffer, sizeof(buffer), 0);
    char refusal[sizeof(answer_to_set_up)];
    memcpy(refusal, answer_to_set_up, sizeof(refusal));
    refusal[4] = 4 + 7 + 7 + 1;
    send(fd, refusal, sizeof(refusal) - 1, MSG_NOSIGNAL);
    while (recv(fd, buffer, sizeof(buffer), 0) > 0)
        continue;
    close(fd);
    return NULL;
}

static void closing_takes_no_second_where_the_peer_does_not_close_first(void)
{
    struct session s;
    pthread_t thread;
    char url[128];
    int port = 0;
    int listener = listen_silently("127.0.0.1", &port);

    pthread_create(&thread, NULL, serve_without_closing_first, &listener);
    snprintf(url, sizeof(url), "postgresql://weir@127.0.0.1:%d/weir?sslmode=disable", port);
    check_int(connect_to(&s, url, 5000), port);
    printf("# %s\n", s.error.text);
    weir_time start = weir_now();
    session_close(&s);
    check(took_less_than(start, 800));
    pthread_join(thread, NULL);
    close(listener);
}

/* How long closing took, in milliseconds, with the server's own end seen so by its client. */
static int close_through(enum relay_ending ending, const char *options)
{
    struct session s;
    struct relay relay;

    check(relay_start(&relay, primary_port));
    atomic_store(&relay.ending, ending);
    check_int(connect_to(&s, url_of(hosts("127.0.0.1:%d", relay.port), options), 10000),
              relay.port);
    if (s.conn != NULL)
        check_int(((struct pg_conn *)s.conn)->is_tls, strstr(options, "require") != NULL);
    weir_time start = weir_now();
    session_close(&s);
    weir_time taken = weir_now() - start;
    relay_stop(&relay);
    return (int)(taken / WEIR_MS);
}

static void closing_waits_for_the_peers_end_and_never_longer_than_a_second(void)
{
    static const char *const options[] = {"?sslmode=disable", "?sslmode=require"};

    must(&observer, "ALTER SYSTEM SET ssl = on");
    must(&observer, "SELECT pg_reload_conf()");
    bool has_tls = comes_to(&observer, "SHOW ssl", "on");
    if (!has_tls)
        printf("# the server has no certificate (openssl is not installed): TLS is not tested\n");
    for (int i = 0; i < (has_tls ? 2 : 1); i++) {
        int last = 1000, never = 0;
        for (int tries = 0; tries < 3 && last >= 800; tries++)
            last = close_through(RELAY_ENDS_LAST, options[i]);
        check(last < 800);
        never = close_through(RELAY_NEVER_ENDS, options[i]);
        check(never >= 1000);
        check(never < 5000);
        printf("# %s: %d ms where the peer ends last, %d ms where it never does\n", options[i] + 1,
               last, never);
    }
    must(&observer, "ALTER SYSTEM RESET ssl");
    must(&observer, "SELECT pg_reload_conf()");
}

int main(void)
{
    session_open(&observer, need_env("WEIR_TEST_PG_SOCKET_URL"));
    primary_port = relay_port_of(need_env("WEIR_TEST_PG_URL"));
    run(a_frozen_host_costs_its_share_and_the_next_is_tried);
    run(hosts_that_accept_and_say_nothing_cost_their_shares);
    run(every_address_of_a_name_has_its_share);
    run(an_answer_ends_the_search_as_in_libpq);
    run(hosts_of_the_environment_and_addresses_are_walked_too);
    run(a_resolver_that_hangs_costs_the_hosts_share_only);
    run(names_share_look_ups_and_these_are_bounded);
    run(connections_go_to_the_role_that_is_asked_for);
    run(a_primary_that_became_read_only_is_left_at_once);
    run(a_promoted_standby_is_left_where_a_standby_was_asked_for);
    run(what_a_program_makes_read_only_itself_costs_nothing);
    run(a_standby_refuses_writes_and_stays_connected);
    run(a_server_that_reports_nothing_is_asked);
    run(closing_takes_no_second_where_the_peer_does_not_close_first);
    run(closing_waits_for_the_peers_end_and_never_longer_than_a_second);
    session_close(&observer);
    return check_done();
}
