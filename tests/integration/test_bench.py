# SPDX-License-Identifier: MIT
"""`weir bench`: its table, its figures and its page, on SQLite and PostgreSQL."""
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

import tap
from backend import PostgresDatabase
from terminal import shown_on_a_terminal
from test_verify import Directory as VerifyDirectory, clean_environment

PROGRAM = os.path.abspath(sys.argv[1])
QUICK = ("--seconds", "0.4", "--concurrency", "1,3")


class Directory(VerifyDirectory):
    def weir(self, *arguments, environment=None, timeout=120):
        return subprocess.run([PROGRAM, "bench", *arguments], cwd=self.path, env=clean_environment(environment or {}),
                              capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def rows(table):
    """[(threads, way, [numbers…]), …] of the table."""
    found = []
    for line in table.splitlines():
        match = re.fullmatch(r" *(\d+)  (pooled|unpooled) ((?: +[\d.]+){8})", line)
        if match:
            found.append((int(match[1]), match[2], [float(number) for number in match[3].split()]))
    return found


def check_report(report, levels):
    assert [level["concurrency"] for level in report["levels"]] == levels
    for level in report["levels"]:
        pooled, unpooled = level["pooled"], level["unpooled"]
        for way in (pooled, unpooled):
            assert 0 < way["p50_ms"] <= way["p90_ms"] <= way["p99_ms"] <= way["max_ms"], way
            assert way["statements"] > 0 and way["errors"] == 0 and way["statements_per_second"] > 0, way
        assert 1 <= pooled["connections_opened"] <= level["concurrency"], level
        assert unpooled["connections_opened"] == unpooled["statements"], level
        assert level["connections_avoided"] == pooled["statements"] - pooled["connections_opened"]
        assert abs(level["saved_ms_p50"] - (unpooled["p50_ms"] - pooled["p50_ms"])) < 1e-5


def test_on_sqlite_without_configuration_it_compares_both_ways_and_makes_no_file():
    with Directory() as directory:
        done = directory.weir(*QUICK)
        assert done.returncode == 0 and done.stderr == "", (done.stdout, done.stderr)
        assert [(threads, way) for threads, way, _ in rows(done.stdout)] == [(1, "pooled"), (1, "unpooled"), (3, "pooled"), (3, "unpooled")]
        assert done.stdout.startswith("sqlite:///:memory:, SELECT 1, 0.4 s of each, in 4 rounds\n"
                                      "in place of sqlite:///weir.db, which does not exist\n\n"), done.stdout
        assert "What this does not show:\n- " in done.stdout
        assert directory.files() == []


def test_on_a_terminal_it_shows_how_far_it_is_and_how_long_it_will_take():
    with Directory() as directory:
        done, shown = shown_on_a_terminal(lambda terminal: subprocess.run(
            [PROGRAM, "bench", *QUICK], cwd=directory.path, env=clean_environment({}), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=terminal, text=True, timeout=60))
        lines = shown.split("\r\033[K")
        steps = [re.fullmatch(r"\[#*\.*\] +(\d+) %, (\d+) s left: (\d) threads?, round (\d) of 4, (?:un)?pooled", line) for line in lines if "%" in line]
        assert len(steps) >= 16 and all(steps), lines
        shares = [int(step[1]) for step in steps]
        assert shares == sorted(shares) and shares[0] == 0 and shares[-1] >= 93 and int(steps[0][2]) == 2, shares
        assert {step[3] for step in steps} == {"1", "3"} and lines[-1] == "", lines[-3:]
        assert done.returncode == 0 and len(rows(done.stdout)) == 4, done.stdout


def test_on_postgresql_pooling_saves_time_for_each_statement_and_connections():
    with Directory() as directory:
        done = directory.weir(*QUICK, "--json", "report.json", environment={"SQL_CONN_STRING": os.environ["WEIR_TEST_PG_URL"]})
        assert done.returncode == 0 and done.stderr == "", (done.stdout, done.stderr)
        text = (directory.path / "report.json").read_text()
    report = json.loads(text)
    check_report(report, [1, 3])
    assert report["engine"] == "postgresql" and not report["interrupted"] and len(report["limits"]) > 3
    for level in report["levels"]:
        # Opening a connection costs a process of the server and a handshake: not to be missed.
        assert level["saved_ms_p50"] > 0 and level["unpooled"]["p50_ms"] > 2 * level["pooled"]["p50_ms"], level
        count = f"avoided {level['connections_avoided']} connections for {level['pooled']['statements']} statements"
        assert re.search(rf"pooling saved [\d.]+ ms per statement at the median .* and {count}\n", done.stdout), done.stdout
    assert done.stdout.startswith("postgresql://weir:***@"), done.stdout
    assert report["url"].startswith("postgresql://weir:***@") and os.environ["WEIR_TEST_PG_PASSWORD"] not in text + done.stdout


def test_a_file_of_sqlite_that_is_missing_or_empty_is_not_replaced_in_silence():
    with Directory() as directory:
        (directory.path / "empty.db").touch()
        for name, reason in (("gone.db", "does not exist"), ("empty.db", "is empty")):
            done = directory.weir("--seconds", "0.1", "--concurrency", "1", "--json", "report.json", "--html", "report.html", "--url",
                                  f"sqlite:///{name}?busy_timeout_ms=5")
            said = f"in place of sqlite:///{name}?busy_timeout_ms=5, which {reason}"
            assert done.returncode == 0 and done.stdout.splitlines()[1] == said, done
            report = json.loads((directory.path / "report.json").read_text())
            assert report["url"].startswith("sqlite:///:memory:"), report["url"]
            assert report["in_place_of"] == {"url": f"sqlite:///{name}?busy_timeout_ms=5", "reason": reason}, report
            page = (directory.path / "report.html").read_text()
            assert f"in place of <code>sqlite:///{name}?busy_timeout_ms=5</code>, which {reason}" in page
        done = directory.weir("--seconds", "0.1", "--concurrency", "1", "--json", "-", "--url", "sqlite:///:memory:")
        assert json.loads(done.stdout)["in_place_of"] is None and json.loads(done.stdout)["note"] is None
        assert directory.files() == ["empty.db", "report.html", "report.json"]


def test_the_figures_can_go_to_standard_output_alone():
    with Directory() as directory:
        done = directory.weir(*QUICK, "--json", "-", "--url", "sqlite:///:memory:?pool_size=2", "--statement", "SELECT 'ä\n<b>'")
    report = json.loads(done.stdout)
    check_report(report, [1, 3])
    assert report["statement"] == "SELECT 'ä\n<b>'" and report["url"] == "sqlite:///:memory:", report["url"]


def test_a_file_of_sqlite_is_as_it_was():
    with Directory() as directory:
        path = directory.path / "mine.db"
        connection = sqlite3.connect(path)
        connection.executescript("CREATE TABLE mine (x); INSERT INTO mine VALUES (7)")
        connection.close()
        done = directory.weir(*QUICK, "--url", "sqlite:///mine.db", "--statement", "SELECT x FROM mine")
        assert done.returncode == 0, done.stderr
        assert directory.files() == ["mine.db"] and path.read_bytes()[18] == 1
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT x FROM mine").fetchall() == [(7,)]
        connection.close()


def test_the_page_opens_in_chromium_and_draws_without_an_error_or_a_request():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "no chromium: install Debian's package chromium (make deps)"
    hostile = "SELECT '</script><script>document.title = 1</script><img src=x onerror=alert(1)>'"
    with Directory() as directory:
        done = directory.weir(*QUICK, "--html", "report.html", "--statement", hostile)
        assert done.returncode == 0, done.stderr
        text = (directory.path / "report.html").read_text()
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--enable-logging=stderr", "--virtual-time-budget=5000", f"--user-data-dir={directory.path / 'profile'}",
                   "--dump-dom", (directory.path / "report.html").as_uri()]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)
    assert not re.search(r"(src|href)=\"(?!data:)", text.split("<script", 1)[0]), "it fetches something"
    assert "default-src 'none'" in text
    said = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    assert said == [], said
    assert '<body data-state="drawn">' in shown.stdout, (shown.stdout[-500:], shown.stderr[-500:])
    # Chart.js gives each canvas that it draws on a size of its own.
    for name in ("times", "rates", "churn"):
        assert re.search(rf'<canvas id="{name}"[^>]* style="[^"]*width: \d+px', shown.stdout), name
    assert "<title>weir bench</title>" in shown.stdout and "<img" not in shown.stdout


def test_a_signal_ends_it_soon_with_what_is_whole():
    with Directory() as directory:
        running = subprocess.Popen([PROGRAM, "bench", "--seconds", "60", "--url", os.environ["WEIR_TEST_PG_URL"]], cwd=directory.path,
                                   env=clean_environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   stdin=subprocess.DEVNULL)
        psql = [os.path.join(os.environ["WEIR_TEST_PG_BIN"], "psql"), "-X", "-A", "-t", os.environ["WEIR_TEST_PG_URL"], "-c",
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weir-bench'"]
        while subprocess.run(psql, capture_output=True, text=True, check=True, timeout=30).stdout.strip() == "0":
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        output, errors = running.communicate(timeout=30)
    assert running.returncode == 1 and errors == "" and "It was interrupted: 0 of 3 levels are complete." in output, (output, errors)


def test_a_level_that_the_server_has_no_room_for_fails_and_those_before_it_stay():
    user = f"narrow{os.getpid()}"
    database = PostgresDatabase("bench_narrow")
    database.script(f"CREATE ROLE {user} LOGIN CONNECTION LIMIT 5 PASSWORD 'x'")
    url = re.sub(r"weir:[^@]+@", f"{user}:x@", database.url)
    with Directory() as directory:
        done = directory.weir("--seconds", "0.2", "--concurrency", "1,8", "--json", "report.json", environment={"SQL_CONN_STRING": url})
        report = json.loads((directory.path / "report.json").read_text())
    assert done.returncode == 1 and "with 8 threads: " in done.stderr and "too many connections" in done.stderr, done
    assert "It failed: 1 of 2 levels are complete." in done.stdout, done.stdout
    check_report(report, [1])


def test_what_fails_is_said():
    with Directory() as directory:
        for arguments, status, part in (
                (["--statement", "SELECT nothing_there"], 1, "with 1 thread: "), (["--url", "sqlite:///there/x.db"], 1, "does not exist"),
                (["--url", "oracle://u:geheim@h/d"], 1, "oracle"), (["--html", "there/report.html"], 2, "there/report.html"),
                (["--seconds", "0"], 2, "--seconds: must be 0.1 to 60"), (["--seconds", "nan"], 2, "--seconds"),
                (["--concurrency", "1,"], 2, "--concurrency"), (["--concurrency", "0"], 2, "--concurrency"),
                (["--concurrency", "129"], 2, "1 to 128"), (["--concurrency", "1,1,1,1,1,1,1,1,1"], 2, "up to 8"),
                (["--secnods", "1"], 2, "did you mean --seconds?")):
            done = directory.weir(*arguments)
            assert done.returncode == status and part in done.stderr and done.stdout == "", (arguments, done)
            assert "geheim" not in done.stderr
        kept = directory.path / "kept.html"
        kept.write_text("an earlier report, " * 50000)
        assert directory.weir("--html", "kept.html", "--statement", "SELECT nothing_there").returncode == 1
        assert kept.read_text() == "an earlier report, " * 50000
        assert directory.weir(*QUICK, "--html", "kept.html").returncode == 0 and "earlier" not in kept.read_text()
        assert "Usage: weir bench" in directory.weir("--help").stdout


if __name__ == "__main__":
    tap.run_module(globals())
