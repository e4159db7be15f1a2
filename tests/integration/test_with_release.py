#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/with_release.sh refuses at once what it cannot do; that it runs commands takes a mirror of Debian's and minutes.

Argument: the script.
"""
import os
import subprocess
import sys
import tempfile

import tap

SCRIPT = sys.argv[1]


def run(*arguments, as_nobody=False):
    """The script read from its standard input: nobody need not be able to reach the tree."""
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if as_nobody and os.getuid() == 0 else []
    with open(SCRIPT) as script, tempfile.TemporaryDirectory() as releases:
        done = subprocess.run([*drop, "sh", "-s", "--", *arguments], stdin=script, capture_output=True, text=True, cwd="/",
                              timeout=60, env={**os.environ, "WEIR_RELEASES": releases})
        assert not os.listdir(releases), os.listdir(releases)
    return done


def refuses(done, *words):
    assert done.returncode == 2, done
    assert "usage: " in done.stderr and all(word in done.stderr for word in words), done.stderr


def test_a_release_that_it_does_not_know_is_refused_by_name():
    for name in ("woody", "Trixie", "trixie-bare", "../trixie", ""):
        refuses(run(name, "true"), *([f'unknown release "{name}"'] if name else []))
    refuses(run("--bear", "trixie", "true"), 'unknown release "--bear"')


def test_without_a_command_it_says_how_it_is_called():
    for arguments in ((), ("trixie",), ("--bare",), ("--bare", "forky")):
        refuses(run(*arguments), "bookworm|trixie|forky|sid")


def test_without_root_it_says_that_it_needs_root_and_makes_nothing():
    for arguments in (("trixie", "true"), ("forky", "make", "test"), ("--bare", "bookworm", "true")):
        done = run(*arguments, as_nobody=True)
        assert done.returncode == 1 and "only root can enter another release" in done.stderr, done


if __name__ == "__main__":
    tap.run_module(globals())
