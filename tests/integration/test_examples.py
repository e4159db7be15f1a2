#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples run and print what the comment at their head says they print; within with_postgres.sh, those that can, there.

Arguments: pairs of source and program.
"""
import http.server
import os
import pathlib
import re
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import tap

PROGRAMS = dict(zip(sys.argv[1::2], sys.argv[2::2]))


def promised(source):
    """The indented lines below `Prints:` in the comment at the head."""
    comment = pathlib.Path(source).read_text().split("*/")[1]
    lines = comment.split(" * Prints:\n")[1].splitlines()
    return [line.removeprefix(" *     ") for line in lines if line.startswith(" *     ")]


def check(program, source, *arguments):
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr}"
    assert done.stdout.splitlines() == promised(source), f"printed\n{done.stdout}promised\n" + "\n".join(promised(source))
    assert not done.stderr, done.stderr


def of(name):
    return next((program, source) for source, program in PROGRAMS.items() if pathlib.Path(source).stem == name)


def test_every_example_of_the_tree_is_run():
    folder = pathlib.Path(next(iter(PROGRAMS))).parent
    assert sorted(path.stem for path in folder.glob("*.c")) == sorted(pathlib.Path(source).stem for source in PROGRAMS)


def test_pool_anything_prints_what_it_promises():
    check(*of("pool_anything"))


def test_transaction_prints_what_it_promises():
    check(*of("transaction"))


def test_events_prints_what_it_promises():
    check(*of("events"))


class Tired(http.server.BaseHTTPRequestHandler):
    """Answers the first two requests to each path with 503, and says hello to the third."""
    protocol_version = "HTTP/1.1"
    seen = []

    def do_GET(self):
        self.seen.append(self.path)
        is_up = self.seen.count(self.path) > 2 and self.path == "/"
        body = b"hello\n" if is_up else b"later\n"
        self.send_response(200 if is_up else 503 if self.path == "/" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_http_get_prints_what_it_promises_and_fails_with_the_status_of_what_is_not_there():
    program, source = of("http_get")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tired) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        check(program, source, url)
        done = subprocess.run([program, url + "nowhere?key=secret"], capture_output=True, text=True, timeout=60)
        server.shutdown()
    assert done.returncode == 1 and done.stdout == "attempt 1: 404\n", done
    assert done.stderr == "not-found: status 404\n", done.stderr


def test_a_transaction_that_cannot_connect_says_why_and_fails():
    program, _ = of("transaction")
    done = subprocess.run([program, "sqlite:////no/such/folder/x.db"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and re.match(r"connect: .*create it first", done.stderr), done.stderr


def transaction_prints_the_same_on_postgresql():
    check(*of("transaction"), os.environ["WEIR_TEST_PG_URL"])


if __name__ == "__main__":
    if "WEIR_TEST_PG_URL" in os.environ:
        sys.exit(tap.main([transaction_prints_the_same_on_postgresql]))
    tap.run_module(globals())
