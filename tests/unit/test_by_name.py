#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One test by name: a program of C and one of Python run the tests that are chosen with -k, and no others.

Argument: a C compiler.
"""
import pathlib
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/integration"))
import tap

COMPILER = sys.argv[1]
SCRATCH = tempfile.TemporaryDirectory(prefix="weir-by-name-")
C_PROGRAM = """
#include "check.h"
static void a_pool_opens(void) { check(1); }
static void a_pool_closes(void) { check(1); }
static void a_breaker_opens(void) { check(0); }
static void a_standby_answers(void) {}
int main(int argc, char **argv)
{
    run(a_pool_opens);
    run(a_pool_closes);
    run(a_breaker_opens);
    if (argc == 2 && strcmp(argv[1], "with-standby") == 0)
        run(a_standby_answers);
    else
        check_skip(a_standby_answers, "there is none");
    return check_done();
}
"""
PYTHON_PROGRAM = f"""
import sys
sys.path.insert(0, {str(TREE / "tests/integration")!r})
import tap
assert sys.argv[1:] == ["its", "own"], sys.argv
def test_a_pool_opens(): pass
def test_a_pool_closes(): pass
def test_a_breaker_opens(): assert False
def test_a_standby_answers(): raise tap.Skip("there is none")
tap.run_module(globals())
"""


def programs():
    """The command of each program."""
    folder = pathlib.Path(SCRATCH.name)
    if not (folder / "in_c").exists():
        (folder / "in_c.c").write_text(C_PROGRAM)
        subprocess.run([COMPILER, "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", f"-I{TREE}/tests", folder / "in_c.c", "-o", folder / "in_c"],
                       check=True)
        (folder / "in_python.py").write_text(PYTHON_PROGRAM)
    return [[folder / "in_c"], [sys.executable, "-B", folder / "in_python.py", "its", "own"]]


def ran(command, *choices):
    """(exit status, names that were run, standard error)."""
    done = subprocess.run([*command, *(part for choice in choices for part in ("-k", choice))], capture_output=True, text=True, timeout=60)
    results = [line.split(" - ")[1].split(" # ")[0] for line in done.stdout.splitlines() if line.startswith(("ok ", "not ok "))]
    assert done.returncode == 2 or f"1..{len(results)}" in done.stdout.splitlines(), done.stdout
    return done.returncode, results, done.stderr


def test_without_a_name_all_tests_run():
    for command in programs():
        assert ran(command)[:2] == (1, ["a_pool_opens", "a_pool_closes", "a_breaker_opens", "a_standby_answers"])


def test_a_part_of_a_name_a_whole_one_and_a_pattern_choose():
    for command in programs():
        assert ran(command, "pool_closes") == (0, ["a_pool_closes"], "")
        assert ran(command, "pool") == (0, ["a_pool_opens", "a_pool_closes"], "")
        assert ran(command, "a_breaker_opens")[:2] == (1, ["a_breaker_opens"])
        assert ran(command, "*_opens")[:2] == (1, ["a_pool_opens", "a_breaker_opens"])
        assert ran(command, "a_p??l_c*") == (0, ["a_pool_closes"], "")
        assert ran(command, "standby") == (0, ["a_standby_answers"], "")


def test_several_names_choose_all_that_are_like_one_of_them():
    for command in programs():
        assert ran(command, "closes", "standby") == (0, ["a_pool_closes", "a_standby_answers"], "")


def test_a_name_of_no_test_ends_with_status_2_and_says_so():
    for command in programs():
        for choice in ("no_such_test", "pool*"):
            status, results, said = ran(command, choice)
            assert (status, results) == (2, []) and f"no test is named like '{choice}'" in said, said


if __name__ == "__main__":
    with SCRATCH:
        tap.run_module(globals())
