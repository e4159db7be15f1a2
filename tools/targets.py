#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Print the ninja targets of a configured build directory that somebody needs: all that is installed, or what tests run.

    tools/targets.py BUILD installed
    tools/targets.py BUILD suites unit fuzz
    tools/targets.py BUILD tests pool_events
"""
import json
import os
import pathlib
import sys


def described(build, what):
    return json.loads((build / f"meson-info/intro-{what}.json").read_text())


def names_of(test, what):
    """What a test is called by: its own name or those of its suites."""
    return {test["name"]} if what == "tests" else {suite.split(":")[-1] for suite in test["suite"]}


def main():
    if len(sys.argv) < 3 or sys.argv[2] not in ("installed", "suites", "tests"):
        sys.exit(__doc__.strip())
    build, what, wanted = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    targets = described(build, "targets")
    if what == "installed":
        chosen = [target for target in targets if target["installed"]]
    else:
        needed = {target for test in described(build, "tests") if names_of(test, what) & set(wanted) for target in test["depends"]}
        chosen = [target for target in targets if target["id"] in needed]
    for target in chosen:
        for name in target["filename"]:
            print(os.path.relpath(name, build.resolve()))


if __name__ == "__main__":
    main()
