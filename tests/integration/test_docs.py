#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The documentation against the code: samples compile and run, options, names, errors and links are those that exist.

Arguments: a C compiler, the shared libweir, libweir-db and libweir-http, and the weir command where it is built.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/integration"))
import backend
import tap

COMPILER = sys.argv[1]
LIBRARIES = [os.path.abspath(path) for path in sys.argv[2:5]]
COMMAND = os.path.abspath(sys.argv[5]) if len(sys.argv) > 5 else None
SCRATCH = tempfile.TemporaryDirectory(prefix="weir-docs-")

MANUAL = TREE / "docs/connection-management.md"
HTTP = TREE / "docs/http-sessions.md"
POLICIES = TREE / "docs/retries-and-breakers.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a fragment of a page may use without saying where it comes from.
FRAGMENT = """
#include <stdio.h>
#include <weir/weir.h>
static void fragment(weir_pool *pool, weir_lease lease, weir_db *db, weir_conn *conn, weir_param *params, weir_http *session,
                     weir_http_request *request, weir_http_response *response, const char *token, size_t size,
                     weir_status status, weir_error error)
{
    (void)pool, (void)lease, (void)db, (void)conn, (void)params, (void)session, (void)request, (void)response, (void)token;
    (void)size, (void)status, (void)error;
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
    folders = [str(pathlib.Path(library).parent) for library in LIBRARIES]
    run([COMPILER, "-std=c99", "-Wall", "-Wextra", "-Werror", *flags, f"-I{TREE}/include", source, "-o", source.with_suffix(""),
         *reversed(LIBRARIES), *(f"-Wl,-rpath,{folder}" for folder in folders)])
    return source.with_suffix("")


def check_fragment(name, text):
    source = pathlib.Path(SCRATCH.name) / f"{name}.c"
    source.write_text(FRAGMENT.replace("@", text))
    run([COMPILER, "-std=c99", "-fsyntax-only", "-Wall", "-Werror", "-Wno-unused", f"-I{TREE}/include", source])


# ---- samples --------------------------------------------------------------------------------------------------------

def readme_program(name, header):
    """A program of the README, built, with what it is called with and what it is said to print."""
    (program,) = (text for text in blocks(TREE / "README.md", "c") if f"#include <weir/{header}>" in text)
    assert len(program.splitlines()) < 30, len(program.splitlines())
    called, said = re.search(rf"\./{name}( \S+)? +# (.+)$", "".join(blocks(TREE / "README.md", "sh")), re.MULTILINE).groups()
    return compile_program(name, program), called, said


def test_the_quickstart_is_under_30_lines_compiles_and_prints_what_the_readme_says():
    program, _, said = readme_program("quickstart", "weir.h")
    assert run([program]) == said + "\n"


def test_the_readmes_request_is_under_30_lines_compiles_and_prints_what_the_backend_answers():
    program, called, said = readme_program("get", "http.h")
    if COMMAND is None:
        return
    running = backend.Backend(COMMAND)
    try:
        url = called.strip().replace("http://127.0.0.1:8000", f"http://{running.host}:{running.port}")
        assert url != called.strip(), called
        assert run([program, url]) == said + "\n"
    finally:
        running.close()
    done = subprocess.run([program, url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and re.search(r"\d+ attempts", done.stderr), done


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


def call_by_hand():
    """The program around a call of one's own that the page about retries shows."""
    (program,) = (text for text in blocks(POLICIES, "c") if "int main(" in text and "send_once(" in text)
    return program


def test_the_call_by_hand_prints_what_the_page_says():
    program = call_by_hand()
    said = re.search(r'printf\("%s\\n", line\); /\* (.+) \*/', program)[1]
    assert run([compile_program("by_hand", program)]) == said + "\n"


def test_the_call_by_hand_pays_nothing_into_the_budget_while_the_breaker_is_open():
    # Of this budget the balance is what was paid in, a whole repeat for each call. The server does not fail.
    changes = {"weir_budget_init(&budget, NULL": "weir_budget_init(&budget, &(weir_budget_options){100, 0, 60, false}",
               "<= 2 ? 503 : 200": "<= 0 ? 503 : 200",
               "return decision.verdict != WEIR_VERDICT_RETURN;":
                   'printf("balance %d\\n", (int)weir_budget_balance(&budget, weir_now()));\n    return decision.verdict == WEIR_VERDICT_RETRY;'}
    opening = {"weir_retry_decision decision = get(":
               "(void)weir_breaker_set(&breaker, WEIR_BREAKER_FORCED_OPEN, &error);\n    weir_retry_decision decision = get("}
    for name, more, line, balance in (("closed", {}, "status 200", 1), ("opened", opening, "refused", 0)):
        program = call_by_hand()
        for old, new in (changes | more).items():
            assert program.count(old) == 1, old
            program = program.replace(old, new)
        said = run([compile_program(name, program)])
        assert line in said and said.endswith(f"\nbalance {balance}\n"), said


def test_the_sample_of_the_manual_page_compiles_and_prints_what_the_page_says():
    text = (TREE / "docs/man/weir.3").read_text()
    programs = re.findall(r"^\.Bd -literal[^\n]*\n(#include.*?)^\.Ed$", text, re.MULTILINE | re.DOTALL)
    assert len(programs) == 1, len(programs)
    program = programs[0].replace("\\e", "\\")
    said = re.search(r"^It prints\n\.Ql (.+?) \.$", text, re.MULTILINE)[1]
    assert run([compile_program("manual", program)]) == said + "\n"


# ---- options --------------------------------------------------------------------------------------------------------

def tables(heading, page=MANUAL):
    """The rows of the first table below a heading: lists of cells without backticks."""
    section = page.read_text().split(f"\n{heading}\n", 1)[1]
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
    return re.findall(r"(\w+)(?:\[\w+\])?;", body)


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
    elif field == "nested":
        claim = f"{options}.{field} == WEIR_NESTED_{default.upper()}"
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


HTTP_PROBE = """
#include <stdio.h>
#include <string.h>
#include <weir/http.h>
static void expect(int is_true, const char *what) { if (!is_true) printf("%s\\n", what); }
static weir_status try_http(const weir_http_options *o)
{
    weir_http *session = NULL; weir_error error;
    weir_status status = weir_http_open(o, &session, &error);
    weir_http_close(session);
    return status;
}
static weir_status try_retry(const weir_retry_options *o) { weir_error error; return weir_retry_check(o, &error); }
static weir_status try_budget(const weir_budget_options *o) { static weir_budget b; weir_error e; return weir_budget_init(&b, o, &e); }
static weir_status try_breaker(const weir_breaker_options *o) { static weir_breaker b; weir_error e; return weir_breaker_init(&b, o, &e); }
static weir_status try_rate_limit(const weir_rate_limit_options *o) { static weir_rate_limiter g; weir_error e; return weir_rate_limiter_init(&g, o, &e); }
static const weir_http_options default_http = WEIR_HTTP_OPTIONS_DEFAULT;
static const weir_retry_options default_retry = WEIR_RETRY_OPTIONS_DEFAULT;
static const weir_budget_options default_budget = WEIR_BUDGET_OPTIONS_DEFAULT;
static const weir_breaker_options default_breaker = WEIR_BREAKER_OPTIONS_DEFAULT;
static const weir_rate_limit_options default_rate_limit = WEIR_RATE_LIMIT_OPTIONS_DEFAULT;
int main(void)
{
@
    return 0;
}
"""
# What must be set beside a field so that its own range is what is tried.
ROOM = {"wait_in_open_ms": "o.wait_in_open_max_ms = 86400000;"}
WORDS = {"pool_block": "WEIR_HTTP_WHEN_FULL_", "jitter": "WEIR_JITTER_", "retry_after_action": "WEIR_RETRY_AFTER_"}


def attempt(kind, field, value, is_fine, setup=""):
    return (f"    {{ weir_{kind}_options o = default_{kind}; {setup} o.{field} = {value};"
            f" expect((try_{kind}(&o) == WEIR_OK) == {int(is_fine)}, {c_text(f'{field} {value} {setup}')}); }}")


def c_text(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def default_claim(kind, row):
    """A condition in C, or several, for the default that a row names."""
    field, default, at = row[0], row[2], f"default_{kind}.{row[0]}"
    if default in ("unlimited", "disabled"):
        return f"{at} == WEIR_RETRY_{default.upper()}"
    if default.endswith("_OPTIONS_DEFAULT"):
        assert default == f"WEIR_{field.upper()}_OPTIONS_DEFAULT", row
        return f"memcmp(&{at}, &default_{field}, sizeof {at}) == 0"
    if field == "status_forcelist":
        listed = [*default.split(", "), "0"]
        return " && ".join(f"{at}[{place}] == {value}" for place, value in enumerate(listed))
    if field == "user_agent":
        return f'strcmp({at}, "{default.split()[0]}" WEIR_VERSION) == 0'
    if field == "pool_block":
        return f"{at} == WEIR_HTTP_WHEN_FULL_{default.upper()}"
    if re.fullmatch(r"-?\d+|true|false|NULL|WEIR_\w+", default):
        return f"{at} == {default}"
    return f"strcmp({at}, {c_text(default)}) == 0"


def range_attempts(kind, row):
    """Trials at both ends of the range that a row names, and just outside of it."""
    field, allowed, setup = row[0], row[3], ROOM.get(row[0], "")
    if field == "name":
        low, high = map(int, re.match(r"(\d+) to (\d+) bytes$", allowed).groups())
        return [attempt(kind, field, c_text("x" * size), low <= size <= high) for size in (low, high, low - 1, high + 1)]
    if field in WORDS:
        words = allowed.split(", ")
        beyond = [attempt(kind, field, f"(int){WORDS[field]}{words[-1].upper()} + 1", False)]
        return [attempt(kind, field, WORDS[field] + word.upper(), True) for word in words] + beyond
    if field == "allowed_methods":
        return [attempt(kind, field, value, fine) for value, fine in (("0", True), ("WEIR_METHOD_ANY", True), ("WEIR_METHOD_ANY + 1", False))]
    if field == "status_forcelist":
        low, high, most = map(int, re.match(r"each (\d+) to (\d+), at most (\d+)$", allowed).groups())
        tried = [(low, True), (high, True), (low - 1, False), (high + 1, False)]
        full = f"expect(sizeof o.{field} / sizeof *o.{field} == {most}, {c_text(field)});"
        return [attempt(kind, field + "[0]", value, fine, full) for value, fine in tried]
    if field == "window_size":
        (calls, seconds) = (tuple(map(int, pair)) for pair in re.findall(r"(\d+) to (\d+) (?:calls|seconds)", allowed))
        return [attempt(kind, field, value, low <= value <= high, f"o.window = {window};")
                for window, (low, high) in (("WEIR_WINDOW_COUNT", calls), ("WEIR_WINDOW_TIME", seconds))
                for value in (low, high, low - 1, high + 1)]
    if field == "wait_in_open_max_ms":
        high = int(re.match(r"wait_in_open_ms to (\d+)$", allowed)[1])
        return [attempt(kind, field, value, fine) for value, fine in
                (("o.wait_in_open_ms", True), ("o.wait_in_open_ms - 1", False), (high, True), (high + 1, False))]
    if allowed.endswith(", unlimited, disabled"):
        low, high = numbers(allowed.removesuffix(", unlimited, disabled"))
        special = [("WEIR_RETRY_UNLIMITED", True), ("WEIR_RETRY_DISABLED", True), ("WEIR_RETRY_DISABLED - 1", False)]
        return [attempt(kind, field, value, fine) for value, fine in [(low, True), (high, True), (high + 1, False), *special]]
    if numbers(allowed):
        return [attempt(kind, field, value, fine, setup) for value, fine in values_to_try([*row[:3], "", allowed])]
    # What is left: booleans, files, pointers, and the window's two words, which are no range.
    assert re.match(r"true, false$|a |PEM |\[its own\]|hosts|calls, seconds$", allowed), row
    return []


def test_every_option_of_a_session_and_its_policies_has_the_stated_default_and_range_and_none_is_missing():
    lines = []
    for kind, page, heading in (("http", HTTP, "## Options"), *(
            (kind, POLICIES, f"### `weir_{kind}_options`") for kind in ("retry", "budget", "breaker", "rate_limit"))):
        rows = tables(heading, page)
        header = (TREE / f"include/weir/{kind}.h").read_text()
        assert [row[0] for row in rows] == struct_fields(header, f"weir_{kind}_options"), (kind, [row[0] for row in rows])
        lines += [f"    expect({default_claim(kind, row)}, {c_text(f'{kind}: {row[0]}: the default is not {row[2]}')});" for row in rows]
        lines += [line for row in rows for line in range_attempts(kind, row)]
    assert len(lines) > 200, len(lines)
    printed = run([compile_program("http_options", HTTP_PROBE.replace("@", "\n".join(lines)), "-Wno-overflow")])
    assert not printed, printed


def test_every_option_is_explained_below_its_table():
    for page, rows in ((MANUAL, tables("### Of a pool") + tables("### Of a database")), (HTTP, tables("## Options", HTTP))):
        text = page.read_text()
        for row in rows:
            assert re.search(rf"^- (\*\*`\w+`\*\*, )*\*\*`{row[0]}`\*\*", text, re.MULTILINE), row[0]


# ---- names and errors -----------------------------------------------------------------------------------------------

def sources():
    return [path for folder in ("include", "src", "server", "cli", "tests", "bench") for path in sorted((TREE / folder).rglob("*.[ch]"))]


def test_every_name_of_ours_in_the_pages_exists():
    known = set(re.findall(r"\bWEIR_\w+|\bweir_\w+", "\n".join(path.read_text() for path in sources())))
    # Made from the X-macros: a prefix and each entry.
    for header, table, prefix in (("base", "STATUS", "WEIR_"), ("event", "POOL_EVENT", "WEIR_EVENT_"), ("event", "REASON", "WEIR_REASON_"),
                                  ("http_report", "HTTP_EVENT", "WEIR_HTTP_EVENT_")):
        text = (TREE / f"include/weir/{header}.h").read_text()
        body = re.search(rf"#define WEIR_{table}_MAP\(X\)(.*?)\n\n", text, re.DOTALL)[1]
        known.update(prefix + entry for entry in re.findall(r"X\((\w+),", body))
    # What metrics are called in Prometheus' text; test_metrics.py compares the whole list.
    metrics = {name.replace(".", "_") for path in sources() for name in re.findall(r'"(weir\.[a-z_.]+)"', path.read_text())}
    known.update(name + unit for name in metrics for unit in ("", "_seconds", "_total"))
    # The list of changed names is about those that are gone; the new ones stand behind them.
    texts = {page: re.sub(r"^\|[^|]*\|", "|", page.read_text(), flags=re.MULTILINE) if name_of(page) == "CHANGELOG.md" else page.read_text()
             for page in pages() + manual_pages()}
    unknown = [f"{name_of(page)}: {name}" for page, text in texts.items()
               for name in re.findall(r"\bWEIR_[A-Z]\w*|\bweir_\w*[a-z]\w*", text) if name not in known]
    assert not unknown, "\n".join(sorted(set(unknown)))


def test_every_function_and_file_named_in_the_internals_exists():
    code = "\n".join(path.read_text() for path in sources())
    for room in ("pool", "http"):
        text = (TREE / f"docs/internals/{room}.md").read_text()
        names = re.findall(r"`(\w+)\(\)`", text)
        assert len(names) > 5, names
        missing = [name for name in names if name not in ("overflow", "fork") and not re.search(rf"\b{name}\(", code)]
        files = re.findall(r"`((?:\.\./\w+/|src/|tests/)?[\w/]+\.[chpy]+)`", text)
        missing += [name for name in files if not any((TREE / folder / name).exists() for folder in ("", f"src/{room}", "src/base"))]
        assert not missing, missing


def http_headers():
    return "".join((TREE / f"include/weir/{name}.h").read_text() for name in ("http", "http_request", "http_report"))


def test_every_function_of_an_http_session_stands_in_the_guide_or_the_manual_page():
    header = re.sub(r"/\*.*?\*/", "", http_headers(), flags=re.DOTALL)
    functions = re.findall(r"^(?:WEIR_API|    )[^;{}=]*?\b(weir_http_\w+)\(", header, re.MULTILINE)
    assert len(functions) > 40, functions
    text = HTTP.read_text() + (TREE / "docs/man/weir.3").read_text()
    # What a macro calls with its own place stands in the header only.
    missing = [name for name in functions if not re.search(rf"\b{name.removesuffix('_at')}(_at)?\b", text)]
    assert not missing, missing


def test_the_guide_names_every_figure_event_and_reason_of_an_http_session_and_every_way_a_sending_fails():
    header = http_headers()
    figures = [name for row in tables("## Statistics and events", HTTP) for name in row[0].replace("[]", "").split(", ")]
    body = re.search(r"^typedef struct weir_http_origin {\n(.*?)^}", header, re.MULTILINE | re.DOTALL)[1]
    fields = re.findall(r"(\w+)(?:\[[^]]*\])?;", re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL))
    assert sorted(figures) == sorted(set(fields) - {"name"}), set(figures) ^ set(fields)
    for words, head in (("EVENT", "event | when"), ("REASON", "`reason` | the attempt was made because")):
        rows = header.split(f"#define WEIR_HTTP_{words}_MAP(X)", 1)[1].split("\n\n", 1)[0]
        section = HTTP.read_text().split(f"\n| {head} |\n", 1)[1].split("\n\n", 1)[0]
        assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == re.findall(r'X\(\w+, "(\w+)"', rows), section
    failures = re.search(r"Errors, with what was tried.*?\*/", header, re.DOTALL)[0]
    listed = [row[0] for row in tables("## Errors and what to do", HTTP)]
    missing = set(re.findall(r"WEIR_[A-Z_]+", failures)) - set(listed) - {"WEIR_HTTP_WHEN_FULL_FAIL"}
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
    rows += tables("### Texts", HTTP)
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
    helps = "".join(run([COMMAND, name, "--help"]) for name in ("bench", "token", "top", "verify"))
    known = {flag for flag, _ in options} | set(re.findall(r"--([\w-]+)", helps)) | {"help", "version"}
    extra = set(re.findall(r"\bFl -([\w-]+)", page)) - known
    assert not extra, extra


def test_the_defaults_of_the_manual_page_are_those_of_the_command():
    table = (TREE / "server/config/config.c").read_text()
    rows = re.findall(r'\{"([\w-]+)",\s*"\w+",\s*KIND_\w+,\s*AT\(\w+\),\s*(?:"([^"]*)"|NULL)', table)
    assert len(rows) > 10, rows
    page = roff_text(TREE / "docs/man/weir.1")
    for flag, default in rows:
        entry = re.search(rf"^\.It Fl -{flag} .*?(?=^\.It |^\.El)", page, re.MULTILINE | re.DOTALL)
        assert entry, flag
        if default:
            assert f"\nDefault: {default}.\n" in entry[0], f"--{flag}: the default {default} is not in\n{entry[0]}"


def test_every_route_of_the_backend_stands_in_the_manual_page_and_no_other():
    routes = re.findall(r'\{"([A-Z]+)", "(/[^"]*)"', (TREE / "server/api/routes.c").read_text())
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
