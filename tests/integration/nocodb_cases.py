# SPDX-License-Identifier: MIT
"""What is asked of a NocoDB with the tables of tests/nocodb/live.py, live or recorded, through each of its APIs, and what must come."""
import json
import os
import re
import subprocess
import tempfile
import urllib.parse

from backend import Backend
from fake_nocodb import TOKEN

MANY = 130
DATABASES = ("sqlite", "postgresql")
BASES = {"v1": "/api/v1/db/data/noco/base", "v2": "/api/v2/tables", "v3": "/api/v3/data/base"}

# Of the rows of the table "things", by their ids: the same on every database and through every API.
FOUND = [
    ({"filter": "Title:smith"}, [1, 2]), ({"filter": "Title:Smith & Co"}, [2]), ({"filter": "Title:a, b"}, [3]),
    ({"filter": "Title:(paren"}, [4]), ({"filter": "Title:C:_temp"}, [6]), ({"filter": "Title:100%"}, [9]), ({"filter": "Note:a(b"}, [9]),
    ({"filter": "Note:null"}, [2, 3]), ({"filter": 'Note:"null"'}, [5]), ({"filter": "Year:2020"}, [2, 3]), ({"filter": "Price:1e3"}, [5]),
    ({"filter": "Done:true"}, [1, 3, 6, 9]), ({"filter": "Done:false"}, [2, 5, 7]), ({"filter": "Done:null"}, [4, 8]),
    ({"filter": ["Done:null", "Title:null"]}, []), ({"filter": ["Done:null", "Year:0"]}, [8]), ({"filter": ["Note:null", "Done:true"]}, [3]),
    ({"filter": "Day:null"}, [4]), ({"filter": "At:null"}, [4]), ({"filter": "Year:null"}, [5]), ({"filter": "Price:null"}, [4]),
    ({"filter": "Links:0"}, [2, 3, 4, 5, 6, 7, 8, 9]), ({"filter": "Links:2"}, [1]),
    ({"eq": "Title:8001"}, [7]), ({"eq": "Title:Smith"}, []), ({"eq": "Title:a, b"}, [3]), ({"eq": "Title:(paren) ~and"}, [4]),
    ({"eq": "Title:C:\\temp"}, [6]), ({"eq": "Note: Zoë "}, [7]), ({"eq": "Note:Zoë"}, []), ({"eq": "Note:"}, [2]),
    ({"eq": 'Note:"null"'}, [5]), ({"eq": 'Note:"true"'}, [6]), ({"eq": 'Note:"2024-01-31"'}, [8]), ({"eq": "Done:true"}, [1, 3, 6, 9]),
    ({"eq": "Day:2024-01-31"}, [1, 7]), ({"eq": "At:2024-01-31"}, [1, 7]), ({"eq": "Year:8001"}, [7]),
    ({"lt": "Year:0"}, [4]), ({"le": "Year:0"}, [4, 8]), ({"gt": "Year:2020"}, [6, 7]), ({"ge": "Year:2020"}, [2, 3, 6, 7]),
    ({"gt": "Price:1.4"}, [1, 5, 7, 8, 9]), ({"le": "Price:-2.25"}, [2]),
    ({"lt": "Day:2024-01-31"}, [5, 6, 8]), ({"le": "Day:2024-01-31"}, [1, 5, 6, 7, 8]), ({"gt": "Day:2024-01-31"}, [2, 3, 9]),
    ({"ge": "Day:2024-01-31"}, [1, 2, 3, 7, 9]), ({"lt": "At:2024-01-31"}, [5, 6, 8]), ({"le": "At:2024-01-31"}, [1, 5, 6, 7, 8]),
    ({"gt": "At:2024-01-31"}, [2, 3, 9]), ({"ge": "At:2024-01-31"}, [1, 2, 3, 7, 9]),
    ({"gt": "Day:2024-01-01", "lt": "Day:2024-02-01"}, [1, 7, 8]), ({"sort": "-Id", "limit": 3}, [9, 8, 7]),
    ({"sort": "-Done,Id", "filter": "Year:2020"}, [3, 2]), ({"limit": 2, "offset": 3}, [4, 5]), ({"offset": 8}, [9]), ({"offset": 9}, []),
    ({"offset": 99}, []), ({"page_size": 3, "offset": 1}, list(range(2, 10))), ({"page_size": 4}, list(range(1, 10))),
    ({"paging": "keyset", "page_size": 4}, list(range(1, 10))), ({"paging": "keyset", "page_size": 2, "filter": "Done:true"}, [1, 3, 6, 9]),
]

REFUSED = [
    ("none", {}, 404), ("none/1", {}, 404), ("things/999", {}, 404), ("things/abc", {}, 422), ("things/count", {}, 422),
    ("things", {"fields": "Nme"}, 422), ("things", {"fields": "Title,Nme"}, 422), ("things", {"fields": "Nme,Year"}, 422),
    ("things/1", {"fields": "Nme"}, 422), ("things/4", {"fields": "Title,Nme"}, 422), ("things/4", {"fields": "Nme,Year"}, 422),
    ("things", {"sort": "Nme"}, 422), ("things", {"filter": "Nme:1"}, 422),
    ("things", {"filter": "Title:C:\\temp"}, 422), ("things", {"ge": "At:2024-01-31 10:20"}, 422), ("things", {"lt": "Title:x"}, 422),
]

# What is asked of weir, and how somebody would ask the same of NocoDB itself: through v1 and v2, and through v3 where that is different.
# Some of it is asked in other words than weir's.
OWN = [
    ("things", {}, {"limit": 1000}, None),
    ("things", {"page_size": 4}, {"limit": 1000}, None),
    ("things", {"fields": "Title,Year"}, {"fields": "Title,Year"}, None),
    ("things", {"limit": 3, "offset": 2}, {"limit": 3, "offset": 2}, None),
    ("things", {"sort": "-Day,Title"}, {"sort": "-Day,Title"},
     {"sort": '[{"field":"Day","direction":"desc"},{"field":"Title","direction":"asc"}]'}),
    ("things", {"filter": "Title:smith"}, {"where": "(Title,like,smith)"}, None),
    ("things", {"filter": "Title:Smith & Co"}, {"where": "(Title,like,%Smith & Co%)"}, {"where": "(Title,like,'%Smith & Co%')"}),
    ("things", {"eq": "Title:a, b"}, {"where": "(Title,eq,a, b)"}, {"where": "(Title,eq,'a, b')"}),
    ("things", {"eq": "Title:(paren) ~and"}, {"where": '@(Title,eq,"(paren) ~and")'}, {"where": '(Title,eq,"(paren) ~and")'}),
    ("things", {"filter": "Year:2020"}, {"where": "(Year,eq,2020)"}, None),
    ("things", {"gt": "Price:1.4"}, {"where": "(Price,gt,1.4)"}, None),
    ("things", {"le": "Year:0"}, {"where": "(Year,lte,0)"}, None),
    ("things", {"filter": "Done:true"}, {"where": "(Done,checked)"}, None),
    ("things", {"filter": "Year:null"}, {"where": "(Year,is,blank)"}, None),
    ("things", {"filter": "Day:null"}, {"where": "(Day,blank)"}, None),
    ("things", {"ge": "Day:2024-01-31", "lt": "Day:2024-02-02"},
     {"where": "(Day,gte,exactDate,2024-01-31)~and(Day,lt,exactDate,2024-02-02)"}, None),
    ("things", {"filter": "Links:2"}, {"where": "(Links,gt,1)"}, None),
    ("things", {"filter": "Title:no such text"}, {"where": "(Title,eq,no such text)"}, None),
    ("many", {"limit": 30, "offset": 60}, {"limit": 30, "offset": 60}, {"page": 3, "pageSize": 30}),
    ("many", {"page_size": 7, "limit": 20, "offset": 110}, {"limit": 25, "offset": 110}, None),
    ("many", {"paging": "keyset", "page_size": 9, "ge": "N:10000"}, {"where": "(N,gte,10000)", "limit": 40}, None),
]


def tests(check):
    """A test for each API on each database: check(database, api)."""
    found = []
    for database in DATABASES:
        for api in BASES:
            def test(database=database, api=api):
                check(database, api)
            test.__name__ = f"{api}_on_{database}"
            found.append(test)
    return found


class Asker:
    """A backend on one of the APIs of a site, which also answers as NocoDB itself does: own(path, query) is JSON."""

    def __init__(self, program, site, api):
        self.api, self.site = api, site
        # A live server on PostgreSQL answers 500 now and then, without a reason.
        self.backend = Backend(program, "--http-backoff-factor", "50ms", environment={"NOCODB_BASE_URL": site.url + BASES[api],
                                                                                       "NOCODB_API_TOKEN": TOKEN})

    def own(self, table, number=None, **query):
        """What NocoDB itself answers: rows, or the one of that number."""
        path = f"{BASES[self.api]}/{table}" + "/records" * (self.api != "v1") + (f"/{number}" if number else "")
        answer = self.site.own(path + ("?" + urllib.parse.urlencode(query) if query else ""))
        return answer if number else answer["records" if self.api == "v3" else "list"]

    def get(self, path, **query):
        text = urllib.parse.urlencode(query, doseq=True)
        return self.backend.get("/api/v1/nocodb/" + path + ("?" + text if text else ""))

    def rows(self, path, **query):
        answer = self.get(path, **query)
        assert answer.status == 200, (self.api, path, query, answer.status, answer.body[:300])
        return answer.json

    def __enter__(self):
        self.backend.__enter__()
        return self

    def __exit__(self, *arguments):
        return self.backend.__exit__(*arguments)


def key(row):
    return row.get("Id", row.get("id"))


def check_version(asker):
    asker.backend.wait_log(rf"INFO    NocoDB {re.escape(asker.site.version)}$")


def check_own(asker):
    for table, query, own, own_v3 in OWN:
        found, expected = asker.rows(table, **query), asker.own(table, **(own_v3 if own_v3 and asker.api == "v3" else own))
        if "limit" in query:
            expected = expected[:query["limit"]]
        # Without an order the rows are as they come.
        if "sort" not in query:
            found, expected = sorted(found, key=json.dumps), sorted(expected, key=json.dumps)
        assert found == expected, (asker.api, table, query, found, expected)
        assert expected or "Title:no such text" in query.values(), (query, "this compares nothing")
    for table, number in [("things", number) for number in range(1, 10)] + [("many", 1), ("many", MANY)]:
        assert asker.rows(f"{table}/{number}") == asker.own(table, number), (asker.api, table, number)


def check_filters(asker):
    for query, expected in FOUND:
        columns = "Title" if asker.api == "v3" else "Id"
        found = [key(row) for row in asker.rows("things", fields=columns, **query)]
        assert (found if "sort" in query else sorted(found)) == expected, (asker.api, query, found)
    both = asker.get("things", filter="Title:a'b\"c, d", fields="Title")
    assert both.status == (422 if asker.api == "v3" else 200), both.body
    # On SQLite no column of links is null, on PostgreSQL it cannot be asked.
    links = asker.get("things", filter="Links:null", fields="Title")
    assert links.body == b"[]" or links.status == 422 and "links" in links.detail, links.body


def check_pages(asker):
    columns = {"fields": "N"}

    def numbers(**query):
        return [row["fields"]["N"] if asker.api == "v3" else row["N"] for row in asker.rows("many", **columns, **query)]

    squares = [number * number for number in range(1, MANY + 1)]
    assert numbers(page_size=50) == squares
    assert numbers(paging="keyset", page_size=60) == squares
    assert numbers(paging="keyset", key="N", page_size=60) == squares
    assert numbers(page_size=40, offset=37, limit=85) == squares[37:122]
    assert numbers(offset=MANY - 1) == squares[-1:] and numbers(offset=MANY) == [] and numbers(offset=10 * MANY) == []


def check_rows(asker):
    things = asker.rows("things")
    assert [key(row) for row in things] == list(range(1, 10))
    for row in things[:3]:
        assert asker.rows(f"things/{key(row)}") == row
    chosen = asker.rows("things/2", fields="Title,Year")
    assert (chosen["fields"] if asker.api == "v3" else chosen) == {"Title": "Bob Smith & Co", "Year": 2020}
    return things


def check_null_columns(asker):
    """A column that is null is there."""
    for name, value in (("Price", None), ("Day", None), ("Title", "(paren) ~and"), ("Links", 0)):
        row = asker.rows("things/4", fields=name)
        assert (row["fields"] if asker.api == "v3" else row) == {name: value}, (asker.api, name, row)


def check_large_keys(asker):
    """What NocoDB rounds pages by no key."""
    refused = asker.get("big", paging="keyset", key="N", page_size=1)
    assert refused.status == 422 and "beyond 2^53 - 1" in refused.detail, (asker.api, refused.status, refused.body)
    assert len(asker.rows("big", page_size=1)) == len(asker.rows("big")) == 4


def check_refusals(asker):
    for path, query, status in REFUSED:
        answer = asker.get(path, **query)
        assert answer.status == status, (asker.api, path, query, answer.status, answer.body)


def verify(program, url, token=TOKEN):
    """The line of `weir verify --only nocodb`."""
    with tempfile.TemporaryDirectory(prefix="weir-nocodb-") as directory:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOCODB_", "WEIR_HTTP"))}
        done = subprocess.run([program, "verify", "--only", "nocodb"], cwd=directory, capture_output=True, text=True, timeout=60,
                              env={**kept, "NOCODB_BASE_URL": url, "NOCODB_API_TOKEN": token}, stdin=subprocess.DEVNULL)
    return next(line for line in done.stdout.splitlines() if " nocodb: " in line)


def check_verify(program, site):
    for api, base in BASES.items():
        line = verify(program, site + base)
        assert line.startswith("✓ nocodb: NocoDB ") and "accepts the token, and table things gave a row" in line, (api, line)
    assert verify(program, site + BASES["v2"], "wrong-token").startswith("✗ nocodb: it answers 401"), "a wrong token"
    assert verify(program, site + "/api/v3/data/other").startswith("✗"), "a wrong base"


CHECKS = [check_version, check_rows, check_own, check_filters, check_pages, check_null_columns, check_large_keys, check_refusals]
