# SPDX-License-Identifier: MIT
"""The pool's slot words and its line (checkout.c and wait_queue.c of src/pool), written out for the explorer.

Atomic operation by atomic operation, under the names it has there, and with named places where it can be weakened.
"""
from typing import NamedTuple

from explorer import (AND, CAS, CHOOSE, FENCE, LOAD, LOCK, NOTE, OR, PARK, SLEEP, STORE, TIMED_OUT, UNLOCK, WAKE,
                      Violation, replaced)

# A slot's word: its state, two flags, and the turn.
VACANT, IDLE, EMPTY, LEASED, HAS_WAITERS, OVER_CAPACITY, GENERATION = 0, 1, 2, 3, 4, 8, 16
FLAGS = HAS_WAITERS | OVER_CAPACITY
ASLEEP, GRANTED, NUDGED, TOLD_CLOSED = range(4)  # a waiter's signal
CLOSED, RETRY, REFUSED = "closed", "retry", "refused"


def state_of(word):
    return word & 3


def token_of(word):
    return word & ~FLAGS


def taken(word):
    return word - IDLE + LEASED + GENERATION


class Pool(NamedTuple):
    slots: int
    kept: int
    room: int = 0  # so many connections the peer takes at once; 0: any number
    grace: bool = False  # handoff_after_us > 0: whether the first in line is old enough is left to chance
    weak: str = ""

    # Memory: the slots' words, then these.
    @property
    def high_water(self):
        return self.slots

    @property
    def flag(self):
        """The one flag for all slots of some weakened variants."""
        return self.slots + 1

    def signal(self, t):
        return self.slots + 2 + t


class Notes(NamedTuple):
    """What the lock guards; and, for the check alone, who holds a slot and which slots have a connection."""
    line: tuple
    grants: tuple
    counted: int
    high_water: int
    holders: tuple
    connected: tuple
    has_waiters: bool = False
    is_over: bool = False
    is_closing: bool = False
    is_orphaned: bool = False
    is_freed: bool = False
    limit: int = 0  # so many the peer takes, as its refusals told. The pause after which one more is tried never ends
                    # here: whoever waits must be served without it, as long as one connection is left to wait for.


def note(**values):
    return NOTE, lambda n: (n._replace(**values), None)


def read(name):
    return NOTE, lambda n: (n, getattr(n, name))


def enqueue(t):
    return NOTE, lambda n: (n._replace(line=n.line + (t,)), None)


def enqueue_first(t):
    return NOTE, lambda n: (n._replace(line=(t,) + n.line), None)


def unlink(t):
    return NOTE, lambda n: (n._replace(line=tuple(other for other in n.line if other != t)), None)


def first_in_line():
    return NOTE, lambda n: (n, n.line[0] if n.line else None)


def grant(t, what):
    return NOTE, lambda n: (n._replace(grants=replaced(n.grants, t, what)), None)


def granted(t):
    return NOTE, lambda n: (n._replace(grants=replaced(n.grants, t, None)), n.grants[t])


def hold(t, slot):
    """Thread t has the slot from now on; says whether a connection came with it."""
    def take(n):
        if n.holders[slot] is not None:
            raise Violation(f"two holders: slot {slot} of thread {n.holders[slot]} was lent to thread {t}")
        return n._replace(holders=replaced(n.holders, slot, t)), n.connected[slot]
    return NOTE, take


def let_go(slot):
    return NOTE, lambda n: (n._replace(holders=replaced(n.holders, slot, None)), None)


def try_to_connect(pool, slot):
    """Open a connection unless the peer has as many as it takes; says whether it did."""
    def attempt(n):
        if pool.room and sum(n.connected) >= pool.room:
            return n, False
        return n._replace(connected=replaced(n.connected, slot, True)), True
    return NOTE, attempt


def connect(slot, is_open):
    return NOTE, lambda n: (n._replace(connected=replaced(n.connected, slot, is_open)), None)


# --- the algorithm: lock-free ----------------------------------------------------------------------------------------

def scan(pool):
    high_water = yield LOAD, pool.high_water
    for i in range(high_water):
        word = yield LOAD, i
        if word & HAS_WAITERS:
            return None
        while state_of(word) == IDLE and not word & HAS_WAITERS:
            seen = yield CAS, i, word, taken(word)
            if seen == word:
                return i, token_of(taken(word))
            word = seen
    return None


def acquire(pool, me, hint, may_time_out):
    """(slot, token), CLOSED or TIMED_OUT."""
    if hint is not None:
        seen = yield CAS, hint[0], hint[1], taken(hint[1])
        if seen == hint[1]:
            return hint[0], taken(hint[1])
    found = yield from scan(pool)
    if found is None:
        found = yield from line_take(pool, me, may_time_out)
    return found


def put(pool, slot, token):
    """Give back an open connection; False when the token is not that of the present loan."""
    rests = token - LEASED + IDLE
    if pool.weak == "a release stores without comparing":
        yield STORE, slot, rests
        return True
    if "flag" in pool.weak:
        return (yield from put_by_flag(pool, slot, token, rests))
    seen = yield CAS, slot, token, rests
    if seen == token:
        return True
    claimed = yield from claim(pool, slot, token)
    if claimed is None:
        return False
    return (yield from line_free(pool, slot, claimed, IDLE))


def claim(pool, slot, token):
    """The right to end a loan, given once: the new token, or None. Copies of the lease compare unequal from here on."""
    word = yield LOAD, slot
    while token_of(word) == token:
        if pool.weak == "a return does not claim its loan":
            return token
        seen = yield CAS, slot, word, word + GENERATION
        if seen == word:
            return token + GENERATION
        word = seen
    return None


def put_by_flag(pool, slot, token, rests):
    """The weakened ways: free the slot, and look at a flag of the whole pool before or after."""
    if "before" in pool.weak:
        has_waiters = yield LOAD, pool.flag
        if has_waiters:
            return (yield from line_free(pool, slot, token, IDLE))
        yield STORE, slot, rests
        return True
    yield STORE, slot, rests
    if "with fences" in pool.weak:
        yield (FENCE,)
    has_waiters = yield LOAD, pool.flag
    if has_waiters:
        yield (LOCK,)
        first = yield first_in_line()
        seen = yield CAS, slot, rests, token
        if first is not None and seen == rests:
            yield from hand_over(pool, slot, first)
        elif seen == rests:
            yield STORE, slot, rests
        yield (UNLOCK,)
        if first is not None and seen == rests:
            yield WAKE, first
    return True


# --- the algorithm: under the lock -----------------------------------------------------------------------------------

def set_flag(mark):
    high_water = yield read("high_water")
    for i in range(high_water):
        yield OR, i, mark


def clear_flag(mark):
    high_water = yield read("high_water")
    for i in range(high_water):
        yield AND, i, ~mark


def move(pool, slot, state):
    """Change the state of a slot that nobody can take lock-free; returns its token."""
    old = yield LOAD, slot
    has_waiters = yield read("has_waiters")
    is_over = yield read("is_over")
    counted = yield read("counted")
    new = (old & ~(3 | FLAGS) | state | HAS_WAITERS * has_waiters | OVER_CAPACITY * is_over) + (GENERATION if state == LEASED else 0)
    counted += (state != VACANT) - (state_of(old) != VACANT)
    yield note(counted=counted)
    yield STORE, slot, new
    if (counted > pool.kept) != is_over:
        yield note(is_over=not is_over)
        yield from (clear_flag(OVER_CAPACITY) if is_over else set_flag(OVER_CAPACITY))
    return token_of(new)


def count(high_water, *states):
    counted = 0
    for i in range(high_water):
        word = yield LOAD, i
        counted += state_of(word) in states
    return counted


def may_open_beside(pool, taken):
    """Whether the peer would have another connection beside so many that are open, or about to be."""
    limit = yield read("limit")
    return limit == 0 or taken < limit and pool.weak != "what ended is not replaced"


def take_free(pool):
    """An idle slot, else an empty one, else a vacant one, else one never used, else None."""
    high_water = yield read("high_water")
    empty = vacant = None
    leased = 0
    for i in range(high_water):
        word = yield LOAD, i
        while state_of(word) == IDLE:
            seen = yield CAS, i, word, taken(word)
            if seen == word:
                return i, token_of(taken(word))
            word = seen
        if state_of(word) == EMPTY and empty is None:
            empty = i
        if state_of(word) == VACANT and vacant is None:
            vacant = i
        leased += state_of(word) == LEASED
    may_open = yield from may_open_beside(pool, leased)
    if not may_open:
        return None
    found = vacant if empty is None else empty
    if found is None and high_water < pool.slots:
        found = high_water
        yield note(high_water=high_water + 1)
        yield STORE, pool.high_water, high_water + 1
    if found is None:
        return None
    token = yield from move(pool, found, LEASED)
    return found, token


def want_all(pool):
    """Mark every word for the first in line; a slot that turns out idle is kept instead."""
    if "flag" in pool.weak:
        yield STORE, pool.flag, 1
        if "with fences" in pool.weak:
            yield (FENCE,)
        found = yield from take_free(pool)
        if found is not None:
            yield STORE, pool.flag, 0
        return found
    high_water = yield read("high_water")
    for i in range(high_water):
        old = yield OR, i, HAS_WAITERS
        if state_of(old) == IDLE:
            token = yield from move(pool, i, LEASED)
            yield from clear_flag(HAS_WAITERS)
            return i, token
    yield note(has_waiters=True)
    return None


def unwant(pool):
    first = yield first_in_line()
    has_waiters = yield read("has_waiters")
    is_closing = yield read("is_closing")
    if first is None and "flag" in pool.weak:
        yield STORE, pool.flag, 0
    elif first is None and has_waiters and not is_closing:
        yield note(has_waiters=False)
        yield from clear_flag(HAS_WAITERS)


def hand_over(pool, slot, to):
    """A slot that is leased to the caller goes to the first in line, and is leased throughout."""
    yield unlink(to)
    yield from unwant(pool)
    token = yield from move(pool, slot, LEASED)
    yield grant(to, (slot, token))
    yield STORE, pool.signal(to), GRANTED


def nudge(pool):
    """Let the first in line look for itself if there is something to find; says whom to wake."""
    first = yield first_in_line()
    is_closing = yield read("is_closing")
    high_water = yield read("high_water")
    if first is None or is_closing:
        return None
    signal = yield LOAD, pool.signal(first)
    if signal == NUDGED:
        return None
    idle = yield from count(high_water, IDLE)
    closed = yield from count(high_water, EMPTY, VACANT)
    may_open = False
    if not idle and closed:
        may_open = yield from may_open_beside(pool, high_water - closed)
    if idle or may_open:
        yield STORE, pool.signal(first), NUDGED
        return first
    return None


def is_surplus(pool, is_strict):
    """Whether a slot about to rest must not: the pool closes, or enough rest already."""
    first = yield first_in_line()
    is_closing = yield read("is_closing")
    is_over = yield read("is_over")
    high_water = yield read("high_water")
    goes_to_waiter = first is not None and (is_strict or pool.weak == "overflow rests while somebody waits")
    if is_closing or not is_over or goes_to_waiter:
        return is_closing
    resting = 0
    for i in range(high_water):
        word = yield LOAD, i
        resting += state_of(word) in (IDLE, EMPTY)
    return resting >= pool.kept


def free(pool, slot, fate, is_strict):
    """To the first in line, or to whoever comes; says whom to wake."""
    first = yield first_in_line()
    if fate == VACANT and pool.weak == "a failed open hands nothing on":
        yield from move(pool, slot, fate)
        return None
    is_of_use = fate == IDLE
    if first is not None and is_strict and not is_of_use:
        high_water = yield read("high_water")
        taken = yield from count(high_water, IDLE, LEASED)
        is_of_use = yield from may_open_beside(pool, taken - 1)
    if first is not None and is_strict and is_of_use:
        yield from hand_over(pool, slot, first)
        return first
    yield from move(pool, slot, fate)
    return (yield from nudge(pool))


def note_return(pool):
    """Whether that was the last thing out of a pool that its owner gave up."""
    is_orphaned = yield read("is_orphaned")
    high_water = yield read("high_water")
    leased = 0
    if is_orphaned:
        for i in range(high_water):
            word = yield LOAD, i
            leased += state_of(word) == LEASED
    return is_orphaned and leased == 0


def line_free(pool, slot, token, fate):
    """The one routine that frees a slot. False when the token is not that of the present loan."""
    yield (LOCK,)
    word = yield LOAD, slot
    if token_of(word) != token:
        yield (UNLOCK,)
        return False
    is_strict = True
    if pool.grace:
        is_strict = yield CHOOSE, (True, False)
    surplus = False
    if fate != VACANT:
        surplus = yield from is_surplus(pool, is_strict)
    if surplus:
        yield (UNLOCK,)
        yield connect(slot, False)
        yield (LOCK,)
        fate = VACANT
        if pool.grace:
            is_strict = yield CHOOSE, (True, False)
    to_wake = yield from free(pool, slot, fate, is_strict)
    is_last = yield from note_return(pool)
    yield (UNLOCK,)
    if to_wake is not None:
        yield WAKE, to_wake
    if is_last:
        yield note(is_freed=True)
    return True


def retake(pool, me, slot, token, origin, may_time_out):
    """The peer refused the connection of this slot: back to the line, unless there is nothing to wait for. Free it in
    any case."""
    yield (LOCK,)
    is_closing = yield read("is_closing")
    high_water = yield read("high_water")
    connected = yield read("connected")
    taken = yield from count(high_water, IDLE, LEASED)
    has_others = taken > 1
    yield note(limit=max(1, sum(connected)) if has_others else 0)
    yield let_go(slot)
    if is_closing or not has_others:
        yield (UNLOCK,)
        yield from line_free(pool, slot, token, origin)
        return CLOSED if is_closing else REFUSED
    yield from move(pool, slot, origin)
    found = yield from take_free(pool)
    first = yield first_in_line()
    if found is None and first is None:
        found = yield from want_all(pool)
    if found is None:
        yield STORE, pool.signal(me), ASLEEP
        yield enqueue_first(me)
    yield (UNLOCK,)
    if found is None:
        found = yield from sleep_in_queue(pool, me, may_time_out)
    return found


def note_opened(pool):
    """A connection more, where a limit is known."""
    limit = yield read("limit")
    if limit == 0:
        return
    yield (LOCK,)
    limit = yield read("limit")
    connected = yield read("connected")
    if limit and sum(connected) > limit:
        yield note(limit=sum(connected) % pool.slots)
    to_wake = yield from nudge(pool)
    yield (UNLOCK,)
    if to_wake is not None:
        yield WAKE, to_wake


def line_take(pool, me, may_time_out):
    yield STORE, pool.signal(me), ASLEEP
    yield (LOCK,)
    is_closing = yield read("is_closing")
    first = yield first_in_line()
    found = CLOSED if is_closing else None
    if not is_closing and (first is None or pool.grace):
        found = yield from take_free(pool)
    if found is None and first is None:
        found = yield from want_all(pool)
    if found is None:
        yield enqueue(me)
    yield (UNLOCK,)
    if found is None:
        found = yield from sleep_in_queue(pool, me, may_time_out)
    return found


def sleep_in_queue(pool, me, may_time_out):
    while True:
        ended = None
        slept = yield PARK, pool.signal(me), me
        if slept:
            ended = yield SLEEP, me, may_time_out
        signal = yield LOAD, pool.signal(me)
        if signal == GRANTED:
            return (yield granted(me))
        if signal == TOLD_CLOSED:
            return CLOSED
        is_late = ended == TIMED_OUT
        if signal == NUDGED and may_time_out and not is_late:
            is_late = yield CHOOSE, (True, False)
        yield (LOCK,)
        found, to_wake = yield from look_again(pool, me, is_late)
        yield (UNLOCK,)
        if to_wake is not None:
            yield WAKE, to_wake
        if found != RETRY:
            return found


def serve(pool, first):
    """Something may be had, and others are before the one who noticed."""
    found = yield from take_free(pool)
    if found is None:
        return None
    yield from hand_over(pool, found[0], first)
    return first


def look_again(pool, me, is_late):
    """After a wake-up or at the deadline. A grant that raced with the deadline is taken."""
    signal = yield LOAD, pool.signal(me)
    if signal == GRANTED:
        found = yield granted(me)
        return (TIMED_OUT if pool.weak == "a timeout drops the grant that raced with it" else found), None
    if signal == TOLD_CLOSED:
        return CLOSED, None
    first = yield first_in_line()
    found = None
    served = None
    if signal == NUDGED and first == me:
        found = yield from take_free(pool)
    elif signal == NUDGED and not is_late:
        served = yield from serve(pool, first)
    yield STORE, pool.signal(me), ASLEEP
    if found is None and not is_late:
        return RETRY, served
    yield unlink(me)
    if pool.weak != "the last one out leaves the marks":
        yield from unwant(pool)
    to_wake = yield from nudge(pool)
    return (TIMED_OUT if found is None else found), to_wake


def close(pool):
    yield (LOCK,)
    yield note(is_closing=True, has_waiters=True)
    yield from set_flag(HAS_WAITERS)
    high_water = yield read("high_water")
    for i in range(high_water):
        word = yield LOAD, i
        if state_of(word) == EMPTY:
            yield from move(pool, i, VACANT)
    line = yield read("line")
    yield note(line=())
    for t in line:
        yield STORE, pool.signal(t), TOLD_CLOSED
        yield WAKE, t
    yield (UNLOCK,)
    while True:
        found = yield from line_take_idle(pool)
        if found is None:
            break
        yield connect(found[0], False)
        yield from line_free(pool, found[0], found[1], VACANT)


def line_take_idle(pool):
    yield (LOCK,)
    found = None
    high_water = yield read("high_water")
    for i in range(high_water):
        word = yield LOAD, i
        if found is None and state_of(word) == IDLE:
            seen = yield CAS, i, word, taken(word)
            if seen == word:
                found = i, token_of(taken(word))
    yield (UNLOCK,)
    return found
