#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the server tells of its pools: who holds a connection and for what, the last minute, the last ten; and what moderators do about it.

Argument: the weir command.
"""
import os
import re
import sqlite3
import sys
import threading
import time

import tap
from backend import Backend, moderator, user, wait_for

PROGRAM = os.path.abspath(sys.argv[1])
SMALL = "sqlite:///s.db?pool_size=1&max_overflow=0&pool_timeout=0.3"


class Locked:
    """A backend whose only connection for suggestions is lent: its statement waits for a lock that the test holds."""

    def __init__(self, *flags, url=SMALL, send=lambda backend: backend.post("/api/v1/suggestions/literature", {"title": "confidential-4711"})):
        self.flags, self.url, self.send = flags, url, send

    def __enter__(self):
        self.backend = Backend(PROGRAM, *self.flags, environment={"SUGGESTIONS_SQL_CONN_STRING": self.url})
        self.backend.post("/api/v1/suggestions/literature", {"title": "first"})
        self.lock = sqlite3.connect(self.backend.directory / "s.db", isolation_level=None, timeout=10)
        self.lock.execute("BEGIN IMMEDIATE")
        self.thread = threading.Thread(target=self.send, args=[self.backend], daemon=True)
        self.thread.start()

        def statement_runs():
            holders = self.backend.pools()["suggestions"]["holders"]
            return holders and holders[0].get("statement", "").startswith(("INSERT", "UPDATE", "SELECT payload"))
        wait_for(statement_runs, what="a holder whose statement waits")
        return self

    def holder(self):
        return self.backend.pools()["suggestions"]["holders"][0]

    def __exit__(self, *unused):
        self.lock.execute("ROLLBACK")
        self.thread.join(20)
        self.lock.close()
        self.backend.close()


# ---- Holders


def test_a_holder_tells_its_request_its_statement_without_values_and_its_trace():
    with Locked() as locked:
        holder = locked.holder()
        assert holder["route"] == "POST /api/v1/suggestions/{kind}", holder
        assert re.match(r"INSERT INTO suggestions_literature \(", holder["statement"]) and ":payload" in holder["statement"], holder
        assert "confidential" not in str(locked.backend.pools()), locked.backend.pools()
        assert re.fullmatch(r"[0-9a-f]{32}", holder["trace_id"]), holder
        locked.lock.execute("ROLLBACK")
        locked.thread.join(20)
        spans = wait_for(lambda: [span for span in locked.backend.get("/api/v1/traces").json["spans"]
                                  if span["trace_id"] == holder["trace_id"] and span["kind"] == "server"], what="the trace")
        assert spans[0]["name"] == holder["route"], spans
        locked.lock.execute("BEGIN")


def test_a_moderators_decision_shows_another_request_and_statement():
    decide = lambda backend: backend.post("/api/v1/suggestions/literature/1/status", {"status": "approved", "note": "note-4711"}, moderator())
    with Locked(send=decide) as locked:
        holder = locked.holder()
        assert holder["route"] == "POST /api/v1/suggestions/{kind}/{id}/status", holder
        assert "suggestions_literature" in holder["statement"] and "4711" not in holder["statement"] and "'" not in holder["statement"], holder


def test_without_recorded_traces_a_holder_names_none():
    with Locked("--otel-traces-sampler-arg", "0") as locked:
        holder = locked.holder()
        assert "trace_id" not in holder and holder["route"] == "POST /api/v1/suggestions/{kind}", holder


def test_who_holds_nothing_any_more_is_not_told():
    with Backend(PROGRAM) as backend:
        assert backend.get("/api/v1/tables/Jurisdictions/CHE").status == 200
        for holder in backend.pools()["main"]["holders"]:  # the health check's
            assert holder.get("route") is None, holder


# ---- The last minute, and the last ten


def test_waits_of_those_who_gave_up_are_in_the_wait_figures():
    with Locked() as locked:
        for _ in range(3):
            assert locked.backend.post("/api/v1/suggestions/literature", {}).status == 503
        pool = locked.backend.pools()["suggestions"]
        assert pool["counters"]["timeouts"] >= 3 and pool["times"]["wait"]["max_ms"] >= 300, pool["times"]
        assert pool["times"]["wait"]["count"] >= 3 and pool["times"]["wait"]["p50_ms"] >= 250, pool["times"]
        assert pool["recent"]["timeouts"] >= 3 and pool["recent"]["waits"] >= 3 and 0 <= pool["recent"]["seconds"] <= 60, pool["recent"]


def test_a_pool_tells_where_its_database_is_and_no_password():
    environment = {"SQL_CONN_STRING": "postgresql://ada:s3cret@127.0.0.1:9/orders?pool_size=2", "SUGGESTIONS_SQL_CONN_STRING": "sqlite:///s.db"}
    with Backend(PROGRAM, environment=environment, wait=False) as backend:
        answer = backend.get("/api/v1/pools")
        pools = {pool["name"]: pool for pool in answer.json["pools"]}
        assert pools["main"]["database"] == {"host": "127.0.0.1:9", "name": "orders"}, pools["main"]["database"]
        assert pools["suggestions"]["database"] == {"host": "", "name": "s.db"}
        assert b"s3cret" not in answer.body and b"ada" not in answer.body


def test_the_server_keeps_what_was_before_anybody_looked():
    with Backend(PROGRAM) as backend:
        assert backend.get("/api/v1/history", {}).status == 401
        for _ in range(5):
            assert backend.get("/api/v1/tables/Jurisdictions/CHE").status == 200

        def history():
            found = backend.get("/api/v1/history").json
            return found if len(found["at"]) >= 4 and sum(found["requests"]) >= 5 else None
        found = wait_for(history, what="four moments")
        assert [pool["name"] for pool in found["pools"]] == ["main", "suggestions"]
        columns = [found["at"], found["requests"], found["failed"], found["p99_us"], *(pool[name] for pool in found["pools"] for name in ("used", "idle", "waiters"))]
        assert len({len(column) for column in columns}) == 1, [len(column) for column in columns]
        steps = [later - earlier for earlier, later in zip(found["at"], found["at"][1:])]
        assert all(step >= 800 for step in steps), steps
        assert abs(found["at"][-1] / 1000 - time.time()) < 10 and sum(found["failed"]) == 0 and max(found["p99_us"]) > 0


def test_failed_answers_are_in_the_history_and_probes_are_not():
    with Locked() as locked:
        before = sum(locked.backend.get("/api/v1/history").json["failed"])
        for _ in range(2):
            assert locked.backend.post("/api/v1/suggestions/literature", {}).status == 503
            locked.backend.get("/readyz", {})
            locked.backend.get("/healthz", {})
        wait_for(lambda: sum(locked.backend.get("/api/v1/history").json["failed"]) == before + 2, what="two failures")


# ---- What moderators do


def test_evicting_replaces_every_connection_and_trimming_closes_the_idle_ones():
    with Backend(PROGRAM) as backend:
        assert backend.get("/api/v1/tables/Jurisdictions/CHE").status == 200
        first = backend.get("/api/v1/pools/main/connections").json["connections"][-1]["id"]
        answer = backend.post("/api/v1/pools/main/evict", None, moderator())
        assert answer.status == 200 and answer.json["name"] == "main" and answer.json["status"] == "evicted", answer.body
        assert backend.get("/api/v1/tables/Jurisdictions/CHE").status == 200
        wait_for(lambda: backend.pools()["main"]["counters"]["closed_by"]["evicted"] >= 1, what="an evicted connection")
        assert backend.get("/api/v1/pools/main/connections").json["connections"][-1]["id"] > first
        backend.wait_log(r'pool "main": evicted by mona')
        before = backend.pools()["main"]["counters"]["closes"]
        answer = backend.post("/api/v1/pools/main/trim?idle_ms=0", None, moderator())
        assert answer.status == 200 and answer.json["status"] == "trimmed", answer.body
        assert backend.pools()["main"]["counters"]["closes"] > before
        before = backend.pools()["main"]["counters"]["closes"]
        assert backend.post("/api/v1/pools/main/trim?idle_ms=86400000", None, moderator()).status == 200
        assert backend.pools()["main"]["counters"]["closes"] == before


def test_only_moderators_do_it_and_only_to_pools_that_there_are():
    with Backend(PROGRAM) as backend:
        for what in ("evict", "trim"):
            assert backend.post(f"/api/v1/pools/main/{what}", None, {}).status == 401
            assert backend.post(f"/api/v1/pools/main/{what}", None, user()).status == 403
            assert backend.post(f"/api/v1/pools/none/{what}", None, moderator()).status == 404
        assert backend.post("/api/v1/pools/http/evict", None, moderator()).json == {"name": "http", "status": "evicted", "connections": 0}
        assert backend.post("/api/v1/pools/main/trim?idle_ms=-1", None, moderator()).status == 422
        assert backend.pools()["main"]["counters"]["closed_by"]["evicted"] == 0


tap.run_module(globals())
