# SPDX-License-Identifier: Apache-2.0
"""Faults on purpose: what callers see of each kind, and that a change whose reply was lost is done once. Arguments as
unit_test.py, and the command line."""
import signal
import subprocess
import sys
import time
import unittest

from unit_test import BUSY, DEADLINE, DRAINING, UnitTest, Caller, Refused

KONTOR = sys.argv.pop(4)
UNAVAILABLE = -12


class Faults(UnitTest):
    unit_conf = '''
fault "lost-replies" { method = "probe.submit" kind = "drop-reply" trigger = "{folder}/lost-replies" }
fault "lost-requests" { method = "probe.w*" kind = "drop-request" trigger = "{folder}/lost-requests" }
fault "errors" { method = "probe.*" kind = "error" percent = 30 trigger = "{folder}/errors" }
fault "busy" { method = "*" kind = "error" code = "BUSY" retry_after = 70ms trigger = "{folder}/busy" }
fault "frozen" { method = "jobs.get" kind = "delay" delay = 60s trigger = "{folder}/frozen" }
fault "slow" { method = "jobs.list" kind = "delay" delay = 300ms trigger = "{folder}/slow" }
'''

    def write_users(self, roles='"operator", "approver"'):
        super().write_users(roles)
        unit = self.folder / "conf/units/one.conf"                  # the folder has a name by now
        unit.write_text(unit.read_text().replace("{folder}", str(self.folder)))

    def pull(self, name):
        """The trigger's file is there, and was seen."""
        (self.folder / name).touch()
        self.await_fault(name, True)

    def release(self, name):
        (self.folder / name).unlink()
        self.await_fault(name, False)

    def fault(self, name):
        return next(fault for fault in self.caller.call("kontor.status")["faults"] if fault["fault"] == name)

    def await_fault(self, name, active):
        until = time.monotonic() + 10
        while self.fault(name)["active"] != active:
            self.assertLess(time.monotonic(), until, f"the trigger of {name} was not seen")
            time.sleep(0.02)

    def test_a_change_whose_reply_was_lost_is_done_once_when_it_is_sent_again(self):
        self.pull("lost-replies")
        self.caller.send("probe.submit", {"job_id": 7}, key="once")
        self.assertTrue(self.caller.silent(500))
        self.release("lost-replies")
        self.assertEqual(self.caller.call("probe.submit", {"job_id": 7}, key="once"), {"job_id": 7})
        self.assertEqual([row["job_id"] for row in self.caller.call("jobs.list")["rows"]], [7])
        self.assertEqual(self.fault("lost-replies")["hits"], 1)

    def test_a_lost_request_does_nothing(self):
        self.pull("lost-requests")
        self.caller.send("probe.wait", {"ms": 0})
        self.assertTrue(self.caller.silent(300))
        self.release("lost-requests")
        self.assertEqual(self.caller.call("probe.wait", {"ms": 0}), {"slept_ms": 0})
        self.assertEqual(self.plugin("probe")["requests"], 1)

    def outcomes(self, count):
        outcomes = []
        for _ in range(count):
            try:
                outcomes.append(bool(self.caller.call("probe.who")["user"]))
            except Refused as refused:
                self.assertEqual(refused.code, UNAVAILABLE)
                self.assertIn('fault "errors"', str(refused))
                outcomes.append(False)
        return outcomes

    def test_a_third_of_the_calls_fail_the_same_ones_each_time_and_the_client_tries_again(self):
        self.pull("errors")
        first = self.outcomes(60)
        self.assertTrue(5 < first.count(False) < 35, first)
        self.stop()
        self.start()
        self.await_fault("errors", True)
        self.assertEqual(self.outcomes(60), first)
        hits = self.fault("errors")["hits"]
        for _ in range(15):
            done = subprocess.run([KONTOR, "-e", self.endpoint, "call", "probe.who"], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            self.assertEqual(done.returncode, 0, done.stdout)
        self.assertGreater(self.fault("errors")["hits"], hits)

    def test_an_error_has_its_code_and_its_advice_but_the_unit_itself_is_left_alone(self):
        self.pull("busy")
        for method in ("probe.who", "jobs.list"):
            self.assertEqual(self.refused(BUSY, method)["retry_after_ms"], 70)
        self.assertEqual(self.caller.call("kontor.ping")["state"], "ready")
        self.assertEqual(self.plugin("probe")["requests"], 0)
        self.assertEqual(self.counters()["faults"], 2)

    def test_a_delay_holds_up_nobody_else_and_may_outlast_the_callers_time(self):
        self.pull("slow")
        begun = time.monotonic()
        slow = self.caller.send("jobs.list")
        self.assertEqual(Caller(self.endpoint).call("probe.who")["user"], "me")
        self.assertTrue(self.caller.silent(0), "the delayed call was answered first")
        self.assertEqual(self.caller.receive()[0][1:3], [2, slow])
        self.assertGreaterEqual(time.monotonic() - begun, 0.29)
        self.refused(DEADLINE, "jobs.list", left_ms=100)

    def test_a_drain_answers_what_is_delayed(self):
        self.pull("frozen")
        frozen = Caller(self.endpoint)
        frozen.send("jobs.get", {"job_id": 1})
        while not self.fault("frozen")["hits"]:
            time.sleep(0.01)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(frozen.receive()[1]["code"], DRAINING)
        self.assertEqual(self.process.wait(20), 0)

    def test_faults_are_warned_of(self):
        self.assertEqual(self.log_text().count("a fault is configured"), 6)
        done = subprocess.run(self.command("--check"), stderr=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, done.stderr.count("a fault is configured")), (0, 6))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
