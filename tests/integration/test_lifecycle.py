# SPDX-License-Identifier: MIT
"""The life of `weir serve` on SQLite: start, overload, drain, sudden death, and what the log says of it."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import tap
from backend import SECRET, Backend, user, wait_for

PROGRAM = os.path.abspath(sys.argv[1])

# Blocked writers stay blocked: SQLite waits as long as the request may.
PATIENT = ("--sql-conn-string", "sqlite:///weir.db?busy_timeout_ms=60000&statement_timeout_ms=60000",
           "--request-timeout", "60s")


@contextlib.contextmanager
def write_lock(backend):
    """Hold the write lock of the database file, so that every request that writes waits."""
    connection = sqlite3.connect(backend.directory / "weir.db", timeout=10, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield lambda: connection.in_transaction and connection.execute("ROLLBACK")
    finally:
        connection.close()


class Posting(threading.Thread):
    """One suggestion on its way; `answer` is what came back, or the exception."""

    def __init__(self, backend, **options):
        super().__init__(daemon=True)
        self.backend, self.options, self.answer = backend, options, None
        self.start()

    def run(self):
        try:
            self.answer = self.backend.post("/api/v1/suggestions/literature", {}, timeout=70, **self.options)
        except Exception as error:  # kept for the test to judge
            self.answer = error


def wait_blocked(backend, count):
    """Until that many writers hold a connection and wait."""
    wait_for(lambda: backend.pools()["suggestions"]["used"] >= count, 10, f"{count} blocked writers")


def wait_all_blocked(backend):
    """Until no worker is left to answer. The request that found out stays in the queue."""
    def is_unanswered():
        try:
            backend.get("/api/v1/tables", timeout=0.4)
            return False
        except TimeoutError:
            return True

    wait_for(is_unanswered, 10, "every worker blocked")


def milliseconds(work):
    started = time.monotonic()
    work()
    return (time.monotonic() - started) * 1000


def check_ok(backend, path):
    answer = backend.request("GET", path, timeout=5)
    assert answer.status == 200, (path, answer.status, answer.body)


def check_quick(times):
    """All but one in twenty within 100 ms: a busy test machine may itself take a break."""
    assert sorted(times)[len(times) * 19 // 20] < 100, f"of {len(times)}: {sorted(times)[-5:]} ms"


# ---- Starting and stopping


def test_the_log_tells_start_and_stop_in_order():
    with Backend(PROGRAM) as backend:
        assert backend.stop() == 0
        wanted = ["INFO Initializing connection pools...",
                  "INFO DatabaseManager initialized: sqlite:///weir.db",
                  "INFO SuggestionsDBManager initialized: sqlite:///weir.db",
                  "INFO All connection pools initialized successfully",
                  "INFO the database was empty: table Jurisdictions created with",
                  "INFO SIGTERM: draining for at most 10000 ms",
                  "INFO Shutting down connection pools...",
                  "INFO SuggestionsDBManager disposed",
                  "INFO DatabaseManager disposed",
                  "INFO All connection pools shut down successfully"]
        messages = [line for line in backend.messages() if not line.endswith("database: ok")]
        # The listener may say more; ours come in this order, whole.
        found = [next((text for text in wanted if message.startswith(text)), None) for message in messages]
        assert [text for text in found if text] == wanted, messages
        for text in ("Initializing connection pools...", "All connection pools initialized successfully",
                     "Shutting down connection pools...", "All connection pools shut down successfully"):
            assert messages.count("INFO " + text) == 1, messages


def test_lines_are_stamped_in_utc():
    with Backend(PROGRAM, environment={"TZ": "Asia/Kolkata"}) as backend:
        backend.wait_log(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    ")
        stamp = time.strptime(backend.log[0][:19], "%Y-%m-%dT%H:%M:%S")
        assert abs(time.mktime(stamp) - time.mktime(time.gmtime())) < 60


def test_debug_logs_the_pools_life_and_info_does_not():
    with Backend(PROGRAM, "--log-level", "DEBUG") as backend:
        backend.get("/api/v1/tables/Jurisdictions/CHE")
        for kind in ("first_connect", "connect", "checkout", "checkin", "reset"):
            backend.wait_log(rf'DEBUG   pool "main": {kind} connection 1')
        backend.wait_log(r'DEBUG   127\.0\.0\.1 "GET /api/v1/tables/Jurisdictions/CHE" 200 ')
        backend.stop()
        assert any("close connection 1 (disposed)" in line for line in backend.log), backend.log[-10:]
    with Backend(PROGRAM) as backend:
        backend.get("/api/v1/tables/Jurisdictions/CHE")
        backend.stop()
        assert not [line for line in backend.log if "checkout" in line or " DEBUG " in line]


def test_recycled_connections_are_logged():
    with Backend(PROGRAM, "--log-level", "DEBUG", "--sql-conn-string", "sqlite:///weir.db?pool_recycle=0") as backend:
        backend.wait_log(r'DEBUG   pool "main": close connection \d+.* \(recycled\)')


def test_interrupt_stops_it_as_terminate_does():
    with Backend(PROGRAM) as backend:
        backend.signal(signal.SIGINT)
        assert backend.wait_exit() == 0
        assert any("INFO SIGINT: draining" in line for line in backend.messages())


def test_a_log_nobody_reads_stops_nothing():
    with tempfile.TemporaryDirectory(prefix="weir-life-") as directory:
        process = subprocess.Popen([PROGRAM, "serve", "--port", "0", "--log-level", "DEBUG"], cwd=directory,
                                   env={**os.environ, "JWT_SECRET": SECRET}, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        try:
            port = int(process.stdout.readline().rsplit(":", 1)[1])
            # Enough lines to fill any pipe: some ten per request, and a hundred bytes each.
            reader = Backend.__new__(Backend)
            reader.host, reader.port = "127.0.0.1", port
            for _ in range(400):
                assert reader.get("/api/v1/tables/Jurisdictions/CHE", timeout=5).status == 200
            process.send_signal(signal.SIGTERM)
            text = process.communicate(timeout=20)[1]
            assert process.returncode == 0
            assert len(text) > 60000
        finally:
            process.kill()
            process.communicate()


# ---- Draining


def test_requests_in_flight_are_answered_before_the_end():
    with Backend(PROGRAM, *PATIENT) as backend, write_lock(backend) as release:
        posts = [Posting(backend) for _ in range(3)]
        wait_blocked(backend, 3)
        backend.signal(signal.SIGTERM)
        backend.wait_log("SIGTERM: draining")

        def is_closed():
            try:
                socket.create_connection((backend.host, backend.port), timeout=1).close()
                return False
            except OSError:
                return True

        wait_for(is_closed, 5, "newcomers refused")
        assert backend.process.poll() is None
        release()
        assert backend.wait_exit() == 0, backend.log[-5:]
        for post in posts:
            post.join(10)
            assert getattr(post.answer, "status", None) == 201, post.answer
        assert backend.messages()[-1] == "INFO All connection pools shut down successfully"


def test_the_drain_ends_at_its_limit_and_says_so():
    with Backend(PROGRAM, *PATIENT, "--drain-timeout", "1s") as backend, write_lock(backend):
        Posting(backend)
        wait_blocked(backend, 1)
        started = time.monotonic()
        backend.signal(signal.SIGTERM)
        assert backend.wait_exit(10) == 1
        took = time.monotonic() - started
        assert 0.9 <= took < 4, took
        assert "ERROR stopped while a request or a background thread was still running" in backend.messages(), backend.log[-5:]
        assert any("ERROR drain listener: " in line for line in backend.messages())


UNFINISHED = {
    "a head": b"GET /api/v1/tables HTTP/1.1\r\nHost: x\r\nX-Half",
    "a body": b"POST /api/v1/suggestions/literature HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 100\r\n\r\n{",
    "a chunked body": b"POST /api/v1/suggestions/literature HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
}


def begin(backend, what):
    """A connection on which the beginning of a request was sent, and taken in."""
    client = socket.create_connection((backend.host, backend.port), timeout=20)
    client.sendall(UNFINISHED[what].replace(b"%s", user()["Authorization"].encode()))
    return client


def test_a_request_that_does_not_arrive_whole_does_not_make_the_drain_fail():
    for what in UNFINISHED:
        with Backend(PROGRAM, "--drain-timeout", "2s") as backend:
            client = begin(backend, what)
            assert backend.request("GET", "/healthz").status == 200
            started = time.monotonic()
            assert backend.stop() == 0, (what, backend.log[-5:])
            took = time.monotonic() - started
            assert took > 1.6, (what, took)  # it had its chance
            messages = backend.messages()
            assert "WARNING 1 request had not fully arrived when the drain timed out: closed" in messages, (what, messages)
            assert not [line for line in messages if line.startswith("ERROR")] and client.recv(100) == b"", (what, messages)
            client.close()


def test_one_that_arrives_whole_in_time_is_answered():
    with Backend(PROGRAM, "--drain-timeout", "20s") as backend:
        client = socket.create_connection((backend.host, backend.port), timeout=20)
        client.sendall(UNFINISHED["a body"].replace(b"%s", user()["Authorization"].encode())[:-1])
        assert backend.request("GET", "/healthz").status == 200
        backend.signal(signal.SIGTERM)
        backend.wait_log("SIGTERM: draining")
        client.sendall(b"{" + b" " * 98 + b"}")
        assert client.recv(100).startswith(b"HTTP/1.1 201 ")
        client.close()
        assert backend.wait_exit() == 0 and not [line for line in backend.log if "not fully arrived" in line]


def test_an_open_body_does_not_cut_those_that_are_being_answered():
    with Backend(PROGRAM, *PATIENT, "--drain-timeout", "12s", "--header-timeout", "60s") as backend, write_lock(backend) as release:
        clients = [begin(backend, what) for what in UNFINISHED]
        post = Posting(backend)
        wait_blocked(backend, 1)
        backend.signal(signal.SIGTERM)
        backend.wait_log("3 requests had not fully arrived", timeout=20)
        release()
        assert backend.wait_exit() == 0, backend.log[-5:]
        post.join(10)
        assert getattr(post.answer, "status", None) == 201, post.answer
        for client in clients:
            client.close()


def begin_to_read(backend):
    """A client that asked for more than any socket keeps, and reads one byte of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect((backend.host, backend.port))
    client.sendall(b"GET /api/v1/tables/Big HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n" % user()["Authorization"].encode())
    assert client.recv(1) == b"H"
    return client


def test_a_large_answer_that_nobody_reads_is_cut_and_told_as_that_alone():
    # NocoDB's version is asked for, or is waited for, or nothing is.
    with socket.create_server(("127.0.0.1", 0)) as deaf, tempfile.TemporaryDirectory(prefix="weir-unread-") as directory:
        with contextlib.closing(sqlite3.connect(directory + "/weir.db")) as database:
            database.execute("CREATE TABLE Big (id INTEGER PRIMARY KEY, text TEXT)")
            database.executemany("INSERT INTO Big (text) VALUES (?)", [("x" * (1 << 20),)] * 12)
            database.commit()
        for count, url in ((1, ""), (3, "http://127.0.0.1:1"), (1, f"http://127.0.0.1:{deaf.getsockname()[1]}")):
            with Backend(PROGRAM, "--drain-timeout", "1s", directory=directory, environment={"NOCODB_BASE_URL": url}) as backend:
                clients = [begin_to_read(backend) for _ in range(count)]
                backend.signal(signal.SIGTERM)
                assert backend.wait_exit() == 1, backend.log[-5:]
                errors = [line for line in backend.messages() if line.startswith("ERROR")]
                assert errors == ["ERROR drain listener: not every request in flight was answered in time"], backend.log[-8:]
                assert backend.messages()[-1] == "INFO All connection pools shut down successfully", backend.log[-8:]
                for client in clients:
                    client.close()


def test_shutdown_delay_serves_on_while_readyz_says_no():
    with Backend(PROGRAM, "--shutdown-delay", "1500ms") as backend:
        started = time.monotonic()
        backend.signal(signal.SIGTERM)
        backend.wait_log("SIGTERM: no longer ready; the drain begins in 1500 ms")
        wait_for(lambda: backend.readiness().status == 503, 5, "not ready")
        assert b"server: draining" in backend.readiness().body
        answer = backend.post("/api/v1/suggestions/literature", {})
        assert answer.status == 201 and answer.headers["Connection"] == "close", (answer.status, answer.headers)
        assert backend.request("GET", "/healthz").status == 200
        assert backend.wait_exit() == 0
        assert time.monotonic() - started >= 1.5
        messages = backend.messages()
        assert messages.index("INFO SIGTERM: draining for at most 10000 ms") > 0, messages


def test_a_second_signal_ends_it_in_the_delay_too():
    with Backend(PROGRAM, "--shutdown-delay", "60s") as backend:
        backend.signal(signal.SIGTERM)
        backend.wait_log("SIGTERM: no longer ready")
        time.sleep(0.1)  # later than the twin that timeout(1) sends
        backend.signal(signal.SIGTERM)
        assert backend.wait_exit(5) == 128 + signal.SIGTERM


def test_a_second_signal_ends_it_at_once():
    with Backend(PROGRAM, *PATIENT, "--drain-timeout", "60s") as backend, write_lock(backend):
        Posting(backend)
        wait_blocked(backend, 1)
        backend.signal(signal.SIGTERM)
        backend.wait_log("SIGTERM: draining")
        time.sleep(0.1)  # later than the twin that timeout(1) sends
        assert backend.process.poll() is None
        took = milliseconds(lambda: (backend.signal(signal.SIGINT), backend.wait_exit(5)))
        assert backend.process.returncode == 128 + signal.SIGINT
        assert took < 1000, took
        assert backend.log[-1] == "second signal: exiting at once"


def test_an_idle_server_stops_at_once():
    with Backend(PROGRAM) as backend:
        assert milliseconds(backend.stop) < 1500
        assert backend.process.returncode == 0


# ---- Overload


def test_health_and_readiness_answer_within_100_ms_while_every_worker_is_blocked():
    with Backend(PROGRAM, *PATIENT, "--workers", "4") as backend, write_lock(backend) as release:
        posts = [Posting(backend) for _ in range(4)]
        wait_all_blocked(backend)
        times = []
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            for path in ("/healthz", "/readyz", "/api/v1"):
                times.append(milliseconds(lambda: check_ok(backend, path)))
            time.sleep(0.02)
        check_quick(times)
        assert all(post.is_alive() for post in posts)
        release()
        for post in posts:
            post.join(20)
            assert getattr(post.answer, "status", None) == 201, post.answer


def test_a_full_queue_refuses_at_once():
    with Backend(PROGRAM, *PATIENT, "--workers", "1", "--queue-limit", "1") as backend, write_lock(backend) as release:
        post = Posting(backend)
        wait_all_blocked(backend)
        for _ in range(20):
            started = time.monotonic()
            answer = backend.get("/api/v1/tables", timeout=5)
            assert answer.status == 503 and answer.detail, (answer.status, answer.body)
            assert answer.headers["Retry-After"]
            assert time.monotonic() - started < 0.1
        assert backend.request("GET", "/healthz", timeout=5).status == 200
        release()
        post.join(20)
        assert getattr(post.answer, "status", None) == 201, post.answer
        wait_for(lambda: backend.get("/api/v1/tables").status == 200, 10, "recovery")


def test_a_writer_that_cannot_get_the_lock_gets_503_within_the_requests_time():
    with Backend(PROGRAM, "--request-timeout", "600ms") as backend, write_lock(backend) as release:
        started = time.monotonic()
        answer = backend.post("/api/v1/suggestions/literature", {})
        assert answer.status == 503 and answer.headers["Retry-After"] == "1", (answer.status, answer.body)
        assert 0.3 < time.monotonic() - started < 3
        assert backend.get("/api/v1/tables/Jurisdictions/CHE").status == 200
        release()
        assert backend.post("/api/v1/suggestions/literature", {}).status == 201
        with sqlite3.connect(backend.directory / "weir.db") as connection:
            assert connection.execute("SELECT count(*) FROM suggestions_literature").fetchall() == [(1,)]
        connection.close()


# ---- Failing databases


def test_a_database_that_cannot_be_opened_is_told_and_found_again():
    with tempfile.TemporaryDirectory(prefix="weir-life-") as directory:
        place = pathlib.Path(directory) / "missing"
        with Backend(PROGRAM, "--sql-conn-string", f"sqlite:///{place}/weir.db", wait=False) as backend:
            wait_for(lambda: b"not checked yet" not in backend.readiness().body, 10, "both checks")
            answer = backend.readiness()
            assert answer.status == 503 and answer.headers["Retry-After"] == "1"
            # Where the file ought to be, only the log tells.
            assert answer.body.decode().splitlines() == ["server: ok", "main database: the database cannot be reached",
                                                         "suggestions database: the database cannot be reached"], answer.body
            backend.wait_log("main database: not ready: .*" + re.escape(str(place)))
            answer = backend.get("/api/v1/tables")
            assert answer.status == 503 and answer.detail == "the database cannot be reached", answer.body
            assert backend.post("/api/v1/suggestions/literature", {}).status == 503
            place.mkdir()
            backend.wait_ready()
            assert backend.post("/api/v1/suggestions/literature", {}).status == 201


def test_every_suggestion_answered_201_outlives_kill_9():
    directory = tempfile.mkdtemp(prefix="weir-life-")
    try:
        stored = []
        for _ in range(3):
            backend = Backend(PROGRAM, directory=directory)
            stop = threading.Event()

            def post(name):
                number = 0
                while not stop.is_set():
                    number += 1
                    try:
                        answer = backend.post("/api/v1/suggestions/literature", {"who": name, "number": number}, timeout=5)
                    except OSError:
                        return
                    except Exception:  # the connection died in the middle of an answer
                        return
                    if answer.status == 201:
                        stored.append((answer.json["id"], name, number))

            already = len(stored)
            threads = [threading.Thread(target=post, args=(f"t{i}",)) for i in range(6)]
            for thread in threads:
                thread.start()
            wait_for(lambda: len(stored) > already + 60, 20, "some suggestions")
            backend.signal(signal.SIGKILL)
            backend.wait_exit()
            stop.set()
            for thread in threads:
                thread.join(10)
            backend.close()
        with Backend(PROGRAM, directory=directory) as backend:
            connection = sqlite3.connect(pathlib.Path(directory) / "weir.db")
            rows = dict(connection.execute("SELECT id, json_extract(payload, '$.who') || ' ' || "
                                           "json_extract(payload, '$.number') FROM suggestions_literature"))
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.close()
            assert len(stored) > 180 and len({number for number, _, _ in stored}) == len(stored)
            for number, name, count in stored:
                assert rows.get(number) == f"{name} {count}", (number, name, count)
            assert backend.stop() == 0
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    tap.run_module(globals())
