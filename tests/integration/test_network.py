# SPDX-License-Identifier: Apache-2.0
"""By tcp nobody gets in without a key that users.conf lists; whoever gets in is that user and no other."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from kontor_instance import BUILD, TOP, Instance    # noqa: E402
import network_rig as rig                           # noqa: E402
from service import Failure                         # noqa: E402
from zmtp_peer import GREETING                      # noqa: E402

import zmq                                          # noqa: E402

DENIED = -3
SANITIZED = re.search(r"^KONTOR_SANITIZE:STRING=.+", (BUILD / "CMakeCache.txt").read_text(), re.MULTILINE)


class Network(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.kontor = Instance().__enter__()
        try:
            cls.unit = rig.Listener(cls.kontor)
        except BaseException:
            cls.kontor.__exit__(None, None, None)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.kontor.__exit__(None, None, None)

    def denied(self, by, method, **arguments):
        """Why."""
        with self.assertRaises(Failure) as caught:
            by.call(method, **arguments)
        self.assertEqual(caught.exception.code, DENIED, caught.exception)
        return caught.exception.message

    # ---- who gets in

    def test_a_listed_key_is_its_user_with_his_roles(self):
        with self.unit.caller("viewer") as viewer:
            self.assertEqual(viewer.call("kontor.status")["network"]["public_key"], self.unit.public["unit"])
            self.assertIn("viewer has not", self.denied(viewer, "settlement.close", key="k1", region="SG", window="2026-W45"))
        with self.unit.caller("operator") as operator:
            operator.call("settlement.close", key="k1", region="SG", window="2026-W01")
            self.assertEqual(self.kontor.sql("SELECT DISTINCT user FROM audit WHERE method = 'settlement.close'"),
                             [["operator"]])
            self.denied(operator, "kontor.keys")
        with self.unit.caller("admin") as admin:
            rows = {row["user"]: row for row in admin.call("kontor.keys")["rows"]}
            self.assertEqual({user: row["key"] for user, row in rows.items()},
                             {user: self.unit.public[user] for user in rig.Listener.USERS})
            self.assertGreaterEqual(rows["operator"]["connections"], 1)

    def test_internal_methods_answer_only_units(self):
        with self.unit.caller("admin") as admin:
            self.assertIn("answers only units", self.denied(admin, "settlement.window_get", region="SG", window="2026-W02"))
        with self.unit.caller("peer") as peer:
            self.assertEqual(peer.call("settlement.window_get", region="SG", window="2026-W02")["window"], "2026-W02")

    def test_who_is_no_unit_cannot_act_for_others(self):
        with self.unit.caller("operator") as operator:
            for name in ("admin", "me", "all", "nobody-known"):
                self.assertIn("may not act as", self.denied(operator, "kontor.status", caller=name))
            operator.call("kontor.status", caller="operator")
        with self.unit.caller("peer") as peer:      # a unit may, with the rights of that user
            self.denied(peer, "kontor.keys", caller="viewer")

    def test_a_stranger_is_refused_and_named_in_the_log(self):
        before = self.unit.counters()["keys_refused"]
        with self.unit.caller("stranger") as stranger:
            stranger.send("kontor.status")
            self.assertTrue(stranger.is_refused())
            rig.wait_until(lambda: self.unit.counters()["keys_refused"] > before, "counted")
            self.assertFalse(stranger.socket.poll(0))
        self.assertIn(f'key="{self.unit.public["stranger"]}"', self.unit.log())

    def test_many_strangers_do_not_fill_the_log(self):
        before, logged = self.unit.counters()["keys_refused"], self.unit.log().count('event="connection refused"')
        for _ in range(30):
            with self.unit.caller("stranger") as stranger:
                self.assertTrue(stranger.is_refused())
        rig.wait_until(lambda: self.unit.counters()["keys_refused"] >= before + 30, "counted")
        self.assertLess(self.unit.log().count('event="connection refused"') - logged, 30)

    def test_what_is_no_curve_gets_nothing(self):
        before = self.unit.counters()
        request = rig.request_frames()
        marker = request[0][3:12]       # the id, which a reply would repeat
        for name, data in (("plain ZMTP 1", rig.zmtp1()), ("plain ZMTP 2", rig.zmtp2()),
                           ("plain ZMTP 3", rig.zmtp3_null([(b"Socket-Type", b"DEALER")]) + rig.message(request)),
                           ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ("noise", os.urandom(4096)),
                           ("TLS", bytes.fromhex("16030100dc010000d80303") + os.urandom(200)),
                           ("much of nothing", bytes(200000))):
            with self.subTest(name):
                connection = socket.create_connection(("127.0.0.1", self.unit.port))
                self.assertNotIn(marker, rig.exchange(connection, (data, None)))
        with rig.Caller(self.unit.endpoint) as plain:
            plain.send("kontor.status")
            self.assertNotEqual(plain.end_of_handshake()[0], zmq.EVENT_HANDSHAKE_SUCCEEDED)
        after = self.unit.counters()
        self.assertGreaterEqual(after["connections"], before["connections"] + 8)
        self.assertEqual(after["admitted"], before["admitted"])
        self.assertEqual(after["requests"], before["requests"] + 1)     # that of counters() itself

    def test_what_a_peer_says_of_itself_over_ipc_is_not_believed(self):
        """libzmq passes a peer's own metadata on; who calls comes from the kernel."""
        path = self.kontor.endpoint.removeprefix("ipc://")
        for forged in ([(b"Peer-Address", b"localhost:4242424:0:1")], [(b"User-Id", self.unit.public["admin"].encode())],
                       [(b"peer-address", b"localhost:4242424:0:1"), (b"__fd", b"0")]):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            got = rig.exchange(connection, (rig.zmtp3_null([(b"Socket-Type", b"DEALER"), *forged]), b"READY"),
                               (rig.message(rig.request_frames(method="kontor.keys")), b"has not"))
            self.assertIn(b"kontor.keys needs the role admin, which me has not", got)

    def test_units_call_each_other_with_their_own_keys(self):
        conf, runtime = self.kontor.folder / "far", pathlib.Path(self.kontor.endpoint.removeprefix("ipc://")).parent / "far"
        shutil.copytree(self.unit.conf, conf, dirs_exist_ok=True)
        (conf / "conf.d/network.conf").write_text(f'approvals = "untrusted"\nkey_file = "{self.unit.keys}/peer.key_secret"\n')
        (conf / "units/idgen.conf").write_text(
            f'plugins = {{"idgen"}}\nplugin "idgen" {{ peers = {{"{self.unit.endpoint}"}} '
            f'peer_keys = {{\'{self.unit.public["unit"]}\'}} }}\n')
        command = [BUILD / "bin/kontord", "--unit", "idgen", "--conf", conf, "--runtime", runtime, "--state",
                   self.kontor.folder / "far-state", "--plugins", BUILD / "plugins"]
        with open(self.kontor.folder / "log/far.log", "w+", encoding="utf-8") as log:
            far = subprocess.Popen([str(word) for word in command], stderr=log)
            try:
                rig.wait_until(lambda: "unit is ready" in pathlib.Path(log.name).read_text(), "ready")
                with rig.Caller(f"ipc://{runtime}/idgen.sock") as caller, self.unit.caller("admin") as admin:
                    # the first exchange may be late on a slow machine; there is one every two seconds
                    rig.wait_until(lambda: [peer.get("problem", "") for peer in caller.call("idgen.stats")["peers"]] == [""],
                                   "heard of its peer")
                    seen = {row["user"]: row.get("connections", 0) for row in admin.call("kontor.keys")["rows"]}
                    self.assertGreaterEqual(seen["peer"], 1)
            finally:
                far.terminate()
                far.wait(60)

    # ---- keys change

    def test_a_revoked_key_is_refused_at_once_also_where_it_is_connected(self):
        with self.unit.caller("viewer") as viewer:
            viewer.call("kontor.status")
            code, output, error = self.kontor.run("keys", "revoke", self.unit.keys / "viewer.key", "--no-reload",
                                                  "--conf", self.unit.conf)
            self.assertEqual((code, error), (0, ""))
            self.unit.reload()
            try:
                self.assertIn("is revoked", self.denied(viewer, "kontor.status"))
                with self.unit.caller("viewer") as again:
                    self.assertTrue(again.is_refused())
                code, output, error = self.unit.by_tcp("viewer", "status")
                self.assertEqual((code, output), (1, ""))
                self.assertIn("refused our key", error)
                with self.unit.caller("admin") as admin:
                    states = {row["user"]: row["state"] for row in admin.call("kontor.keys")["rows"]}
                self.assertEqual((states["viewer"], states["operator"]), ("revoked", "valid"))
            finally:
                (self.unit.conf / "revoked-keys").unlink()
                self.unit.reload()
            viewer.call("kontor.status")

    def test_a_key_is_revoked_by_one_command(self):
        with self.unit.caller("viewer") as viewer:
            viewer.call("kontor.status")
            try:
                code, output, error = self.unit.by_tcp("admin", "keys", "revoke", self.unit.public["viewer"], "--conf",
                                                       self.unit.conf)
                self.assertEqual((code, error), (0, ""), output)
                self.assertIn("is revoked", self.denied(viewer, "kontor.status"))
            finally:
                (self.unit.conf / "revoked-keys").unlink()
                self.unit.reload()

    def test_a_key_is_replaced_by_another_without_a_gap(self):
        public, write = self.unit.public, self.unit.write_users
        with self.unit.caller("viewer") as old:
            try:
                old.call("kontor.status")
                write(viewer=[public["viewer"], public["second"]])
                self.unit.reload()
                with self.unit.caller("second") as new:
                    self.assertIn("viewer has not", self.denied(new, "kontor.keys"))
                    old.call("kontor.status")
                    write(viewer=[public["second"]])
                    self.unit.reload()
                    self.assertIn("is no user's any more", self.denied(old, "kontor.status"))
                    new.call("kontor.status")
            finally:
                write()
                self.unit.reload()

    def test_a_wrong_list_of_revoked_keys_changes_nothing(self):
        refused = self.unit.log().count("configuration refused")
        (self.unit.conf / "revoked-keys").write_text(self.unit.public["viewer"] + "\nhalf a line")
        try:
            os.kill(self.unit.pid, signal.SIGHUP)
            rig.wait_until(lambda: self.unit.log().count("configuration refused") > refused, "refused")
            with self.unit.caller("viewer") as viewer:
                viewer.call("kontor.status")
        finally:
            (self.unit.conf / "revoked-keys").unlink()

    # ---- between caller and unit

    def test_a_recorded_session_cannot_be_played_again(self):
        with rig.Proxy(self.unit.port) as proxy:
            with self.unit.caller("operator", endpoint=proxy.endpoint) as operator:
                operator.call("kontor.status")
            recorded = b"".join(proxy.sent)
        self.assertGreater(len(recorded), 64 + 200 + 300)   # greeting, HELLO, INITIATE, and what followed
        before = self.unit.counters()
        rig.exchange(socket.create_connection(("127.0.0.1", self.unit.port)), (recorded, None))
        after = self.unit.counters()
        self.assertEqual(after["requests"], before["requests"] + 1)     # that of counters() itself
        self.assertEqual((after["connections"], after["admitted"]), (before["connections"] + 1, before["admitted"]))

    def test_a_message_that_is_sent_twice_arrives_once(self):
        with rig.Proxy(self.unit.port) as proxy, self.unit.caller("operator", endpoint=proxy.endpoint) as operator:
            operator.call("kontor.status")
            proxy.sent.clear()
            operator.call("kontor.status")
            message = b"".join(proxy.sent)
            before = self.unit.counters()["requests"]
            proxy.pairs[0][1].sendall(message)
            self.assertTrue(proxy.ended.wait(rig.WAIT_S), "the unit keeps a connection whose messages repeat")
        self.assertEqual(self.unit.counters()["requests"], before + 1)

    def test_nobody_can_pose_as_the_unit_with_another_key(self):
        with zmq.Context.instance().socket(zmq.ROUTER) as impostor:
            impostor.linger = 0
            impostor.curve_server = True
            impostor.curve_secretkey = zmq.auth.load_certificate(str(self.unit.keys / "stranger.key_secret"))[1]
            port = impostor.bind_to_random_port("tcp://127.0.0.1")
            code, output, error = self.unit.by_tcp("operator", "status", endpoint=f"tcp://127.0.0.1:{port}")
            self.assertEqual((code, output), (3, ""))
            self.assertIn("hangs up before it looks at our key", error)
            self.assertFalse(impostor.poll(0))

    def test_nobody_can_pose_as_the_unit_without_keys(self):
        with rig.Impostor() as impostor:
            code, output, error = self.unit.by_tcp("operator", "status", endpoint=impostor.endpoint)
            self.assertEqual((code, output), (1, ""))
            self.assertIn("is no kontord with the key", error)
        self.assertGreater(len(impostor.heard), 0)
        for heard in impostor.heard:
            self.assertLessEqual(len(heard), len(GREETING), heard)      # a greeting, and nothing of the request

    def test_nothing_goes_over_a_network_without_keys(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            endpoint = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
            listener.setblocking(False)
            for options in ([], ["--server-key", self.unit.public["unit"]],
                            ["--key-file", self.unit.keys / "operator.key_secret"]):
                code, output, error = self.kontor.run("status", "-e", endpoint, *options)
                self.assertEqual((code, output), (1, ""), error)
                self.assertRegex(error, "a network needs a key of our own|the public key of the unit there is not known")
                with self.assertRaises(BlockingIOError):
                    listener.accept()

    # ---- what must hold when things break

    def test_without_the_handler_nobody_new_gets_in_and_it_shows(self):
        with self.unit.caller("operator") as early:
            early.call("kontor.status")
            try:
                with rig.frozen_thread(self.unit.pid, "zap"):
                    late, stranger = self.unit.caller("operator"), self.unit.caller("stranger")
                    late.send("kontor.status")
                    stranger.send("kontor.status")
                    for _ in range(2500):   # nobody reads the events of these: libzmq must not wait for that
                        socket.create_connection(("127.0.0.1", self.unit.port)).close()
                    rig.wait_until(lambda: "the handler of keys stands still" in self.unit.log(), "noticed")
                    self.assertFalse(self.kontor.json("status")["network"]["well"])
                    early.call("kontor.status")
                    self.assertFalse(late.socket.poll(0) or stranger.socket.poll(0))
            except rig.CannotTrace as reason:
                self.skipTest(f"this machine lets no test stop a thread: {reason}")
            rig.wait_until(lambda: "the handler of keys answers again" in self.unit.log(), "noticed")
            self.assertTrue(self.kontor.json("status")["network"]["well"])
            self.assertEqual(late.socket.recv_multipart()[0][:2], b"\x94\x01")
            self.assertFalse(stranger.socket.poll(0))
            late.close()
            stranger.close()

    def test_no_secret_is_told_to_anybody(self):
        kontord = [BUILD / "bin/kontord", "--unit", "all", "--conf", self.unit.conf, "--plugins", BUILD / "plugins"]
        dumped = subprocess.run([*map(str, kontord), "--dump-config"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertIn('key_file = "<set>"', dumped.stdout)
        with self.unit.caller("admin") as admin:
            told = repr([admin.call(method) for method in ("kontor.keys", "kontor.status", "kontor.methods")])
        processes = subprocess.run(["ps", "-ewwo", "args"], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertIn("kontord", processes)
        for name in self.unit.public:
            secret = zmq.auth.load_certificate(str(self.unit.keys / f"{name}.key_secret"))[1].decode()
            for where, text in (("log", self.unit.log()), ("dump", dumped.stdout), ("replies", told), ("ps", processes)):
                self.assertFalse(secret in text, f"the secret key of {name} is in {where}")


class Start(unittest.TestCase):
    """What a unit says before it is ready, and when it crashes."""

    def setUp(self):
        self.kontor = Instance().__enter__()
        self.addCleanup(self.kontor.__exit__, None, None, None)
        self.unit = rig.Listener(self.kontor)

    def test_the_proof_and_the_crash(self):
        self.assertIn('event="strangers are refused"', self.unit.log())
        with self.unit.caller("operator") as operator:
            operator.call("kontor.status")
        if SANITIZED:
            self.skipTest("a sanitizer's runtime has to be the first library of a process, and takes its crashes")
        os.kill(self.unit.pid, signal.SIGSEGV)
        rig.wait_until(lambda: "crash" in self.unit.log().lower(), "a crash in the log")
        rig.wait_until(lambda: not pathlib.Path(f"/proc/{self.unit.pid}/exe").exists(), "gone")
        secret = zmq.auth.load_certificate(str(self.unit.keys / "unit.key_secret"))[1].decode()
        self.assertNotIn(secret, self.unit.log())
        runtime = self.kontor.endpoint.removeprefix("ipc://").removesuffix("/all.sock")
        command = [BUILD / "bin/kontord", "--unit", "all", "--conf", self.unit.conf, "--runtime", runtime, "--state",
                   self.kontor.folder / "state", "--plugins", BUILD / "plugins"]
        for fault, says in (("domain", "a stranger's key got in|does not tell whose key"), ("handler", "within 5000 ms")):
            with self.subTest(fault):
                library = str(BUILD / f"tests/zmq_without_{fault}.so")
                done = subprocess.run([*map(str, command)], env=dict(os.environ, LD_PRELOAD=library), stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, timeout=300)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn("it cannot be proven that only known keys get in by tcp; nothing listens there", done.stdout)
                self.assertRegex(done.stdout, says)


if __name__ == "__main__":
    unittest.main()
