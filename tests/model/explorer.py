# SPDX-License-Identifier: MIT
"""An explicit-state model checker for small concurrent algorithms: every interleaving, one step per atomic operation.

A thread is a generator that yields operations and receives their results:

    LOAD a · STORE a v · FENCE               on words of memory
    CAS a old new · OR a bits · AND a bits   the same, atomic; the result is what stood there before
    LOCK · UNLOCK                            the one mutex
    PARK a t · SLEEP t may_time_out · WAKE t a futex: thread t goes to sleep if word a is 0, and sleeps until woken
    CHOOSE values                            any of them: time or chance decides
    NOTE f                                   f(notes) -> (notes, result)

As on x86 a STORE waits in its thread's buffer, in order, until it is flushed at any later moment; the thread itself sees
it at once, and every read-modify-write, fence and system call drains the buffer first. NOTE reads and changes what only
the owner of the mutex (or of a slot) may touch: it commutes with all that others do and therefore is no step of its own.

Two histories that bring a thread to the same place with the same local variables are one state. A `yield` must thus be
the whole right-hand side of its statement or condition, and iterators must run over distinct values.
"""
from typing import NamedTuple

LOAD, STORE, CAS, OR, AND, FENCE, LOCK, UNLOCK, PARK, SLEEP, WAKE, CHOOSE, NOTE = range(13)
NAMES = "LOAD STORE CAS OR AND FENCE LOCK UNLOCK PARK SLEEP WAKE CHOOSE NOTE".split()
DRAINED = {CAS, OR, AND, FENCE, LOCK, UNLOCK, PARK, WAKE}  # these wait until their thread's buffer is empty
TIMED_OUT = "timed out"


class Violation(Exception):
    """The model broke: how, and then step by step the shortest way there."""


class State(NamedTuple):
    memory: tuple
    buffers: tuple  # of each thread, pairs (address, value), oldest first
    owner: object  # of the mutex
    asleep: tuple  # which threads sleep on their futex
    notes: object
    places: tuple  # of each thread, an index into its Thread


class Thread:
    """The places a generator can be at, found by running it anew with the results that lead there."""

    def __init__(self, program):
        self.program = program  # () -> generator
        self.place_of, self.histories, self.pending, self.onward = {}, [], [], {}
        self.enter(program(), ())

    def enter(self, generator, history, result=None):
        try:
            operation = generator.send(result)
            frames, inner = [], generator
            while inner is not None:
                frame = inner.gi_frame
                frames.append((frame.f_code, frame.f_lasti, tuple(sorted(frame.f_locals.items()))))
                inner = inner.gi_yieldfrom
            key = tuple(frames)
        except StopIteration:
            operation, key = None, None
        if key not in self.place_of:
            self.place_of[key] = len(self.pending)
            self.histories.append(history)
            self.pending.append(operation)
        return self.place_of[key]

    def advance(self, place, result):
        """The place after `result` was received at `place`."""
        step = (place, result)
        if step not in self.onward:
            generator, received = self.program(), None
            for each in self.histories[place]:
                generator.send(received)
                received = each
            generator.send(received)
            self.onward[step] = self.enter(generator, self.histories[place] + (result,), result)
        return self.onward[step]


def replaced(values, index, value):
    return values[:index] + (value,) + values[index + 1:]


class Explorer:
    """All states reachable from the start. inspect(state, pending operations, is_end) raises Violation if one is bad."""

    def __init__(self, memory, notes, programs, inspect):
        self.threads = [Thread(program) for program in programs]
        self.inspect = inspect
        count = len(programs)
        self.start = State(tuple(memory), ((),) * count, None, (False,) * count, notes, (0,) * count)
        for t in range(count):
            self.start = self.through_notes(self.start, t, 0)

    def advance(self, state, t, result):
        """Thread t received `result`: run it on to its next step."""
        return self.through_notes(state, t, self.threads[t].advance(state.places[t], result))

    def through_notes(self, state, t, place):
        thread, notes = self.threads[t], state.notes
        while thread.pending[place] is not None and thread.pending[place][0] == NOTE:
            notes, result = thread.pending[place][1](notes)
            place = thread.advance(place, result)
        return state._replace(notes=notes, places=replaced(state.places, t, place))

    def written(self, state, t, address, value, result):
        return self.advance(state._replace(memory=replaced(state.memory, address, value)), t, result)

    def steps_of(self, state, t):
        """What thread t (or its store buffer) can do next: (is it progress, description, next state)."""
        buffer = state.buffers[t]
        if buffer:
            address, value = buffer[0]
            yield True, (t, "flush", buffer[0]), state._replace(
                memory=replaced(state.memory, address, value), buffers=replaced(state.buffers, t, buffer[1:]))
        operation = self.threads[t].pending[state.places[t]]
        if operation is None or (buffer and operation[0] in DRAINED):
            return
        kind, *a = operation
        said = (t, NAMES[kind], *a)
        if kind == SLEEP:
            if not state.asleep[a[0]]:
                yield True, said, self.advance(state, t, None)
            elif a[1]:
                yield False, (*said, TIMED_OUT), self.advance(
                    state._replace(asleep=replaced(state.asleep, t, False)), t, TIMED_OUT)
        elif kind == CHOOSE:
            for value in a[0]:
                yield True, (*said, value), self.advance(state, t, value)
        elif kind != LOCK or state.owner is None:
            yield True, said, self.execute(state, t, kind, a)

    def execute(self, state, t, kind, a):
        memory = state.memory
        if kind == LOAD:
            own = [value for address, value in state.buffers[t] if address == a[0]]
            return self.advance(state, t, own[-1] if own else memory[a[0]])
        if kind == STORE:
            buffered = state.buffers[t] + ((a[0], a[1]),)
            return self.advance(state._replace(buffers=replaced(state.buffers, t, buffered)), t, None)
        if kind == CAS:
            return self.written(state, t, a[0], a[2] if memory[a[0]] == a[1] else memory[a[0]], memory[a[0]])
        if kind == OR:
            return self.written(state, t, a[0], memory[a[0]] | a[1], memory[a[0]])
        if kind == AND:
            return self.written(state, t, a[0], memory[a[0]] & a[1], memory[a[0]])
        if kind == LOCK:
            return self.advance(state._replace(owner=t), t, None)
        if kind == UNLOCK:
            return self.advance(state._replace(owner=None), t, None)
        if kind == PARK:
            sleeps = memory[a[0]] == 0
            return self.advance(state._replace(asleep=replaced(state.asleep, a[1], sleeps)), t, sleeps)
        if kind == WAKE:
            return self.advance(state._replace(asleep=replaced(state.asleep, a[0], False)), t, None)
        return self.advance(state, t, None)  # FENCE

    def run(self):
        """Visit every state, nearest first; returns how many there are, or raises Violation."""
        reached_by, level = {self.start: None}, [self.start]
        while level:
            following = []
            for state in level:
                try:
                    following += self.visit(state, reached_by)
                except Violation as fault:
                    raise Violation("\n".join([str(fault), *self.trace(state, reached_by)])) from None
            level = following
        return len(reached_by)

    def visit(self, state, reached_by):
        new, progress = [], False
        for t in range(len(self.threads)):
            for is_progress, said, after in self.steps_of(state, t):
                progress |= is_progress
                if after not in reached_by:
                    reached_by[after] = (state, said)
                    new.append(after)
        pending = [thread.pending[place] for thread, place in zip(self.threads, state.places)]
        is_end = all(operation is None for operation in pending)
        if not progress and not is_end:
            raise Violation("lost wake-up: nothing can move any more but a timeout")
        self.inspect(state, pending, is_end and not progress)
        return new

    @staticmethod
    def trace(state, reached_by):
        steps = []
        while reached_by[state] is not None:
            state, said = reached_by[state]
            steps.append(" ".join(map(str, said)))
        return steps[::-1]
