#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The console in a real browser, headless Chromium: what it shows, what moderators do with it, what cannot hurt it.

Arguments: the weir command, and a directory for playwright-core, from npm, and for the screenshots.
"""
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sqlite3
import sys
import threading
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/integration"))
import tap
from backend import Backend, PostgresDatabase, moderator, token, user, wait_for

PROGRAM = os.path.abspath(sys.argv[1])
SCRATCH = pathlib.Path(sys.argv[2]).resolve()
HERE = pathlib.Path(__file__).resolve().parent
NODE = "/usr/bin/node" if os.access("/usr/bin/node", os.X_OK) else "node"
COURT = {"case_citation": "Alpha v. Beta", "date_publication": "2024-05-06", "official_source_url": "https://example.org/1", "copyright_issues": "none"}


def give_up(why):
    print("1..1\n# " + why.replace("\n", "\n# ") + "\nnot ok 1 - the browser could not be prepared", flush=True)
    sys.exit(1)


def prepare():
    """playwright-core in the scratch directory, as package-lock.json has it; the path of Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        give_up("no chromium: install Debian's package chromium (make deps)")
    SCRATCH.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "package-lock.json").read_text()
    version = json.loads(lock)["packages"]["node_modules/playwright-core"]["version"]
    installed = SCRATCH / "node_modules/playwright-core/package.json"
    if not installed.exists() or json.loads(installed.read_text())["version"] != version:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, SCRATCH / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=30000"]
        try:
            done = subprocess.run(command, cwd=SCRATCH, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired) as error:
            give_up(f"npm could not install playwright-core {version}: {error}")
        if done.returncode != 0:
            give_up(f"npm could not install playwright-core {version}; is its registry reachable?\n{done.stderr[-1500:]}")
    return chromium


class Browser:
    """browser.mjs, a step at a time."""

    def __init__(self, chromium):
        self.process = subprocess.Popen([NODE, HERE / "browser.mjs", SCRATCH, chromium, SCRATCH], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __getattr__(self, step):
        def run(**arguments):
            try:
                print(json.dumps({"step": step, "arguments": arguments}), file=self.process.stdin, flush=True)
            except BrokenPipeError:
                raise AssertionError("the browser's driver has ended") from None
            line = self.process.stdout.readline()
            assert line, f"the browser's driver ended at {step}"
            answer = json.loads(line)
            assert "error" not in answer, answer["error"]
            return answer["result"]
        return run


BROWSER = Browser(prepare())


def bearer(headers):
    return headers["Authorization"].removeprefix("Bearer ")


def open_console(backend, headers=None, **options):
    BROWSER.open(url=f"http://{backend.host}:{backend.port}/#token={bearer(headers or moderator())}", **options)
    BROWSER.live()


def check_clean(allowed=()):
    """Neither an error in the browser's console nor a request to anywhere else."""
    report = BROWSER.report()
    problems = [one for one in report["problems"] if not any(re.search(pattern, one) for pattern in allowed)]
    assert problems == [], problems
    assert report["hosts"] == [report["base"]], report


def in_threads(count, run):
    threads = [threading.Thread(target=run, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


# ---- Files and headers


def test_the_page_needs_no_token_and_has_a_strict_policy():
    with Backend(PROGRAM) as backend:
        page = backend.get("/", {})
        assert page.status == 200 and page.headers["Content-Type"] == "text/html; charset=utf-8"
        text = page.body.decode()
        assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)|https?://", text), "inline code or foreign links"
        names = re.findall(r'(?:src|href)="/console/([^"]+)"', text)
        assert {"console.js", "chart.min.js", "console.css", "icon.svg", "theme.js"} <= set(names), names
        for path in ("/", *(f"/console/{name}" for name in names)):
            answer = backend.get(path, {})
            policy = answer.headers["Content-Security-Policy"]
            assert answer.status == 200 and "default-src 'none'" in policy and "unsafe" not in policy, (path, policy)
            assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Referrer-Policy"] == "no-referrer"
            again = backend.get(path, {"If-None-Match": answer.headers["ETag"]})
            assert (again.status, again.body) == (304, b""), path
        assert backend.get("/console/console.js", {}).headers["Content-Type"].startswith("text/javascript")
        assert backend.get("/console/nothing.js", {}).status == 404
        assert backend.get("/console/..%2fserver", {}).status == 404
        assert backend.get("/api/v1/events", {}).status == 401


# ---- Signing in


def test_a_link_with_the_token_opens_the_page_and_leaves_the_address_bar():
    with Backend(PROGRAM) as backend:
        open_console(backend)
        kept = BROWSER.kept()
        assert kept["address"] == f"http://{backend.host}:{backend.port}/" and kept["session"], kept
        assert kept["session"] not in kept["local"] and kept["cookies"] == "", kept
        BROWSER.reloadPage()
        BROWSER.live()
        check_clean()


def test_the_start_without_a_secret_prints_such_a_link():
    with Backend(PROGRAM, secret=None) as backend:
        link = backend.wait_output(r"(http://\S+/#token=\S+)")[1]
        BROWSER.open(url=link)
        BROWSER.live()
        check_clean()


def test_a_wrong_token_is_asked_for_again_with_the_reason():
    with Backend(PROGRAM) as backend:
        BROWSER.open(url=f"http://{backend.host}:{backend.port}/")
        assert BROWSER.asks() == {"error": "", "main": False, "focus": "token"}
        for wrong in (token("another secret of more than thirty-two bytes", sub="x"), "no token at all", "Ünsinn"):
            BROWSER.enter(token=wrong)
            wait_for(lambda: BROWSER.asks()["error"] != "", what="a reason")
            asked = BROWSER.asks()
            assert not asked["main"] and re.search("Invalid or expired token|not a token", asked["error"]), asked
        BROWSER.enter(token="Bearer " + bearer(moderator()))
        BROWSER.live()
        check_clean(allowed=[r"401 \(Unauthorized\)"])


def test_a_token_that_is_not_valid_any_more_is_asked_for_again():
    with Backend(PROGRAM) as first:
        open_console(first)
        port = first.port
    with Backend(PROGRAM, "--port", str(port), secret="another secret of more than thirty-two bytes"):
        wait_for(lambda: BROWSER.kept()["session"] is None, what="the question")
        asked = BROWSER.asks()
        assert asked["error"] == "Invalid or expired token" and not asked["main"], asked
        check_clean(allowed=[r"401 \(Unauthorized\)", "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET"])


def test_the_page_comes_back_by_itself_after_a_restart():
    with Backend(PROGRAM) as first:
        open_console(first)
        port = first.port
        first.stop()
        BROWSER.state(kind="lost")
    with Backend(PROGRAM, "--port", str(port)):
        BROWSER.state(kind="live", timeout=20000)
        check_clean(allowed=["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET"])


# ---- What it shows


class Jam:
    """A backend whose pool of suggestions is all lent: its statements wait for a lock that the test holds."""

    def __init__(self, waiting=3):
        self.waiting = waiting

    def __enter__(self):
        self.backend = Backend(PROGRAM, environment={"SUGGESTIONS_SQL_CONN_STRING": "sqlite:///s.db?pool_size=2&max_overflow=1&pool_timeout=60"})
        self.lock = sqlite3.connect(self.backend.directory / "s.db", isolation_level=None, timeout=10, check_same_thread=False)
        self.threads = []
        return self

    def jam(self):
        self.lock.execute("BEGIN IMMEDIATE")
        self.threads = in_threads(3 + self.waiting, self._press)

        def is_full():
            pool = self.backend.pools()["suggestions"]
            return pool["used"] == 3 and pool["waiters"] >= 1
        wait_for(is_full, what="a full pool")

    def _press(self):
        """SQLite waits for a lock for five seconds; then the next request does."""
        while self.lock.in_transaction and self.backend.post("/api/v1/suggestions/literature", {}).status != 201:
            pass

    def free(self):
        self.lock.execute("ROLLBACK")
        for thread in self.threads:
            thread.join(20)

    def __exit__(self, *unused):
        self.lock.close()
        self.backend.close()


def test_a_saturated_pool_is_shown_within_two_seconds_with_its_holders():
    with Jam() as jam:
        open_console(jam.backend)
        BROWSER.calm(pool="suggestions")
        jam.jam()
        shown = BROWSER.saturated(pool="suggestions", timeout=2000)
        assert shown["words"].startswith("3 of 3 in use"), shown
        assert len(shown["holders"]) == 3 and all(re.search(r"#\d+[\s\S]*\w+\.c:\d+", row) for row in shown["holders"]), shown
        assert all("POST /api/v1/suggestions/{kind}" in row and "INSERT INTO" in row and "trace " in row for row in shown["holders"]), shown
        assert "all 3 connections are in use" in shown["alert"] and re.search(r"held at \w+\.c:\d+ for", shown["alert"]), shown
        assert shown["title"].startswith("("), shown
        jam.free()
        BROWSER.calm(pool="suggestions")
        check_clean()


LOOKS = [(scheme, width) for width in (1280, 360) for scheme in ("light", "dark")]


def check_looks(scene):
    """Nothing is wider than the page or cut, everything can be read and is named, on a desktop and on a phone, in light and in dark."""
    for scheme, width in LOOKS:
        BROWSER.look(scheme=scheme, width=width)
        BROWSER.screenshot(name=f"console-{scene}-{scheme}-{width}.png")
        wide, window = BROWSER.overflow()
        assert wide <= window, (scene, scheme, width, wide)
        assert BROWSER.cut() == [], (scene, scheme, width, BROWSER.cut())
        assert BROWSER.low() == [] and BROWSER.unnamed() == [], (scene, scheme, width, BROWSER.low(), BROWSER.unnamed())
    check_clean()


def test_it_looks_right_while_it_is_busy_on_a_desktop_and_on_a_phone_in_light_and_dark():
    with Jam() as jam:
        jam.backend.get("/api/v1/tables/Jurisdictions?limit=3")
        for number in (1, 2):
            assert jam.backend.post("/api/v1/suggestions/court-decisions", COURT | {"case_citation": f"Case {number}"}).status == 201
        jam.jam()
        open_console(jam.backend)
        BROWSER.saturated(pool="suggestions", timeout=5000)
        BROWSER.card(id=2)
        check_looks("busy")
        assert BROWSER.theme(name="dark")[0] == "dark" and BROWSER.low() == []
        jam.free()


def test_it_looks_right_while_an_api_fails_on_a_desktop_and_on_a_phone_in_light_and_dark():
    with Site(status=500) as site, site.backend() as backend:
        open_console(backend)
        for _ in range(4):
            assert backend.get("/api/v1/nocodb/t/1").status == 502
        BROWSER.verdict(name=site.origin, word="failing")
        check_looks("failing")


def test_it_looks_right_while_it_is_calm_on_a_desktop_and_on_a_phone_in_light_and_dark():
    with Site() as site, site.backend() as backend:
        for name in ("CHE", "AUT", "XXX"):
            backend.get(f"/api/v1/tables/Jurisdictions/{name}")
        assert backend.get("/api/v1/nocodb/t/1").status == 200
        open_console(backend)
        BROWSER.verdict(name=site.origin, word="well")
        BROWSER.calm(pool="main")
        check_looks("calm")


def test_a_request_opens_into_the_waterfall_of_its_spans_and_a_pool_into_the_lives_of_its_connections():
    with Backend(PROGRAM) as backend:
        assert backend.get("/api/v1/tables/Jurisdictions/CHE").status == 200
        open_console(backend)
        shown = BROWSER.trace(name="GET /api/v1/tables/{table}/{id}")
        assert shown["spans"][0] == "GET /api/v1/tables/{table}/{id}" and len(shown["spans"]) >= 2, shown
        lives = BROWSER.lives(pool="main")
        assert re.search(r"#1open.*(connect|ping), .* at \w+\.c:\d+", lives), lives
        BROWSER.screenshot(name="console-trace.png")
        assert "SELECT" in shown["spans"][-1] and "db.query.text" in shown["attributes"], shown
        BROWSER.look(scheme="light", width=360)
        BROWSER.screenshot(name="console-trace-phone.png")
        assert BROWSER.cut() == [] and BROWSER.low() == [], (BROWSER.cut(), BROWSER.low())
        check_clean()


class Site:
    """Another server, which answers a row, or with a status that the test sets."""

    def __init__(self, status=200):
        site = self
        self.status = status
        self.answers = threading.Event()
        self.answers.set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = b'{"Id": 1}'
                site.answers.wait(30)
                self.send_response(site.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def backend(self, **environment):
        return Backend(PROGRAM, environment={"NOCODB_BASE_URL": f"{self.origin}/api/v2/tables", "NOCODB_API_TOKEN": "x", "WEIR_HTTP_MAX_RETRIES": "0", **environment})

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.server.shutdown()
        self.server.server_close()


def test_an_api_that_cannot_be_reached_is_shown_as_failing():
    with Backend(PROGRAM, environment={"NOCODB_BASE_URL": "http://127.0.0.1:9/x", "WEIR_HTTP_MAX_RETRIES": "1"}) as backend:
        assert backend.get("/api/v1/nocodb/t/1").status == 502
        open_console(backend)
        shown = BROWSER.origin(name="http://127.0.0.1:9")
        assert "Attempts per request2.00" in shown and "Failed to connect / read2 / 0" in shown, shown
        verdict = BROWSER.verdict(name="http://127.0.0.1:9", word="failing")
        assert "2 of 2 attempts failed (0 answered 5xx, 2 not at all)" in verdict["lately"], verdict
        assert "2 of 2 attempts failed" in verdict["alerts"], verdict
        check_clean()


def test_an_api_whose_answers_fail_is_not_well_though_its_breaker_is_closed():
    with Site(status=500) as site, site.backend() as backend:
        for _ in range(2):
            assert backend.get("/api/v1/nocodb/t/1").status == 502
        open_console(backend)
        verdict = BROWSER.verdict(name=site.origin, word="failing")
        assert "2 of 2 attempts failed (2 answered 5xx, 0 not at all)" in verdict["lately"], verdict
        site.status = 200
        for _ in range(3):
            assert backend.get("/api/v1/nocodb/t/1").status == 200
        verdict = BROWSER.verdict(name=site.origin, word="some fail")
        assert "2 of 5 attempts failed" in verdict["alerts"], verdict
        check_clean()


def test_an_api_that_refuses_most_requests_is_not_well():
    with Site(status=403) as site, site.backend() as backend:
        for _ in range(3):
            backend.get("/api/v1/nocodb/t/1")
        open_console(backend)
        verdict = BROWSER.verdict(name=site.origin, word="refusing")
        assert "3 of 3 answers were 4xx" in verdict["alerts"], verdict
        check_clean()


def test_the_servers_own_failures_and_times_are_shown():
    with Site(status=500) as site, site.backend() as backend:
        for _ in range(3):
            assert backend.get("/api/v1/nocodb/t/1").status == 502
        for _ in range(9):
            assert backend.get("/api/v1").status == 200
        open_console(backend)

        def failures():
            shown = BROWSER.server()
            # The page's own requests may be in the queue at the moment of a figure.
            return shown if shown["Failed, 5xx"][0].startswith("3, ") and shown["Queued"] == ["0", "nothing"] else None
        shown = wait_for(failures, what="three failures, and nothing in the queue")
        assert re.fullmatch(r"[\d.]+ (µs|ms|s)", shown["Median"][0]), shown
        check_clean()


def test_failures_are_seen_in_the_chart_also_when_everything_fails():
    with Site(status=500) as site, site.backend() as backend:
        open_console(backend)

        def seen():
            """In a second in which everything failed, if there was one."""
            wait_for(lambda: BROWSER.course(canvas="#server-canvas", label="answered per second")["last"] == 0, what="a calm second")
            threads = in_threads(8, lambda: backend.get("/api/v1/nocodb/t/1"))
            for thread in threads:
                thread.join(20)
            wait_for(lambda: BROWSER.course(canvas="#server-canvas", label="failed per second")["last"] > 0, what="failures in the chart")
            return BROWSER.seen(canvas="#server-canvas", labels=["answered per second", "failed per second"])
        assert wait_for(seen, timeout=30, what="a second of failures alone") == "failed per second"
        check_clean()


def test_calls_that_wait_for_nocodb_are_shown_and_told_when_others_wait_for_them():
    with Site() as site, site.backend(NOCODB_CALLS="2") as backend:
        open_console(backend)
        assert wait_for(lambda: BROWSER.server().get("NocoDB calls"), what="the calls") == ["0 of 2", "nothing"]
        site.answers.clear()
        threads = in_threads(3, lambda: backend.get("/api/v1/nocodb/t/1"))
        wait_for(lambda: BROWSER.server()["NocoDB calls"] == ["2 of 2", ""] and BROWSER.server()["Calls queued"] == ["1", ""], what="two calls and one that waits")
        assert "All 2 calls to NocoDB are in flight and 1 request waits for one." in BROWSER.alerts(), BROWSER.alerts()
        assert "Attempts per request1.00" in BROWSER.origin(name=site.origin), BROWSER.origin(name=site.origin)
        site.answers.set()
        for thread in threads:
            thread.join(20)
        wait_for(lambda: BROWSER.server()["Calls queued"] == ["0", "nothing"], what="an end")
        check_clean()
    with Backend(PROGRAM) as backend:
        open_console(backend)
        assert "Queued" in wait_for(lambda: BROWSER.server(), what="figures") and "NocoDB calls" not in BROWSER.server()


def test_what_happened_before_the_page_was_opened_is_in_its_charts_and_alerts():
    environment = {"SUGGESTIONS_SQL_CONN_STRING": "sqlite:///s.db?pool_size=1&max_overflow=0&pool_timeout=0.2"}
    with Backend(PROGRAM, environment=environment) as backend:
        assert backend.post("/api/v1/suggestions/literature", {}).status == 201
        lock = sqlite3.connect(backend.directory / "s.db", isolation_level=None, timeout=10)
        lock.execute("BEGIN IMMEDIATE")
        threads = in_threads(2, lambda: backend.post("/api/v1/suggestions/literature", {}))
        wait_for(lambda: backend.pools()["suggestions"]["counters"]["timeouts"] > 0, what="one that gives up")
        wait_for(lambda: max(backend.get("/api/v1/history").json["pools"][1]["used"]) == 1, what="a moment of it")
        lock.execute("ROLLBACK")
        lock.close()
        for thread in threads:
            thread.join(20)
        wait_for(lambda: backend.get("/api/v1/history").json["pools"][1]["used"][-1] == 0, what="a moment after it")
        moments = len(backend.get("/api/v1/history").json["at"])
        open_console(backend)
        course = BROWSER.course(canvas="article.pool:nth-of-type(2) canvas", label="used")
        assert course["points"] >= moments and course["from"] < -1 and course["most"] == 1, course
        assert BROWSER.course(canvas="#server-canvas", label="answered per second")["most"] >= 1
        assert "gave up waiting within the last minute" in BROWSER.alerts(), BROWSER.alerts()
        check_clean()


def test_a_server_that_takes_fewer_connections_than_the_pool_may_have_is_told_on_postgresql():
    database = PostgresDatabase("console")
    database.script("CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 2; ALTER DATABASE console OWNER TO few; ALTER SCHEMA public OWNER TO few")
    url = re.sub("//.*@", "//few:few@", database.url)
    url += ("&" if "?" in url else "?") + "pool_size=5&max_overflow=0&pool_timeout=60"
    with Backend(PROGRAM, environment={"SUGGESTIONS_SQL_CONN_STRING": url}) as backend:
        open_console(backend)
        assert BROWSER.figure(pool="suggestions", name="Server's limit") == ["none", "nothing"]
        lock = database.lock("suggestions_literature")
        threads = in_threads(5, lambda: backend.post("/api/v1/suggestions/literature", {}))
        wait_for(lambda: backend.pools()["suggestions"]["peer_limit"] == 2, what="a refusal")
        told = wait_for(lambda: "accepts no more" in BROWSER.alerts() and BROWSER.alerts(), what="an alert")
        assert "Pool suggestions: the server accepts no more than 2 of its 5 connections." in told, told
        assert "could not be opened" not in told, told
        wait_for(lambda: BROWSER.figure(pool="suggestions", name="Server's limit") == ["2", ""], what="the figure")
        backend.wait_log(r'pool "suggestions": peer_limit.*: the peer accepts no more than 2 connections, one more is tried in ')
        lock.communicate("ROLLBACK;\n", timeout=20)
        for thread in threads:
            thread.join(20)
        assert database.query("SELECT count(*) FROM suggestions_literature") == [("5",)]
        check_clean()


def test_a_pool_says_where_its_database_is():
    with Backend(PROGRAM) as backend:
        open_console(backend)
        assert BROWSER.place(pool="main") == "weir.db"
        check_clean()


def test_figures_that_tell_of_nothing_stand_back_or_are_folded_into_a_sentence():
    def figures():
        return BROWSER.figures(pool="suggestions")

    environment = {"SUGGESTIONS_SQL_CONN_STRING": "sqlite:///s.db?pool_size=1&max_overflow=0&pool_timeout=0.2"}
    with Backend(PROGRAM, environment=environment) as backend:
        assert backend.post("/api/v1/suggestions/literature", {}).status == 201
        open_console(backend)
        BROWSER.calm(pool="suggestions")
        shown = wait_for(lambda: (figures() if figures()["seen"].get("Opened", {}).get("text") == "1" else None), what="figures")
        assert shown["folded"] == ["Timeouts", "Failed to open", "Failed pings", "Leaks", "Nested", "Server's limit"], shown
        assert shown["sentence"] == "No timeouts, failures to open, failed pings, leaks, nested acquires or limit of the server.", shown
        assert (shown["seen"]["Waiting"]["text"], shown["seen"]["Waiting"]["kind"]) == ("0", "nothing"), shown
        assert shown["seen"]["Opened"]["kind"] == "", shown

        lock = sqlite3.connect(backend.directory / "s.db", isolation_level=None, timeout=10)
        lock.execute("BEGIN IMMEDIATE")
        threads = in_threads(2, lambda: backend.post("/api/v1/suggestions/literature", {}))
        wait_for(lambda: backend.pools()["suggestions"]["counters"]["timeouts"] > 0, what="one that gives up")
        lock.execute("ROLLBACK")
        lock.close()
        for thread in threads:
            thread.join(20)
        shown = wait_for(lambda: (figures() if "Timeouts" in figures()["seen"] else None), what="a timeout that is shown")
        assert int(shown["seen"]["Timeouts"]["text"]) >= 1 and shown["seen"]["Timeouts"]["kind"] == "", shown
        assert shown["sentence"] == "No failures to open, failed pings, leaks, nested acquires or limit of the server.", shown
        assert "Timeouts" not in shown["folded"] and len(shown["folded"]) == 5, shown
        for scheme in ("light", "dark"):
            BROWSER.look(scheme=scheme, width=1280)
            colours = {kind: {one["colour"] for one in figures()["seen"].values() if one["kind"] == kind} for kind in ("", "nothing")}
            assert len(colours[""]) == len(colours["nothing"]) == 1 and colours[""] != colours["nothing"], (scheme, colours)
        check_clean()


def test_a_holder_leads_to_its_trace():
    with Jam(waiting=0) as jam:
        jam.jam()
        open_console(jam.backend)
        BROWSER.full(pool="suggestions")
        trace = BROWSER.holderTrace(pool="suggestions")
        jam.free()
        opened = BROWSER.openedTrace(id=trace)
        assert "INSERT" in opened["text"] and not opened["hint"], opened
        check_clean()


def test_moderators_evict_and_trim_and_others_are_not_offered_it():
    with Backend(PROGRAM) as backend:
        assert backend.get("/api/v1/tables/Jurisdictions/CHE").status == 200
        open_console(backend)
        assert "Trimmed" in BROWSER.treat(pool="main", button="Trim")
        wait_for(lambda: backend.pools()["main"]["counters"]["closes"] > 0, what="a closed connection")
        assert backend.get("/api/v1/tables/Jurisdictions/CHE").status == 200
        assert "Evicted" in BROWSER.treat(pool="main", button="Evict")
        wait_for(lambda: backend.pools()["main"]["counters"]["closed_by"]["evicted"] > 0, what="an evicted connection")
        backend.wait_log(r'pool "main": evicted by mona')
        check_clean()
        open_console(backend, user())
        BROWSER.calm(pool="main")
        assert BROWSER.buttons() == 0
        check_clean(allowed=[r"403 \(Forbidden\)"])


# ---- Moderation


def stored(backend, number, table="suggestions_court_decisions"):
    with sqlite3.connect(backend.directory / "weir.db", timeout=10) as database:
        return json.loads(database.execute(f"SELECT payload FROM {table} WHERE id = ?", [number]).fetchone()[0])


def test_a_moderator_approves_and_rejects_with_a_note_and_the_database_shows_it():
    with Backend(PROGRAM) as backend:
        for _ in range(3):
            assert backend.post("/api/v1/suggestions/court-decisions", COURT).status == 201
        open_console(backend)
        assert BROWSER.decide(id=2, button="Approve", note='good "work" ☃') == "Approve suggestion 1"
        assert BROWSER.decide(id=3, button="Reject") == "Approve suggestion 1"
        assert {**COURT, "moderation_status": "approved", "moderated_by": "mona", "moderation_note": 'good "work" ☃'}.items() <= stored(backend, 2).items()
        assert stored(backend, 3)["moderation_status"] == "rejected"
        assert "moderation_status" not in stored(backend, 1)
        assert BROWSER.decide(id=1, button="Approve") == "reload"
        check_clean()


def test_each_kind_of_suggestion_is_moderated_in_its_own_table():
    with Backend(PROGRAM) as backend:
        kinds = {"literature": "payload", "case-analyzer": "data"}
        for kind in kinds:
            assert backend.post(f"/api/v1/suggestions/{kind}", {"title": f"of {kind}"}).status == 201
        open_console(backend)
        for kind, column in kinds.items():
            BROWSER.kind(kind=kind)
            assert f"of {kind}" in BROWSER.payload(id=1)
            BROWSER.decide(id=1, button="Approve")
            with sqlite3.connect(backend.directory / "weir.db", timeout=10) as database:
                (text,) = database.execute(f"SELECT {column} FROM suggestions_{kind.replace('-', '_')} WHERE id = 1").fetchone()
            assert json.loads(text)["moderation_status"] == "approved", text
        check_clean()


def test_approving_needs_nothing_but_the_keyboard():
    with Backend(PROGRAM) as backend:
        assert backend.post("/api/v1/suggestions/court-decisions", COURT).status == 201
        open_console(backend)
        done = BROWSER.approveByKeyboard(id=1)
        assert done["outline"] == "solid", done
        assert stored(backend, 1)["moderation_status"] == "approved"
        check_clean()


def test_a_payload_is_corrected_and_wrong_ones_are_refused_with_the_reason():
    number = "12345678901234567890.123"
    with Backend(PROGRAM) as backend:
        body = json.dumps(COURT)[:-1] + f', "docket": {number}}}'
        assert backend.post("/api/v1/suggestions/court-decisions", body.encode()).status == 201
        open_console(backend)
        assert f'"docket": {number}' in BROWSER.payload(id=1)
        assert "This is not JSON" in BROWSER.edit(id=1, text='{"a": }')["problem"]
        assert "JSON object" in BROWSER.edit(id=1, text="[1]")["problem"]
        assert "is set by a decision" in BROWSER.edit(id=1, text='{"moderation_status": "approved"}')["problem"]
        edited = BROWSER.edit(id=1, text='{"case_citation": "Gamma", "docket": %s}' % number)
        assert edited["problem"] == "", edited
        assert number in BROWSER.payload(id=1) and '"Gamma"' in BROWSER.payload(id=1)
        assert stored(backend, 1)["case_citation"] == "Gamma"
        check_clean(allowed=[r"422 \("])


def test_what_one_edits_stays_when_another_moderator_decides_meanwhile():
    with Backend(PROGRAM) as backend:
        for _ in range(3):
            assert backend.post("/api/v1/suggestions/court-decisions", COURT).status == 201
        open_console(backend)
        BROWSER.card(id=2)
        BROWSER.beginEdit(id=2)
        for number in (2, 3):
            assert backend.post(f"/api/v1/suggestions/court-decisions/{number}/status", {"status": "rejected"}, moderator("otto")).status == 200
        assert backend.post("/api/v1/suggestions/court-decisions", COURT).status == 201
        BROWSER.reloadQuietly()

        def is_new():
            shown = BROWSER.shown()
            assert shown["problem"] == "", shown
            return "#4" in shown["ids"]
        wait_for(is_new, what="the new one")
        assert BROWSER.shown()["ids"] == ["#4", "#2", "#1"], BROWSER.shown()
        editing = BROWSER.editing(id=2)
        assert editing["text"] == '{"half": ' and "Somebody else" in editing["problem"] and editing["focus"] == "textarea", editing
        check_clean()


def random_json(random, depth=0):
    kind = random.randrange(8 if depth < 5 else 5)
    if kind < 3:
        return random.choice(["0", "-1.50", "1E+30", "12345678901234567890", "true", "null"])
    if kind < 5:
        return json.dumps("".join(random.choice('ab"\\,:{}[] \n\u202eé☃😀') for _ in range(random.randrange(6))), ensure_ascii=random.random() < 0.5)
    inner = [random_json(random, depth + 1) for _ in range(random.randrange(4))]
    space = random.choice(["", " ", "\n\t"])
    if kind == 5:
        return "[" + space + f"{space},{space}".join(inner) + space + "]"
    return "{" + space + f",{space}".join(f'"k{i}\\"":{space}{value}' for i, value in enumerate(inner)) + space + "}"


def exact(text):
    """The value of a JSON text, numbers as they are written."""
    return json.loads(text, parse_int=str, parse_float=str)


def test_json_is_cut_and_laid_out_without_any_change_of_its_value():
    rng = random.Random(20240506)
    with Backend(PROGRAM) as backend:
        open_console(backend)
        for _ in range(150):
            text = random_json(rng)
            done = BROWSER.json(text=text)
            value = exact(text)
            assert done["isWhole"] and exact(done["shown"]) == value, (text, done)
            if isinstance(value, list):
                assert [exact(one) for one in done["elements"]] == value, (text, done)
            if isinstance(value, dict):
                assert {name: exact(one) for name, one in done["members"]} == value, (text, done)
        deep = "[" * 200000 + "]" * 200000
        assert BROWSER.json(text="[" + deep + "]", limit=1000)["isWhole"] is False
        assert len(BROWSER.json(text='{"a":"' + "x" * 500000 + '"}', limit=1000)["shown"]) == 1000
        check_clean()


def test_who_is_no_moderator_is_told_so_and_still_sees_the_pools():
    with Backend(PROGRAM) as backend:
        open_console(backend, user())
        BROWSER.calm(pool="main")
        check_clean(allowed=[r"403 \(Forbidden\)"])


# ---- Hostile payloads


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


def test_a_hostile_payload_stays_text():
    evil = "<script>window.pwned = true</script><img src=x onerror='window.pwned = true'>"
    hidden = "admin\u202etxt.exe\u2066\u200b\u0007\ufeff"
    with Backend(PROGRAM) as backend:
        number = backend.post("/api/v1/suggestions/court-decisions", {**COURT, evil: evil, "bidi": hidden, hidden: "</pre></body>"},
                              {**user(evil + hidden), "source": "<b>bold</b>"}).json["id"]
        open_console(backend)
        shown = BROWSER.card(id=number)
        assert evil in shown["text"] and "</pre></body>" in shown["text"] and not shown["pwned"], shown
        assert r"admin\u202etxt.exe\u2066\u200b" in shown["text"] and not re.search("[\u200b\u202e\u2066\ufeff]", shown["text"] + shown["meta"])
        assert "<b>bold</b>" in shown["meta"] and "⟨U+202E⟩" in shown["meta"], shown["meta"]
        assert not {"script", "img", "b", "iframe", "a"} & set(shown["names"]), shown["names"]
        assert BROWSER.decide(id=number, button="Approve", note=evil) == "reload"
        assert stored(backend, number)["moderation_note"] == evil
        check_clean()


def test_giant_strings_and_deep_nesting_are_cut_short_and_stay_usable():
    with Backend(PROGRAM) as backend:
        giant = backend.post("/api/v1/suggestions/court-decisions", {**COURT, "giant": "x" * 900000}).json["id"]
        body = json.dumps(COURT)[:-1] + f', "deep": {nested(60)}}}'
        deep = backend.post("/api/v1/suggestions/court-decisions", body.encode()).json["id"]
        open_console(backend)
        shown = BROWSER.card(id=giant)
        assert shown["more"] and shown["length"] < 25000 and not shown["pwned"], shown["length"]
        shown = BROWSER.card(id=deep)
        assert shown["text"].count("{") == 61 and shown["length"] < 30000, shown["length"]
        assert BROWSER.overflow()[0] <= BROWSER.overflow()[1]
        BROWSER.decide(id=deep, button="Approve")
        BROWSER.decide(id=giant, button="Reject")
        assert stored(backend, giant)["moderation_status"] == "rejected" and stored(backend, deep)["moderation_status"] == "approved"
        check_clean()


def test_code_that_got_into_the_page_would_not_run():
    with Backend(PROGRAM) as backend:
        open_console(backend)
        assert BROWSER.inlineScript() is False
        assert any("Content Security Policy" in problem for problem in BROWSER.report()["problems"])


# ---- The description of the API


def open_manual(backend, **options):
    BROWSER.open(url=f"http://{backend.host}:{backend.port}/docs", **options)
    return BROWSER.manual()


def test_the_description_of_the_api_is_a_page_with_every_request_and_a_command_that_works():
    with Backend(PROGRAM) as backend:
        description = backend.get("/api/v1/openapi.json", {}).json
        shown = open_manual(backend)
        wanted = sorted((method, path) for path, item in description["paths"].items() for method in item)
        assert len(wanted) > 20 and len(shown["headings"]) == len(wanted) and shown["problem"] == ""
        for method, path in wanted:
            assert any(heading.startswith(method + path) for heading in shown["headings"]), (method, path)
        assert shown["links"] == shown["ids"] and len(set(shown["ids"])) == len(wanted)
        for words in ("submitter_email", "YYYY-MM-DD.", "From 1, to 1000", "approved | rejected", "Retry-After", "Optional."):
            assert words in shown["words"], words
        statuses = {}
        for command in shown["commands"]:
            if any(part in command for part in ("/events", "/nocodb/")):  # one does not end, the other needs a NocoDB
                continue
            done = subprocess.run(["sh", "-c", command.replace("curl ", "curl -sS -o /dev/null -w '%{http_code}' ", 1)], capture_output=True, text=True,
                                  timeout=30, env={**os.environ, "TOKEN": bearer(moderator())})
            assert done.returncode == 0, (command, done.stderr)
            statuses[command.splitlines()[0]] = done.stdout
        # The suggestion of the examples is decided on; it is there, because its own example was sent before.
        assert set(statuses.values()) <= {"200", "201"} and len(statuses) >= len(wanted) - 3, statuses
        assert BROWSER.search(text="pending") == ["#pending"] and BROWSER.search(text="no such request") == []
        assert BROWSER.search(text="court") == ["#suggestCourtDecision"]
        BROWSER.search(text="")
        assert 0 <= BROWSER.follow(hash="#decide") < 200
        check_clean()


def test_requests_are_tried_in_the_description_itself_with_the_token_of_the_tab():
    with Backend(PROGRAM) as backend:
        open_manual(backend)
        assert BROWSER.tryIt(id="row", values={"table": "Jurisdictions", "id": "CHE"})["head"].startswith("401 ")
        BROWSER.fillToken(token="Bearer " + bearer(moderator()))
        row = BROWSER.tryIt(id="row", values={"table": "Jurisdictions", "id": "CHE"})
        assert row["head"].startswith("200 ") and "Switzerland" in row["body"], row
        rows = BROWSER.tryIt(id="rows", values={"table": "Jurisdictions", "limit": "2"})
        assert rows["body"].count("Alpha-3 Code") == 2, rows
        missing = BROWSER.tryIt(id="row", values={"table": "Jurisdictions", "id": "no/such &id"})
        assert missing["head"].startswith("404 "), missing
        sent = BROWSER.tryIt(id="suggestLiterature", body='{"title": "<b>tried</b>", "n": 12345678901234567890}')
        assert sent["head"].startswith("201 "), sent
        pending = BROWSER.tryIt(id="pending", values={"kind": "literature"})
        assert "<b>tried</b>" in pending["body"] and "12345678901234567890" in pending["body"], pending
        stream = BROWSER.tryIt(id="events")
        assert stream["head"].startswith("200 ") and "event: figures" in stream["body"], stream["head"]
        assert BROWSER.kept()["session"] == bearer(moderator()) or BROWSER.kept()["session"].count(".") == 2
        check_clean(allowed=[r"401 \(", r"404 \("])


def test_the_description_of_the_api_can_be_read_by_everybody_in_light_dark_and_narrow():
    with Backend(PROGRAM) as backend:
        for scheme in ("light", "dark"):
            shown = open_manual(backend, scheme=scheme)
            assert BROWSER.low() == [] and BROWSER.unnamed() == [] and shown["wide"] == [], shown["wide"]
            BROWSER.screenshot(name=f"docs-{scheme}.png", fullPage=False)
        shown = open_manual(backend, width=390, height=800)
        width, room = BROWSER.overflow()
        assert width <= room and shown["wide"] == [], (width, room, shown["wide"])
        check_clean()


on_postgresql = "WEIR_TEST_PG_URL" in os.environ
tests = [f for name, f in list(globals().items()) if name.startswith("test_") and name.endswith("on_postgresql") == on_postgresql]
status = tap.main(tests)
if BROWSER.process.poll() is None:
    BROWSER.end()
sys.exit(status)
