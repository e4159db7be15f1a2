# SPDX-License-Identifier: MIT
"""The `weir` command: flags, variables, `.env`, tokens, and what a first start shows."""
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import tap
from backend import SECRET, Backend, moderator, token

PROGRAM = os.path.abspath(sys.argv[1])


def weir(*arguments, environment=None, dotenv=None, timeout=20):
    """Run the command to its end in an empty directory."""
    with tempfile.TemporaryDirectory(prefix="weir-serve-") as directory:
        if dotenv is not None:
            (pathlib.Path(directory) / ".env").write_text(dotenv)
        clean = {name: value for name, value in os.environ.items()
                 if name not in ("JWT_SECRET", "JWT_AUDIENCE", "HOST", "PORT", "LOG_LEVEL", "SQL_CONN_STRING")}
        return subprocess.run([PROGRAM, *arguments], cwd=directory, env={**clean, **(environment or {})},
                              capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def says(done, status, *parts):
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    for part in parts:
        assert part in done.stderr, done.stderr


# ---- The command


def test_version_and_help_go_to_standard_output():
    done = weir("--version")
    assert done.returncode == 0 and re.fullmatch(r"weir \d+\.\d+\.\d+\n", done.stdout)
    for arguments in (["-V"], ["version"], *([name, "--version"] for name in ("serve", "token", "verify", "bench", "top")),
                      ["serve", "--port", "0", "--version"]):
        again = weir(*arguments)
        assert (again.returncode, again.stdout, again.stderr) == (0, done.stdout, ""), arguments
    for arguments in (["--help"], ["help"], ["serve", "--help"], ["token", "-h"], ["serve", "--version", "--help"]):
        done = weir(*arguments)
        assert done.returncode == 0 and "Usage: weir" in done.stdout and done.stderr == "", arguments
    assert "--drain-timeout VALUE    (WEIR_DRAIN_TIMEOUT)" in weir("serve", "--help").stdout


def test_wrong_calls_exit_with_2_and_a_guess():
    says(weir(), 2, "Usage: weir")
    says(weir("serv"), 2, "unknown command serv; did you mean serve?")
    says(weir("xyzzy"), 2, "unknown command xyzzy\n")
    says(weir("--versoin"), 2, "unknown option --versoin; did you mean --version?")
    says(weir("-version"), 2, "unknown option -version; did you mean --version?")
    says(weir("--hepl"), 2, "unknown option --hepl; did you mean --help?")
    says(weir("--port"), 2, "unknown option --port\n")
    says(weir("serve", "--versoin"), 2, "unknown option --versoin; did you mean --version?")
    says(weir("token", "--hlep"), 2, "unknown option --hlep; did you mean --help?")
    says(weir("serve", "--prot", "1"), 2, "unknown option --prot; did you mean --port?")
    says(weir("serve", "--prot=1"), 2, "did you mean --port?")
    says(weir("serve", "--port"), 2, "no value for --port")
    says(weir("serve", "now"), 2, "unexpected argument now")
    says(weir("token", "--subject", "x"), 2, "unknown option --subject")


def test_values_out_of_range_are_named_with_their_range():
    says(weir("serve", "--port", "65536"), 2, 'PORT "65536" (command line): must be 0 to 65535')
    says(weir("serve", environment={"WEIR_WORKERS": "0"}), 2, 'WEIR_WORKERS "0" (environment): must be 1 to 1024')
    says(weir("serve", dotenv="LOG_LEVEL=loud"), 2, 'LOG_LEVEL "loud" (.env)', "DEBUG, INFO, WARNING or ERROR")
    says(weir("serve", dotenv="A=1\nPORT 8000"), 2, "read .env: line 2, column 6: expected = after the name")
    says(weir("serve", dotenv="WEIR_WROKERS=8"), 2, "line 1: unknown option WEIR_WROKERS")


def test_unsafe_settings_are_refused_with_the_reason():
    says(weir("serve", "--host", "0.0.0.0"), 2, "HOST 0.0.0.0 can be reached from other machines", "JWT_SECRET")
    done = weir("serve", environment={"JWT_SECRET": "MYSECRET"})
    says(done, 2, "JWT_SECRET is 8 bytes long: HS256 needs at least 32")
    assert "MYSECRET" not in done.stderr + done.stdout


def test_database_urls_are_refused_without_their_password():
    environment = {"JWT_SECRET": SECRET}
    for url in ("postgresql://u:geheim@h:port/db", "postgresql://u:geheim@h/db?pool_size=many", "oracle://u:geheim@h/db"):
        done = weir("serve", "--port", "0", "--sql-conn-string", url, environment=environment)
        says(done, 1, "ERROR", "start connection pools")
        assert "geheim" not in done.stderr + done.stdout, done.stderr
    says(weir("serve", "--port", "0", environment={"SQL_CONN_STRING": ""}), 1, "Connection string is required")
    says(weir("serve", "--port", "0", "--sql-conn-string", "sqlite:///x.db?pool_size=9999"), 1, "pool_size")
    says(weir("serve", "--port", "0", "--suggestions-sql-conn-string", "sqlite:///x.db?pool_sise=9"), 1, "pool_sise")


# ---- What wins


def test_a_flag_beats_the_environment_and_that_the_file():
    with Backend(PROGRAM, dotenv="LOG_LEVEL=DEBUG\nWEIR_WORKERS=3\n") as backend:
        backend.wait_log(r"DEBUG ")
    with Backend(PROGRAM, dotenv="LOG_LEVEL=DEBUG\n", environment={"LOG_LEVEL": "INFO"}) as backend:
        backend.stop()
        assert not [line for line in backend.log if " DEBUG " in line]
    with Backend(PROGRAM, "--log-level", "error", environment={"LOG_LEVEL": "DEBUG"}) as backend:
        backend.stop()
        assert backend.log == []


def test_the_secret_of_the_file_counts():
    other = "another secret of more than thirty-two bytes"
    with Backend(PROGRAM, dotenv=f"export JWT_SECRET='{other}' # mine\n", secret=None) as backend:
        answer = backend.get("/api/v1/tables", {"Authorization": "Bearer " + token(other, sub="x")})
        assert answer.status == 200
        assert backend.get("/api/v1/tables").status == 401
        assert not [line for line in backend.output if "eyJ" in line]


def test_suggestions_may_have_a_database_of_their_own():
    environment = {"SUGGESTIONS_SQL_CONN_STRING": "sqlite:///other.db?pool_size=2&max_overflow=1"}
    with Backend(PROGRAM, environment=environment) as backend:
        assert backend.post("/api/v1/suggestions/literature", {}).status == 201
        with sqlite3.connect(backend.directory / "other.db") as connection:
            assert connection.execute("SELECT count(*) FROM suggestions_literature").fetchall() == [(1,)]
        connection.close()
        pool = backend.pools()["suggestions"]
        assert (pool["settings"]["pool_size"], pool["settings"]["max_overflow"]) == (2, 1)
        assert backend.pools()["main"]["settings"]["pool_size"] == 8


def test_the_memory_database_works_for_both_pools():
    with Backend(PROGRAM, "--sql-conn-string", "sqlite:///:memory:") as backend:
        assert backend.get("/api/v1/tables/Jurisdictions/CHE").json["Name"] == "Switzerland"
        number = backend.post("/api/v1/suggestions/literature", {}).json["id"]
        assert [one["id"] for one in backend.get("/api/v1/suggestions/literature/pending", moderator()).json] == [number]


def test_ipv6_is_listened_on():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return  # this machine has none
    with Backend(PROGRAM, "--host", "::1") as backend:
        assert backend.host == "::1"
        number = backend.post("/api/v1/suggestions/literature", {}).json["id"]
        listed = backend.get("/api/v1/suggestions/literature/pending", moderator()).json
        assert (listed[0]["id"], listed[0]["client_ip"]) == (number, "::1")


# ---- The first start


def test_the_first_start_prints_a_line_that_works_when_pasted():
    with Backend(PROGRAM, secret=None) as backend:
        link = backend.wait_output(r"^\s*(console=.*)$")[1]
        line = backend.wait_output(r"^\s*(curl .*)$")[1]
        assert line.endswith("/api/v1/tables/Jurisdictions/CHE")
        # One block to copy, because the second line needs the first.
        at = next(number for number, text in enumerate(backend.output) if link in text)
        assert line in backend.output[at + 1] and "both lines together" in backend.output[at - 2], backend.output
        # As a shell understands them, each shell of Debian's that there is.
        for shell in filter(shutil.which, ("sh", "bash", "zsh")):
            done = subprocess.run([shell, "-c", f'curl() {{ for word in "$@"; do printf "%s\\n" "$word"; done; }}\n{link}\n{line}\n'],
                                  capture_output=True, text=True, timeout=20, check=True)
            flag, header, url = done.stdout.splitlines()
            assert flag == "-H" and url == f"http://127.0.0.1:{backend.port}/api/v1/tables/Jurisdictions/CHE", (shell, done)
            name, value = header.split(": ", 1)
            assert value.startswith("Bearer eyJ"), (shell, header)
        made = value.removeprefix("Bearer ")
        assert "\n".join(backend.output).count(made) == 1, "the token is printed once"
        row = backend.get("/api/v1/tables/Jurisdictions/CHE", {name: value}).json
        assert (row["Name"], row["Alpha-2 Code"], row["Numeric Code"]) == ("Switzerland", "CH", "756")
        # The printed token may moderate, and no other secret is known.
        assert backend.get("/api/v1/suggestions/literature/pending", {name: value}).status == 200
        assert backend.get("/api/v1/tables").status == 401
        assert made not in "\n".join(backend.log)


def test_each_start_without_a_secret_makes_another():
    with tempfile.TemporaryDirectory(prefix="weir-serve-") as directory:
        with Backend(PROGRAM, secret=None, directory=directory) as first:
            header = {"Authorization": "Bearer " + first.wait_output(r"#token=(eyJ\S+)$")[1]}
            assert first.get("/api/v1/tables", header).status == 200
            first.stop()
        with Backend(PROGRAM, secret=None, directory=directory) as second:
            assert second.get("/api/v1/tables", header).status == 401
            rows = second.get("/api/v1/tables/Jurisdictions?limit=1000",
                              {"Authorization": "Bearer " + second.wait_output(r"#token=(eyJ\S+)$")[1]}).json
            assert len(rows) > 200 and len({row["Alpha-3 Code"] for row in rows}) == len(rows)


def test_a_database_with_tables_is_not_filled():
    with tempfile.TemporaryDirectory(prefix="weir-serve-") as directory:
        connection = sqlite3.connect(pathlib.Path(directory) / "weir.db")
        connection.execute("CREATE TABLE mine (id INTEGER PRIMARY KEY)")
        connection.close()
        with Backend(PROGRAM, directory=directory) as backend:
            assert backend.get("/api/v1/tables").json == ["mine"]


def test_two_servers_that_start_at_once_on_an_empty_file_agree():
    with tempfile.TemporaryDirectory(prefix="weir-serve-") as directory:
        backends = [Backend(PROGRAM, directory=directory, wait=False) for _ in range(3)]
        try:
            for backend in backends:
                backend.wait_ready()
                assert len(backend.get("/api/v1/tables/Jurisdictions?limit=1000").json) > 200
                assert backend.post("/api/v1/suggestions/literature", {}).status == 201
        finally:
            for backend in backends:
                backend.close()


# ---- Tokens


def test_a_made_token_is_taken_by_the_backend():
    with Backend(PROGRAM) as backend:
        done = weir("token", "--sub", "zoë", environment={"JWT_SECRET": SECRET})
        assert done.returncode == 0 and re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", done.stdout), done
        header = {"Authorization": "Bearer " + done.stdout.strip()}
        number = backend.post("/api/v1/suggestions/literature", {}, header).json["id"]
        assert backend.get("/api/v1/suggestions/literature/pending", header).status == 403
        done = weir("token", "--sub", "mona", "--role", "moderator", "--ttl", "90s", dotenv=f"JWT_SECRET={SECRET}")
        listed = backend.get("/api/v1/suggestions/literature/pending", {"Authorization": "Bearer " + done.stdout.strip()})
        assert (listed.json[0]["id"], listed.json[0]["token_sub"]) == (number, "zoë")


def test_a_token_expires():
    with Backend(PROGRAM) as backend:
        made = time.time()
        done = weir("token", "--sub", "x", "--ttl", "1s", "--jwt-secret", SECRET)
        header = {"Authorization": "Bearer " + done.stdout.strip()}
        while backend.get("/api/v1/tables", header).status == 200:
            assert time.time() < made + 5, "it does not expire"
            time.sleep(0.05)
        assert time.time() >= made + 0.9 or int(time.time()) > int(made)
        assert backend.get("/api/v1/tables", header).detail == "Invalid or expired token"


def status_for(backend, bearer):
    return backend.get("/api/v1/tables", {"Authorization": "Bearer " + bearer}).status


def test_with_an_audience_only_tokens_for_it_are_taken():
    wrong = ({}, {"aud": "other"}, {"aud": ["x", "y"]}, {"aud": []}, {"aud": "Weir"}, {"aud": ["x", ["weir"]]}, {"aud": None})
    right = ({"aud": "weir"}, {"aud": ["x", "weir"]}, {"aud": ["weir"]})
    with Backend(PROGRAM, "--jwt-audience", "weir") as backend:
        for claims in wrong:
            assert status_for(backend, token(sub="x", **claims)) == 401, claims
        for claims in right:
            assert status_for(backend, token(sub="x", **claims)) == 200, claims
    with Backend(PROGRAM) as backend:
        assert [status_for(backend, token(sub="x", **claims)) for claims in (*wrong, *right)] == [200] * 10, "nobody asked for one"


def test_the_tokens_that_weir_makes_are_for_the_audience():
    with Backend(PROGRAM, environment={"JWT_AUDIENCE": "weir"}) as backend:
        made = weir("token", "--sub", "x", environment={"JWT_SECRET": SECRET, "JWT_AUDIENCE": "weir"}).stdout.strip()
        assert status_for(backend, made) == 200
        assert status_for(backend, weir("token", "--sub", "x", "--jwt-audience", "weir", environment={"JWT_SECRET": SECRET}).stdout.strip()) == 200
        assert status_for(backend, weir("token", "--sub", "x", environment={"JWT_SECRET": SECRET}).stdout.strip()) == 401
    with Backend(PROGRAM, secret=None, dotenv="JWT_AUDIENCE=weir\n") as backend:
        assert status_for(backend, backend.wait_output(r"#token=(eyJ\S+)$")[1]) == 200


def test_tokens_need_a_name_a_secret_and_a_sensible_time():
    environment = {"JWT_SECRET": SECRET}
    says(weir("token", environment=environment), 2, "--sub NAME is missing")
    says(weir("token", "--sub", "x"), 2, "JWT_SECRET is not set")
    says(weir("token", "--sub", "", environment=environment), 2, "sub: must not be empty")
    for ttl in ("0", "-1h", "soon", "11y", "4000d"):
        says(weir("token", "--sub", "x", "--ttl", ttl, environment=environment), 2, "--ttl: must be a duration")


# ---- The log


def test_as_json_every_line_is_an_object_with_the_pool_connection_and_trace_it_is_about():
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with Backend(PROGRAM, "--log-format", "json", environment={"LOG_LEVEL": "DEBUG"}) as backend:
        head = {**moderator(), "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        assert backend.get("/api/v1/tables", headers=head).status == 200
        assert backend.stop() == 0
        lines = [json.loads(line) for line in backend.log]
    assert all(line["level"] in ("DEBUG", "INFO", "WARNING", "ERROR") and line["message"] for line in lines)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)
    lent = [line for line in lines if line.get("trace_id") == trace and line.get("pool") == "main"]
    assert any(line["message"].startswith('pool "main": checkout') and line["connection"] > 0 for line in lent), lines[-20:]
    assert "All connection pools shut down successfully" in [line["message"] for line in lines]


def test_a_log_format_that_is_none_is_named():
    says(weir("serve", "--log-format", "xml"), 2, "LOG_FORMAT \"xml\" (command line): must be text or json")


def test_a_connection_that_is_out_for_too_long_is_reported_once_with_its_place():
    with tempfile.TemporaryDirectory(prefix="weir-leak-") as directory:
        path = os.path.join(directory, "l.db")
        with Backend(PROGRAM, "--sql-conn-string", f"sqlite:///{path}?leak_report_after_ms=200") as backend:
            assert backend.post("/api/v1/suggestions", {"data": {"n": 1}}).status == 201
            holder = sqlite3.connect(path, isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            waiting = threading.Thread(target=backend.post, args=("/api/v1/suggestions", {"data": {"n": 2}}))
            waiting.start()
            try:
                found = backend.wait_log(r'WARNING pool "suggestions": leak connection \d+ at (\w+\.c:\d+) \((\d+)\.\d ms\)', 5)
            finally:
                holder.execute("ROLLBACK")
                waiting.join(20)
            assert int(found[2]) >= 200
            counters = backend.pools()["suggestions"]["counters"]
            assert counters["leaks"] == 1, counters
            assert sum(": leak connection" in line for line in backend.log) == 1, backend.log[-10:]


if __name__ == "__main__":
    tap.run_module(globals())
