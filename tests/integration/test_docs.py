#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The documentation against the code: samples compile and run, options, names, errors and links are those that exist.

Arguments: a C compiler, the shared libweir, the shared libweir-db, and the weir command where it is built.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/integration"))
import tap

COMPILER = sys.argv[1]
LIBWEIR, LIBWEIR_DB = (os.path.abspath(path) for path in sys.argv[2:4])
COMMAND = os.path.abspath(sys.argv[4]) if len(sys.argv) > 4 else None
SCRATCH = tempfile.TemporaryDirectory(prefix="weir-docs-")

MANUAL = TREE / "docs/connection-management.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a fragment of a page may use without saying where it comes from.
FRAGMENT = """
#include <stdio.h>
#include <weir/weir.h>
static void fragment(weir_pool *pool, weir_lease lease, weir_db *db, weir_conn *conn, weir_param *params,
                     weir_status status, weir_error error)
{
    (void)pool, (void)lease, (void)db, (void)conn, (void)params, (void)status, (void)error;
    @
}
"""


def pages():
    """Every page of the tree that is or would be committed."""
    found = [*TREE.glob("*.md"), *(TREE / "docs").rglob("*.md")]
    assert len(found) > 5, found
    return sorted(found)


def manual_pages():
    return sorted((TREE / "docs/man").glob("weir.[13]"))


def name_of(path):
    return str(path.relative_to(TREE))


def blocks(path, language):
    return [text for kind, text in FENCE.findall(path.read_text()) if kind == language]


def without_blocks(text):
    return FENCE.sub("", text)


def run(command):
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          cwd=SCRATCH.name, timeout=120)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def compile_program(name, text, *flags):
    source = pathlib.Path(SCRATCH.name) / f"{name}.c"
    source.write_text(text)
    folders = [str(pathlib.Path(library).parent) for library in (LIBWEIR, LIBWEIR_DB)]
    run([COMPILER, "-std=c99", "-Wall", "-Wextra", "-Werror", *flags, f"-I{TREE}/include", source, "-o", source.with_suffix(""),
         LIBWEIR_DB, LIBWEIR, *(f"-Wl,-rpath,{folder}" for folder in folders)])
    return source.with_suffix("")


def check_fragment(name, text):
    source = pathlib.Path(SCRATCH.name) / f"{name}.c"
    source.write_text(FRAGMENT.replace("@", text))
    run([COMPILER, "-std=c99", "-fsyntax-only", "-Wall", "-Werror", "-Wno-unused", f"-I{TREE}/include", source])


# ---- samples --------------------------------------------------------------------------------------------------------

def test_the_quickstart_is_under_30_lines_compiles_and_prints_what_the_readme_says():
    (program,) = blocks(TREE / "README.md", "c")
    assert len(program.splitlines()) < 30, len(program.splitlines())
    said = re.search(r"\./quickstart +# (.+)$", "".join(blocks(TREE / "README.md", "sh")), re.MULTILINE)[1]
    assert run([compile_program("quickstart", program)]) == said + "\n"


def test_every_sample_of_c_in_the_pages_compiles():
    count = 0
    for page in pages():
        for number, text in enumerate(blocks(page, "c")):
            count += 1
            name = f"{page.stem}-{number}"
            if "int main(" in text:
                compile_program(name, text)
            else:
                check_fragment(name, text)
    assert count >= 4, count


def test_the_sample_of_the_manual_page_compiles_and_prints_what_the_page_says():
    text = (TREE / "docs/man/weir.3").read_text()
    programs = re.findall(r"^\.Bd -literal[^\n]*\n(#include.*?)^\.Ed$", text, re.MULTILINE | re.DOTALL)
    assert len(programs) == 1, len(programs)
    program = programs[0].replace("\\e", "\\")
    said = re.search(r"^It prints\n\.Ql (.+?) \.$", text, re.MULTILINE)[1]
    assert run([compile_program("manual", program)]) == said + "\n"


# ---- options --------------------------------------------------------------------------------------------------------

def tables(heading):
    """The rows of the first table below a heading: lists of cells without backticks."""
    section = MANUAL.read_text().split(f"\n{heading}\n", 1)[1]
    rows = []
    for line in section.splitlines():
        if line.startswith("|"):
            rows.append([cell.strip().replace("`", "") for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows[2:]


def struct_fields(header, name):
    body = re.search(rf"^typedef struct {name} {{\n(.*?)^}} {name};", header, re.MULTILINE | re.DOTALL)[1]
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL)
    return re.findall(r"(\w+);", body)


def numbers(text):
    """(low, high) of `low to high`, else None."""
    match = re.fullmatch(r"(-?\d+) to (\d+)", text)
    return match and (int(match[1]), int(match[2]))


PROBE = """
#include <stdio.h>
#include <string.h>
#include <weir/db.h>
static int thing;
static weir_status open_thing(void *arg, weir_time deadline, void **ret, weir_error *reterr)
{ (void)arg; (void)deadline; (void)reterr; *ret = &thing; return WEIR_OK; }
static void close_thing(void *arg, void *connection) { (void)arg; (void)connection; }
static void expect(int is_true, const char *what) { if (!is_true) printf("%s\\n", what); }
static weir_status try_pool(weir_pool_options *o)
{
    weir_driver driver; weir_pool *pool = NULL; weir_error error;
    memset(&driver, 0, sizeof driver);
    driver.connect = open_thing; driver.close = close_thing;
    weir_status status = weir_pool_open(o, &driver, NULL, &pool, &error);
    weir_pool_close(pool);
    return status;
}
static weir_status try_db(const char *url, weir_db_options *o)
{
    weir_db *db = NULL; weir_error error;
    weir_status status = weir_db_open(url, o, &db, &error);
    weir_db_close(db);
    return status;
}
int main(void)
{
    weir_error error;
    const weir_pool_options pool_default = WEIR_POOL_OPTIONS_DEFAULT;
    const weir_db_options db_default = WEIR_DB_OPTIONS_DEFAULT;
    (void)pool_default; (void)db_default; (void)error;
@
    return 0;
}
"""


def default_check(row, options):
    field, _, _, default, _ = row
    if default == "NULL" or default in ("true", "false") or re.fullmatch(r"-?\d+", default):
        claim = f"{options}.{field} == {default}"
    elif field == "reset_on_return":
        claim = f"{options}.{field} == WEIR_RESET_{default.upper()}"
    else:
        claim = f'strcmp({options}.{field}, "{default}") == 0'
    return f'    expect({claim}, "{field}: the default is not {default}");'


def values_to_try(row):
    """(value, whether it is allowed), at the ends of the range and just outside of it."""
    low, high = numbers(row[4])
    return [(low, True), (high, True), (low - 1, False), (high + 1, False)]


def pool_checks(row):
    field, in_url, _, _, allowed = row
    lines = [default_check(row, "pool_default")]
    if numbers(allowed) and field != "name":
        for value, is_fine in values_to_try(row):
            # The two sizes have a limit together; the other one leaves room.
            lines.append(f"    {{ weir_pool_options o = pool_default; o.pool_size = 0; o.max_overflow = 0; o.{field} = {value};"
                         f' expect((try_pool(&o) == WEIR_OK) == {int(is_fine)}, "{field} {value}"); }}')
            scale = 1000 if in_url.endswith(" in seconds") else 1
            text = value if value == -1 or scale == 1 else f"{value / scale:.3f}".rstrip("0").rstrip(".")
            name = in_url.split()[0]
            lines.append(f"    {{ weir_pool_options o = pool_default; weir_status s = weir_pool_options_set(&o, \"{name}\","
                         f' "{text}", &error); expect((s == WEIR_OK) == {int(is_fine)}, "{name}={text}");'
                         f' expect(s != WEIR_OK || o.{field} == {value}, "{name}={text} gives another {field}"); }}')
    elif in_url:
        for word in allowed.split(", "):
            lines.append(f"    {{ weir_pool_options o = pool_default; expect(weir_pool_options_set(&o, \"{in_url}\", \"{word}\","
                         f' &error) == WEIR_OK, "{in_url}={word}"); }}')
        lines.append(f"    {{ weir_pool_options o = pool_default; expect(weir_pool_options_set(&o, \"{in_url}\", \"maybe\","
                     f' &error) == WEIR_INVALID, "{in_url}=maybe"); }}')
    return lines


def db_checks(row):
    field, in_url, _, _, allowed = row
    lines = [default_check(row, "db_default")]
    if not numbers(allowed):
        longest = int(re.fullmatch(r"at most (\d+) bytes", allowed)[1])
        for size, is_fine in ((longest, 1), (longest + 1, 0)):
            lines.append(f'    {{ weir_db_options o = db_default; o.{field} = "{"x" * size}";'
                         f' expect((try_db("sqlite://", &o) == WEIR_OK) == {is_fine}, "{field} of {size} bytes"); }}')
        return lines
    scale = 1000 if in_url.endswith(" in seconds") else 1
    name = in_url.split()[0]
    for value, is_fine in values_to_try(row):
        lines.append(f"    {{ weir_db_options o = db_default; o.{field} = {value};"
                     f' expect((try_db("sqlite://", &o) == WEIR_OK) == {int(is_fine)}, "{field} {value}"); }}')
    low, high = numbers(allowed)
    low, high = (max(low // scale, 1), high // scale) if scale > 1 else (low, high)
    for value, is_fine in ((low, 1), (high, 1), (low - 1, 0), (high + 1, 0)):
        lines.append(f'    expect((try_db("sqlite://?{name}={value}", NULL) == WEIR_OK) == {is_fine}, "{name}={value}");')
    return lines


def test_every_option_of_the_tables_has_the_stated_default_and_range_and_none_is_missing():
    pool, database = tables("### Of a pool"), tables("### Of a database")
    pool_header, db_header = ((TREE / f"include/weir/{name}.h").read_text() for name in ("pool", "db"))
    assert [row[0] for row in pool] == struct_fields(pool_header, "weir_pool_options")
    assert ["pool", *(row[0] for row in database)] == struct_fields(db_header, "weir_db_options")
    lines = [line for row in pool for line in pool_checks(row)] + [line for row in database for line in db_checks(row)]
    assert len(lines) > 100, len(lines)
    lines.append('    expect(strcmp(db_default.pool.name, "db") == 0, "the name of a database");')
    lines.append('    expect(db_default.pool.use_time_every == 1, "use_time_every of a database");')
    printed = run([compile_program("options", PROBE.replace("@", "\n".join(lines)), "-Wno-overflow", "-Wno-type-limits")])
    assert not printed, printed


def test_every_option_is_explained_below_its_table():
    text = MANUAL.read_text()
    for row in tables("### Of a pool") + tables("### Of a database"):
        assert re.search(rf"^- (\*\*`\w+`\*\*, )*\*\*`{row[0]}`\*\*", text, re.MULTILINE), row[0]


# ---- names and errors -----------------------------------------------------------------------------------------------

def sources():
    return [path for folder in ("include", "src", "server", "cli", "tests", "bench") for path in sorted((TREE / folder).rglob("*.[ch]"))]


def test_every_name_of_ours_in_the_pages_exists():
    known = set(re.findall(r"\bWEIR_\w+|\bweir_\w+", "\n".join(path.read_text() for path in sources())))
    # Made from the X-macros: a prefix and each entry.
    for header, table, prefix in (("base", "STATUS", "WEIR_"), ("event", "POOL_EVENT", "WEIR_EVENT_"), ("event", "REASON", "WEIR_REASON_")):
        text = (TREE / f"include/weir/{header}.h").read_text()
        body = re.search(rf"#define WEIR_{table}_MAP\(X\)(.*?)\n\n", text, re.DOTALL)[1]
        known.update(prefix + entry for entry in re.findall(r"X\((\w+),", body))
    unknown = [f"{name_of(page)}: {name}" for page in pages() + manual_pages()
               for name in re.findall(r"\bWEIR_[A-Z]\w*|\bweir_\w*[a-z]\w*", page.read_text()) if name not in known]
    assert not unknown, "\n".join(sorted(set(unknown)))


def test_every_function_and_file_named_in_the_internals_exists():
    code = "\n".join(path.read_text() for path in sources())
    page = TREE / "docs/internals/pool.md"
    names = re.findall(r"`(\w+)\(\)`", page.read_text())
    assert len(names) > 5, names
    missing = [name for name in names if name not in ("overflow", "fork") and not re.search(rf"\b{name}\(", code)]
    files = re.findall(r"`((?:\.\./\w+/|src/|tests/)?[\w/]+\.[chpy]+)`", page.read_text())
    missing += [name for name in files if not any((TREE / folder / name).exists() for folder in ("", "src/pool", "src/base"))]
    assert not missing, missing


def test_every_path_named_in_the_pages_exists():
    pattern = re.compile(r"`((?:src|server|cli|tests|include|examples|docs|tools|bench)/[\w./*-]*)`")
    missing = [f"{name_of(page)}: {path}" for page in pages() for path in pattern.findall(page.read_text())
               if "<" not in path and not list(TREE.glob(path.rstrip("/") or "."))]
    assert not missing, "\n".join(missing)


def literals():
    """Every string of the sources, neighbours joined, with its conversions as `…`."""
    found = []
    for folder in ("src", "server", "cli"):
        for path in sorted((TREE / folder).rglob("*.c")):
            text, end, joined = path.read_text(), 0, []
            for match in re.finditer(r'"((?:[^"\\\n]|\\.)*)"', text):
                if not re.fullmatch(r"\s*(PRId64)?\s*", text[end:match.start()]):
                    joined.append("")
                joined[-1] += match[1].replace('\\"', '"')
                end = match.end()
            found += [re.sub(r"%[-+ #0]*[\d.*]*[hlzj]*[a-zA-Z]", "…", literal) for literal in joined]
    return "\n".join(found)


def test_every_error_explained_to_users_is_one_that_the_code_gives():
    known = literals()
    rows = tables("## Errors and what to do")
    assert len(rows) > 20, len(rows)
    unknown = []
    for row in rows:
        for text in row[0].split(", parameter "):
            # Refusals of the SQLite driver get their prefix in one place.
            pieces = [piece.strip() for piece in text.removeprefix("sqlite: ").split("…") if len(piece.strip()) > 3]
            unknown += [piece for piece in pieces if piece not in known and piece != "WEIR_MISUSE"]
    assert not unknown, "\n".join(unknown)


# ---- links ----------------------------------------------------------------------------------------------------------

def anchor(heading):
    """As the sites that show these pages make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_every_relative_link_leads_somewhere():
    broken = []
    for page in pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text())):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, fragment = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            if not there.exists():
                broken.append(f"{name_of(page)}: {target}")
            elif fragment and fragment not in {anchor(line.lstrip("#")) for line in there.read_text().splitlines() if line.startswith("#")}:
                broken.append(f"{name_of(page)}: {target}: no such heading")
    assert not broken, "\n".join(broken)


# ---- the command ----------------------------------------------------------------------------------------------------

def roff_text(path):
    return path.read_text().replace("\\-", "-")


def test_every_option_of_the_command_stands_in_its_manual_page_with_its_default():
    if COMMAND is None:
        return
    page = roff_text(TREE / "docs/man/weir.1")
    text = run([COMMAND, "serve", "--help"])
    options = re.findall(r"^  --(\S+) VALUE +\((\w+)\)$", text, re.MULTILINE)
    assert len(options) > 10, text
    missing = [f"--{flag} ({variable})" for flag, variable in options
               if not re.search(rf"^\.It Fl -{flag} Ar \w+ Pq Ev {variable}$", page, re.MULTILINE)]
    assert not missing, missing
    known = {flag for flag, _ in options} | set(re.findall(r"--([\w-]+)", run([COMMAND, "token", "--help"]))) | {"help", "version"}
    extra = set(re.findall(r"\bFl -([\w-]+)", page)) - known
    assert not extra, extra


def test_the_defaults_of_the_manual_page_are_those_of_the_command():
    table = (TREE / "server/config.c").read_text()
    rows = re.findall(r'\{"([\w-]+)",\s*"\w+",\s*KIND_\w+,\s*AT\(\w+\),\s*(?:"([^"]*)"|NULL)', table)
    assert len(rows) > 10, rows
    page = roff_text(TREE / "docs/man/weir.1")
    for flag, default in rows:
        entry = re.search(rf"^\.It Fl -{flag} .*?(?=^\.It |^\.El)", page, re.MULTILINE | re.DOTALL)
        assert entry, flag
        if default:
            assert f"\nDefault: {default}.\n" in entry[0], f"--{flag}: the default {default} is not in\n{entry[0]}"


def test_every_route_of_the_backend_stands_in_the_manual_page_and_no_other():
    routes = re.findall(r'\{"([A-Z]+)", "(/[^"]*)"', (TREE / "server/routes.c").read_text())
    assert len(routes) > 5, routes
    named = re.findall(r"^\.It ([A-Z]+) (/\S*)", (TREE / "docs/man/weir.1").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(routes), set(named) ^ set(routes)


def test_the_manual_pages_are_well_formed():
    for page in manual_pages():
        text = page.read_text()
        assert text.startswith('.\\" SPDX-License-Identifier: MIT\n'), page
        for macro in (".Dd ", ".Dt WEIR ", ".Os", ".Sh NAME", ".Sh SYNOPSIS", ".Sh DESCRIPTION", ".Sh EXAMPLES"):
            assert f"\n{macro}" in text, f"{page.name}: no {macro}"
        assert text.count("\n.Bl ") == text.count("\n.El"), page
        assert text.count("\n.Bd ") == text.count("\n.Ed"), page
        if os.access("/usr/bin/mandoc", os.X_OK):
            printed = subprocess.run(["/usr/bin/mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True)
            assert not printed.stdout, printed.stdout


if __name__ == "__main__":
    with SCRATCH:
        tap.run_module(globals())
