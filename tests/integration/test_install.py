#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make install` into a DESTDIR and into the places of a system, and programs of our users built against what it put there.

The latter as the machine finds it, without a word about where it is. Overlays keep this machine's own folders as they were;
they need root and a kernel and a file system that can do it, else those tests are skipped.
"""
import contextlib
import http.server
import json
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
BUILD = pathlib.Path(SCRATCH.name) / "build"
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


@contextlib.contextmanager
def hello():
    """The URL of a server that says hello."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def environment(**more):
    """Ours, without what an outer make or a developer's own pkg-config path would add."""
    kept = {name: value for name, value in os.environ.items() if name not in (
        "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "BUILD", "PREFIX", "DESTDIR", "LIBDIR", "CC", "CFLAGS", "LDFLAGS",
        "LD_LIBRARY_PATH")}
    return {**kept, **more}


def run(command, **more):
    done = subprocess.run(command, cwd=TREE, env=environment(**more), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


# What is written to them goes to the scratch folder. Without dpkg-dev, as on a machine that just got a compiler, meson takes
# Debian for a system that keeps its libraries in lib64.
MACHINE = r"""
set -e
scratch=$1
shift
for folder in usr etc opt var/cache; do
    mkdir -p "$scratch/$folder" "$scratch/work/$folder"
    mount -t overlay weir-install -o "lowerdir=/$folder,upperdir=$scratch/$folder,workdir=$scratch/work/$folder" "/$folder"
done
rm -f /usr/bin/dpkg-architecture
exec "$@"
"""
LAYER = pathlib.Path(SCRATCH.name) / "layer"


def on_machine(*command):
    """Run a command that finds a system it may write to, and whose environment leads nowhere."""
    kept = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": os.environ.get("HOME", SCRATCH.name), "LANG": "C.UTF-8"}
    return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", MACHINE, "machine", LAYER, *command],
                          cwd=TREE, env=kept, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def succeed(*command):
    done = on_machine(*command)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def need_machine():
    if os.geteuid() != 0:
        raise tap.Skip("only root can lay a folder over /usr")
    done = on_machine("true")
    if done.returncode != 0:
        raise tap.Skip(f"nothing can be laid over /usr here: {done.stderr.strip()}")


def installed(pattern):
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob(pattern))


def pkg_config(*arguments):
    folders = ":".join(str(path.parent) for path in ROOT.rglob("libweir.pc"))
    paths = os.environ.get("PKG_CONFIG_PATH", "")
    return shlex.split(run(["pkg-config", f"--define-variable=prefix={ROOT}", *arguments],
                           PKG_CONFIG_PATH=f"{folders}:{paths}"))


def build_and_run(compiler, name, text, *modules, arguments=()):
    """Compile with pkg-config's flags alone, run, and return what it printed."""
    ending, standard = ("cpp", "-std=c++17") if compiler.endswith("++") else ("c", "-std=c99")
    source = pathlib.Path(SCRATCH.name) / f"{name}.{ending}"
    source.write_text(text)
    program = source.with_name(f"{name}-{compiler}")
    run([compiler, "-Wall", "-Wextra", "-Werror", standard, source, "-o", program, *pkg_config("--cflags", "--libs", *modules)])
    libraries = ":".join(sorted({str(path.parent) for path in ROOT.rglob("libweir*.so*")}))
    return run([program, *arguments], LD_LIBRARY_PATH=libraries)


def make(goal, prefix, destdir=""):
    return ["make", goal, f"BUILD={BUILD}", f"PREFIX={prefix}", f"DESTDIR={destdir}"]


def test_meson_alone_takes_a_debian_without_dpkg_dev_for_another_system():
    """Its build directory is the one that all that follows is installed from, as after `meson setup` by hand."""
    need_machine()
    succeed("meson", "setup", BUILD)
    if pathlib.Path("/etc/debian_version").exists():
        options = json.loads((BUILD / "meson-info/intro-buildoptions.json").read_text())
        libdir = next(option["value"] for option in options if option["name"] == "libdir")
        assert not (pathlib.Path("/usr") / libdir / "libc.so.6").exists(), f"{libdir} is right: tools/libdir.sh is not needed any more"


def test_make_install_puts_everything_below_destdir_and_prefix():
    run(make("install", PREFIX, DESTDIR))
    outside = [path for path in DESTDIR.rglob("*") if path.is_file() and ROOT not in path.parents]
    assert not outside, outside


def test_make_install_builds_what_it_installs_and_no_more():
    built = [path.name for path in BUILD.rglob("*") if path.is_file() and path.suffix == "" and os.access(path, os.X_OK)]
    assert sorted(built) == ["embed", "weir"], built


def test_the_libraries_are_where_this_machine_keeps_libraries():
    libc = re.search(r"libc\.so\.6 .*=> (.*)/libc\.so\.6", run(["sh", "-c", "PATH=$PATH:/sbin ldconfig -p"]))[1]
    folder = str(pathlib.Path(libc).resolve()).removeprefix("/usr").lstrip("/")
    assert (ROOT / folder / "libweir.so.0").exists(), (folder, installed("libweir.so*"))


def test_documents_examples_dashboard_and_alert_rules_are_installed():
    folder = ROOT / "share/doc/weir"
    for name in ("README.md", "CHANGELOG.md", "LICENSE", "docs/architecture.md", "docs/decisions/README.md"):
        assert (folder / name).read_text() == (TREE / name).read_text(), name
    for path in (*(TREE / "examples").glob("*.c"), *(TREE / "docs/monitoring").glob("*.[jy]*")):
        assert (folder / "examples" / path.name).read_text() == path.read_text(), path
    run(["promtool", "test", "rules", folder / "examples/alerts_test.yml"])


def test_links_between_the_installed_documents_lead_somewhere():
    count = 0
    for page in (ROOT / "share/doc/weir").rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"
            count += 1
    assert count > 50, count


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
    # Not the folders: the temporary one may have any of these in its name.
    flags = [flag for flag in pkg_config("--libs", "libweir") if flag.startswith("-l")]
    for names in (pool, flags):
        assert names and not [name for name in names if others.search(name)], names
    assert "weir" in database and not [name for name in database if re.search("curl|weir-http", name)], database
    assert "weir" in http_session and "curl" in http_session, http_session
    assert not [name for name in http_session if re.search("sqlite|pq|weir-db", name)], http_session


def test_a_program_of_databases_builds_with_gcc_and_clang():
    for compiler in ("gcc", "clang"):
        assert build_and_run(compiler, "databases", DB_PROGRAM, "libweir-db").strip() == "42"


def test_a_program_of_http_sessions_builds_with_gcc_and_clang_in_c99_and_cpp17():
    with hello() as url:
        for compiler in ("gcc", "clang", "g++", "clang++"):
            printed = build_and_run(compiler, "sessions", HTTP_PROGRAM, "libweir-http", arguments=[url])
            assert printed == "200 hello\n", printed


def test_only_names_that_begin_with_weir_are_exported():
    for path in sorted(ROOT.rglob("libweir*.so")):
        names = [line.split()[-1] for line in run(["nm", "-D", "--defined-only", path]).splitlines()]
        assert names and all(name.startswith("weir_") and not name.startswith("weir__") for name in names), names


def test_make_uninstall_removes_all_of_it_and_nothing_else():
    (ROOT / "include/weir/mine.h").write_text("/* somebody else's */\n")
    (ROOT / "bin/mine").write_text("")
    run(make("uninstall", PREFIX, DESTDIR))
    left = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*"))
    assert left == ["bin", "bin/mine", "include", "include/weir", "include/weir/mine.h"], left
    (ROOT / "include/weir/mine.h").unlink()
    (ROOT / "bin/mine").unlink()
    assert "0 files removed" in run(make("uninstall", PREFIX, DESTDIR))
    assert not list(DESTDIR.rglob("*")), list(DESTDIR.rglob("*"))


def written():
    """The files that lie over the machine's own, without the loader's cache and compiled Python."""
    return sorted(str(path.relative_to(LAYER)) for path in LAYER.rglob("*")
                  if path.is_file() and "work" != path.relative_to(LAYER).parts[0]
                  and not re.search(r"ld\.so\.cache|var/cache|__pycache__", str(path)))


def quickstart():
    text = (TREE / "README.md").read_text()
    return text[text.index("## Quickstart"):].split("```c\n")[1].split("```")[0]


def build_as_a_user_does(name, text, module, compiler="cc", arguments=()):
    source = pathlib.Path(SCRATCH.name) / f"{name}.c"
    source.write_text(text)
    program = source.with_suffix("")
    succeed("sh", "-c", f"{compiler} {source} $(pkg-config --cflags --libs {module}) -o {program}")
    return succeed(program, *arguments)


def install_use_and_uninstall(prefix):
    need_machine()
    before = written()
    said = succeed(*make("install", prefix))
    assert "does not look" not in said, said
    assert succeed("weir", "--version").startswith("weir ")
    assert succeed("sh", "-c", "command -v weir").strip() == f"{prefix}/bin/weir"
    for module in ("libweir", "libweir-db", "libweir-http"):
        assert succeed("pkg-config", "--variable=prefix", module).strip() == prefix
    assert build_as_a_user_does("quickstart", quickstart(), "libweir-db") == "Limmat\n"
    for compiler in ("cc", "g++ -x c++"):
        assert build_as_a_user_does("pools", POOL_PROGRAM, "libweir", compiler).split()[1:] == ["1"]
    with hello() as url:
        assert build_as_a_user_does("sessions", HTTP_PROGRAM, "libweir-http", arguments=[url]) == "200 hello\n"
    succeed(*make("uninstall", prefix))
    assert written() == before, written()
    assert on_machine("weir", "--version").returncode != 0
    assert on_machine("pkg-config", "--exists", "libweir").returncode != 0
    assert on_machine("test", "-d", f"{prefix}/include").returncode == 0


def test_what_is_installed_in_usr_works_at_once_and_can_be_removed():
    install_use_and_uninstall("/usr")


def test_what_is_installed_in_usr_local_works_at_once_and_can_be_removed():
    install_use_and_uninstall("/usr/local")


def test_where_the_loader_does_not_look_the_installation_says_what_to_do():
    need_machine()
    said = succeed(*make("install", "/opt/weir-test"))
    folder = re.search("LD_LIBRARY_PATH=(/opt/weir-test/lib.*)", said)
    assert folder and f"PKG_CONFIG_PATH={folder[1]}/pkgconfig" in said, said
    succeed(*make("uninstall", "/opt/weir-test"))
    assert on_machine("test", "-e", "/opt/weir-test").returncode != 0


if __name__ == "__main__":
    with SCRATCH:
        tap.run_module(globals())
