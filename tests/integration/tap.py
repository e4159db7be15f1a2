# SPDX-License-Identifier: MIT
"""TAP for the tests that drive processes: each function named test_* is one test, its name the sentence it proves.

`PROGRAM … -k NAME`, with any number of -k, runs only the tests whose name contains NAME, or matches it where it has
a * or a ?. The exit status is 2 when there is none.
"""
import fnmatch
import sys
import traceback


def take_choices(arguments):
    """Take every `-k NAME` out of a program's arguments, so that its own are left; returns the names."""
    choices = []
    while "-k" in arguments[:-1]:
        place = arguments.index("-k")
        choices.append(arguments[place + 1])
        del arguments[place:place + 2]
    return choices


CHOICES = take_choices(sys.argv)


class Skip(Exception):
    """Raised by a test that cannot run here; its text says why."""


def is_chosen(name):
    """Whether a test is to run: all are, unless some were chosen by name."""
    return not CHOICES or any(fnmatch.fnmatchcase(name, choice) if set(choice) & set("*?") else choice in name for choice in CHOICES)


def name_of(test):
    return test.__name__.removeprefix("test_")


def main(tests):
    """Run the chosen ones of these callables in order, print TAP, return the exit status."""
    tests = [test for test in tests if is_chosen(name_of(test))]
    if CHOICES and not tests:
        print(f"{sys.argv[0]}: no test is named like", *map(repr, CHOICES), file=sys.stderr)
        return 2
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        name = name_of(test)
        try:
            test()
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception:  # a failed check or an unforeseen error: both fail the test
            failed += 1
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            print(f"not ok {number} - {name}", flush=True)
        else:
            print(f"ok {number} - {name}", flush=True)
    return 1 if failed else 0


def run_module(namespace):
    """Run every test_* function of a module in the order of its definition."""
    tests = [f for name, f in namespace.items() if name.startswith("test_") and callable(f)]
    sys.exit(main(tests))
