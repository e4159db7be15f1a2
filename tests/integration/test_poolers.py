# SPDX-License-Identifier: MIT
"""The command behind poolers: `weir verify` says what cannot be seen there, `weir serve` logs once what is left out."""
import os
import re
import subprocess
import sys
import tempfile

import tap
from backend import Backend, user, wait_for

PROGRAM = os.path.abspath(sys.argv[1])
HIDDEN = "what the server counts cannot be seen here: a pooler stands before it"


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


def test_the_backend_says_once_for_each_database_what_its_sessions_are_without():
    url = url_of("WEIR_TEST_PGBOUNCER_SESSION_URL")
    backend = Backend(PROGRAM, environment={"SQL_CONN_STRING": url, "SUGGESTIONS_SQL_CONN_STRING": url}, wait=False)
    try:
        for _ in range(20):
            wait_for(lambda: backend.get("/readyz").status in (200, 503), 20)
            backend.get("/api/v1/suggestions", headers=user())
        said = [line for line in backend.log if "a pooler stands before the server" in line]
        assert 1 <= len(said) <= 2, backend.log
    finally:
        backend.close()


if __name__ == "__main__":
    tap.run_module(globals())
