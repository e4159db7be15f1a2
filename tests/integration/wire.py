# SPDX-License-Identifier: MIT
"""A connection to a server, on which tests write what they like and read whole responses."""
import socket


class Wire:
    def __init__(self, port, timeout=20, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def _fill(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError(f"closed after {self.buffer[:200]!r}")
        self.buffer += piece

    def head(self):
        """The status and the headers, by their names in lower case."""
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        return int(lines[0].split()[1]), headers

    def response(self, has_body=True):
        """Status, headers and body; one that HEAD asked for has no body, whatever its headers say."""
        status, headers = self.head()
        size = int(headers.get("content-length", 0)) if has_body else 0
        while len(self.buffer) < size:
            self._fill()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return status, headers, body

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
