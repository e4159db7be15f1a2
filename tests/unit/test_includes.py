#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may include whom: the table of docs/architecture.md, held against every #include of the tree."""
import fnmatch
import pathlib
import re
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


def resolve(root, source, included):
    """The tree path an #include leads to, or the name as written when it leads out of the tree."""
    for folder in (source.parent, *(root / name for name in INCLUDE_ROOTS)):
        target = (folder / included).resolve()
        if target.is_file() and target.is_relative_to(root):
            return target.relative_to(root).as_posix()
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


def room_of(name, rooms):
    return next((room for room in rooms if any(fnmatch.fnmatchcase(name, pattern) for pattern in room[1])), None)


def violations(root, rooms):
    """One sentence for each forbidden #include and each file without a room."""
    found = []
    for source in guarded_files(root):
        name = source.relative_to(root).as_posix()
        room = room_of(name, rooms)
        if room is None:
            found.append(f"{name} is in no room of docs/architecture.md")
            continue
        for written in INCLUDE.findall(source.read_text(errors="replace")):
            match = NAME.match(written)
            target = resolve(root, source, match[1] or match[2]) if match else written
            if match is None or not is_allowed(target, room[2]):
                found.append(f"{name} ({room[0]}) includes {target}")
    return found


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


def test_each_planted_violation_is_found():
    internal = {"src/base/park.h": "", "src/policy/range.h": "", "src/pool/slots.h": "", "src/db/url.h": "", "src/http/url.h": "",
                "server/routes.h": "", "server/exchange.h": "",
                "include/weir/pool.h": "", "include/weir/db.h": ""}
    forbidden = [
        ("include/weir/x.h", '#include "../../src/base/park.h"'),
        ("include/weir/x.h", "#include <sys/types.h>"),
        ("src/base/x.c", '#include "pool/slots.h"'),
        ("src/base/x.c", "#include <weir/pool.h>"),
        ("src/pool/x.c", '#include "db/url.h"'),
        ("src/pool/x.c", "#include <weir/db.h>"),
        ("src/pool/x.c", "#include <sqlite3.h>"),
        ("src/lifecycle/x.c", "#  include <weir/pool.h>"),
        ("src/lifecycle/x.c", '#include "../pool/slots.h"'),
        ("src/db/x.c", "#include <libpq-fe.h>"),
        ("src/db/x.c", '#include "base/park.h"'),
        ("src/db/drivers/sqlite.c", "#include <libpq-fe.h>"),
        ("src/db/drivers/postgres.c", "#include <sqlite3.h>"),
        ("src/db/x.c", "#include <curl/curl.h>"),
        ("src/http/x.c", '#include "base/park.h"'),
        ("src/http/x.c", '#include "pool/slots.h"'),
        ("src/http/x.c", '#include "policy/range.h"'),
        ("src/pool/x.c", '#include "http/url.h"'),
        ("server/routes.c", "#include <curl/curl.h>"),
        ("server/routes.c", "#include <microhttpd.h>"),
        ("server/routes.c", '#include "db/url.h"'),
        ("server/routes.c", '#include "exchange.h"'),
        ("server/listener.c", "#include <jwt.h>"),
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
        "server/listener_reap.c": "#include <microhttpd.h>\n",
    }) == []


if __name__ == "__main__":
    tap.run_module(globals())
