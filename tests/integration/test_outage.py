# SPDX-License-Identifier: MIT
"""`weir serve` when PostgreSQL is away, dies, comes back or keeps it waiting; run by tests/with_postgres.sh."""
import collections
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

import tap
from backend import Backend, PostgresDatabase, wait_for

PROGRAM = os.path.abspath(sys.argv[1])
PASSWORD = os.environ["WEIR_TEST_PG_PASSWORD"]

database = PostgresDatabase("weir_outage")
database.script('CREATE TABLE counted (id INTEGER PRIMARY KEY, word TEXT);'
                "INSERT INTO counted SELECT i, 'word ' || i FROM generate_series(1, 100) AS i;")


def control(word):
    done = subprocess.run(shlex.split(os.environ["WEIR_TEST_PG_CONTROL"]) + [word], capture_output=True, timeout=90)
    assert done.returncode == 0, done


@contextlib.contextmanager
def away(word):
    """The database is stopped or crashed for the while, and back afterwards, whatever happens."""
    control(word)
    is_back = []

    def bring_back():
        if not is_back:
            is_back.append(True)
            control("start")

    try:
        yield bring_back
    finally:
        bring_back()


def start(*flags, wait=True):
    return Backend(PROGRAM, *flags, environment={"SQL_CONN_STRING": database.url}, wait=wait)


def show_no_password(*texts):
    for text in texts:
        for secret in (PASSWORD, urllib.parse.quote(PASSWORD, safe="")):
            assert secret not in text, text


class Client(threading.Thread):
    """Reads and writes in turn until told to stop; keeps every answer that is not as it should be."""

    def __init__(self, backend, name):
        super().__init__(daemon=True)
        self.backend, self.name, self.is_over = backend, name, threading.Event()
        self.good, self.refused, self.wrong, self.stored = 0, 0, [], []
        self.start()

    def run(self):
        number = 0
        while not self.is_over.is_set():
            number += 1
            self.judge(self.backend.get(f"/api/v1/tables/counted/{number % 100 + 1}"), 200,
                       {"id": number % 100 + 1, "word": f"word {number % 100 + 1}"})
            answer = self.backend.post("/api/v1/suggestions/literature", {"who": self.name, "number": number})
            if self.judge(answer, 201):
                self.stored.append((answer.json["id"], self.name, number))

    def judge(self, answer, status, body=None):
        if answer.status == 503 and answer.detail and answer.headers["Retry-After"]:
            self.refused += 1
            time.sleep(0.01)
            return False
        if answer.status != status or (body is not None and answer.json != body):
            self.wrong.append((answer.status, answer.body))
            return False
        self.good += 1
        return True


def stop_all(clients):
    for client in clients:
        client.is_over.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive()


def check_stored(clients):
    rows = {int(number): payload for number, payload in database.query("SELECT id, payload FROM suggestions_literature")}
    for client in clients:
        for number, name, count in client.stored:
            payload = json.loads(rows[number])
            assert (payload["who"], payload["number"]) == (name, count), (number, payload)


def check_pools_are_whole(backend):
    wait_for(lambda: all(pool["used"] == 0 and pool["waiters"] == 0 for pool in backend.pools().values()), 10,
             "every slot back")
    for pool in backend.pools().values():
        assert pool["counters"]["misuses"] == 0
        assert pool["counters"]["connects"] - pool["counters"]["closes"] == pool["connections"], pool
        assert pool["connections"] <= pool["settings"]["pool_size"] + pool["settings"]["max_overflow"]


def test_a_server_that_starts_before_its_database_waits_for_it():
    with away("stop") as bring_back, start(wait=False) as backend:
        assert backend.request("GET", "/healthz").status == 200
        wait_for(lambda: b"not checked yet" not in backend.readiness().body, 10, "both checks")
        answer = backend.readiness()
        assert answer.status == 503
        lines = answer.body.decode().splitlines()
        assert lines == ["server: ok", "main database: the database cannot be reached",
                         "suggestions database: the database cannot be reached"], lines
        backend.wait_log("main database: not ready: .*refused")
        answers = [backend.get("/api/v1/tables"), backend.get("/api/v1/tables/counted/1"),
                   backend.post("/api/v1/suggestions/literature", {})]
        for answer in answers:
            assert answer.status == 503 and answer.detail == "the database cannot be reached", answer.body
            assert answer.headers["Retry-After"] == "1"
        bring_back()
        backend.wait_ready()
        assert backend.get("/api/v1/tables/counted/1").json == {"id": 1, "word": "word 1"}
        assert backend.post("/api/v1/suggestions/literature", {}).status == 201
        check_pools_are_whole(backend)
        assert backend.stop() == 0
        show_no_password("\n".join(backend.log), *(answer.body.decode() for answer in answers))


class Hammer(threading.Thread):
    """Asks as fast as it can until told to stop; counts the answers and keeps their bodies."""

    def __init__(self, backend, number):
        super().__init__(daemon=True)
        self.backend, self.number, self.is_over = backend, number, threading.Event()
        self.statuses, self.bodies = collections.Counter(), set()
        self.start()

    def run(self):
        count = 0
        while not self.is_over.is_set():
            count += 1
            if (count + self.number) % 3 == 0:
                answer = self.backend.post("/api/v1/suggestions/literature", {"number": count})
            else:
                answer = self.backend.get(f"/api/v1/tables/counted/{count % 100 + 1}")
            self.statuses[answer.status] += 1
            if answer.status >= 500:
                self.bodies.add(answer.body.decode())


def told(backend, pattern, since):
    """How many messages like this there were, those included that were only counted; and how many lines."""
    lines = [line for line in backend.log[since:] if re.search(pattern, line)]
    return sum(int(more[1]) if (more := re.search(r"(\d+) more (?:like this|of various)", line)) else 1 for line in lines), len(lines)


def test_an_outage_is_logged_once_and_counted_and_answers_tell_nothing_of_the_server():
    address = urllib.parse.urlsplit(database.url)
    with start("--workers", "16") as backend:
        hammers = [Hammer(backend, number) for number in range(24)]
        wait_for(lambda: sum(hammer.statuses[200] for hammer in hammers) > 100, 20, "load")
        since = len(backend.log)
        with away("crash"):
            wait_for(lambda: sum(hammer.statuses[503] for hammer in hammers) > 5000, 60, "refusals")
            report = backend.readiness()
            time.sleep(max(0, 11 - 5))  # past the window in which one kind is told once
        backend.wait_ready()
        for hammer in hammers:
            hammer.is_over.set()
        for hammer in hammers:
            hammer.join(60)
        statuses = sum((hammer.statuses for hammer in hammers), collections.Counter())
        assert backend.stop() == 0
    refused = statuses[503]
    assert set(statuses) == {200, 201, 503}, statuses
    # One line and one count in ten seconds of each kind, however many requests there were.
    assert len(backend.log) - since < 150, (refused, len(backend.log) - since, backend.log[since:][:200])
    counted, lines = told(backend, r'" 503 \d+ bytes', since)
    assert abs(counted - refused) <= 24 and lines < 40, (counted, refused, lines)
    assert told(backend, "main database: not ready", since)[0] == 1
    assert report.status == 503
    for text in {report.body.decode()}.union(*(hammer.bodies for hammer in hammers)):
        for part in ("127.0.0.1", "localhost", str(address.port), address.username, address.path[1:], "SELECT", "INSERT", "socket"):
            assert part not in text, (part, text)
    show_no_password("\n".join(backend.log))


def test_a_database_killed_under_load_costs_503s_and_nothing_else():
    with start() as backend:
        clients = [Client(backend, f"c{i}") for i in range(8)]
        wait_for(lambda: sum(client.good for client in clients) > 100, 20, "load")
        with away("crash"):
            wait_for(lambda: sum(client.refused for client in clients) > 20, 20, "refusals")
            wait_for(lambda: backend.readiness().status == 503, 10, "not ready")
            assert backend.process.poll() is None
        backend.wait_ready()
        # From here on nothing fails any more, and every client goes on.
        time.sleep(0.5)
        before = [(client.good, client.refused) for client in clients]
        wait_for(lambda: all(client.good > good + 10 for client, (good, _) in zip(clients, before)), 20, "recovery")
        refused_since = sum(client.refused - refused for client, (_, refused) in zip(clients, before))
        stop_all(clients)
        assert refused_since == 0, refused_since
        assert not [wrong for client in clients for wrong in client.wrong], clients[0].wrong[:3]
        check_stored(clients)
        check_pools_are_whole(backend)
        assert backend.stop() == 0
        show_no_password("\n".join(backend.log))


def test_terminated_connections_cost_no_wrong_answer():
    with start() as backend:
        clients = [Client(backend, f"t{i}") for i in range(6)]
        killed = 0
        for _ in range(5):
            before = sum(client.good for client in clients)
            wait_for(lambda: sum(client.good for client in clients) > before + 50, 20, "load")
            killed += len(database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                                         "current_database() AND pid <> pg_backend_pid()"))
        stop_all(clients)
        assert killed > 0
        assert not [wrong for client in clients for wrong in client.wrong], clients[0].wrong[:3]
        # At most one failed statement for each connection that was killed in use.
        assert sum(client.refused for client in clients) <= killed
        check_stored(clients)
        check_pools_are_whole(backend)


@contextlib.contextmanager
def locked_table(owner=database, name="suggestions_literature"):
    """Hold a lock that blocks whoever uses the table, as who stores a suggestion of literature; yields what lets go of it."""
    holder = subprocess.Popen([database.psql, "-X", "-q", owner.url], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)

    def release():
        holder.stdin.write("COMMIT;\n")
        holder.stdin.flush()

    try:
        holder.stdin.write(f"BEGIN; LOCK TABLE {name}; SELECT 'locked';\n")
        holder.stdin.flush()
        while "locked" not in holder.stdout.readline():
            pass
        yield release
    finally:
        holder.kill()
        holder.communicate()


def test_health_and_readiness_answer_while_locks_block_every_worker():
    with start("--workers", "4") as backend:
        assert backend.post("/api/v1/suggestions/literature", {}).status == 201
        with locked_table() as release:
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(
                backend.post("/api/v1/suggestions/literature", {}))) for _ in range(4)]
            for thread in threads:
                thread.start()
            wait_for(lambda: int(database.query("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0]) == 4, 10,
                     "four blocked workers")
            times = []
            for _ in range(40):
                for path in ("/healthz", "/readyz"):
                    started = time.monotonic()
                    assert backend.request("GET", path, timeout=5).status == 200
                    times.append(time.monotonic() - started)
                time.sleep(0.02)
            # All but one in twenty: a busy test machine may itself take a break.
            assert sorted(times)[len(times) * 19 // 20] < 0.1, sorted(times)[-5:]
            assert not answers
            release()
            for thread in threads:
                thread.join(20)
            assert [answer.status for answer in answers] == [201] * 4


def test_a_request_that_waits_too_long_gets_503_in_time_and_its_statement_ends():
    with start("--request-timeout", "800ms") as backend:
        assert backend.post("/api/v1/suggestions/literature", {}).status == 201
        with locked_table() as release:
            started = time.monotonic()
            answer = backend.post("/api/v1/suggestions/literature", {})
            assert answer.status == 503, (answer.status, answer.body)
            assert "unknown whether the suggestion was stored" in answer.json["detail"], answer.body
            assert time.monotonic() - started < 4
            release()
            wait_for(lambda: backend.post("/api/v1/suggestions/literature", {}).status == 201, 10, "recovery")
            check_pools_are_whole(backend)


class SessionCounter:
    """psql that stays connected and asks the server how many sessions of a database it counts."""

    def __init__(self, name):
        self.process = subprocess.Popen([database.psql, "-X", "-q", "-A", "-t", database.url], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.question = ("SELECT count(*) FROM pg_stat_activity WHERE datname = '%s' AND application_name = 'weir';\n" % name)

    def ask(self):
        self.process.stdin.write(self.question)
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.communicate()


# Each power is a tenth of a second of work, in which the server does not look whether it is cancelled.
STUBBORN = " + ".join(f"((2 + n)::numeric ^ {250000 - power})" for power in range(4))


def most_sessions(backend, counter, path):
    """How many sessions the server counts at most while 16 clients run out of time, for five seconds."""
    statuses, is_over, most, samples = collections.Counter(), threading.Event(), 0, 0

    def ask_on():
        while not is_over.is_set():
            statuses[backend.get(path).status] += 1

    clients = [threading.Thread(target=ask_on, daemon=True) for _ in range(16)]
    until = time.monotonic() + 5
    for client in clients:
        client.start()
    # On a busy machine for longer, until there was something to count.
    while time.monotonic() < until or ((samples < 50 or statuses[503] < 50) and time.monotonic() < until + 60):
        most, samples = max(most, counter.ask()), samples + 1
        time.sleep(0.01)
    is_over.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive()
    counters = backend.pools()["main"]["counters"]
    print(f"# {path}: at most {most} sessions in {samples} samples; answers: {dict(statuses)}; {counters['connects']} connects")
    assert samples >= 50 and statuses[503] >= 50, (samples, statuses)
    assert counters["connects"] <= 3 + statuses[503] / 20, counters
    return max(most, counter.ask())


def test_requests_that_run_out_of_time_never_make_more_sessions_than_the_pool_has():
    few = PostgresDatabase("weir_outage_few")
    few.script("CREATE TABLE counted (id INTEGER PRIMARY KEY, word TEXT); INSERT INTO counted VALUES (1, 'one');"
               f"CREATE VIEW stubborn AS SELECT n, length(({STUBBORN})::text) AS digits FROM generate_series(1, 2) AS n;")
    # Over the socket without a password, so that connecting takes little of a request's time.
    url = os.environ["WEIR_TEST_PG_SOCKET_URL"].replace("/weir?", f"/{few.name}?") + "&pool_size=3&max_overflow=0"
    variables = {"SQL_CONN_STRING": url, "SUGGESTIONS_SQL_CONN_STRING": database.url}
    with Backend(PROGRAM, "--workers", "16", "--request-timeout", "100ms", environment=variables, wait=False) as backend, \
            SessionCounter(few.name) as counter:
        def is_read():
            return backend.get("/api/v1/tables/counted/1").status == 200

        wait_for(is_read, 60, "a first answer in time")
        with locked_table(few, "counted"):
            assert 0 < most_sessions(backend, counter, "/api/v1/tables/counted/1") <= 3
        wait_for(is_read, 60, "answers after the lock")
        assert 0 < most_sessions(backend, counter, "/api/v1/tables/stubborn") <= 3
        wait_for(is_read, 60, "answers after the last of the slow")
        assert counter.ask() <= 3
        assert backend.pools()["main"]["counters"]["misuses"] == 0
        assert backend.stop() == 0


def test_suggestions_answered_201_outlive_kill_9_of_the_server():
    clients = []
    for _ in range(2):
        with start() as backend:
            fresh = [KilledClient(backend, f"k{len(clients) + i}") for i in range(4)]
            wait_for(lambda: sum(len(client.stored) for client in fresh) > 40, 20, "some suggestions")
            backend.signal(signal.SIGKILL)
            backend.wait_exit()
            for client in fresh:
                client.join(20)
            clients += fresh
    check_stored(clients)


class KilledClient(Client):
    """A client whose server may vanish."""

    def run(self):
        try:
            super().run()
        except Exception:  # the connection died; what was answered before counts
            pass


if __name__ == "__main__":
    tap.run_module(globals())
