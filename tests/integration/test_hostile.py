# SPDX-License-Identifier: Apache-2.0
"""What one peer may send, or not read: the unit stays small, says why, and goes on with all others."""
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from scenario import BUILD, Failure, Service
from network_rig import CannotTrace, frozen_thread, wait_until
from probe_unit import ProbeUnit, need_database
from zmtp_peer import MORE, Peer, connect, frame

import msgpack
import zmq
import zmq.auth

MIB = 1 << 20
LIMIT_MIB = 32                      # connection_memory of these tests
CONNECTIONS = 1000
HANDSHAKE_SECONDS = 5
BAD_REQUEST, DENIED, TOO_BIG = -1, -3, -4
SANITIZED = "KONTOR_SANITIZE:STRING=\n" not in (BUILD / "CMakeCache.txt").read_text()
SLACK_MIB = 400                         # what comes in between two looks on a slow machine, and what a sanitizer adds


def request(method, number=1, **arguments):
    return msgpack.packb([1, 1, number, method]), msgpack.packb(arguments)


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))

    def setUp(self):
        self.unit = ProbeUnit(f"connection_memory = {LIMIT_MIB}MiB\n").__enter__()
        self.addCleanup(self.unit.__exit__, None, None, None)
        self.service = Service(self.unit.endpoint)
        self.addCleanup(self.service.close)
        self.service.call("kontor.ping")

    def status(self):
        return self.service.call("kontor.status")

    def await_counter(self, name, least, seconds=60):
        until = time.monotonic() + seconds
        while (value := self.status()["counters"][name]) < least:
            self.assertLess(time.monotonic(), until, f"{name} is {value}\n{self.unit.log()}")
            time.sleep(0.05)
        return value

    def flood(self, size, total=20 * LIMIT_MIB * MIB):
        """Frames of a message that does not end; returns MiB until the unit closed the connection, and the most memory that it had."""
        peer, sent, peak = Peer(self.unit.endpoint), 0, 0
        piece = frame(bytes(size), MORE) * max(1, 65536 // size)
        try:
            while sent < total:
                peer.socket.sendall(piece)
                sent += len(piece)
                peak = max(peak, self.unit.resident_kib() // 1024)
        except OSError:
            return sent // MIB, peak
        finally:
            peer.close()
        self.fail(f"{sent // MIB} MiB of one message were taken; memory: {peak} MiB\n{self.unit.log()}")

    def test_a_message_without_an_end_is_cut_off_and_its_memory_comes_back(self):
        before = self.unit.resident_kib() // 1024
        for number, size in enumerate((MIB, 65536, 100), 1):
            sent, peak = self.flood(size)
            self.assertLess(peak - before, LIMIT_MIB + SLACK_MIB, f"frames of {size} bytes, {sent} MiB sent")
            self.assertEqual(self.await_counter("connections_cut", number), number)
            self.assertEqual(self.unit.log().count('reason="a message without an end"'), number)
            self.assertIn(f"uid={os.getuid()} pid={os.getpid()} ", self.unit.log())
            if not SANITIZED:                                       # a sanitizer keeps what was freed for a while
                until = time.monotonic() + 20
                while self.unit.resident_kib() // 1024 > before + LIMIT_MIB // 2:
                    self.assertLess(time.monotonic(), until, "the memory did not come back")
                    time.sleep(0.05)

    def test_callers_with_large_or_slow_messages_are_left_alone_while_another_one_is_cut_off(self):
        ended, failures, answers = threading.Event(), [], {"large": 0, "slow": 0}

        def large():
            with Service(self.unit.endpoint) as service:
                while not ended.is_set():
                    try:
                        service.call("probe.who", x=bytes(4 * MIB - 100))
                    except Failure as failure:                      # an argument that it does not know: read as a whole
                        answers["large"] += failure.code == BAD_REQUEST

        def slow():
            header, body = request("probe.wait", ms=0)
            data = frame(header, MORE) + frame(body)
            data += frame(header, MORE) + frame(msgpack.packb({"x": bytes(MIB)}))
            with Peer(self.unit.endpoint) as peer:
                while not ended.is_set():
                    for start in range(0, len(data), len(data) // 50):
                        peer.socket.sendall(data[start:start + len(data) // 50])
                        time.sleep(0.02)
                    answers["slow"] += len(peer.receive()) == 2 and len(peer.receive()) == 2

        def guarded(function):
            try:
                function()
            except Exception as failure:  # pylint: disable=broad-except
                failures.append(failure)
        threads = [threading.Thread(target=guarded, args=(function,)) for function in (large, slow)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            self.flood(65536)
        before = dict(answers)
        until = time.monotonic() + 60
        while any(answers[who] < before[who] + 2 for who in answers) and time.monotonic() < until and not failures:
            time.sleep(0.05)
        ended.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [], self.unit.log())
        self.assertTrue(all(answers[who] >= before[who] + 2 for who in answers), (before, answers))
        self.assertEqual(self.status()["counters"]["connections_cut"], 2)

    def send_three_quarters(self, peer):
        """Of the limit, as the beginning of one message."""
        for _ in range(LIMIT_MIB * 3 // 4):
            peer.socket.sendall(frame(bytes(MIB), MORE))

    def trickle(self, peer):
        """Goes on with the message for some seconds, in frames that weigh next to nothing: the guard, however late, sees it grow."""
        for _ in range(4000):
            peer.socket.sendall(frame(b"on and on", MORE))
            time.sleep(0.001)

    def become_a_stranger(self):
        users = self.unit.folder / "conf/users.conf"
        before = users.read_text()
        users.write_text('user "other" { uid = 4242424 roles = {"admin"} }\n')
        self.reload()
        return lambda: (users.write_text(before), self.reload())

    def test_who_is_no_user_hears_why_and_may_take_half(self):
        """What a user may send without being cut off, a stranger may not."""
        with Peer(self.unit.endpoint) as stranger:
            become_a_user = self.become_a_stranger()
            with self.assertRaises(Failure) as failure:
                self.service.call("kontor.ping")
            self.assertEqual(failure.exception.code, DENIED)
            self.assertIn(f"uid {os.getuid()} is no user here: add it to a user block of users.conf", failure.exception.message)
            done = subprocess.run([BUILD / "bin/kontor", "-e", self.unit.endpoint, "status"], stdin=subprocess.DEVNULL, text=True,
                                  capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"uid {os.getuid()} is no user here", done.stderr)
            with self.assertRaises(ConnectionError):                 # and no TimeoutError: the unit closes it
                self.send_three_quarters(stranger)
                self.trickle(stranger)
                stranger.socket.settimeout(60)
                stranger.take(1)
            become_a_user()
        # ours was a stranger's too, and goes with the other one where the guard came so late that it saw nobody send
        cut = self.unit.log().count('reason="its uid is no user in users.conf"')
        self.assertIn(cut, (1, 2))
        self.assertEqual(self.await_counter("connections_cut", cut), cut)
        with Peer(self.unit.endpoint) as user:
            self.send_three_quarters(user)
            self.trickle(user)
            self.assertEqual(self.status()["counters"]["connections_cut"], cut)

    def test_a_stranger_who_was_quicker_than_the_guard_and_is_silent_then_is_cut_off(self):
        with Peer(self.unit.endpoint) as stranger, Peer(self.unit.endpoint) as other:
            become_a_user = self.become_a_stranger()
            held = self.unit.resident_kib() // 1024 + LIMIT_MIB * 3 // 4
            try:
                with frozen_thread(self.unit.process.pid, "guard"):
                    self.send_three_quarters(stranger)
                    wait_until(lambda: self.unit.resident_kib() // 1024 >= held, "the unit has read it")
            except CannotTrace as reason:
                self.skipTest(f"this machine lets no test stop a thread: {reason}")
            stranger.socket.settimeout(60)
            with self.assertRaises(ConnectionError):
                stranger.take(1)
            become_a_user()
            self.assertIn('reason="its uid is no user in users.conf"', self.unit.log())
            self.assertEqual(self.service.call("kontor.ping")["state"], "ready")    # on a new connection

    def reload(self):
        before, until = self.unit.log().count("configuration read again"), time.monotonic() + 60
        self.unit.process.send_signal(signal.SIGHUP)
        while self.unit.log().count("configuration read again") == before:
            self.assertLess(time.monotonic(), until, self.unit.log())
            time.sleep(0.02)

    def test_callers_that_read_no_replies_are_cut_off(self):
        header, body = request("kontor.methods")
        with Peer(self.unit.endpoint) as peer:
            peer.send(header, body)
            size = len(peer.receive()[1])
        count = min(4000, 2 * LIMIT_MIB * MIB // size)              # libzmq keeps at most 4000 for each
        peers = [Peer(self.unit.endpoint) for _ in range(3 * LIMIT_MIB * MIB // size // count)]
        message = frame(header, MORE) + frame(body)
        for peer in peers:
            self.addCleanup(peer.close)
            try:
                for _ in range(count // 50):
                    peer.socket.sendall(message * 50)
            except OSError:
                pass                                                # it is cut off already
        self.await_counter("connections_cut", 1)
        self.assertIn('reason="replies that are not read"', self.unit.log())
        self.assertNotIn("without an end", self.unit.log())

    def test_a_frame_of_5_mib_is_answered_and_one_of_9_mib_ends_the_connection_alone(self):
        with Peer(self.unit.endpoint) as peer:
            header, _ = request("probe.who", 77)
            peer.send(header, bytes(5 * MIB))
            answer, error = map(msgpack.unpackb, peer.receive())
            self.assertEqual((answer[1:3], error["code"]), ([3, 77], TOO_BIG))
            self.assertIn(str(5 * MIB), error["message"])
            with self.assertRaises(OSError):
                peer.send(header, bytes(9 * MIB))
                peer.receive()
        self.assertEqual(self.status()["state"], "ready")

    def test_deep_and_huge_values_are_refused(self):
        deep, wide = b"\x91" * 100000 + b"\xc0", (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01")
        maps = b"\x81\xa1a" * 100000 + b"\xc0"
        before = self.unit.resident_kib()
        with Peer(self.unit.endpoint) as peer:
            for value in (deep, maps, *wide, *(b"\x81\xa2ms" + value for value in wide)):
                for frames in ((value, b"\x80"), (request("probe.wait")[0], value)):
                    peer.send(*frames)
                    answer, error = map(msgpack.unpackb, peer.receive())
                    self.assertEqual((answer[1], error["code"]), (3, BAD_REQUEST), value[:9])
        if not SANITIZED:
            self.assertLess(self.unit.resident_kib() - before, 16 * 1024)

    def test_garbage_and_a_thousand_connections_that_say_nothing(self):
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(64), os.urandom(4096), b"\xff" + bytes(8) + b"\x7f\x03" + b"\xff" * 200):
            with connect(self.unit.endpoint) as connection:
                try:
                    connection.sendall(garbage)
                except OSError:
                    pass                                            # refused before all of it was sent
        silent = [connect(self.unit.endpoint) for _ in range(CONNECTIONS)]
        begun = time.monotonic()
        trickle, shaken = silent[:10], []
        try:
            for letter in b"\xff" + bytes(8) + b"\x7f":             # a handshake that takes its time
                for connection in trickle:
                    try:
                        connection.sendall(bytes([letter]))
                    except OSError:
                        pass
                self.assertEqual(self.service.call("kontor.ping")["state"], "ready")
                time.sleep(0.1)
            shaken += [Peer(self.unit.endpoint) for _ in range(100)]    # others get in meanwhile
            for connection in silent:
                connection.settimeout(60)
                while connection.recv(100):                         # the unit's greeting, then the end
                    pass
            self.assertGreater(time.monotonic() - begun, HANDSHAKE_SECONDS - 1)
            shaken[50].send(*request("kontor.ping"))
            self.assertEqual(msgpack.unpackb(shaken[50].receive()[0])[1], 2)
        finally:
            for connection in (*silent, *shaken):
                connection.close()
        self.assertEqual(self.status()["counters"]["connections_cut"], 0)

    def tearDown(self):
        self.assertEqual(self.unit.stop(), 0, self.unit.log())


FLOOD = """
import sys, time, zmq
dealer = zmq.Context.instance().socket(zmq.DEALER)
endpoint, dealer.curve_serverkey, dealer.curve_publickey, dealer.curve_secretkey, count = map(str.encode, sys.argv[1:])
dealer.connect(endpoint.decode())
dealer.send_multipart([bytes(1 << 20)] * int(count))
time.sleep(60)
"""


class HostileByNetwork(unittest.TestCase):
    """The same from a machine whose key is known: a client of libzmq, which sends a message only when it has all of it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kontor-keys-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        public, self.secret = [path for path in zmq.auth.create_certificates(self.folder, "unit")]
        os.chmod(self.secret, 0o600)
        self.server_key = zmq.auth.load_certificate(public)[0]
        self.pair = zmq.curve_keypair()
        self.unit = ProbeUnit(f'connection_memory = {LIMIT_MIB}MiB\nbind = {{"{self.endpoint}"}}\nkey_file = "{self.secret}"\n',
                              f"user \"far\" {{ keys = {{'{self.pair[0].decode()}'}} roles = {{\"operator\"}} }}\n").__enter__()
        self.addCleanup(self.unit.__exit__, None, None, None)

    def dealer(self):
        dealer = zmq.Context.instance().socket(zmq.DEALER)
        self.addCleanup(dealer.close, 0)
        dealer.linger, dealer.rcvtimeo = 0, 30000
        dealer.curve_publickey, dealer.curve_secretkey = self.pair
        dealer.curve_serverkey = self.server_key
        dealer.connect(self.endpoint)
        return dealer

    def test_a_message_of_ever_more_frames_is_cut_off(self):
        good = self.dealer()
        good.send_multipart(request("kontor.ping"))
        self.assertEqual(msgpack.unpackb(good.recv_multipart()[0])[1], 2)
        before = self.unit.resident_kib() // 1024
        # a process of its own: a libzmq whose connection ends within a message may abort (4.3.4, session_base.cpp)
        bad = subprocess.Popen([sys.executable, "-c", FLOOD, self.endpoint, self.server_key, *self.pair, str(20 * LIMIT_MIB)],
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(bad.wait)
        self.addCleanup(bad.kill)
        until, peak = time.monotonic() + 60, 0
        while "a connection was closed" not in self.unit.log():
            self.assertLess(time.monotonic(), until, self.unit.log())
            peak = max(peak, self.unit.resident_kib() // 1024)
        bad.kill()                                                  # it would send it again
        self.assertLess(peak - before, LIMIT_MIB + SLACK_MIB)
        self.assertRegex(self.unit.log(), r'address=127\.0\.0\.1:\d+ reason="a message without an end"')
        good.send_multipart(request("kontor.ping"))
        self.assertEqual(msgpack.unpackb(good.recv_multipart()[0])[1], 2)
        self.assertEqual(self.unit.stop(), 0)


if __name__ == "__main__":
    # what was freed does not come back from its quarantine, and others would be blamed for it
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    need_database()
    unittest.main(verbosity=2)
