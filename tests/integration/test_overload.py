# SPDX-License-Identifier: MIT
"""`weir serve` under more than it can take: bodies nobody asked for, half requests, connections beyond the limit."""
import contextlib
import socket
import sys
import time

import tap
from backend import Backend, moderator, user, wait_for

PROGRAM = sys.argv[1]
MIB = 1 << 20


class Client:
    """A connection that reads heads and whole responses."""

    def __init__(self, port, timeout=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def send_some(self, data):
        """What the kernel did not take of it; nothing once the server has closed."""
        self.socket.setblocking(False)
        try:
            return data[self.socket.send(data):] if data else data
        except BlockingIOError:
            return data
        except ConnectionError:
            return b""
        finally:
            self.socket.settimeout(20)

    def ask(self, method, path, headers=None, length=None, extra=""):
        lines = [f"{name}: {value}\r\n" for name, value in (headers or {}).items()]
        if length is not None:
            lines.append(f"Content-Length: {length}\r\n")
        self.send(f"{method} {path} HTTP/1.1\r\nHost: h\r\n{''.join(lines)}{extra}\r\n")

    def _fill(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError(f"closed after {self.buffer[:200]!r}")
        self.buffer += piece

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        return int(lines[0].split()[1]), {name.lower(): value.strip() for name, value in
                                          (line.split(":", 1) for line in lines[1:])}

    def response(self):
        status, headers = self.head()
        size = int(headers.get("content-length", 0))
        while len(self.buffer) < size:
            self._fill()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return status, headers, body

    def close(self):
        self.socket.close()


def resident(backend):
    """Bytes of memory that the server occupies."""
    with open(f"/proc/{backend.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def unread(backend):
    """Bytes for the server that lie in the kernel, sent and not read."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    here = f":{backend.port:04X}"
    return sum(int(row[4].split(":")[0 if row[2].endswith(here) else 1], 16) for row in rows
               if here in (row[1][-5:], row[2][-5:]))


# ---- Bodies


def upload_from_many(backend, count, method, path):
    """`count` connections that send 0.9 MB of an announced one, or what is taken of it; returns them and the memory it cost."""
    before = resident(backend)
    body = memoryview(b"x" * 900_000)
    clients = {Client(backend.port): body for _ in range(count)}
    for client in clients:
        client.ask(method, path, length=1_000_000)
    deadline = time.monotonic() + 4
    while any(clients.values()) and time.monotonic() < deadline:
        for client, left in clients.items():
            clients[client] = client.send_some(left)
    wait_for(lambda: unread(backend) == 0, 10, "everything read or thrown away")
    return list(clients), resident(backend) - before


def statuses_of(clients):
    """What was answered. A client that goes on sending may be reset before it reads: at most 64 at a time are waited for."""
    found = []
    for client in clients:
        with contextlib.suppress(ConnectionError, EOFError):
            found.append(client.response()[0])
        client.close()
    return found


def test_bodies_of_200_connections_without_a_token_cost_no_memory():
    with Backend(PROGRAM) as backend:
        clients, cost = upload_from_many(backend, 200, "POST", "/api/v1/suggestions")
        print(f"# {cost / MIB:.1f} MiB for 200 uploads of 0.9 MB")
        assert cost < 30 * MIB, f"{cost / MIB:.1f} MiB"
        found = statuses_of(clients)
        assert len(found) > 20 and set(found) == {401}, found


def test_bodies_that_nobody_reads_are_not_kept():
    with Backend(PROGRAM) as backend:
        clients, cost = upload_from_many(backend, 200, "GET", "/api/v1")
        print(f"# {cost / MIB:.1f} MiB for 200 bodies of GET")
        assert cost < 30 * MIB, f"{cost / MIB:.1f} MiB"
        for client in clients[:10]:
            client.socket.settimeout(20)
            client.send(b"x" * 100_000)
        assert statuses_of(clients[:10]) == [200] * 10


def test_a_token_is_asked_for_before_the_body():
    with Backend(PROGRAM) as backend:
        for method, path, headers, expected in (
                ("POST", "/api/v1/suggestions", {}, 401),
                ("POST", "/api/v1/suggestions/literature", {"Authorization": "Bearer x.y.z"}, 401),
                ("PUT", "/api/v1/suggestions/literature/1/payload", user(), 403),
                ("POST", "/api/v1/suggestions/literature/1/status", {}, 401),
                ("GET", "/api/v1/tables", {}, 401)):
            for how in ({"Content-Length": "1000"}, {"Transfer-Encoding": "chunked"},
                        {"Content-Length": "1000", "Expect": "100-continue"}):
                client = Client(backend.port)
                client.ask(method, path, {**headers, **how})
                status, answer, _ = client.response()
                assert (status, answer["connection"].lower()) == (expected, "close"), (method, path, how, status)
                client.close()
        client = Client(backend.port)
        client.ask("POST", "/api/v1/suggestions", {**user(), "Expect": "100-continue"}, length=13)
        assert client.head()[0] == 100
        client.send(b'{"data": {}} ')
        assert client.response()[0] == 201
        client.close()


def test_bodies_together_have_a_limit():
    def announce(port, **how):
        client = Client(port)
        client.ask("POST", "/api/v1/suggestions", {**user(), "Expect": "100-continue"}, **how)
        return client, client.head()

    with Backend(PROGRAM, "--max-body-bytes", "1000000", "--max-total-body-bytes", "3000000") as backend:
        held = [announce(backend.port, length=1_000_000) for _ in range(2)]
        held.append(announce(backend.port, extra="Transfer-Encoding: chunked\r\n"))
        assert [head[0] for _, head in held] == [100] * 3
        for how in ({"length": 1}, {"length": 1_000_000}, {"extra": "Transfer-Encoding: chunked\r\n"}):
            client, (status, headers) = announce(backend.port, **how)
            assert (status, headers["retry-after"], headers["connection"].lower()) == (503, "1", "close"), (how, headers)
            client.close()
        assert backend.get("/api/v1/tables").status == 200, "what has no body is served as ever"
        held[0][0].send(b'{"data": {}}' + b" " * (1_000_000 - 12))
        assert held[0][0].response()[0] == 201
        client, (status, _) = announce(backend.port, length=1_000_000)
        assert status == 100, "what was read made room"
        for each in (client, *(client for client, _ in held)):
            each.close()
        wait_for(lambda: backend.post("/api/v1/suggestions", {"data": {"a": "b" * 999_000}}).status == 201, 10,
                 "room, once the others are gone")


# ---- Clients that leave


def leave_with(port, data):
    """A connection whose end is in the same packet as its last bytes."""
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    client.send(data)
    client.shutdown(socket.SHUT_WR)
    return client


def seconds_until_closed(port, data, count=40):
    """For each of `count` connections that leave at once, in order."""
    taken = []
    clients = [(leave_with(port, data), time.monotonic()) for _ in range(count)]
    for client, left in clients:
        with contextlib.suppress(ConnectionError):
            while client.recv(65536):
                pass
        taken.append(time.monotonic() - left)
        client.close()
    return sorted(taken)


def test_a_client_that_left_with_its_last_bytes_is_noticed_soon():
    with Backend(PROGRAM) as backend:
        for name, data in (("half a request line", b"GET"), ("nothing", b""), ("half a head", b"GET / HTTP/1.1\r\nHost: h\r\nX"),
                           ("a whole request", b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"),
                           ("half a body", b"POST /api/v1/suggestions HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n"
                                           b"Authorization: " + user()["Authorization"].encode() + b"\r\n\r\nabc")):
            taken = seconds_until_closed(backend.port, data)
            print(f"# {name}: after {taken[20] * 1000:.1f} ms, the last after {taken[-1] * 1000:.1f} ms")
            assert taken[20] < 0.1 and taken[-1] < 5, (name, taken)


def test_a_request_that_came_with_the_end_is_answered():
    with Backend(PROGRAM) as backend:
        clients = [leave_with(backend.port, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n" * 3) for _ in range(40)]
        for client in clients:
            data = client.makefile("rb").read()
            assert data.count(b"HTTP/1.1 200 OK") == 3, data
            client.close()


if __name__ == "__main__":
    tap.run_module(globals())
