#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tree itself: licence lines, sizes, and nothing in it that belongs to one machine or was generated."""
import pathlib
import re
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/integration"))
import tap

SOURCES = {".c", ".h", ".py", ".sh", ".build", ".js", ".css", ".html", ".supp"}
SOURCE_NAMES = {"Makefile", "run", "meson_options.txt"}
LINES_OF_C = 500
LINES_OF_C_IN_TESTS = 700
LINES_OF_FUNCTION = 45
GENERATED = re.compile(
    r"(^|/)(build|build-[^/]*|__pycache__|\.pytest_cache)/|\.(o|a|so|d|pyc|gcda|gcno|db|db-wal|db-shm|log|orig|rej|swp)$|"
    r"(^|/)(compile_commands\.json|core|\.env|\.DS_Store)$|~$")
# Put together so that this file does not contain what it looks for.
MACHINE_PATH = re.compile("(?<![\\w.])/(?:" + "|".join(("root", "home", "work", "tmp/build")) + r")(?=[/\s\"'`-])")
PACKAGE_SITE = re.compile(
    r"(?:https?|git|ssh)://[^/\s]*(?:" + "|".join(("pypi", "npmjs", "artifact", "nexus", "regis" "try", "mir" "ror", "pro" "xy"))
    + r")[^/\s]*")


def tree_files(root):
    """What is or would be committed; in an unpacked archive, everything but build directories."""
    # The checkout may belong to somebody else, as in a container; git need not fear to list it.
    command = ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (root / ".git").exists():
        names = subprocess.run(command, check=True, capture_output=True).stdout.decode().split("\0")
        files = [root / name for name in names if name]
    else:
        files = [path for path in root.rglob("*") if not re.match(r"(build|build-.*)/", f"{path.relative_to(root)}/")
                 and "__pycache__" not in path.parts]
    return sorted(path for path in files if path.is_file())


def is_source(path):
    return path.suffix in SOURCES or path.name in SOURCE_NAMES


def text_of(path):
    """The text, or None for a binary file."""
    content = path.read_bytes()
    if b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def without_licence(root):
    head = [(path, (text_of(path) or "").splitlines()[:3]) for path in tree_files(root) if is_source(path)]
    return [str(path.relative_to(root)) for path, lines in head
            if not any("SPDX-License-Identifier: MIT" in line for line in lines)]


def too_long(root):
    def limit(path):
        return LINES_OF_C_IN_TESTS if path.relative_to(root).parts[0] == "tests" else LINES_OF_C

    return [str(path.relative_to(root)) for path in tree_files(root)
            if path.suffix in (".c", ".h") and len(path.read_bytes().splitlines()) > limit(path)]


def long_functions(root):
    """Functions of C outside of tests whose body is too long: from a brace at the beginning of a line to the next such."""
    found = []
    for path in tree_files(root):
        if path.suffix not in (".c", ".h") or path.relative_to(root).parts[0] == "tests":
            continue
        begin = None
        for number, line in enumerate((text_of(path) or "").splitlines(), 1):
            if line == "{":
                begin = number
            elif line == "}" and begin is not None:
                if number - begin - 1 > LINES_OF_FUNCTION:
                    found.append(f"{path.relative_to(root)}:{begin}: {number - begin - 1} lines")
                begin = None
    return found


def generated_or_binary(root):
    return [name for path in tree_files(root) for name in [str(path.relative_to(root))]
            if GENERATED.search(name) or text_of(path) is None]


def lines_with(root, pattern):
    return [f"{path.relative_to(root)}:{number}: {line.strip()}" for path in tree_files(root)
            for number, line in enumerate((text_of(path) or "").splitlines(), 1) if pattern.search(line)]


def nothing(found):
    assert not found, "\n".join(found)


def test_every_source_file_names_its_licence():
    assert any(is_source(path) for path in tree_files(TREE))
    nothing(without_licence(TREE))


def test_no_file_of_c_is_over_500_lines_nor_one_of_tests_over_700():
    nothing(too_long(TREE))


def test_no_function_is_over_45_lines():
    nothing(long_functions(TREE))


def test_nothing_generated_and_nothing_binary_is_in_the_tree():
    nothing(generated_or_binary(TREE))


def test_no_path_of_one_machine_is_in_the_tree():
    nothing(lines_with(TREE, MACHINE_PATH))


def test_no_address_of_a_package_site_is_in_the_tree():
    nothing(lines_with(TREE, PACKAGE_SITE))


def test_each_planted_fault_is_found():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "good.c").write_text("/* SPDX-License-Identifier: MIT */\n" + "\n" * (LINES_OF_C - 1))
        (root / "short.c").write_text("/* SPDX-License-Identifier: MIT */\nint f(void)\n{\n" + "\n" * LINES_OF_FUNCTION + "}\n")
        assert not any(check(root) for check in (without_licence, too_long, long_functions, generated_or_binary))
        (root / "long.c").write_text("/* SPDX-License-Identifier: MIT */\n" + "\n" * LINES_OF_C)
        (root / "deep.c").write_text("/* SPDX-License-Identifier: MIT */\nint f(void)\n{\n" + "\n" * (LINES_OF_FUNCTION + 1) + "}\n")
        (root / "bare.sh").write_text("true\n")
        (root / "program").write_bytes(b"\x7fELF\0")
        (root / "left.o").write_text("")
        path, site = "/" + "home/me/x", "https://" + "regis" "try.example.org/x"
        (root / "notes.md").write_text(f"see {path}\nand {site}\nand /var/lib/weir and https://example.org/network\n")
        assert without_licence(root) == ["bare.sh"]
        assert too_long(root) == ["long.c"]
        assert long_functions(root) == [f"deep.c:3: {LINES_OF_FUNCTION + 1} lines"]
        assert sorted(generated_or_binary(root)) == ["left.o", "program"]
        assert lines_with(root, MACHINE_PATH) == [f"notes.md:1: see {path}"]
        assert lines_with(root, PACKAGE_SITE) == [f"notes.md:2: and {site}"]


if __name__ == "__main__":
    tap.run_module(globals())
