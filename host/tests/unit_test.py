# SPDX-License-Identifier: Apache-2.0
"""A unit with the plugin `probe`: what its callers see. Arguments: kontord, folder of test plugins, shipped conf/.

Runs under tests/lib/with-mariadb (KONTOR_TEST_SOCKET)."""
import contextlib
import itertools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import msgpack
import zmq

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests/lib"))
from zmtp_peer import Peer                                          # noqa: E402

KONTORD, PLUGINS, CONF = sys.argv[1:4]
REQUEST, REPLY, ERROR, PING, PONG, CANCEL = 1, 2, 3, 4, 5, 6
NO_METHOD, DENIED, TOO_BIG, NOT_FOUND, BUSY, DRAINING, DEADLINE, DISABLED = -2, -3, -4, -6, -10, -11, -14, -13
BAD_REQUEST = -1
PATIENCE = 60    # seconds for what must happen; a slow machine needs some


class Refused(Exception):
    def __init__(self, body):
        super().__init__(body["message"])
        self.code, self.body = body["code"], body


class Caller:
    """One DEALER (or REQ) socket."""
    ids = itertools.count(1)
    sockets = []

    def __init__(self, endpoint, kind=zmq.DEALER):
        self.socket = zmq.Context.instance().socket(kind)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, PATIENCE * 1000)
        self.socket.connect(endpoint)
        self.sockets.append(self.socket)

    def send(self, method, arguments=None, kind=REQUEST, left_ms=0, key=None, caller=None, message_id=None):
        message_id = message_id or next(self.ids)
        header = [1, kind, message_id, method, left_ms, 0, key, None, caller]
        self.socket.send_multipart([msgpack.packb(header), msgpack.packb(arguments or {})])
        return message_id

    def receive(self):
        header, body = map(msgpack.unpackb, self.socket.recv_multipart()[-2:])
        return header, body

    def call(self, method, arguments=None, **options):
        message_id = self.send(method, arguments, **options)
        while True:
            header, body = self.receive()
            if header[2] != message_id:
                continue
            if header[1] == ERROR:
                raise Refused(body)
            return body

    @classmethod
    def close_all(cls):
        while cls.sockets:
            cls.sockets.pop().close()

    def silent(self, ms):
        return not self.socket.poll(ms)


class UnitTest(unittest.TestCase):
    unit_conf = ""
    site_conf = ""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kontord-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        shutil.copytree(CONF, self.folder / "conf")
        self.database = f"unit_{os.getpid()}_{self._testMethodName}"[:64].lower()
        (self.folder / "conf/units/one.conf").write_text('plugins = {"probe"}\n' + self.unit_conf)
        self.write_users()
        (self.folder / "conf/conf.d/site.conf").write_text(
            f'datacenter = "dev"\ndatabase "main" {{ socket = "{os.environ["KONTOR_TEST_SOCKET"]}" user = "root" '
            f'name = "{self.database}" }}\n' + self.site_conf)
        self.endpoint = f"ipc://{self.folder}/run/one.sock"
        self.process = None
        self.addCleanup(self.drop_database)
        self.addCleanup(self.kill)
        self.addCleanup(Caller.close_all)
        self.assertEqual(subprocess.run(self.command("--migrate"), stdout=subprocess.DEVNULL).returncode, 0)
        self.start()

    def write_users(self, roles='"operator", "approver"'):
        (self.folder / "conf/users.conf").write_text(
            f'user "me" {{ uid = {os.getuid()} roles = {{{roles}}} }}\nuser "alice" {{ roles = {{"viewer"}} }}\n')

    def command(self, *more):
        return [KONTORD, "--unit", "one", "--conf", self.folder / "conf", "--runtime", self.folder / "run",
                "--state", self.folder / "state", "--plugins", PLUGINS, *more]

    def start(self):
        self.log = open(self.folder / "log", "ab")
        self.addCleanup(self.log.close)
        starts = self.log_text().count("unit is ready")
        self.process = subprocess.Popen(self.command(), stderr=self.log)
        self.wait_for_log("unit is ready", starts + 1)
        self.caller = Caller(self.endpoint)

    def log_text(self):
        return (self.folder / "log").read_text()

    def wait_for_log(self, text, count=1):
        until = time.monotonic() + PATIENCE
        while self.log_text().count(text) < count:
            if time.monotonic() > until or (self.process and self.process.poll() is not None):
                self.fail(f"no '{text}' in the log:\n{self.log_text()}")
            time.sleep(0.01)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.stop(signal.SIGKILL)

    def sql(self, statement, database="mysql"):
        subprocess.run(["mariadb", "--no-defaults", f"--socket={os.environ['KONTOR_TEST_SOCKET']}", "-u", "root", database, "-e",
                        statement], check=True)

    def drop_database(self):
        self.sql(f"DROP DATABASE IF EXISTS {self.database}")

    def refused(self, code, *arguments, **options):
        with self.assertRaises(Refused) as caught:
            self.caller.call(*arguments, **options)
        self.assertEqual(caught.exception.code, code, str(caught.exception))
        return caught.exception.body

    def hold(self, service="probe"):
        """Sends a call that is answered once release() says so."""
        return self.caller.send(f"{service}.wait_for_file", {"file": f"{self.folder}/released"})

    def release(self):
        (self.folder / "released").touch()

    def wait_until(self, condition, what):
        until = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), until, f"not {what}")
            time.sleep(0.01)

    def rests(self):
        """Whether none of the plugin's methods runs or waits."""
        probe = self.plugin("probe")
        return probe["running"] + probe["queued"] == 0

    def counters(self):
        return self.caller.call("kontor.status")["counters"]

    def plugin(self, name):
        return next(plugin for plugin in self.caller.call("kontor.status")["plugins"] if plugin["name"] == name)


class Messages(UnitTest):
    def test_a_req_socket_and_a_dealer_get_the_same_answers(self):
        for caller in (Caller(self.endpoint, zmq.REQ), Caller(self.endpoint)):
            self.assertEqual(caller.call("kontor.ping")["state"], "ready")
            self.assertEqual(caller.call("probe.wait", {"ms": 0}), {"slept_ms": 0})
            with self.assertRaises(Refused) as caught:
                caller.call("probe.wiat")
            self.assertEqual(caught.exception.code, NO_METHOD)
            self.assertIn("did you mean 'probe.wait'?", str(caught.exception))

    def ping(self, caller):
        message_id = caller.send("", kind=PING)
        header, body = caller.receive()
        self.assertEqual(header[:3], [1, PONG, message_id])
        return body

    def test_a_ping_tells_instance_connection_state_and_load(self):
        body, again, other = self.ping(self.caller), self.ping(self.caller), self.ping(Caller(self.endpoint))
        self.assertEqual(set(body), {"instance", "connection", "state", "queued", "capacity"})
        self.assertEqual(again["connection"], body["connection"])
        self.assertNotEqual(other["connection"], body["connection"])
        self.assertEqual(other["instance"], body["instance"])
        first = body["instance"]
        self.stop()
        self.start()
        self.assertNotEqual(self.caller.call("kontor.ping")["instance"], first)

    def test_what_is_no_request_is_refused_and_the_unit_goes_on(self):
        for frames in ([b"\xc1", b""], [b"", b"", b""], [b"\x93\x01\x01"], [b"x" * 100000],
                       [msgpack.packb([1, 1, 5, "kontor.ping"])] * 100, [msgpack.packb([2, 1, 5, "kontor.ping"]), b""],
                       [msgpack.packb([1, 2, 5, 0]), b""], [msgpack.packb([1, 1, 5, "probe.wait"]), b"\x93"],
                       [msgpack.packb([1, 1, 5, "probe.wait"]), b"\x81" * 1000],
                       [msgpack.packb([1, 1, 5, "kontor.methods"]), msgpack.packb([1])]):
            self.caller.socket.send_multipart(frames)
            header, body = self.caller.receive()
            self.assertEqual((header[1], body["code"]), (ERROR, BAD_REQUEST), frames[0][:20])
        too_big = Caller(self.endpoint)
        too_big.socket.send_multipart([msgpack.packb([1, 1, 5, "probe.wait"]), b"x" * ((4 << 20) + 1)])
        header, body = too_big.receive()
        self.assertEqual((header[1:3], body["code"]), ([ERROR, 5], TOO_BIG))
        self.assertEqual(self.caller.call("kontor.ping")["state"], "ready")

    def test_a_header_alone_is_a_request_without_arguments(self):
        self.caller.socket.send_multipart([msgpack.packb([1, 1, 5, "kontor.ping"])])
        self.assertEqual(self.caller.receive()[0][1], REPLY)

    def test_a_header_alone_does_not_get_the_arguments_of_the_request_before(self):
        for _ in range(50):
            self.caller.send("kontor.ping", {"unknown": 1})
            self.caller.socket.send_multipart([msgpack.packb([1, 1, 5, "kontor.ping"])])
        kinds = [self.caller.receive()[0][1] for _ in range(100)]
        self.assertEqual(kinds, [ERROR, REPLY] * 50)

    def test_methods_are_listed_with_arguments_but_internal_ones_only_to_units(self):
        rows = {row["name"]: row for row in self.caller.call("kontor.methods")["rows"]}
        self.assertEqual(rows["probe.wait"]["args"][0]["type"], "int")
        self.assertTrue(rows["jobs.cancel"]["changes"])
        self.assertNotIn("probe.internal", rows)
        self.assertEqual(self.refused(DENIED, "probe.internal")["name"], "DENIED")


class Load(UnitTest):
    unit_conf = 'plugin "probe" { workers = 2 queue = 3 queue_bytes = 64KiB }\n'

    def test_what_does_not_fit_the_queue_is_busy_at_once_and_the_rest_is_answered(self):
        ids = [self.hold() for _ in range(20)]
        busy = [self.caller.receive() for _ in range(20 - 2 - 3)]   # while nobody is answered
        self.assertEqual({body.get("code") for _, body in busy}, {BUSY})
        self.assertTrue(all(body["retry_after_ms"] > 0 for _, body in busy))
        self.assertTrue(self.caller.silent(100))
        self.release()
        done = [self.caller.receive() for _ in range(2 + 3)]
        self.assertEqual([body for _, body in done], [{}] * 5)
        self.assertEqual({header[2] for header, _ in busy + done}, set(ids))
        self.assertEqual(self.plugin("probe")["busy"], 15)

    def test_the_queue_counts_bytes_too(self):
        for _ in range(2):
            self.hold()
        big = {"ms": 0, "x": "x" * 40000}
        ids = [self.caller.send("probe.wait", big), self.caller.send("probe.wait", big)]
        codes = {}
        for _ in range(4):
            header, body = self.caller.receive()
            codes[header[2]] = body.get("code")
            self.release()
        self.assertEqual([codes[i] for i in ids], [BAD_REQUEST, BUSY])  # the first ran (and has an unknown argument)

    def test_a_caller_with_a_thousand_requests_in_flight_gets_all_replies(self):
        slow = zmq.Context.instance().socket(zmq.DEALER)
        self.addCleanup(slow.close, 0)
        slow.setsockopt(zmq.SNDHWM, 0)
        slow.setsockopt(zmq.RCVHWM, 1)                              # so that replies pile up in the unit
        slow.setsockopt(zmq.RCVTIMEO, 15000)
        slow.connect(self.endpoint)
        for method, count in ("kontor.ping", 450), ("kontor.methods", 1000):
            for message_id in range(count):
                slow.send_multipart([msgpack.packb([1, REQUEST, message_id, method]), b""])
            while self.plugin("kontor")["requests"] < count:
                time.sleep(0.01)
            headers = [msgpack.unpackb(slow.recv_multipart()[0]) for _ in range(count)]
            self.assertEqual([header[1:3] for header in headers], [[REPLY, number] for number in range(count)])
        self.assertEqual(self.counters()["replies_dropped"], 0)

    def test_inline_methods_and_other_plugins_answer_while_all_workers_are_busy(self):
        for _ in range(5):
            self.hold()
        other = Caller(self.endpoint)
        other.call("kontor.ping")
        other.call("jobs.list")
        self.assertTrue(self.caller.silent(0))
        self.release()

    def test_a_request_whose_time_is_over_before_it_starts_is_not_run(self):
        for _ in range(2):
            self.hold()
        self.refused(DEADLINE, "probe.wait", {"ms": 0}, left_ms=50)  # although all workers stand still
        self.assertEqual(self.plugin("probe")["queued"], 0)
        self.release()
        self.wait_until(self.rests, "at rest")
        self.assertEqual(self.counters()["expired"], 1)

    def test_a_cancelled_request_gets_no_reply(self):
        running, second = self.hold(), self.hold()
        waiting = self.caller.send("probe.wait", {"ms": 0})
        for message_id in (running, waiting):
            self.caller.send("", kind=CANCEL, message_id=message_id)
        self.caller.call("kontor.ping")                             # the unit has read what came before
        self.release()
        self.assertEqual(self.caller.receive()[0][1:3], [REPLY, second])
        self.assertTrue(self.caller.silent(500))
        self.assertEqual(self.counters()["cancelled"], 2)

    def test_a_handler_can_see_that_nobody_waits_for_it_any_more(self):
        running = self.caller.send("probe.wait_for_the_end")
        self.caller.send("probe.wait_for_the_end", left_ms=200)      # its time passes
        self.caller.send("", kind=CANCEL, message_id=running)
        self.wait_until(lambda: self.plugin("probe")["status"]["cancelled"] == 2, "both saw it")

    def test_replies_to_a_caller_that_has_gone_are_dropped_and_counted(self):
        for attempt in range(1, 8):                                 # nobody can see when the unit's sockets know that it has gone
            gone = Caller(self.endpoint)
            gone.call("kontor.ping")
            gone.send("probe.wait", {"ms": 400 * attempt})
            self.wait_until(lambda: self.plugin("probe")["requests"] == attempt, "come")  # pylint: disable=cell-var-from-loop
            gone.socket.close()
            self.wait_until(self.rests, "done")
            if self.counters()["replies_dropped"]:
                break
        self.assertEqual(self.counters()["replies_dropped"], 1)


class Overload(UnitTest):
    unit_conf = 'plugin "probe" { workers = 2 queue_time = 2s }\n'

    def burst(self, count, ms):
        """How many of so many calls at once were done."""
        ids = [self.caller.send("probe.wait", {"ms": ms}) for _ in range(count)]
        bodies = [self.caller.receive()[1] for _ in ids]
        self.assertTrue(all("slept_ms" in body or (body["code"] == BUSY and body["retry_after_ms"]) for body in bodies))
        return sum("slept_ms" in body for body in bodies)

    def test_a_burst_waits_but_who_waits_and_waits_is_refused_until_it_is_over(self):
        self.assertEqual(self.burst(100, 0), 100)
        self.assertFalse(self.plugin("probe")["overloaded"])
        self.assertLess(self.burst(200, 200), 100)                  # 20 s of work
        self.assertIn("more calls come than can be answered in time", self.log_text())
        time.sleep(0.15)
        self.assertEqual(self.burst(50, 0), 50)
        self.assertFalse(self.plugin("probe")["overloaded"])


# A process that calls kontor.ping three times with routing id "shared", and prints the answers. libzmq drops who comes
# with an id before the connection that had it is quite gone.
SHARING = """
import sys, msgpack, zmq
request = [msgpack.packb([1, 1, 7, "kontor.ping", 0, 0, None, None, None]), b"\\x80"]
for attempt in range(30):
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.ROUTING_ID, b"shared")
    socket.connect(sys.argv[1])
    socket.send_multipart(request)
    if socket.poll(500):
        break
    socket.close()
for more in range(3):
    body = msgpack.unpackb(socket.recv_multipart()[1])
    print(body.get("message", body.get("state")))
    socket.send_multipart(request)
"""


class Identity(UnitTest):
    def test_the_uid_decides_who_calls(self):
        who = self.caller.call("probe.who")
        self.assertEqual((who["user"], who["roles"], who["verified"]), ("me", 2 | 4, True))
        self.assertIn("approvals = trusted", self.refused(DENIED, "probe.who", caller="alice")["message"])

    def test_a_call_from_inside_comes_as_the_unit(self):
        inside = self.caller.call("probe.who_inside")["inside"]
        self.assertEqual((inside["user"], inside["roles"], inside["verified"]), ("one", 16, True))
        self.assertEqual(self.caller.call("probe.who")["user"], "me")

    @unittest.skipIf(os.getuid(), "only root can become somebody else")
    def test_a_routing_id_is_no_identity(self):
        nobody = 65534
        for path in self.folder, self.folder / "run":
            path.chmod(0o755)
        (self.folder / "run/one.sock").chmod(0o666)

        def answers(uid):
            done = subprocess.run([sys.executable, "-c", SHARING, self.endpoint], user=uid, group=uid, extra_groups=[],
                                  text=True, stdout=subprocess.PIPE, check=True, timeout=60)
            return done.stdout.splitlines()
        for _ in range(2):                                          # the id goes from one to the other, and back
            self.assertEqual(answers(0), ["ready"] * 3)
            refusals = answers(nobody)
            self.assertEqual(len(refusals), 3)
            for refusal in refusals:
                self.assertIn(f"uid {nobody} is no user", refusal)

    def test_a_uid_that_is_not_listed_gets_nothing_until_users_conf_names_it(self):
        users = self.folder / "conf/users.conf"
        self.assertEqual(self.caller.call("probe.who")["user"], "me")
        users.write_text('user "alice" { uid = 4000000000 roles = {"viewer"} }\n')
        self.process.send_signal(signal.SIGHUP)
        self.wait_for_log("configuration read again")
        for method in ("kontor.ping", "probe.who", "nobody.knows"):
            self.assertIn(f"uid {os.getuid()} ", self.refused(DENIED, method)["message"])
        self.write_users()
        self.process.send_signal(signal.SIGHUP)
        self.wait_for_log("configuration read again", 2)
        self.assertEqual(self.caller.call("probe.who")["user"], "me")


class Trusted(UnitTest):
    site_conf = 'approvals = "trusted"\n'

    def test_as_names_another_user_who_is_then_not_verified(self):
        who = self.caller.call("probe.who", caller="alice")
        self.assertEqual((who["user"], who["roles"], who["verified"]), ("alice", 1, False))
        self.refused(DENIED, "probe.who", caller="mallory")


class Lifecycle(UnitTest):
    def test_sigterm_answers_what_runs_refuses_what_comes_and_exits_0(self):
        running = self.hold()
        self.caller.call("kontor.ping")                             # the unit has read what came before
        self.process.send_signal(signal.SIGTERM)
        self.wait_for_log("unit drains")
        late = Caller(self.endpoint)
        late.send("probe.wait", {"ms": 0})
        header, body = late.receive()
        self.assertEqual(body["code"], DRAINING)
        self.assertGreater(body["retry_after_ms"], 0)
        self.assertEqual(self.caller.call("kontor.ping")["state"], "draining")
        self.release()
        header, body = self.caller.receive()
        self.assertEqual((header[2], body), (running, {}))
        self.assertEqual(self.process.wait(PATIENCE), 0)
        self.assertFalse((self.folder / "run/one.sock").exists())

    def unread_answer(self):
        """A peer to whom an answer was sent that he has not read."""
        peer = Peer(self.endpoint)
        self.addCleanup(peer.close)
        pings = self.counters()["pings"]
        peer.send(msgpack.packb([1, PING, 5]), msgpack.packb({}))
        self.wait_until(lambda: self.counters()["pings"] > pings, "answered")
        return peer

    def test_a_stop_waits_for_callers_who_have_not_read_their_answers(self):
        for _ in range(5):                                          # it does not wait for ever: this process may have been too late
            peer = self.unread_answer()
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.6)
                self.start()
                continue
            self.assertEqual(msgpack.unpackb(peer.receive()[0])[1:3], [PONG, 5])
            self.assertEqual(self.process.wait(PATIENCE), 0)
            return
        self.fail("it never waited")

    def test_a_stop_does_not_wait_for_who_never_reads(self):
        self.unread_answer()
        self.assertEqual(self.stop(), 0)

    def test_a_stop_that_takes_too_long_is_cut_off(self):
        (self.folder / "conf/conf.d/drain.conf").write_text("drain_timeout = 1s\n")
        self.process.send_signal(signal.SIGHUP)
        self.wait_for_log("configuration read again")
        self.hold()                                                 # and never released
        self.caller.call("kontor.ping")
        self.assertEqual(self.stop(), 1)
        self.assertIn("drain timed out", self.log_text())

    def test_a_second_unit_of_the_same_name_is_refused(self):
        second = subprocess.run(self.command(), stderr=subprocess.PIPE, text=True)
        self.assertEqual(second.returncode, 1)
        self.assertIn(f"runs already as process {self.process.pid}", second.stderr)
        self.assertEqual(self.caller.call("kontor.ping")["state"], "ready")

    def test_sighup_takes_what_it_can_and_names_what_needs_a_restart(self):
        extra = self.folder / "conf/conf.d/extra.conf"
        extra.write_text('plugin "probe" {\n word = "new"\n limit = 7\n}\n')
        self.process.send_signal(signal.SIGHUP)
        self.wait_for_log("configuration read again")
        self.assertEqual(self.caller.call("probe.who")["word"], "new")
        self.assertRegex(self.log_text(), "option needs a restart.*key=limit place=.*extra.conf:3")
        extra.write_text('plugin "probe" { word = "newer" }\nnonsense = 1\n')
        self.process.send_signal(signal.SIGHUP)
        self.wait_for_log("configuration refused")
        self.assertRegex(self.log_text(), "extra.conf:2.*nonsense")
        self.assertEqual(self.caller.call("probe.who")["word"], "new")

    @unittest.skipIf(os.environ.get("KONTOR_SANITIZE"), "a sanitizer reports crashes itself")
    def test_a_crash_leaves_one_line_with_plugin_and_method(self):
        self.caller.send("probe.crash", message_id=4711)
        self.assertEqual(self.process.wait(PATIENCE), -signal.SIGABRT)
        self.assertRegex(self.log_text(), 'unit=one plugin=probe request=4711 event="crashed" signal=6 while=crash')

    def test_systemd_is_told_when_it_is_ready_and_that_it_lives(self):
        self.stop()
        path = self.folder / "notify"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listener.close)
        listener.bind(str(path))
        listener.settimeout(PATIENCE)
        self.process = subprocess.Popen(self.command(), stderr=self.log,
                                        env=dict(os.environ, NOTIFY_SOCKET=str(path), WATCHDOG_USEC="3000000"))
        self.assertTrue(listener.recv(1000).startswith(b"READY=1"))
        self.assertEqual(listener.recv(1000), b"WATCHDOG=1")
        self.process.send_signal(signal.SIGTERM)
        while (message := listener.recv(1000)) == b"WATCHDOG=1":
            pass
        self.assertEqual(message, b"STOPPING=1")

    def test_a_schema_of_another_version_is_refused(self):
        self.stop()
        self.sql("DELETE FROM schema_step WHERE owner = 'kontor' LIMIT 1", self.database)
        again = subprocess.run(self.command(), stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
        self.assertEqual(again.returncode, 1)
        self.assertIn("db migrate", again.stderr)

    def test_a_unit_waits_for_its_database_and_may_be_stopped_meanwhile(self):
        self.stop()
        site = self.folder / "conf/conf.d/site.conf"
        site.write_text(site.read_text().replace(os.environ["KONTOR_TEST_SOCKET"], "/tmp/no-such-server"))
        self.process = subprocess.Popen(self.command(), stderr=self.log)
        self.wait_for_log("waits for the database")
        self.assertEqual(self.stop(), 0)


class DisabledService(UnitTest):
    site_conf = 'service "probe" { enabled = no }\n'

    def test_a_service_that_is_switched_off_says_so(self):
        self.assertIn("switched off", self.refused(DISABLED, "probe.who")["message"])


class Jobs(UnitTest):
    site_conf = 'lane "interactive" { threads = 2 connections = 5 }\n'

    def submit(self, job_id, kind="probe.count"):
        return self.caller.call("probe.submit", {"job_id": job_id, "kind": kind}, key=f"submit-{job_id}")

    def follow(self, job_id):
        seen, states = 0, []
        until = time.monotonic() + PATIENCE
        while True:
            self.assertLess(time.monotonic(), until, states[-1:])
            job = self.caller.call("jobs.get", {"job_id": job_id, "wait_ms": 5000, "seen_done": seen})
            states.append(job["state"])
            seen = job["done"]
            if job["state"] in ("done", "failed", "cancelled", "dead"):
                return job, states

    def test_a_job_runs_and_its_long_poll_shows_progress_and_result(self):
        self.assertEqual(self.submit(7), {"job_id": 7})
        job, states = self.follow(7)
        self.assertEqual((job["state"], job["done"], job["total"], job["user"]), ("done", 10, 10, "me"))
        self.assertEqual(job["result"], {"answer": 42})
        self.assertGreaterEqual(len(states), 2)
        self.assertRegex(job["finished"], r"^20\d\d-\d\d-\d\dT.*Z$")
        self.assertEqual([row["job_id"] for row in self.caller.call("jobs.list")["rows"]], [7])

    def test_the_same_key_answers_the_same_and_submits_once(self):
        self.assertEqual(self.submit(8), self.submit(8))
        self.assertEqual(len(self.caller.call("jobs.list")["rows"]), 1)

    def test_a_change_without_a_key_is_refused(self):
        self.refused(BAD_REQUEST, "probe.submit", {"job_id": 9})

    def test_lists_turn_pages_from_the_newest(self):
        for job_id in range(1, 6):
            self.submit(job_id)
        page = self.caller.call("jobs.list", {"limit": 2})
        self.assertEqual([row["job_id"] for row in page["rows"]], [5, 4])
        page = self.caller.call("jobs.list", {"limit": 2, "after": page["next"]})
        self.assertEqual([row["job_id"] for row in page["rows"]], [3, 2])

    def test_a_cancel_ends_the_job(self):
        self.submit(10)
        self.caller.call("jobs.cancel", {"job_id": 10}, key="c")
        self.assertEqual(self.follow(10)[0]["state"], "cancelled")
        self.assertIn("there is no job 11", self.refused(NOT_FOUND, "jobs.get", {"job_id": 11})["message"])

    def test_a_killed_unit_goes_on_with_its_jobs_at_once_after_the_next_start(self):
        self.submit(12)
        self.wait_until(lambda: self.caller.call("jobs.get", {"job_id": 12})["done"], "at work")
        self.stop(signal.SIGKILL)
        for table in "job", "job_chunk":                            # a lease that nobody waits for
            self.sql(f"UPDATE {table} SET lease_until_ms = lease_until_ms + 3600000 WHERE lease_until_ms > 0", self.database)
        self.start()
        self.assertEqual(self.follow(12)[0]["state"], "done")

    def test_a_drained_unit_leaves_its_jobs_to_the_next_start(self):
        self.submit(13)
        time.sleep(0.15)
        self.assertEqual(self.stop(), 0)
        self.start()
        self.assertEqual(self.follow(13)[0]["state"], "done")

    def test_a_lane_holds_as_many_sessions_as_it_may(self):
        self.submit(14, "probe.sessions")
        self.assertEqual(self.follow(14)[0]["result"], {"count": 5 - 2})

    def test_jobs_and_their_output_are_kept_as_long_as_they_shall(self):
        self.stop()
        now, day = "UNIX_TIMESTAMP(NOW(3)) * 1000", 86_400_000
        ages = {21: 91, 22: 89, 23: 8, 24: 6}                       # in days; by default a job is kept for 90, output for 7
        for job_id, days in ages.items():
            self.sql(f"INSERT INTO job (job_id, kind, lane, params, state, stage, created_ms, finished_ms) VALUES "
                     f"({job_id}, 'probe.count', 'interactive', '', 'done', 'finish', 1, {now} - {days * day}); "
                     f"INSERT INTO job_output (job_id, chunk_no, piece, plain_bytes, data) VALUES ({job_id}, 0, 0, 1, 'x')",
                     self.database)
        self.start()
        self.wait_for_log('what="output of jobs"')                 # the last thing that is deleted
        self.assertEqual([row["job_id"] for row in self.caller.call("jobs.list")["rows"]], [24, 23, 22])
        self.assertEqual({job_id: "data" in self.caller.call("jobs.output", {"job_id": job_id}) for job_id in (22, 23, 24)},
                         {22: False, 23: False, 24: True})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
