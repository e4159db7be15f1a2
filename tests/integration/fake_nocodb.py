# SPDX-License-Identifier: MIT
"""A NocoDB for tests: its paths, pages, filters, errors and rate limit, as far as a client meets them, and every fault
that a test asks for. It records each request."""
import http.server
import json
import math
import re
import threading
import time
import urllib.parse

TOKEN = "nc-token-zW3kQ-0815"


class Raw(str):
    """A value that stands in the JSON as it is."""


def to_json(value):
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(json.dumps(name) + ":" + to_json(each) for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(to_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


class Refusal(Exception):
    """An answer that is an error: status, NocoDB's code, its message."""


# ---- The two grammars of `where`


def parse_plain(clause):
    """The older grammar, by regular expressions as in the server: no quotes, and what looks like structure is it. `dot` is
    what it is in JavaScript. A condition that the expression does not find is lost, as in some servers."""
    dot = r"[^\n\r\u2028\u2029]"
    if "((" in clause or "(~" in clause:
        raise Refusal(422, "ERR_INVALID_FILTER", "nested groups are not needed in these tests")
    found = []
    for part in re.split(r"(?=~(?:or(?:not)?|and(?:not)?|not)\()", clause):
        match = re.search(rf"(?:~(and|or|not))?\(({dot}*?),(\w+)(?:,({dot}*))?\)", part)
        if match is None:
            continue
        if match[1] not in (None, "and"):
            raise Refusal(422, "ERR_INVALID_FILTER", "only ~and is needed in these tests")
        found.append((match[2], match[3], match[4] or ""))
    return found


TOKENS = re.compile(r"""(?P<space>[ \t\n\r]+)|(?P<joint>~and|~or|~not)|(?P<open>\()|(?P<close>\))|(?P<comma>,)|"""
                    r"""(?P<single>'(?:\\'|[^'])+')|(?P<double>"(?:\\"|[^"])+")|"""
                    r"""(?P<word>[A-Za-z0-9!@#$%^&*_+\-=\[\]{};:\\|.<>/? ]+)""")


def parse_quoted(clause):
    """The newer grammar: names and values may be in quotes, which are taken off; nothing is escaped."""
    tokens, at = [], 0
    while at < len(clause):
        match = TOKENS.match(clause, at)
        if match is None:
            raise Refusal(422, "ERR_INVALID_FILTER", f"unexpected character at {at}")
        at = match.end()
        if match.lastgroup != "space":
            quoted = match.lastgroup in ("single", "double")
            tokens.append(("text" if quoted else match.lastgroup, match[0][1:-1] if quoted else match[0]))
    found = []
    while tokens:
        if found and tokens.pop(0) != ("joint", "~and"):
            raise Refusal(422, "ERR_INVALID_FILTER", "expected ~and")
        if [kind for kind, _ in tokens[:5]] == ["open", "text", "comma", "word", "close"]:
            found.append((tokens[1][1], tokens[3][1], ""))
            del tokens[:5]
            continue
        if len(tokens) > 5 and tokens[5] == ("word", "exactDate"):
            tokens[5:8] = [("word", "exactDate," + tokens[7][1])]
        if [kind for kind, _ in tokens[:7:2]] != ["open", "comma", "comma", "close"]:
            raise Refusal(422, "ERR_INVALID_FILTER", "expected (field,operator,value)")
        kinds = [kind for kind, _ in tokens[1:6:2]]
        if kinds[1] != "word" or not {kinds[0], kinds[2]} <= {"word", "text"}:
            raise Refusal(422, "ERR_INVALID_FILTER", "expected (field,operator,value)")
        found.append(tuple(text for _, text in tokens[1:6:2]))
        del tokens[:7]
    return found


def rounded(value):
    """A number as JavaScript has it."""
    return int(float(value)) if re.fullmatch(r"-?\d+", value) else float(value)


def compare(stored, op, value):
    """Numbers, and dates, which their texts order."""
    if stored is None:
        return False
    if value.startswith("exactDate,"):
        pair = (str(stored), value.removeprefix("exactDate,"))
    else:
        pair = (rounded(str(stored)), rounded(value))
    return {"lt": pair[0] < pair[1], "lte": pair[0] <= pair[1], "gt": pair[0] > pair[1], "gte": pair[0] >= pair[1]}[op]


def matches(row, column, op, value):
    stored = row.get(column)
    if op == "like":
        pattern = "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in value)
        return stored is not None and re.fullmatch(pattern, str(stored), re.IGNORECASE | re.DOTALL) is not None
    if op == "is" and value == "blank":
        return stored in (None, "")
    if op == "eq":
        # `true` is a text on SQLite, which no Checkbox equals.
        if isinstance(stored, bool):
            return value == ("1" if stored else "0")
        return (stored if isinstance(stored, str) else to_json(stored)) == value.removeprefix("exactDate,")
    if op == "notchecked":
        return not stored
    if op == "neq":
        return stored is None or to_json(int(stored)) != value
    if op in ("lt", "lte", "gt", "gte"):
        return compare(stored, op, value)
    raise Refusal(422, "ERR_INVALID_FILTER", f"{op} is not supported.")


# ---- The server


class Request:
    """One request as it came in."""

    def __init__(self, handler):
        self.method, self.target = handler.command, handler.path
        parts = urllib.parse.urlsplit(handler.path)
        self.path = parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.time = time.monotonic()

    def number(self, name, fallback):
        return int(self.query.get(name, fallback))

    def names(self, name):
        """The columns of a list with commas."""
        return [each for each in self.query.get(name, "").split(",") if each]


class Server:
    """An HTTP server on a free port that records what it is asked; `answer` may be replaced. What answer() gives is
    (status, headers, body); an Exception closes the connection without a word. The question for the version, which every
    backend asks when it likes, is recorded and answered apart."""

    def __init__(self, context=None):
        outer = self
        self.requests, self.greetings, self.lock = [], [], threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in one piece where it fits,
            disable_nagle_algorithm = True  # and no waiting for the client where it does not

            def do_GET(self):
                request = Request(self)
                is_greeting = request.target.endswith("/api/v1/version")
                with outer.lock:
                    (outer.greetings if is_greeting else outer.requests).append(request)
                try:
                    status, headers, body = (outer.greet if is_greeting else outer.answer)(request)
                except Exception:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # the client had enough

            def log_message(self, *unused):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *unused):
                pass  # clients that go away are part of the tests

        self.http = Quiet(("127.0.0.1", 0), Handler)
        if context is not None:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.http.server_address[1]
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def answer(self, _request):
        return 200, {}, b"{}"

    def greet(self, _request):
        return 200, {}, b'{"currentVersion":"0.301.3"}'

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class FakeNocoDB(Server):
    """Tables by id: lists of rows, each a dict. v1 (`/base`), v2 and v3 are served beside each other."""

    def __init__(self, context=None):
        self.tables = {}
        self.least_limit, self.most_limit, self.usual_limit = 1, 1000, 25
        self.tells_last_page = True   # pageInfo at all
        self.shape = "list"           # or "data", or "bare"
        self.refuses_far_offsets = True
        self.far_offset_code = "ERR_INVALID_OFFSET_VALUE"
        self.ignores_offset = self.ignores_where = self.ignores_sort = False
        self.next_base = None         # where v3's links lead; its own address otherwise
        self.rate = None              # requests per second, and for how long more are blocked
        self.block_seconds, self.retry_after = 30, None
        self.override = None          # request -> answer or None
        self.after_page = None        # called after a page was made
        self.version = "0.301.3"
        self.bases = ["base1"]
        self.window, self.blocked_until = [], 0.0
        super().__init__(context)

    # The bases of the APIs and what they look like.
    @property
    def v1(self):
        return self.url + "/api/v1/db/data/noco/base1"

    @property
    def v2(self):
        return self.url + "/api/v2/tables"

    @property
    def v3(self):
        return self.url + "/api/v3/data/base1"

    def forget(self):
        """Begin to record and to count anew."""
        with self.lock:
            self.requests, self.window, self.blocked_until = [], [], 0.0

    def check_rate(self, request):
        with self.lock:
            if request.time < self.blocked_until:
                return False
            self.window = [at for at in self.window if at > request.time - 1] + [request.time]
            if len(self.window) <= self.rate:
                return True
            self.blocked_until = request.time + self.block_seconds
            return False

    def answer(self, request):
        if self.override is not None:
            answer = self.override(request)
            if answer is not None:
                return answer
        try:
            if self.rate is not None and not self.check_rate(request):
                headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
                return 429, headers, b'{"message":"ThrottlerException: Too Many Requests"}'
            if request.path == "/api/v1/version":
                return self.greet(request)
            if request.headers.get("xc-token") != TOKEN:
                raise Refusal(401, "ERR_AUTHENTICATION_REQUIRED", "Authentication required - Invalid token")
            return 200, {"Content-Type": "application/json"}, to_json(self.find(request)).encode()
        except Refusal as refusal:
            status, code, message = refusal.args
            return status, {"Content-Type": "application/json"}, json.dumps({"error": code, "message": message}).encode()

    def greet(self, _request):
        version = {} if self.version is None else {"currentVersion": self.version}
        return 200, {}, json.dumps({**version, "releaseVersion": None}).encode()

    def find(self, request):
        if request.path == "/api/v2/meta/bases":
            return {"list": [{"id": base, "title": "Base"} for base in self.bases], "pageInfo": {"isLastPage": True}}
        tables_of = re.fullmatch(r"/api/v2/meta/bases/([^/]+)/tables", request.path)
        if tables_of:
            if tables_of[1] not in self.bases:
                raise Refusal(422, "ERR_BASE_NOT_FOUND", f"Base '{tables_of[1]}' not found")
            names = self.tables if tables_of[1] == "base1" else []
            return {"list": [{"id": name, "title": name.title()} for name in names], "pageInfo": {"isLastPage": True}}
        v1 = re.fullmatch(r"/(?:base|api/v1/db/data/noco/base1)/([^/]+)(?:/([^/]+))?", request.path)
        v2 = re.fullmatch(r"/api/v2/tables/([^/]+)/records(?:/([^/]+))?", request.path)
        v3 = re.fullmatch(r"/api/v3/data/base1/([^/]+)/records(?:/([^/]+))?", request.path)
        found = v1 or v2 or v3
        if found is None:
            raise Refusal(404, "Not Found", f"Cannot GET {request.path}")
        table = self.tables.get(urllib.parse.unquote(found[1]))
        if table is None:
            raise Refusal(422 if v3 else 404, "ERR_TABLE_NOT_FOUND", f"Table '{found[1]}' not found")
        if not v1 or found[2] is None:  # of a single row v1 leaves out what it does not know
            self.check_names(request, table, v3 is not None)
        if found[2] is None:
            return self.page(request, table, found[1], v3 is not None)
        if not v3 and found[2].lower() == "count":
            return {"count": len(table)}
        row = next((row for row in table if str(row.get("Id")) == urllib.parse.unquote(found[2])), None)
        if row is None:
            raise Refusal(404, "ERR_RECORD_NOT_FOUND", f"Record '{found[2]}' not found")
        row = self.chosen(request, row, v3 is not None)
        return self.v3_row(row) if v3 else row

    @staticmethod
    def check_names(request, table, is_v3):
        known = {name for row in table for name in row}
        for name in request.names("fields"):
            if table and name not in known:
                raise Refusal(422 if is_v3 else 404, "ERR_FIELD_NOT_FOUND", f"Field '{name}' not found")

    @staticmethod
    def chosen(request, row, is_v3):
        names = request.names("fields")
        return {name: value for name, value in row.items() if not names or name in names or (is_v3 and name == "Id")}

    @staticmethod
    def v3_row(row):
        return {"id": row.get("Id"), "fields": {name: value for name, value in row.items() if name != "Id"}}

    def conditions(self, request, is_v3, table):
        clause = request.query.get("where", "")
        if clause == "" or self.ignores_where:
            return []
        if is_v3:
            conditions = parse_quoted(clause)
        elif clause.startswith("@"):
            conditions = parse_quoted(clause[1:])
        else:
            conditions = parse_plain(clause)
        known = {name for row in table for name in row}
        for column, _, _ in conditions:
            if column not in known:
                raise Refusal(422, "ERR_FIELD_NOT_FOUND", f"Column alias '{column}' not found.")
        return conditions

    def select(self, request, is_v3, table):
        conditions = self.conditions(request, is_v3, table)
        rows = [row for row in table if all(matches(row, *condition) for condition in conditions)]
        if self.ignores_sort:
            return rows
        if is_v3:
            order = [(each["field"], each["direction"] == "desc") for each in json.loads(request.query.get("sort", "[]"))]
        else:
            order = [(name.removeprefix("-"), name.startswith("-")) for name in request.names("sort")]
        for name, is_descending in reversed(order):
            if table and name not in table[0]:
                raise Refusal(422 if is_v3 else 404, "ERR_FIELD_NOT_FOUND", f"Field '{name}' not found")
            rows.sort(key=lambda row: row[name] if isinstance(row[name], str) and not isinstance(row[name], Raw) else int(row[name]),
                      reverse=is_descending)
        return rows

    def page(self, request, table, name, is_v3):
        rows = self.select(request, is_v3, table)
        asked = request.number("limit", request.number("pageSize", self.usual_limit))
        size = min(max(asked, self.least_limit), self.most_limit)
        offset = (request.number("page", 1) - 1) * size if "page" in request.query else request.number("offset", 0)
        if self.ignores_offset:
            offset = 0
        if offset > 0 and offset >= len(rows) and self.refuses_far_offsets:
            raise Refusal(422, self.far_offset_code, f"Offset value '{offset}' is invalid")
        shown = [self.chosen(request, row, is_v3) for row in rows[offset:offset + size]]
        if self.after_page is not None:
            self.after_page(table)
        if is_v3:
            # A page that begins at no multiple of its size has no number, and so no link to the next.
            is_last = offset + size >= len(rows) or offset % size != 0
            link = f"{self.next_base or self.v3}/{name}/records?page={offset // size + 2}&pageSize={size}"
            return {"records": [self.v3_row(row) for row in shown], **({} if is_last else {"next": link}), "nestedNext": None}
        if self.shape == "bare":
            return shown
        if self.shape == "data":
            return {"data": shown}
        # NocoDB's own formula, which says false on the last page where the offset is no multiple of the size.
        is_last = offset / size + 1 >= math.ceil(len(rows) / size)
        info = {"totalRows": len(rows), "pageSize": size, "isFirstPage": offset == 0, "isLastPage": is_last}
        return {"list": shown, **({"pageInfo": info} if self.tells_last_page else {})}
