#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Other C libraries and other processors: their compilers accept everything without a warning, and where this kernel runs their
programs, tests of the pool core pass there.

Argument: a configured build directory, whose flags are used. Only the headers of other people's libraries are those of this
machine. A compiler that is not installed is skipped; tools/packages.sh cross installs them.
"""
import concurrent.futures
import functools
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/integration"))
import tap

BUILD = pathlib.Path(sys.argv[1])
SCRATCH = tempfile.TemporaryDirectory(prefix="weir-cross-")
HEADERS = pathlib.Path(SCRATCH.name) / "include"
OTHERS = ("sqlite3.h", "libpq-fe.h", "postgres_ext.h", "pg_config_ext.h", "curl", "openssl", "jansson.h", "jansson_config.h",
          "microhttpd.h", "jwt.h", "curses.h", "ncurses_dll.h", "unctrl.h", "idn2.h", "zlib.h", "zconf.h", "brotli", "zstd.h", "zstd_errors.h")
# Tests that need libweir alone and replace nothing of the C library.
RUNNABLE = ("base", "lifecycle", "pool", "pool_misuse", "pool_validation", "pool_stats", "metrics_threads", "trace", "retry", "rate_limit")
LIBWEIR = ("base", "policy", "pool", "observe", "lifecycle")
MUSL, ARM64, I386, ARMHF = "musl-gcc", "aarch64-linux-gnu-gcc", "i686-linux-gnu-gcc", "arm-linux-gnueabihf-gcc"

# A kernel from before SYS_futex_time64 answers it with ENOSYS, as every kernel answers this number.
OLD_KERNEL = "#include <sys/syscall.h>\n#undef SYS_futex_time64\n#define SYS_futex_time64 99999\n"


def run(command):
    done = subprocess.run(command, cwd=BUILD, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\nended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def link_headers():
    """The headers of other people's libraries in a folder of their own, without this machine's C library beside them."""
    roots = ["/usr/include", "/usr/include/" + run(["gcc", "-print-multiarch"]).strip()]
    roots += [run(["pkg-config", "--variable=includedir", module]).strip() for module in ("libpq", "libcurl", "sqlite3")]
    for name in OTHERS:
        for found in [path for root in roots for path in (pathlib.Path(root) / name,) if path.exists()]:
            for path in found.rglob("*") if found.is_dir() else (found,):
                link = HEADERS / name / path.relative_to(found)
                link.parent.mkdir(parents=True, exist_ok=True)
                if path.is_file() and not link.exists():
                    link.symlink_to(path)


def is_portable(word):
    """A flag that every compiler knows, and that leads to no header of this machine."""
    return word.startswith(("-I", "-D", "-W", "-O", "-std=", "-fexcess-precision=")) and not word.startswith("-I/usr/") and word not in (
        "-DWEIR_WITH_PROBES", "-Wthread-safety")


def sources(folder):
    """(file, flags) of what this build compiles from the folder."""
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        if entry["output"].startswith(folder) and entry["file"].endswith(".c"):
            yield pathlib.Path(entry["file"]), [word for word in shlex.split(entry["command"]) if is_portable(word)]


def need(compiler):
    if not shutil.which(compiler):
        raise tap.Skip(f"{compiler} is not installed")


def each_source(folder, work):
    """What work(number, file, flags) returns for each file of the folder, as many at a time as there are processors."""
    jobs = [(number, *source) for number, source in enumerate(sources(folder))]
    assert len(jobs) > 10, f"{BUILD} compiles only {len(jobs)} files of {folder}"
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda job: work(*job), jobs))


@functools.cache
def compile_all(compiler, folder, *more):
    """Compile without a warning; returns the objects and their rooms."""
    need(compiler)
    target = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH.name))

    def compile_one(number, file, flags):
        made = target / f"{number}-{file.stem}.o"
        run([compiler, *flags, "-Werror", *more, "-isystem", HEADERS, "-c", file, "-o", made])
        return made, file.parent.name

    return each_source(folder, compile_one)


def read_all(compiler, *folders):
    """Have the compiler read everything without a warning. What depends on the processor, sizes of types and formats,
    it sees without making code, in a fraction of the time."""
    need(compiler)
    for folder in folders:
        each_source(folder, lambda _, file, flags: run(
            [compiler, *flags, "-Werror", "-isystem", HEADERS, "-fsyntax-only", file]))


def check_runs(compiler, objects, *more):
    """The tests of the pool core pass as programs that need nothing of this machine but its kernel."""
    core = [made for made, room in objects if room in LIBWEIR]
    flags = next(flags for file, flags in sources("src/") if file.parent.name == "base")
    for name in RUNNABLE:
        program = core[0].parent / name
        run([compiler, *flags, *more, "-I", TREE / "tests", TREE / f"tests/unit/test_{name}.c", *core, "-static",
             "-pthread", "-o", program])
        lines = run([program]).splitlines()
        assert lines[-1] == f"1..{len(lines) - 1}" and all(line.startswith("ok ") for line in lines[:-1]), "\n".join(lines)


def this_kernel_runs(compiler):
    """Whether a program of that machine starts here."""
    source = pathlib.Path(SCRATCH.name) / "nothing.c"
    source.write_text("int main(void) { return 0; }\n")
    run([compiler, "-static", source, "-o", source.with_suffix("")])
    try:
        return subprocess.run([source.with_suffix("")]).returncode == 0
    except OSError:
        return False


def test_the_libraries_compile_with_musl_and_the_pool_core_runs_there():
    check_runs(MUSL, compile_all(MUSL, "src/"))


def test_everything_is_right_for_arm64():
    read_all(ARM64, "src/", "server/", "cli/")


def test_everything_is_right_for_armhf():
    read_all(ARMHF, "src/", "server/", "cli/")


def test_everything_is_right_for_i386():
    read_all(I386, "server/", "cli/")
    compile_all(I386, "src/")


def test_the_pool_core_runs_on_i386():
    objects = compile_all(I386, "src/")
    if not this_kernel_runs(I386):
        raise tap.Skip("this kernel runs no programs for i386")
    check_runs(I386, objects)


def test_the_pool_core_runs_on_i386_under_a_kernel_without_futex_time64():
    header = pathlib.Path(SCRATCH.name) / "old_kernel.h"
    header.write_text(OLD_KERNEL)
    objects = compile_all(I386, "src/libweir.so", "-include", header)
    if not this_kernel_runs(I386):
        raise tap.Skip("this kernel runs no programs for i386")
    check_runs(I386, objects)


def test_time_has_64_bits_on_32_bit_machines():
    source = pathlib.Path(SCRATCH.name) / "time_bits.c"
    source.write_text("#include <time.h>\n_Static_assert(sizeof(time_t) == 8, \"time ends in 2038\");\n")
    flags = next(flags for _, flags in sources("src/"))
    for compiler in (I386, ARMHF):
        need(compiler)
        run([compiler, *flags, "-fsyntax-only", source])


if __name__ == "__main__":
    with SCRATCH:
        link_headers()
        tap.run_module(globals())
