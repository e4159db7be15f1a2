# SPDX-License-Identifier: MIT
"""The start of `weir serve`: an address that is taken is found before anything is made, and settings in vain are told."""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

import tap
from backend import SECRET, Backend

PROGRAM = os.path.abspath(sys.argv[1])
OTHERS_URL = "postgresql://app:geheim-1234@db.example/orders"


def clean_environment(extra):
    kept = {name: value for name, value in os.environ.items()
            if not re.match(r"PG|DATABASE_URL$|SQL_|SUGGESTIONS_|JWT_|NOCODB_|HOST$|PORT$|LOG_LEVEL$|WEIR_(?!TEST)", name)}
    return {**kept, **extra}


def run(*arguments, environment=None, dotenv=None):
    """A command run to its end in an empty directory, and the files that it left there."""
    with tempfile.TemporaryDirectory(prefix="weir-start-") as directory:
        if dotenv is not None:
            (pathlib.Path(directory) / ".env").write_text(dotenv)
        done = subprocess.run([PROGRAM, *arguments], cwd=directory, env=clean_environment(environment or {}), capture_output=True,
                              text=True, timeout=60, stdin=subprocess.DEVNULL)
        return done, sorted(name for name in os.listdir(directory) if name != ".env")


@contextlib.contextmanager
def taken_port(family, host):
    with socket.socket(family) as taken:
        taken.bind((host, 0))
        taken.listen()
        yield taken.getsockname()[1]


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def check_refused_first(done, files, *parts):
    assert done.returncode == 1 and all(part in done.stderr for part in parts), done
    assert "connection pools" not in done.stderr and "Jurisdictions" not in done.stderr, done.stderr
    assert files == [] and done.stdout == "", (files, done.stdout)


# ---- The address


def test_a_port_in_use_is_found_before_a_file_is_made_or_a_pool_opened():
    with taken_port(socket.AF_INET, "127.0.0.1") as port:
        check_refused_first(*run("serve", "--port", str(port)), f"port {port} on 127.0.0.1 is in use by another program; --port")
        check_refused_first(*run("serve", "--port", str(port), "--host", "localhost"), f"port {port} on localhost is in use")
        check_refused_first(*run("serve", "--port", str(port), "--host", "0.0.0.0", environment={"JWT_SECRET": SECRET}), f"port {port} on")
    if has_ipv6():
        with taken_port(socket.AF_INET6, "::1") as port:
            check_refused_first(*run("serve", "--port", str(port), "--host", "::1"), f"port {port} on ::1 is in use")


def test_a_second_port_that_is_the_first_is_called_so():
    with taken_port(socket.AF_INET, "127.0.0.1") as port:
        check_refused_first(*run("serve", "--port", "0", "--health-port", str(port)), f"port {port} on 127.0.0.1 is in use by another program; --health-port")
        free = port
    secret = {"JWT_SECRET": SECRET}
    for more in ((), ("--health-host", "127.0.0.1"), ("--health-host", "0.0.0.0"), ("--host", "0.0.0.0", "--health-host", "127.0.0.1")):
        check_refused_first(*run("serve", "--port", str(free), "--health-port", str(free), *more, environment=secret),
                            f"port {free} is already the main port: --health-port or WEIR_HEALTH_PORT chooses another")


def test_a_second_address_that_cannot_be_had_is_told_as_that_also_with_the_port_of_the_first():
    with taken_port(socket.AF_INET, "127.0.0.1") as port:
        free = str(port)
    for port in ("1", free):
        for host, part in (("192.0.2.1", f"listen on 192.0.2.1 port {port}: "), ("db.example", 'host "db.example": must be'),
                           ("2001:db8::1", f"listen on 2001:db8::1 port {port}: ")):
            done, files = run("serve", "--port", free, "--health-port", port, "--health-host", host, environment={"JWT_SECRET": SECRET})
            check_refused_first(done, files, part)
            assert "everything else" not in done.stderr, done.stderr


def test_an_address_that_cannot_be_had_is_found_first_too():
    secret = {"JWT_SECRET": SECRET}
    # TEST-NET-1 of RFC 5737 is nobody's address.
    check_refused_first(*run("serve", "--port", "0", "--host", "192.0.2.1", environment=secret), "listen on 192.0.2.1 port 0: ")
    check_refused_first(*run("serve", "--port", "0", "--host", "db.example", environment=secret), 'host "db.example": must be')


def test_a_server_that_is_running_keeps_its_database_when_another_is_started_by_mistake():
    with Backend(PROGRAM) as backend:
        with tempfile.TemporaryDirectory(prefix="weir-start-") as other:
            done = subprocess.run([PROGRAM, "serve", "--port", str(backend.port), "--sql-conn-string", f"sqlite:///{other}/new.db"],
                                  cwd=backend.directory, env=clean_environment({}), capture_output=True, text=True, timeout=30,
                                  stdin=subprocess.DEVNULL)
            assert done.returncode == 1 and "is in use" in done.stderr and os.listdir(other) == [], done.stderr
        assert backend.get("/api/v1/tables/Jurisdictions/CHE").status == 200


# ---- What the machine decides


def test_workers_are_two_for_each_core_that_the_process_may_use_and_pools_keep_a_connection_for_each():
    mine = sorted(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    try:
        for count in {1, min(2, len(mine)), len(mine)}:
            os.sched_setaffinity(0, mine[:count])
            workers = min(16, 2 * count)
            done, _ = run("serve", "--help")
            said = re.search(r"--workers VALUE +\(WEIR_WORKERS\)\n +(.*)", done.stdout)[1]
            assert said.endswith(f"two for each core that the process may use, from 2 to 16 (1 to 1024) [{workers}]"), said
            with Backend(PROGRAM, environment={"WEIR_WORKERS": ""}) as backend:
                check_pools(backend, workers)
        for given in (1, 6, 100):  # and who says so wins
            with Backend(PROGRAM, "--workers", str(given)) as backend:
                check_pools(backend, given)
        with Backend(PROGRAM, "--workers", "6", "--sql-conn-string", "sqlite:///weir.db?pool_size=2&max_overflow=1") as backend:
            sizes = {(pool["settings"]["pool_size"], pool["settings"]["max_overflow"]) for pool in backend.pools().values()}
            assert sizes == {(2, 1)}, sizes
    finally:
        os.sched_setaffinity(0, before)


def check_pools(backend, workers):
    for name, size, overflow in (("main", 5, 10), ("suggestions", 3, 5)):
        settings = backend.pools()[name]["settings"]
        kept = max(size, min(workers, size + overflow))
        assert (settings["pool_size"], settings["max_overflow"]) == (kept, size + overflow - kept), (workers, name, settings)


# ---- Settings in vain

IN_VAIN = [
    ({"DATABASE_URL": OTHERS_URL}, None, "DATABASE_URL is set but not used: ", 'SQL_CONN_STRING="$DATABASE_URL" uses'),
    ({}, f"DATABASE_URL={OTHERS_URL}\n", "DATABASE_URL is set but not used: ", "the main database is sqlite:///weir.db"),
    ({"PGHOST": "db.example"}, None, "PGHOST is set but not used: ", "SQL_CONN_STRING=postgresql:// uses what they name"),
    ({"PGUSER": "app", "PGPASSWORD": "geheim-1234", "PGDATABASE": "orders"}, None, "PGDATABASE, PGUSER and PGPASSWORD are set but not used: ",
     "SQL_CONN_STRING=postgresql://"),
    ({"PGSERVICE": "orders"}, "PGPORT=5433\n", "PGPORT and PGSERVICE are set but not used: ", "PG variables in the file .env are not used"),
]
SILENT = [
    ({"DATABASE_URL": ""}, None, ()), ({"PGHOST": "", "PGAPPNAME": "me", "PGDATA": "/x", "PGSSLMODE": "require"}, None, ()),
    ({"DATABASE_URL": OTHERS_URL, "SQL_CONN_STRING": "sqlite:///:memory:"}, None, ()),
    ({"DATABASE_URL": OTHERS_URL, "PGHOST": "x"}, "SQL_CONN_STRING=sqlite:///:memory:\n", ()),
    ({"PGHOST": "db.example"}, None, ("--sql-conn-string", "sqlite:///:memory:")),
]


def test_serve_warns_of_database_url_and_libpqs_variables_when_it_does_not_use_them():
    for environment, dotenv, *parts in IN_VAIN:
        with Backend(PROGRAM, environment=environment, dotenv=dotenv, wait=False) as backend:
            (line,) = [line for line in backend.messages() if "not used" in line]
            assert line.startswith("WARNING ") and all(part in line for part in parts), line
            backend.stop()
            assert "geheim" not in "\n".join(backend.log + backend.output)
    for environment, dotenv, flags in SILENT:
        with Backend(PROGRAM, *flags, environment=environment, dotenv=dotenv, wait=False) as backend:
            backend.stop()
            assert not [line for line in backend.log if "not used" in line], backend.log


def test_a_token_for_nocodb_without_a_nocodb_is_told_and_not_shown():
    text = "WARNING NOCODB_API_TOKEN is set but not used: NOCODB_BASE_URL says where NocoDB is"
    for environment, dotenv, flags in (({"NOCODB_API_TOKEN": "geheim-1234"}, None, ()), ({}, "NOCODB_API_TOKEN=geheim-1234\n", ()),
                                       ({"NOCODB_BASE_URL": "", "NOCODB_API_TOKEN": "geheim-1234"}, None, ("--log-level", "DEBUG"))):
        with Backend(PROGRAM, *flags, environment=environment, dotenv=dotenv, wait=False) as backend:
            assert backend.messages().count(text) == 1, backend.log
            backend.stop()
            assert "geheim" not in "\n".join(backend.log + backend.output)
    for environment in ({"NOCODB_API_TOKEN": ""}, {"NOCODB_BASE_URL": "http://127.0.0.1:1", "NOCODB_API_TOKEN": "geheim-1234"}):
        with Backend(PROGRAM, environment=environment, wait=False) as backend:
            backend.stop()
            assert not [line for line in backend.log if "not used" in line], backend.log


def test_verify_and_bench_say_the_same_on_standard_error_and_in_json():
    for environment, dotenv, *parts in IN_VAIN[:3]:
        for command in (("verify", "--only", "query"), ("bench", "--seconds", "0.1", "--concurrency", "1")):
            done, files = run(*command, environment=environment, dotenv=dotenv)
            assert done.returncode == 0 and files == [], done
            assert done.stderr.startswith(f"weir {command[0]}: ") and all(part in done.stderr for part in parts), done.stderr
            report = json.loads(run(*command, "--json", *["-"][:command[0] == "bench"], environment=environment, dotenv=dotenv)[0].stdout)
            assert done.stderr == f"weir {command[0]}: {report['note']}\n" and "geheim" not in str(report) + done.stderr
    for environment, dotenv, flags in SILENT[:3]:
        done, _ = run("verify", "--only", "query", "--json", environment=environment, dotenv=dotenv)
        assert done.stderr == "" and json.loads(done.stdout)["note"] is None, done


def test_an_address_without_anything_takes_what_libpqs_variables_name():
    done, _ = run("verify", "--only", "query", environment={"SQL_CONN_STRING": "postgresql://", "PGHOST": "127.0.0.1", "PGPORT": "1"})
    assert done.returncode == 1 and '127.0.0.1' in done.stdout and "port 1 " in done.stdout, done.stdout


if __name__ == "__main__":
    tap.run_module(globals())
