# SPDX-License-Identifier: MIT
"""The description of the API, held against the routes that are registered and against what `weir serve` takes and answers.

Arguments: the weir command, and the program that prints the routes.
"""
import contextlib
import copy
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import urllib.parse

import jsonschema

import hostile
import tap
from backend import Backend, moderator, token, user
from fake_nocodb import TOKEN, FakeNocoDB
from wire import Wire

PROGRAM, PRINT_ROUTES = map(os.path.abspath, sys.argv[1:3])
SOURCES = pathlib.Path(__file__).resolve().parents[2] / "server/api"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
CHECK_FORMATS = jsonschema.FormatChecker(formats=("date", "email"))

backend = None
fake = None
description = None
seen = {}  # (method, path of the description) -> the statuses that were answered and validated


# ---- The description, as a reader sees it


def resolve(part):
    """The part of the description that a $ref stands for."""
    while "$ref" in part:
        found = description
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def operations():
    return [(method, path, operation) for path, item in description["paths"].items() for method, operation in item.items()]


def operation_of(method, path):
    return description["paths"][path][method.lower()]


def parameters_of(operation):
    return [resolve(parameter) for parameter in operation.get("parameters", [])]


def closed(part):
    """The same, in which an object has no members but those described: an answer that grows must be described."""
    if isinstance(part, list):
        return [closed(each) for each in part]
    if not isinstance(part, dict):
        return part
    part = {name: closed(value) for name, value in part.items()}
    if part.get("type") == "object" and "properties" in part and "additionalProperties" not in part:
        part["additionalProperties"] = False
    return part


def validator(schema, is_closed=False):
    whole = {"components": {"schemas": description["components"]["schemas"]}, "allOf": [schema]}
    if is_closed:
        whole = closed(whole)
    return jsonschema.Draft202012Validator(whole, format_checker=CHECK_FORMATS)


def faults(schema, value, is_closed=False):
    return [f"{error.json_path}: {error.message}"[:300] for error in validator(schema, is_closed).iter_errors(value)]


def body_schema(method, path):
    return resolve(operation_of(method, path)["requestBody"])["content"]["application/json"]["schema"]


# ---- Asking


def check_answer(method, path, answer):
    """The answer is one that the description has, in status, type, headers and body."""
    responses = operation_of(method, path)["responses"]
    status = str(answer.status)
    assert status in responses, f"{method} {path} answered {status}, which is not described: {answer.body[:300]}"
    seen.setdefault((method.lower(), path), set()).add(status)
    response = resolve(responses[status])
    for name, header in response.get("headers", {}).items():
        header = resolve(header)
        if not header.get("required", True) and answer.headers[name] is None:
            continue
        assert answer.headers[name] is not None, (method, path, status, name)
        value = int(answer.headers[name]) if header["schema"].get("type") == "integer" else answer.headers[name]
        assert not faults(header["schema"], value), (name, value)
    content = response.get("content", {})
    if not content:
        assert answer.body == b"", answer.body[:100]
        return
    kind, media = next(iter(content.items()))
    assert kind == "*/*" or answer.headers["Content-Type"].split(";")[0] == kind, (path, answer.headers["Content-Type"])
    value = answer.json if kind == "application/json" else answer.body.decode()
    wrong = faults(media["schema"], value, is_closed=True)
    assert not wrong, f"{method} {path} {status}: " + "; ".join(wrong[:5])
    if answer.status >= 400:
        hostile.check_no_internals(answer.body)


def ask(method, path, body=None, headers=None, query="", **segments):
    """Ask at a path of the description and hold the answer against it. `headers` None: a moderator asks."""
    concrete = path
    for name, value in segments.items():
        concrete = concrete.replace("{" + name + "}", urllib.parse.quote(str(value), safe=""))
    assert "{" not in concrete, concrete
    answer = backend.request(method, concrete + query, body, moderator() if headers is None else headers)
    check_answer(method, path, answer)
    return answer


@contextlib.contextmanager
def asking(other):
    """What is asked meanwhile is asked of another server."""
    global backend
    kept, backend = backend, other
    try:
        yield
    finally:
        backend = kept


def asked(method, path, status, *arguments, **more):
    answer = ask(method, path, *arguments, **more)
    assert answer.status == status, (method, path, answer.status, answer.body[:300])
    return answer


# ---- The description in itself


def test_the_description_is_openapi_3_1_and_says_the_version_of_the_program():
    assert re.fullmatch(r"3\.1\.\d+", description["openapi"])
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    assert description["info"]["version"] == version
    assert "@" not in version and description["info"]["license"]["identifier"] == "MIT"
    assert set(description) <= {"openapi", "info", "servers", "security", "tags", "paths", "components"}
    for path, item in description["paths"].items():
        assert path.startswith("/") and set(item) <= set(METHODS), path


def test_every_reference_leads_somewhere_and_every_part_is_used():
    used = set()

    def walk(part):
        if isinstance(part, dict):
            if "$ref" in part:
                resolve(part)
                used.add(part["$ref"])
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(description)
    parts = {f"#/components/{kind}/{name}" for kind in ("schemas", "parameters", "responses", "headers") for name in description["components"][kind]}
    assert used == parts, used ^ parts


def test_every_schema_is_one():
    for name, schema in description["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema.get("description") or schema.get("required") or schema.get("properties"), name
    for method, path, operation in operations():
        for parameter in parameters_of(operation):
            jsonschema.Draft202012Validator.check_schema(parameter["schema"])


def test_every_operation_is_named_once_tagged_and_summed_up():
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in description["tags"]}
    used = {tag for _, _, operation in operations() for tag in operation["tags"]}
    assert used == tags, used ^ tags
    for method, path, operation in operations():
        assert len(operation["tags"]) == 1 and operation["summary"] and operation["responses"], path
        named = sorted(re.findall(r"{(\w+)}", path))
        given = sorted(p["name"] for p in parameters_of(operation) if p["in"] == "path")
        assert named == given, path
        for parameter in parameters_of(operation):
            assert parameter["description"] and (parameter["in"] != "path" or parameter["required"] is True), (path, parameter["name"])


def test_every_example_is_an_instance_of_its_schema():
    count = 0
    for method, path, operation in operations():
        media = [m for response in operation["responses"].values() for m in resolve(response).get("content", {}).values()]
        media += resolve(operation.get("requestBody", {"content": {}}))["content"].values()
        for each in [*media, *parameters_of(operation)]:
            if "example" in each:
                assert not faults(each["schema"], each["example"]), (method, path, faults(each["schema"], each["example"]))
                count += 1
    assert count > 30, count


# ---- The routes


def leads_to(pattern, path):
    """Whether a path of the description is asked for at a route: the same, or an instance of it."""
    ours, theirs = pattern.split("/"), path.split("/")
    return len(ours) == len(theirs) and all(a == b or (a.startswith("{") and not b.startswith("{")) for a, b in zip(ours, theirs))


def test_every_route_is_described_and_nothing_else():
    routes = [tuple(line.split()) for line in subprocess.run([PRINT_ROUTES], capture_output=True, text=True, check=True).stdout.splitlines()]
    assert len(routes) > 15, routes
    described = {(method.upper(), path) for method, path, _ in operations()}
    kinds = description["components"]["parameters"]["kind"]["schema"]["enum"]
    expected = set()
    for method, pattern in routes:
        if pattern == "/api/v1/suggestions/{kind}":  # each kind has fields of its own, so each is described by itself
            expected |= {(method, pattern.replace("{kind}", kind)) for kind in kinds}
        else:
            expected.add((method, pattern))
    assert described == expected, described ^ expected
    for method, path in described:
        assert [p for m, p in routes if m == method and leads_to(p, path)], path


def test_the_kinds_are_those_of_the_server():
    detail = backend.post("/api/v1/suggestions/none", {}).detail
    kinds = re.split(r", | and ", detail.partition("there are ")[2])
    assert kinds == description["components"]["parameters"]["kind"]["schema"]["enum"], kinds


def test_other_methods_are_not_answered_where_none_are_described():
    for path, item in description["paths"].items():
        concrete = re.sub(r"{(\w+)}", lambda match: {"kind": "literature", "name": "main"}.get(match[1], "1"), path)
        allowed = set(backend.request("OPTIONS", concrete).headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"}
        assert allowed == {method.upper() for method in item}, (path, allowed)


def test_what_needs_a_token_is_what_the_description_says():
    for method, path, operation in operations():
        concrete = re.sub(r"{(\w+)}", lambda match: {"kind": "literature", "name": "main", "file": "console.css"}.get(match[1], "1"), path)
        needs = operation.get("security", description["security"]) != []
        answer = backend.request(method.upper(), concrete, {} if "requestBody" in operation else None, {})
        assert (answer.status == 401) == needs, (method, path, answer.status)
        assert ("401" in operation["responses"]) == needs, path
        check_answer(method, path, answer)
        if needs:
            old = {"Authorization": "Bearer " + token(sub="anna", role="moderator", exp=1)}
            asked_again = backend.request(method.upper(), concrete, {} if "requestBody" in operation else None, old)
            assert asked_again.status == 401, path
            check_answer(method, path, asked_again)


def test_only_what_asks_for_a_moderator_refuses_others():
    for method, path, operation in operations():
        if operation.get("security") == [] or path == "/api/v1/events":
            continue
        concrete = path.replace("{kind}", "literature").replace("{id}", "1").replace("{name}", "main").replace("{table}", "Jurisdictions")
        answer = backend.request(method.upper(), concrete, {} if "requestBody" in operation else None, user())
        assert (answer.status == 403) == ("403" in operation["responses"]), (path, answer.status)
        check_answer(method, path, answer)


# ---- Good requests


def test_every_get_answers_what_is_described():
    assert asked("GET", "/api/v1", 200, headers={}).json["version"] == description["info"]["version"]
    for path in ("/healthz", "/readyz", "/metrics", "/", "/docs", "/api/v1/openapi.json"):
        asked("GET", path, 200, headers={})
    asked("GET", "/console/{file}", 200, headers={}, file="docs.js")
    assert {"Jurisdictions"} <= set(asked("GET", "/api/v1/tables", 200).json)
    assert len(asked("GET", "/api/v1/tables/{table}", 200, table="Jurisdictions", query="?limit=3&offset=2").json) == 3
    asked("GET", "/api/v1/tables/{table}/{id}", 200, table="Jurisdictions", id="CHE")
    assert len(asked("GET", "/api/v1/nocodb/{table}", 200, table="many", query="?filter=Id:2&limit=5&page_size=3").json) == 1
    asked("GET", "/api/v1/nocodb/{table}", 200, table="many", query="?paging=keyset&key=Id")
    assert asked("GET", "/api/v1/nocodb/{table}/{id}", 200, table="many", id=1).json["Id"] == 1
    for name in ("main", "suggestions"):
        assert asked("GET", "/api/v1/pools/{name}/connections", 200, name=name).json["connections"]
    answer = asked("GET", "/api/v1/pools", 200).json
    assert answer["http"]["origins"][0]["pool"] is not None and len(answer["pools"]) == 2
    asked("GET", "/api/v1/history", 200)
    spans = asked("GET", "/api/v1/traces", 200, query="?limit=100").json["spans"]
    assert {span["kind"] for span in spans} >= {"server", "client"}


def test_pools_are_evicted_and_trimmed_as_described():
    for name in ("main", "suggestions", "http"):
        assert asked("POST", "/api/v1/pools/{name}/evict", 200, name=name).json["name"] == name
    for name in ("main", "suggestions"):
        assert asked("POST", "/api/v1/pools/{name}/trim", 200, name=name, query="?idle_ms=0").json["connections"] == 0
    asked("POST", "/api/v1/pools/{name}/evict", 404, name="none")
    asked("POST", "/api/v1/pools/{name}/trim", 404, name="http")


def test_what_is_refused_before_a_handler_is_described_for_every_request():
    refused = resolve(description["components"]["responses"]["Refused"])
    for method, path, operation in operations():
        assert operation["responses"].get("default") == {"$ref": "#/components/responses/Refused"}, (method, path)
    named = set(re.findall(r"\b[45]\d\d\b", refused["description"]))
    got = set()
    for method, path, headers in (("GET", "/%zz", {}), ("GET", "/nowhere", {}), ("DELETE", "/api/v1", {}),
                                  ("POST", "/api/v1/suggestions", {"Content-Length": "99999999"}),
                                  ("GET", "/api/v1", {"X": "y" * 20000}), ("GET", "/api/v1", {"Expect": "teapot"})):
        answer = backend.request(method, path, headers=headers)
        got.add(str(answer.status))
        jsonschema.validate(answer.json, {**description["components"]["schemas"]["Error"], "components": description["components"]})
    assert got <= named and len(got) == 6, (got, named)


def statuses_for_every_request():
    return {int(status) for status in re.findall(r"\b[45]\d\d\b", resolve(description["components"]["responses"]["Refused"])["description"])}


def test_whatever_is_no_request_is_answered_as_described():
    login = "".join(f"{name}: {value}\r\n" for name, value in user().items())
    with Backend(PROGRAM, "--body-timeout", "3s") as other:
        found = hostile.check_table(other.host, other.port, "/healthz", "/api/v1/suggestions", login)
    assert {400, 413, 414, 417, 431, 505} <= set(found.values()), found
    wrong = {name: status for name, status in found.items() if status not in {0, *statuses_for_every_request()}}
    assert not wrong, wrong


def test_a_server_that_is_full_answers_as_described():
    with Backend(PROGRAM, "--max-connections", "8") as other, contextlib.ExitStack() as held:
        for _ in range(8):
            client = held.enter_context(Wire(other.port))
            client.send("GET /api/v1 HTTP/1.1\r\nHost: h\r\n\r\n")
            assert client.response()[0] == 200
        with Wire(other.port) as late:
            late.send("GET /api/v1 HTTP/1.1\r\nHost: h\r\n\r\n")
            status, headers, body = late.response()
        assert status == 503 and 503 in statuses_for_every_request(), (status, body)
        refused = description["components"]["responses"]["Refused"]
        assert not faults(refused["headers"]["Retry-After"]["schema"], int(headers["retry-after"])), headers
        assert not faults(refused["content"]["application/json"]["schema"], json.loads(body), is_closed=True), body
        hostile.check_no_internals(body)


def test_a_page_that_the_client_has_is_304():
    for path in ("/", "/docs", "/api/v1/openapi.json", "/console/{file}"):
        whole = ask("GET", path, headers={}, file="docs.css")
        tag = whole.headers["ETag"]
        kept = asked("GET", path, 304, headers={"If-None-Match": tag}, file="docs.css")
        assert kept.body == b"" and kept.headers["Content-Length"] in (None, whole.headers["Content-Length"]), kept.headers


def test_the_stream_sends_the_figures_that_are_described():
    client = http.client.HTTPConnection(backend.host, backend.port, timeout=20)
    client.request("GET", "/api/v1/events", headers=user())
    response = client.getresponse()
    content = operation_of("GET", "/api/v1/events")["responses"]["200"]["content"]
    assert response.status == 200 and response.headers["Content-Type"].split(";")[0] in content
    seen.setdefault(("get", "/api/v1/events"), set()).add("200")
    lines = [response.readline() for _ in range(2)]
    client.close()
    assert lines[0] == b"event: figures\n"
    figures = json.loads(lines[1].removeprefix(b"data: "))
    del figures["at"], figures["server"]
    assert not faults({"$ref": "#/components/schemas/Pools"}, figures, is_closed=True)


def suggest_paths():
    return [path for method, path, _ in operations() if method == "post" and path.count("/") <= 4 and path.startswith("/api/v1/suggestions")]


def example_of(method, path):
    return copy.deepcopy(operation_of(method, path)["requestBody"]["content"]["application/json"]["example"])


def test_every_example_of_a_body_is_taken():
    assert len(suggest_paths()) == 7
    for path in suggest_paths():
        asked("POST", path, 201, example_of("POST", path))
        asked("POST", path, 201, example_of("POST", path), {**user(), "source": "a form"})
    kinds = description["components"]["parameters"]["kind"]["schema"]["enum"]
    for kind in kinds:
        listed = asked("GET", "/api/v1/suggestions/{kind}/pending", 200, kind=kind, query="?limit=5").json
        number = listed[0]["id"]
        for method, path in (("PUT", "/api/v1/suggestions/{kind}/{id}/payload"), ("POST", "/api/v1/suggestions/{kind}/{id}/status")):
            asked(method, path, 200, example_of(method, path), kind=kind, id=number)


# ---- Requests that are right or wrong: the schema and the server agree


def own_members(schema):
    return set(resolve(schema).get("properties", {}))


def all_members(schema):
    return own_members(schema).union(*(all_members(part) for part in resolve(schema).get("allOf", [])))


def variants(names, good):
    """Bodies beside a good one: each of these members left out, and each with values of every kind."""
    yield good
    yield {}
    yield {**good, "further": {"a": [1, None]}, "moderated_by": "mona"}
    values = (None, "", " \t", "x", "ada@example.org", "a@b", "a..b@example.org", "@example.org", "ü@exämple.org", "a b@example.org", "a@example.123",
              "a@-x.org", "x" * 65 + "@example.org", "x" * 64 + "@example.org", "2024-02-29", "2023-02-29", "20240229", "2024-02-29T00:00:00", "0000-01-01",
              "1991", "0", "10000", "x" * 256, "x" * 257, 0, 1, 1991, 10000, 1.5, True, [], ["x"], {}, {"a": 1}, {"moderation_status": "approved"},
              "approved", "rejected", "maybe")
    for name in sorted(names):
        yield {key: value for key, value in good.items() if key != name}
        for value in values:
            yield {**good, name: value}


def agree(method, path, success, members=all_members, **segments):
    schema = body_schema(method, path)
    counts = {True: 0, False: 0}
    for body in variants(members(schema), example_of(method, path)):
        wrong = faults(schema, body)
        answer = ask(method, path, body, **segments)
        assert answer.status in (success, 422), (answer.status, answer.body)
        assert (answer.status == 422) == bool(wrong), f"{method} {path} {body!r}: the server says {answer.status} {answer.body[:200]}, the schema {wrong}"
        counts[not wrong] += 1
    for body in ([], "x", 5, None):
        assert faults(schema, body) and backend.request(method, path.replace("{kind}", "literature").replace("{id}", str(segments.get("id"))),
                                                        repr(body).replace("None", "null").replace("'", '"').encode(), moderator()).status == 422
    assert min(counts.values()) >= 1, (path, counts)


def test_the_schema_and_the_server_agree_on_every_suggestion():
    for path in suggest_paths():  # those that all kinds share are tried with one of them, and with a suggestion of no kind
        agree("POST", path, 201, all_members if path.endswith(("/suggestions", "/literature")) else own_members)


def test_the_schema_and_the_server_agree_on_decisions_and_corrections():
    number = asked("POST", "/api/v1/suggestions/literature", 201, {}).json["id"]
    agree("POST", "/api/v1/suggestions/{kind}/{id}/status", 200, kind="literature", id=number)
    agree("PUT", "/api/v1/suggestions/{kind}/{id}/payload", 200, kind="literature", id=number)


def values_at(schema):
    """Numbers at the ends of a parameter's range and beyond them, and words that are none."""
    yield from ("x", "1.5", "")
    for name, beyond in (("minimum", -1), ("maximum", 1)):
        if name in schema:
            yield from (str(schema[name]), str(schema[name] + beyond))


def test_the_schema_and_the_server_agree_on_every_number_in_a_query():
    count = 0
    for method, path, operation in operations():
        for parameter in parameters_of(operation):
            schema = parameter["schema"]
            if parameter["in"] != "query" or schema.get("type") != "integer":
                continue
            for text in values_at(schema):
                is_number = re.fullmatch(r"-?\d+", text) is not None
                is_right = is_number and not faults(schema, int(text))
                answer = ask(method.upper(), path, query=f"?{parameter['name']}={text}", table="many" if "nocodb" in path else "Jurisdictions", kind="literature",
                             name="main")
                assert (answer.status == 422) != is_right, (path, parameter["name"], text, answer.status, answer.body[:200])
                count += 1
    assert count >= 30, count


def test_the_schema_and_the_server_agree_on_words_in_a_query():
    rows = "/api/v1/nocodb/{table}"
    parameters = {parameter["name"]: parameter["schema"] for parameter in parameters_of(operation_of("GET", rows))}
    for name, texts in (("paging", ("offset", "keyset", "KEYSET", "")), ("filter", ("Name:x", "Name", "", "Id:1"))):
        for text in texts:
            schema, value = parameters[name], [text] if name == "filter" else text
            answer = ask("GET", rows, query=f"?{name}={urllib.parse.quote(text)}", table="many")
            assert (answer.status == 422) == bool(faults(schema, value)), (name, text, answer.status, answer.body)
    for count in (31, 32):
        answer = ask("GET", rows, query="?" + "&".join(["filter=Id:1"] * count), table="many")
        assert (answer.status == 422) == bool(faults(parameters["filter"], ["Id:1"] * count)), (count, answer.status)
    asked("GET", rows, 422, table="many", query="?other=1")
    asked("GET", rows, 422, table="many", query="?key=Id")


COMPARISONS = ("eq", "lt", "le", "gt", "ge")


def query_schemas(method, path):
    return {parameter["name"]: parameter["schema"] for parameter in parameters_of(operation_of(method, path)) if parameter["in"] == "query"}


def held_against(path, schema, value, query, **segments):
    """Ask, and whether the server takes it; what the schema refuses, it must refuse. The schema's own word comes second."""
    answer = ask("GET", path, query=query, table="many", **segments)
    assert answer.status in (200, 422), (query, answer.status, answer.body)
    is_described = not faults(schema, value)
    assert is_described or answer.status == 422, (query, "refused by the schema alone")
    return answer.status == 200, is_described


def test_the_schema_and_the_server_agree_on_comparisons():
    rows = "/api/v1/nocodb/{table}"
    for name in COMPARISONS:
        schema = query_schemas("GET", rows)[name]
        for text, taken in (("Name", False), ("", False), ("Id:1", True), ("Id:2024-01-31", True), ("Id:-1.5", True)):
            assert held_against(rows, schema, [text], f"?{name}={urllib.parse.quote(text)}") == (taken, taken), (name, text)
        for count in (1, 31, 32):
            assert held_against(rows, schema, ["Id:1"] * count, "?" + "&".join([f"{name}=Id:1"] * count)) == (count < 32, count < 32), (name, count)
        # That only a number or a day can be less than another is in the words of the description.
        assert held_against(rows, schema, ["Name:x"], f"?{name}=Name:x") == (name == "eq", True), name


def test_the_schema_and_the_server_agree_on_lists_of_columns():
    rows, row = "/api/v1/nocodb/{table}", "/api/v1/nocodb/{table}/{id}"
    for path, segments, name, most in ((rows, {}, "sort", 8), (rows, {}, "fields", 64), (row, {"id": 1}, "fields", 64)):
        schema = query_schemas("GET", path)[name]
        for text, taken in (("Id", True), ("Id,Name", True), ("Name,Id", True), ("", False), ("Id,", False), (",Id", False),
                            *((("-Id", True), ("-Id,Name", True), ("-", False), ("Id,-", False)) if name == "sort" else ()),
                            (",".join(["Id"] * most), True), (",".join(["Id"] * (most + 1)), False)):
            found = held_against(path, schema, text.split(","), f"?{name}={urllib.parse.quote(text)}", **segments)
            assert found == (taken, taken), (path, name, text, found)
        # Which columns there are is NocoDB's to say.
        assert held_against(path, schema, ["-Id", "None"], f"?{name}=-Id,None", **segments) == (False, True), (path, name)


def test_every_parameter_of_a_query_that_the_server_knows_is_described():
    """Every word that stands in the sources of the routes is tried as one. Of most routes a wrong number tells that it is known."""
    words = sorted({word for source in SOURCES.glob("routes*.c") for word in re.findall(r'"([a-z_]+)"', source.read_text())})
    assert {*COMPARISONS, "limit", "sort"} <= set(words), words

    def errors_of(method, path):
        """What is said of all the words, so many at a time as a query may have."""
        found = {}
        for at in range(0, len(words), 32):
            query = "?" + "&".join(f"{word}=x" for word in words[at:at + 32])
            answer = ask(method.upper(), path, query=query, table="many" if "nocodb" in path else "Jurisdictions", kind="literature", name="main", id="CHE",
                         file="docs.js")
            if answer.status == 422:
                found.update({error["field"]: error["message"] for error in answer.json["errors"]})
        return found

    for method, path, operation in operations():
        if path != "/api/v1/events" and not path.startswith("/api/v1/nocodb") and "requestBody" not in operation:
            assert set(errors_of(method, path)) == set(query_schemas(method, path)), (method, path)
    rows = "/api/v1/nocodb/{table}"
    unknown = {word for word, message in errors_of("GET", rows).items() if "is not a parameter" in message}
    assert set(words) - unknown == set(query_schemas("GET", rows)), (set(words) - unknown) ^ set(query_schemas("GET", rows))


# ---- What goes wrong


def test_what_is_missing_is_404_as_described():
    asked("GET", "/api/v1/tables/{table}", 404, table="none")
    asked("GET", "/api/v1/tables/{table}/{id}", 404, table="Jurisdictions", id="XXX")
    asked("GET", "/api/v1/tables/{table}/{id}", 404, table="none", id="1")
    asked("GET", "/api/v1/pools/{name}/connections", 404, name="none")
    asked("GET", "/console/{file}", 404, headers={}, file="none")
    asked("GET", "/api/v1/suggestions/{kind}/pending", 404, kind="none")
    asked("POST", "/api/v1/suggestions/{kind}/{id}/status", 404, {"status": "approved"}, kind="literature", id=999999)
    asked("PUT", "/api/v1/suggestions/{kind}/{id}/payload", 404, {}, kind="literature", id=999999)
    asked("GET", "/api/v1/nocodb/{table}", 404, table="none")
    asked("GET", "/api/v1/nocodb/{table}/{id}", 404, table="many", id=999999)


def test_bodies_that_are_no_json_or_too_large_are_refused_as_described():
    for method, path, operation in operations():
        if "requestBody" not in operation:
            continue
        asked(method.upper(), path, 400, b"{", kind="literature", id=1)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # refused before the whole body was sent
            asked(method.upper(), path, 413, b" " * ((1 << 20) + 1), kind="literature", id=1)


def test_faults_of_nocodb_are_answered_as_described():
    rows, row = "/api/v1/nocodb/{table}", "/api/v1/nocodb/{table}/{id}"
    for status, ours in ((401, 502), (429, 503)):
        # A pause that ends after the request's own time is told at once, and not waited for.
        fake.override = lambda request, status=status: (status, {"Retry-After": "3600"}, b'{"msg": "no"}')
        asked("GET", rows, ours, table="many")
        asked("GET", row, ours, table="many", id=1)
    fake.override = None


@contextlib.contextmanager
def asking_beside(*flags):
    """What is asked meanwhile is asked of another server, which asks a NocoDB of its own."""
    with FakeNocoDB() as other_fake:
        environment = {"NOCODB_BASE_URL": other_fake.v2, "NOCODB_API_TOKEN": TOKEN}
        with Backend(PROGRAM, *flags, environment=environment) as other, asking(other):
            yield other_fake


def test_a_page_of_nocodb_that_is_too_large_is_answered_as_described():
    large = b'{"Id": 1, "Name": "' + b"x" * (8 << 20) + b'"}'
    with asking_beside() as other_fake:
        other_fake.override = lambda request: (200, {"Content-Type": "application/json"},
                                               large if request.path.endswith("/1") else b'{"list": [' + large + b"]}")
        asked("GET", "/api/v1/nocodb/{table}", 507, table="many")
        asked("GET", "/api/v1/nocodb/{table}/{id}", 507, table="many", id=1)


def test_a_nocodb_that_says_nothing_is_answered_as_described():
    end = threading.Event()
    with asking_beside("--request-timeout", "500ms") as other_fake:
        other_fake.override = lambda request: end.wait(30) and None
        try:
            asked("GET", "/api/v1/nocodb/{table}", 504, table="many")
            asked("GET", "/api/v1/nocodb/{table}/{id}", 504, table="many", id=1)
        finally:
            end.set()


def test_every_operation_was_answered_well_and_every_one_that_can_go_wrong_was_refused_too():
    wanting = []
    for method, path, operation in operations():
        statuses = seen.get((method, path), set())
        if not any(status < "300" for status in statuses):
            wanting.append(f"{method} {path}: no success among {statuses}")
        can_fail = {status for status in operation["responses"] if status in ("404", "422")}
        if can_fail and not can_fail & statuses:
            wanting.append(f"{method} {path}: none of {can_fail} among {statuses}")
    assert not wanting, "\n".join(wanting)


if __name__ == "__main__":
    with FakeNocoDB() as fake, Backend(PROGRAM, "--nocodb-rate-limit", "0", environment={
            "NOCODB_BASE_URL": fake.v2, "NOCODB_API_TOKEN": TOKEN}) as backend:
        fake.tables["many"] = [{"Id": number, "Name": f"row {number}"} for number in range(1, 8)]
        description = backend.get("/api/v1/openapi.json", {}).json
        tap.run_module(globals())
