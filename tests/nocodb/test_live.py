# SPDX-License-Identifier: MIT
"""weir against a live NocoDB, on SQLite and on PostgreSQL: its rows are those that NocoDB's own API answers, and what was asked for comes.

Arguments: the program weir, and a folder for what npm installs, which is kept. With --version=VERSION it is that NocoDB instead of the one
in package.json. With --record, what the servers answered is written to tests/integration/recorded, of which test_nocodb_recorded.py is
made. Run by `make test-nocodb`, within tests/with_postgres.sh.
"""
import contextlib
import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import live  # noqa: E402
import nocodb_cases  # noqa: E402
import tap  # noqa: E402
from fake_nocodb import TOKEN, Server  # noqa: E402

PACKAGE = json.loads((HERE / "package.json").read_text())
VERSION = next((flag.removeprefix("--version=") for flag in sys.argv[3:] if flag.startswith("--version=")), PACKAGE["dependencies"]["nocodb"])
PROGRAM, FOLDER = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve() / VERSION
MUST_RECORD = "--record" in sys.argv[3:]
START_SECONDS = 600

servers = {}


def install():
    """Put NocoDB into the folder, unless it is there; without what its packages would run, but for SQLite's driver."""
    if (FOLDER / "node_modules/sqlite3/build/Release/node_sqlite3.node").exists():
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "package.json").write_text(json.dumps({**PACKAGE, "dependencies": {"nocodb": VERSION}}))
    headers = {"npm_config_nodedir": "/usr"} if os.path.exists("/usr/include/node/node.h") else {}
    for command in (["install", "--ignore-scripts", "--omit=dev", "--omit=optional", "--no-audit", "--no-fund"], ["rebuild", "sqlite3"]):
        subprocess.run(["npm", *command], cwd=FOLDER, env={**os.environ, **headers}, check=True, stdout=subprocess.DEVNULL)


def postgres_url():
    """The cluster's URL, as NocoDB writes it."""
    parts = urllib.parse.urlsplit(os.environ["WEIR_TEST_PG_URL"])
    user, password = (urllib.parse.quote(urllib.parse.unquote(text), safe="") for text in (parts.username, parts.password))
    return f"pg://{parts.hostname}:{parts.port}?u={user}&p={password}&d={parts.path[1:]}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def started(database):
    """A NocoDB in a directory of its own, from which it finds its package and so its version."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="weir-nocodb-") as directory, open(directory + "/log", "w+") as log:
        os.symlink(FOLDER / "node_modules", directory + "/node_modules")
        environment = {"PORT": str(port), "NC_DISABLE_TELE": "true", "NC_ADMIN_EMAIL": live.EMAIL, "NC_ADMIN_PASSWORD": live.PASSWORD,
                       "NODE_PATH": str(FOLDER / "node_modules"), **({"NC_DB": postgres_url()} if database == "postgresql" else {})}
        process = subprocess.Popen(["node", str(HERE / "start.js")], cwd=directory, env={**os.environ, **environment}, stdout=log, stderr=log)
        try:
            yield process, port, directory + "/log"
        finally:
            process.kill()
            process.wait()


def wait_until_ready(process, log):
    end = time.monotonic() + START_SECONDS
    while "NocoDB is ready" not in pathlib.Path(log).read_text():
        assert process.poll() is None and time.monotonic() < end, pathlib.Path(log).read_text()[-2000:]
        time.sleep(0.2)


class Recorder(Server):
    """Stands between weir and a NocoDB: gives its base, tables and token the names that the cases know, and keeps what was answered."""

    def __init__(self, nocodb):
        self.nocodb, self.answers, self.version = nocodb, {}, VERSION
        self.names = {nocodb.base: "base", nocodb.table: "things", nocodb.many: "many", nocodb.other: "others", nocodb.big: "big"}
        super().__init__()

    def rename(self, text, back=False):
        for name, known in self.names.items():
            text = "/".join(name if part == known else part for part in text.split("/")) if back else text.replace(name, known)
        return text if back else text.replace(self.nocodb.origin, "http://nocodb.example")

    @staticmethod
    def without_details(target, body):
        """Of bases and tables only what they are called; a list of them tells of users and servers."""
        if "/meta/bases" not in target or b'"list"' not in body:
            return body
        answer = json.loads(body)
        answer["list"] = [{name: each[name] for name in ("id", "title")} for each in answer["list"]]
        return json.dumps(answer, separators=(",", ":")).encode()

    def ask(self, target, has_token):
        path, _, query = target.partition("?")
        connection = http.client.HTTPConnection("127.0.0.1", urllib.parse.urlsplit(self.nocodb.origin).port, timeout=60)
        try:
            token = self.nocodb.token if has_token else "wrong-token"
            connection.request("GET", self.rename(path, back=True) + "?" * bool(query) + query, headers={"xc-token": token})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def take(self, target, has_token):
        status, body = self.ask(target, has_token)
        body = self.rename(self.without_details(target, body).decode())
        with self.lock:
            self.answers[target, has_token] = status, body
        return status, body

    def answer(self, request):
        status, body = self.take(request.target, request.headers.get("xc-token") == TOKEN)
        return status, {"Content-Type": "application/json"}, body.encode()

    def greet(self, request):
        return self.answer(request)

    def own(self, target):
        """What NocoDB answers to somebody else than weir."""
        status, body = self.take(target, True)
        assert status == 200, (target, status, body[:300])
        return json.loads(body)

    def write(self, path):
        bodies = sorted({body for _, body in self.answers.values()})
        answers = [[target, has_token, status, bodies.index(body)] for (target, has_token), (status, body) in sorted(self.answers.items())]
        lines = [f'{{"version":{json.dumps(self.version)},', '"answers":[', ",\n".join(json.dumps(each, ensure_ascii=False) for each in answers), '],\n"bodies":[',
                 ",\n".join(json.dumps(each, ensure_ascii=False) for each in bodies), "]}"]
        path.write_text("\n".join(lines) + "\n")


def check_all(database, api):
    recorder = servers[database]
    with nocodb_cases.Asker(PROGRAM, recorder, api) as asker:
        for check in nocodb_cases.CHECKS:
            check(asker)


def test_verify_proves_token_base_and_row():
    for recorder in servers.values():
        nocodb_cases.check_verify(PROGRAM, recorder.url)


def main():
    install()
    databases = [name for name in nocodb_cases.DATABASES if name == "sqlite" or "WEIR_TEST_PG_URL" in os.environ]
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(started(name)) for name in databases}
        for name, (process, port, log) in running.items():
            wait_until_ready(process, log)
            servers[name] = stack.enter_context(Recorder(live.Live(f"http://127.0.0.1:{port}").prepare()))
        tests = [test for test in nocodb_cases.tests(check_all) if test.__name__.rpartition("_")[2] in databases]
        status = tap.main(tests + [test_verify_proves_token_base_and_row])
        if MUST_RECORD and status == 0:
            folder = HERE.parent / "integration/recorded"
            folder.mkdir(exist_ok=True)
            for name, recorder in servers.items():
                recorder.write(folder / f"nocodb_{name}.json")
    sys.exit(status)


if __name__ == "__main__":
    main()
