# SPDX-License-Identifier: MIT
"""A live NocoDB: signed in, with a base, a token, and a table of every kind of column that weir asks about."""
import json
import urllib.error
import urllib.parse
import urllib.request

EMAIL, PASSWORD = "admin@example.com", "Weir-Test-1"

COLUMNS = [("Title", "SingleLineText"), ("Note", "LongText"), ("Year", "Number"), ("Price", "Decimal"), ("Done", "Checkbox"), ("Day", "Date"),
           ("At", "DateTime")]

ROWS = [
    {"Title": "Ada Smith", "Note": "first", "Year": 1815, "Price": 1.5, "Done": True, "Day": "2024-01-31", "At": "2024-01-31 10:20:30+00:00"},
    {"Title": "Bob Smith & Co", "Note": "", "Year": 2020, "Price": -2.25, "Done": False, "Day": "2024-02-01", "At": "2024-02-01 00:00:00+00:00"},
    {"Title": "a, b", "Note": None, "Year": 2020, "Price": 0, "Done": True, "Day": "2024-12-31", "At": "2024-12-31 23:59:59+00:00"},
    {"Title": "(paren) ~and", "Note": "2020 or so", "Year": -3, "Price": None, "Done": None, "Day": None, "At": None},
    {"Title": "a'b\"c, d", "Note": "null", "Year": None, "Price": 1e3, "Done": False, "Day": "2000-02-29", "At": "2000-02-29 12:00:00+00:00"},
    {"Title": "C:\\temp", "Note": "true", "Year": 1000000, "Price": 0.1, "Done": True, "Day": "1999-12-31", "At": "1999-12-31 00:00:00+00:00"},
    {"Title": "8001", "Note": " Zoë ", "Year": 8001, "Price": 7, "Done": False, "Day": "2024-01-31", "At": "2024-01-31 00:00:00+00:00"},
    {"Title": "null", "Note": "2024-01-31", "Year": 0, "Price": 7, "Done": None, "Day": "2024-01-30", "At": "2024-01-30 00:00:00+00:00"},
    {"Title": "100%", "Note": "a(b", "Year": 7, "Price": 8, "Done": True, "Day": "2024-03-01", "At": "2024-03-01 00:00:00+00:00"},
]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Live:
    def __init__(self, origin):
        self.origin, self.token, self.session = origin, None, None

    def ask(self, method, path, body=None, token=None, **query):
        text = urllib.parse.urlencode(query, quote_via=urllib.parse.quote, doseq=True)
        request = urllib.request.Request(self.origin + path + ("?" + text if text else ""), method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token or self.token:
            request.add_header("xc-token", token or self.token)
        elif self.session:
            request.add_header("xc-auth", self.session)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())

    def must(self, method, path, body=None, **query):
        answer = self.ask(method, path, body, **query)
        assert 200 <= answer.status < 300, (method, path, answer.status, answer.body[:400])
        return answer.json

    def prepare(self):
        self.session = self.must("POST", "/api/v1/auth/user/signin", {"email": EMAIL, "password": PASSWORD})["token"]
        self.base = self.must("POST", "/api/v2/meta/bases", {"title": "weir"})["id"]
        columns = [{"title": title, "column_name": title.lower(), "uidt": kind} for title, kind in COLUMNS]
        self.table = self.make_table("Things", columns)
        self.other = self.make_table("Others", [{"title": "Name", "column_name": "name", "uidt": "SingleLineText", "pv": True}])
        link = self.must("POST", f"/api/v2/meta/tables/{self.table}/columns", {"title": "Links", "uidt": "Links", "parentId": self.table,
                         "childId": self.other, "type": "hm"})
        self.link = next(column["id"] for column in link["columns"] if column["title"] == "Links")
        self.many = self.make_table("Many", [{"title": "Name", "column_name": "name", "uidt": "SingleLineText", "pv": True},
                                              {"title": "N", "column_name": "n", "uidt": "Number"}])
        self.big = self.make_table("Big", [{"title": "Name", "column_name": "name", "uidt": "SingleLineText", "pv": True},
                                            {"title": "N", "column_name": "n", "uidt": "Number"}])
        answer = self.ask("POST", f"/api/v2/meta/bases/{self.base}/api-tokens", {"description": "weir"})
        if answer.status >= 300:
            answer = self.ask("POST", "/api/v1/tokens", {"description": "weir"})
        self.token = answer.json["token"]
        self.must("POST", f"/api/v2/tables/{self.table}/records", ROWS)
        self.must("POST", f"/api/v2/tables/{self.other}/records", [{"Name": "one"}, {"Name": "two"}])
        self.must("POST", f"/api/v2/tables/{self.table}/links/{self.link}/records/1", [{"Id": 1}, {"Id": 2}])
        for first in range(1, 131, 100):
            self.must("POST", f"/api/v2/tables/{self.many}/records",
                      [{"Name": f"row {n}", "N": n * n} for n in range(first, min(first + 100, 131))])
        # As texts they arrive whole.
        self.must("POST", f"/api/v2/tables/{self.big}/records",
                  [{"Name": f"row {n}", "N": str(n)} for n in (2**53 - 1, 2**53, 2**53 + 1, 2**62 + 1)])
        return self

    def make_table(self, title, columns):
        columns = [{"title": "Id", "column_name": "id", "uidt": "ID"}] + columns
        return self.must("POST", f"/api/v2/meta/bases/{self.base}/tables", {"title": title, "table_name": title.lower(), "columns": columns})["id"]
