#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples run and print what the comment at their head says they print; within with_postgres.sh, those that can, there.

Arguments: pairs of source and program.
"""
import os
import pathlib
import re
import subprocess
import sys

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
