# SPDX-License-Identifier: Apache-2.0
"""What the tests of tcp need: a Kontor that listens there, callers with keys, peers that break the rules, and one thread of a process that is
made to stand still."""
import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import struct
import threading
import time

import msgpack
import zmq
import zmq.auth
from zmq.utils.monitor import recv_monitor_message

from service import Service
from zmtp_peer import GREETING

WAIT_S = 120    # for what must happen; a slow machine needs seconds


def wait_until(condition, what):
    until = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"after {WAIT_S} s: not {what}")
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Caller(Service):
    """With the keys of a file NAME.key_secret."""

    def __init__(self, endpoint, key_file=None, server_key=None):
        self.key_file, self.server_key = key_file, server_key
        super().__init__(endpoint, timeout=WAIT_S)

    def prepare(self):
        if self.key_file:
            self.socket.curve_publickey, self.socket.curve_secretkey = zmq.auth.load_certificate(str(self.key_file))
            self.socket.curve_serverkey = self.server_key.encode()
        self.events = self.socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH |
                                                     zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                                     zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)

    def end_of_handshake(self):
        """(event, value): whether it got in."""
        if not self.events.poll(WAIT_S * 1000):
            raise AssertionError("the handshake neither succeeded nor failed")
        event = recv_monitor_message(self.events)
        return event["event"], event["value"]

    def is_refused(self):
        return self.end_of_handshake() == (zmq.EVENT_HANDSHAKE_FAILED_AUTH, 400)

    def close(self):
        self.socket.disable_monitor()
        self.events.close()
        super().close()


# ---- bytes on the wire (ZeroMQ RFC 23 and its forerunners)

def request_frames(number=0x1122334455667788, method="kontor.status"):
    return [msgpack.packb([1, 1, number, method, 60000, 0, "", "", ""]), msgpack.packb({})]


def zmtp1():
    """An old peer without any security: identity and a request."""
    header, body = request_frames()
    return b"\x01\x00" + bytes([len(header) + 1, 1]) + header + bytes([len(body) + 1, 0]) + body


def zmtp2():
    header, body = request_frames()
    return (b"\xff" + bytes(8) + b"\x7f\x01\x05\x00\x00" + bytes([1, len(header)]) + header + bytes([0, len(body)]) + body)


def zmtp3_null(metadata):
    """A peer that says NULL, with metadata of its own; messages() follow once the other side said READY."""
    ready = b"\x05READY" + b"".join(bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
                                    for name, value in metadata)
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    return greeting + bytes([4, len(ready)]) + ready


def message(frames):
    return b"".join(bytes([1 if i + 1 < len(frames) else 0, len(frame)]) + frame for i, frame in enumerate(frames))


def exchange(connection, *steps):
    """Sends each step (data, what comes back then); the last one's None: until the peer closes. All that came back."""
    with connection:
        connection.settimeout(WAIT_S)
        got = b""
        with contextlib.suppress(ConnectionError):
            for data, until in steps:
                connection.sendall(data)
                while until is None or until not in got:
                    more = connection.recv(65536)
                    if not more:
                        return got
                    got += more
        return got


class Proxy:
    """Between a caller and the unit: keeps what the caller sent, and can send something more."""

    def __init__(self, port):
        self.target, self.sent, self.pairs = port, [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.ended = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self.listener.accept()
                unit = socket.create_connection(("127.0.0.1", self.target))
                self.pairs.append((caller, unit))
                threading.Thread(target=self.carry, args=(caller, unit, self.sent), daemon=True).start()
                threading.Thread(target=self.carry, args=(unit, caller, None), daemon=True).start()

    def carry(self, source, sink, kept):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if kept is not None:
                    kept.append(data)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.ended.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in (self.listener, *sum(self.pairs, ())):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Impostor:
    """Listens by tcp and greets whoever connects without keys; keeps each connection until the caller hangs up, so that what it said is
    what the caller hears of it."""

    def __init__(self):
        self.heard = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.acceptor = threading.Thread(target=self.accept)
        self.acceptor.start()

    def accept(self):
        with contextlib.suppress(OSError):                              # the listener was shut down
            while True:
                connection, _ = self.listener.accept()
                self.heard.append(exchange(connection, (GREETING, None)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join(WAIT_S)
        self.listener.close()


# ---- one thread stands still

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000


class CannotTrace(Exception):
    pass


@contextlib.contextmanager
def frozen_thread(pid, name):
    """The thread of that name does not run a single instruction meanwhile; all others do."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    threads = [int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
               if (task / "comm").read_text().strip() == name]
    assert len(threads) == 1, f"threads called {name}: {threads}"
    thread = threads[0]
    if libc.ptrace(PTRACE_SEIZE, thread, None, None) != 0:
        raise CannotTrace(os.strerror(ctypes.get_errno()))
    try:
        assert libc.ptrace(PTRACE_INTERRUPT, thread, None, None) == 0
        assert os.waitpid(thread, WALL)[0] == thread
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, thread, None, None)


# ---- a Kontor that listens

class Listener:
    """An instance (tests/lib/kontor_instance.py) with a tcp endpoint, users with keys, and approvals as in production."""

    USERS = {"operator": "operator", "viewer": "viewer", "admin": "admin", "peer": "unit"}

    def __init__(self, kontor):
        self.kontor = kontor
        self.conf, self.keys = kontor.folder / "conf", kontor.folder / "keys"
        kontor.control("host-down")
        for name in (*self.USERS, "unit", "stranger", "second"):
            kontor.run("keys", "generate", name, "--out", self.keys)
        self.public = {name: zmq.auth.load_certificate(str(self.keys / f"{name}.key"))[0].decode()
                       for name in (*self.USERS, "unit", "stranger", "second")}
        self.port = free_port()
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        (self.conf / "conf.d/network.conf").write_text(
            f'approvals = "untrusted"\nbind = {{"{self.endpoint}"}}\nkey_file = "{self.keys}/unit.key_secret"\n')
        self.write_users()
        kontor.control("host-up")

    def write_users(self, **keys):
        """operator=[...]: the public keys of that user instead of his own."""
        lines = [f'user "me" {{ uid = {os.getuid()} roles = {{"operator"}} }}',
                 'user "other" { uid = 4242424 roles = {"admin"} }']
        for name, role in self.USERS.items():
            listed = ", ".join(f"'{key}'" for key in keys.get(name, [self.public[name]]))
            lines.append(f'user "{name}" {{ keys = {{{listed}}} roles = {{"{role}"}} }}')
        (self.conf / "users.conf").write_text("\n".join(lines) + "\n")

    @property
    def pid(self):
        return int((self.kontor.folder / "kontord.pid").read_text())

    def log(self):
        return (self.kontor.folder / "log/kontord.log").read_text(errors="replace")

    def reload(self):
        before = self.log().count("configuration read again")
        os.kill(self.pid, signal.SIGHUP)
        wait_until(lambda: self.log().count("configuration read again") > before, "reloaded")

    def caller(self, name, endpoint=None, server="unit"):
        return Caller(endpoint or self.endpoint, self.keys / f"{name}.key_secret", self.public[server])

    def counters(self):
        """By one request over ipc, which counts itself."""
        with Caller(self.kontor.endpoint) as caller:
            return caller.call("kontor.status")["counters"]

    def by_tcp(self, name, *arguments, endpoint=None, server="unit"):
        """(exit code, stdout, stderr) of the command line over tcp."""
        return self.kontor.run(*arguments, "-e", endpoint or self.endpoint, "--server-key", self.public[server],
                               "--key-file", self.keys / f"{name}.key_secret")
