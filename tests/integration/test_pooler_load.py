#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each pooler in each of its modes: statements, transactions, changed tables, deadlines, restarts, and a full pooler.

Arguments: the program pooler_load, and a folder for what npm installs. WEIR_TEST_POOLER_SECONDS sets how long each load
lasts (2; the loads beside changes of the table last 10), WEIR_TEST_POOLERS which poolers are tried
("pgbouncer,pgpool").
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import tap
from poolers import HERE, Odyssey, PGlite, PgBouncer, Pgpool, Server

LOAD, FOLDER = (os.path.abspath(path) for path in sys.argv[1:3])
SECONDS = float(os.environ.get("WEIR_TEST_POOLER_SECONDS", "2"))
THREADS = 16
POOL = {"pool_size": THREADS, "max_overflow": 0, "pool_timeout": 20}
TABLES = """
DROP TABLE IF EXISTS item; DROP TABLE IF EXISTS tally; DROP TABLE IF EXISTS account;
CREATE TABLE item (id integer PRIMARY KEY, name text NOT NULL, price double precision NOT NULL);
INSERT INTO item SELECT i, 'item ' || i, i + 0.5 FROM generate_series(1, 200) AS i;
CREATE TABLE tally (id integer PRIMARY KEY, n bigint NOT NULL);
INSERT INTO tally SELECT i, 0 FROM generate_series(0, 63) AS i;
CREATE TABLE account (id integer PRIMARY KEY, amount bigint NOT NULL);
INSERT INTO account SELECT i, 0 FROM generate_series(0, 7) AS i;
"""
LOST = {"connect", "disconnected", "timeout"}  # what a restart may cost
# pgpool-II 4.3 answers some of the statements whose server went away with an ordinary error.
LOST_BEHIND_PGPOOL = LOST | {"query"}

server = Server()


# --- the load --------------------------------------------------------------------------------------------------------

def begin(pooler, work, seconds=SECONDS, threads=THREADS, **options):
    return subprocess.Popen([LOAD, pooler.url(**{**POOL, **options}), work, str(threads), str(seconds)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process, pooler, what):
    output, errors = process.communicate("\n", timeout=180)
    assert process.returncode == 0, f"{what}: {errors}\n{pooler.log()}"
    told = json.loads(output)
    told["what"] = what
    print(f"# {what}: {output.strip()}", flush=True)
    return told


def load(pooler, work, seconds=SECONDS, **options):
    what = f"{pooler.name} {pooler.mode} {work}"
    return finish(begin(pooler, work, seconds, **options), pooler, what)


def must_be_right(told):
    assert told["wrong"] == 0, told
    assert told["failed"] == 0, told
    assert told["right"] > 0, told


# --- what is tried with each -----------------------------------------------------------------------------------------

def statements_as_text(pooler):
    must_be_right(load(pooler, "direct", statement_cache_size=0))


def prepared_statements(pooler):
    must_be_right(load(pooler, "prepared"))


def transactions(pooler):
    must_be_right(load(pooler, "transfer"))


CHANGES = ["ALTER TABLE item ADD COLUMN extra integer", "ALTER TABLE item ALTER COLUMN price TYPE numeric(12, 2)",
           "ALTER TABLE item DROP COLUMN extra", "ALTER TABLE item ALTER COLUMN price TYPE double precision"]


def a_table_that_changes_meanwhile(pooler):
    """Whole rows by a prepared statement, while somebody else changes the table several times a second."""
    is_over = threading.Event()
    changes = []

    def change():
        while not is_over.is_set():
            server.psql(CHANGES[len(changes) % len(CHANGES)])
            changes.append(1)
            is_over.wait(0.1)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        told = load(pooler, "rows", max(SECONDS, 10))
    finally:
        is_over.set()
        changer.join()
    print(f"# {len(changes)} changes of the table", flush=True)
    assert len(changes) >= 4
    must_be_right(told)


def deadlines_of_some_that_spare_the_others(pooler):
    told = load(pooler, "deadline", max(SECONDS, 3))
    must_be_right(told)
    assert told["timed_out"] >= THREADS // 2 and told["late"] == 0, told
    # The statements are stopped, and so nearly all their sessions come back.
    assert told["closes"] <= told["timed_out"] // 20, told
    # The pooler serves on after a program that had cancels on their way.
    must_be_right(load(pooler, "direct", 0.5, statement_cache_size=0))


def is_lost_and_comes_back(pooler, restart, what):
    process = begin(pooler, "prepared", 0)
    time.sleep(2)  # the load is under way
    began = time.monotonic()
    restart()
    print(f"# restarted within {time.monotonic() - began:.1f} s", flush=True)
    time.sleep(5)  # the load goes on
    told = finish(process, pooler, f"{pooler.name} {pooler.mode} restart of the {what}")
    assert told["wrong"] == 0, told
    assert set(told["by_status"]) <= (LOST_BEHIND_PGPOOL if pooler.name == "pgpool" else LOST), told
    assert told["last_right_ms"] > told["ended_ms"] - 2000, told
    must_be_right(load(pooler, "prepared", 1))


def a_restart_of_the_pooler(pooler):
    def restart():
        pooler.stop()
        pooler.start()
    is_lost_and_comes_back(pooler, restart, "pooler")


def a_restart_of_the_server(pooler):
    def restart():
        server.control("stop")
        server.control("start")
    is_lost_and_comes_back(pooler, restart, "server")


STEPS = [statements_as_text, prepared_statements, transactions, a_table_that_changes_meanwhile,
         deadlines_of_some_that_spare_the_others, a_restart_of_the_pooler, a_restart_of_the_server]


# --- full ------------------------------------------------------------------------------------------------------------

def a_full_pooler(kind, mode, **settings):
    """It takes 6 clients; the pool may have 16. pgpool says so in answer to the question for TLS already, where libpq
    must not believe it (since 15.9, CVE-2024-10977)."""
    with kind(server, mode, **settings) as pooler:
        told = load(pooler, "prepared", max(SECONDS, 3), sslmode="disable")
        must_be_right(told)
        assert told["peer_refusals"] > 0 and told["connects"] <= 12, told
        assert told["connect_errors"] <= 60, told


def a_deadline_before_a_full_server_side():
    """PgBouncer has one session at the server, and somebody else works in it. A write that runs into its deadline in
    PgBouncer's queue is WEIR_TIMEOUT, and nothing more is known of it."""
    with PgBouncer(server, "transaction", default_pool_size=1) as pooler:
        must_be_right(load(pooler, "prepared", 1))
        process = begin(pooler, "insert", 0, 1)
        assert process.stdout.readline() == "ready\n"
        psql = [os.environ["WEIR_TEST_PG_BIN"] + "/psql", "-XqAt", "-d", pooler.url(), "-c", "SELECT pg_sleep(2)"]
        with subprocess.Popen(psql, stdout=subprocess.DEVNULL) as other:
            while server.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(2)' AND state = 'active'"
                              " AND pid <> pg_backend_pid()") == "0":
                assert other.poll() is None
            told = finish(process, pooler, "insert before a full server side")
            assert other.wait(60) == 0
        must_be_right(load(pooler, "direct", 1, statement_cache_size=0))
    assert told["timed_out"] == 1 and told["right"] == told["failed"] == 0, told
    assert told["closes"] <= 1, told  # none while it is still being cancelled
    stored = server.psql("SELECT count(*) FROM tally WHERE id = 100")
    print(f"# stored all the same: {stored}", flush=True)
    assert stored in ("0", "1")


def a_full_server(kind):
    """The server takes 6 sessions of this role."""
    server.psql("ALTER ROLE few CONNECTION LIMIT 6")
    with kind(server) as pooler:
        told = load(pooler, "prepared", max(SECONDS, 3))
    must_be_right(told)
    assert told["peer_refusals"] > 0, told


class Direct:
    """No pooler: the server itself, as a role that may have few sessions."""
    name, mode = "postgresql", "direct"

    def __init__(self, to):
        self.server = to

    def url(self, **options):
        query = "&".join(f"{key}={value}" for key, value in options.items())
        return f"postgresql://few@/weir?host={self.server.directory}&port={self.server.port}&{query}"

    def log(self):
        return ""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


# --- PGlite ----------------------------------------------------------------------------------------------------------

def install_pglite():
    home = pathlib.Path(FOLDER).resolve() / "pglite"
    lock = (HERE.parent / "poolers/package-lock.json").read_text()
    if not (home / "done").exists() or (home / "done").read_text() != lock:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(HERE.parent / "poolers" / file, home)
        if shutil.which("npm") is None:
            raise tap.Skip("npm is not installed")
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1",
                               "--fetch-timeout=30000"], cwd=home, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise tap.Skip("npm could not install PGlite")
        (home / "done").write_text(lock)
    os.environ["WEIR_TEST_PGLITE"] = str(home)


def with_pglite(step):
    install_pglite()
    with PGlite(server, "one session") as pooler:
        os.environ["POOLER_LOAD_TABLES"] = TABLES  # it has room for one client
        try:
            step(pooler)
        finally:
            del os.environ["POOLER_LOAD_TABLES"]


# --- the table -------------------------------------------------------------------------------------------------------

# What a cell needs beside the defaults. PgBouncer answers every login with the last failure of the server's for
# server_login_retry, 15 s, also when the server has been back for long.
NEEDED = {(PgBouncer, a_restart_of_the_server): {"server_login_retry": 1}}


def named(name, function):
    function.__name__ = "test_" + name
    return function


def rows():
    """A test for each cell of the table."""
    wanted = os.environ.get("WEIR_TEST_POOLERS", "direct,pgbouncer,pgpool,odyssey,pglite").split(",")
    for kind, modes in ((PgBouncer, ("transaction", "session")), (Pgpool, ("session",)), (Odyssey, ("transaction", "session"))):
        if kind.name not in wanted:
            continue
        for mode in modes:
            for step in STEPS:
                def run(kind=kind, mode=mode, step=step):
                    server.psql(TABLES)
                    with kind(server, mode, **NEEDED.get((kind, step), {})) as pooler:
                        step(pooler)
                yield named(f"{kind.name}_{mode}_{step.__name__}", run)
    full = {"pgbouncer": (PgBouncer, {"max_client_conn": 6}),
            "pgpool": (Pgpool, {"num_init_children": 7, "reserved_connections": 1}),
            "odyssey": (Odyssey, {"client_max": 6})}
    for name, (kind, settings) in full.items():
        if name in wanted:
            def run(kind=kind, settings=settings):
                server.psql(TABLES)
                a_full_pooler(kind, "session" if kind is Pgpool else "transaction", **settings)
            yield named(f"{name}_that_is_full_is_waited_for", run)
    if "pgbouncer" in wanted:
        def run():
            server.psql(TABLES)
            a_deadline_before_a_full_server_side()
        yield named("pgbouncer_with_a_full_server_side_leaves_the_outcome_of_a_late_write_unknown", run)
    if "direct" in wanted:
        def run():
            server.psql(TABLES)
            server.psql("DROP ROLE IF EXISTS few; CREATE ROLE few LOGIN; GRANT ALL ON item, tally, account TO few")
            a_full_server(Direct)
        yield named("a_server_that_is_full_is_waited_for", run)
    if "pglite" in wanted:
        for step in (statements_as_text, prepared_statements, transactions):
            def run(step=step):
                def one(pooler):
                    POOL.update(pool_size=1)
                    try:
                        step(pooler)
                    finally:
                        POOL.update(pool_size=THREADS)
                with_pglite(one)
            yield named(f"pglite_one_connection_{step.__name__}", run)


if __name__ == "__main__":
    sys.exit(tap.main(list(rows())))
