#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Names that were given up for the field's own: none of them comes back."""
import functools
import pathlib
import re
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/integration"))
import tap

# As parts of names, between underscores, in the C sources of these folders; and the word to use instead.
GIVEN_UP = (
    (r"ladder|rungs?", "validation", ("src", "server", "include")),
    (r"hollow", "empty", ("src", "server", "include")),
    (r"tickets?", "token", ("src", "server", "include")),
    (r"touched", "high_water", ("src/pool",)),
    (r"tend|tended|tending", "maintain", ("src", "server", "include", "cli")),
    (r"culprits?", "leaks", ("src", "server", "include")),
    (r"want|unwant|turn", "has_waiters, generation", ("src/pool",)),
    (r"doubtful", "broken", ("src", "server", "include")),
    (r"settle|settled|unsettle", "baseline, types", ("src", "server", "include")),
    (r"hearing", "observed", ("src/db",)),
    (r"patience|farewell", "grace, timeout", ("src", "server", "include")),
    (r"sendings?", "call", ("src", "include")),
    (r"course", "next_step", ("src/http",)),
    (r"judge|judged|judgement", "classify, classification", ("src", "include")),
    (r"admission", "permit", ("src/http",)),
    (r"sunk", "delivered", ("src", "include")),
    (r"news", "pending, snapshot", ("src/http", "cli")),
    (r"gates?|gated", "rate_limit, cool_down", ("src", "server", "include", "cli")),
    (r"shortcuts?", "cache_entry", ("src", "server")),
    (r"hygiene", "head_validation", ("src", "server")),
    (r"welcome", "banner", ("server",)),
    (r"ticks?", "coarse", ("src", "include")),
    (r"kits?", "instruments", ("src", "server", "include")),
)
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def sources(root, folders):
    return [path for folder in folders for path in sorted((root / folder).rglob("*.[ch]"))]


@functools.cache
def names_in(path):
    """[(line, name)] of a file's code."""
    lines = code_of(path.read_text()).splitlines()
    return [(number, name) for number, line in enumerate(lines, 1) for name in re.findall(r"\w+", line)]


def code_of(text):
    """The text without comments and strings, its lines kept."""
    return COMMENT_OR_STRING.sub(lambda match: "\n" * match[0].count("\n") or " ", text)


def has_word(name, old):
    return re.search(rf"(?:^|_)(?:{old})(?:_|$)", name, re.IGNORECASE) is not None


def found_in(path, old):
    return [(number, name) for number, name in names_in(path) if has_word(name, old)]


def test_no_name_of_the_sources_has_a_word_that_was_given_up():
    found = []
    for old, new, folders in GIVEN_UP:
        for path in sources(TREE, folders):
            found += [f"{path.relative_to(TREE)}:{line}: {name}, instead of {new}" for line, name in found_in(path, old)]
    assert not found, "\n".join(found)


def test_no_file_is_named_by_a_word_that_was_given_up():
    found = [f"{path.relative_to(TREE)}, instead of {new}" for old, new, folders in GIVEN_UP for path in sources(TREE, folders)
             if has_word(path.stem, old)]
    assert not found, "\n".join(found)


def test_such_a_name_is_found_wherever_it_stands():
    text = 'int a; /* gate */\nconst char *s = "gate"; // gate\nvoid close_gate_locked(int GATE);\nint gateway, investigate;\n'
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "x.c"
        path.write_text(text)
        assert found_in(path, "gates?") == [(3, "close_gate_locked"), (3, "GATE")], found_in(path, "gates?")


if __name__ == "__main__":
    tap.run_module(globals())
