# SPDX-License-Identifier: MIT
"""A running `weir serve` for tests: started in a directory of its own, asked over HTTP, watched through its log."""
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

SECRET = "a secret of more than thirty-two bytes"
OUR_VARIABLES = ("SQL_CONN_STRING", "SUGGESTIONS_SQL_CONN_STRING", "JWT_SECRET", "JWT_AUDIENCE", "LOG_LEVEL", "HOST", "PORT",
                 "CONNECTION_TRACING")


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(secret=SECRET, header=None, **claims):
    """A JWT as any other program would make it."""
    head = {"alg": "HS256", "typ": "JWT"} if header is None else header
    signed = base64url(json.dumps(head).encode()) + "." + base64url(json.dumps(claims).encode())
    return signed + "." + base64url(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


def user(sub="anna"):
    return {"Authorization": "Bearer " + token(sub=sub, exp=int(time.time()) + 600)}


def moderator(sub="mona"):
    return {"Authorization": "Bearer " + token(sub=sub, role="moderator", exp=int(time.time()) + 600)}


def wait_for(condition, timeout=10, what="the condition"):
    """Poll until condition() gives something true, and return that."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.02)


class Answer:
    """One response; `json` raises if the body is none."""

    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def detail(self):
        return self.json["detail"]


class SqliteDatabase:
    """An SQLite file, also seen from outside of the server."""
    engine = "sqlite"

    def __init__(self, path):
        self.path = str(path)
        self.url = "sqlite:///" + self.path

    def query(self, sql, *values):
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            with connection:
                return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def script(self, sql):
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            connection.executescript(sql)
        finally:
            connection.close()


class PostgresDatabase:
    """A database of the temporary cluster, seen from outside through psql."""
    engine = "postgresql"

    def __init__(self, name):
        self.psql = os.path.join(os.environ["WEIR_TEST_PG_BIN"], "psql")
        base = os.environ["WEIR_TEST_PG_URL"]
        self.name = name
        self.admin_url = base
        head, _, query = base.partition("?")
        self.url = head.rsplit("/", 1)[0] + "/" + name + ("?" + query if query else "")
        self._run(self.admin_url, f'CREATE DATABASE "{name}"')

    def _run(self, url, sql):
        command = [self.psql, "-X", "-q", "-A", "-t", "-F", "\x1f", "-R", "\x1e", "-v", "ON_ERROR_STOP=1", url]
        done = subprocess.run(command, input=sql, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        rows = done.stdout.rstrip("\n").rstrip("\x1e")
        return [tuple(row.split("\x1f")) for row in rows.split("\x1e")] if rows else []

    def query(self, sql):
        return self._run(self.url, sql)

    def script(self, sql):
        self._run(self.url, sql)

    def lock(self, table):
        """Lock it; the psql that is given back does until it reads ROLLBACK."""
        process = subprocess.Popen([self.psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        print(f"BEGIN; LOCK TABLE {table}; SELECT 'locked';", file=process.stdin, flush=True)
        assert process.stdout.readline() == "locked\n"
        return process


class Backend:
    """One `weir serve` on a free port, in a temporary directory that is removed by close()."""

    def __init__(self, program, *flags, environment=None, dotenv=None, directory=None, wait=True, secret=SECRET):
        self.own_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="weir-backend-"))
        if dotenv is not None:
            (self.directory / ".env").write_text(dotenv)
        inherited = {name: value for name, value in os.environ.items()
                     if name not in OUR_VARIABLES and not name.startswith("OTEL_")
                     and not (name.startswith("WEIR_") and "TEST" not in name)}
        inherited["WEIR_WORKERS"] = "8"  # on every machine; a flag wins
        if secret is not None:
            inherited["JWT_SECRET"] = secret
        self.process = subprocess.Popen(
            [os.path.abspath(program), "serve", "--port", "0", *flags], cwd=self.directory, env={**inherited, **(environment or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        self.log, self.output = [], []
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self._collect, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.output), (self.process.stderr, self.log))]
        for thread in self.threads:
            thread.start()
        self.port = None
        try:
            address = self.wait_output(r"listens on http://(\S+):(\d+)", 20)
            self.host, self.port = address[1].strip("[]"), int(address[2])
            if wait:
                self.wait_ready()
        except AssertionError:
            self.close()
            raise

    def _collect(self, stream, lines):
        for line in stream:
            with self.changed:
                lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def _wait_line(self, lines, pattern, timeout, skip=0):
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                for line in lines[skip:]:
                    match = re.search(pattern, line)
                    if match:
                        return match
                left = deadline - time.monotonic()
                # One that has ended may have said more than was read of it so far.
                is_over = self.process.poll() is not None and not any(thread.is_alive() for thread in self.threads)
                assert left > 0 and not is_over, f"no line with {pattern}; log: {self.log[-15:]}"
                self.changed.wait(min(left, 0.2))

    def wait_output(self, pattern, timeout=10):
        return self._wait_line(self.output, pattern, timeout)

    def wait_log(self, pattern, timeout=10, skip=0):
        return self._wait_line(self.log, pattern, timeout, skip)

    def messages(self):
        """The log without its stamps: ["INFO text", …]."""
        return [" ".join(line.split(maxsplit=2)[1:]) for line in list(self.log)]

    def request(self, method, path, body=None, headers=None, timeout=40, connection=None):
        """Send one request. `body` is sent as it is when it is bytes, else as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        client = connection or http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            client.request(method, path, body=body, headers=headers or {})
            response = client.getresponse()
            return Answer(response, response.read())
        finally:
            if connection is None:
                client.close()

    def get(self, path, headers=None, **options):
        return self.request("GET", path, headers=user() if headers is None else headers, **options)

    def post(self, path, body, headers=None, **options):
        return self.request("POST", path, body, user() if headers is None else headers, **options)

    def put(self, path, body, headers=None, **options):
        return self.request("PUT", path, body, moderator() if headers is None else headers, **options)

    def readiness(self):
        return self.request("GET", "/readyz", timeout=5)

    def wait_ready(self, timeout=20):
        wait_for(lambda: self.readiness().status == 200, timeout, "readiness")

    def pools(self):
        return {pool["name"]: pool for pool in self.get("/api/v1/pools").json["pools"]}

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout=20):
        """The exit status, once everything it said has been read."""
        status = self.process.wait(timeout)
        for thread in self.threads:
            thread.join(5)
        return status

    def stop(self, timeout=20):
        self.signal(signal.SIGTERM)
        return self.wait_exit(timeout)

    def close(self):
        # A killed process writes no coverage: with that one is asked to end, and has a while for it.
        if self.process.poll() is None and os.environ.get("WEIR_TEST_COVERAGE"):
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        if self.process.poll() is None:
            self.process.kill()
        self.wait_exit()
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
