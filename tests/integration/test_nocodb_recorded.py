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
        self.version = record["version"]
        super().__init__()

    def answer(self, request):
        recorded = self.answers.get((request.target, request.headers.get("xc-token") == TOKEN))
        if recorded is None:
            self.unknown.append(request.target)
            raise LookupError(request.target)
        status, body = recorded
        return status, {"Content-Type": "application/json"}, self.bodies[body].encode()

    def greet(self, request):
        return self.answer(request)

    def own(self, target):
        status, body = self.answers[target, True]
        assert status == 200, (target, status)
        return json.loads(self.bodies[body])


def check_all(name, api):
    with Recorded(name) as site, nocodb_cases.Asker(PROGRAM, site, api) as asker:
        for check in nocodb_cases.CHECKS:
            try:
                check(asker)
            finally:
                assert not site.unknown, f"not recorded: {site.unknown}"


def test_verify_proves_token_base_and_row():
    for name in nocodb_cases.DATABASES:
        with Recorded(name) as site:
            nocodb_cases.check_verify(PROGRAM, site.url)


if __name__ == "__main__":
    sys.exit(tap.main(nocodb_cases.tests(check_all) + [test_verify_proves_token_base_and_row]))
