# SPDX-License-Identifier: MIT
"""`weir serve` on databases that cannot be written: full disks and servers that only read; run by tests/with_postgres.sh.
Small file systems are mounted for it, which takes root."""
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import tap
from backend import Backend, PostgresDatabase, SqliteDatabase, moderator, wait_for

PROGRAM = os.path.abspath(sys.argv[1])
SECRETS = ("INSERT", "UPDATE", "suggestions_", "base/", "/tmp", "127.0.0.1", "weir_", "sqlite", "SQLSTATE", "pg_tblspc")


@contextlib.contextmanager
def small_disk(size, owner=None):
    """A file system of its own with room for `size` KiB."""
    with tempfile.TemporaryDirectory(prefix="weir-disk-") as directory:
        os.chmod(directory, 0o755)
        inside = pathlib.Path(directory) / "disk"
        inside.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k,mode=755", "tmpfs", inside], capture_output=True, text=True)
        if done.returncode != 0:
            raise tap.Skip(f"no file system can be mounted here: {done.stderr.strip()}")
        try:
            if owner is not None:
                subprocess.run(["chown", owner, inside], check=True)
            yield inside
        finally:
            subprocess.run(["umount", "-l", inside], check=True)


def fill(disk, leave):
    """Take the room but for `leave` KiB. Deleting the file gives it back."""
    taken = disk / "ballast"
    with open(taken, "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(max(0, file.tell() - leave * 1024))
    return taken


def write(backend, size=2000):
    return backend.post("/api/v1/suggestions/literature", {"text": "x" * size})


def check_unavailable(answer, sentence):
    assert answer.status == 503 and answer.detail == sentence, (answer.status, answer.body)
    assert int(answer.headers["Retry-After"]) >= 1
    for secret in SECRETS:
        assert secret not in answer.body.decode(), answer.body


def write_until_it_fails(backend, most=4000):
    for _ in range(most):
        answer = write(backend)
        if answer.status != 201:
            return answer
    raise AssertionError("the disk never was full")


def goes_through_a_full_disk(backend, disk, leave):
    """Writes fail with 503 while the disk is full, reads go on, /readyz tells it, and all ends with the cause."""
    assert write(backend).status == 201
    ballast = fill(disk, leave)
    check_unavailable(write_until_it_fails(backend), "the disk of the database is full")
    wait_for(lambda: backend.readiness().status == 503, 10, "not ready")
    report = backend.readiness().body.decode()
    assert "suggestions database: the disk of the database is full\n" in report and "main database: ok\n" in report, report
    assert backend.get("/api/v1/tables/kept/1").json == {"id": 1}
    assert backend.get("/api/v1/suggestions/literature/pending", moderator()).status == 200
    assert [line for line in backend.log if re.search(r"SQLSTATE 53100", line)], backend.log[-5:]
    ballast.unlink()
    wait_for(lambda: write(backend).status == 201, 20, "writes again")
    wait_for(lambda: backend.readiness().status == 200, 5, "ready as soon as a write has succeeded")
    assert backend.stop() == 0


def test_a_full_disk_under_sqlite_is_503_and_passes():
    with small_disk(2048) as disk:
        database = SqliteDatabase(disk / "main.db")
        database.script("CREATE TABLE kept (id INTEGER PRIMARY KEY); INSERT INTO kept VALUES (1);")
        with Backend(PROGRAM, environment={"SQL_CONN_STRING": database.url}) as backend:
            goes_through_a_full_disk(backend, disk, 64)


def test_a_full_disk_under_postgresql_is_503_and_passes():
    owner = "postgres" if os.geteuid() == 0 else None
    with small_disk(24576, owner) as disk:
        postgres = PostgresDatabase("weir_full")
        space = disk / "space"
        space.mkdir()
        if owner is not None:
            subprocess.run(["chown", owner, space], check=True)
        postgres.script(f"CREATE TABLESPACE small LOCATION '{space}'")
        admin = [postgres.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", postgres.admin_url]
        subprocess.run([*admin, "-c", "ALTER DATABASE weir_full SET TABLESPACE small"], check=True, timeout=60)
        try:
            postgres.script("CREATE TABLE kept (id INTEGER PRIMARY KEY); INSERT INTO kept VALUES (1);")
            with Backend(PROGRAM, environment={"SQL_CONN_STRING": postgres.url}) as backend:
                goes_through_a_full_disk(backend, disk, 512)
        finally:
            subprocess.run([*admin, "-c", "DROP DATABASE weir_full WITH (FORCE)", "-c", "DROP TABLESPACE small"], check=True, timeout=60)


def test_a_server_that_only_reads_is_503_for_writes_until_it_is_promoted():
    postgres = PostgresDatabase("weir_reader")
    postgres.script("CREATE TABLE kept (id INTEGER PRIMARY KEY); INSERT INTO kept VALUES (1);")

    def set_read_only(word):
        postgres.script(f"ALTER DATABASE weir_reader SET default_transaction_read_only = {word};"
                        "SET default_transaction_read_only = off; SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid();")

    with Backend(PROGRAM, environment={"SQL_CONN_STRING": postgres.url}) as backend:
        assert write(backend).status == 201
        set_read_only("on")
        wait_for(lambda: write(backend).status == 503 and "read-only" in write(backend).detail, 20, "a refusal")
        check_unavailable(write(backend), "the database is read-only at the moment")
        wait_for(lambda: b"suggestions database: the database is read-only at the moment\n" in backend.readiness().body, 10, "not ready")
        assert b"main database: ok\n" in backend.readiness().body
        assert backend.get("/api/v1/tables/kept/1").json == {"id": 1}
        subprocess.run([postgres.psql, "-X", "-q", postgres.admin_url, "-c", "ALTER DATABASE weir_reader RESET default_transaction_read_only",
                        "-c", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'weir_reader'"],
                       check=True, timeout=60, stdout=subprocess.DEVNULL)
        wait_for(lambda: write(backend).status == 201, 20, "writes again")
        wait_for(lambda: backend.readiness().status == 200, 10, "ready")
        assert backend.stop() == 0


def test_an_sqlite_file_on_a_file_system_that_only_reads_is_503_for_writes():
    with small_disk(2048) as disk:
        database = SqliteDatabase(disk / "main.db")
        database.script("CREATE TABLE kept (id INTEGER PRIMARY KEY); INSERT INTO kept VALUES (1);")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with Backend(PROGRAM, environment={"SQL_CONN_STRING": database.url}, wait=False) as backend:
            wait_for(lambda: b"suggestions database: the database is read-only at the moment\n" in backend.readiness().body, 20, "the report")
            check_unavailable(write(backend), "the database is read-only at the moment")
            assert backend.get("/api/v1/tables/kept/1").json == {"id": 1}
            assert b"main database: ok\n" in backend.readiness().body


if __name__ == "__main__":
    tap.run_module(globals())
