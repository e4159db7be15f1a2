# SPDX-License-Identifier: MIT
"""What a program shows on a terminal."""
import os
import pty
import threading


def shown_on_a_terminal(run):
    """Call run(terminal), with the descriptor of one; returns what that returned, and all that was shown until it and its processes had
    closed the terminal. What is written comes in pieces, some after the writer has ended."""
    ours, theirs = pty.openpty()
    pieces = []

    def read():
        try:
            while piece := os.read(ours, 65536):
                pieces.append(piece)
        except OSError:
            pass  # how a terminal ends in Linux

    reader = threading.Thread(target=read)
    reader.start()
    try:
        done = run(theirs)
    finally:
        os.close(theirs)
    reader.join(60)
    assert not reader.is_alive(), "somebody still has the terminal open"
    os.close(ours)
    return done, b"".join(pieces).decode()
