# SPDX-License-Identifier: MIT
"""Traces of `weir serve`: from the caller's traceparent through its pools and other servers to the collector."""
import http.client
import http.server
import json
import os
import re
import socket
import sqlite3
import sys
import threading
import time

import tap
from backend import Backend, SqliteDatabase, user, wait_for
from fake_nocodb import TOKEN, FakeNocoDB
from wire import Wire

PROGRAM = os.path.abspath(sys.argv[1])
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


def caller(flags="01", trace=TRACE):
    return {"traceparent": f"00-{trace}-{CALLER}-{flags}"}


class Span:
    """One span as it was received."""

    def __init__(self, json_span, resource, headers):
        self.trace, self.id, self.parent = json_span["traceId"], json_span["spanId"], json_span.get("parentSpanId", "")
        self.name, self.kind = json_span["name"], json_span["kind"]
        self.start, self.end = int(json_span["startTimeUnixNano"]), int(json_span["endTimeUnixNano"])
        self.status = json_span.get("status", {}).get("code", 0)
        self.attributes = attributes(json_span["attributes"])
        self.resource, self.headers = resource, headers


def attributes(pairs):
    values = {}
    for pair in pairs:
        (kind, value), = pair["value"].items()
        assert kind in ("stringValue", "intValue"), pair
        assert isinstance(value, str), pair  # 64-bit numbers are texts in protobuf's JSON
        values[pair["key"]] = int(value) if kind == "intValue" else value
    assert len(values) == len(pairs), pairs
    return values


class Collector:
    """An OTLP collector on a free port. `answer` makes (status, body) of a request, or sends what it likes itself and
    gives None."""

    def __init__(self):
        outer = self
        self.spans, self.requests, self.lock = [], [], threading.Lock()
        self.answer = lambda handler: (200, b"{}")

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    outer.requests.append((self.path, dict(self.headers), body))
                answer = outer.answer(self)
                if answer is None:
                    self.close_connection = True
                    return
                if answer[0] == 200:
                    outer.take(json.loads(body), dict(self.headers))
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(answer[1])))
                self.end_headers()
                self.wfile.write(answer[1])

            def log_message(self, *unused):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *unused):
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, document, headers):
        (resource_spans,) = document["resourceSpans"]
        resource = attributes(resource_spans["resource"]["attributes"])
        (scope_spans,) = resource_spans["scopeSpans"]
        assert scope_spans["scope"]["name"] == "weir", scope_spans
        with self.lock:
            self.spans += [Span(span, resource, headers) for span in scope_spans["spans"]]

    def trace(self, trace=TRACE):
        with self.lock:
            return [span for span in self.spans if span.trace == trace]

    def wait_root(self, trace=TRACE, count=1):
        """The spans of a trace, once so many server spans are there: these end last."""
        wait_for(lambda: sum(span.kind == 2 for span in self.trace(trace)) >= count, what=f"the root of {trace}")
        return self.trace(trace)

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def start(collector_url, *flags, **environment):
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector_url, "OTEL_BSP_SCHEDULE_DELAY": "50", **environment}
    return Backend(PROGRAM, *flags, environment={name: value for name, value in settings.items() if value is not None})


def figure(backend, name, **labels):
    """A figure of /metrics."""
    text = "".join(f'{{{key}="{value}"}}' for key, value in labels.items())
    for line in backend.request("GET", "/metrics").body.decode().splitlines():
        if line.startswith(name + text + " "):
            return float(line.split()[-1])
    raise AssertionError(f"no {name}{text}")


def dropped(backend):
    return sum(figure(backend, "weir_trace_spans_dropped_total", reason=reason)
               for reason in ("queue_full", "export_failed"))


def one(spans, **wanted):
    found = [span for span in spans if all(getattr(span, name) == value for name, value in wanted.items())]
    assert len(found) == 1, (wanted, [(span.name, span.kind) for span in spans])
    return found[0]


def check_tree(spans, root):
    """Every span hangs below the root, within its parent's time."""
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans)
    for span in spans:
        assert re.fullmatch("[0-9a-f]{32}", span.trace) and re.fullmatch("[0-9a-f]{16}", span.id)
        if span is root:
            continue
        parent = by_id[span.parent]
        assert parent.start <= span.start <= span.end <= parent.end, (span.name, parent.name)
        while parent is not root:
            parent = by_id[parent.parent]


# ---- Shows 2


def test_a_request_to_nocodb_is_one_trace_from_the_caller_to_nocodb():
    with Collector() as collector, FakeNocoDB() as nocodb:
        nocodb.tables["laws"] = [{"Id": 7, "Title": "On pools"}]
        with start(collector.url, NOCODB_BASE_URL=nocodb.v2, NOCODB_API_TOKEN=TOKEN) as backend:
            answer = backend.get("/api/v1/nocodb/laws/7?secret=1", headers={**user(), **caller(), "tracestate": "a=1,b=2"})
            assert answer.status == 200 and answer.json["Title"] == "On pools"
            spans = collector.wait_root()
        assert len(spans) == 2
        root = one(spans, kind=2)
        assert root.parent == CALLER and root.name == "GET /api/v1/nocodb/{table}/{id}"
        assert root.attributes["http.route"] == "/api/v1/nocodb/{table}/{id}"
        assert root.attributes["url.path"] == "/api/v1/nocodb/laws/7"
        assert root.attributes["http.response.status_code"] == 200
        assert root.attributes["client.address"] == "127.0.0.1" == root.attributes["server.address"]
        assert root.attributes["server.port"] == backend.port
        attempt = one(spans, kind=3)
        check_tree(spans, root)
        (request,) = nocodb.requests
        assert request.headers["traceparent"] == f"00-{TRACE}-{attempt.id}-01"
        assert request.headers["tracestate"] == "a=1,b=2"
        assert attempt.name == "GET" and attempt.attributes["url.full"] == nocodb.v2 + "/laws/records/7"
        assert attempt.attributes["server.port"] == nocodb.port
        assert attempt.attributes["http.response.status_code"] == 200
        assert attempt.status == root.status == 0


def test_each_attempt_is_a_span_and_the_failed_one_says_why():
    with Collector() as collector, FakeNocoDB() as nocodb:
        nocodb.tables["laws"] = [{"Id": 7}]
        bad = [(503, {}, b"{}")]
        nocodb.override = lambda request: bad.pop() if bad else None
        with start(collector.url, NOCODB_BASE_URL=nocodb.v2, NOCODB_API_TOKEN=TOKEN,
                   WEIR_HTTP_BACKOFF_FACTOR="1ms", NOCODB_RATE_LIMIT="0") as backend:
            assert backend.get("/api/v1/nocodb/laws/7", headers={**user(), **caller()}).status == 200
            spans = collector.wait_root()
        attempts = sorted((span for span in spans if span.kind == 3), key=lambda span: span.start)
        assert [span.attributes["http.response.status_code"] for span in attempts] == [503, 200]
        assert [span.status for span in attempts] == [2, 0]
        assert attempts[0].attributes["error.type"] == "503"
        assert [span.attributes.get("http.request.resend_count") for span in attempts] == [None, 1]
        assert [request.headers["traceparent"] for request in nocodb.requests] == [
            f"00-{TRACE}-{span.id}-01" for span in attempts]
        check_tree(spans, one(spans, kind=2))


def test_a_suggestion_is_one_trace_with_its_wait_and_its_statement():
    with Collector() as collector, start(collector.url, "--sql-conn-string", "sqlite:///weir.db?pool_size=1&max_overflow=0",
                                         "--suggestions-sql-conn-string",
                                         "sqlite:///suggestions.db?pool_size=1&max_overflow=0") as backend:
        assert backend.post("/api/v1/suggestions", {"data": {"word": "first"}}).status == 201
        # Somebody writes: the one connection of the pool waits for them, and the next request for the connection.
        other = sqlite3.connect(backend.directory / "suggestions.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        answers = {}

        def suggest(name, headers):
            answers[name] = backend.post("/api/v1/suggestions", {"data": {"word": name}}, headers={**user(), **headers})

        slow = threading.Thread(target=suggest, args=("slow", caller(trace="1" * 32)))
        slow.start()
        wait_for(lambda: backend.pools()["suggestions"]["used"] == 1, what="the slow request")
        late = threading.Thread(target=suggest, args=("secret value", caller()))
        late.start()
        wait_for(lambda: backend.pools()["suggestions"]["waiters"] >= 1, what="the waiter")
        other.execute("ROLLBACK")
        other.close()
        slow.join()
        late.join()
        assert [answer.status for answer in answers.values()] == [201, 201]
        spans = collector.wait_root()
        root = one(spans, kind=2)
        assert root.parent == CALLER and root.name == "POST /api/v1/suggestions"
        wait = one(spans, name="wait suggestions")
        assert wait.kind == 1 and wait.parent == root.id and wait.status == 0
        assert wait.attributes["db.client.connection.pool.name"] == "suggestions"
        assert wait.attributes["code.file.path"].endswith(".c")
        (insert,) = [span for span in spans if span.attributes.get("db.operation.name") == "INSERT"]
        assert insert.kind == 3 and insert.parent == root.id
        assert insert.name == "INSERT suggestions.db" == "INSERT " + insert.attributes["db.namespace"]
        assert insert.attributes["db.system.name"] == "sqlite"
        assert "INSERT INTO" in insert.attributes["db.query.text"]
        assert insert.attributes["weir.connection.id"] == wait.attributes["weir.connection.id"]
        check_tree(spans, root)
        assert wait.end <= insert.end and wait.end - wait.start > 0
        assert not any("secret value" in body.decode() for _, _, body in collector.requests)


# ---- Whose trace


def test_without_a_caller_a_trace_begins_here():
    with Collector() as collector, start(collector.url, OTEL_SERVICE_NAME="pools of \"weir\"") as backend:
        assert backend.get("/api/v1/tables").status == 200
        wait_for(lambda: any(span.kind == 2 for span in collector.spans), what="a root")
        root = one(collector.spans, kind=2)
        assert root.parent == "" and root.trace != "0" * 32
        assert root.resource["service.name"] == 'pools of "weir"'
        assert root.resource["service.version"] and root.resource["service.instance.id"]
        assert root.headers["Content-Type"] == "application/json"
        assert "traceparent" not in {name.lower() for name in root.headers}
        check_tree([span for span in collector.spans if span.trace == root.trace], root)


def test_a_traceparent_that_is_none_begins_a_new_trace():
    with Collector() as collector, start(collector.url) as backend:
        wrong = [f"00-{TRACE.upper()}-{CALLER}-01", f"00-{'0' * 32}-{CALLER}-01", f"ff-{TRACE}-{CALLER}-01", "x" * 5000, ""]
        for text in wrong:
            assert backend.get("/api/v1/tables", headers={**user(), "traceparent": text, "tracestate": "a=1"}).status == 200
        wait_for(lambda: sum(span.kind == 2 for span in collector.spans) == len(wrong), what="the roots")
        roots = [span for span in collector.spans if span.kind == 2]
        assert len({span.trace for span in roots}) == len(wrong) and not any(span.parent for span in roots)


def get_with(backend, path, fields):
    """A GET whose header fields may repeat; returns the status."""
    client = http.client.HTTPConnection(backend.host, backend.port, timeout=20)
    client.putrequest("GET", path)
    for name, value in [*user().items(), *fields]:
        client.putheader(name, value)
    client.endheaders()
    response = client.getresponse()
    response.read()
    client.close()
    return response.status


def test_of_several_traceparents_none_is_taken():
    with Collector() as collector, start(collector.url) as backend:
        one, other = caller()["traceparent"], caller(trace="2" * 32)["traceparent"]
        cases = ([one, other], [one, one], [one, "x"], ["x", one])
        for texts in cases:
            assert get_with(backend, "/api/v1/tables", [("traceparent", text) for text in texts]) == 200
        assert get_with(backend, "/api/v1/tables", [("traceparent", other.replace("2" * 32, "3" * 32) + " \t")]) == 200
        collector.wait_root("3" * 32)
        wait_for(lambda: sum(span.kind == 2 for span in collector.spans) == len(cases) + 1, what="the roots")
        roots = [span for span in collector.spans if span.kind == 2 and span.trace != "3" * 32]
        assert not {span.trace for span in roots} & {TRACE, "2" * 32} and not any(span.parent for span in roots)


def test_blanks_and_tabs_around_a_traceparent_are_not_of_it():
    cases = [("", ""), ("", " "), ("", "\t"), (" ", " \t "), ("\t", ""), ("  \t", "\t\t")]
    with Collector() as collector, start(collector.url) as backend:
        for number, (before, behind) in enumerate(cases, 1):
            trace = f"{number:032x}"
            with Wire(backend.port) as client:
                client.send(f"GET /api/v1/tables HTTP/1.1\r\nHost: h\r\nAuthorization: {user()['Authorization']}\r\n"
                            f"traceparent:{before}{caller(trace=trace)['traceparent']}{behind}\r\n\r\n")
                assert client.response()[0] == 200
            assert one(collector.wait_root(trace), kind=2).parent == CALLER, (before, behind)


def test_several_tracestates_are_passed_on_as_one():
    with Collector() as collector, FakeNocoDB() as nocodb:
        nocodb.tables["laws"] = [{"Id": 7}]
        with start(collector.url, NOCODB_BASE_URL=nocodb.v2, NOCODB_API_TOKEN=TOKEN) as backend:
            for number, (texts, expected) in enumerate(((["a=1", "b=2"], "a=1,b=2"), (["a=1 ", "", "b=2,c=3\t"], "a=1,b=2,c=3"),
                                                        (["a=1"], "a=1"), (["a=" + "x" * 300, "b=" + "y" * 300], None)), 4):
                trace = str(number) * 32
                fields = [*caller(trace=trace).items(), *(("tracestate", text) for text in texts)]
                assert get_with(backend, "/api/v1/nocodb/laws/7", fields) == 200
                sent = [request.headers.get("tracestate") for request in nocodb.requests
                        if trace in request.headers.get("traceparent", "")]
                assert sent == [expected], (texts, sent)


def test_a_caller_that_does_not_sample_is_passed_on_and_not_recorded():
    with Collector() as collector, FakeNocoDB() as nocodb:
        nocodb.tables["laws"] = [{"Id": 7}]
        with start(collector.url, NOCODB_BASE_URL=nocodb.v2, NOCODB_API_TOKEN=TOKEN) as backend:
            assert backend.get("/api/v1/nocodb/laws/7", headers={**user(), **caller("00")}).status == 200
            assert backend.get("/api/v1/tables", headers={**user(), **caller(trace="2" * 32)}).status == 200
            collector.wait_root("2" * 32)
            assert collector.trace() == []
        (request,) = nocodb.requests
        assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-00", request.headers["traceparent"])
        assert CALLER not in request.headers["traceparent"]


def test_a_share_of_zero_records_only_what_callers_sample():
    with Collector() as collector, start(collector.url, OTEL_TRACES_SAMPLER_ARG="0") as backend:
        for _ in range(20):
            assert backend.get("/api/v1/tables").status == 200
        assert backend.get("/api/v1/tables", headers={**user(), **caller()}).status == 200
        collector.wait_root()
        assert {span.trace for span in collector.spans} == {TRACE}


def test_health_checks_and_questions_about_the_server_are_not_traced():
    with Collector() as collector, start(collector.url) as backend:
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1", "/api/v1/pools", "/api/v1/traces",
                     "/api/v1/pools/main/connections"):
            assert backend.get(path).status == 200, path
        assert backend.get("/api/v1/tables", headers={**user(), **caller()}).status == 200
        collector.wait_root()
        assert {span.trace for span in collector.spans} == {TRACE}


def test_a_failed_request_is_a_failed_span():
    with Collector() as collector, start(collector.url) as backend:
        assert backend.get("/api/v1/nocodb/laws", headers={**user(), **caller()}).status == 503
        assert backend.get("/api/v1/tables/none", headers={**user(), **caller(trace="2" * 32)}).status == 404
        root = one(collector.wait_root(), kind=2)
        assert root.status == 2 and root.attributes["error.type"] == "503"
        root = one(collector.wait_root("2" * 32), kind=2)
        assert root.status == 0 and root.attributes["http.response.status_code"] == 404


def test_the_access_log_names_the_trace():
    with start(None, LOG_LEVEL="DEBUG") as backend:
        assert backend.get("/api/v1/tables", headers={**user(), **caller()}).status == 200
        backend.wait_log(f'"GET /api/v1/tables" 200 .*, trace {TRACE}$')
        assert backend.get("/healthz").status == 200
        assert "trace" not in backend.wait_log('"GET /healthz" 200 .*').group(0)


# ---- Where to


def test_an_endpoint_for_traces_alone_is_taken_as_it_is():
    with Collector() as collector:
        for settings, path in (({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url + "/base/"}, "/base/v1/traces"),
                               ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.url + "/spans?key=k"}, "/spans?key=k")):
            with start("http://127.0.0.1:1", **settings) as backend:
                assert backend.get("/api/v1/tables").status == 200
                wait_for(lambda: collector.requests, what="a request")
            assert {request[0] for request in collector.requests} == {path}
            collector.requests.clear()


def test_headers_reach_the_collector_and_nobody_else():
    with Collector() as collector:
        with start(collector.url, LOG_LEVEL="DEBUG",
                   OTEL_EXPORTER_OTLP_HEADERS="X-Key=hush%2Chush, authorization = Bearer%20hush") as backend:
            assert backend.get("/api/v1/tables").status == 200
            wait_for(lambda: collector.requests, what="a request")
            headers = {name.lower(): value for name, value in collector.requests[0][1].items()}
            assert headers["x-key"] == "hush,hush" and headers["authorization"] == "Bearer hush"
            assert "hush" not in backend.get("/api/v1/traces").body.decode()
            assert backend.stop() == 0
        assert not any("hush" in line for line in backend.log)


def test_settings_that_cannot_be_used_stop_the_start_without_showing_secrets():
    cases = (({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://collector"}, "export of traces"),
             ({"OTEL_EXPORTER_OTLP_HEADERS": "hush"}, "OTEL_EXPORTER_OTLP_HEADERS: must be name=value"),
             ({"OTEL_EXPORTER_OTLP_HEADERS": "a=hush%0d%0aX: y"}, "OTEL_EXPORTER_OTLP_HEADERS: a name or value"),
             ({"OTEL_EXPORTER_OTLP_HEADERS": "a=hush%f"}, "OTEL_EXPORTER_OTLP_HEADERS: a value is not percent-encoded"),
             ({"OTEL_EXPORTER_OTLP_HEADERS": ",".join(f"h{i}=hush" for i in range(17))}, "OTEL_EXPORTER_OTLP_HEADERS: more than 16"),
             ({"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere"}, "/nowhere"),
             ({"OTEL_TRACES_SAMPLER_ARG": "1.5"}, "OTEL_TRACES_SAMPLER_ARG \"1.5\" (environment): must be a share from 0 to 1"))
    for settings, words in cases:
        try:
            start("http://127.0.0.1:1", **settings).close()
        except AssertionError as error:
            assert words in str(error) and "hush" not in str(error), (settings, str(error))
        else:
            raise AssertionError(f"started with {settings}")


# ---- A collector that does not do its part


def ask_often(backend, count=20):
    """Requests that must be answered as if there were no collector."""
    for _ in range(count):
        began = time.monotonic()
        assert backend.get("/api/v1/tables").status == 200
        assert time.monotonic() - began < 5


def stop_in_time(backend, limit=8):
    """A clean stop, well before the drain's own limit of ten seconds."""
    began = time.monotonic()
    assert backend.stop() == 0
    assert time.monotonic() - began < limit


def test_a_collector_that_is_down_costs_spans_and_nothing_else():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with start(f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_TIMEOUT="500") as backend:
        ask_often(backend)
        wait_for(lambda: dropped(backend) >= 20, what="dropped spans")
        assert figure(backend, "weir_trace_spans_exported_total") == 0
        assert figure(backend, "weir_trace_export_failures_total") > 0
        ask_often(backend)
        backend.wait_log(r"WARNING traces: \d+ spans were not exported: POST http://127.0.0.1")
        assert sum("not exported" in line for line in backend.log) == 1
        stop_in_time(backend)


def test_a_collector_that_never_answers_holds_up_neither_requests_nor_the_stop():
    with Collector() as collector:
        hold = threading.Event()
        collector.answer = lambda handler: hold.wait(60) and None
        with start(collector.url, OTEL_BSP_MAX_QUEUE_SIZE="32", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="8") as backend:
            assert backend.get("/api/v1/tables").status == 200
            wait_for(lambda: collector.requests, what="the request that is held")
            ask_often(backend, 60)
            finished = figure(backend, "weir_trace_spans_total")
            assert finished >= 60
            stop_in_time(backend)
            assert any("spans were not exported" in line for line in backend.log)
        hold.set()


def test_what_is_pushed_out_of_the_ring_is_counted():
    with Collector() as collector:
        hold = threading.Event()
        collector.answer = lambda handler: (200, b"{}") if hold.wait(60) else None
        with start(collector.url, OTEL_BSP_MAX_QUEUE_SIZE="32", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="8") as backend:
            assert backend.get("/api/v1/tables").status == 200
            wait_for(lambda: collector.requests, what="the request that is held")
            ask_often(backend, 60)
            hold.set()

            def settled():
                total = figure(backend, "weir_trace_spans_total")
                missed = figure(backend, "weir_trace_spans_dropped_total", reason="queue_full")
                return missed > 0 and figure(backend, "weir_trace_spans_exported_total") + missed == total

            wait_for(settled, what="every span to be exported or counted as dropped")
            assert figure(backend, "weir_trace_spans_exported_total") == len(collector.spans)
            stop_in_time(backend)


def garbage(handler):
    handler.wfile.write(b"\x16\x03\x01 this is no HTTP at all\r\n\r\n" + bytes(range(256)))


def endless(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    try:
        while True:
            handler.wfile.write(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
    except OSError:
        pass


def test_answers_that_mean_nothing_good_are_counted_as_dropped():
    answers = (garbage, endless, lambda handler: (500, b"<html>"), lambda handler: (400, b"{}"),
               lambda handler: (302, b""), lambda handler: (503, b""))
    with Collector() as collector:
        for answer in answers:
            collector.answer = answer
            with start(collector.url, OTEL_EXPORTER_OTLP_TIMEOUT="1000") as backend:
                ask_often(backend, 10)
                wait_for(lambda: dropped(backend) >= 10, what="dropped spans")
                assert figure(backend, "weir_trace_spans_exported_total") == 0
                stop_in_time(backend)


def unavailable(*lines, body=b""):
    """A 503 that asks for a pause of a second, written as it is, and the connection's end behind it."""
    head = "\r\n".join(("HTTP/1.1 503 Service Unavailable", "Retry-After: 1", *lines))

    def answer(handler):
        handler.wfile.write(head.encode() + b"\r\n\r\n" + body)
    return answer


def test_a_503_whose_body_is_broken_loses_no_spans():
    answers = {"cut": unavailable("Content-Length: 100", body=b"hello"),
               "no gzip": unavailable("Content-Encoding: gzip", "Content-Length: 7", body=b"no gzip"),
               "a chunk cut off": unavailable("Transfer-Encoding: chunked", body=b"64\r\nhello")}
    for name, first in answers.items():
        times = []

        def answer(handler):
            times.append(time.monotonic())
            return first(handler) if len(times) == 1 else (200, b"{}")

        with Collector() as collector:
            collector.answer = answer
            with start(collector.url, OTEL_BSP_SCHEDULE_DELAY="3600000", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="4") as backend:
                for _ in range(4):
                    assert backend.get("/api/v1/nocodb/laws").status == 503
                wait_for(lambda: figure(backend, "weir_trace_spans_exported_total") == 4, what=f"all spans ({name})")
                assert figure(backend, "weir_trace_spans_total") == 4 and dropped(backend) == 0, name
                assert len(collector.spans) == 4 and len({span.id for span in collector.spans}) == 4, name
                assert len(collector.requests) == 2, (name, len(collector.requests))
                assert collector.requests[0][2] == collector.requests[1][2], name
                assert times[1] - times[0] >= 1, (name, times)
                stop_in_time(backend)
                assert not any("not exported" in line for line in backend.log), name


def test_spans_that_the_collector_rejects_are_counted_and_a_strange_answer_is_not_minded():
    with Collector() as collector:
        rejection = json.dumps({"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}).encode()
        for body, rejects in ((rejection, True), (b"not json", False), (b"[]", False), (b'{"partialSuccess":7}', False)):
            collector.answer = lambda handler: (200, body)
            with start(collector.url) as backend:
                assert backend.get("/api/v1/nocodb/laws").status == 503

                def settled():
                    exported = figure(backend, "weir_trace_spans_exported_total")
                    return exported + dropped(backend) == figure(backend, "weir_trace_spans_total") > 0

                wait_for(settled, what="the span to be counted")
                assert (dropped(backend) == 1) == rejects
                stop_in_time(backend)


def test_a_collector_that_comes_back_gets_what_comes_then():
    with Collector() as collector:
        collector.answer = lambda handler: (400, b"")
        with start(collector.url) as backend:
            assert backend.get("/api/v1/tables").status == 200
            backend.wait_log("spans were not exported: the collector answered 400")
            collector.answer = lambda handler: (200, b"{}")
            assert backend.get("/api/v1/tables", headers={**user(), **caller()}).status == 200
            collector.wait_root()
            backend.wait_log("the collector takes spans again")


def test_the_stop_sends_what_is_finished():
    with Collector() as collector, start(collector.url, OTEL_BSP_SCHEDULE_DELAY="3600000") as backend:
        assert backend.get("/api/v1/tables", headers={**user(), **caller()}).status == 200
        stop_in_time(backend)
        assert any(span.kind == 2 for span in collector.trace())


def test_a_batch_is_never_more_than_half_of_what_is_kept():
    with Collector() as collector, start(collector.url, OTEL_BSP_SCHEDULE_DELAY="3600000", OTEL_BSP_MAX_QUEUE_SIZE="16",
                                         OTEL_BSP_MAX_EXPORT_BATCH_SIZE="512") as backend:
        for _ in range(8):
            assert backend.get("/api/v1/nocodb/laws").status == 503
        wait_for(lambda: len(collector.spans) == 8, what="the first half")
        assert dropped(backend) == 0


def test_a_full_batch_does_not_wait_for_the_delay():
    with Collector() as collector, start(collector.url, OTEL_BSP_SCHEDULE_DELAY="3600000",
                                         OTEL_BSP_MAX_EXPORT_BATCH_SIZE="4") as backend:
        for _ in range(6):
            assert backend.get("/api/v1/nocodb/laws").status == 503
        wait_for(lambda: len(collector.spans) >= 4, what="a batch")
        assert all(body.count(b'"spanId"') <= 4 for _, _, body in collector.requests)


# ---- What the server shows itself


def test_the_last_spans_can_be_read_with_a_token():
    with start(None) as backend:
        assert backend.request("GET", "/api/v1/traces").status == 401
        assert backend.get("/api/v1/traces").json == {"count": 0, "spans": []}
        for _ in range(3):
            assert backend.get("/api/v1/tables", headers={**user(), **caller()}).status == 200
        shown = backend.get("/api/v1/traces").json
        assert shown["count"] == len(shown["spans"]) >= 3
        root = shown["spans"][-1]
        assert root["trace_id"] == TRACE and root["parent_id"] == CALLER and root["kind"] == "server"
        assert root["name"] == "GET /api/v1/tables" and root["has_failed"] is False
        assert root["attributes"]["http.response.status_code"] == 200
        assert root["duration_ms"] > 0 and abs(root["started_ms"] / 1000 - time.time()) < 60
        assert backend.get("/api/v1/traces?limit=1").json["spans"] == [root]
        for wrong in ("0", "2049", "x", ""):
            assert backend.get("/api/v1/traces?limit=" + wrong).status == 422, wrong


def test_only_so_many_spans_are_kept():
    with start(None, OTEL_BSP_MAX_QUEUE_SIZE="16") as backend:
        for _ in range(40):
            assert backend.get("/api/v1/nocodb/laws").status == 503
        shown = backend.get("/api/v1/traces").json
        assert shown["count"] == 40 and len(shown["spans"]) == 16


def lives(backend, name="suggestions"):
    return backend.get(f"/api/v1/pools/{name}/connections").json


def test_the_life_of_a_connection_says_when_it_was_opened_and_why_it_was_closed():
    with start(None, "--suggestions-sql-conn-string", "sqlite:///weir.db?pool_recycle=1") as backend:
        assert backend.request("GET", "/api/v1/pools/main/connections").status == 401
        assert backend.get("/api/v1/pools/none/connections").status == 404
        wait_for(lambda: any(not life["is_open"] for life in lives(backend)["connections"]), what="a connection too old")
        shown = lives(backend)
        assert shown["has_loans"] is False
        closed = next(life for life in shown["connections"] if not life["is_open"])
        assert [event["event"] for event in closed["events"]] == ["connect", "close"]
        opened, end = closed["events"]
        assert opened["duration_ms"] > 0 and opened["file"].endswith(".c") and opened["line"] > 0
        assert end["reason"] == "recycled" and end["duration_ms"] > 500
        assert closed["counts"] == {"connect": 1, "close": 1}
        ids = [life["id"] for life in shown["connections"]]
        assert ids == sorted(ids)


def test_connection_tracing_says_who_borrowed_it_in_which_trace():
    with start(None, CONNECTION_TRACING="true") as backend:
        assert backend.post("/api/v1/suggestions", {"data": {"a": 1}}, headers={**user(), **caller()}).status == 201
        shown = lives(backend)
        assert shown["has_loans"] is True
        events = [event for life in shown["connections"] for event in life["events"] if event.get("trace_id") == TRACE]
        kinds = [event["event"] for event in events]
        assert "checkout" in kinds and "checkin" in kinds and "reset" in kinds
        checkout = next(event for event in events if event["event"] == "checkout")
        assert checkout["file"].endswith(".c") and checkout["line"] > 0 and checkout["thread"] > 0


def test_each_connection_keeps_its_last_events_and_counts_all():
    with start(None, CONNECTION_TRACING="true") as backend:
        for number in range(30):
            assert backend.post("/api/v1/suggestions", {"data": {"a": number}}).status == 201
        life = max(lives(backend)["connections"], key=lambda life: life["counts"].get("checkout", 0))
        assert len(life["events"]) == 16 and life["counts"]["checkout"] > 16
        assert life["counts"]["connect"] == 1 and life["is_open"]


if __name__ == "__main__":
    tap.run_module(globals())
