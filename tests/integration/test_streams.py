# SPDX-License-Identifier: MIT
"""The console's stream of figures: bounded in number and in memory, of no burden to others, ended by a drain."""
import http.client
import json
import os
import resource
import selectors
import socket
import sqlite3
import sys
import time

import tap
from backend import Backend, user, wait_for

PROGRAM = os.path.abspath(sys.argv[1])
STREAMS = 32
CLIENTS = 1000


def ask(backend, receive_buffer=None):
    """A socket on which the stream was asked for."""
    client = socket.socket()
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(20)
    client.connect((backend.host, backend.port))
    client.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {user()['Authorization']}\r\n\r\n".encode())
    return client


class Stream:
    """A stream that is read, event by event."""

    def __init__(self, backend, timeout=10):
        self.client = http.client.HTTPConnection(backend.host, backend.port, timeout=timeout)
        self.client.request("GET", "/api/v1/events", headers=user())
        self.response = self.client.getresponse()
        assert self.response.status == 200, self.response.read()
        assert self.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"

    def event(self):
        """The next one's name and data; None at the end."""
        lines = []
        while True:
            line = self.response.readline().decode()
            if line == "":
                return None
            if line == "\n":
                fields = dict(one.split(": ", 1) for one in lines)
                return fields["event"], json.loads(fields["data"])
            lines.append(line.rstrip("\n"))

    def close(self):
        self.response.close()
        self.client.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def memory_kib(backend):
    with open(f"/proc/{backend.process.pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


def test_an_event_with_the_figures_of_the_pools_comes_at_once_and_then_each_second():
    with Backend(PROGRAM) as backend, Stream(backend) as stream:
        began = time.monotonic()
        name, first = stream.event()
        assert name == "figures" and time.monotonic() - began < 0.9
        assert [pool["name"] for pool in first["pools"]] == ["main", "suggestions"] and first["http"]["name"] == "http"
        assert set(first) - {"at", "server"} == set(backend.get("/api/v1/pools").json)
        assert abs(first["at"] / 1000 - time.time()) < 5 and first["server"]["workers"] == 8
        times = [stream.event()[1]["at"] for _ in range(3)]  # the first came for the newcomer, at no round second
        assert all(900 <= later - earlier < 3000 for earlier, later in zip(times, times[1:])), times


def test_a_head_request_and_a_missing_token_open_no_stream():
    with Backend(PROGRAM, "--max-streams", "1") as backend:
        for _ in range(3):
            head = backend.request("HEAD", "/api/v1/events", headers=user())
            assert (head.status, head.body, head.headers["Content-Type"]) == (200, b"", "text/event-stream; charset=utf-8"), head.headers
            assert head.headers["Content-Length"] is None, "the stream has no length"
        assert backend.get("/api/v1/events", {}).status == 401
        with Stream(backend) as stream:
            assert stream.event()[0] == "figures"
            assert set(stream.response.headers) - {"X-Request-Id", "Date"} == set(head.headers) - {"X-Request-Id", "Date"}


def test_no_stream_is_allowed_if_none_is_wanted():
    with Backend(PROGRAM, "--max-streams", "0") as backend:
        answer = backend.get("/api/v1/events")
        assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0


def test_a_place_becomes_free_when_a_client_goes_away():
    with Backend(PROGRAM, "--max-streams", "1") as backend:
        with Stream(backend) as stream:
            stream.event()
            assert backend.get("/api/v1/events").status == 503

        def is_free():
            try:
                with Stream(backend) as another:
                    return another.event()[0] == "figures"
            except AssertionError:
                return False
        wait_for(is_free, what="a free place")


def test_a_stream_goes_on_while_every_worker_is_busy():
    with Backend(PROGRAM, "--workers", "1", "--sql-conn-string", "sqlite:///weir.db?pool_size=1&max_overflow=0") as backend:
        with Stream(backend) as stream:
            lock = sqlite3.connect(backend.directory / "weir.db", isolation_level=None, timeout=10)
            lock.execute("BEGIN IMMEDIATE")
            blocked = socket.create_connection((backend.host, backend.port), timeout=20)
            blocked.sendall(f"POST /api/v1/suggestions/literature HTTP/1.1\r\nHost: x\r\nAuthorization: {user()['Authorization']}\r\n"
                            "Content-Length: 2\r\n\r\n{}".encode())
            wait_for(lambda: stream.event()[1]["server"]["workers_busy"] == 1, what="a busy worker")
            lock.execute("ROLLBACK")
            lock.close()
            assert b" 201 " in blocked.recv(100)
            blocked.close()


def read_heads(clients):
    """The status line of each, and which of them are streams."""
    selector = selectors.DefaultSelector()
    for client in clients:
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ)
    heads = {}
    deadline = time.monotonic() + 30
    while len(heads) < len(clients):
        assert time.monotonic() < deadline, f"{len(heads)} of {len(clients)} answered"
        for key, _ in selector.select(1):
            heads[key.fileobj] = key.fileobj.recv(65536)
            selector.unregister(key.fileobj)
    return heads


def test_of_a_thousand_clients_32_are_served_the_others_refused_at_once_and_nobody_else_notices():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    with Backend(PROGRAM, "--max-connections", "1200") as backend:
        backend.get("/api/v1/tables")
        before = memory_kib(backend)
        began = time.monotonic()
        clients = [ask(backend) for _ in range(CLIENTS)]
        heads = read_heads(clients)
        took = time.monotonic() - began
        served = [client for client, head in heads.items() if head.startswith(b"HTTP/1.1 200 ")]
        refused = [head for head in heads.values() if head.startswith(b"HTTP/1.1 503 ")]
        assert (len(served), len(refused)) == (STREAMS, CLIENTS - STREAMS), (len(served), len(refused))
        assert all(b"\r\nRetry-After: " in head for head in refused) and took < 20, took
        times = []
        for _ in range(20):
            began = time.monotonic()
            assert backend.get("/api/v1/tables").status == 200
            times.append(time.monotonic() - began)
        assert sorted(times)[10] < 0.5, times
        for client in served:
            client.setblocking(True)
            assert wait_for(lambda: b"event: figures" in client.recv(65536), what="an event")
        grown = memory_kib(backend) - before
        assert grown < 64 * 1024, f"{grown} KiB for {CLIENTS} clients"
        for client in clients:
            client.close()


def test_a_client_that_reads_nothing_is_cut_and_the_others_go_on():
    with Backend(PROGRAM, "--write-timeout", "300ms") as backend:
        stuck = ask(backend, receive_buffer=2048)
        assert stuck.recv(12) == b"HTTP/1.1 200"
        with Stream(backend) as stream:
            # Streams last as long as they are read, however short the time for writing is.
            for _ in range(3):
                assert stream.event()[0] == "figures"
            # By the reaper, or by the kernel, to which the same time was told.
            wait_for(lambda: stream.event()[1]["server"]["connections"] == 1, timeout=60, what="the cut")
            assert stream.event()[0] == "figures"
        stuck.close()


def test_a_drain_ends_the_streams_even_one_that_is_not_read():
    with Backend(PROGRAM) as backend:
        stuck = ask(backend, receive_buffer=2048)
        with Stream(backend) as stream:
            stream.event()
            backend.signal(15)
            while stream.event() is not None:
                pass
        began = time.monotonic()
        assert backend.wait_exit() == 0
        assert time.monotonic() - began < 5
        stuck.close()


tap.run_module(globals())
