# SPDX-License-Identifier: MIT
"""Rows of any kind over the API, on SQLite and PostgreSQL: each id that is shown finds its row, whatever bytes the
database holds; run by tests/with_postgres.sh."""
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse

import tap
from backend import Backend, PostgresDatabase, SqliteDatabase

PROGRAM = os.path.abspath(sys.argv[1])
directory = tempfile.TemporaryDirectory(prefix="weir-rows-")
TEXTS = ("plain", "a/b", "100%", "%41", "two words", "a.b", ".hidden", "..", "?x=1&y#z", "a+b", "ü", "\u20ac", "it's",
         '"', "\\", "-1", "null", "tab\there", "line\nbreak")


def path_of(table, shown):
    """As a client puts the id into a URL that the JSON shows."""
    if isinstance(shown, bool):
        shown = "true" if shown else "false"
    text = shown if isinstance(shown, str) else repr(shown)
    return f"/api/v1/tables/{urllib.parse.quote(table, safe='')}/{urllib.parse.quote(text, safe='').replace('.', '%2E')}"


def each_id_finds_its_row(backend, table, count, column="id"):
    answer = backend.get(f"/api/v1/tables/{table}")
    assert answer.status == 200, answer.body
    assert len(answer.json) == count, answer.body
    for row in answer.json:
        found = backend.get(path_of(table, row[column]))
        assert found.status == 200, (table, row, found.status, found.body)
        assert found.json == row, (table, row, found.json)


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


# ---- SQLite

sqlite = SqliteDatabase(pathlib.Path(directory.name) / "rows.db")
sqlite.script("""
CREATE TABLE whole (id INTEGER PRIMARY KEY); INSERT INTO whole VALUES (1), (-5), (9223372036854775807), (-9223372036854775808);
CREATE TABLE yes (id BOOLEAN PRIMARY KEY); INSERT INTO yes VALUES (0), (1), (7), ('maybe');
CREATE TABLE real (id REAL PRIMARY KEY); INSERT INTO real VALUES (0.1), (1), (-2.5e-300), (1e300), (123456789012345678), (0.30000000000000004);
CREATE TABLE blob (id BLOB PRIMARY KEY); INSERT INTO blob VALUES (x'00ff10'), (x'61'), (x''), (x'fffefdfc'), ('YQ=='), (x'3e3f');
CREATE TABLE uuid (id UUID PRIMARY KEY); INSERT INTO uuid VALUES ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'), ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12');
CREATE TABLE stamp (id TIMESTAMP PRIMARY KEY); INSERT INTO stamp VALUES ('2024-02-29 12:30:00'), ('2024-02-29T12:30:01'),
  ('2024-02-29 12:30:00.125Z'), ('2024-02-29 12:30:02+02'), ('2024-02-29 12:30:03-0330'), ('2024-02-29t12:30:04+05:30'),
  ('2024-02-29 12:30'), ('someday'), (1709209800), ('2024-02-29 12:30:05+00'), ('2024-02-29 12:30:06 +02:00');
CREATE TABLE day (id DATE PRIMARY KEY); INSERT INTO day VALUES ('2024-02-29'), ('yesterday'), (19782);
CREATE TABLE doc (id JSON PRIMARY KEY); INSERT INTO doc VALUES ('"a"'), ('{"b": 1}'), ('no json');
CREATE TABLE money (id NUMERIC PRIMARY KEY); INSERT INTO money VALUES ('1.50'), (2), (1e20), ('a lot');
CREATE TABLE any (id PRIMARY KEY, note TEXT);
INSERT INTO any VALUES (1, 'int'), (1.5, 'real'), ('1.0', 'text like a real'), ('two', 'text'), (x'0102', 'blob'), (2.0, 'real'),
  ('true', 'text like a boolean');
CREATE TABLE bare (id TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO bare VALUES ('x'), ('1');
CREATE TABLE folded (id TEXT COLLATE NOCASE PRIMARY KEY); INSERT INTO folded VALUES ('Abc');
CREATE TABLE broken (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO broken VALUES (1, 'fine'), (2, CAST(x'4dfc6c6c6572' AS TEXT)), (3, CAST(x'e282' AS TEXT)), (4, 'ü');
""" + "CREATE TABLE word (id TEXT PRIMARY KEY);" + "".join(f"INSERT INTO word VALUES ({quoted(text)});" for text in TEXTS))


def on_sqlite():
    return Backend(PROGRAM, environment={"SQL_CONN_STRING": sqlite.url})


def test_each_id_that_sqlite_shows_finds_its_row():
    with on_sqlite() as backend:
        for table, count in (("whole", 4), ("yes", 4), ("real", 6), ("uuid", 2), ("stamp", 11), ("day", 3),
                             ("money", 4), ("bare", 2), ("folded", 1), ("word", len(TEXTS))):
            each_id_finds_its_row(backend, table, count)


def test_blobs_and_json_of_sqlite_are_found_as_they_are_shown():
    with on_sqlite() as backend:
        rows = [row["id"] for row in backend.get("/api/v1/tables/blob").json]
        assert sorted(rows) == sorted(["AP8Q", "YQ==", "", "//79/A==", "YQ==", "Pj8="]), rows
        for shown in ("AP8Q", "YQ==", "//79/A==", "Pj8="):
            assert backend.get(path_of("blob", shown)).json == {"id": shown}
        for raw, row in (('"a"', "a"), ('{"b": 1}', {"b": 1}), ("no json", "no json")):
            assert backend.get(path_of("doc", raw)).json == {"id": row}, raw


def test_a_column_of_any_type_tells_its_values_apart():
    with on_sqlite() as backend:
        for shown, note in ((1, "int"), (1.5, "real"), ("1.0", "text like a real"), ("two", "text"), ("AQI=", "blob"),
                            (2.0, "real"), ("true", "text like a boolean")):
            assert backend.get(path_of("any", shown)).json["note"] == note, shown
        for other, note in (("1.5000", "real"), ("2", "real"), ("15e-1", "real")):
            assert backend.get(path_of("any", other)).json["note"] == note, other
        for missing in ("AQI", "TWO", "x", "1.51", "0x2", " 2", "inf"):
            assert backend.get(path_of("any", missing)).status == 404, missing
        for table, missing in (("whole", "1.0"), ("whole", "abc"), ("real", "inf"), ("real", "0x1"), ("stamp", "2024-02-29"),
                               ("yes", "yes"), ("whole", "9223372036854775808")):
            assert backend.get(path_of(table, missing)).status == 404, (table, missing)


def test_rows_with_broken_text_of_sqlite_are_shown_and_marked():
    with on_sqlite() as backend:
        broken_text_is_shown(backend)


def broken_text_is_shown(backend):
    answer = backend.get("/api/v1/tables/broken")
    assert answer.status == 200, answer.body
    assert [row["name"] for row in answer.json] == ["fine", "M\ufffdller", "\ufffd\ufffd", "ü"], answer.body
    assert answer.headers["X-Replaced-Text"] == "true"
    one = backend.get("/api/v1/tables/broken/2")
    assert one.status == 200 and one.json == {"id": 2, "name": "M\ufffdller"} and one.headers["X-Replaced-Text"] == "true"
    for whole in ("/api/v1/tables/broken/1", "/api/v1/tables/broken/4", "/api/v1/tables/broken?limit=1"):
        answer = backend.get(whole)
        assert answer.status == 200 and answer.headers["X-Replaced-Text"] is None, (whole, answer.headers.items())


# ---- PostgreSQL

postgres = PostgresDatabase("weir_rows")
postgres.script("""
CREATE TYPE mood AS ENUM ('sad', 'very happy'); CREATE DOMAIN positive AS numeric(6,2) CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE whole (id bigint PRIMARY KEY); INSERT INTO whole VALUES (1), (-5), (9223372036854775807), (-9223372036854775808);
CREATE TABLE small (id smallint PRIMARY KEY); INSERT INTO small VALUES (1), (-32768);
CREATE TABLE yes (id boolean PRIMARY KEY); INSERT INTO yes VALUES (false), (true);
CREATE TABLE real8 (id double precision PRIMARY KEY); INSERT INTO real8 VALUES (0.1), (1), (-2.5e-300), (1e300), (0.30000000000000004), (5e-324);
CREATE TABLE real4 (id real PRIMARY KEY); INSERT INTO real4 VALUES (0.1), (16777216), (1e-40), (3.4e38);
CREATE TABLE bytes (id bytea PRIMARY KEY); INSERT INTO bytes VALUES ('\\x00ff10'), ('\\x61'), ('\\xfffefdfc');
CREATE TABLE uuid (id uuid PRIMARY KEY); INSERT INTO uuid VALUES ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11');
CREATE TABLE stamp (id timestamp PRIMARY KEY); INSERT INTO stamp VALUES ('2024-02-29 12:30:00'), ('2024-02-29 12:30:00.125'), ('infinity'), ('0044-03-15 12:00 BC'), ('12024-01-01 00:00');
CREATE TABLE stamp0 (id timestamp(0) PRIMARY KEY); INSERT INTO stamp0 VALUES ('2024-02-29 12:30:00');
CREATE TABLE stampz (id timestamptz PRIMARY KEY); INSERT INTO stampz VALUES ('2024-02-29 12:30:00+00'), ('1850-01-01 00:00:00.000001+00'), ('-infinity');
CREATE TABLE day (id date PRIMARY KEY); INSERT INTO day VALUES ('2024-02-29'), ('0044-03-15 BC');
CREATE TABLE clock (id timetz PRIMARY KEY); INSERT INTO clock VALUES ('12:30:00.5+02');
CREATE TABLE span (id interval PRIMARY KEY); INSERT INTO span VALUES ('1 year 2 days 03:04:05.6'), ('-5 minutes');
CREATE TABLE money (id numeric(8,2) PRIMARY KEY); INSERT INTO money VALUES (1.5), (2), ('NaN');
CREATE TABLE big (id numeric PRIMARY KEY); INSERT INTO big VALUES (12345678901234567890123456789.0123456789);
CREATE TABLE amount (id positive PRIMARY KEY); INSERT INTO amount VALUES (1.5);
CREATE TABLE moods (id mood PRIMARY KEY); INSERT INTO moods VALUES ('sad'), ('very happy');
CREATE TABLE pairs (id pair PRIMARY KEY); INSERT INTO pairs VALUES ((1, 'a "b"')), ((2, NULL));
CREATE TABLE lists (id int[] PRIMARY KEY); INSERT INTO lists VALUES ('{1,2}'), ('{}');
CREATE TABLE ranges (id daterange PRIMARY KEY); INSERT INTO ranges VALUES ('[2024-01-01,2024-02-01)'), ('empty');
CREATE TABLE net (id inet PRIMARY KEY); INSERT INTO net VALUES ('10.0.0.1/8'), ('::1');
CREATE TABLE bits (id bit(3) PRIMARY KEY); INSERT INTO bits VALUES ('101');
CREATE TABLE padded (id char(5) PRIMARY KEY); INSERT INTO padded VALUES ('ab');
CREATE TABLE letter (id "char" PRIMARY KEY); INSERT INTO letter VALUES ('a');
CREATE TABLE object (id oid PRIMARY KEY); INSERT INTO object VALUES (4294967295);
CREATE TABLE doc (id jsonb PRIMARY KEY); INSERT INTO doc VALUES ('{"b": 1}');
CREATE TABLE "Literature" ("ID" json); INSERT INTO "Literature" VALUES ('{"b": 1}');
CREATE TABLE "Answers" ("ID" point); INSERT INTO "Answers" VALUES ('(1,2)');
CREATE VIEW "Court Decisions" AS SELECT 1 / (n - 1) AS "ID" FROM generate_series(0, 3) AS n;
""" + "CREATE TABLE word (id text PRIMARY KEY);" + "".join(f"INSERT INTO word VALUES ({quoted(text)});" for text in TEXTS))


def on_postgres(**environment):
    return Backend(PROGRAM, environment={"SQL_CONN_STRING": postgres.url, **environment})


def test_each_id_that_postgresql_shows_finds_its_row():
    with on_postgres() as backend:
        for table, count in (("whole", 4), ("small", 2), ("yes", 2), ("real8", 6), ("real4", 4), ("bytes", 3), ("uuid", 1), ("stamp", 5),
                             ("stamp0", 1), ("stampz", 3), ("day", 2), ("clock", 1), ("span", 2), ("money", 3), ("big", 1), ("amount", 1),
                             ("moods", 2), ("pairs", 2), ("lists", 2), ("ranges", 2), ("net", 2), ("bits", 1), ("padded", 1),
                             ("letter", 1), ("object", 1), ("word", len(TEXTS))):
            each_id_finds_its_row(backend, table, count)
        each_id_finds_its_row(backend, "Answers", 1, "ID")
        assert backend.get("/api/v1/tables/Literature").json == [{"ID": {"b": 1}}]
        assert backend.get(path_of("doc", '{"b": 1}')).json == {"id": {"b": 1}}
        assert backend.get(path_of("Literature", '{"b": 1}')).json == {"ID": {"b": 1}}
        assert backend.get(path_of("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")).status == 200
        assert backend.get(path_of("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11")).status == 200


def test_an_id_that_cannot_be_of_the_type_is_not_found():
    with on_postgres() as backend:
        for table, wrong in (("whole", "abc"), ("whole", "1.0"), ("small", "99999"), ("yes", "perhaps"), ("real8", "1e999"), ("real8", "x"),
                             ("bytes", "not base64"), ("bytes", "YQ"), ("uuid", "a0eebc99"), ("stamp", "2024-02-30"), ("stamp", "x"),
                             ("stamp0", "2024-02-29T12:30:00.4"), ("stampz", "99999999-01-01"), ("day", "tomorrow!"), ("money", "1.504"), ("money", "lots"),
                             ("amount", "-1"), ("moods", "angry"), ("pairs", "(1)"), ("lists", "{1"), ("ranges", "[2,1]"), ("net", "300.0.0.1"),
                             ("bits", "1011"), ("letter", "ab"), ("doc", "{"), ("Literature", "{"), ("Answers", "x")):
            answer = backend.get(path_of(table, wrong))
            assert answer.status == 404 and answer.json["error"] == "no entry found with the specified id", (table, wrong, answer.body)


def test_a_view_that_fails_to_compute_is_no_missing_row():
    with on_postgres() as backend:
        answer = backend.get(path_of("Court Decisions", "0"))
        assert answer.status == 500 and "22012" in answer.detail, (answer.status, answer.body)


def test_rows_with_broken_text_of_postgresql_are_shown_and_marked():
    name = "weir_rows_ascii"
    command = [postgres.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    url = postgres.url.replace("/weir_rows", "/" + name)
    subprocess.run([*command, postgres.admin_url, "-c",
                    f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"], check=True, timeout=60)
    subprocess.run([*command, url], check=True, timeout=60, input=rb"""
CREATE TABLE broken (id int PRIMARY KEY, name text);
INSERT INTO broken VALUES (1, 'fine'), (2, E'M\xfcller'), (3, E'\xe2\x82'), (4, E'\xc3\xbc');
CREATE TABLE doc (id int PRIMARY KEY, body jsonb); INSERT INTO doc VALUES (1, E'{"a": "\xff"}');
""")
    with Backend(PROGRAM, environment={"SQL_CONN_STRING": url}) as backend:
        broken_text_is_shown(backend)
        answer = backend.get("/api/v1/tables/doc")
        assert answer.json == [{"id": 1, "body": {"a": "\ufffd"}}] and answer.headers["X-Replaced-Text"] == "true", answer.body


if __name__ == "__main__":
    tap.run_module(globals())
