# SPDX-License-Identifier: Apache-2.0
"""The sender's half of ZMTP 3.0 (RFC 23) over a plain socket, to send what a ZeroMQ library never would."""
import socket
import struct

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
MORE, LONG, COMMAND = 1, 2, 4


def frame(body, flags=0):
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body


def connect(endpoint, timeout=20):
    """A socket to an ipc endpoint, before the handshake."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(endpoint.removeprefix("ipc://"))             # waits for its turn where many connect
    connection.settimeout(timeout)
    return connection


class Peer:
    """A DEALER that has shaken hands."""

    def __init__(self, endpoint, timeout=20):
        self.socket = connect(endpoint, timeout)
        self.socket.sendall(GREETING)
        self.take(64)
        ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
        self.socket.sendall(frame(ready, COMMAND))
        self.take_frame()

    def take(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("closed by the unit")
            data += piece
        return data

    def take_frame(self):
        flags, size = self.take(2)
        if flags & LONG:
            size = struct.unpack(">Q", bytes([size]) + self.take(7))[0]
        return self.take(size)

    def send(self, *frames, more=False):
        """One message; with `more` it does not end."""
        self.socket.sendall(b"".join(frame(body, MORE if more or i + 1 < len(frames) else 0) for i, body in enumerate(frames)))

    def receive(self):
        frames = []
        while True:
            flags, size = self.take(2)
            if flags & LONG:
                size = struct.unpack(">Q", bytes([size]) + self.take(7))[0]
            frames.append(self.take(size))
            if not flags & MORE:
                return frames

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
