# SPDX-License-Identifier: MIT
"""The hostile-request table: what a strict server refuses, as data to send to any server of ours."""
import socket
import time
from dataclasses import dataclass

# A request that must never be answered: it hides behind another one. If a server answers it, the
# server read two requests where a strict reader sees one, or none.
SMUGGLED = "GET {path} HTTP/1.1\r\nHost: smuggled\r\n\r\n"


# What may be said to a broken chunked body, where the path may also not take a POST at all.
CHUNKED = (400, 404, 405, 413, 0)


@dataclass
class Case:
    """Bytes to send and the statuses that are right; 0 among them means closed without an answer."""

    name: str
    data: bytes
    statuses: tuple


def table(path, post_path=None, login=""):
    """Every case that is one burst of bytes. `path` answers 200 to GET; `post_path` reads a POST's body, from those
    who send the header line `login`."""
    smuggled = SMUGGLED.format(path=path)

    def get(headers, version="HTTP/1.1", target=path, end="\r\n\r\n"):
        return f"GET {target} {version}\r\n{headers}{end}"

    def post(headers, body):
        return f"POST {post_path or path} HTTP/1.1\r\nHost: h\r\n{login}{headers}\r\n\r\n{body}"

    bad = (400,)
    not_understood = (400, 501)  # RFC 9112, 6.1, says 501; libmicrohttpd 1.0.1 says 400 before anybody is asked
    cases = [
        ("no Host", get("X: y"), bad),
        ("two Host headers", get("Host: a\r\nHost: b"), bad),
        ("a Host that is no host", get("Host: a/b@c"), bad),
        ("Content-Length and Transfer-Encoding",
         post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n" + smuggled), bad),
        ("Transfer-Encoding and Content-Length",
         post("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n" + smuggled), bad),
        ("two different Content-Length", post("Content-Length: 3\r\nContent-Length: 60", "abc" + smuggled), bad),
        ("two equal Content-Length", post("Content-Length: 3\r\nContent-Length: 3", "abc" + smuggled), bad),
        ("Content-Length in a list", post("Content-Length: 3, 3", "abc" + smuggled), bad),
        ("Content-Length +3", post("Content-Length: +3", "abc" + smuggled), bad),
        ("Content-Length -3", post("Content-Length: -3", "abc" + smuggled), bad),
        ("Content-Length 0x3", post("Content-Length: 0x3", "abc" + smuggled), bad),
        ("Content-Length empty", post("Content-Length:", smuggled), bad),
        ("Content-Length 2^64+3", post("Content-Length: 18446744073709551619", "abc" + smuggled), (400, 413)),
        ("Transfer-Encoding: xchunked", post("Transfer-Encoding: xchunked", "0\r\n\r\n" + smuggled), not_understood),
        ("Transfer-Encoding: gzip, chunked", post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n" + smuggled), not_understood),
        ("Transfer-Encoding twice",
         post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n" + smuggled), bad),
        ("Transfer-Encoding with a space before the colon",
         post("Transfer-Encoding : chunked", "0\r\n\r\n" + smuggled), bad),
        ("Transfer-Encoding with a tab before the colon",
         post("Transfer-Encoding\t: chunked", "0\r\n\r\n" + smuggled), bad),
        ("Transfer-Encoding with HTTP/1.0",
         f"POST {post_path or path} HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, bad),
        ("a folded header line", get("Host: h\r\nX: a\r\n folded"), bad),
        ("a folded Host", get("Host: h\r\n\tevil"), bad),
        ("a fold that hides Transfer-Encoding",
         post("Content-Length: 0\r\nX: a\r\n Transfer-Encoding: chunked", smuggled), bad),
        ("a fold of nothing but spaces", get("Host: h\r\nX: a\r\n   \r\nY: b"), bad),
        ("a fold as the first header line", get(" X: a\r\nHost: h"), bad),
        ("a bare CR inside a value", get("Host: h\r\nX: a\rContent-Length: 5"), bad),
        ("a bare LF at a line's end", get("Host: h\nX: a"), bad),
        ("a bare LF that hides a header", get("Host: h\r\nX: a\nContent-Length: 5"), bad),
        ("a bare LF as the blank line", get("Host: h", end="\r\n\n"), bad),
        ("a NUL in a value", get("Host: h\r\nX: a\0b"), bad),
        ("a NUL right after the colon", get("Host: h\r\nX:\0b"), bad),
        ("a NUL at a value's end", get("Host: h\r\nX: a\0"), bad),
        ("a NUL in Host", get("Host: h\0.evil"), bad),
        ("a NUL in a header name", get("Host: h\r\nX\0Y: a"), bad),
        ("a NUL at a line's start", get("Host: h\r\n\0Content-Length: 5"), bad),
        ("a NUL in the path", get("Host: h", target=path + "\0evil"), (400, 0)),
        ("a NUL in the query", get("Host: h", target=path + "?a=\0b"), (400, 0)),
        ("a NUL in the method", "GE\0T " + path + " HTTP/1.1\r\nHost: h\r\n\r\n", (400, 0)),
        ("a space in the path", get("Host: h", target=path + " x"), bad),
        ("two spaces after the method", get("Host: h", target=" " + path), bad),
        ("two spaces before the version", get("Host: h", target=path + " "), bad),
        ("a tab in the path", get("Host: h", target=path + "\tx"), bad),
        ("a control byte in the path", get("Host: h", target=path + "\x01"), bad),
        ("a fragment in the path", get("Host: h", target=path + "#x"), bad),
        ("a target that is no path", get("Host: h", target="x"), bad),
        ("broken percent-encoding", get("Host: h", target=path + "/%zz"), bad),
        ("an encoded NUL", get("Host: h", target=path + "/%00"), bad),
        ("an overlong UTF-8 slash", get("Host: h", target=path + "/%c0%af"), bad),
        ("a header line without a colon", get("Host: h\r\nnonsense"), bad),
        ("an empty header name", get("Host: h\r\n: x"), bad),
        ("a header name with a space", get("Host: h\r\nX Y: x"), bad),
        ("a control byte in a value", get("Host: h\r\nX: \x02"), bad),
        ("a method that is no token", f"G(T {path} HTTP/1.1\r\nHost: h\r\n\r\n", bad),
        ("HTTP/9.9", get("Host: h", version="HTTP/9.9"), (400, 505)),
        ("HTTP/1.7", get("Host: h", version="HTTP/1.7"), (400, 505)),
        ("http/1.1 in small letters", get("Host: h", version="http/1.1"), (400, 505)),
        ("HTTP/0.9 without a version", f"GET {path}\r\n", (400, 505)),
        ("a TLS greeting", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400, 0)),
        ("a header of 100 kB", get("Host: h\r\nX: " + "a" * 100_000), (400, 431, 0)),
        ("a target of 100 kB", get("Host: h", target=path + "?" + "a" * 100_000), (400, 414, 431, 0)),
        ("2000 headers", get("Host: h\r\n" + "\r\n".join(f"X{i}: y" for i in range(2000))), (400, 431, 0)),
        ("an unknown expectation", post("Content-Length: 3\r\nExpect: teapot", "abc"), (417,)),
        ("a body announced as 2 GiB", post("Content-Length: 2147483648", "abc"), (413,)),
        ("a chunk size that is no number",
         post("Transfer-Encoding: chunked", "xyz\r\nabc\r\n0\r\n\r\n" + smuggled), CHUNKED),
        ("a chunk size of 2^64+3",
         post("Transfer-Encoding: chunked", "10000000000000003\r\nabc\r\n0\r\n\r\n" + smuggled), CHUNKED),
        ("a chunk longer than its size",
         post("Transfer-Encoding: chunked", "3\r\nabcdef\r\n0\r\n\r\n" + smuggled), CHUNKED),
    ]
    return [Case(name, data.encode("latin-1"), statuses) for name, data, statuses in cases]


def exchange(host, port, data, timeout):
    """Send, then read until the server closes. Returns (bytes, seconds until closed or None if it did not)."""
    started = time.monotonic()
    received = b""
    with socket.create_connection((host, port), timeout=timeout) as client:
        try:
            client.sendall(data)
            while True:
                client.settimeout(max(0.01, started + timeout - time.monotonic()))
                piece = client.recv(65536)
                if not piece:
                    break
                received += piece
        except socket.timeout:
            return received, None
        except (ConnectionResetError, BrokenPipeError):
            pass
    return received, time.monotonic() - started


def statuses_of(received):
    """The status codes of every status line in a stream of responses."""
    return [int(part.split(b" ", 1)[1][:3]) for part in (b"\n" + received).split(b"\nHTTP/1.")[1:]]


# Names of the libraries that a server is made of, or of their functions; none of them is a client's business.
INTERNALS = ("jansson", "json_", "mhd", "microhttpd", "libjwt", "curl", "sqlite3_", "libpq", "pqexec")


def check_no_internals(data):
    """An answer, or a part of one, names no library in any case of its letters."""
    named = [name for name in INTERNALS if name.encode() in data.lower()]
    assert not named, f"{named} in {data[:300]!r}"


def check_alive(host, port, path, timeout=5):
    """The server goes on: a clean request gets 200."""
    data = f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()
    received, _ = exchange(host, port, data, timeout)
    assert statuses_of(received) == [200], f"after a hostile request the server answers {received[:200]!r}"


def check_case(host, port, path, case, timeout=5):
    """Send one case; raise AssertionError unless it is refused, closed, and the server goes on."""
    received, closed_after = exchange(host, port, case.data, timeout)
    statuses = statuses_of(received)
    assert 200 not in statuses, f"{case.name}: answered 200: {received[:300]!r}"
    check_no_internals(received)
    assert closed_after is not None, f"{case.name}: not closed within {timeout} s; got {received[:300]!r}"
    status = statuses[0] if statuses else 0
    assert status in case.statuses, f"{case.name}: {status}, not one of {case.statuses}"
    check_alive(host, port, path)
    return status


def check_table(host, port, path, post_path=None, login=""):
    """The whole table; returns {name: status, 0 for closed}, raises with every failed case named."""
    results, failures = {}, []
    for case in table(path, post_path, login):
        try:
            results[case.name] = check_case(host, port, path, case)
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)
    return results


def check_nothing_follows_a_chunked_body(host, port, path, post_path, login="", timeout=5):
    """A request hidden behind a chunked body, whatever its trailer looks like, is never answered."""
    for trailer in ("\r\n", "X: y\r\n\r\n", "\0x: y\r\n\r\n", "X: a\r\n b\r\n\r\n"):
        head = f"POST {post_path} HTTP/1.1\r\nHost: h\r\n{login}Transfer-Encoding: chunked\r\n\r\n"
        data = head + "3\r\nabc\r\n0\r\n" + trailer + SMUGGLED.format(path=path)
        received, closed_after = exchange(host, port, data.encode(), timeout)
        assert len(statuses_of(received)) <= 1, f"{trailer!r}: two answers: {received!r}"
        assert closed_after is not None, f"{trailer!r}: not closed"


def trickle(host, port, prefix, piece, interval, give_up):
    """Send a prefix, then a piece every interval; returns the seconds until the server closed, or None."""
    started = time.monotonic()
    with socket.create_connection((host, port), timeout=give_up) as client:
        client.sendall(prefix)
        client.settimeout(interval)
        while time.monotonic() - started < give_up:
            try:
                if not client.recv(65536):
                    return time.monotonic() - started
            except socket.timeout:
                pass
            except (ConnectionResetError, BrokenPipeError):
                return time.monotonic() - started
            try:
                client.sendall(piece)
            except (ConnectionResetError, BrokenPipeError):
                return time.monotonic() - started
    return None


def within(seconds, deadline, slack):
    """Closed, not noticeably before the deadline, and not later than slack after it."""
    assert seconds is not None, f"not closed at all; the deadline was {deadline} s"
    assert deadline * 0.8 <= seconds <= deadline + slack, f"closed after {seconds:.2f} s, deadline {deadline} s"


def check_idle(host, port, deadline, slack=2.0):
    """A connection that never sends a byte is closed at the header deadline."""
    _, seconds = exchange(host, port, b"", deadline + slack + 5)
    within(seconds, deadline, slack)


def check_slow_headers(host, port, path, deadline, interval=0.05, slack=2.0):
    """Slow loris: a header byte now and then does not extend the deadline."""
    prefix = f"GET {path} HTTP/1.1\r\nHost: h\r\nX: ".encode()
    within(trickle(host, port, prefix, b"a", interval, deadline + slack + 5), deadline, slack)


def check_slow_request_line(host, port, deadline, interval=0.05, slack=2.0):
    """The same in the request line, which the server has not even begun to parse."""
    within(trickle(host, port, b"GET /", b"a", interval, deadline + slack + 5), deadline, slack)


def check_slow_empty_lines(host, port, deadline, interval=0.05, slack=2.0):
    """Empty lines before a request may be tolerated, but do not buy time."""
    seconds = trickle(host, port, b"\r\n", b"\r\n", interval, deadline + slack + 5)
    assert seconds is not None and seconds <= deadline + slack, f"closed after {seconds} s, deadline {deadline} s"


def check_slow_body(host, port, path, deadline, login="", interval=0.05, slack=2.0):
    """A body byte now and then does not extend the deadline. `path` takes POST and reads its body."""
    prefix = f"POST {path} HTTP/1.1\r\nHost: h\r\n{login}Content-Length: 100000\r\n\r\n".encode()
    within(trickle(host, port, prefix, b"a", interval, deadline + slack + 5), deadline, slack)


def check_slow_chunks(host, port, path, deadline, login="", interval=0.05, slack=2.0):
    """The same with one-byte chunks."""
    prefix = f"POST {path} HTTP/1.1\r\nHost: h\r\n{login}Transfer-Encoding: chunked\r\n\r\n".encode()
    within(trickle(host, port, prefix, b"1\r\na\r\n", interval, deadline + slack + 5), deadline, slack)
