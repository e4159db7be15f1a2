#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the whole test matrix, or some of its steps, suites or tests; the last line is `N passed, N failed`.

Each step is one build directory and the meson suites that run in it. Every TAP subtest counts as one test; so does a
build, a static check, and a test program that died, hung or broke off before its plan.
"""
import argparse
import concurrent.futures
import dataclasses
import fnmatch
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

TREE = pathlib.Path(__file__).resolve().parent.parent
MESON = "/usr/bin/meson" if os.access("/usr/bin/meson", os.X_OK) else "meson"
TIDY_VERSION = 14
STEP_SECONDS = 2400  # no step can outlast the time the whole matrix is given; gcc's takes some 1,200 on two cores
RESULT_LINE = re.compile(r"^(not )?ok\b(?P<rest>.*)$")
SKIPPED = re.compile(r"#\s*(skip|todo)\b", re.IGNORECASE)

@dataclass
class Build:
    """One build directory, and which tests run in it."""
    name: str
    compiler: str
    suites: tuple = ()  # all, if none is named
    tests: tuple = ()  # of the suites, or all
    names: tuple = ()  # which of a test's functions run, or all
    flags: tuple = ()
    environment: dict = field(default_factory=dict)
    patience: int = 1  # multiplies every test's timeout
    is_partial: bool = False  # build what the tests run, and no more
    is_sanitized: bool = False


SANITIZER_FLAGS = ("-Db_lundef=false", "-Dc_args=['-fno-sanitize-recover=all','-fno-omit-frame-pointer']")
# The suite "sanitizers" has tests of other suites that are quick enough for these builds.
MATRIX = [
    Build("gcc", "gcc"),
    Build("clang", "clang", suites=("unit",)),
    Build("asan", "clang", suites=("unit", "stress", "fuzz", "sanitizers"), patience=4, is_partial=True, is_sanitized=True,
          flags=("-Db_sanitize=address,undefined", *SANITIZER_FLAGS),
          environment={"ASAN_OPTIONS": "detect_stack_use_after_return=1", "UBSAN_OPTIONS": "print_stacktrace=1"}),
    Build("tsan", "clang", suites=("unit", "stress", "sanitizers"), patience=4, is_partial=True, is_sanitized=True,
          flags=("-Db_sanitize=thread", *SANITIZER_FLAGS),
          environment={"TSAN_OPTIONS": "halt_on_error=1 second_deadlock_stack=1"}),
]
STEPS = [*(build.name for build in MATRIX), "tidy", "format"]
COVERAGE = Build("coverage", "gcc", suites=("unit", "db", "http", "server", "web", "stress"), patience=2, is_partial=True,
                 flags=("-Db_coverage=true",), environment={"WEIR_TEST_COVERAGE": "1"})
COVERED = ("src", "server", "cli")


class Tally:
    """What passed and what failed so far."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def one(self, good, name):
        """Count one check that has no subtests."""
        self.add(int(good), int(not good))
        if not good:
            print(f"FAILED: {name}", flush=True)


def end(process):
    """Stop a process group; meson gets a while to stop its tests, which run in groups of their own."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        return process.communicate(timeout=15)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0]


def execute(command, environment=None, quiet=False):
    """Run to the end or to the step's limit; returns (succeeded, output if quiet). Takes its children along."""
    process = subprocess.Popen(
        command, cwd=TREE, stdin=subprocess.DEVNULL, start_new_session=True, errors="replace", text=True,
        env={**os.environ, **(environment or {})}, stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE if quiet else None)
    try:
        output, _ = process.communicate(timeout=STEP_SECONDS)
    except BaseException as stopped:  # also Ctrl-C: the tests must not outlive us
        output = end(process)
        if not isinstance(stopped, subprocess.TimeoutExpired):
            raise
        print(f"no end after {STEP_SECONDS} s: {' '.join(map(str, command))}")
    return process.returncode == 0, output or ""


def steady():
    """A prefix that keeps addresses where sanitizers of this age expect them, where the kernel lets us."""
    prefix = ["setarch", "-R"]
    usable = shutil.which("setarch") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0
    return prefix if usable else []


def configure(build, directory):
    """Set the build directory up if need be. Warnings are errors here, on every machine. Returns (succeeded, output)."""
    if (directory / "build.ninja").exists():
        return execute(["ninja", "-C", directory, "build.ninja"], quiet=True)
    return execute([MESON, "setup", directory, "-Dwerror=true", *build.flags], {"CC": build.compiler}, quiet=True)


def targets_of(build, directory):
    """What ninja is to make: nothing in particular, which is all, or what the build's tests run. Returns (succeeded, targets)."""
    if not build.is_partial:
        return True, []
    chosen = ["tests", *build.tests] if build.tests else ["suites", *build.suites]
    good, output = execute([sys.executable, TREE / "tools/targets.py", directory, *chosen], quiet=True)
    return good, output.split()


def compile_build(build, directory):
    """Build what is to be built."""
    good, targets = targets_of(build, directory)
    good, output = execute(["ninja", "-C", directory, *targets], quiet=True) if good else (False, "\n".join(targets))
    if not good:
        print(output[-20000:])
    return good


def tests_called(directory, wanted):
    """The tests with this name, or like it where it has a * or a ?, or whose program or file is called so."""
    stem = pathlib.Path(wanted).stem
    described = json.loads((directory / "meson-info/intro-tests.json").read_text())
    return tuple(test["name"] for test in described if fnmatch.fnmatchcase(test["name"], wanted)
                 or any(pathlib.Path(word).stem == stem for word in test["cmd"]))


def count(test):
    """(passed, failed, skipped) of one entry of meson's log."""
    passed = failed = skipped = 0
    for line in (test.get("stdout") or "").splitlines():
        match = RESULT_LINE.match(line)
        if not match:
            continue
        if SKIPPED.search(match["rest"]):
            skipped += 1
        elif match[1]:
            failed += 1
        else:
            passed += 1
    good = test["result"] in ("OK", "SKIP", "EXPECTEDFAIL")
    if not good and not failed:
        failed = 1  # it died, hung or broke its plan without admitting a failure
    if good and not passed + skipped:
        passed, skipped = (0, 1) if test["result"] == "SKIP" else (1, 0)
    return passed, failed, skipped


def show(test):
    """All that a test said."""
    print(f"\n--- {test['name']}: {test['result']} (status {test.get('returncode')}, {test['duration']:.1f} s)")
    for stream in ("stdout", "stderr"):
        print((test.get(stream) or "")[-20000:], end="")
    print("---", flush=True)


def run_tests(build, directory, tally):
    """Run the build's suites and add up the log that meson leaves."""
    for old in directory.glob("meson-logs/testlog*"):
        old.unlink()
    choice = [argument for suite in build.suites for argument in ("--suite", suite)]
    choice += [f"--test-args=-k {shlex.quote(name)}" for name in build.names]
    wrapper = steady() if build.is_sanitized else []
    good, _ = execute([*wrapper, MESON, "test", "-C", directory, "--no-rebuild", "--timeout-multiplier",
                       str(build.patience), *choice, *build.tests], build.environment)
    logs = list(directory.glob("meson-logs/testlog*.json"))
    tests = [json.loads(line) for log in logs for line in log.read_text().splitlines() if line.strip()]
    failed_before = tally.failed
    for test in tests:
        passed, failed, skipped = count(test)
        tally.add(passed, failed, skipped)
        if failed or build.tests:
            show(test)
    if not good and tally.failed == failed_before:
        tally.one(False, f"{build.name}: meson test failed outside of any test")


def sources():
    """The C files of the tree."""
    return execute([TREE / "tools/sources.sh"], quiet=True)[1].split()


def skip(tally, why):
    """A step that this machine cannot judge."""
    print(f"skipped: {why}")
    tally.add(0, 0, skipped=1)


def check_static(directory, tally):
    """clang-tidy over every compiled file, as many at a time as there are processors, in the version whose checks
    .clang-tidy was written for: each later one brings others, and takes what an older one sees otherwise."""
    version = execute(["clang-tidy", "--version"], quiet=True)[1]
    if f"version {TIDY_VERSION}." not in version:
        skip(tally, f"clang-tidy {TIDY_VERSION} is wanted, and this is another: {' '.join(version.split())}")
        return
    database = directory / "compile_commands.json"
    compiled = {entry["file"] for entry in json.loads(database.read_text())} if database.exists() else set()
    files = [name for name in sources() if os.path.relpath(TREE / name, directory) in compiled]

    def tidy(name):
        # The file that defines what the header replaces does without it.
        hints = [] if name == "src/base/error.c" else [f"--extra-arg-before=-include{TREE / 'tools/analyzer.h'}"]
        return execute(["clang-tidy", "-p", directory, "--quiet", "--warnings-as-errors=*", *hints, name], quiet=True)

    all_good = bool(files)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, (good, output) in zip(files, pool.map(tidy, files)):
            if not good:
                all_good = False
                print(f"{name}\n{output}")
    tally.one(all_good, f"clang-tidy, {len(files)} files")


def check_format(tally):
    """clang-format decides the layout, in the one version whose layout it is."""
    done = subprocess.run([TREE / "tools/format.sh", "--check"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=STEP_SECONDS)
    if done.returncode == 77:
        skip(tally, done.stdout.strip())
        return
    if done.returncode:
        print(done.stdout[-8000:])
        print("`make format` mends this")
    tally.one(done.returncode == 0, "clang-format")


def step(title, work, tally):
    """Run one step, say how long it took, and let no error of the script itself pass for success."""
    print(f"\n== {title}", flush=True)
    before, start = (tally.passed, tally.failed, tally.skipped), time.monotonic()
    try:
        work()
    except Exception as error:
        tally.one(False, f"{title}: {error!r}")
    passed, failed, skipped = (now - then for now, then in zip((tally.passed, tally.failed, tally.skipped), before))
    print(f"== {title}: {passed} passed, {failed} failed, {skipped} skipped in {time.monotonic() - start:.0f} s",
          flush=True)


def run_build(build, tally, prefix):
    directory = TREE / f"{prefix}-{build.name}"
    good, output = configure(build, directory)
    if not good:
        print(output)
    elif build.tests:
        (wanted,) = build.tests
        build = dataclasses.replace(build, tests=tests_called(directory, wanted))
        if not build.tests:
            print(f"no test is called {wanted!r}; `meson test -C {directory.name} --list` names them all")
            good = False
    good = good and compile_build(build, directory)
    tally.one(good, f"{build.name}: build")
    if good:
        run_tests(build, directory, tally)


def measure_coverage(directory):
    """Read what ran of each file; returns {file: (lines that ran, lines)}."""
    command = ["gcovr", "--root", TREE, "--object-directory", directory, "--json-summary", "-",
               *(f"--filter={TREE}/{folder}/" for folder in COVERED), directory]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {entry["filename"]: (entry["line_covered"], entry["line_total"]) for entry in json.loads(done.stdout)["files"] if entry["line_total"]}


def show_coverage(files):
    """A line for each room, the files with the most lines that no test ran, and the whole."""
    rooms = {}
    for name, (ran, lines) in files.items():
        room = str(pathlib.Path(name).parent)
        before = rooms.get(room, (0, 0))
        rooms[room] = (before[0] + ran, before[1] + lines)
    for room, (ran, lines) in sorted(rooms.items()):
        print(f"{100 * ran / lines:6.1f} %  {room}: {ran} of {lines} lines")
    print("the files with the most lines that did not run:")
    for name, (ran, lines) in sorted(files.items(), key=lambda entry: entry[1][0] - entry[1][1])[:15]:
        print(f"{100 * ran / lines:6.1f} %  {name}: {lines - ran}")
    ran, lines = (sum(column) for column in zip(*files.values()))
    print(f"coverage: {100 * ran / lines:.1f} % of {lines} lines")


def run_coverage(build, tally, prefix):
    """The tests in a build that counts which lines ran, and what it counted. What a killed process ran is not counted."""
    if shutil.which("gcovr") is None:
        print("gcovr is missing: `tools/packages.sh coverage` installs it")
        tally.one(False, "coverage: gcovr")
        return
    directory = TREE / f"{prefix}-{build.name}"
    for old in directory.rglob("*.gcda"):
        old.unlink()
    run_build(build, tally, prefix)
    show_coverage(measure_coverage(directory))


def arguments():
    """The command line, with what is left out filled in."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="STEPS", help=f"some of the steps, with commas between: {', '.join(STEPS)}")
    parser.add_argument("--suites", help="some suites, with commas between; only what they need is built; with gcc if no step is named")
    parser.add_argument("--test", metavar="NAME", help="one test, or the tests like a pattern, or those of one program or file; all that it says is shown")
    parser.add_argument("-k", metavar="NAME", help="of that test, the functions whose name contains NAME, or is like it where it has a * or a ?")
    parser.add_argument("--coverage", action="store_true",
                        help=f"instead of the matrix: which lines ran, with gcov, in {', '.join(COVERAGE.suites)} or the suites named")
    parser.add_argument("--builds", default=os.environ.get("BUILD") or "build", metavar="PREFIX",
                        help="build directories are PREFIX-gcc, …; without it BUILD of the environment, as for make")
    options = parser.parse_args()
    if options.k and not options.test:
        parser.error("-k chooses among the functions of one test: --test names it")
    options.is_narrow = bool(options.suites or options.test)
    options.steps = (options.only or ("gcc" if options.is_narrow else ",".join(STEPS))).split(",")
    if unknown := set(options.steps) - set(STEPS):
        parser.error(f"no such step: {', '.join(sorted(unknown))}")
    return options


def narrowed(build, options):
    """The build with only the suites or the test that were asked for."""
    if not options.is_narrow:
        return build
    return dataclasses.replace(build, is_partial=True, suites=tuple(filter(None, (options.suites or "").split(","))),
                               tests=(options.test,) if options.test else (), names=(options.k,) if options.k else ())


def main():
    options = arguments()
    tally, start = Tally(), time.monotonic()

    if options.coverage:
        options.steps = []
        step("coverage", lambda: run_coverage(narrowed(COVERAGE, options), tally, options.builds), tally)
    for build in (narrowed(build, options) for build in MATRIX if build.name in options.steps):
        step(f"{build.name}: {', '.join(build.tests or build.suites) or 'every suite'}",
             lambda build=build: run_build(build, tally, options.builds), tally)
    if "tidy" in options.steps:
        step("clang-tidy", lambda: check_static(TREE / f"{options.builds}-clang", tally), tally)
    if "format" in options.steps:
        step("clang-format", lambda: check_format(tally), tally)

    print(f"\n{time.monotonic() - start:.0f} s in all, {tally.skipped} skipped")
    print(f"{tally.passed} passed, {tally.failed} failed", flush=True)
    return 1 if tally.failed or not tally.passed + tally.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
