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
DROP TABLE IF EXISTS item, tally, account, offer;
CREATE TABLE item (id integer PRIMARY KEY, name text NOT NULL, price double precision NOT NULL);
INSERT INTO item SELECT i, 'item ' || i, i + 0.5 FROM generate_series(1, 200) AS i;
CREATE TABLE tally (id integer PRIMARY KEY, n bigint NOT NULL);
INSERT INTO tally SELECT i, 0 FROM generate_series(0, 63) AS i;
CREATE TABLE account (id integer PRIMARY KEY, amount bigint NOT NULL);
INSERT INTO account SELECT i, 0 FROM generate_series(0, 7) AS i;
CREATE TABLE offer (id integer PRIMARY KEY, price real NOT NULL);
"""
LOST = {"connect", "disconnected", "timeout"}  # what a restart may cost
# pgpool-II 4.3 answers some of the statements whose server went away with an ordinary error.
LOST_BEHIND_PGPOOL = LOST | {"query"}

server = Server()


# --- the load --------------------------------------------------------------------------------------------------------

def begin(pooler, work, seconds=SECONDS, threads=THREADS, /, **options):
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


def a_table_that_one_of_them_changes(pooler):
    """The same by one of the pool's own connections, where nobody else can connect."""
    told = load(pooler, "changes", max(SECONDS, 8))
    must_be_right(told)
    assert told["changed"] >= 2, told


def a_parameter_whose_type_changes(pooler):
    """What is stored has the column's type of now, although neither an error nor the result tells of the change."""
    told = load(pooler, "price", max(SECONDS, 3))
    must_be_right(told)
    assert told["changed"] >= 2, told


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


STEPS = [statements_as_text, prepared_statements, transactions, a_table_that_changes_meanwhile, a_parameter_whose_type_changes,
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


def write_before_a_full_server_side(pooler, busy_seconds, seconds, **options):
    """The pooler has one session at the server, and somebody else works in it. What became of a write that has 300 ms,
    and how many such rows there are in the end."""
    must_be_right(load(pooler, "prepared", 1))
    process = begin(pooler, "insert", seconds, 1, **options)
    assert process.stdout.readline() == "ready\n"
    sleep = f"SELECT pg_sleep({busy_seconds})"
    psql = [os.environ["WEIR_TEST_PG_BIN"] + "/psql", "-XqAt", "-d", pooler.url(), "-c", sleep]
    with subprocess.Popen(psql, stdout=subprocess.DEVNULL) as other:
        while server.psql(f"SELECT count(*) FROM pg_stat_activity WHERE query = '{sleep}' AND state = 'active'") == "0":
            assert other.poll() is None
        told = finish(process, pooler, "insert before a full server side")
        assert other.wait(60) == 0
    must_be_right(load(pooler, "direct", 1, statement_cache_size=0))
    assert told["timed_out"] == 1 and told["right"] == told["failed"] == 0, told
    stored = server.psql("SELECT count(*) FROM tally WHERE id = 100")
    print(f"# stored all the same: {stored}", flush=True)
    return told, stored


def a_deadline_before_a_full_server_side():
    """A write that runs into its deadline in PgBouncer's queue is WEIR_TIMEOUT, and nothing more is known of it."""
    with PgBouncer(server, "transaction", default_pool_size=1) as pooler:
        told, stored = write_before_a_full_server_side(pooler, 2, 0)
    assert told["closes"] == 0, told  # it is still being cancelled
    assert stored in ("0", "1")


def a_connection_that_is_given_up():
    """After cancel_timeout_ms its sending side is shut down. PgBouncer sees that when the client's turn comes, and closes."""
    with PgBouncer(server, "transaction", default_pool_size=1) as pooler:
        told, stored = write_before_a_full_server_side(pooler, 5, 60, cancel_timeout_ms=300)
    assert told["closes"] == 1 and stored == "0", (told, stored)


def a_full_server():
    """The server takes 6 sessions of this role."""
    server.psql("DROP ROLE IF EXISTS few; CREATE ROLE few LOGIN CONNECTION LIMIT 6; GRANT ALL ON item, tally, account TO few")
    told = load(Direct(server, "few"), "prepared", max(SECONDS, 3))
    must_be_right(told)
    assert told["peer_refusals"] > 0, told


class Direct:
    """No pooler: the server itself."""
    name, mode = "postgresql", "direct"

    def __init__(self, to, user):
        self.server, self.user = to, user

    def url(self, **options):
        query = "&".join(f"{key}={value}" for key, value in options.items())
        return f"postgresql://{self.user}@/weir?host={self.server.directory}&port={self.server.port}&{query}"

    def log(self):
        return ""


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


def with_pglite(step, most, **settings):
    """With a pool of so many connections before the one that there is."""
    install_pglite()
    with PGlite(server, "one session", **settings) as pooler:
        os.environ["POOLER_LOAD_TABLES"] = TABLES  # nobody else can make them
        POOL.update(pool_size=most)
        try:
            step(pooler)
        finally:
            POOL.update(pool_size=THREADS)
            del os.environ["POOLER_LOAD_TABLES"]


def a_second_client_fails(pooler):
    """PGlite closes it without a text, so that the pool cannot know that it is one too many."""
    told = load(pooler, "prepared")
    assert told["wrong"] == 0 and told["right"] > 0, told
    assert told["connects"] == 1 and list(told["by_status"]) == ["connect"], told


# What is tried with PGlite: with which pool, and which settings. In memory nothing is left after a restart.
PGLITE = [(statements_as_text, 1, {}), (prepared_statements, 1, {}), (transactions, 1, {}),
          (a_table_that_one_of_them_changes, 1, {}), (a_parameter_whose_type_changes, 1, {}),
          (a_restart_of_the_pooler, 1, {"db": "data"}), (a_second_client_fails, THREADS, {})]


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
    full = {"pgbouncer": (PgBouncer, ("transaction", "session"), {"max_client_conn": 6}),
            "pgpool": (Pgpool, ("session",), {"num_init_children": 7, "reserved_connections": 1}),
            "odyssey": (Odyssey, ("transaction", "session"), {"client_max": 6})}
    for name, (kind, modes, settings) in full.items():
        for mode in modes if name in wanted else ():
            def run(kind=kind, mode=mode, settings=settings):
                server.psql(TABLES)
                a_full_pooler(kind, mode, **settings)
            yield named(f"{name}_{mode}_that_is_full_is_waited_for", run)
    alone = []
    if "pgbouncer" in wanted:
        alone += [("pgbouncer_with_a_full_server_side_leaves_the_outcome_of_a_late_write_unknown", a_deadline_before_a_full_server_side),
                  ("pgbouncer_with_a_full_server_side_closes_what_was_given_up_and_forgets_its_write", a_connection_that_is_given_up)]
    if "direct" in wanted:
        alone += [(f"direct_{step.__name__}", lambda step=step: step(Direct(server, server.user)))
                  for step in (a_table_that_changes_meanwhile, a_parameter_whose_type_changes)]
        alone += [("a_server_that_is_full_is_waited_for", a_full_server)]
    for name, step in alone:
        def run(step=step):
            server.psql(TABLES)
            step()
        yield named(name, run)
    if "pglite" in wanted:
        for step, most, settings in PGLITE:
            def run(step=step, most=most, settings=settings):
                with_pglite(step, most, **settings)
            yield named(f"pglite_{step.__name__}", run)


if __name__ == "__main__":
    sys.exit(tap.main(list(rows())))
