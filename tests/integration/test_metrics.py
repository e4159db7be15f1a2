# SPDX-License-Identifier: MIT
"""GET /metrics of `weir serve`: what it shows, promtool's judgement, and a Prometheus that scrapes it and raises the alarm."""
import concurrent.futures
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import tap
from backend import Backend, wait_for

PROGRAM = os.path.abspath(sys.argv[1])
TREE = pathlib.Path(__file__).resolve().parents[2]
MONITORING = TREE / "docs/monitoring"
SAMPLE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
SATURATED = {"alertname": "WeirPoolSaturated", "db_client_connection_pool_name": "suggestions"}


def tool(name):
    path = shutil.which(name)
    assert path, f"{name} is missing: Debian's package prometheus has it (tools/packages.txt)"
    return path


def promtool(*arguments, stdin=None):
    done = subprocess.run([tool("promtool"), *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Metrics:
    """One answer of /metrics, read as Prometheus reads it."""

    def __init__(self, backend):
        answer = backend.get("/metrics", headers={}, timeout=5)
        assert answer.status == 200, answer.body
        self.content_type = answer.headers["Content-Type"]
        self.text = answer.body.decode()
        self.families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", self.text, re.MULTILINE))
        self.samples = {}
        for line in self.text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = SAMPLE.match(line).groups()
            key = (name, frozenset(LABEL.findall(labels or "")))
            assert key not in self.samples, line
            self.samples[key] = float(value)

    def sum(self, name, **labels):
        """The sum of the samples that have these labels; an error when there are none."""
        wanted = set(labels.items())
        found = [value for (sample, have), value in self.samples.items() if sample == name and wanted <= have]
        assert found, f"no {name} with {labels}"
        return sum(found)

    def pool(self, name, pool):
        return self.sum(name, db_client_connection_pool_name=pool)


class Api(http.server.BaseHTTPRequestHandler):
    """What stands for another server."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b'{"Id": 1}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused):
        pass


@contextlib.contextmanager
def api():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/rows"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def busy_backend(*flags):
    """A backend whose suggestions have one connection, which a writer from outside keeps busy until `release` is called."""
    url = "sqlite:///suggestions.db?pool_size=1&max_overflow=0&pool_timeout=300&statement_timeout_ms=300000&busy_timeout_ms=300000"
    with Backend(PROGRAM, "--suggestions-sql-conn-string", url, "--request-timeout", "5m", *flags) as backend:
        writer = sqlite3.connect(str(backend.directory / "suggestions.db"), isolation_level=None, check_same_thread=False)
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            writer.execute("BEGIN IMMEDIATE")
            posts = [threads.submit(backend.post, "/api/v1/suggestions", {"data": {"n": n}}) for n in range(2)]

            def release():
                writer.execute("ROLLBACK")
                assert [post.result().status for post in posts] == [201, 201]
            try:
                wait_for(lambda: is_saturated(Metrics(backend)), 10, "a pool that is full, with somebody in line")
                yield backend, release
            finally:
                writer.close()


def is_saturated(metrics):
    used = metrics.sum("db_client_connections", db_client_connection_pool_name="suggestions", db_client_connection_state="used")
    return (used == metrics.pool("db_client_connection_max", "suggestions")
            and metrics.pool("db_client_connection_pending_requests", "suggestions") >= 1)


# ---- what is shown


def test_metrics_need_no_token_and_promtool_finds_no_fault_in_them():
    with Backend(PROGRAM) as backend:
        backend.post("/api/v1/suggestions", {"data": {"a": 1}})
        metrics = Metrics(backend)
        assert metrics.content_type == "text/plain; version=0.0.4; charset=utf-8"
        assert promtool("check", "metrics", stdin=metrics.text) == ""
        assert metrics.sum("weir_build_info") == 1
        order = re.findall(r"^# TYPE (\S+)", metrics.text, re.MULTILINE)
        assert order == sorted(order) and len(order) == len(set(order)) > 40, order


def test_pools_are_shown_as_in_the_api():
    with Backend(PROGRAM) as backend:
        for number in range(3):
            backend.get("/api/v1/tables/Jurisdictions/CHE")
            backend.post("/api/v1/suggestions", {"data": {"n": number}})
        # The prober asks the databases meanwhile: what comes after is not less than what came before.
        before, metrics, after = backend.pools(), Metrics(backend), backend.pools()
        for name in ("main", "suggestions"):
            assert metrics.pool("db_client_connection_max", name) == sum(
                before[name]["settings"][part] for part in ("pool_size", "max_overflow"))
            for counter in ("checkouts", "connects", "resets", "waits", "pings"):
                low, high = before[name]["counters"][counter], after[name]["counters"][counter]
                assert low <= metrics.pool(f"weir_pool_{counter}_total", name) <= high, (name, counter)
            assert metrics.pool("db_client_connection_use_time_seconds_count", name) > 3
        inserts = metrics.sum("db_client_operation_duration_seconds_count", db_operation_name="INSERT", db_system_name="sqlite",
                              db_client_connection_pool_name="suggestions")
        assert inserts == 3, inserts


def test_requests_are_counted_by_route_and_what_clients_invent_adds_no_series():
    with Backend(PROGRAM) as backend:
        for number in range(5):
            assert backend.get(f"/api/v1/tables/Jurisdictions/{number}").status == 404
            assert backend.get(f"/nothing/{number}").status == 404
            client = http.client.HTTPConnection(backend.host, backend.port, timeout=5)
            client.request(f"BREW{number}", "/api/v1")
            assert client.getresponse().status == 405
            client.close()

        def counted():
            metrics = Metrics(backend)
            count = "http_server_request_duration_seconds_count"
            routed = metrics.sum(count, http_route="/api/v1/tables/{table}/{id}", http_response_status_code="404", http_request_method="GET")
            # The last one is counted when its last byte is out, which may be after its client has it.
            lost = [value for (name, labels), value in metrics.samples.items()
                    if name == count and "http_route" not in dict(labels) and ("http_response_status_code", "404") in labels]
            invented = [value for (name, labels), value in metrics.samples.items()
                        if name == count and ("http_request_method", "_OTHER") in labels]
            return (routed, lost, invented) == (5, [5], [5])
        wait_for(counted, 5, "the count of every request")


def test_an_http_session_shows_reuse_and_policies():
    with api() as url, Backend(PROGRAM, "--nocodb-base-url", url, "--nocodb-rate-limit", "0") as backend:
        for _ in range(4):
            assert backend.get("/api/v1/nocodb/t/1").json == {"Id": 1}
        metrics = Metrics(backend)
        origin = {"server_address": "127.0.0.1", "server_port": str(urllib.parse.urlsplit(url).port)}
        assert metrics.sum("weir_http_requests_total", **origin) == 4
        assert metrics.sum("weir_http_connections_opened_total", **origin) == 1
        assert metrics.sum("weir_http_connections_reused_total", **origin) == 3
        assert metrics.sum("http_client_request_duration_seconds_count", http_response_status_code="200", **origin) == 4
        assert metrics.sum("weir_http_breaker_state", weir_breaker_state="closed", **origin) == 1
        assert metrics.sum("weir_http_breaker_state", **origin) == 1
        assert metrics.sum("http_client_open_connections", http_connection_state="idle", **origin) == 1
        promtool("check", "metrics", stdin=metrics.text)


def test_metrics_are_answered_while_every_worker_waits():
    with busy_backend("--workers", "2") as (backend, release):
        started = time.monotonic()
        for _ in range(20):
            assert is_saturated(Metrics(backend))
        assert time.monotonic() - started < 5, "twenty answers took long"
        assert Metrics(backend).sum("weir_server_workers_busy") == 2
        release()


# ---- the files of docs/monitoring


def expressions():
    """Every expression of the dashboard, its variables replaced by what they might stand for."""
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return [expr.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$pool", ".*") for expr in found]


def test_the_rules_pass_promtool_and_their_own_tests():
    assert "9 rules found" in promtool("check", "rules", MONITORING / "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", MONITORING / "alerts_test.yml")
    alerts = re.findall(r"- alert: (\w+)", (MONITORING / "alerts.yml").read_text())
    tested = set(re.findall(r"alertname: (\w+)\n +exp_alerts", (MONITORING / "alerts_test.yml").read_text()))
    assert tested == set(alerts), tested ^ set(alerts)


def test_the_dashboard_is_whole_and_its_expressions_are_valid():
    board = json.loads((MONITORING / "dashboard.json").read_text())
    variables = {variable["name"]: variable["type"] for variable in board["templating"]["list"]}
    assert variables == {"datasource": "datasource", "instance": "query", "pool": "query"}
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        grid = panel["gridPos"]
        cells = {(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])}
        assert not cells & taken and grid["x"] + grid["w"] <= 24, panel["title"]
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
    with tempfile.TemporaryDirectory(prefix="weir-metrics-") as folder:
        rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions())]
        path = pathlib.Path(folder) / "rules.yml"
        path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML
        assert f"{len(rules)} rules found" in promtool("check", "rules", path)


def shown_families():
    with api() as url, Backend(PROGRAM, "--nocodb-base-url", url, "--nocodb-rate-limit", "0") as backend:
        backend.get("/api/v1/nocodb/t/1")
        backend.get("/api/v1/tables")
        return Metrics(backend).families


def test_rules_and_dashboard_name_only_metrics_that_are_shown_and_the_page_explains_each():
    families = shown_families()
    names = set(families)
    for family, kind in families.items():
        if kind == "histogram":
            names |= {f"{family}_{part}" for part in ("bucket", "sum", "count")}
    texts = expressions() + re.findall(r"expr: (.*?)\n +(?:for|labels):", (MONITORING / "alerts.yml").read_text(), re.DOTALL)
    # What stands before a brace, a bracket or a parenthesis that closes is a metric.
    used = {name for text in texts for name in re.findall(r"\b([a-z]\w*_\w+)(?=[{\[)])", re.sub(r"\{[^}]*\}", "{}", text))
            if not re.search(rf"by \([^)]*\b{name}\b[^)]*\)", text)}
    assert len(used) > 30 and used <= names, used - names
    page = (MONITORING / "README.md").read_text()
    explained = set(re.findall(r"^\| `([a-z]\w+)`", page, re.MULTILINE))
    elsewhere = set(re.findall(r"^\| `(weir_\w+)", (TREE / "docs/tracing.md").read_text(), re.MULTILINE))
    assert explained <= set(families) <= explained | elsewhere, (explained | elsewhere) ^ set(families)
    for alert in re.findall(r"- alert: (\w+)", (MONITORING / "alerts.yml").read_text()):
        assert re.search(rf"^\| `{alert}`", page, re.MULTILINE), alert


# ---- Prometheus


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """Debian's Prometheus as a child of the test, with a configuration, a database and a port of its own."""

    def __init__(self, target):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-prometheus-"))
        self.port = free_port()
        rules = (MONITORING / "alerts.yml").read_text()
        quick = re.sub(r"for: \d+m", "for: 1s", rules)
        assert quick != rules
        (self.folder / "alerts.yml").write_text(quick)
        (self.folder / "prometheus.yml").write_text(json.dumps({  # JSON is YAML
            "global": {"scrape_interval": "400ms", "scrape_timeout": "400ms", "evaluation_interval": "400ms"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [{"job_name": "weir", "static_configs": [{"targets": [target]}]}],
        }))
        promtool("check", "config", self.folder / "prometheus.yml")
        self.log = open(self.folder / "log", "w+")
        self.process = subprocess.Popen(
            [tool("prometheus"), f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.folder)

    def get(self, path, **parameters):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            client.request("GET", path + ("?" + urllib.parse.urlencode(parameters) if parameters else ""))
            response = client.getresponse()
            body = response.read()
            return json.loads(body)["data"] if response.status == 200 else None
        except OSError:  # it has not opened its port yet
            assert self.process.poll() is None, (self.folder / "log").read_text()
            return None
        finally:
            client.close()

    def value(self, query):
        data = self.get("/api/v1/query", query=query)
        return float(data["result"][0]["value"][1]) if data and data["result"] else None

    def alert(self, labels):
        """The state of the alert with these labels: pending, firing, or None."""
        data = self.get("/api/v1/alerts")
        states = [alert["state"] for alert in (data or {}).get("alerts", []) if labels.items() <= alert["labels"].items()]
        return states[0] if states else None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def test_prometheus_scrapes_the_server_and_tells_when_a_pool_is_saturated_and_when_it_is_over():
    with busy_backend() as (backend, release), Prometheus(f"{backend.host}:{backend.port}") as prometheus:
        wait_for(lambda: prometheus.value('up{job="weir"}') == 1, 30, "a scrape by Prometheus")
        wait_for(lambda: prometheus.alert(SATURATED) == "firing", 30, "the alert of a saturated pool")
        assert prometheus.alert({**SATURATED, "db_client_connection_pool_name": "main"}) is None
        assert prometheus.value('db_client_connection_pending_requests{db_client_connection_pool_name="suggestions"}') >= 1
        release()
        wait_for(lambda: prometheus.alert(SATURATED) is None, 30, "the end of the alert")
        for expr in expressions():
            assert prometheus.get("/api/v1/query", query=expr) is not None, expr
        assert prometheus.value('scrape_samples_scraped{job="weir"}') > 300


if __name__ == "__main__":
    tap.run_module(globals())
