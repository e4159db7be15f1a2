#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every public header stands alone, as C99 and as C++17, with each compiler and no warning."""
import pathlib
import re
import shutil
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/integration"))
import tap

PUBLIC = sorted((TREE / "include/weir").glob("*.h"))
C99 = ["-x", "c", "-std=c99", "-Wstrict-prototypes"]
CPP17 = ["-x", "c++", "-std=c++17"]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wundef", "-Werror"]


def complaints(compiler, language, text):
    """What the compiler says of a file that holds `text`; empty when it is content."""
    assert shutil.which(compiler), f"{compiler} is not installed"
    command = [compiler, *language, *WARNINGS, "-fsyntax-only", "-I", TREE / "include", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr or f"{compiler} ended with {done.returncode}"


def every_header_alone(compiler, language):
    assert len(PUBLIC) > 1
    for header in PUBLIC:
        line = f"#include <weir/{header.name}>\n"
        said = complaints(compiler, language, line + line)
        assert not said, f"{header.name}: {said}"


def every_default(compiler, language):
    """WEIR_X_OPTIONS_DEFAULT initializes a weir_x_options."""
    names = {name for header in PUBLIC
             for name in re.findall(r"^#define (WEIR_\w+_OPTIONS_DEFAULT)\b", header.read_text(), re.MULTILINE)}
    assert names
    lines = ["#include <weir/weir.h>"]
    lines += [f"extern {name.removesuffix('_DEFAULT').lower()} an_{name.lower()};\n"
              f"{name.removesuffix('_DEFAULT').lower()} an_{name.lower()} = {name};" for name in sorted(names)]
    said = complaints(compiler, language, "\n".join(lines) + "\n")
    assert not said, said


def test_gcc_reads_every_header_alone_as_c99():
    every_header_alone("gcc", C99)


def test_gcc_reads_every_header_alone_as_cpp17():
    every_header_alone("g++", CPP17)


def test_clang_reads_every_header_alone_as_c99():
    every_header_alone("clang", C99)


def test_clang_reads_every_header_alone_as_cpp17():
    every_header_alone("clang++", CPP17)


def test_the_default_options_initialize_in_c99_and_cpp17():
    for compiler, language in (("gcc", C99), ("clang", C99), ("g++", CPP17), ("clang++", CPP17)):
        every_default(compiler, language)


def test_weir_h_includes_every_other_public_header():
    included = set(re.findall(r"#include <weir/([\w.]+)>", (TREE / "include/weir/weir.h").read_text()))
    missing = {header.name for header in PUBLIC} - included - {"weir.h"}
    assert not missing, missing


def test_a_header_that_leaks_a_warning_would_be_found():
    assert complaints("gcc", C99, "int f() { int unused; return 0; }\n")
    assert complaints("g++", CPP17, "struct s { int a; } x = { .b = 1 };\n")


if __name__ == "__main__":
    tap.run_module(globals())
