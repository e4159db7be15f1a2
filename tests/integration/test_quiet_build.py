# SPDX-License-Identifier: MIT
"""tools/quiet_build.sh: one line of progress, and everything the tools said when they fail."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import tap
from terminal import shown_on_a_terminal

SCRIPT = os.path.abspath(sys.argv[1])
NINJA = """#!/bin/sh
echo "ninja: Entering directory $2"
[ -e nothing ] && { echo 'ninja: no work to do.'; exit 0; }
for step in 1 2 3; do echo "${NINJA_STATUS%%%f*}$step/3] Compiling C object part_$step.c.o"; done
echo 'part.c:1:2: warning: noise' >&2
[ ! -e broken ] || { echo 'FAILED: part.o' >&2; exit 7; }
"""


class Place:
    """A directory with a ninja that plays a build, and a word that configures it."""

    def __init__(self, *marks, setup="echo 'Found pkg-config: yes'; echo noise >&2; mkdir -p out; touch out/build.ninja"):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="weir-quiet-"))
        (self.path / "ninja").write_text(NINJA)
        (self.path / "ninja").chmod(0o755)
        for mark in marks:
            (self.path / mark).touch()
        self.setup = setup

    def build(self, stderr=subprocess.PIPE):
        environment = {**os.environ, "PATH": f"{self.path}:{os.environ['PATH']}"}
        return subprocess.run(["sh", SCRIPT, "out", "a-target", "sh", "-c", self.setup], cwd=self.path, env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=stderr, timeout=30, stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        shutil.rmtree(self.path)


def test_where_nothing_can_be_written_over_it_is_one_line():
    with Place() as place:
        done = place.build()
        assert (done.returncode, done.stdout) == (0, "") and done.stderr == "Building weir, for a minute or so\n", done
        assert place.build().stderr.count("\n") == 1, "configured already"


def test_what_is_built_already_is_not_spoken_of():
    with Place("nothing") as place:
        place.build()
        done = place.build()
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done


def test_on_a_terminal_the_line_is_written_over_and_gone_in_the_end():
    with Place() as place:
        done, text = shown_on_a_terminal(lambda terminal: place.build(stderr=terminal))
        assert done.returncode == 0 and "\n" not in text, repr(text)
        assert [line.removeprefix("\x1b[K") for line in text.split("\r")] == [
            "", "Building weir: looking at what is here", "Building weir: [1/3]", "Building weir: [2/3]", "Building weir: [3/3]", ""], text


def test_what_fails_says_everything_and_ends_with_1():
    with Place("broken") as place:
        done = place.build()
        assert done.returncode == 1 and done.stdout == "" and "FAILED: part.o" in done.stderr and "warning: noise" in done.stderr, done
    with Place(setup="echo 'Dependency \"jansson\" not found'; exit 3") as place:
        done = place.build()
        assert done.returncode == 1 and 'Dependency "jansson" not found' in done.stderr and "Compiling" not in done.stderr, done


def test_make_run_builds_with_it_and_with_nothing_else():
    """GNU make prints what it would do; lines that are about another directory are its own."""
    command = ["make", "-n", "--no-print-directory", "run", "BUILD=a-build"]
    done = subprocess.run(command, cwd=pathlib.Path(SCRIPT).parents[1], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))})
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done
    assert [line for line in lines if line.startswith("tools/quiet_build.sh a-build cli/weir ")] != [], lines
    for line in lines:
        words = [word.rsplit("/", 1)[-1] for word in line.split()]
        assert "tools/quiet_build.sh" in line or not {"ninja", "meson"} & set(words), line


if __name__ == "__main__":
    tap.run_module(globals())
