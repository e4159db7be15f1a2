# SPDX-License-Identifier: MIT
"""SIGHUP: what of the configuration changes while the server runs, what is only named, and that the server never ends by it."""
import http.client
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import tap
from backend import SECRET, Backend, moderator, token, wait_for

PROGRAM = os.path.abspath(sys.argv[1])
OTHER_SECRET = "another secret of more than thirty-two bytes"


def write(backend, text):
    (backend.directory / ".env").write_text(text)


def reload(backend, text):
    """Write the file, send the signal, and give what was logged until it was done."""
    write(backend, text)
    seen = len(backend.log)
    backend.signal(signal.SIGHUP)
    backend.wait_log(r"SIGHUP: (configuration read again|the configuration stays)", skip=seen)
    return [line for line in backend.messages()[seen:] if "SIGHUP" in line or "reopened" in line]


def bearer(secret):
    return {"Authorization": "Bearer " + token(secret, sub="x", role="moderator", exp=int(time.time()) + 600)}


def settings(backend, name):
    return backend.pools()[name]["settings"]


def test_the_token_secret_changes_at_once():
    with Backend(PROGRAM, secret=None, dotenv=f"JWT_SECRET={SECRET}\n") as backend:
        assert backend.get("/api/v1/tables", bearer(SECRET)).status == 200
        assert reload(backend, f"JWT_SECRET={OTHER_SECRET}\n") == ["INFO SIGHUP: configuration read again; changed: JWT_SECRET"]
        assert backend.get("/api/v1/tables", bearer(SECRET)).status == 401
        assert backend.get("/api/v1/tables", bearer(OTHER_SECRET)).status == 200
        # Who a suggestion is from is checked with it as well.
        number = backend.post("/api/v1/suggestions/literature", {}, bearer(OTHER_SECRET)).json["id"]
        (row,) = backend.get("/api/v1/suggestions/literature/pending", bearer(OTHER_SECRET)).json
        assert (row["id"], row["token_sub"]) == (number, "x")
        said = reload(backend, "")
        assert said[0].startswith("WARNING SIGHUP: JWT_SECRET stays as it is until a restart: ") and said[1].endswith("changed: nothing"), said
        assert backend.get("/api/v1/tables", bearer(OTHER_SECRET)).status == 200
        assert backend.stop() == 0
        assert SECRET not in "\n".join(backend.log) and OTHER_SECRET not in "\n".join(backend.log)


def test_a_secret_of_its_own_is_kept_until_one_is_configured():
    with Backend(PROGRAM, secret=None) as backend:
        own = {"Authorization": "Bearer " + backend.wait_output(r"#token=(eyJ\S+)$")[1]}
        assert reload(backend, "") == ["INFO SIGHUP: configuration read again; changed: nothing"]
        assert backend.get("/api/v1/tables", own).status == 200
        assert reload(backend, f"JWT_SECRET={SECRET}\n")[-1].endswith("changed: JWT_SECRET")
        assert (backend.get("/api/v1/tables", own).status, backend.get("/api/v1/tables").status) == (401, 200)


def test_requests_in_flight_see_one_secret_or_the_other_while_it_changes():
    with Backend(PROGRAM, secret=None, dotenv=f"JWT_SECRET={SECRET}\n") as backend:
        stop, answers = threading.Event(), []

        def ask(headers):
            connection = http.client.HTTPConnection(backend.host, backend.port, timeout=30)
            while not stop.is_set():
                answers.append(backend.request("GET", "/api/v1/tables", headers=headers, connection=connection).status)
                if answers[-1] == 401:
                    connection.close()

        threads = [threading.Thread(target=ask, args=(bearer(secret),)) for secret in (SECRET, OTHER_SECRET)]
        for thread in threads:
            thread.start()
        for i in range(10):
            reload(backend, f"JWT_SECRET={OTHER_SECRET if i % 2 == 0 else SECRET}\n")
        stop.set()
        for thread in threads:
            thread.join(30)
        assert set(answers) <= {200, 401} and 200 in answers, set(answers)
        assert backend.get("/api/v1/tables", bearer(SECRET)).status == 200


def test_the_level_and_the_format_of_the_log_change_at_once():
    with Backend(PROGRAM) as backend:
        assert reload(backend, "LOG_LEVEL=DEBUG\n") == ["INFO SIGHUP: configuration read again; changed: LOG_LEVEL"]
        seen = len(backend.log)
        backend.get("/api/v1/tables")
        backend.wait_log(r'DEBUG   pool "main": checkout', skip=seen)
        write(backend, "LOG_FORMAT=json\n")
        backend.signal(signal.SIGHUP)
        backend.wait_log(r'"message":"SIGHUP: configuration read again; changed: LOG_LEVEL, LOG_FORMAT"')


def test_the_sizes_of_the_pools_change_and_nothing_is_lost():
    with tempfile.TemporaryDirectory(prefix="weir-reload-") as directory:
        url = f"sqlite:///{directory}/a.db?busy_timeout_ms=60000&statement_timeout_ms=60000"
        with Backend(PROGRAM, "--request-timeout", "60s", directory=directory, dotenv=f"SQL_CONN_STRING={url}&pool_size=2&max_overflow=0\n") as backend:
            assert settings(backend, "main")["pool_size"] == settings(backend, "suggestions")["pool_size"] == 2
            holder = sqlite3.connect(f"{directory}/a.db", isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            answers = []
            posts = [threading.Thread(target=lambda: answers.append(backend.post("/api/v1/suggestions/literature", {}, timeout=70)))
                     for _ in range(4)]
            for post in posts:
                post.start()
            # Two hold a connection and wait for the lock, two stand in line.
            wait_for(lambda: backend.pools()["suggestions"]["waiters"] == 2, 10, "two in line")
            said = reload(backend, f"SQL_CONN_STRING={url}&pool_size=7&max_overflow=3\n")
            assert said[-1] == "INFO SIGHUP: configuration read again; changed: SQL_CONN_STRING, SUGGESTIONS_SQL_CONN_STRING", said
            assert sum("reopened: sqlite:///" in line and "pool_size 7, max_overflow 3" in line for line in said) == 2, said
            for name in ("main", "suggestions"):
                assert (settings(backend, name)["pool_size"], settings(backend, name)["max_overflow"]) == (7, 3)
            holder.execute("ROLLBACK")
            holder.close()
            for post in posts:
                post.join(60)
            assert [answer.status for answer in answers] == [201] * 4, answers
            assert backend.post("/api/v1/suggestions/literature", {}).status == 201
            assert len(backend.get("/api/v1/suggestions/literature/pending", moderator()).json) == 5
            text = backend.request("GET", "/metrics").body.decode()
            assert re.search(r'db_client_connection_max\{[^}]*"main"[^}]*\} 10\n', text), [line for line in text.splitlines() if "max" in line]
            assert backend.stop() == 0 and "All connection pools shut down successfully" in backend.log[-1]


def test_one_pool_alone_and_what_is_no_option_of_a_pool():
    with Backend(PROGRAM, dotenv="SUGGESTIONS_SQL_CONN_STRING=sqlite:///other.db?pool_size=2\n") as backend:
        said = reload(backend, "SUGGESTIONS_SQL_CONN_STRING=sqlite:///other.db?pool_size=4&pool_timeout=1.5\n")
        assert said[-1].endswith("changed: SUGGESTIONS_SQL_CONN_STRING"), said
        assert settings(backend, "suggestions")["pool_size"] == 4 and settings(backend, "main")["pool_size"] == 8
        for url in ("sqlite:///third.db?pool_size=4", "sqlite:///other.db?pool_size=4&busy_timeout_ms=7", "postgresql://u:geheim-1234@h/d"):
            said = reload(backend, f"SUGGESTIONS_SQL_CONN_STRING={url}\n")
            assert said[0].startswith("WARNING SIGHUP: SUGGESTIONS_SQL_CONN_STRING stays as it is until a restart: only options"), said
            assert said[-1].endswith("changed: nothing") and "geheim" not in str(said), said
        said = reload(backend, "SUGGESTIONS_SQL_CONN_STRING=sqlite:///other.db?pool_size=9999\n")
        assert "pool_size" in said[0] and "1024" in said[0] and settings(backend, "suggestions")["pool_size"] == 4, said
        assert backend.post("/api/v1/suggestions/literature", {}).status == 201
        assert not (backend.directory / "third.db").exists()
    with Backend(PROGRAM, dotenv="SQL_CONN_STRING=sqlite:///:memory:?pool_size=2\n") as backend:
        said = reload(backend, "SQL_CONN_STRING=sqlite:///:memory:?pool_size=4\n")
        assert "an in-memory database cannot be reopened" in said[0] and said[-1].endswith("changed: nothing"), said
        assert backend.get("/api/v1/tables/Jurisdictions/CHE").status == 200


def test_what_holds_for_both_pools_changes_in_both_or_in_neither():
    memory = "sqlite:///:memory:"
    for urls in (f"SUGGESTIONS_SQL_CONN_STRING={memory}\n", f"SQL_CONN_STRING={memory}\nSUGGESTIONS_SQL_CONN_STRING=sqlite:///other.db\n",
                 f"SQL_CONN_STRING={memory}\n"):
        with Backend(PROGRAM, dotenv=urls) as backend:
            wait_for(lambda: backend.pools()["main"]["counters"]["checkouts"] > 0, 10, "figures of the pool")
            for name, value in (("WEIR_SQL_ECHO", "yes"), ("CONNECTION_TRACING", "yes"), ("WEIR_SQL_ECHO", "yes")):
                before = {pool: figures["counters"]["checkouts"] for pool, figures in backend.pools().items()}
                said = reload(backend, urls + f"{name}={value}\n")
                assert len(said) == 2 and said[0].startswith(f"WARNING SIGHUP: {name} stays as it is until a restart: "), said
                assert "an in-memory database cannot be reopened" in said[0] and said[1].endswith("changed: nothing"), said
                # The figures of a pool that is opened anew begin anew.
                assert all(figures["counters"]["checkouts"] >= before[pool] for pool, figures in backend.pools().items()), before
            seen = len(backend.log)
            assert backend.get("/api/v1/tables/Jurisdictions/CHE").status == 200 and backend.stop() == 0
            assert not [line for line in backend.log[seen:] if "SELECT" in line], backend.log[seen:]


def inserts(backend):
    """How many of the suggestions' statements were counted that insert."""
    text = backend.request("GET", "/metrics").body.decode()
    return sum(int(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith("db_client_operation_duration_seconds_count{") and 'name="INSERT"' in line and '"suggestions"' in line)


def test_pools_change_as_often_as_one_likes_and_their_statements_are_counted_once():
    with Backend(PROGRAM, dotenv="SUGGESTIONS_SQL_CONN_STRING=sqlite:///other.db\n") as backend:
        for name, text in (("SQL_CONN_STRING", "SQL_CONN_STRING=sqlite:///weir.db?pool_size={}\nSUGGESTIONS_SQL_CONN_STRING=sqlite:///other.db\n"),
                           ("SUGGESTIONS_SQL_CONN_STRING", "SQL_CONN_STRING=sqlite:///weir.db?pool_size=10\n"
                                                           "SUGGESTIONS_SQL_CONN_STRING=sqlite:///other.db?pool_size={}\n"),
                           ("WEIR_SQL_ECHO", "WEIR_SQL_ECHO={}\nSQL_CONN_STRING=sqlite:///weir.db?pool_size=10\n"
                                             "SUGGESTIONS_SQL_CONN_STRING=sqlite:///other.db?pool_size=10\n")):
            for turn in range(12):
                said = reload(backend, text.format(turn % 2 == 0 if name == "WEIR_SQL_ECHO" else 9 + turn % 2))
                assert said[-1].endswith(f"changed: {name}") and "stays as it is" not in str(said), (turn, said)
            before = inserts(backend)
            for _ in range(5):
                assert backend.post("/api/v1/suggestions/literature", {}).status == 201
            assert inserts(backend) == before + 5, name
        assert backend.stop() == 0


def test_limits_change_for_what_comes_from_now_on():
    with Backend(PROGRAM) as backend:
        big = b'{"a": "%s"}' % (b"x" * 5000)
        assert backend.post("/api/v1/suggestions/literature", big).status == 201
        said = reload(backend, "WEIR_MAX_BODY_BYTES=1000\nWEIR_HEADER_TIMEOUT=300ms\nWEIR_MAX_STREAMS=0\nWEIR_SQL_ECHO=yes\n"
                               "WEIR_DRAIN_TIMEOUT=7s\nWEIR_SHUTDOWN_DELAY=1ms\n")
        assert said[-1].endswith("changed: WEIR_MAX_BODY_BYTES, WEIR_HEADER_TIMEOUT, WEIR_DRAIN_TIMEOUT, WEIR_SHUTDOWN_DELAY, "
                                 "WEIR_MAX_STREAMS, WEIR_SQL_ECHO"), said
        assert backend.post("/api/v1/suggestions/literature", big).status == 413
        assert backend.get("/api/v1/events").status == 503
        backend.get("/api/v1/tables/Jurisdictions/CHE")
        backend.wait_log(r'INFO +pool "main": SELECT')
        client = socket.create_connection((backend.host, backend.port), timeout=8)
        client.sendall(b"GET / HTTP/1.1\r\nX-Half")
        assert client.recv(1) == b"", "closed before the 10 s of the start"
        client.close()
        assert reload(backend, "")[-1].startswith("INFO SIGHUP: configuration read again; changed: WEIR_MAX_BODY_BYTES, ")
        assert backend.post("/api/v1/suggestions/literature", big).status == 201
        reload(backend, "WEIR_DRAIN_TIMEOUT=7s\nWEIR_SHUTDOWN_DELAY=1ms\n")
        assert backend.stop() == 0
        assert "INFO SIGTERM: draining for at most 7000 ms" in backend.messages()
        assert "INFO SIGTERM: no longer ready; the drain begins in 1 ms" in backend.messages()


def test_what_needs_a_restart_is_named_and_goes_on_as_it_was():
    with Backend(PROGRAM) as backend:
        said = reload(backend, "WEIR_MAX_CONNECTIONS=300\nHOST=::1\nOTEL_SERVICE_NAME=me\nNOCODB_API_TOKEN=geheim-1234\n")
        assert said == ["WARNING SIGHUP: a restart is needed to change HOST, WEIR_MAX_CONNECTIONS, NOCODB_API_TOKEN, OTEL_SERVICE_NAME",
                        "INFO SIGHUP: configuration read again; changed: nothing"], said
        assert backend.get("/api/v1/tables").status == 200 and "geheim" not in "\n".join(backend.log)


def test_a_configuration_with_an_error_changes_nothing():
    with Backend(PROGRAM, dotenv="WEIR_QUEUE_LIMIT=5\n") as backend:
        for text, part in (("LOG_LEVEL=loud\n", 'LOG_LEVEL "loud" (.env): must be'), ("WEIR_QUEUE_LIMIT=6\nWEIR_WROKERS=1\n", "WEIR_WROKERS"),
                           ("PORT 8000\n", "read .env: line 1"), ("WEIR_QUEUE_LIMIT=99999\n", "0 to 65536")):
            (line,) = reload(backend, text)
            assert line.startswith("ERROR SIGHUP: the configuration stays as it is: ") and part in line, line
        assert reload(backend, "WEIR_QUEUE_LIMIT=5\n") == ["INFO SIGHUP: configuration read again; changed: nothing"]
        assert backend.get("/api/v1/tables").status == 200


def test_a_flag_and_the_environment_win_over_the_file_as_at_the_start():
    with Backend(PROGRAM, "--log-level", "info", environment={"WEIR_QUEUE_LIMIT": "5"}) as backend:
        assert reload(backend, "LOG_LEVEL=DEBUG\nWEIR_QUEUE_LIMIT=7\n") == ["INFO SIGHUP: configuration read again; changed: nothing"]


def test_hangup_ends_the_server_at_no_time():
    with tempfile.TemporaryDirectory(prefix="weir-reload-") as directory:
        process = subprocess.Popen([PROGRAM, "serve", "--port", "0", "--shutdown-delay", "700ms"], cwd=directory, text=True,
                                   env={**os.environ, "JWT_SECRET": SECRET}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            # Before and during the start, while it runs, and in the delay and the drain.
            while process.poll() is None and not os.path.exists(os.path.join(directory, "weir.db")):
                # A child that has not yet become the program has nothing to say about signals.
                if program_of(process.pid) == "weir" and is_blocked(process.pid, signal.SIGHUP):
                    process.send_signal(signal.SIGHUP)
                time.sleep(0.002)
            assert "listens on" in process.stdout.readline()
            for _ in range(20):
                process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
            while process.poll() is None:
                process.send_signal(signal.SIGHUP)
                time.sleep(0.005)
            text = process.communicate(timeout=20)[1]
            assert process.returncode == 0 and "SIGHUP: configuration read again" in text and "SIGTERM: draining" in text, text
        finally:
            process.kill()
            process.communicate()


def program_of(pid):
    """The name of what a process runs; "" in the moment in which it becomes another."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except FileNotFoundError:
        return ""


def is_blocked(pid, number):
    with open(f"/proc/{pid}/status") as status:
        mask = int(re.search(r"SigBlk:\s+([0-9a-f]+)", status.read())[1], 16)
    return bool(mask >> (number - 1) & 1)


if __name__ == "__main__":
    tap.run_module(globals())
