# SPDX-License-Identifier: MIT
"""What `make check` needs and builds: the packages that are missing are named, and only what its tests run is built."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import tap

TREE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(sys.argv[1])
PACKAGES = [line.split()[:2] for line in (TREE / "tools/packages.txt").read_text().splitlines() if not line.startswith("#")]


def run_without(command, missing, provided=()):
    """Where dpkg-query knows all packages of the list but these, and nothing can be installed."""
    lines = [f"installed {name}" for _, name in PACKAGES if name not in missing] + list(provided)
    lines += [f"config-files {name}" for name in missing]  # removed, but not purged
    with tempfile.TemporaryDirectory(prefix="weir-packages-") as directory:
        for name, text in (("dpkg-query", "cat <<'END'\n" + "\n".join(lines) + "\nEND"), ("apt-get", f"touch '{directory}/called'"),
                           ("sudo", f"touch '{directory}/called'")):
            path = pathlib.Path(directory) / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        environment["PATH"] = f"{directory}:{environment['PATH']}"
        done = subprocess.run(command, cwd=TREE, env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert not (pathlib.Path(directory) / "called").exists(), "something was to be installed"
        return done


def say_missing(missing, provided=()):
    done = run_without(["tools/packages.sh", "--missing", "build", "check"], missing, provided)
    assert done.returncode == 0 and done.stdout == "", done
    return done.stderr


def test_a_missing_package_is_named_and_how_to_have_it_installed():
    for missing in (["g++"], ["libpq-dev"], ["gcc", "clang"]):
        said = say_missing(missing)
        assert "`make deps`" in said and said.split(": ")[-1].split() == missing, said


def test_nothing_is_said_when_none_is_missing_or_only_one_of_another_set():
    assert say_missing([]) == ""
    assert say_missing(["chromium", "postgresql"]) == ""


def test_what_another_package_provides_is_not_missing():
    assert say_missing(["g++"], ["installed another-compiler c-compiler, g++ (= 4:12)"]) == ""


def test_make_check_that_fails_says_what_is_missing():
    done = run_without(["make", "--no-print-directory", "check", "PYTHON=false"], ["g++"])
    assert done.returncode != 0 and "g++" in done.stderr and "`make deps`" in done.stderr, done


def command_of(*words):
    """What make runs for them."""
    return run_without(["make", "-n", "--no-print-directory", *words, "PYTHON=python3"], []).stdout.split("||")[0].split()


def test_make_check_runs_the_unit_tests_and_those_of_the_tree_or_one_test():
    assert command_of("check") == ["python3", "tests/run_all.py", "--only", "gcc,format", "--suites", "unit,tree"]
    assert command_of("check", "T=pool") == ["python3", "tests/run_all.py", "--test", "'pool'"]
    assert command_of("check", "T=pool", "N=a_closed*") == ["python3", "tests/run_all.py", "--test", "'pool'", "-k", "'a_closed*'"]


def targets_of(what, *names):
    done = subprocess.run([TREE / "tools/targets.py", BUILD, what, *names], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def programs_of(suite):
    """The programs in the build directory that the tests of a suite run, as ninja names them."""
    found = set()
    for test in json.loads((BUILD / "meson-info/intro-tests.json").read_text()):
        if suite in {name.split(":")[-1] for name in test["suite"]}:
            paths = [pathlib.Path(word) for word in test["cmd"] if word.startswith(f"{BUILD}/")]
            found |= {str(path.relative_to(BUILD)) for path in paths if path.suffix != ".py"}
    return found


def test_for_the_unit_tests_no_others_are_built():
    unit, more = targets_of("suites", "unit"), targets_of("suites", "unit", "db", "http")
    assert "tests/unit/test_pool" in unit and programs_of("unit") <= unit, programs_of("unit") - unit
    assert [name for name in unit if not name.startswith("tests/unit/") and name.startswith("tests/")] == [], unit
    assert "tests/integration/test_http_bodies" in more - unit or "tests/integration/test_db_both" in more - unit


def test_for_one_test_only_its_program_is_built():
    assert [name for name in targets_of("tests", "pool_events") if name.startswith("tests/")] == ["tests/unit/test_pool_events"]


if __name__ == "__main__":
    tap.run_module(globals())
