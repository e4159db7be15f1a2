# SPDX-License-Identifier: MIT
"""The command behind poolers: `weir verify` says what cannot be seen there, `weir serve` logs once what is left out."""
import os
import re
import subprocess
import sys
import tempfile
import threading

import tap
from backend import Backend, user, wait_for

PROGRAM = os.path.abspath(sys.argv[1])
HIDDEN = "the count on the server is hidden: there is a pooler in front of it"


def url_of(variable):
    if variable not in os.environ:
        raise tap.Skip("this pooler is not installed")
    return os.environ[variable] + "?statement_cache_size=0&sslmode=disable"


def verify(variable):
    names = {"SQL_CONN_STRING": url_of(variable), "SUGGESTIONS_SQL_CONN_STRING": url_of(variable)}
    only = [word for check in ("query", "bound", "overflow", "pre-ping") for word in ("--only", check)]
    with tempfile.TemporaryDirectory(prefix="weir-verify-") as directory:
        done = subprocess.run([PROGRAM, "verify", *only], cwd=directory, env={**os.environ, **names}, capture_output=True, text=True,
                              timeout=120, stdin=subprocess.DEVNULL)
    found = dict(re.findall(r"^. (\S+) \(main\): (.+)$", done.stdout, re.MULTILINE))
    assert done.returncode == 0 and "✗" not in done.stdout, done.stdout
    for check in ("bound", "overflow", "pre-ping"):
        assert found[check].endswith(HIDDEN), done.stdout


def test_verify_says_what_cannot_be_seen_behind_pgbouncer_in_transaction_mode():
    verify("WEIR_TEST_PGBOUNCER_TRANSACTION_URL")


def test_verify_says_what_cannot_be_seen_behind_pgbouncer_in_session_mode():
    verify("WEIR_TEST_PGBOUNCER_SESSION_URL")


def test_verify_says_what_cannot_be_seen_behind_pgpool():
    verify("WEIR_TEST_PGPOOL_URL")


def said_by_a_backend(variable):
    """What the log of a backend with several connections says of poolers, a list for each of its databases."""
    base = url_of(variable)
    urls = {name: f"{base}&application_name={name}" for name in ("main", "suggestions")}
    environment = {"SQL_CONN_STRING": urls["main"], "SUGGESTIONS_SQL_CONN_STRING": urls["suggestions"]}
    with Backend(PROGRAM, environment=environment, wait=False) as backend:
        wait_for(lambda: backend.readiness().status == 200, 30, "readiness")

        def has_several():
            threads = [threading.Thread(target=lambda: backend.post("/api/v1/suggestions/literature", {})) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            return backend.pools()["suggestions"]["counters"]["connects"] > 1
        wait_for(has_several, 60, "a second connection")
        said = [line for line in backend.log if "there is a pooler in front of the server" in line]
        return [[line for line in said if f"application_name={name}" in line] for name in urls]


def says_once(variable):
    said = said_by_a_backend(variable)
    assert [len(lines) for lines in said] == [1, 1], said
    assert all("statement_timeout is not set there" in lines[0] for lines in said), said


def test_the_backend_says_once_for_each_database_what_its_sessions_are_without_behind_pgbouncer_in_transaction_mode():
    says_once("WEIR_TEST_PGBOUNCER_TRANSACTION_URL")


def test_the_same_behind_pgbouncer_in_session_mode():
    says_once("WEIR_TEST_PGBOUNCER_SESSION_URL")


def test_the_same_behind_odyssey_in_transaction_mode():
    says_once("WEIR_TEST_ODYSSEY_TRANSACTION_URL")


def test_the_same_behind_odyssey_in_session_mode():
    says_once("WEIR_TEST_ODYSSEY_SESSION_URL")


def test_behind_pgpool_where_everything_can_be_set_nothing_is_said():
    assert said_by_a_backend("WEIR_TEST_PGPOOL_URL") == [[], []]


if __name__ == "__main__":
    tap.run_module(globals())
