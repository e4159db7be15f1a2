# SPDX-License-Identifier: MIT
"""TAP for the tests that drive processes: each function named test_* is one test, its name the sentence it proves."""
import sys
import traceback


class Skip(Exception):
    """Raised by a test that cannot run here; its text says why."""


def main(tests):
    """Run the callables in order, print TAP, return the exit status."""
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        name = test.__name__.removeprefix("test_")
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
