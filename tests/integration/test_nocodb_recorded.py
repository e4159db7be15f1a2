# SPDX-License-Identifier: MIT
"""NocoDB as it is: what live servers answered to weir, recorded by `make test-nocodb`, and what weir makes of it."""
import json
import os
import pathlib
import sys

import nocodb_cases
import tap
from fake_nocodb import TOKEN, Server

PROGRAM = os.path.abspath(sys.argv[1])
FOLDER = pathlib.Path(__file__).parent / "recorded"


class Recorded(Server):
    """Answers what was recorded, to the letter of the request. What was not asked then has no answer."""

    def __init__(self, name):
        record = json.loads((FOLDER / f"nocodb_{name}.json").read_text())
        self.answers = {(target, has_token): answer for target, has_token, *answer in record["answers"]}
        self.bodies, self.unknown = record["bodies"], []
        super().__init__()

    def answer(self, request):
        recorded = self.answers.get((request.target, request.headers.get("xc-token") == TOKEN))
        if recorded is None:
            self.unknown.append(request.target)
            raise LookupError(request.target)
        status, body = recorded
        return status, {"Content-Type": "application/json"}, self.bodies[body].encode()


def check_all(name, api):
    with Recorded(name) as site, nocodb_cases.Asker(PROGRAM, site.url, api) as asker:
        for check in nocodb_cases.CHECKS:
            try:
                check(asker)
            finally:
                assert not site.unknown, f"not recorded: {site.unknown}"


def test_v1_on_sqlite():
    check_all("sqlite", "v1")


def test_v2_on_sqlite():
    check_all("sqlite", "v2")


def test_v3_on_sqlite():
    check_all("sqlite", "v3")


def test_v1_on_postgresql():
    check_all("postgresql", "v1")


def test_v2_on_postgresql():
    check_all("postgresql", "v2")


def test_v3_on_postgresql():
    check_all("postgresql", "v3")


def test_verify_proves_token_base_and_row():
    for name in ("sqlite", "postgresql"):
        with Recorded(name) as site:
            nocodb_cases.check_verify(PROGRAM, site.url)


if __name__ == "__main__":
    tap.run_module(globals())
