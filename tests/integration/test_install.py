#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make install` into a DESTDIR, and programs of our users built against what it put there."""
import http.server
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import threading

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/integration"))
import tap

PREFIX = "/opt/weir-test"
SCRATCH = tempfile.TemporaryDirectory(prefix="weir-install-")
DESTDIR = pathlib.Path(SCRATCH.name) / "dest"
ROOT = DESTDIR / PREFIX.lstrip("/")

POOL_PROGRAM = r"""
#include <weir/pool.h>
#include <stdio.h>
#include <string.h>

static int things;
static weir_status open_thing(void *arg, weir_time deadline, void **ret_thing, weir_error *reterr)
{
    (void)deadline, (void)reterr;
    *ret_thing = arg;
    return WEIR_OK;
}
static void close_thing(void *arg, void *thing)
{
    (void)arg, (void)thing;
    things++;
}

int main(void)
{
    weir_pool_options options = WEIR_POOL_OPTIONS_DEFAULT;
    weir_driver driver;
    weir_pool *pool = NULL;
    weir_lease lease;
    weir_error error;
    memset(&driver, 0, sizeof driver);
    driver.connect = open_thing;
    driver.close = close_thing;
    if (weir_pool_open(&options, &driver, &things, &pool, &error) != WEIR_OK ||
        weir_pool_acquire(pool, WEIR_DEADLINE_DEFAULT, &lease, &error) != WEIR_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    weir_pool_release(&lease);
    weir_pool_close(pool);
    printf("%s %d\n", weir_version(), things);
    return strcmp(weir_version(), WEIR_VERSION) != 0;
}
"""

DB_PROGRAM = r"""
#include <weir/db.h>
#include <stdio.h>

int main(void)
{
    weir_error error;
    weir_db_options options = WEIR_DB_OPTIONS_DEFAULT;
    weir_db *db = NULL;
    weir_result *result = NULL;
    if (weir_db_open("sqlite:///:memory:", &options, &db, &error) != WEIR_OK ||
        weir_db_query(db, "SELECT 6 * 7", NULL, 0, &result, &error) != WEIR_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    printf("%lld\n", (long long)weir_result_value(result, 0, 0).integer);
    weir_result_close(result);
    weir_db_close(db);
    return 0;
}
"""

HTTP_PROGRAM = r"""
#include <weir/http.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    weir_error error;
    weir_http_options options = WEIR_HTTP_OPTIONS_DEFAULT;
    weir_http *session = NULL;
    weir_http_response *response = NULL;
    size_t size;
    if (argc != 2 || weir_http_open(&options, &session, &error) != WEIR_OK ||
        weir_http_get(session, argv[1], &response, &error) != WEIR_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    printf("%d %s", weir_http_response_status(response), weir_http_response_body(response, &size));
    weir_http_response_close(response);
    weir_http_close(session);
    return 0;
}
"""


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello\n")

    def log_message(self, *_):
        pass


def environment(**more):
    """Ours, without what an outer make or a developer's own pkg-config path would add."""
    kept = {name: value for name, value in os.environ.items() if name not in (
        "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "BUILD", "PREFIX", "DESTDIR", "CC", "CFLAGS", "LDFLAGS")}
    return {**kept, **more}


def run(command, **more):
    done = subprocess.run(command, cwd=TREE, env=environment(**more), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def installed(pattern):
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob(pattern))


def pkg_config(*arguments):
    folders = ":".join(str(path.parent) for path in ROOT.rglob("libweir.pc"))
    paths = os.environ.get("PKG_CONFIG_PATH", "")
    return shlex.split(run(["pkg-config", f"--define-variable=prefix={ROOT}", *arguments],
                           PKG_CONFIG_PATH=f"{folders}:{paths}"))


def build_and_run(compiler, name, text, *modules, arguments=()):
    """Compile with pkg-config's flags alone, run, and return what it printed."""
    source = pathlib.Path(SCRATCH.name) / f"{name}.c"
    source.write_text(text)
    program = source.with_name(f"{name}-{compiler}")
    of_source = ["-x", "c++", "-std=c++17", source, "-x", "none"] if compiler.endswith("++") else ["-std=c99", source]
    run([compiler, "-Wall", "-Wextra", "-Werror", *of_source, "-o", program, *pkg_config("--cflags", "--libs", *modules)])
    libraries = ":".join(sorted({str(path.parent) for path in ROOT.rglob("libweir*.so*")}))
    return run([program, *arguments], LD_LIBRARY_PATH=libraries)


def test_make_install_puts_everything_below_destdir_and_prefix():
    run(["make", "install", f"BUILD={SCRATCH.name}/build", f"PREFIX={PREFIX}", f"DESTDIR={DESTDIR}",
         "MESON_FLAGS=-Dtests=false"])
    outside = [path for path in DESTDIR.rglob("*") if path.is_file() and ROOT not in path.parents]
    assert not outside, outside


def test_every_public_header_is_installed_and_no_other():
    source = sorted(f"include/weir/{path.name}" for path in (TREE / "include/weir").glob("*.h"))
    assert installed("*.h") == source, installed("*.h")


def test_all_libraries_are_there_shared_static_and_with_a_pc_file():
    for library in ("libweir", "libweir-db", "libweir-http"):
        assert len(installed(f"{library}.so.0")) == 1, installed("*.so*")
        assert len(installed(f"{library}.a")) == 1, installed("*.a")
        assert len(installed(f"{library}.pc")) == 1, installed("*.pc")


def test_the_pc_files_name_the_prefix_and_the_version():
    header = (TREE / "include/weir/base.h").read_text()
    version = re.search(r'#define WEIR_VERSION "([^"]+)"', header)[1]
    for path in ROOT.rglob("libweir*.pc"):
        text = path.read_text()
        assert f"prefix={PREFIX}\n" in text, text
        assert f"Version: {version}\n" in text, text


def test_the_manual_pages_are_installed():
    pages = [name for name in installed("weir.*") if name.startswith("share/man/")]
    assert [page.removesuffix(".gz") for page in pages] == ["share/man/man1/weir.1", "share/man/man3/weir.3"], pages


def test_the_installed_command_runs():
    libraries = ":".join(sorted({str(path.parent) for path in ROOT.rglob("libweir*.so*")}))
    assert "serve" in run([ROOT / "bin/weir", "--help"], LD_LIBRARY_PATH=libraries)


def test_a_program_of_pools_builds_with_gcc_and_clang_in_c99_and_cpp17():
    for compiler in ("gcc", "clang", "g++", "clang++"):
        printed = build_and_run(compiler, "pools", POOL_PROGRAM, "libweir")
        assert printed.split()[1:] == ["1"], printed


def linked(path):
    """The libraries that a shared library or program needs by itself."""
    return re.findall(r"\(NEEDED\).*\[lib(.+?)\.so", run(["readelf", "-d", path]))


def test_who_pools_links_no_database_and_no_curl_and_neither_do_the_others_link_each_other():
    others = re.compile(r"sqlite|pq|curl|ssl|crypto|weir-db|weir-http")
    (pool, database, http_session) = (linked(ROOT / installed(f"{name}.so.0")[0]) for name in ("libweir", "libweir-db", "libweir-http"))
    for names in (pool, pkg_config("--libs", "libweir")):
        assert names and not [name for name in names if others.search(name)], names
    assert "weir" in database and not [name for name in database if re.search("curl|weir-http", name)], database
    assert "weir" in http_session and "curl" in http_session, http_session
    assert not [name for name in http_session if re.search("sqlite|pq|weir-db", name)], http_session


def test_a_program_of_databases_builds_with_gcc_and_clang():
    for compiler in ("gcc", "clang"):
        assert build_and_run(compiler, "databases", DB_PROGRAM, "libweir-db").strip() == "42"


def test_a_program_of_http_sessions_builds_with_gcc_and_clang_in_c99_and_cpp17():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for compiler in ("gcc", "clang", "g++", "clang++"):
            printed = build_and_run(compiler, "sessions", HTTP_PROGRAM, "libweir-http",
                                    arguments=[f"http://127.0.0.1:{server.server_port}/"])
            assert printed == "200 hello\n", printed
        server.shutdown()


def test_only_names_that_begin_with_weir_are_exported():
    for path in sorted(ROOT.rglob("libweir*.so")):
        names = [line.split()[-1] for line in run(["nm", "-D", "--defined-only", path]).splitlines()]
        assert names and all(name.startswith("weir_") and not name.startswith("weir__") for name in names), names


if __name__ == "__main__":
    with SCRATCH:
        tap.run_module(globals())
