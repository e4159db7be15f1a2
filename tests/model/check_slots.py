#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Model check of the pool's slot words and its line: all interleavings of a few threads on a few slots.

Passes when the algorithm holds in every configuration and every weakened one is caught.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
import tap
from explorer import AND, CAS, LOAD, LOCK, OR, TIMED_OUT, UNLOCK, Explorer, Violation
from slots_model import (ASLEEP, CLOSED, EMPTY, IDLE, LEASED, OVER_CAPACITY, REFUSED, GENERATION, VACANT, HAS_WAITERS, Notes, Pool, acquire,
                         claim, close, connect, hold, let_go, line_free, note, note_opened, put, retake, note_return,
                         state_of, try_to_connect)

# --- the threads that use it -----------------------------------------------------------------------------------------

def user(pool, me, fates):
    """One acquire for each fate: return, reset (returned after some work), discard, fail (the open fails), twice
    (returned twice), timed (gives up at its deadline or not)."""
    hint = None
    for _turn, fate in enumerate(fates):  # the turn tells two equal fates apart
        found = yield from acquire(pool, me, hint, fate == "timed")
        connected = False
        while found not in (CLOSED, TIMED_OUT, REFUSED):
            slot, token = found
            hint = (slot, token - LEASED + IDLE)
            connected = yield hold(me, slot)
            if connected or fate == "fail":
                break
            connected = yield try_to_connect(pool, slot)
            if connected:
                yield from note_opened(pool)
                break
            found = yield from retake(pool, me, slot, token, VACANT, fate == "timed")
        if found in (CLOSED, TIMED_OUT, REFUSED):
            if found == REFUSED:
                hint = None
            continue
        yield let_go(slot)
        if fate == "fail" and not connected:
            done = yield from line_free(pool, slot, token, VACANT)
        elif fate in ("discard", "fail"):
            claimed = yield from claim(pool, slot, token)
            yield connect(slot, False)
            done = yield from line_free(pool, slot, claimed, EMPTY)
        elif fate == "reset":
            claimed = yield from claim(pool, slot, token)
            done = yield from put(pool, slot, claimed)
        else:
            done = yield from put(pool, slot, token)
        if not done:
            raise Violation("misuse: a valid lease was refused")
        if fate == "twice":
            done = yield from put(pool, slot, token)
            if done:
                raise Violation("misuse: a lease was accepted twice")


def holder(pool, me, script):
    """Had a slot from the start, and returns it."""
    done = yield from put(pool, script[1], LEASED + GENERATION)
    if not done:
        raise Violation("misuse: a valid lease was refused")


def closer(pool, me, script):
    """Shuts the pool, and perhaps gives it up: the last one out frees it."""
    yield from close(pool)
    if script == ("give up",):
        yield (LOCK,)
        yield note(is_orphaned=True)
        is_last = yield from note_return(pool)
        yield (UNLOCK,)
        if is_last:
            yield note(is_freed=True)


def duplicate(pool, me, script):
    """Two of these hold copies of one lease, and return them at the same time."""
    yield from put(pool, script[1], LEASED + GENERATION)


# --- what must hold --------------------------------------------------------------------------------------------------

def inspect(pool, is_thorough):
    """Faults that a caller would feel; and when thorough, also broken invariants that might have led to them."""
    def check(state, pending, is_end):
        words, n = state.memory[:pool.slots], state.notes
        if n.is_freed and any(operation is not None and operation[0] in (LOCK, UNLOCK, LOAD, CAS, OR, AND)
                              for operation in pending):
            raise Violation("use after free: the pool is gone and a thread still works on it")
        resting = sum(state_of(word) in (IDLE, EMPTY) for word in words)
        if is_end:
            check_end(words, n)
        if resting > pool.kept and (is_end or is_thorough and not pool.grace):
            raise Violation("bound: more connections rest than the pool keeps")
        if is_thorough and state.owner is None and not any(state.buffers):
            check_unlocked(pool, words, n)
    return check


def check_unlocked(pool, words, n):
    """What holds whenever nobody is inside the lock."""
    if n.counted != sum(state_of(word) != VACANT for word in words):
        raise Violation("count: it is not the number of slots that are not vacant")
    for slot, word in enumerate(words):
        if slot >= n.high_water and word != VACANT:
            raise Violation("high_water: a slot beyond is in use")
        if state_of(word) == IDLE and not n.connected[slot] or state_of(word) in (EMPTY, VACANT) and n.connected[slot]:
            raise Violation("connection: the word does not say what the slot has")
    if "flag" in pool.weak:
        return
    for word in words[:n.high_water]:
        if bool(word & HAS_WAITERS) != (bool(n.line) or n.is_closing):
            raise Violation("marks: HAS_WAITERS does not say whether somebody waits")
        if bool(word & OVER_CAPACITY) != (n.counted > pool.kept):
            raise Violation("marks: OVER_CAPACITY does not say whether more count than are kept")
        if n.line and (state_of(word) == IDLE or state_of(word) != LEASED and not n.limit) and not pool.grace:
            raise Violation("line: a slot is free while somebody waits")
    if n.line and not pool.grace and not any(state_of(word) == LEASED for word in words):
        raise Violation("line: somebody waits, and there is nothing to wait for")


def check_end(words, n):
    if any(state_of(word) == LEASED for word in words):
        raise Violation("lost slot: it is leased and nobody holds it")
    if n.line or any(holder is not None for holder in n.holders):
        raise Violation("left over: a waiter or a holder")
    if n.is_closing and any(n.connected):
        raise Violation("left over: a connection of a closed pool")
    if n.is_orphaned and not n.is_freed:
        raise Violation("left over: the pool itself")


ROLES = {"close": closer, "give up": closer, "hold": holder, "duplicate": duplicate}


def explore(slots, kept, resting, scripts, room=0, grace=False, weak="", is_thorough=True):
    """Check one configuration that starts with `resting` idle connections; returns the number of states."""
    pool = Pool(slots, kept, room, grace, weak)
    held = {script[1] for script in scripts if script[0] in ("hold", "duplicate")}
    counted = resting + len(held)
    mark = OVER_CAPACITY if counted > kept else 0
    words = [LEASED + GENERATION + mark if i in held else IDLE + mark if i < counted else VACANT for i in range(slots)]
    notes = Notes(line=(), grants=(None,) * len(scripts), counted=counted, high_water=counted, holders=(None,) * slots,
                  connected=tuple(i < counted for i in range(slots)), is_over=counted > kept)
    programs = [lambda t=t, script=script: ROLES.get(script[0], user)(pool, t, script)
                for t, script in enumerate(scripts)]
    memory = words + [counted, 0] + [ASLEEP] * len(scripts)
    return Explorer(memory, notes, programs, inspect(pool, is_thorough)).run()


R, S, D, F, W, T = "return", "reset", "discard", "fail", "twice", "timed"
COPIES = [("duplicate", 0), ("duplicate", 0)]
STRICT = [  # slots, pool_size, idle at the start, what each thread does
    (1, 1, 1, [(R, R), (R, R)]),
    (1, 1, 1, [(R,), (S,), (R,)]),
    (1, 1, 1, [(R, R), (R,), (T,)]),
    (1, 1, 1, [(R,), (T,), (T,)]),
    (1, 1, 0, [(F,), (R,), (T,)]),
    (1, 1, 0, [(F, R), (F,), (R,)]),
    (1, 1, 1, [(D,), (R,), (T, R)]),
    (1, 1, 1, [(W,), (R,), (R,)]),
    (1, 1, 0, [*COPIES, (R,), (R,)]),
    (1, 1, 1, [(R,), (T,), ("close",)]),
    (2, 2, 2, [(R, R), (R,), (R,)]),
    (2, 2, 0, [(R,), (D,), (F,)]),
    (2, 2, 0, [(T,), (R,), (F,)]),
    (2, 1, 0, [(R,), (F,), (T,)]),
    (2, 1, 1, [(D,), (R,), (T,)]),
    (2, 1, 0, [*COPIES, (R,), (R,)]),
    (2, 1, 1, [(R,), (W,), ("close",)]),
    (2, 1, 0, [("hold", 0), ("hold", 1), ("give up",)]),
    (2, 2, 0, [("hold", 0), ("hold", 1), ("give up",)]),
    (3, 1, 1, [(R,), (D,), (F,)]),
    (3, 2, 1, [(R, R), (S,), (R,)]),
    (3, 2, 1, [(R,), (R,), ("close",)]),
]
PATIENT = [
    (1, 1, 1, [(R,), (S,), (T,)]),
    (1, 1, 0, [(F,), (R,), (T,)]),
    (1, 1, 1, [(D,), (R,), (T,)]),
    (1, 1, 1, [(R,), (T,), ("close",)]),
    (2, 2, 0, [(R,), (T,), (F,)]),
    (2, 1, 0, [(R,), (F,), (T,)]),
    (2, 1, 0, [("hold", 0), ("hold", 1), (T,)]),
    (3, 1, 0, [("hold", 0), ("hold", 1), ("hold", 2), (R,)]),
]


FULL = [  # the same, and how many connections the peer takes
    (2, 2, 0, [(R,), (R,), (R,)], 1),
    (2, 2, 1, [(R, R), (R,), (T,)], 1),
    (2, 2, 0, [(R,), (D,), (S,)], 1),
    (2, 2, 1, [(D,), (D,), (R,)], 1),
    (2, 2, 0, [(F,), (R,), (D,)], 1),
    (2, 1, 0, [(R,), (R,), (T,)], 1),
    (3, 3, 0, [(R,), (R,), (R,)], 2),
    (3, 3, 1, [(D,), (R,), (R,)], 2),
    (2, 2, 0, [(R,), (R,), ("close",)], 1),
]


def caught(weak, configuration, **options):
    """What the check says of a weakened algorithm."""
    try:
        explore(*configuration, weak=weak, **options)
    except Violation as fault:
        print(f"# {weak}: {str(fault).splitlines()[0]}")
        return str(fault)
    return "nothing"


def test_the_algorithm_holds_in_every_configuration():
    for configuration in STRICT:
        print(f"# {explore(*configuration)} states of {configuration}", flush=True)


def test_it_holds_when_a_young_waiter_may_be_overtaken():
    for configuration in PATIENT:
        print(f"# {explore(*configuration, grace=True)} states of {configuration}", flush=True)


def test_it_holds_when_the_peer_takes_fewer_than_the_pool_may_have():
    for configuration in FULL:
        print(f"# {explore(*configuration)} states of {configuration}", flush=True)
    for configuration in FULL[0], FULL[2]:
        print(f"# {explore(*configuration, grace=True)} states of {configuration}", flush=True)


def test_a_connection_that_ended_under_a_limit_and_is_not_replaced_strands_who_waits():
    assert caught("what ended is not replaced", (2, 2, 0, [(D,), (R,), (R,)], 1),
                  is_thorough=False).startswith("lost wake-up")
    assert caught("what ended is not replaced", (2, 2, 0, [(D,), (R,), (R,)], 1)).startswith("line")


def test_a_release_that_stores_without_comparing_loses_a_wake_up():
    weak, configuration = "a release stores without comparing", (1, 1, 1, [(R,), (R,)])
    assert caught(weak, configuration, is_thorough=False).startswith("lost wake-up")
    assert caught(weak, configuration).startswith("marks")


def test_a_flag_of_the_pool_read_before_the_release_loses_a_wake_up():
    assert caught("a flag read before the store", (1, 1, 1, [(R,), (R,)])).startswith("lost wake-up")


def test_a_flag_of_the_pool_read_after_the_release_loses_a_wake_up_in_the_store_buffer():
    assert caught("a flag read after the store", (1, 1, 1, [(R,), (R,)])).startswith("lost wake-up")


def test_two_fences_would_mend_that_flag_so_it_is_the_store_buffer_that_was_found():
    assert caught("a flag read after the store with fences", (1, 1, 1, [(R,), (R,)])) == "nothing"
    assert caught("a flag read after the store with fences", (1, 1, 1, [(R, R), (R,), (T,)])) == "nothing"


def test_a_timeout_that_drops_the_grant_that_raced_with_it_loses_the_slot():
    weak = "a timeout drops the grant that raced with it"
    assert caught(weak, (1, 1, 1, [(R,), (T,)])).startswith("lost slot")
    assert caught(weak, (1, 1, 1, [(R,), (T, R)])).startswith("lost wake-up")


def test_a_failed_open_that_hands_nothing_on_loses_a_wake_up():
    weak, configuration = "a failed open hands nothing on", (1, 1, 0, [(F,), (R,)])
    assert caught(weak, configuration, is_thorough=False).startswith("lost wake-up")
    assert caught(weak, configuration).startswith("line")


def test_marks_left_by_the_last_one_out_are_found():
    assert caught("the last one out leaves the marks", (1, 1, 1, [(R,), (T,)])).startswith("marks")


def test_copies_of_a_lease_returned_at_once_would_free_the_slot_twice_without_a_claim():
    weak = "a return does not claim its loan"
    assert caught(weak, (1, 1, 0, [*COPIES, (R,), (R,)])) != "nothing"
    assert caught(weak, (2, 1, 0, [*COPIES, (R,), (R,)])) != "nothing"


def test_overflow_that_rests_while_a_young_waiter_could_be_overtaken_breaks_the_bound():
    threads = [("hold", 0), ("hold", 1), ("hold", 2), (R,)]
    assert caught("overflow rests while somebody waits", (3, 1, 0, threads), grace=True).startswith("bound")


if __name__ == "__main__":
    tap.run_module(globals())
