# SPDX-License-Identifier: MIT
"""The HTTP API, the same tests for every engine; test_api_sqlite.py and test_api_postgres.py say on which."""
import http.client
import json
import re
import socket
import sys
import threading
import time
import urllib.parse

import hostile
import tap
from backend import SECRET, Backend, base64url, moderator, token, user, wait_for
from wire import Wire

KINDS = ("court-decisions", "domestic-instruments", "regional-instruments", "international-instruments", "literature",
         "case-analyzer")

# The least that each kind takes.
LEAST = {
    "court-decisions": {"case_citation": "X v Y", "date_publication": "2024-02-29",
                        "official_source_url": "https://example.org", "copyright_issues": "no"},
    "domestic-instruments": {"jurisdiction_link": "CHE", "official_title": "Gesetz", "title_en": "Act",
                             "entry_into_force": "1989-01-01", "source_url": "https://example.org"},
    "regional-instruments": {"abbreviation": "EU"},
    "international-instruments": {"name": "Convention", "url": "https://example.org", "instrument_date": "1980-06-19"},
    "literature": {},
    "case-analyzer": {},
}

SCHEMA = """
CREATE TABLE "Jurisdictions" ("Alpha-3 Code" VARCHAR(3) PRIMARY KEY, "Name" TEXT NOT NULL);
INSERT INTO "Jurisdictions" VALUES ('CHE', 'Switzerland'), ('FRA', 'France'), ('DEU', 'Germany');
CREATE TABLE "Domestic Legal Provisions" (id INTEGER PRIMARY KEY, "Name" TEXT);
INSERT INTO "Domestic Legal Provisions" VALUES (1, 'Art. 1/2 Öffentlich'), (2, 'CHE');
CREATE TABLE "Court Decisions" ("ID" TEXT PRIMARY KEY, "Case" TEXT);
INSERT INTO "Court Decisions" VALUES ('CD-CHE-1', 'A v B');
CREATE TABLE counted (id INTEGER PRIMARY KEY, word TEXT);
CREATE TABLE pairs (a INTEGER, b INTEGER, PRIMARY KEY (a, b));
INSERT INTO pairs VALUES (1, 2);
CREATE TABLE "quote""d; DROP TABLE pairs" (id INTEGER PRIMARY KEY);
INSERT INTO "quote""d; DROP TABLE pairs" VALUES (5);
"""

backend = None
database = None


def fill():
    rows = ", ".join(f"({i}, 'word {i}')" for i in range(1, 1201))
    database.script(SCHEMA + f"INSERT INTO counted VALUES {rows};")


def table_of(kind):
    return "suggestions_" + (kind or "generic").replace("-", "_")


def stored_payload(kind, number):
    """What lies in the database under that id, read past the server."""
    column = "data" if kind == "case-analyzer" else "payload"
    rows = database.query(f"SELECT {column} FROM {table_of(kind)} WHERE id = {int(number)}")
    assert len(rows) == 1, rows
    return json.loads(rows[0][0])


def stored_count():
    """How many suggestions of all kinds there are."""
    return sum(int(database.query(f"SELECT count(*) FROM {table_of(kind)}")[0][0]) for kind in (None, *KINDS))


def submit(kind, **fields):
    answer = backend.post(f"/api/v1/suggestions/{kind}", {**LEAST[kind], **fields})
    assert answer.status == 201, (answer.status, answer.body)
    assert answer.json == {"id": answer.json["id"], "status": "stored"}
    return answer.json["id"]


def pending(kind, limit=1000):
    answer = backend.get(f"/api/v1/suggestions/{kind}/pending?limit={limit}", moderator())
    assert answer.status == 200, answer.body
    return answer.json


def refused(answer, status, *parts):
    """An error in the API's shape, which says all of `parts`."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer.headers["Content-Type"].startswith("application/json"), answer.headers.items()
    assert isinstance(answer.detail, str) and answer.detail
    for part in parts:
        assert part in answer.detail, answer.detail


# ---- Without a token


def test_the_root_says_name_and_version():
    answer = backend.get("/api/v1", {})
    assert answer.status == 200
    assert answer.json["name"] == "weir" and answer.json["message"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", answer.json["version"])


def test_health_and_readiness_are_lines_of_text():
    assert backend.get("/healthz", {}).body == b"alive\n"
    answer = backend.readiness()
    assert answer.status == 200
    assert answer.body == b"server: ok\nmain database: ok\nsuggestions database: ok\n", answer.body


def test_every_answer_carries_a_request_id():
    first, second = backend.get("/api/v1", {}), backend.get("/api/v1", {})
    assert first.headers["X-Request-Id"] and first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


# ---- Tokens


PROTECTED = [("GET", "/api/v1/pools"), ("GET", "/api/v1/tables"), ("GET", "/api/v1/tables/Jurisdictions"),
             ("GET", "/api/v1/tables/Jurisdictions/CHE"), ("POST", "/api/v1/suggestions"),
             ("POST", "/api/v1/suggestions/literature"), ("GET", "/api/v1/suggestions/literature/pending"),
             ("POST", "/api/v1/suggestions/literature/1/status"), ("PUT", "/api/v1/suggestions/literature/1/payload"),
             ("GET", "/api/v1/nocodb/x"), ("GET", "/api/v1/nocodb/x/1")]


def test_all_routes_but_the_first_need_a_token():
    before = stored_count()
    for method, path in PROTECTED:
        answer = backend.request(method, path, {} if method != "GET" else None)
        refused(answer, 401)
        assert answer.detail == "Authorization header missing", (path, answer.detail)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert stored_count() == before


def test_malformed_headers_are_told_from_invalid_tokens():
    for value in ("Basic abc", "Bearer", "Bearer a b", token(sub="x"), "Token " + token(sub="x")):
        answer = backend.get("/api/v1/tables", {"Authorization": value})
        refused(answer, 401)
        assert answer.detail == "Invalid token format. Use 'Bearer <token>'.", (value, answer.detail)


def test_invalid_tokens_get_one_sentence():
    now = int(time.time())
    unsigned = base64url(b'{"alg":"none"}') + "." + base64url(b'{"sub":"x"}') + "."
    good = token(sub="x")
    for bad in (token("another secret of thirty-two bytes!", sub="x"), token(sub="x", exp=now - 1),
                token(sub="x", nbf=now + 60), token(sub="x", exp="soon"), unsigned, "abc", "a.b.c", good[:-5],
                token(header={"alg": "HS512"}, sub="x"), token(header={"alg": "HS256", "crit": ["x"]}, sub="x"),
                good.replace(".", "..", 1), "é", "'"):
        answer = backend.get("/api/v1/tables", {"Authorization": b"Bearer " + bad.encode("latin-1")})
        refused(answer, 401)
        assert answer.detail == "Invalid or expired token", (bad, answer.detail)


def test_valid_tokens_pass_whatever_else_they_say():
    for good in (token(), token(sub="x"), token(sub="x", exp=time.time() + 60.5), token(sub="x", role="guest", more=[1])):
        assert backend.get("/api/v1/tables", {"Authorization": "Bearer " + good}).status == 200
    assert backend.get("/api/v1/tables", {"authorization": "bearer " + token()}).status == 200


def test_blanks_and_tabs_around_a_header_are_not_of_its_value():
    good = user()["Authorization"]
    with Wire(backend.port) as client:
        for before in ("", " ", "  ", "\t", " \t "):
            for behind in ("", " ", "\t", " \t ", "  \t\t  "):
                client.send(f"GET /api/v1/tables HTTP/1.1\r\nHost: h\r\nAuthorization:{before}{good}{behind}\r\n\r\n")
                status, _, body = client.response()
                assert status == 200, (before, behind, status, body)
        client.send(f"GET /api/v1/tables HTTP/1.1\r\nHost: h\r\nAuthorization: {good} \tx \r\n\r\n")
        assert client.response()[0] == 401, "what stands between blanks is of the value"


def test_moderation_needs_the_role_and_a_name():
    for method, path, body in (("GET", "/api/v1/suggestions/literature/pending", None),
                               ("POST", "/api/v1/suggestions/literature/1/status", {"status": "approved"}),
                               ("PUT", "/api/v1/suggestions/literature/1/payload", {})):
        refused(backend.request(method, path, body, user()), 403, "Moderator role required")
        wrong = {"Authorization": "Bearer " + token(sub="x", role="Moderator")}
        refused(backend.request(method, path, body, wrong), 403)
        nameless = {"Authorization": "Bearer " + token(role="moderator")}
        refused(backend.request(method, path, body, nameless), 403, "no sub")


# ---- Tables


def test_tables_are_listed_without_the_suggestions():
    names = backend.get("/api/v1/tables").json
    assert names == sorted(names)
    assert {"Jurisdictions", "Court Decisions", "counted"} <= set(names)
    assert not [name for name in names if name.startswith("suggestions_")]


def test_suggestions_cannot_be_read_as_tables():
    for path in ("/api/v1/tables/suggestions_generic", "/api/v1/tables/suggestions_generic/1",
                 "/api/v1/tables/suggestions%5Fgeneric", "/api/v1/tables/SUGGESTIONS_GENERIC"):
        refused(backend.get(path), 404, "no table named")


def test_a_row_comes_as_an_object():
    assert backend.get("/api/v1/tables/Jurisdictions/CHE").json == {"Alpha-3 Code": "CHE", "Name": "Switzerland"}
    assert backend.get("/api/v1/tables/Court%20Decisions/CD-CHE-1").json == {"ID": "CD-CHE-1", "Case": "A v B"}
    name = urllib.parse.quote("Art. 1/2 Öffentlich", safe="")
    assert backend.get(f"/api/v1/tables/Domestic%20Legal%20Provisions/{name}").json["id"] == 1
    assert backend.get("/api/v1/tables/counted/7").json == {"id": 7, "word": "word 7"}


def test_a_missing_row_is_404_in_both_words():
    for path in ("Jurisdictions/XXX", "counted/0", "counted/abc", "counted/1.0", "counted/99999999999999999999",
                 "counted/1%20OR%201=1", "Jurisdictions/CHE'--", "counted/2147483648"):
        answer = backend.get("/api/v1/tables/" + path)
        refused(answer, 404)
        assert answer.json == {"detail": "no entry found with the specified id",
                               "error": "no entry found with the specified id"}, path


def test_a_missing_table_is_404():
    for path in ("nothing", "nothing/1", "jurisdictions", "counted%20", "sqlite_master", "pg_catalog.pg_class"):
        refused(backend.get("/api/v1/tables/" + path), 404, "no table named")


def test_a_table_without_a_key_of_one_column_says_so():
    refused(backend.get("/api/v1/tables/pairs/1"), 422, "no single-column primary key")


def test_rows_come_by_pages_in_a_stable_order():
    rows = backend.get("/api/v1/tables/counted").json
    assert [row["id"] for row in rows] == list(range(1, 101))
    rows = backend.get("/api/v1/tables/counted?limit=1000").json
    assert len(rows) == 1000
    rows = backend.get("/api/v1/tables/counted?limit=3&offset=1198").json
    assert [row["id"] for row in rows] == [1199, 1200]
    assert backend.get("/api/v1/tables/counted?offset=1200").json == []
    seen = []
    while len(seen) < 1200:
        seen += [row["id"] for row in backend.get(f"/api/v1/tables/counted?limit=170&offset={len(seen)}").json]
    assert seen == list(range(1, 1201))


def test_wrong_limits_are_named_all_at_once():
    for query in ("limit=0", "limit=1001", "limit=-1", "limit=ten", "limit=", "limit=1.5", "limit=%2B5"):
        refused(backend.get("/api/v1/tables/counted?" + query), 422, "limit: must be a whole number from 1 to 1000")
    answer = backend.get("/api/v1/tables/counted?limit=x&offset=-1")
    refused(answer, 422, "limit:", "offset:")
    assert [error["field"] for error in answer.json["errors"]] == ["limit", "offset"]
    assert backend.get("/api/v1/tables/counted?offset=9223372036854775807").json == []
    refused(backend.get("/api/v1/tables/counted?offset=9223372036854775808"), 422, "offset:")


def test_table_names_are_matched_and_never_pasted():
    names = ("counted; DROP TABLE pairs", 'counted" UNION SELECT 1 --', "counted'--", "(SELECT 1)", "counted WHERE 1=1",
             "main.counted", "public.counted", '"counted"', "*", "..", "counted\n", "'; DELETE FROM counted; --")
    for name in names:
        answer = backend.get("/api/v1/tables/" + urllib.parse.quote(name, safe=""))
        assert answer.status in (400, 404), (name, answer.status, answer.body)
        answer = backend.get("/api/v1/tables/" + urllib.parse.quote(name, safe="") + "/1")
        assert answer.status in (400, 404), (name, answer.status, answer.body)
    odd = urllib.parse.quote('quote"d; DROP TABLE pairs', safe="")
    assert backend.get(f"/api/v1/tables/{odd}").json == [{"id": 5}]
    assert backend.get(f"/api/v1/tables/{odd}/5").json == {"id": 5}
    assert int(database.query("SELECT count(*) FROM pairs")[0][0]) == 1
    assert int(database.query("SELECT count(*) FROM counted")[0][0]) == 1200


def test_a_table_made_while_the_server_runs_is_there_at_once():
    database.script("CREATE TABLE newborn (id INTEGER PRIMARY KEY); INSERT INTO newborn VALUES (1)")
    assert "newborn" in backend.get("/api/v1/tables").json
    assert backend.get("/api/v1/tables/newborn/1").json == {"id": 1}
    database.script("DROP TABLE newborn")
    refused(backend.get("/api/v1/tables/newborn"), 404)


# ---- Methods and paths


def test_every_path_answers_with_a_trailing_slash_too():
    for path in ("/api/v1/", "/healthz/", "/readyz/", "/api/v1/pools/", "/api/v1/tables/", "/api/v1/tables/counted/",
                 "/api/v1/tables/counted/1/"):
        assert backend.get(path).status == 200, path
    assert backend.post("/api/v1/suggestions/", {"data": {}}).status == 201
    assert backend.post("/api/v1/suggestions/literature/", {}).status == 201
    number = submit("literature")
    assert backend.get("/api/v1/suggestions/literature/pending/", moderator()).status == 200
    status = f"/api/v1/suggestions/literature/{number}/status/"
    assert backend.post(status, {"status": "approved"}, moderator()).status == 200
    assert backend.put(f"/api/v1/suggestions/literature/{number}/payload/", {}).status == 200


def test_head_answers_as_get_without_a_body():
    for path in ("/api/v1", "/healthz", "/readyz", "/api/v1/tables", "/api/v1/tables/counted/1"):
        answer = backend.request("HEAD", path, headers=user())
        assert (answer.status, answer.body) == (200, b""), path
        if path != "/readyz":
            assert answer.headers["Content-Length"] == str(len(backend.get(path).body)), path
    assert backend.request("HEAD", "/api/v1/tables").status == 401


def test_unknown_paths_are_404_and_known_ones_with_another_method_405():
    for path in ("/api", "/api/v2", "/api/v1/nothing", "/api/v1/tables/a/b/c"):
        refused(backend.get(path), 404)
    for method, path, allowed in (("DELETE", "/api/v1/tables", "GET"), ("POST", "/api/v1/tables/counted", "GET"),
                                  ("GET", "/api/v1/suggestions", "POST"), ("PUT", "/healthz", "GET"),
                                  ("GET", "/api/v1/suggestions/literature/1/payload", "PUT")):
        answer = backend.request(method, path, headers=user())
        refused(answer, 405)
        assert allowed in answer.headers["Allow"], (path, answer.headers["Allow"])


def test_options_tells_what_is_allowed():
    answer = backend.request("OPTIONS", "/api/v1/suggestions")
    assert answer.status in (200, 204) and "POST" in answer.headers["Allow"]


# ---- Suggestions


def test_a_generic_suggestion_is_data_and_the_submitters_words():
    answer = backend.post("/api/v1/suggestions", {"data": {"a": [1, {"b": None}]}, "submitter_email": "a@example.org",
                                                  "submitter_comments": "ü", "source": "form"},
                          {**user("otto"), "User-Agent": "agent/1"})
    assert answer.status == 201, answer.body
    number = answer.json["id"]
    assert stored_payload(None, number) == {"a": [1, {"b": None}], "submitter_email": "a@example.org",
                                            "submitter_comments": "ü"}
    row = database.query("SELECT source, token_sub, user_agent, client_ip FROM suggestions_generic "
                         f"WHERE id = {number}")[0]
    assert tuple(row) == ("form", "otto", "agent/1", "127.0.0.1"), row


def test_each_kind_is_stored_with_its_category():
    for kind in KINDS:
        number = submit(kind, extra={"deep": [1.5]}, submitter_email="a@example.org")
        wanted = {**LEAST[kind], "extra": {"deep": [1.5]}, "submitter_email": "a@example.org",
                  "category": kind[:-1].replace("-", "_") if kind.endswith("s") else kind.replace("-", "_")}
        if kind == "domestic-instruments":
            wanted["date_year_of_entry_into_force"] = 1989
        assert stored_payload(kind, number) == wanted, kind


def test_the_source_header_is_stored():
    answer = backend.post("/api/v1/suggestions/literature", {}, {**user(), "source": "quelle"})
    rows = database.query(f"SELECT source FROM suggestions_literature WHERE id = {answer.json['id']}")
    assert rows[0][0] == "quelle"
    refused(backend.post("/api/v1/suggestions/literature", {}, {**user(), "source": "x" * 257}), 422, "source:")
    refused(backend.post("/api/v1/suggestions/literature", {}, {**user(), "source": b"\xff"}), 422, "source:")


def test_a_user_agent_that_is_no_utf8_is_stored_readable():
    answer = backend.post("/api/v1/suggestions/literature", {}, {**user(), "User-Agent": b"caf\xe9"})
    assert answer.status == 201, answer.body
    rows = database.query(f"SELECT user_agent FROM suggestions_literature WHERE id = {answer.json['id']}")
    assert rows[0][0] == "caf\ufffd"


def test_a_category_of_the_senders_own_is_replaced():
    assert stored_payload("literature", submit("literature", category="court_decision"))["category"] == "literature"


def test_a_given_year_is_kept_and_a_wrong_one_refused():
    kind = "domestic-instruments"
    for year in (1991, "1991"):
        stored = stored_payload(kind, submit(kind, date_year_of_entry_into_force=year))
        assert stored["date_year_of_entry_into_force"] == year
    stored = stored_payload(kind, submit(kind, date_year_of_entry_into_force=None))
    assert stored["date_year_of_entry_into_force"] == 1989
    for year in (0, 10000, 1.5, "x", [], {}):
        answer = backend.post(f"/api/v1/suggestions/{kind}", {**LEAST[kind], "date_year_of_entry_into_force": year})
        refused(answer, 422, "date_year_of_entry_into_force:")


def test_case_analyses_fill_their_own_columns():
    number = submit("case-analyzer", username="u", user_email="e@example.org", model="m", case_citation="c")
    row = database.query("SELECT username, user_email, model, case_citation FROM suggestions_case_analyzer "
                         f"WHERE id = {number}")[0]
    assert tuple(row) == ("u", "e@example.org", "m", "c")


def test_numbers_are_kept_digit_by_digit():
    body = b'{"n": 123456789012345678901234567890, "x": 0.10, "e": 1e2}'
    answer = backend.post("/api/v1/suggestions/literature", body)
    assert answer.status == 201, answer.body
    text = database.query(f"SELECT payload FROM suggestions_literature WHERE id = {answer.json['id']}")[0][0]
    assert "123456789012345678901234567890" in text and "0.10" in text, text
    listed = backend.get("/api/v1/suggestions/literature/pending", moderator()).body
    assert b"123456789012345678901234567890" in listed


def test_every_wrong_field_is_named():
    before = stored_count()
    for kind in KINDS:
        answer = backend.post(f"/api/v1/suggestions/{kind}", {"submitter_email": "nobody", "submitter_comments": 5})
        refused(answer, 422)
        wanted = [*LEAST[kind], "submitter_email", "submitter_comments"]
        assert [error["field"] for error in answer.json["errors"]] == wanted, answer.json
        for field in wanted:
            assert f"{field}: " in answer.detail
    for field, wrong in (("date_publication", "2023-02-29"), ("date_publication", "29.2.2024"), ("case_citation", 5),
                         ("date_publication", 20240229), ("copyright_issues", None), ("official_source_url", "  "),
                         ("date_publication", "2024-02-29T00:00:00")):
        answer = backend.post("/api/v1/suggestions/court-decisions", {**LEAST["court-decisions"], field: wrong})
        refused(answer, 422, field + ":")
        assert len(answer.json["errors"]) == 1
    assert stored_count() == before


def test_generic_suggestions_need_an_object():
    for body in ({}, {"data": None}, {"data": []}, {"data": "x"}, {"data": {}, "source": 5},
                 {"data": {}, "source": "x" * 257}, {"data": {}, "submitter_email": "a@b"}):
        refused(backend.post("/api/v1/suggestions", body), 422)
    for body in (b"[]", b"5", b"null", b'"x"'):
        refused(backend.post("/api/v1/suggestions", body), 422, "must be a JSON object")
        refused(backend.post("/api/v1/suggestions/literature", body), 422, "must be a JSON object")


def test_nobody_decides_on_his_own_suggestion():
    before = stored_count()
    for name in ("moderation_status", "moderated_by", "moderation_note", "merged_record_id"):
        refused(backend.post("/api/v1/suggestions/literature", {name: "approved"}), 422, name + ":")
        refused(backend.post("/api/v1/suggestions", {"data": {name: "approved"}}), 422, name + ":")
    # Written with an escape it is the same name.
    refused(backend.post("/api/v1/suggestions/literature", b'{"moderation\\u005fstatus": "approved"}'), 422)
    assert stored_count() == before


def test_an_unknown_kind_is_404():
    for kind in ("books", "generic", "court_decisions", "Literature"):
        refused(backend.post(f"/api/v1/suggestions/{kind}", {}), 404, "no kind of suggestion named")
    refused(backend.get("/api/v1/suggestions/books/pending", moderator()), 404)


# ---- Bad bodies


def test_what_is_no_json_is_400_and_stores_nothing():
    before = stored_count()
    deep = b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}"
    for body in (b"", b"{", b'{"a":1', b'{"a":1}}', b"{'a':1}", b'{"a":1,}', b"\xff\xfe", b'{"a":"\xff"}',
                 b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\\ud800"}', b'{"a":"\\u0000"}', b'{"a\\u0000":1}',
                 b'{"a":"\x00"}', b'{"a":1}\x00', b'{"a":null\x00}', b'{"a":1\x00}', b'{"a":NaN}', b'{"a":1e999}', b'{"a":"\n"}', deep,
                 b'{"a":1,"a":2}', b'{"b":{"a":1,"\\u0061":2}}', b"\xef\xbb\xbf{}"):
        for path in ("/api/v1/suggestions", "/api/v1/suggestions/literature"):
            refused(backend.post(path, body), 400)
    assert stored_count() == before


def test_no_body_is_told_as_that():
    number = backend.post("/api/v1/suggestions/literature", {}).json["id"]
    own = f"/api/v1/suggestions/literature/{number}"
    for method, path in (("POST", "/api/v1/suggestions"), ("POST", "/api/v1/suggestions/literature"), ("POST", own + "/status"),
                         ("PUT", own + "/payload")):
        for body in (b"", None):
            answer = backend.request(method, path, body, moderator())
            assert (answer.status, answer.detail) == (400, "the body is empty: it must be a JSON object"), (path, answer.status, answer.body)


def test_errors_in_json_are_placed():
    refused(backend.post("/api/v1/suggestions", b'{\n"a": x}'), 400, "line 2, column")
    refused(backend.post("/api/v1/suggestions", b'{"a":' + b"[" * 64 + b"]" * 64 + b"}"), 400, "64 levels")
    nested = b'{"a":' + b"[" * 63 + b"]" * 63 + b"}"
    assert backend.post("/api/v1/suggestions/literature", nested).status == 201


def test_errors_name_none_of_the_libraries_behind_them():
    number = submit("literature")
    bodies = (b"", b"{", b"[1,]", b'{"a":1,}', b'"\xff"', b'{"a":1,"a":2}', b"1e999", b'{"a":1e999}', b'{"a":"\\ud800"}', b'"\\udc00"', b"nul",
              b'{"a":"\\u0000"}', b'{"a":1}\x00', b'{"a":' + b"[" * 5000, b"{'a':1}", b'{"a":"\n"}', b'{"a":"\\x"}', b'{"a":-}', b'{"a":01}', b"\xef\xbb\xbf{}")
    for method, path in (("POST", "/api/v1/suggestions"), ("POST", "/api/v1/suggestions/literature"),
                         ("POST", f"/api/v1/suggestions/literature/{number}/status"), ("PUT", f"/api/v1/suggestions/literature/{number}/payload")):
        for body in bodies:
            answer = backend.request(method, path, body, moderator())
            assert answer.status in (400, 422), (path, body, answer.status, answer.body)
            hostile.check_no_internals(answer.body + str(answer.headers).encode())
    for bad in ("x", "a.b.c", token(header={"alg": "none"}, sub="x"), token("another secret of thirty-two bytes!", sub="x")):
        answer = backend.get("/api/v1/tables", {"Authorization": "Bearer " + bad})
        assert answer.status == 401
        hostile.check_no_internals(answer.body + str(answer.headers).encode())
    for path in ("/api/v1/tables/counted?limit=x", "/api/v1/tables/none/1", "/api/v1/tables/pairs/1", "/api/v1/tables/counted/%01", "/api/v1/nocodb/x"):
        answer = backend.get(path)
        assert answer.status >= 400
        hostile.check_no_internals(answer.body + str(answer.headers).encode())


def test_bodies_up_to_a_mebibyte_are_stored_and_larger_ones_413():
    limit = 1 << 20
    frame = len(json.dumps({"t": ""}))
    exact = json.dumps({"t": "x" * (limit - frame)}).encode()
    assert len(exact) == limit
    answer = backend.post("/api/v1/suggestions/literature", exact)
    assert answer.status == 201, answer.body
    assert len(stored_payload("literature", answer.json["id"])["t"]) == limit - frame
    before = stored_count()
    try:
        answer = backend.post("/api/v1/suggestions/literature", exact + b" ")
        refused(answer, 413)
    except (ConnectionResetError, BrokenPipeError):
        pass  # refused before the body was sent, and the answer lost to the reset
    assert stored_count() == before
    database.script("DELETE FROM suggestions_literature")


def test_a_truncated_body_stores_nothing():
    before = stored_count()
    head = (f"POST /api/v1/suggestions/literature HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n"
            f"Authorization: {user()['Authorization']}\r\n\r\n").encode()
    with socket.create_connection((backend.host, backend.port), timeout=10) as client:
        client.sendall(head + b'{"a":1}')
        client.shutdown(socket.SHUT_WR)
        client.settimeout(10)
        while client.recv(65536):
            pass
    assert stored_count() == before


def test_a_chunked_body_is_a_body():
    client = http.client.HTTPConnection(backend.host, backend.port, timeout=20)
    client.request("POST", "/api/v1/suggestions/literature", body=iter([b'{"a"', b":", b"1}"]), headers=user(),
                   encode_chunked=True)
    response = client.getresponse()
    assert response.status == 201, response.read()
    number = json.loads(response.read())["id"]
    client.close()
    assert stored_payload("literature", number) == {"a": 1, "category": "literature"}


def test_values_the_database_cannot_hold_are_422():
    answer = backend.post("/api/v1/suggestions/literature", b'{"a": 1e-200000}')
    if database.engine == "postgresql":
        refused(answer, 422, "the database cannot hold this")
    else:
        assert answer.status == 201


# ---- Moderation


def test_pending_suggestions_come_newest_first_with_all_that_is_known():
    database.script("DELETE FROM suggestions_regional_instruments")
    numbers = [submit("regional-instruments", n=i) for i in range(5)]
    listed = pending("regional-instruments")
    assert [one["id"] for one in listed] == numbers[::-1]
    one = listed[0]
    assert one["payload"] == {"abbreviation": "EU", "n": 4, "category": "regional_instrument"}
    assert one["token_sub"] == "anna" and one["client_ip"] == "127.0.0.1" and one["source"] is None
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", one["created_at"]), one["created_at"]
    assert [one["id"] for one in pending("regional-instruments", 2)] == numbers[:2:-1]
    for limit in ("0", "1001", "x"):
        refused(backend.get(f"/api/v1/suggestions/literature/pending?limit={limit}", moderator()), 422, "limit:")


def test_a_decision_is_stored_and_ends_the_waiting():
    for kind in KINDS:
        number = submit(kind, keep="this")
        path = f"/api/v1/suggestions/{kind}/{number}/status"
        answer = backend.post(path, {"status": "approved", "note": "fine", "merged_id": 17}, moderator("mona"))
        assert (answer.status, answer.json) == (200, {"id": number, "status": "approved"}), answer.body
        stored = stored_payload(kind, number)
        assert stored["keep"] == "this"
        assert (stored["moderation_status"], stored["moderated_by"]) == ("approved", "mona")
        assert (stored["moderation_note"], stored["merged_record_id"]) == ("fine", 17)
        assert number not in [one["id"] for one in pending(kind)]
        answer = backend.post(path, {"status": "rejected"}, moderator("max"))
        stored = stored_payload(kind, number)
        assert (stored["moderation_status"], stored["moderated_by"]) == ("rejected", "max")
        assert (stored["moderation_note"], stored["merged_record_id"]) == ("", None)


def test_a_merged_id_may_be_text():
    number = submit("literature")
    answer = backend.post(f"/api/v1/suggestions/literature/{number}/status", {"status": "approved", "merged_id": "L-1"},
                          moderator())
    assert answer.status == 200 and stored_payload("literature", number)["merged_record_id"] == "L-1"


def test_wrong_decisions_are_refused_field_by_field():
    number = submit("literature")
    path = f"/api/v1/suggestions/literature/{number}/status"
    for body, fields in (({}, ["status"]), ({"status": "maybe"}, ["status"]), ({"status": 5}, ["status"]),
                         ({"status": None, "note": 5, "merged_id": []}, ["status", "note", "merged_id"])):
        answer = backend.post(path, body, moderator())
        refused(answer, 422)
        assert [error["field"] for error in answer.json["errors"]] == fields
    assert "moderation_status" not in stored_payload("literature", number)


def test_unknown_ids_are_404():
    for number in ("999999", "0", "-1", "abc", "1.5", "99999999999999999999", "1;DROP"):
        path = f"/api/v1/suggestions/literature/{urllib.parse.quote(number)}"
        refused(backend.post(path + "/status", {"status": "approved"}, moderator()), 404, "no suggestion with id")
        refused(backend.put(path + "/payload", {}), 404, "no suggestion with id")


def test_a_payload_is_replaced_but_not_the_decision_on_it():
    number = submit("literature", a=1)
    path = f"/api/v1/suggestions/literature/{number}"
    assert backend.put(path + "/payload", {"b": 2}).json == {"id": number, "status": "updated"}
    assert stored_payload("literature", number) == {"b": 2}
    backend.post(path + "/status", {"status": "approved"}, moderator("mona"))
    assert backend.put(path + "/payload", {"c": 3}).status == 200
    assert stored_payload("literature", number) == {
        "c": 3, "moderation_status": "approved", "moderated_by": "mona", "moderation_note": "", "merged_record_id": None}
    refused(backend.put(path + "/payload", {"moderation_status": None}), 422, "moderation_status:")
    refused(backend.put(path + "/payload", b"[1]"), 422)
    refused(backend.put(path + "/payload", b"{"), 400)


def test_a_case_analysis_is_merged():
    number = submit("case-analyzer", a=1, b={"x": 1})
    assert backend.put(f"/api/v1/suggestions/case-analyzer/{number}/payload", {"b": {"y": 2}, "c": None}).status == 200
    assert stored_payload("case-analyzer", number) == {"a": 1, "b": {"y": 2}, "c": None, "category": "case_analyzer"}


def test_two_moderators_at_once_leave_one_whole_decision_and_every_correction():
    number = submit("case-analyzer")
    path = f"/api/v1/suggestions/case-analyzer/{number}"
    failures = []

    def decide(name, status):
        for i in range(15):
            answer = backend.post(path + "/status", {"status": status, "note": f"{name} {i}"}, moderator(name))
            if answer.status != 200:
                failures.append(answer.body)

    def correct(name):
        for i in range(15):
            answer = backend.put(path + "/payload", {f"{name}{i}": i})
            if answer.status != 200:
                failures.append(answer.body)

    threads = [threading.Thread(target=decide, args=pair) for pair in (("mona", "approved"), ("max", "rejected"))]
    threads += [threading.Thread(target=correct, args=(name,)) for name in ("x", "y")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    stored = stored_payload("case-analyzer", number)
    for name in ("x", "y"):
        assert [stored.get(f"{name}{i}") for i in range(15)] == list(range(15)), stored
    assert (stored["moderated_by"], stored["moderation_status"]) in (("mona", "approved"), ("max", "rejected"))
    assert stored["moderation_note"].startswith(stored["moderated_by"] + " "), stored


# ---- Pools


def test_the_pools_show_settings_state_and_counters():
    pools = backend.pools()
    assert set(pools) == {"main", "suggestions"}
    main, other = pools["main"], pools["suggestions"]
    assert main["engine"] == other["engine"] == database.engine
    assert (main["settings"]["pool_size"], main["settings"]["max_overflow"]) == (8, 7)  # of 8 workers
    assert (other["settings"]["pool_size"], other["settings"]["max_overflow"]) == (8, 0)
    assert main["settings"]["pool_timeout"] == 30 and main["settings"]["pool_recycle"] == 3600
    assert re.fullmatch(r"Pool size: 8  Connections in pool: \d+ Current Overflow: -?\d+ "
                        r"Current Checked out connections: \d+", main["status"]), main["status"]
    for pool in pools.values():
        assert pool["size"] == pool["settings"]["pool_size"]
        assert pool["waiters"] == 0 and pool["used"] == len(pool["holders"])
        assert pool["counters"]["checkouts"] > 0 and pool["counters"]["misuses"] == 0
        assert pool["counters"]["connects"] - pool["counters"]["closes"] == pool["connections"]


def test_the_limit_of_connections_holds_under_load():
    failures = []

    def work():
        for i in range(25):
            answer = backend.get(f"/api/v1/tables/counted/{i + 1}")
            if answer.status != 200 or answer.json["id"] != i + 1:
                failures.append((answer.status, answer.body))

    threads = [threading.Thread(target=work) for _ in range(24)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        main = backend.pools()["main"]
        assert main["connections"] <= 15, main
    assert not failures, failures[:3]
    wait_for(lambda: backend.pools()["main"]["used"] == 0, 5, "every slot back")


# ---- Hostile requests


def login_line():
    """What a request needs for its body to be read."""
    return "".join(f"{name}: {value}\r\n" for name, value in user("u").items())


def test_hostile_requests_are_refused_and_the_server_goes_on():
    where = (backend.host, backend.port, "/healthz", "/api/v1/suggestions")
    hostile.check_table(*where, login_line())
    hostile.check_nothing_follows_a_chunked_body(*where, login_line())


def test_slow_clients_are_closed_at_their_deadlines():
    with Backend(sys.argv[1], "--header-timeout", "800ms", "--body-timeout", "1s", "--sql-conn-string",
                 "sqlite:///slow.db") as slow:
        checks = [lambda: hostile.check_idle(slow.host, slow.port, 0.8),
                  lambda: hostile.check_slow_headers(slow.host, slow.port, "/healthz", 0.8),
                  lambda: hostile.check_slow_request_line(slow.host, slow.port, 0.8),
                  lambda: hostile.check_slow_body(slow.host, slow.port, "/api/v1/suggestions", 1.0,
                                                  login_line()),
                  lambda: hostile.check_slow_chunks(slow.host, slow.port, "/api/v1/suggestions", 1.0,
                                                    login_line())]
        failures = []

        def guarded(check):
            try:
                check()
            except AssertionError as failure:
                failures.append(str(failure))

        threads = [threading.Thread(target=guarded, args=(check,)) for check in checks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures
        hostile.check_alive(slow.host, slow.port, "/healthz")


def test_no_secret_is_in_the_log():
    text = "\n".join(backend.log)
    assert SECRET not in text
    assert not re.search(r"eyJ[\w-]+\.[\w-]+\.", text)
    password = urllib.parse.urlsplit(database.url).password
    assert password is None or (password not in text and urllib.parse.unquote(password) not in text)


def test_the_server_stops_cleanly_and_nothing_is_left_lent():
    assert {name: pool["used"] for name, pool in backend.pools().items()} == {"main": 0, "suggestions": 0}
    assert backend.stop() == 0, backend.log[-10:]
    assert backend.messages()[-1] == "INFO All connection pools shut down successfully"


def run(engine):
    """Run every test on one server with this database, and exit."""
    global backend, database
    database = engine
    fill()
    # A body that breaks off may be waited for until its deadline.
    with Backend(sys.argv[1], "--body-timeout", "3s", environment={"SQL_CONN_STRING": database.url}) as backend:
        status = tap.main([f for name, f in globals().items() if name.startswith("test_")])
        if status:
            print("# the server's last words:", *backend.log[-20:], sep="\n# ")
    sys.exit(status)
