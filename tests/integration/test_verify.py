# SPDX-License-Identifier: MIT
"""`weir verify`: every line on SQLite and PostgreSQL, what it says when something is down, and that it leaves nothing behind."""
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading

import tap
from backend import Backend, PostgresDatabase, wait_for
from fake_nocodb import TOKEN, FakeNocoDB
from terminal import shown_on_a_terminal

PROGRAM = os.path.abspath(sys.argv[1])
CHECKS = ["managers", "lifecycle", "shared-engine", "query", "bound", "overflow", "timeout", "recycle", "pre-ping", "http-reuse",
          "http-retries", "http-breaker", "nocodb"]
OF_A_DATABASE = CHECKS[3:9]
SECRET = "geheim-1234"


def clean_environment(extra):
    """Without what would configure another database; libpq's own variables, too."""
    kept = {name: value for name, value in os.environ.items()
            if not re.match(r"PG|DATABASE_URL$|SQL_|SUGGESTIONS_|JWT_|NOCODB_|HOST$|PORT$|LOG_LEVEL$|WEIR_(?!TEST)", name)}
    return {**kept, **extra}


class Directory:
    """A working directory of its own."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="weir-verify-"))
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.path)

    def weir(self, *arguments, environment=None, timeout=120):
        return subprocess.run([PROGRAM, "verify", *arguments], cwd=self.path, env=clean_environment(environment or {}),
                              capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)

    def files(self):
        return sorted(path.name for path in self.path.iterdir())


def lines(done):
    """{"bound (main)": (mark, sentence), …}"""
    found = {}
    for line in done.stdout.splitlines()[:-1]:
        if line.startswith("Database "):
            assert not found, line  # they come first
            continue
        mark, name, text = re.fullmatch(r"(✓|✗|–) (.+?): (.+)", line).groups()
        assert name not in found, line
        found[name] = (mark, text)
    return found


def databases(done):
    return [line.removeprefix("Database ") for line in done.stdout.splitlines() if line.startswith("Database ")]


def failed(done):
    return {name: text for name, (mark, text) in lines(done).items() if mark == "✗"}


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("xc-token")))
        self.send_response(self.server.status)
        if self.server.location is not None:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *unused):
        pass


class Nocodb:
    def __init__(self, status, location=None):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        self.server.status, self.server.location, self.server.seen = status, location, []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api/v2/tables"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


# ---- What works


def test_without_any_configuration_every_line_passes_or_does_not_apply_and_no_file_is_made():
    with Directory() as directory:
        done = directory.weir()
        assert done.returncode == 0 and done.stderr == "", (done.stdout, done.stderr)
        found = lines(done)
        assert [name.removesuffix(" (main)") for name in found] == CHECKS
        assert {name for name, (mark, _) in found.items() if mark == "–"} == {"pre-ping (main)", "nocodb"}
        assert done.stdout.endswith("\n11 passed, 0 failed, 2 not applicable\n")
        assert databases(done) == ["main: sqlite:///:memory:, in place of sqlite:///weir.db, which does not exist"]
        assert directory.files() == []


def test_on_postgresql_every_line_passes_and_the_server_agrees():
    with Directory() as directory:
        done = directory.weir(environment={"SQL_CONN_STRING": os.environ["WEIR_TEST_PG_URL"]})
        assert done.returncode == 0 and done.stderr == "", (done.stdout, done.stderr)
        found = lines(done)
        assert {name for name, (mark, _) in found.items() if mark != "✓"} == {"nocodb"}
        assert re.search(r"the server counted at most 15$", found["bound (main)"][1])
        assert found["overflow (main)"][1].endswith("the server counted 3, then 1")
        assert re.search(r"the server ended session (\d+), .* and session (?!\1)\d+ works", found["pre-ping (main)"][1])
        assert os.environ["WEIR_TEST_PG_PASSWORD"] not in done.stdout
        (used,) = databases(done)
        assert used.startswith("main: postgresql://weir:***@") and "in place of" not in used, used


def test_a_file_of_sqlite_that_is_missing_or_empty_is_not_replaced_in_silence():
    with Directory() as directory:
        (directory.path / "empty.db").touch()
        sqlite3.connect(directory.path / "there.db").executescript("CREATE TABLE mine (x)")
        for name, reason in (("gone.db", "does not exist"), ("empty.db", "is empty"), ("there.db", None)):
            for which, flags in (("main", ("--sql-conn-string", f"sqlite:///{name}?pool_size=2")),
                                 ("suggestions", ("--sql-conn-string", "sqlite:///:memory:", "--suggestions-sql-conn-string",
                                                  f"sqlite:///{name}"))):
                done = directory.weir("--only", "query", *flags)
                assert done.returncode == 0, done
                said = f"sqlite:///:memory:, in place of sqlite:///{name}" if reason else f"sqlite:///{name}"
                (line,) = [line for line in databases(done) if line.startswith(f"{which}: {said}")]
                assert line.endswith(f", which {reason}") if reason else "in place of" not in line, line
                report = json.loads(directory.weir("--only", "query", "--json", *flags).stdout)
                (used,) = [one for one in report["databases"] if one["name"] == which]
                assert (used["in_place_of"] or {}).get("reason") == reason, used
                assert name in (used["in_place_of"]["url"] if reason else used["url"]), used
                assert used["url"].startswith("sqlite:///:memory:") == (reason is not None), used
        assert directory.files() == ["empty.db", "there.db"] and (directory.path / "empty.db").stat().st_size == 0


def test_a_url_that_cannot_be_read_is_not_shown_as_a_database():
    with Directory() as directory:
        done = directory.weir("--only", "query", environment={"SQL_CONN_STRING": f"postgresql://u:{SECRET}@h:port/d"})
    assert done.returncode == 1 and databases(done) == ["main: a URL that cannot be read"], done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_nothing_stays_in_postgresql():
    database = PostgresDatabase("verify_clean")
    database.script("CREATE TABLE mine (x int); INSERT INTO mine VALUES (1)")
    listing = "SELECT schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_all_tables WHERE relname !~ '^pg_' ORDER BY 1, 2"
    names = "SELECT oid, relname FROM pg_class ORDER BY 1"
    before = database.query(names)
    with Directory() as directory:
        done = directory.weir(environment={"SQL_CONN_STRING": database.url})
        assert done.returncode == 0, (done.stdout, done.stderr)
    assert database.query(names) == before
    assert [row[1] for row in database.query(listing) if row[0] == "public"] == ["mine"]
    assert database.query("SELECT x FROM mine") == [("1",)]
    wait_for(lambda: database.query("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^weir'") == [("0",)],
             what="no session of the command is left")


def test_a_sqlite_file_is_as_it_was_also_in_its_journal_mode():
    for mode in ("delete", "wal"):
        with Directory() as directory:
            path = directory.path / "mine.db"
            connection = sqlite3.connect(path)
            connection.execute(f"PRAGMA journal_mode={mode}")
            connection.executescript("CREATE TABLE mine (x); INSERT INTO mine VALUES (7)")
            before = "\n".join(connection.iterdump())
            connection.close()
            done = directory.weir("--sql-conn-string", "sqlite:///mine.db?pool_size=2&max_overflow=1")
            assert done.returncode == 0, (done.stdout, done.stderr)
            assert "held at most 3 connections at once (pool_size 2, max_overflow 1)" in done.stdout
            assert directory.files() == ["mine.db"]
            assert path.read_bytes()[18] == (2 if mode == "wal" else 1), mode
            connection = sqlite3.connect(path)
            assert "\n".join(connection.iterdump()) == before
            connection.close()


def test_two_databases_have_lines_of_their_own():
    with Directory() as directory:
        for name in ("a", "b"):
            sqlite3.connect(directory.path / name).executescript("CREATE TABLE mine (x)")
        done = directory.weir("--only", "query", "--only", "bound", "--sql-conn-string", "sqlite:///a",
                              "--suggestions-sql-conn-string", "sqlite:///b?pool_size=1&max_overflow=0")
        assert done.returncode == 0, (done.stdout, done.stderr)
        found = lines(done)
        assert list(found) == ["query (main)", "query (suggestions)", "bound (main)", "bound (suggestions)"]
        assert "at most 15 " in found["bound (main)"][1] and "at most 1 " in found["bound (suggestions)"][1]


def test_a_pool_that_refuses_to_wait_or_to_lend_twice_can_be_checked_all_the_same():
    url = "sqlite:///:memory:?pool_nested=refuse&max_waiters=0&pool_timeout=0&pool_recycle=0&pool_pre_ping=false&pool_size=0"
    with Directory() as directory:
        done = directory.weir(*(word for name in OF_A_DATABASE for word in ("--only", name)), "--sql-conn-string", url)
    assert done.returncode == 0, (done.stdout, done.stderr)


def verify_nocodb(url, token=TOKEN, **environment):
    with Directory() as directory:
        done = directory.weir("--only", "nocodb", environment={"NOCODB_BASE_URL": url, "NOCODB_API_TOKEN": token, **environment})
    assert token not in done.stdout + done.stderr
    mark, text = lines(done)["nocodb"]
    assert done.returncode == (0 if mark == "✓" else 1), done.stdout
    return mark, text


def test_nocodb_is_proved_by_its_version_the_token_and_a_row():
    with FakeNocoDB() as fake:
        fake.tables["laws"] = [{"Id": 1, "Title": "On pools"}]
        for url, rows in ((fake.url, "/api/v2/tables/laws/records"), (fake.v2, "/api/v2/tables/laws/records"),
                          (fake.v3, "/api/v3/data/base1/laws/records"), (fake.url + "/base", "/base/laws")):
            fake.forget()
            mark, text = verify_nocodb(url)
            assert (mark, text.split(";")[0]) == ("✓", "NocoDB 0.301.3 accepts the token, and table laws gave a row"), text
            assert [request.path for request in fake.requests] == ["/api/v1/version", "/api/v2/meta/bases",
                                                                   "/api/v2/meta/bases/base1/tables", rows]
            assert {request.headers["xc-token"] for request in fake.requests} == {TOKEN}
        fake.bases = ["none", "base1"]
        assert verify_nocodb(fake.v2)[0] == "✓"
        fake.tables["laws"].clear()
        assert "table laws is empty" in verify_nocodb(fake.v2)[1]
        fake.version = None
        assert "NocoDB (of unknown version) accepts" in verify_nocodb(fake.v2)[1]


def test_nocodb_with_a_wrong_token_base_or_version_and_what_is_no_nocodb_fail():
    with FakeNocoDB() as fake:
        fake.tables["laws"] = [{"Id": 1, "Title": "On pools"}]
        assert verify_nocodb(fake.v2, "wrong-token") == ("✗", "it answers 401: NOCODB_API_TOKEN is refused")
        assert verify_nocodb(fake.v3.replace("base1", "base2")) == ("✗", "asked for the tables of a base, it answers 422")
        assert verify_nocodb(fake.url + "/elsewhere") == ("✗", "asked for a row, it answers 404")
        mark, text = verify_nocodb(fake.v2 + "/laws/records")
        assert mark == "✗" and "it must end with /api/v2/tables" in text
        for version in ("0.202.10", "0.265.1", "0.301.2", "0.99.999"):
            fake.version = version
            mark, text = verify_nocodb(fake.v2)
            assert mark == "✗" and text.startswith(f"NocoDB {version} is older than 0.301.3: "), text
        for version in ("0.301.3", "0.301.10", "0.302.0", "1.0.0", "2026.1"):
            fake.version = version
            assert verify_nocodb(fake.v2)[0] == "✓", version
        fake.tables.clear()
        assert verify_nocodb(fake.v2) == ("✗", "it accepts the token, but there is no table to read a row from")
    with Backend(PROGRAM) as backend:  # weir's own port
        for path in ("", "/api/v2/tables", "/elsewhere"):
            mark, text = verify_nocodb(f"http://127.0.0.1:{backend.port}{path}")
            assert (mark, text) == ("✗", "asked for its version, it answers 404"), text
    for status, part in ((200, "the server there is not NocoDB"), (401, "it answers 401: NOCODB_API_TOKEN is refused"), (502, "it answers 502")):
        api = Nocodb(status)
        mark, text = verify_nocodb(api.url, SECRET)
        api.close()
        assert mark == "✗" and part in text, text
        assert [path.split("?")[0] for path, _ in api.server.seen] == ["/api/v1/version"]


# ---- What does not


def test_a_nocodb_that_redirects_fails_and_nobody_follows_as_in_serve():
    elsewhere = Nocodb(200)
    for status in (300, 301, 302, 303, 304, 307, 308, 399):
        api = Nocodb(status, location=elsewhere.url)
        with Directory() as directory:
            done = directory.weir("--only", "nocodb", environment={"NOCODB_BASE_URL": api.url, "NOCODB_API_TOKEN": SECRET})
        api.close()
        advice = f"it answers {status}, a redirect: set NOCODB_BASE_URL to where the API is"
        assert done.returncode == 1 and failed(done) == {"nocodb": advice}, (status, done.stdout)
        assert api.server.seen == [("/api/v1/version?limit=1", SECRET)] and SECRET not in done.stdout + done.stderr, status
    elsewhere.close()
    assert elsewhere.server.seen == []


def test_a_postgresql_that_is_down_fails_its_lines_and_no_others():
    control = os.environ["WEIR_TEST_PG_CONTROL"]
    subprocess.run([control, "stop"], check=True, timeout=60)
    try:
        with Directory() as directory:
            done = directory.weir(environment={"SQL_CONN_STRING": os.environ["WEIR_TEST_PG_URL"]})
    finally:
        subprocess.run([control, "start"], check=True, timeout=60)
    assert done.returncode == 1
    assert set(failed(done)) == {"lifecycle", "shared-engine", *(f"{name} (main)" for name in OF_A_DATABASE)}, done.stdout
    assert all("Connection refused" in text for text in failed(done).values()), done.stdout
    assert done.stdout.endswith("\n4 passed, 8 failed, 1 not applicable\n")


def test_a_wrong_password_is_said_and_not_shown():
    url = re.sub(r"weir:[^@]+@", f"weir:{SECRET}@", os.environ["WEIR_TEST_PG_URL"])
    with Directory() as directory:
        done = directory.weir("--only", "query", environment={"SQL_CONN_STRING": url})
    assert done.returncode == 1 and "password authentication failed" in failed(done)["query (main)"], done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_a_server_with_too_few_connections_fails_bound():
    database = PostgresDatabase("verify_few")
    user = f"few{os.getpid()}"
    database.script(f"CREATE ROLE {user} LOGIN CONNECTION LIMIT 4 PASSWORD 'x'")
    url = re.sub(r"weir:[^@]+@", f"{user}:x@", database.url)
    with Directory() as directory:
        done = directory.weir("--only", "bound", "--only", "query", environment={"SQL_CONN_STRING": url})
    assert done.returncode == 1 and list(failed(done)) == ["bound (main)"], done.stdout
    # One of the four is that of the check itself, which counts.
    assert "accepts no more than 3 connections at once, where 15 are allowed" in failed(done)["bound (main)"], done.stdout


def test_an_option_out_of_range_fails_with_its_range():
    with Directory() as directory:
        done = directory.weir("--only", "managers", "--only", "overflow", "--sql-conn-string", "sqlite:///:memory:?pool_size=9999")
    assert done.returncode == 1 and set(failed(done)) == {"managers", "overflow (main)"}, done.stdout
    assert all("pool_size" in text and "1024" in text for text in failed(done).values()), done.stdout


def test_a_directory_that_is_missing_is_named_and_not_made():
    with Directory() as directory:
        done = directory.weir("--only", "query", "--sql-conn-string", "sqlite:///there/mine.db")
        assert done.returncode == 1 and "does not exist" in failed(done)["query (main)"], done.stdout
        assert directory.files() == []


def test_a_signal_ends_it_with_what_was_found_so_far():
    with Directory() as directory:
        running = subprocess.Popen([PROGRAM, "verify"], cwd=directory.path, env=clean_environment({}), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        assert running.stdout.readline().startswith("Database main: ")
        first = running.stdout.readline()
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate(timeout=30)
    assert first.startswith("✓ managers") and running.returncode == 1 and errors == "", (first, rest, errors)
    assert len(rest.splitlines()) < len(CHECKS) and re.search(r"\d+ passed, ", rest.splitlines()[-1]), rest


# ---- How it is asked, and how it answers


def test_json_has_every_line_with_its_claim_and_its_time():
    with Directory() as directory:
        done = directory.weir("--json", "--sql-conn-string", "sqlite:///there/mine.db")
    assert done.returncode == 1 and done.stderr == ""
    report = json.loads(done.stdout)
    assert [check["name"] for check in report["checks"]] == CHECKS
    assert {check["outcome"] for check in report["checks"]} == {"pass", "fail", "skip"}
    for outcome, key in (("pass", "passed"), ("fail", "failed"), ("skip", "skipped")):
        assert sum(check["outcome"] == outcome for check in report["checks"]) == report[key], outcome
    for check in report["checks"]:
        assert check["claim"] and check["text"] and check["seconds"] >= 0
        assert check["database"] == ("main" if check["name"] in OF_A_DATABASE else None)


def test_the_list_has_every_check_and_wrong_calls_exit_with_2():
    with Directory() as directory:
        listed = directory.weir("--list")
        assert listed.returncode == 0 and [line.split()[0] for line in listed.stdout.splitlines()] == CHECKS
        assert "Usage: weir verify" in directory.weir("--help").stdout
        for arguments, part in ((["--only", "bonud"], "no check bonud; did you mean bound?"), (["--only"], "no value for --only"),
                                (["--jsno"], "unknown option --jsno"), (["now"], "unexpected argument now"),
                                (["--port", "x"], "PORT")):
            done = directory.weir(*arguments)
            assert done.returncode == 2 and part in done.stderr and done.stdout == "", (arguments, done)


def test_progress_is_shown_on_a_terminal_only():
    with Directory() as directory:
        done, shown = shown_on_a_terminal(lambda terminal: subprocess.run(
            [PROGRAM, "verify", "--only", "recycle"], cwd=directory.path, env=clean_environment({}), stderr=terminal,
            stdout=subprocess.PIPE, text=True, timeout=60, stdin=subprocess.DEVNULL))
        assert done.returncode == 0 and list(lines(done)) == ["recycle (main)"], done.stdout
        assert "… recycle (1 s)" in shown and shown.endswith("\r\x1b[K"), repr(shown)


if __name__ == "__main__":
    tap.run_module(globals())
