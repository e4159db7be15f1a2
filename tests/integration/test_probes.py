#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The static probes: those of the page stand in the built libraries with their arguments, and its scripts fit them.

Arguments: the shared libweir, and the shared libweir-http where it is built.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/integration"))
import tap

LIBRARIES = {name: os.path.abspath(path) for name, path in zip(("libweir", "libweir-http"), sys.argv[1:])}
PAGE = (TREE / "docs/monitoring/probes.md").read_text()
SCRIPTS = re.findall(r"^```bpftrace\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ATTACHED = re.compile(r"^usdt:/usr/local/lib/x86_64-linux-gnu/(libweir(?:-http)?)\.so\.0:weir:(\w+)$", re.MULTILINE)


def described():
    """{(library, probe): number of arguments} of the page's table, as far as the libraries are built."""
    rows = re.findall(r"^\| `(\w+)` \| (libweir(?:-http)?) \| ([^|]+) \|", PAGE, re.MULTILINE)
    return {(library, probe): len(arguments.split(",")) for probe, library, arguments in rows if library in LIBRARIES}


def built():
    """{(library, probe): {numbers of arguments at its places}}, as readelf shows them."""
    found = {}
    for library, path in LIBRARIES.items():
        notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=True).stdout
        for provider, probe, arguments in re.findall(r"Provider: (\S+)\n\s+Name: (\S+)\n.*\n\s+Arguments:(.*)", notes):
            assert provider == "weir", provider
            found.setdefault((library, probe), set()).add(len(arguments.split()))
    return found


def test_every_probe_of_the_page_stands_in_its_library_with_as_many_arguments_and_no_other_does():
    assert len(described()) >= 5, described()
    assert built() == {probe: {arguments} for probe, arguments in described().items()}


def test_no_probe_has_a_semaphore_so_it_costs_one_instruction():
    for path in LIBRARIES.values():
        notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=True).stdout
        semaphores = set(re.findall(r"Semaphore: (0x[0-9a-f]+)", notes))
        assert {int(semaphore, 16) for semaphore in semaphores} == {0}, semaphores


def test_each_probe_has_a_script_of_its_own():
    attached = [set(ATTACHED.findall(script)) for script in SCRIPTS]
    assert all(len(probes) == 1 for probes in attached), attached
    names = sorted(probe for probes in attached for probe in probes if probe[0] in LIBRARIES)
    assert names == sorted(described()), names


def test_scripts_use_no_argument_that_the_probe_does_not_have():
    for script in SCRIPTS:
        (probe,) = set(ATTACHED.findall(script))
        used = {int(number) for number in re.findall(r"\barg(\d)\b", script)}
        if probe in described():
            assert used and max(used) < described()[probe], (probe, used)


def dry_run(script):
    """Translate a script without attaching: needs root, but no rights over the kernel. (status, what it said)"""
    done = subprocess.run(["bpftrace", "-d", "-e", script], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_bpftrace_accepts_each_script():
    if shutil.which("bpftrace") is None or dry_run("BEGIN { exit(); }")[0] != 0:
        print("# bpftrace is not here, or cannot run here: only names and arguments were compared")
        return
    status, said = dry_run(f"usdt:{LIBRARIES['libweir']}:weir:acquire {{ @missing_bracket[str(arg0) = count(); }}")
    assert status != 0, said[-2000:]
    for script in SCRIPTS:
        (probe,) = set(ATTACHED.findall(script))
        if probe[0] not in LIBRARIES:
            continue
        status, said = dry_run(re.sub(r"usdt:\S+?\.so\.0:", f"usdt:{LIBRARIES[probe[0]]}:", script))
        assert status == 0 and f":weir:{probe[1]}" in said, f"{script}\n{said[-2000:]}"


if __name__ == "__main__":
    tap.run_module(globals())
