#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may include whom: the table of docs/architecture.md, held against every #include of the tree."""
import fnmatch
import functools
import os
import pathlib
import posixpath
import re
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/integration"))
import tap

GUARDED = ("include", "src", "server", "cli", "examples")  # tests and benchmarks may look anywhere
INCLUDE_ROOTS = ("include", "src", "server", "cli", ".")
INCLUDE = re.compile(r"^\s*#\s*include\b\s*(.*)$", re.MULTILINE)
NAME = re.compile(r'^(?:"([^"]+)"|<([^>]+)>)')

ISO_C = """assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic
stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype""".split()
POSIX = """dirent dlfcn endian fcntl fnmatch getopt glob grp iconv langinfo libgen netdb poll pthread pwd regex sched
semaphore spawn strings syslog termios unistd""".split()
ISO_C_HEADERS = {f"{name}.h" for name in ISO_C}
SYSTEM_HEADERS = ISO_C_HEADERS | {f"{name}.h" for name in POSIX}
SYSTEM_FOLDERS = ("sys/", "linux/", "netinet/", "arpa/", "net/")


def read_rooms(text):
    """[(room, file patterns, allowed)] from the table whose heading is room, files, may include."""
    rooms, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells == ["room", "files", "may include"]:
            inside = True
        elif inside and not line.startswith("|"):
            break
        elif inside and not cells[0].startswith("-"):
            room, files, allowed = cells
            rooms.append((room, re.findall(r"`([^`]+)`", files), re.findall(r"`([^`]+)`", allowed)))
    return rooms


@functools.cache
def files_of(root):
    return {path.relative_to(root).as_posix() for folder in GUARDED for path in (root / folder).rglob("*.h")}


def resolve(root, name, included):
    """The tree path an #include of the file `name` leads to, or what is written when it leads out of the tree. As
    with the compilers of src/ and server/, a folder of one's own part comes before one of the other's."""
    own = name.split("/")[0]
    for folder in (posixpath.dirname(name), own, *INCLUDE_ROOTS):
        target = posixpath.normpath(posixpath.join(folder, included))
        if target in files_of(root):
            return target
    return included


def is_allowed(target, allowed):
    if "!" + target in allowed:
        return False
    if "C" in allowed and target in ISO_C_HEADERS:
        return True
    if "system" in allowed and (target in SYSTEM_HEADERS or target.startswith(SYSTEM_FOLDERS)):
        return True
    return any(fnmatch.fnmatchcase(target, pattern) for pattern in allowed)


def guarded_files(root):
    return sorted(path for folder in GUARDED for path in (root / folder).rglob("*.[ch]"))


@functools.cache
def room_pattern(pattern):
    return re.compile(fnmatch.translate(pattern)).match


def room_of(name, rooms):
    return next((room for room in rooms if any(room_pattern(pattern)(name) for pattern in room[1])), None)


@functools.cache
def includes_of(root):
    """[(file, what it includes as a path of the tree)] of every guarded file."""
    found = []
    for source in guarded_files(root):
        name = source.relative_to(root).as_posix()
        for written in INCLUDE.findall(source.read_text(errors="replace")):
            match = NAME.match(written)
            found.append((name, resolve(root, name, match[1] or match[2]) if match else written))
    return found


def violations(root, rooms):
    """One sentence for each forbidden #include and each file without a room."""
    found, homeless = [], set()
    for source in guarded_files(root):
        name = source.relative_to(root).as_posix()
        if room_of(name, rooms) is None:
            homeless.add(name)
            found.append(f"{name} is in no room of docs/architecture.md")
    for name, target in includes_of(root):
        if name not in homeless:
            room, _, allowed = room_of(name, rooms)
            if not is_allowed(target, allowed):
                found.append(f"{name} ({room}) includes {target}")
    return found


def include_edges(root, rooms):
    """{(room, room): a file and what it includes there}, of different rooms."""
    edges = {}
    for name, target in includes_of(root):
        here, there = room_of(name, rooms), room_of(target, rooms)
        if there is not None and there[0] != here[0]:
            edges.setdefault((here[0], there[0]), f"{name} includes {target}")
    return edges


def objects_of(root, build):
    """{object: source} of what the libraries are made of. meson calls that of src/db/drivers/sqlite.c
    src/db/libweir-db.so.0.2.0.p/drivers_sqlite.c.o."""
    sources = {}
    for path in [*(root / "src").rglob("*.c"), *(root / "server").rglob("*.c")]:
        name = path.relative_to(root)
        for folder in name.parents:
            sources[folder.as_posix(), name.relative_to(folder).as_posix().replace("/", "_") + ".o"] = name.as_posix()
    objects = [o for folder in ("src/libweir.so*.p", "src/db/libweir-db.so*.p", "src/http/libweir-http.so*.p",
                                "server/libweir-server.a.p") for o in build.glob(f"{folder}/*.o")]
    found = {o.as_posix(): sources.get((o.parent.parent.relative_to(build).as_posix(), o.name)) for o in objects}
    return {o: name for o, name in found.items() if name is not None}  # else made by the build, as the console's files


def call_edges(root, build, rooms):
    """{(room, room): a file and the name it needs of there}: what the compiled libraries ask of each other. With it,
    how many names they have."""
    objects = objects_of(root, build)
    home, needs, edges = {}, [], {}
    for line in subprocess.run(["nm", "-A", *objects], check=True, capture_output=True, text=True).stdout.splitlines():
        *_, kind, symbol = line.split()
        name = objects[line[:line.index(".o:") + 2]]
        if kind == "U":
            needs.append((name, symbol))
        elif kind.isupper():
            home[symbol] = name
    for name, symbol in needs:
        if symbol in home:
            here, there = room_of(name, rooms)[0], room_of(home[symbol], rooms)[0]
            if here != there:
                edges.setdefault((here, there), f"{name} uses {symbol} of {home[symbol]}")
    return edges, len(home)


def find_cycle(edges):
    """The edges of one cycle, or None."""
    after = {}
    for here, there in edges:
        after.setdefault(here, []).append(there)
    done = set()

    def walk(room, path):
        if room in path:
            return path[path.index(room):] + [room]
        if room in done:
            return None
        for there in after.get(room, []):
            found = walk(there, path + [room])
            if found:
                return found
        done.add(room)
        return None

    for room in after:
        path = walk(room, [])
        if path:
            return [f"{a} -> {b}: {edges[a, b]}" for a, b in zip(path, path[1:])]
    return None


def rooms_of_the_tree():
    return read_rooms((TREE / "docs/architecture.md").read_text())


def planted(files):
    """The violations in a tree of its own that holds just these files."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder).resolve()
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return violations(root, rooms_of_the_tree())


def test_the_table_is_read_and_every_row_has_files_and_allowed_headers():
    rooms = rooms_of_the_tree()
    assert len(rooms) >= 10, rooms
    for room, files, allowed in rooms:
        assert files and allowed, room


def test_no_file_includes_what_its_room_may_not():
    assert len(guarded_files(TREE)) > 5
    found = violations(TREE, rooms_of_the_tree())
    assert not found, "\n".join(found)


def test_no_rooms_include_each_other_in_a_cycle():
    rooms = rooms_of_the_tree()
    edges = include_edges(TREE, rooms)
    assert len(edges) > 40, edges
    cycle = find_cycle(edges)
    assert not cycle, "\n".join(cycle)


def test_no_rooms_call_each_other_in_a_cycle():
    build = pathlib.Path(os.environ["WEIR_BUILD_DIR"]) if "WEIR_BUILD_DIR" in os.environ else None
    if build is None:
        raise tap.Skip("WEIR_BUILD_DIR names no built tree")
    rooms = rooms_of_the_tree()
    edges, names = call_edges(TREE, build, rooms)
    assert names > 200 and len(edges) > 5, (names, edges)
    both = {**include_edges(TREE, rooms), **edges}
    cycle = find_cycle(both)
    assert not cycle, "\n".join(cycle)


def test_a_cycle_is_found_also_one_of_three():
    assert find_cycle({("a", "b"): "1", ("b", "c"): "2"}) is None
    assert find_cycle({("a", "b"): "1", ("b", "a"): "2"}) == ["a -> b: 1", "b -> a: 2"]
    assert len(find_cycle({("x", "a"): "0", ("a", "b"): "1", ("b", "c"): "2", ("c", "a"): "3"})) == 3


def test_each_planted_violation_is_found():
    internal = {"src/base/park.h": "", "src/policy/range.h": "", "src/pool/slots.h": "", "src/db/url.h": "", "src/http/url.h": "",
                "server/api/routes.h": "", "server/http/exchange.h": "", "server/services/x.h": "",
                "include/weir/pool.h": "", "include/weir/db.h": "", "include/weir/metrics.h": "",
                "include/weir/trace.h": ""}
    forbidden = [
        ("include/weir/x.h", '#include "../../src/base/park.h"'),
        ("include/weir/x.h", "#include <sys/types.h>"),
        ("src/common/x.h", '#include "base/park.h"'),
        ("src/common/x.h", "#include <weir/pool.h>"),
        ("src/base/x.c", '#include "pool/slots.h"'),
        ("src/base/x.c", "#include <weir/pool.h>"),
        ("src/pool/x.c", '#include "db/url.h"'),
        ("src/pool/x.c", "#include <weir/db.h>"),
        ("src/pool/x.c", "#include <weir/metrics.h>"),
        ("src/pool/x.c", "#include <sqlite3.h>"),
        ("src/lifecycle/x.c", "#  include <weir/pool.h>"),
        ("src/observe/x.c", "#include <weir/pool.h>"),
        ("src/observe/x.c", "#include <weir/db.h>"),
        ("src/pool/x.c", "#include <weir/trace.h>"),
        ("src/lifecycle/x.c", '#include "../pool/slots.h"'),
        ("src/db/x.c", "#include <libpq-fe.h>"),
        ("src/db/x.c", "#include <weir/metrics.h>"),
        ("src/db/x.c", '#include "base/park.h"'),
        ("src/db/drivers/sqlite.c", "#include <libpq-fe.h>"),
        ("src/db/drivers/postgres.c", "#include <sqlite3.h>"),
        ("src/db/x.c", "#include <curl/curl.h>"),
        ("src/http/x.c", '#include "base/park.h"'),
        ("src/http/x.c", '#include "pool/slots.h"'),
        ("src/http/x.c", "#include <weir/metrics.h>"),
        ("src/http/x.c", '#include "policy/range.h"'),
        ("src/pool/x.c", '#include "http/url.h"'),
        ("server/api/routes.c", "#include <curl/curl.h>"),
        ("server/api/routes.c", "#include <microhttpd.h>"),
        ("server/api/routes.c", '#include "db/url.h"'),
        ("server/api/routes.c", '#include "http/exchange.h"'),
        ("server/api/routes.c", "#include <jwt.h>"),
        ("server/http/router.c", "#include <microhttpd.h>"),
        ("server/http/listener.c", "#include <jwt.h>"),
        ("server/http/listener.c", '#include "api/routes.h"'),
        ("server/text/x.c", '#include "base/park.h"'),
        ("server/services/x.c", '#include "api/routes.h"'),
        ("server/services/x.c", '#include "http/exchange.h"'),
        ("server/managers/x.c", '#include "../services/x.h"'),
        ("server/trace/x.c", "#include <jwt.h>"),
        ("cli/x.c", '#include "base/park.h"'),
        ("examples/x.c", '#include "../server/routes.h"'),
        ("examples/x.c", "#include MACRO"),
    ]
    for name, line in forbidden:
        found = planted({**internal, name: f"/* a file */\n{line}\n"})
        assert len(found) == 1 and found[0].startswith(name), (name, line, found)


def test_a_file_outside_of_every_room_is_found():
    assert planted({"src/attic/x.c": ""}) == ["src/attic/x.c is in no room of docs/architecture.md"]


def test_what_the_table_allows_passes():
    assert planted({
        "include/weir/pool.h": "#include <stdint.h>\n",
        "src/base/park.h": "",
        "src/pool/slots.h": '#include <weir/pool.h>\n#include "base/park.h"\n#include <sys/syscall.h>\n',
        "src/pool/slots.c": '#include "slots.h"\n#include "pool/slots.h"\n#include <pthread.h>\n',
        "src/db/drivers/sqlite.c": "#include <sqlite3.h>\n",
        "src/http/url.c": '#include "http/url.h"\n#include <curl/curl.h>\n#include <openssl/evp.h>\n#include <sys/random.h>\n',
        "src/http/url.h": "#include <weir/pool.h>\n",
        "src/common/utf8.h": "#include <string.h>\n",
        "server/text/text.c": '#include "common/utf8.h"\n',
        "server/http/listener_reap.c": "#include <microhttpd.h>\n",
    }) == []


if __name__ == "__main__":
    tap.run_module(globals())
