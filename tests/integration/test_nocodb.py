# SPDX-License-Identifier: MIT
"""NocoDB through `weir serve`: rows, pages, filters, errors, the rate limit, and where the token goes."""
import contextlib
import http.client
import itertools
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import tap
from backend import Backend, user, wait_for
from fake_nocodb import TOKEN, FakeNocoDB, Raw, Refusal, Server

PROGRAM = os.path.abspath(sys.argv[1])

fake = None
backend = None


@contextlib.contextmanager
def serving(base_url, *flags, **options):
    """A backend on that NocoDB, without a rate limit unless a flag sets one."""
    environment = {"NOCODB_BASE_URL": base_url, "NOCODB_API_TOKEN": TOKEN, **options.pop("environment", {})}
    with Backend(PROGRAM, "--nocodb-rate-limit", "0", *flags, environment=environment, **options) as started:
        yield started


def get(path, on=None, **query):
    """GET below /api/v1/nocodb/; a list of values repeats the parameter."""
    text = urllib.parse.urlencode(query, doseq=True)
    return (on or backend).get("/api/v1/nocodb/" + path + ("?" + text if text else ""))


def rows(path, on=None, **query):
    answer = get(path, on, **query)
    assert answer.status == 200, (answer.status, answer.body)
    return answer.json


def ids(path, on=None, **query):
    return [row["Id"] for row in rows(path, on, **query)]


def refused(answer, status, *parts):
    assert answer.status == status, (answer.status, answer.body)
    for part in parts:
        assert part in answer.detail, answer.detail


def numbered(count):
    return [{"Id": number, "Name": f"row {number}"} for number in range(1, count + 1)]


@contextlib.contextmanager
def changed(**attributes):
    """The fake with other attributes, for a while, and no requests recorded yet."""
    before = {name: getattr(fake, name) for name in attributes}
    for name, value in attributes.items():
        setattr(fake, name, value)
    fake.forget()
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(fake, name, value)


def asked(name):
    """The values of a query parameter in the requests so far."""
    return [request.query.get(name) for request in fake.requests]


# ---- One row


def test_a_row_is_passed_on_as_it_was_sent():
    fake.tables["exact"] = [Raw('{ "Id" : 7, "big":123456789012345678901234567890, "price": 1.10,\n"tiny":1e-7, "é": "\\u00e9\\/" }')]
    row = fake.tables["exact"][0]
    with changed(override=lambda request: (200, {}, row.encode())):
        for path in ("exact/7", "exact/7/"):
            answer = get(path)
            assert (answer.status, answer.body) == (200, row.encode()), answer.body
            assert answer.headers["Content-Type"].startswith("application/json")
    assert [request.path for request in fake.requests] == ["/api/v2/tables/exact/records/7"] * 2
    assert {request.headers["xc-token"] for request in fake.requests} == {TOKEN}


def test_names_and_ids_stay_one_segment_whatever_is_in_them():
    fake.forget()
    for table, number in (("a/b", "1"), ("t?x=1", "2#3"), ("t", "../../admin"), ("t", "1%2F2"), ("Ä b", "ü")):
        answer = get(urllib.parse.quote(table, safe="") + "/" + urllib.parse.quote(number, safe=""))
        refused(answer, 404, "NocoDB answered 404")
        sent = fake.requests[-1].target.split("/")
        assert [urllib.parse.unquote(part) for part in sent[1:]] == ["api", "v2", "tables", table, "records", number], sent
    count = len(fake.requests)
    refused(get("t/.."), 422, "NocoDB")
    refused(get("%2e%2e/1"), 422, "NocoDB")
    assert len(fake.requests) == count


def test_paths_of_nocodbs_own_are_not_asked_for_as_rows():
    for base, words in ((fake.url + "/base", ("count", "Count", "find-one", "FIND-ONE", "groupby")), (fake.v2, ("count", "COUNT"))):
        with serving(base) as other:
            fake.forget()
            for word in words:
                refused(get("many/" + word, other), 422, "NocoDB has a path of its own there", "by a filter")
                refused(get("many/" + word, other, fields="Name"), 422, "NocoDB has a path of its own there")
            assert fake.requests == []
            refused(get("many/counts", other), 404, "Record 'counts' not found")
    with serving(fake.v3) as other:
        refused(get("many/count", other), 404, "Record 'count' not found")


def test_a_missing_row_or_table_is_404_with_nocodbs_words():
    refused(get("many/999"), 404, "NocoDB answered 404: Record '999' not found")
    refused(get("nothing/1"), 404, "Table 'nothing' not found")
    refused(get("nothing"), 404, "Table 'nothing' not found")
    with serving(fake.v3) as other:  # where the server's own status is 422
        for path in ("nothing", "nothing/1", "many/999"):
            refused(get(path, other), 404, "not found")


# ---- Pages


def test_all_pages_come_each_row_once_and_as_it_was_sent():
    fake.forget()
    assert rows("many") == fake.tables["many"]
    assert asked("limit") == ["100"] * 3 and asked("offset") == ["0", "100", "200"]
    fake.tables["exact"] = [{"Id": 1, "big": Raw("123456789012345678901234567890"), "price": Raw("1.10")}, {"Id": 2}]
    assert get("exact").body == b'[{"Id":1,"big":123456789012345678901234567890,"price":1.10},{"Id":2}]'
    fake.tables["empty"] = []
    assert rows("empty") == [] and rows("empty/") == []


def test_steps_go_by_what_came_and_not_by_what_was_asked():
    with changed(most_limit=40):
        assert ids("many", page_size=100) == list(range(1, 251))
        assert asked("offset") == ["0", "40", "80", "120", "160", "200", "240"]
    with changed(least_limit=10):
        assert ids("many", page_size=3, limit=25) == list(range(1, 26))
        assert asked("limit") == ["3"] * 3 and asked("offset") == ["0", "10", "20"]


def test_limit_and_offset_choose_rows():
    fake.forget()
    assert ids("many", limit=5) == [1, 2, 3, 4, 5]
    assert asked("limit") == ["5"]
    assert ids("many", limit=7, offset=3) == list(range(4, 11))
    assert ids("many", limit=150, offset=50) == list(range(51, 201))
    assert ids("many", offset=245) == [246, 247, 248, 249, 250]
    assert ids("many", offset=250) == [] and ids("many", offset=99999) == []


def test_the_end_is_found_where_the_offset_is_no_multiple_of_the_page_size():
    for code in ("ERR_INVALID_OFFSET_VALUE", "INVALID_OFFSET_VALUE"):
        with changed(far_offset_code=code):
            assert ids("many", offset=150) == list(range(151, 251))
            assert asked("offset") == ["150", "250"]
            assert ids("many", offset=250) == []
    with changed(far_offset_code="ERR_INVALID_VALUE"):
        refused(get("many", offset=250), 422, "Offset value '250' is invalid")


def test_the_end_is_found_however_the_server_tells_it():
    for count in (0, 1, 99, 100, 101, 200):
        fake.tables["some"] = numbered(count)
        for shape in ("list", "data", "bare"):
            for tells in (True, False):
                for far in (True, False):
                    for most in (1000, 30):
                        with changed(shape=shape, tells_last_page=tells, refuses_far_offsets=far, most_limit=most):
                            assert ids("some") == list(range(1, count + 1)), (count, shape, tells, far, most)


def test_no_request_is_wasted_where_the_server_tells_the_last_page():
    fake.tables["some"] = numbered(200)
    fake.forget()
    assert len(rows("some")) == 200
    assert asked("offset") == ["0", "100"]


def test_a_server_that_ignores_the_offset_is_noticed():
    with changed(ignores_offset=True, tells_last_page=False):
        refused(get("many"), 502, "the same page twice", "ignores the offset")
        assert len(fake.requests) == 2
        assert ids("many", limit=10) == list(range(1, 11))


def test_rows_without_a_key_may_be_all_alike():
    fake.tables["alike"] = [{"Kind": "x"}] * 6
    fake.forget()
    assert rows("alike", page_size=2) == [{"Kind": "x"}] * 6
    assert len(fake.requests) == 3
    # Without a key and without a word of the server about the last page, nothing tells the one from the other.
    with changed(tells_last_page=False):
        refused(get("alike", page_size=2), 502, "the same page twice")
    for row in ('{"Id":1,"Kind":"x"}', '{"id":1,"fields":{"Kind":"x"}}'):
        page = '{"list":[' + row + '],"pageInfo":{"isLastPage":false}}'
        with changed(override=lambda request: (200, {}, page.encode())):
            refused(get("alike", page_size=1), 502, "the same page twice")
            assert len(fake.requests) == 2


def test_an_endless_table_ends_with_an_error():
    def endless(request):
        offset = request.number("offset", 0)
        page = [{"Id": offset + k} for k in range(1000)]
        return 200, {}, json.dumps({"list": page, "pageInfo": {"isLastPage": False}}).encode()

    with changed(override=endless):
        refused(get("many", page_size=1000), 507, 'table "many" has more than 100000 rows')
        assert len(fake.requests) == 101
        assert len(rows("many", page_size=1000, limit=2500)) == 2500


# ---- Filters


def test_filters_by_text_number_truth_and_nothing():
    fake.tables["people"] = [
        {"Id": 1, "Name": "Ada Smith", "Year": 1815, "Alive": False, "Note": None},
        {"Id": 2, "Name": "Bob Smith & Co", "Year": 2020, "Alive": True, "Note": ""},
        {"Id": 3, "Name": "Zoë", "Year": 2020, "Alive": True, "Note": "2020 or so"},
        {"Id": 4, "Name": "null", "Year": Raw("12345678901234567890"), "Alive": True, "Note": "x"}]
    for filters, expected in ((["Name:smith"], [1, 2]), (["Name:Smith & Co"], [2]), (["Name:Zoë"], [3]),
                              (["Year:2020"], [2, 3]), (["Year:12345678901234567890"], [4]), (["Note:\"2020\""], [3]),
                              (["Alive:true"], [2, 3, 4]), (["Alive:false"], [1]), (["Note:null"], [1, 2]),
                              (["Name:\"null\""], [4]), (["Name:B_b%Co"], [2]),
                              (["Name:smith", "Year:2020"], [2]), (["Name:smith", "Year:1999"], [])):
        fake.forget()
        assert ids("people", filter=filters) == expected, filters
        assert not fake.requests[0].query["where"].startswith("@")
    assert fake.requests[0].query["where"] == "(Name,like,%smith%)~and(Year,eq,1999)"


NASTY = ["a,b", "(x)", "((x))", "x)~and(Id,eq,1", "~or(", "it's", 'say "x"', "a'b\"c", "50%", "a_b", "\\", "a\\\"b", "@x", "%)",
         "ü,ß", "日本(語)", "a&b=c#d+e", " x ", "null,", "),(", "~", "x) ~or (y", "=cmd", "😀,😀", "a\u2028b", "\u2029"]


def test_no_text_changes_what_a_filter_means():
    for base in ("v2", "v3"):
        with serving(getattr(fake, base)) as other:
            for number, text in enumerate(NASTY):
                fake.tables["nasty"] = [{"Id": 1, "Name": "xyz", "Size, (cm)": "1"}, {"Id": 2, "Name": text, "Size, (cm)": "2"},
                                        {"Id": 3, "Name": f"<{text}>", "Size, (cm)": "3"}]
                answer = get("nasty", other, filter="Name:" + text)
                if "\u2028" in text or "\u2029" in text:
                    refused(answer, 422, 'filter on column "Name"', "a line or paragraph separator")
                    continue
                if "\\" in text:
                    refused(answer, 422, 'filter on column "Name"', "a backslash")
                    continue
                if "'" in text and '"' in text and base == "v3":
                    refused(answer, 422, 'filter on column "Name"', "both kinds of quotes")
                    continue
                assert answer.status == 200, (base, text, answer.body)
                found = [row.get("Id", row.get("id")) for row in answer.json]
                assert found == [2, 3], (base, text, found, fake.requests[-1].query)
                answer = get("nasty", other, filter=['"Size, (cm)":"3"', "Name:" + text])
                if "'" in text and '"' in text:
                    refused(answer, 422, "both kinds of quotes")
                else:
                    assert [row.get("Id", row.get("id")) for row in answer.json] == [3], (base, text, answer.body)


def test_a_checkbox_is_asked_for_as_both_kinds_of_database_have_it():
    fake.tables["boxes"] = [{"Id": 1, "Done": True, "Name": "true"}, {"Id": 2, "Done": False, "Name": "1"}, {"Id": 3, "Done": 1, "Name": "0"},
                            {"Id": 4, "Done": 0, "Name": "false"}, {"Id": 5, "Done": None, "Name": ""}]
    for base in (fake.url + "/base", fake.v2, fake.v3):
        with serving(base) as other:
            for query, expected in (({"filter": "Done:true"}, [1, 3]), ({"filter": "Done:false"}, [2, 4]), ({"eq": "Done:true"}, [1, 3]),
                                    ({"filter": ["Done:true", "Name:tr"]}, [1])):
                assert [row.get("Id", row.get("id")) for row in rows("boxes", other, **query)] == expected, (base, query)
    for text, expected in (('"true"', [1]), ('"false"', [4]), ("1", [2]), ("0", [3])):
        assert ids("boxes", eq="Name:" + text) == expected, text


def test_null_is_asked_of_a_checkbox_as_postgresql_takes_it():
    def like_postgresql(request):
        where = request.query.get("where", "").replace('"', "")
        for column, code in (("Done", "22P02"), ("Ready", "22P02"), ("Links", "42804")):
            if f"({column},is,blank)" in where:
                body = {"error": "ERR_DATABASE_OP_FAILED", "code": code}
                return 422 if "/v3/" in request.path else 400, {}, json.dumps(body).encode()
        return None

    fake.tables["boxes"] = [{"Id": 1, "Done": True, "Ready": None, "Note": None, "Links": 2}, {"Id": 2, "Done": None, "Ready": None, "Note": "", "Links": 0},
                            {"Id": 3, "Done": None, "Ready": False, "Note": "x", "Links": 0}, {"Id": 4, "Done": False, "Ready": True, "Note": None, "Links": 1}]
    for base in (fake.v2, fake.v3):
        with serving(base, "--http-backoff-factor", "10ms") as other, changed(override=like_postgresql):
            for filters, expected in ((["Done:null"], [2, 3]), (["Done:null", "Ready:null"], [2]), (["Note:null", "Done:null"], [2]),
                                      (["Note:null"], [1, 2, 4]), (["Ready:null", "Done:true", "Note:null"], [1])):
                for query in ({}, {"page_size": 1}, {"paging": "keyset", "page_size": 1}):
                    found = [row.get("Id", row.get("id")) for row in rows("boxes", other, filter=filters, **query)]
                    assert found == expected, (base, filters, query, found)
            for filters in (["Links:null"], ["Note:null", "Links:null"], ["Done:null", "Links:null"]):
                refused(get("boxes", other, filter=filters), 422, "NocoDB answered", 'column "Links" cannot be compared with null')
            # Under load a server says 500 instead, for a while.
            failures = iter([True] * 6)
            fake.override = lambda request: ((500, {}, b'{"error":"ERR_INTERNAL_SERVER"}') if "is,blank" in request.query["where"] and next(failures, False)
                                             else like_postgresql(request))
            found = [row.get("Id", row.get("id")) for row in rows("boxes", other, filter="Done:null")]
            assert found == [2, 3], found
            fake.override = lambda request: (400, {}, b'{"error":"ERR_DATABASE_OP_FAILED","code":"22P02","message":"bad"}')
            fake.forget()
            refused(get("boxes", other, filter=["Year:1.5", "Done:null"]), 422, "bad")
            assert len(fake.requests) == 3


def test_whole_texts_numbers_and_dates_are_compared():
    fake.tables["events"] = [
        {"Id": 1, "Name": "Ada", "Zip": "8001", "Year": 1815, "Day": "2024-01-31"},
        {"Id": 2, "Name": "ada, too", "Zip": "80011", "Year": -3, "Day": "2024-02-01"},
        {"Id": 3, "Name": " Ada", "Zip": "2024-01-31", "Year": Raw("2020.5"), "Day": "2024-12-31"},
        {"Id": 4, "Name": 'a\\"b\'c', "Zip": "null", "Year": None, "Day": None}]
    for base in (fake.v2, fake.v3):
        with serving(base) as other:
            for query, expected in (
                    ({"eq": "Name:Ada"}, [1]), ({"eq": "Name: Ada"}, [3]), ({"eq": "Name:ada, too"}, [2]), ({"eq": "Zip:8001"}, [1]),
                    ({"eq": 'Zip:"2024-01-31"'}, [3]), ({"eq": 'Zip:"null"'}, [4]), ({"eq": "Day:2024-01-31"}, [1]),
                    ({"eq": "Year:-3"}, [2]), ({"gt": "Year:-3"}, [1, 3]), ({"ge": "Year:-3"}, [1, 2, 3]), ({"lt": "Year:1815"}, [2]),
                    ({"le": "Year:1815"}, [1, 2]), ({"gt": "Year:2020"}, [3]), ({"lt": "Day:2024-02-01"}, [1]),
                    ({"le": "Day:2024-02-01"}, [1, 2]), ({"gt": "Day:2024-02-01"}, [3]), ({"ge": "Day:2024-02-01"}, [2, 3]),
                    ({"gt": "Day:2024-01-01", "lt": "Day:2024-12-01"}, [1, 2]), ({"ge": "Year:0", "eq": "Name:Ada"}, [1]),
                    ({"gt": ["Year:0", "Year:1900"]}, [3]), ({"filter": "Name:ada", "le": "Year:0"}, [2])):
                assert [row.get("Id", row.get("id")) for row in rows("events", other, **query)] == expected, (base, query)
    assert ids("events", eq="Name:a\\\"b'c") == [4]


def test_columns_are_chosen_and_rows_sorted():
    fake.tables["towns"] = [{"Id": number, "Name": name, "Size": size, "Note": "x" * number}
                            for number, (name, size) in enumerate((("Bern", 3), ("Genf", 7), ("Chur", 3), ("Zug", 1)), 1)]
    for query, expected in (({"fields": "Name"}, [{"Name": name} for name in ("Bern", "Genf", "Chur", "Zug")]),
                            ({"fields": ["Id", "Size"], "sort": "-Size,Id", "limit": 2}, [{"Id": 2, "Size": 7}, {"Id": 1, "Size": 3}]),
                            ({"fields": "Name", "sort": ["Size", "-Name"]}, [{"Name": name} for name in ("Zug", "Chur", "Bern", "Genf")]),
                            ({"fields": "Name", "sort": "-Id", "page_size": 1, "offset": 1},
                             [{"Name": name} for name in ("Chur", "Genf", "Bern")])):
        assert rows("towns", **query) == expected, query
    # The key comes too, without which the next page could not be asked for.
    fake.forget()
    found = rows("towns", fields="Name", paging="keyset", key="Id", page_size=3)
    assert [sorted(row) for row in found] == [["Id", "Name"]] * 4 and asked("fields") == ["Name,Id"] * 2
    assert rows("towns/2", fields="Name,Size") == {"Name": "Genf", "Size": 7}
    assert rows("towns/2", other=1) == fake.tables["towns"][1]
    refused(get("towns/2", fields="Name,"), 422, "fields: column", "is empty")
    with serving(fake.v3) as other:
        fake.forget()
        assert rows("towns", other, fields="Name", sort="-Size,Name", limit=2) == [{"id": 2, "fields": {"Name": "Genf"}},
                                                                                     {"id": 1, "fields": {"Name": "Bern"}}]
        assert json.loads(asked("sort")[0]) == [{"field": "Size", "direction": "desc"}, {"field": "Name", "direction": "asc"}]
        assert rows("towns/4", other, fields="Size") == {"id": 4, "fields": {"Size": 1}}
        for base in (backend, other):
            refused(get("towns", base, fields="Nme"), 422, "Field 'Nme' not found")
            refused(get("towns/1", base, fields="Nme"), 422, "Field 'Nme' not found")
            refused(get("towns", base, sort="Nme"), 422, "Field 'Nme' not found")


def test_columns_that_nobody_knows_are_422_on_every_api_and_null_is_none_of_them():
    fake.tables["laws"] = [{"Id": 1, "Title": "One", "Year": None, "Links": []}, {"Id": 2, "Title": None, "Year": 2020, "Links": []}]
    for base in (fake.v1, fake.v2, fake.v3):
        with serving(base) as other:
            for fields in ("Nme", "Title,Nme", "Nme,Year", "title"):
                for path in ("laws/1", "laws/2", "laws"):
                    refused(get(path, other, fields=fields), 422, "title" if fields == "title" else "Nme")
            for number, row in enumerate(fake.tables["laws"], 1):
                for fields in ("Title", "Year", "Links", "Year,Title", "Id,Title,Year,Links", "Title,Title"):
                    found = rows(f"laws/{number}", other, fields=fields)
                    assert all(found.get("fields", found).get(name, found.get("id")) == row[name] for name in fields.split(",")), found


def test_quotes_are_used_only_where_they_are_understood():
    fake.tables["people"] = [{"Id": 1, "Na:me": "x", "Name": "a,b"}]
    fake.forget()
    rows("people", filter="Name:a,b")
    rows("people", filter='"Na:me":x')
    with serving(fake.v3) as other:
        rows("people", other, filter="Name:x")
        rows("people", other, filter="Name:a,b")
    rows("people", filter="Name:a(b")
    assert asked("where") == ["(Name,like,%a,b%)", "(Na:me,like,%x%)", '("Name",like,"%x%")', '("Name",like,"%a,b%")', '@("Name",like,"%a(b%")']


def test_what_cannot_be_asked_is_422_and_not_sent():
    fake.forget()
    for query, parts in (({"filter": "Name"}, ["filter:", "column:value"]), ({"filter": ":x"}, ["column:value"]),
                         ({"filter": "Name:"}, ["is empty"]), ({"filter": "Name:a\nb"}, ["control character"]),
                         ({"filter": 'Name:"\\u0007"'}, ["control character"]),
                         ({"filter": "Na\u2028me:x"}, ["name of a column", "line or paragraph separator"]),
                         ({"filter": 'Name:"\\u2029"'}, ["line or paragraph separator"]),
                         ({"filter": "Name:a'b\"c("}, ['column "Name"', "both kinds of quotes"]),
                         ({"filter": "a,b\\:x"}, ["backslash"]), ({"eq": "Name"}, ["eq: must be column:value"]),
                         ({"lt": "Name:x"}, ['column "Name"', "neither a number nor a day"]),
                         ({"ge": "Day:2024-02-30"}, ["neither a number nor a day"]), ({"gt": "Year:null"}, ["neither a number"]),
                         ({"ge": "At:2024-01-31 10:20"}, ["nor a day"]),
                         ({"fields": ","}, ["is empty"]), ({"fields": ",".join("ab" * 40)}, ["at most 64"]),
                         ({"sort": "+Year"}, ["begins with a sign"]), ({"sort": ",".join("abcdefghi")}, ["at most 8"]),
                         ({"sort": "Id", "paging": "keyset"}, ["sort: not possible with keyset paging"]), ({"filter": "Name:" + "x" * 8000}, ["at most 8000"]),
                         ({"Name": "x"}, ["Name: is not a parameter", "filter=column:value"]),
                         ({"limit": "0"}, ["limit: must be a whole number from 1 to 100000"]), ({"page_size": "1001"}, ["page_size"]),
                         ({"offset": "-1"}, ["offset"]), ({"paging": "cursor"}, ["paging: must be offset or keyset"]),
                         ({"key": "Id"}, ["paging=keyset"]), ({"paging": "keyset", "offset": "1"}, ["offset: not possible"]),
                         ({"paging": "keyset", "key": "-Id"}, ["cannot sort by"]), ({"paging": "keyset", "key": "a,b"}, ["cannot sort"])):
        refused(get("many", **query), 422, *parts)
    refused(get("many", filter=[f"a{n}:1" for n in range(32)]), 422, "at most 31")
    assert fake.requests == []
    refused(get("many", filter="Nmae:x"), 422, "NocoDB answered 422: Column alias 'Nmae' not found.")


# ---- Keyset paging


def test_keyset_paging_gives_each_lasting_row_once_while_others_come_and_go():
    lasting = {number for number in range(1, 251) if number % 3 != 0}

    def disturb(table):
        table[:] = [row for row in table if row["Id"] % 3 != 0 or row["Id"] > 3 * len(fake.requests)]
        table.insert(0, {"Id": -len(fake.requests), "Name": "new"})

    fake.tables["busy"] = numbered(250)
    with changed(after_page=disturb):
        found = ids("busy", paging="keyset", page_size=10)
    assert len(found) == len(set(found)) and lasting <= set(found), sorted(lasting - set(found))
    assert found == sorted(found)
    # What the same disturbance does to counted rows: without it, these tests would show nothing.
    fake.tables["busy"] = numbered(250)
    with changed(after_page=disturb):
        counted = ids("busy", page_size=10)
    assert len(counted) != len(set(counted)) or not lasting <= set(counted)


def test_keyset_paging_asks_for_keys_above_the_last():
    fake.tables["keys"] = [{"Id": number, "N": number * number - 50, "Name": "a,b" if number % 2 else "c"} for number in range(1, 13)]
    fake.forget()
    assert [row["N"] for row in rows("keys", paging="keyset", key="N", page_size=5)] == [n * n - 50 for n in range(1, 13)]
    assert asked("sort") == ["N"] * 3 and asked("offset") == [None] * 3
    assert asked("where") == [None, "(N,gt,-25)", "(N,gt,50)"]
    fake.forget()
    assert ids("keys", paging="keyset", page_size=2, filter="Name:a,b", limit=5) == [1, 3, 5, 7, 9]
    assert asked("where")[1] == "(Name,like,%a,b%)~and(Id,gt,3)"
    largest = [9007199254740991 - number for number in (3, 2, 1, 0)]
    fake.tables["largest"] = [{"Id": key} for key in largest]
    assert ids("largest", paging="keyset", page_size=1) == largest


def test_keys_that_nocodb_rounds_are_refused_and_no_row_is_lost():
    # What a live server does with keys beyond 2^53 - 1: they are answered as doubles, and so is what is compared with them.
    for first in (2**53, 2**53 + 1, 2**62 + 1, -2**53 - 3, 10**30):
        fake.tables["rounded"] = [{"Id": Raw(str(int(float(first + number)))), "N": number} for number in range(7)]
        for base in (fake.v2, fake.v3):
            with serving(base) as other:
                refused(get("rounded", other, paging="keyset", page_size=3), 422, "keyset paging: key", "beyond 2^53 - 1", "paging")
                assert len(rows("rounded", other, page_size=3)) == 7
    fake.tables["rounded"] = [{"Id": 1, "N": 1}, {"Id": 2, "N": 2**53}]
    refused(get("rounded", paging="keyset", key="N"), 422, 'key 9007199254740992 of column "N"')
    assert len(rows("rounded", paging="keyset", key="N", limit=1)) == 1


def test_keys_that_do_not_rise_are_an_error():
    fake.tables["keys"] = numbered(30)[::-1]
    with changed(ignores_sort=True):
        refused(get("keys", paging="keyset"), 502, "keyset paging: after key 30", "came 29")
    fake.tables["keys"] = numbered(30)
    with changed(ignores_where=True):
        refused(get("keys", paging="keyset", page_size=10), 502, "after key 10", "came 1")
        assert len(fake.requests) == 2
    fake.tables["keys"] = [{"Id": "x"}]
    with changed(ignores_sort=True):
        refused(get("keys", paging="keyset"), 502, 'no whole number in column "Id"')
        refused(get("keys", paging="keyset", key="No"), 502, 'no whole number in column "No"')


def test_v3_rows_without_the_key_are_an_error_and_not_lost():
    fake.tables["keys"] = [{"Id": number, "N": 10 * number} for number in range(1, 8)]
    leave_out = [{"id": number, "fields": {"Name": "x"}} for number in range(1, 8)]
    with serving(fake.v3) as other:
        assert [row["id"] for row in rows("keys", other, paging="keyset", key="N", page_size=3)] == list(range(1, 8))
        answer = 200, {}, json.dumps({"records": leave_out}).encode()
        with changed(override=lambda request: answer):
            refused(get("keys", other, paging="keyset", key="N"), 502, 'no whole number in column "N"')
            for query in ({}, {"key": "Id"}, {"key": "ID"}, {"key": "id"}):
                assert len(rows("keys", other, paging="keyset", **query)) == 7, query


# ---- v3, other bases


def test_v3_counts_pages_and_asks_the_configured_address_only():
    with Server() as thief, serving(fake.v3) as other, changed(next_base=thief.url + "/api/v3/data/base1", most_limit=40):
        found = rows("many", other, page_size=100)
        assert found == [FakeNocoDB.v3_row(row) for row in fake.tables["many"]]
        assert asked("offset") == [str(offset) for offset in range(0, 250, 40)] and set(asked("limit")) == {"100"}
        assert set(asked("page")) == {None}
        assert rows("many/7", other) == {"id": 7, "fields": {"Name": "row 7"}}
        assert thief.requests == []
        for offset, limit in ((5, 3), (39, 100), (200, 100), (249, 1), (250, 1), (9999, 5)):
            expected = list(range(offset + 1, min(offset + limit, 250) + 1))
            assert [row["id"] for row in rows("many", other, offset=offset, limit=limit)] == expected, (offset, limit)
        fake.forget()
        assert [row["id"] for row in rows("many", other, paging="keyset", page_size=30, limit=100)] == list(range(1, 101))
        assert json.loads(asked("sort")[0]) == [{"field": "Id", "direction": "asc"}] and asked("offset") == [None] * 4
        assert asked("where")[1:] == ['("Id",gt,30)', '("Id",gt,60)', '("Id",gt,90)']


def test_any_base_with_rows_below_it_will_do_and_slashes_at_its_end_do_not_count():
    for base in (fake.url, fake.url + "/", fake.url + "/api/v2", fake.url + "/api/v2/"):
        with serving(base) as other:
            fake.forget()
            assert ids("many", other, limit=2) == [1, 2] and rows("many/3", other)["Id"] == 3
            assert [request.path for request in fake.requests] == ["/api/v2/tables/many/records", "/api/v2/tables/many/records/3"]
    for base in (fake.url + "/base", fake.url + "/base///"):
        with serving(base) as other:
            fake.forget()
            assert ids("many", other, limit=2) == [1, 2]
            assert rows("many/3", other)["Id"] == 3
            assert [request.path for request in fake.requests] == ["/base/many", "/base/many/3"]


# ---- The token


def test_the_token_goes_nowhere_else():
    with Server() as thief, changed(override=lambda request: (302, {"Location": thief.url + request.target}, b"")):
        refused(get("many"), 502, "NocoDB answered 302", "NOCODB_BASE_URL")
        refused(get("many/1"), 502, "a redirect, which is not followed")
        assert thief.requests == []
    with changed(override=lambda request: (400, {}, json.dumps({"error": request.headers["xc-token"],
                                                                 "message": "you sent " + request.headers["xc-token"]}).encode())):
        answer = get("many")
        refused(answer, 422, "left out")
        assert TOKEN.encode() not in answer.body


def test_no_token_and_no_query_is_in_the_log_even_at_debug():
    with serving(fake.v2, "--log-level", "DEBUG", "--http-max-retries", "1", "--http-backoff-factor", "10ms") as other:
        assert len(rows("many", other, filter="Name:row")) == 250
        with changed(override=lambda request: (503, {"Retry-After": "0"}, b"")):
            refused(get("many/1", other), 502, "503")
        other.wait_log(r"DEBUG   http: GET http://127\.0\.0\.1:\d+/api/v2/tables/many/records: attempt 1 over a new connection")
        other.wait_log(r"DEBUG   http: GET http://127\.0\.0\.1:\d+/api/v2/tables/many/records/1: again in \d+ ms")
        other.wait_log(r"DEBUG   http: .* over a kept connection")
        assert other.stop() == 0
        log = "\n".join(other.log)
        assert TOKEN not in log and "like" not in log and "limit=" not in log
        assert "HTTPSessionManager initialized: pool_connections 10, pool_maxsize 20" in log
        assert "INFO    HTTPSessionManager closed" in log


# ---- Errors


CODES = {404: ("BASE_NOT_FOUND", "TABLE_NOT_FOUND", "VIEW_NOT_FOUND", "RECORD_NOT_FOUND"),
         422: ("FIELD_NOT_FOUND", "INVALID_FILTER", "INVALID_OFFSET_VALUE", "INVALID_LIMIT_VALUE", "INVALID_PAGE_VALUE", "INVALID_PK_VALUE",
               "INVALID_REQUEST_BODY", "INVALID_VALUE_FOR_FIELD", "FILTER_VERIFICATION_FAILED", "DATABASE_OP_FAILED")}


def test_its_code_decides_whatever_the_status_and_the_api():
    for base in (fake.v1, fake.v2, fake.v3):
        with serving(base, "--http-max-retries", "0") as other:
            for ours, codes in CODES.items():
                for code, status in itertools.product(codes, (400, 404, 422, 500)):
                    for name, path in ((code, "many/1"), ("ERR_" + code, "many")):
                        body = json.dumps({"error": name, "code": "22P02", "message": "why"}).encode()
                        with changed(override=lambda request: (status, {}, body)):
                            refused(get(path, other), ours, f"NocoDB answered {status}", "why")


def test_statuses_become_fitting_ones_with_nocodbs_words():
    with serving(fake.v2, "--http-max-retries", "0") as other:
        for status, ours, part in ((400, 422, "400: why"), (401, 502, "check NOCODB_API_TOKEN"), (403, 502, "check NOCODB_API_TOKEN"),
                                   (404, 404, "404: why"), (409, 502, "409: why"), (422, 422, "422: why"), (500, 502, "500: why"),
                                   (503, 502, "503: why"), (504, 502, "504: why")):
            for body in ({"error": "ERR_X", "message": "why"}, {"msg": "why"}):
                with changed(override=lambda request: (status, {}, json.dumps(body).encode())):
                    for path in ("many", "many/1"):
                        answer = get(path, other)
                        refused(answer, ours, "NocoDB answered", part)
        for base in (fake.v3.replace("base1", "other"), fake.url + "/elsewhere"):
            with serving(base) as lost:
                refused(get("many", lost), 502, "it has no such path; check NOCODB_BASE_URL", "Cannot GET /")
        with changed(override=lambda request: (502, {}, b"<html>no such thing</html>")):
            assert get("many", other).detail == "NocoDB answered 502"


def test_a_wrong_token_is_told_without_telling_it():
    with serving(fake.v2, environment={"NOCODB_API_TOKEN": "wrong-token"}) as other:
        answer = get("many/1", other)
        refused(answer, 502, "NocoDB answered 401", "refuses the API token", "Authentication required")
        assert b"wrong-token" not in answer.body


def test_messages_are_bounded_and_cleaned():
    with changed(override=lambda request: (404, {}, json.dumps({"message": "a\r\n\x1b[2J\u0085b" + "é" * 4000}).encode())):
        answer = get("many/1")
        refused(answer, 404, "NocoDB answered 404: a   [2J bé")
        assert len(answer.detail.encode()) < 320 and answer.detail.endswith("é")


def test_answers_that_are_of_no_use_are_502():
    deep = b"[" * 100000 + b"]" * 100000
    for body in (b"", b"hello", b"{", b'{"list":[', b"null", b"7", b'"x"', b"{}", b'{"list":{}}', b'{"list":[1]}', b"[[]]",
                 b'{"list":[{"Id":1}]}x', b'{"list":[{"a":1,"a":2}]}', b'{"list":[{"a":"\xff"}]}', deep):
        with changed(override=lambda request: (200, {}, body)):
            refused(get("many"), 502, "NocoDB's answer")
            if body not in (b"{}", b'{"list":{}}', b'{"list":[1]}'):
                refused(get("many/1"), 502, "NocoDB's answer")


def test_giant_answers_are_not_taken():
    with changed(override=lambda request: (200, {}, b'{"list":[{"a":"' + b"x" * (9 << 20) + b'"}]}')):
        refused(get("many"), 507, 'that was a page of 100 rows of table "many": ask for shorter pages (page_size)')
        refused(get("many", limit=7), 507, "that was a page of 7 rows", "shorter pages")
        assert "page_size" not in get("many", page_size=1).detail and get("many", page_size=1).status == 507
        assert "page_size" not in get("many/1").detail and get("many/1").status == 507


def test_a_slow_nocodb_is_504_in_time():
    release = threading.Event()
    try:
        with serving(fake.v2, "--http-timeout", "300ms", "--http-max-retries", "0") as other, \
                changed(override=lambda request: release.wait(20) and None):
            started = time.monotonic()
            refused(get("many", other), 504, "NocoDB")
            refused(get("many/1", other), 504, "NocoDB")
            assert time.monotonic() - started < 3
        with serving(fake.v2, "--request-timeout", "500ms") as other, changed(override=lambda request: release.wait(20) and None):
            started = time.monotonic()
            refused(get("many", other), 504, "NocoDB")
            assert 0.4 < time.monotonic() - started < 3
    finally:
        release.set()


def test_clients_are_not_told_where_nocodb_is_and_the_log_is():
    with Server() as gone:
        nowhere = gone.url
    release = threading.Event()
    with Server() as site, changed(override=lambda request: release.wait(20) and None):
        site.answer = lambda request: 1 / 0
        for url, status, text in ((nowhere, 502, "NocoDB cannot be reached"), ("http://nocodb.invalid:8080", 502, "NocoDB cannot be reached"),
                                  (site.url, 502, "the connection to NocoDB was lost"), (fake.url, 504, "NocoDB did not answer in time")):
            with serving(url + "/api/v2/tables", "--http-max-retries", "0", "--http-timeout", "300ms") as other:
                for path in ("many", "many/1"):
                    answer = get(path, other)
                    assert (answer.status, answer.detail) == (status, text), (url, answer.status, answer.body)
                    assert url.split(":")[1].strip("/") not in str(answer.headers), answer.headers
                other.wait_log(f"WARNING NocoDB: GET {re.escape(url)}/api/v2/tables/many/records.*: ")
        release.set()


def test_a_lost_connection_is_tried_again():
    lost = []

    def lose_two(request):
        lost.append(request)
        if len(lost) <= 2:
            raise ConnectionError
        return None

    with serving(fake.v2, "--http-backoff-factor", "10ms") as other, changed(override=lose_two):
        assert rows("many/1", other)["Id"] == 1
        assert len(lost) == 3


def test_nocodb_being_down_is_502_at_once_and_does_not_make_the_service_unready():
    with Server() as gone:
        url = gone.url
    with serving(url + "/api/v2/tables", "--http-max-retries", "0") as other:
        started = time.monotonic()
        refused(get("many", other), 502, "NocoDB")
        refused(get("many/1", other), 502, "NocoDB")
        assert time.monotonic() - started < 2
        assert other.readiness().status == 200 and b"nocodb" not in other.readiness().body.lower()
        # Until there is enough to judge by, it is tried each time; then it is left alone.
        wait_for(lambda: get("many/1", other).status == 503, 20, "the breaker")
        answer = get("many/1", other)
        refused(answer, 503, "no request is sent to NocoDB at the moment: it failed too often")
        assert 1 <= int(answer.headers["Retry-After"]) <= 72
        origin = other.get("/api/v1/pools").json["http"]["origins"][0]
        assert origin["breaker"]["state"] == "open" and 0 < origin["breaker"]["open_for"] <= 72, origin
        assert origin["breaker"]["failure_rate"] == 100 and origin["counters"]["failed_connect"] >= 100
        other.wait_log(r"WARNING http: http://127\.0\.0\.1:\d+: breaker open")
        assert other.readiness().status == 200


# ---- The rate limit


def test_pages_are_asked_for_at_the_rate_that_nocodb_allows():
    with changed(rate=5, most_limit=25), serving(fake.v2, "--nocodb-rate-limit", "5") as other:
        started = time.monotonic()
        assert ids("many", other, limit=175) == list(range(1, 176))
        assert 1.45 <= time.monotonic() - started < 6
        assert len(fake.requests) == 7
        # Were the fake's own count wrong, this would still say that no second saw more than five.
        times = [request.time for request in fake.requests]
        assert all(later - earlier > 1 for earlier, later in zip(times, times[5:])), times


def test_one_429_holds_back_every_caller_for_as_long_as_it_says():
    with changed(rate=1, block_seconds=2, retry_after=2), serving(fake.v2, "--nocodb-rate-limit", "50") as other:
        answers = []

        def ask(number):
            answers.append(get(f"many/{number}", other).status)

        assert get("many/1", other).status == 200
        threads = [threading.Thread(target=ask, args=(number,)) for number in (2, 3, 4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(fake.requests) >= 2, 5, "the 429")
        blocked_at = fake.blocked_until - 2
        with fake.lock:
            fake.rate = None
        for thread in threads:
            thread.join()
        assert answers == [200, 200, 200], answers
        # Those on their way together with it came before its answer could be read; all others waited.
        late = [request.time - blocked_at for request in fake.requests if request.time - blocked_at > 0.5]
        assert len(late) >= 3 and min(late) >= 2, late
        other.wait_log(r"WARNING http: http://127\.0\.0\.1:\d+ asked for a pause of 2\.0 s, which holds for all")
        assert other.get("/api/v1/pools").json["http"]["origins"][0]["counters"]["cool_downs"] >= 1


def test_a_429_that_does_not_say_how_long_stands_for_nocodbs_30_seconds():
    with changed(rate=0), serving(fake.v2, "--request-timeout", "3s") as other:
        for _ in range(3):
            started = time.monotonic()
            answer = get("many", other)
            refused(answer, 503, "NocoDB")
            assert 27 <= int(answer.headers["Retry-After"]) <= 30, answer.headers["Retry-After"]
            assert time.monotonic() - started < 2
        assert len(fake.requests) == 1
        closed_for = other.get("/api/v1/pools").json["http"]["origins"][0]["cool_down"]
        assert 25 < closed_for <= 30
        assert other.readiness().status == 200


def test_a_pause_that_nocodb_asks_for_is_passed_on():
    endless = "99999999999999999999"
    for status, asked_for, ours, passed_on in ((429, None, 503, "30"), (429, "7", 503, "7"), (429, endless, 503, "21600"),
                                               (503, "7", 503, "7"), (503, endless, 503, "21600"), (503, None, 502, None),
                                               (503, "0", 502, None), (500, "7", 502, None), (500, endless, 502, None)):
        headers = {} if asked_for is None else {"Retry-After": asked_for}
        for path in ("many", "many/1"):
            with serving(fake.v2, "--http-max-retries", "0") as other, \
                    changed(override=lambda request: (status, headers, b'{"message":"why"}')):
                answer = get(path, other)
                refused(answer, ours, f"NocoDB answered {status}", "why")
                assert answer.headers["Retry-After"] == passed_on, (status, asked_for, answer.headers["Retry-After"])


def test_a_pause_that_is_asked_for_between_two_pages_is_passed_on():
    for status in (429, 503):
        with serving(fake.v2, "--request-timeout", "2s") as other, \
                changed(override=lambda request: (status, {"Retry-After": "60"}, b"") if len(fake.requests) == 3 else None):
            answer = get("many", other)
            refused(answer, 503, f"NocoDB answered {status}")
            assert answer.headers["Retry-After"] == "60" and len(fake.requests) == 3


def test_a_list_that_needs_more_time_than_there_is_says_what_to_do():
    with serving(fake.v2, "--nocodb-rate-limit", "5", "--request-timeout", "1500ms") as other:
        fake.forget()
        answer = get("many", other, page_size=10)
        count = len(fake.requests)
        assert 2 <= count <= 7, count
        refused(answer, 504, f'{count * 10} rows of table "many" in {count} pages', "page_size", "limit, filter",
                "--request-timeout")
        assert answer.headers["Retry-After"] is None
    release = threading.Event()
    try:
        with serving(fake.v2, "--request-timeout", "500ms") as other, \
                changed(override=lambda request: release.wait(20) and None if len(fake.requests) == 2 else None):
            refused(get("many", other), 504, '100 rows of table "many" in 1 page:')
        # A server that does not answer is one, however much time there is.
        with serving(fake.v2, "--http-timeout", "300ms", "--http-max-retries", "0") as other, \
                changed(override=lambda request: release.wait(20) and None if len(fake.requests) == 2 else None):
            answer = get("many", other)
            refused(answer, 504, "NocoDB")
            assert "--request-timeout" not in answer.detail, answer.detail
    finally:
        release.set()


def test_a_call_that_finds_no_turn_in_its_time_is_to_come_again():
    with serving(fake.v2, "--nocodb-rate-limit", "1", "--request-timeout", "300ms") as other:
        assert get("many/1", other).status == 200
        for path in ("many/1", "many"):
            answer = get(path, other)
            refused(answer, 503, "no request is sent to NocoDB at the moment", "its rate limit is reached")
            assert answer.headers["Retry-After"] in ("1", "2")


# ---- Beside the rest of the service


def hold(other, count, release, path="many/1"):
    """That many calls on their way, none of them answered before `release`."""
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(get(path, other).status)) for _ in range(count)]
    for thread in threads:
        thread.start()

    def end():
        release.set()
        for thread in threads:
            thread.join()

    return end, statuses


def outbound(other):
    """What the stream of figures says of the workers that wait for NocoDB."""
    client = http.client.HTTPConnection(other.host, other.port, timeout=10)
    client.request("GET", "/api/v1/events", headers=user())
    response = client.getresponse()
    line = next(line for line in iter(response.readline, b"") if line.startswith(b"data: "))
    client.close()
    return {name: value for name, value in json.loads(line[6:])["server"].items() if name.startswith("outbound_")}


def outbound_metrics(other):
    text = other.request("GET", "/metrics").body.decode()
    return tuple(int(re.search(rf"^weir_server_outbound_{name} (\d+)$", text, re.MULTILINE)[1]) for name in ("busy", "queued"))


def test_without_nocodb_nothing_waits_for_it():
    with Backend(PROGRAM) as other:
        assert outbound(other) == {"outbound_workers": 0, "outbound_busy": 0, "outbound_queued": 0}
        assert outbound_metrics(other) == (0, 0)


def test_calls_that_wait_hold_no_workers():
    for workers in ("1", "2", "4"):
        release = threading.Event()
        with changed(override=lambda request: release.wait(20) and None), serving(fake.v2, "--workers", workers) as other:
            end, statuses = hold(other, 16, release)
            try:
                wait_for(lambda: len(fake.requests) == 16, 10, "all calls on their way")
                assert other.get("/api/v1/tables").status == 200
            finally:
                end()
            assert statuses == [200] * 16, statuses


def test_calls_beyond_the_limit_wait_for_their_turn_and_beyond_the_queue_are_refused():
    release = threading.Event()
    with changed(override=lambda request: release.wait(20) and None), \
            serving(fake.v2, "--nocodb-calls", "2", "--queue-limit", "3") as other:
        end, statuses = hold(other, 8, release)
        try:
            wait_for(lambda: len(statuses) == 3 and len(fake.requests) == 2, 10, "three to be refused")
            assert other.get("/api/v1/tables").status == 200
            assert len(fake.requests) == 2
            assert outbound(other) == {"outbound_workers": 2, "outbound_busy": 2, "outbound_queued": 3}
            assert outbound_metrics(other) == (2, 3)
        finally:
            end()
        wait_for(lambda: outbound_metrics(other) == (0, 0), what="everything answered")
        assert statuses == [503] * 3 + [200] * 5 and len(fake.requests) == 5, statuses


def test_another_limit_of_the_queue_holds_for_those_calls_too():
    for before, after in ((3, 1), (2, 0), (1, 4)):
        release = threading.Event()
        with changed(override=lambda request: release.wait(20) and None), \
                serving(fake.v2, "--nocodb-calls", "1", dotenv=f"WEIR_QUEUE_LIMIT={before}\n") as other:
            (other.directory / ".env").write_text(f"WEIR_QUEUE_LIMIT={after}\n")
            other.signal(signal.SIGHUP)
            other.wait_log("SIGHUP: configuration read again; changed: WEIR_QUEUE_LIMIT$")
            end, statuses = hold(other, after + 3, release)
            try:
                wait_for(lambda: outbound_metrics(other) == (1, after) and len(statuses) == 2, 10, "two to be refused")
            finally:
                end()
            assert statuses == [503] * 2 + [200] * (after + 1), (before, after, statuses)


def test_a_drain_ends_the_wait_for_a_cool_down():
    with changed(rate=0), serving(fake.v2, "--drain-timeout", "6s") as other:
        answers = []
        refused(get("many/1", other), 503)  # begins a cool-down until the end of its own time or a little later
        thread = threading.Thread(target=lambda: answers.append(get("many/2", other)))
        time_left = other.get("/api/v1/pools").json["http"]["origins"][0]["cool_down"]
        assert 20 < time_left <= 30
        thread.start()
        wait_for(lambda: other.get("/api/v1/pools").json["http"]["origins"][0]["in_flight"] == 1, 5, "the wait")
        started = time.monotonic()
        other.signal(signal.SIGTERM)
        assert other.wait_exit() == 0, other.log[-5:]
        assert time.monotonic() - started < 4.5
        thread.join(5)
        refused(answers[0], 503, "NocoDB")
        assert other.messages()[-1] == "INFO All connection pools shut down successfully"


def test_the_session_is_shown_with_the_pools():
    with serving(fake.v2, "--http-pool-maxsize", "7", "--http-timeout", "5s", "--http-max-retries", "2") as other:
        http = other.get("/api/v1/pools").json["http"]
        assert (http["name"], http["is_initialized"]) == ("http", True)
        for _ in range(10):
            assert get("many/1", other).status == 200
        http = other.get("/api/v1/pools").json["http"]
        settings = http["settings"]
        assert (settings["pool_connections"], settings["pool_maxsize"], settings["pool_block"]) == (10, 7, "overflow")
        assert (settings["timeout"], settings["max_retries"], settings["backoff_factor"]) == (5, 2, 0.3)
        [origin] = http["origins"]
        assert http["origin_count"] == 1 and origin["origin"] == fake.url
        assert origin["breaker"]["state"] == "closed" and origin["cool_down"] == 0 and origin["budget_balance"] > 0
        counters = origin["counters"]
        assert (counters["requests"], counters["attempts"], counters["opened"], counters["reused"]) == (10, 10, 1, 9)
        assert counters["responses"]["2xx"] == 10 and origin["reuse_rate"] == 0.9
        assert origin["pool"]["connections"] == 1 and origin["pool"]["used"] == 0 and origin["pool"]["counters"]["connects"] == 1
        assert set(other.pools()) == {"main", "suggestions"}


def test_without_a_base_url_the_routes_say_so():
    for environment in ({}, {"NOCODB_BASE_URL": ""}):
        with Backend(PROGRAM, environment=environment) as other:
            for path in ("many", "many/1", "many/"):
                refused(get(path, other), 503, "NocoDB base URL not configured")
                assert other.request("GET", "/api/v1/nocodb/" + path).status == 401
            assert other.get("/api/v1/pools").json["http"]["origins"] == []


def test_every_route_needs_a_token():
    fake.forget()
    for path in ("/api/v1/nocodb/many", "/api/v1/nocodb/many/1"):
        answer = backend.request("GET", path)
        refused(answer, 401, "Authorization header missing")
        assert backend.request("POST", path, {}).status == 405
    assert fake.requests == []


def test_settings_that_cannot_work_are_refused_at_the_start():
    for environment, part in (({"NOCODB_BASE_URL": "nocodb.example"}, "NocoDB base URL"),
                              ({"NOCODB_BASE_URL": "ftp://nocodb.example"}, "NocoDB base URL"),
                              ({"NOCODB_BASE_URL": "http://u:geheim@nocodb.example"}, "NocoDB base URL"),
                              ({"NOCODB_BASE_URL": "http://h/?geheim=1"}, "without a query"),
                              ({"NOCODB_BASE_URL": "http://h/api/v2/tables/m1/records"}, "it must end with /api/v2/tables"),
                              ({"NOCODB_BASE_URL": "http://h/api/v3/data"}, "it must end with /api/v3/data/{base id}"),
                              ({"NOCODB_BASE_URL": "http://127.0.0.1:8000/api/v1"}, "it must end with /api/v2/tables"),
                              ({"NOCODB_BASE_URL": "http://h/dashboard"}, "that is NocoDB's page"),
                              ({"NOCODB_BASE_URL": "http://h/", "NOCODB_API_TOKEN": "geheim\r\nX: y"}, "NocoDB API token"),
                              ({"WEIR_HTTP_CA_FILE": "/nowhere.pem"}, "/nowhere.pem"),
                              ({"WEIR_HTTP_PROXY": "gopher://u:geheim@h"}, "proxy")):
        with tempfile.TemporaryDirectory(prefix="weir-nocodb-") as directory:
            done = subprocess.run([PROGRAM, "serve", "--port", "0"], cwd=directory, env={**os.environ, **environment}, timeout=20,
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 1 and part in done.stderr, (environment, done.returncode, done.stderr)
        assert "geheim" not in done.stderr + done.stdout, done.stderr


# ---- Its version


@contextlib.contextmanager
def version_of(version, base="/api/v2/tables", **options):
    """A backend on a NocoDB that says that it is of this version."""
    with FakeNocoDB() as site:
        site.tables["many"] = numbered(3)
        if callable(version):
            site.greet = version
        else:
            site.version = version
        with serving(site.url + base, **options) as other:
            yield other, site


def test_the_version_is_told_once_in_the_log_of_the_start():
    for version in ("0.301.3", "0.302.0", "2026.1"):
        for base in ("", "/api/v2/tables/", "/api/v3/data/base1", "/base", "/below/api/v2"):
            with version_of(version, base) as (other, site):
                other.wait_log(rf"INFO    NocoDB {version}$")
                assert [request.target for request in site.greetings] == ["/below" * ("below" in base) + "/api/v1/version"]
                assert "xc-token" not in site.greetings[0].headers and site.requests == []
                assert other.stop() == 0 and sum("NocoDB" in line for line in other.log) == 1, other.log
    with version_of(None) as (other, site):
        other.wait_log("INFO    NocoDB is there, but does not report its version; the oldest supported is 0.301.3$")


def test_a_server_that_is_too_old_is_told_with_the_reason():
    for version in ("0.202.10", "0.265.1", "0.301.2"):
        with version_of(version) as (other, site):
            other.wait_log(rf"WARNING NocoDB {version} is older than 0\.301\.3, the oldest supported: .*other rows.*no v3 API.*return all rows")
            assert ids("many", other) == [1, 2, 3]


UNKNOWN = "NocoDB's version is unknown: /api/v1/version answered"


def test_what_is_no_nocodb_is_told():
    for status, body in ((200, b"<html>"), (200, b"[]"), (404, b"{}"), (401, b"{}"), (302, b"")):
        with version_of(lambda request: (status, {"Location": "/elsewhere"}, body)) as (other, site):
            other.wait_log(f"WARNING {UNKNOWN} {status}, not with a version; the oldest supported is 0.301.3$")
            assert len(site.greetings) == 1 and ids("many", other) == [1, 2, 3]
    with version_of(lambda request: (404, {}, b""), "/base") as (other, site):  # behind somebody's own paths that is as good
        other.wait_log(f"INFO    {UNKNOWN} 404, not with a version")


def test_what_is_no_version_at_all_is_told_once_and_not_asked_again():
    page = b"<html>" + b"x" * (100 << 10)
    for base, level in (("/api/v2/tables", "WARNING"), ("/base", "INFO   ")):
        for status, headers, body in ((200, {}, page), (200, {"X-Long": "x" * 100000}, b"{}"), (200, {"Content-Length": "7, 8"}, b"{}")):
            with version_of(lambda request: (status, headers, body), base) as (other, site):
                other.wait_log(f"{level} {UNKNOWN}, not with a version: ", timeout=5)
                assert sum("NocoDB" in line for line in other.log) == 1, other.log
                if level == "WARNING" and body is page:
                    time.sleep(6)  # as long as it takes to be asked again
                assert len(site.greetings) == 1 and other.stop() == 0 and sum("NocoDB" in line for line in other.log) == 1, other.log


def test_a_nocodb_that_is_silent_holds_up_neither_start_nor_stop():
    release = threading.Event()
    with version_of(lambda request: release.wait(30) and None) as (_, site), socket.create_server(("127.0.0.1", 0)) as deaf:
        for url in (site.v2, f"http://127.0.0.1:{deaf.getsockname()[1]}"):
            with serving(url, wait=False) as other:
                assert other.stop() == 0
                # It would be told when the question had its five seconds.
                assert not any("NocoDB" in line for line in other.log), other.log
        release.set()


def test_a_nocodb_that_is_down_is_told_once_and_keeps_nothing_waiting():
    with Server() as site:
        gone = site.url
    with serving(gone) as other:
        other.wait_log("WARNING NocoDB does not answer yet: .*refused")
        assert other.get("/api/v1/tables").status == 200
        time.sleep(6)  # it was asked again
        assert sum("NocoDB" in line for line in other.log) == 1, other.log
        started = time.monotonic()
        assert other.stop() == 0 and time.monotonic() - started < 4, other.log[-5:]


def test_the_version_is_told_when_nocodb_answers_at_last():
    answers = [(503, {}, b""), (429, {"Retry-After": "1"}, b""), (200, {}, b'{"currentVersion":"0.301.3"}')]
    with version_of(lambda request: answers.pop(0)) as (other, site):
        other.wait_log("WARNING NocoDB does not report its version yet: it answers 503")
        assert ids("many", other) == [1, 2, 3]
        other.wait_log(r"INFO    NocoDB 0\.301\.3$", 20)
        assert sum("NocoDB" in line for line in other.log) == 2 and answers == []
        # It was asked apart from the requests of clients.
        assert [origin["counters"]["requests"] for origin in other.get("/api/v1/pools").json["http"]["origins"]] == [1]


# ---- TLS and proxies


def test_an_own_authority_is_trusted_when_named():
    with tempfile.TemporaryDirectory(prefix="weir-nocodb-") as directory:
        certificate, key = directory + "/cert.pem", directory + "/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        with FakeNocoDB(context) as secure:
            secure.tables["t"] = numbered(3)
            with serving(secure.v2) as other:
                refused(get("t/1", other), 502, "NocoDB cannot be reached")
                other.wait_log("WARNING NocoDB: .*certificate")
            with serving(secure.v2, "--http-ca-file", certificate) as other:
                assert ids("t", other) == [1, 2, 3]


def test_a_proxy_is_used_when_named_except_for_the_hosts_without():
    with Server() as proxy:
        proxy.answer = lambda request: (200, {}, b'{"through": "proxy"}')
        with serving("http://nocodb.example/base", "--http-proxy", proxy.url) as other:
            assert rows("t/1", other) == {"through": "proxy"}
            assert proxy.requests[0].target == "http://nocodb.example/base/t/1"
            other.wait_log("INFO    NocoDB 0.301.3$")
            assert [request.target for request in proxy.greetings] == ["http://nocodb.example/api/v1/version"]
        with serving(fake.v2, "--http-proxy", proxy.url, "--http-no-proxy", "127.0.0.1",
                     environment={"http_proxy": proxy.url}) as other:
            assert rows("many/1", other)["Id"] == 1
        assert len(proxy.requests) == 1


def test_after_all_this_the_server_stops_cleanly():
    assert {name: pool["used"] for name, pool in backend.pools().items()} == {"main": 0, "suggestions": 0}
    assert [origin["in_flight"] for origin in backend.get("/api/v1/pools").json["http"]["origins"]] == [0]
    assert backend.stop() == 0, backend.log[-10:]
    assert TOKEN not in "\n".join(backend.log)


def main():
    global fake, backend
    with FakeNocoDB() as fake:
        fake.tables["many"] = numbered(250)
        with serving(fake.v2, "--http-backoff-factor", "20ms") as backend:
            status = tap.main([test for name, test in globals().items() if name.startswith("test_")])
            if status:
                print("# the server's last words:", *backend.log[-20:], sep="\n# ")
    sys.exit(status)


if __name__ == "__main__":
    main()
