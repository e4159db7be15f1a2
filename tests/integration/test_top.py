# SPDX-License-Identifier: MIT
"""`weir top`: what it shows of a running server, in a terminal of tmux and as plain text."""
import contextlib
import http.server
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import tap
from backend import Backend, SqliteDatabase, token as make_token, user, wait_for
from fake_nocodb import TOKEN, FakeNocoDB

PROGRAM = os.path.abspath(sys.argv[1])
NUMBERS = re.compile(r"-?\d+")

backend = None
fake = None
database = None


def bearer():
    return user()["Authorization"].removeprefix("Bearer ")


def environment(token):
    kept = {name: value for name, value in os.environ.items() if name not in ("TMUX", "WEIR_TOKEN", "NO_COLOR", "TERM")}
    return kept if token is None else {**kept, "WEIR_TOKEN": token}


def url():
    return f"http://{backend.host}:{backend.port}"


def once(*flags, token=None, at=None):
    """`weir top --once` as it ended."""
    command = [PROGRAM, "top", "--once", "--url", at or url(), *flags]
    return subprocess.run(command, env=environment(bearer() if token is None else token), capture_output=True, timeout=40)


class Terminal:
    """A tmux of its own, in which one command runs; its exit status stands in a file."""

    def __init__(self, *flags, width=150, height=40, token=None, term=None, at=None, extra=()):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-top-")
        self.socket, self.status_file = os.path.join(self.folder.name, "tmux"), pathlib.Path(self.folder.name) / "status"
        script = 'trap : INT; "$0" "$@"; echo $? > "$STATUS.new"; mv "$STATUS.new" "$STATUS"; sleep 600'
        sets = [f"STATUS={self.status_file}", *extra] + ([f"TERM={term}"] if term else [])
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height),
                  "env", *sets, "sh", "-c", script, PROGRAM, "top", "--url", at or url(), *flags, token=bearer() if token is None else token)

    def tmux(self, *arguments, token=None):
        done = subprocess.run(["tmux", "-S", self.socket, *arguments], env=environment(token), capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def lines(self, *flags):
        return self.tmux("capture-pane", "-p", *flags).splitlines()

    def text(self, *flags):
        return "\n".join(self.lines(*flags))

    def wait_text(self, pattern, timeout=10):
        try:
            return wait_for(lambda: re.search(pattern, self.text()), timeout, pattern)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.text()}") from None

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def wait_status(self, timeout=10):
        wait_for(self.status_file.exists, timeout, "the end of weir top")
        return int(self.status_file.read_text())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        with contextlib.suppress(AssertionError):
            self.tmux("kill-server")
        self.folder.cleanup()


def pool_rows(lines):
    """{pool: its figures} of a page: the line of titles names the columns."""
    start = next(i for i, line in enumerate(lines) if line.split()[:2] == ["POOL", "SIZE"])
    titles = lines[start].split()
    rows = {}
    for line in lines[start + 1:]:
        words = line.removeprefix(">").split()
        if len(words) < len(titles):
            break
        rows[words[0]] = dict(zip(titles, words))
    return rows


def origin_row(lines):
    start = next(i for i, line in enumerate(lines) if line.strip().startswith("HTTP ORIGIN"))
    titles = lines[start].replace("HTTP ORIGIN", "ORIGIN").replace("IN FLIGHT", "FLIGHT").split()
    return dict(zip(titles, lines[start + 1].split()))


def shown_as(milliseconds):
    """A time as `weir top` shows it."""
    if milliseconds == 0:
        return "0"
    if milliseconds < 1:
        return f"{milliseconds * 1000:.0f}us"
    if milliseconds < 1000:
        return f"{milliseconds:.{2 if milliseconds < 10 else 1 if milliseconds < 100 else 0}f}ms"
    return f"{milliseconds / 1000:.1f}s"


def differences(lines):
    """Where a page says something else than GET /api/v1/pools does."""
    answer = backend.get("/api/v1/pools").json
    rows, found = pool_rows(lines), []
    for pool in answer["pools"]:
        row = rows[pool["name"]]
        expected = {"SIZE": f"{pool['settings']['pool_size']}+{pool['settings']['max_overflow']}", "USED": pool["used"], "IDLE": pool["idle"],
                    "OVER": pool["overflow"], "WAITERS": pool["waiters"], "TIMEOUTS": pool["counters"]["timeouts"],
                    "P50": shown_as(pool["times"]["wait"]["p50_ms"]), "P99": shown_as(pool["times"]["wait"]["p99_ms"])}
        found += [(pool["name"], title, row[title], value) for title, value in expected.items() if row[title] != str(value)]
    origin, row = answer["http"]["origins"][0], origin_row(lines)
    expected = {"ORIGIN": origin["origin"], "BREAKER": origin["breaker"]["state"], "PAUSED": "-", "BUDGET": origin["budget_balance"],
                "REUSE": f"{origin['reuse_rate'] * 100:.0f}%", "FLIGHT": origin["in_flight"], "2XX": origin["counters"]["responses"]["2xx"],
                "4XX": origin["counters"]["responses"]["4xx"], "5XX": origin["counters"]["responses"]["5xx"]}
    return found + [("origin", title, row[title], value) for title, value in expected.items() if row[title] != str(value)]


@contextlib.contextmanager
def blocked_writers(count):
    """So many moderators who hold a connection of the pool of suggestions, each waiting for the file's lock."""
    number = backend.post("/api/v1/suggestions/literature", {}).json["id"]
    blocker = sqlite3.connect(database.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    threads = [threading.Thread(target=backend.put, args=(f"/api/v1/suggestions/literature/{number}/payload", {"n": i}))
               for i in range(count)]
    try:
        for thread in threads:
            thread.start()
        yield
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
        for thread in threads:
            thread.join()


# ---- Live


def test_the_screen_shows_the_numbers_of_the_api():
    backend.get("/api/v1/nocodb/many?limit=3")
    backend.get("/api/v1/nocodb/none")
    with Terminal("--interval", "200ms") as terminal:
        terminal.wait_text(r"weir top +http://\S+ +live")
        wait_for(lambda: not differences(terminal.lines()), 10, "the same numbers")
        assert differences([line.replace("8+0", "8+1") for line in terminal.lines()]), "a difference would not be seen"
        terminal.wait_text(r"nobody holds a connection of main")


def test_a_saturated_pool_and_its_holders_are_shown_while_it_lasts():
    with Terminal("--interval", "100ms") as terminal:
        terminal.wait_text(r"suggestions .*calm")
        terminal.press("Down")
        terminal.wait_text(r"\(of suggestions\)")
        with blocked_writers(11):
            terminal.wait_text(r"suggestions +8\+0 +8 +0 +0 +3 .* saturated", 15)
            assert not [each for each in differences(terminal.lines()) if each[1] in ("USED", "IDLE", "OVER", "WAITERS")]
            holders = backend.pools()["suggestions"]["holders"]
            assert len(holders) == 8
            text = terminal.text()
            for holder in holders:
                assert re.search(rf"^ +{holder['connection']}  {holder['file']}:{holder['line']} +{holder['thread']} ", text, re.MULTILINE), (holder, text)
            terminal.resize(150, 16)
            terminal.wait_text(r"and \d+ more")
            terminal.wait_text(r"HTTP ORIGIN")
        terminal.wait_text(r"suggestions .*calm")


def test_it_fits_itself_to_the_size_of_the_terminal():
    with Terminal() as terminal:
        terminal.wait_text(r"\[[#=.]{24}\]")
        for width, height in ((80, 24), (40, 8), (20, 3), (200, 60)):
            terminal.resize(width, height)
            wait_for(lambda: terminal.lines() and len(terminal.lines()[-1]) <= width and terminal.text().startswith("weir top"), 10, f"{width} x {height}")
            assert all(len(line) <= width for line in terminal.lines()) and len(terminal.lines()) <= height
        terminal.wait_text(r"\[[#=.]{24}\]")
        assert not differences(terminal.lines())
        terminal.resize(80, 24)
        terminal.wait_text(r"TIMEOUTS")
        assert {"USED", "IDLE", "WAITERS", "P99", "OUT/S"} <= set(pool_rows([line + " -" for line in terminal.lines()])["main"])


def test_q_ends_it_with_status_0_and_leaves_the_terminal_as_it_was():
    for keys in (["q"], ["C-c"]):
        with Terminal() as terminal:
            terminal.wait_text("live")
            terminal.press(*keys)
            assert terminal.wait_status() == 0, keys
            wait_for(lambda: "POOL" not in terminal.text(), 5, "the screen to be given back")


def test_keys_choose_sort_pause_and_help():
    with Terminal("--interval", "100ms") as terminal:
        terminal.wait_text(r"(?m)^> main.*\n  suggestions")
        for key, chosen in (("Tab", "suggestions"), ("Tab", "main"), ("Up", "suggestions"), ("Up", "main"), ("Down", "suggestions")):
            terminal.press(key)
            terminal.wait_text(rf"(?m)^> {chosen}")
            terminal.wait_text(rf"(of {chosen}|of {chosen}\))")
        for order in ("used", "waiters", "checkouts", "name"):
            terminal.press("s")
            terminal.wait_text(rf"live +by {order}")
        terminal.press("h")
        terminal.wait_text(r"q +quit")
        terminal.press("h")
        terminal.wait_text("HTTP ORIGIN")
        terminal.press("p")
        terminal.wait_text("live  paused")
        before = terminal.text()
        checkouts = backend.pools()["main"]["counters"]["checkouts"]
        for _ in range(20):
            backend.get("/api/v1/tables")
        assert backend.pools()["main"]["counters"]["checkouts"] >= checkouts + 20
        assert terminal.text() == before
        terminal.press("p")
        wait_for(lambda: "paused" not in terminal.text(), 5, "the end of the pause")


def test_checkouts_in_a_second_are_counted_from_one_asking_to_the_next():
    with Terminal("--interval", "300ms") as terminal:
        terminal.wait_text("live")
        end = time.monotonic() + 15

        def busy():
            backend.get("/api/v1/tables/Jurisdictions/CHE")
            return time.monotonic() < end and float(pool_rows(terminal.lines())["main"]["OUT/S"].replace("-", "0")) > 2

        wait_for(busy, 15, "a rate")
        wait_for(lambda: float(pool_rows(terminal.lines())["main"]["OUT/S"]) < 2, 15, "rest")  # the health check goes on


def test_colours_say_what_the_words_say_and_it_works_without_them():
    with Terminal() as terminal:
        terminal.wait_text("live")
        assert "\x1b[32m" in terminal.text("-e")
    for more in ({"extra": ("NO_COLOR=1",)}, {"term": "vt100"}):
        with Terminal(**more) as terminal:
            terminal.wait_text(r"live.*")
            wait_for(lambda: not differences(terminal.lines()), 10, "the same numbers")
            assert not re.search(r"\x1b\[3[0-7]m", terminal.text("-e")), more


def test_a_server_that_goes_and_comes_again_is_followed():
    with tempfile.TemporaryDirectory(prefix="weir-top-") as folder:
        with Backend(PROGRAM, directory=folder) as first:
            port = first.port
            with Terminal("--interval", "100ms", at=f"http://127.0.0.1:{port}/") as terminal:
                terminal.wait_text(r"\d/? +live")
                first.stop()
                terminal.wait_text(r"lost, trying again(.|\n)*connect")
                assert pool_rows(terminal.lines())["main"], "what was known last stays"
                # The last flag counts.
                with Backend(PROGRAM, "--port", str(port), directory=folder):
                    terminal.wait_text(r"\d/? +live", 20)
                    terminal.press("q")
                    assert terminal.wait_status() == 0


def test_a_token_that_expires_meanwhile_ends_it_with_the_reason():
    with Backend(PROGRAM) as one:
        short = make_token(sub="anna", exp=int(time.time()) + 2)
        with Terminal("--interval", "100ms", at=f"http://127.0.0.1:{one.port}", token=short) as terminal:
            assert terminal.wait_status(20) == 1
            terminal.wait_text("weir top: the server refuses the token: Invalid or expired token")


def test_it_shows_a_server_whose_workers_are_all_blocked():
    global backend
    usual = backend
    with Backend(PROGRAM, "--workers", "2", "--sql-conn-string", database.url) as backend:
        try:
            with blocked_writers(2):
                wait_for(lambda: pool_rows(once().stdout.decode().splitlines())["suggestions"]["USED"] == "2", 10, "both to be at work")
        finally:
            backend = usual


# ---- Plain


def test_once_prints_the_same_as_plain_text():
    done = once()
    assert done.returncode == 0 and done.stderr == b"", done
    assert not re.search(rb"[^\x20-\x7e\n]", done.stdout), done.stdout
    lines = done.stdout.decode().splitlines()
    assert not differences(lines), differences(lines)
    assert pool_rows(lines)["main"]["OUT/S"] == "-"


def test_a_bad_token_is_status_1_with_the_reason_and_none_is_status_2():
    for flags, token in (([], "nonsense"), (["--token", "nonsense"], bearer())):
        done = once(*flags, token=token)
        assert (done.returncode, done.stdout) == (1, b""), done
        assert b"the server refuses the token: Invalid or expired token" in done.stderr
        assert b"nonsense" not in done.stderr
    assert once("--token", bearer(), token="nonsense").returncode == 0
    done = once(token="")
    assert done.returncode == 2 and b"WEIR_TOKEN" in done.stderr, done
    done = once(token="with a\nbreak")
    assert done.returncode == 2 and b"with a" not in done.stderr, done
    with Terminal(token="nonsense") as terminal:
        assert terminal.wait_status() == 1


def test_what_is_called_wrongly_is_status_2():
    for flags in (["--interval", "1ms"], ["--interval", "x"], ["--urk", "x"], ["x"], ["--url", "ftp://x"], ["--url", "http://u:p@x"], ["--url", "x"]):
        assert once(*flags).returncode == 2, flags
    done = subprocess.run([PROGRAM, "top", "--url", url()], env=environment(bearer()), stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    assert done.returncode == 2 and b"--once" in done.stderr, done
    with Terminal(term="no-such-terminal") as terminal:
        assert terminal.wait_status() == 2
        terminal.wait_text("TERM")


def test_help_says_what_there_is():
    done = subprocess.run([PROGRAM, "top", "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and all(word in done.stdout for word in ("--url", "--token", "--interval", "--once", "NO_COLOR")), done


def test_a_server_that_is_not_there_is_status_1_for_once():
    done = once(at="http://127.0.0.1:1")
    assert done.returncode == 1 and b"connect" in done.stderr and done.stdout == b"", done


# ---- A server that means ill


class Hostile(http.server.BaseHTTPRequestHandler):
    """Answers with `answer`: (status, body)."""
    answer = (200, b"{}")

    def do_GET(self):
        status, body = Hostile.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused):
        pass


def test_nothing_from_the_server_reaches_the_terminal_unescaped():
    evil = "\x1b]0;owned\x07\x1b[2J\r\n\u202e\u0085\x9b31mÖ" * 8
    pool = {"name": evil, "is_initialized": True, "size": 1, "used": 1, "idle": -5, "waiters": 10 ** 18, "overflow": -(10 ** 18),
            "settings": {"max_overflow": 10 ** 18}, "holders": [{"file": evil, "line": 1, "age_ms": 1e308, "connection": -1}] * 100}
    answers = [(200, json.dumps({"pools": [pool] * 20, "http": {"origins": [{"origin": evil, "breaker": {"state": evil}}] * 99}}).encode())]
    answers += [(status, json.dumps({"detail": evil}).encode()) for status in (401, 403, 404, 500)]
    answers += [(200, body) for body in (b"", b"{", b"[]", b"null", b'{"pools": 5}', b"\x1b[2J", b"[" * 100000)]
    answers += [(200, json.dumps({"pools": [None, 5, [], {}], "http": None}).encode())]
    answers += [(200, b'{"pools": "' + b"x" * (5 << 20) + b'"}')]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    server.handle_error = lambda *unused: None  # the answer that is too long is not taken to its end
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for Hostile.answer in answers:
            done = once(at=f"http://127.0.0.1:{server.server_port}")
            assert done.returncode in (0, 1), (Hostile.answer[1][:80], done)
            assert not re.search(rb"[^\x20-\x7e\n]", done.stdout + done.stderr), done
            assert (done.returncode == 0) == (not done.stderr), done
            assert done.returncode == 0 or Hostile.answer is not answers[0], done
        Hostile.answer = answers[0]
        with Terminal(at=f"http://127.0.0.1:{server.server_port}") as terminal:
            terminal.wait_text(r"\\x1b\]0;owned")
            assert all(" " <= sign <= "~" for line in terminal.lines() for sign in line), terminal.lines()
            terminal.press("q")
            assert terminal.wait_status() == 0
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="weir-top-") as directory, FakeNocoDB() as fake:
        database = SqliteDatabase(pathlib.Path(directory) / "main.db")
        with Backend(PROGRAM, "--workers", "16", "--nocodb-rate-limit", "0", "--sql-conn-string", database.url, environment={
                "NOCODB_BASE_URL": fake.v2, "NOCODB_API_TOKEN": TOKEN}) as backend:
            fake.tables["many"] = [{"Id": number} for number in range(1, 8)]
            tap.run_module(globals())
