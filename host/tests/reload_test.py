# SPDX-License-Identifier: Apache-2.0
"""Plugins that come, go and are switched while the unit serves: what callers see. Arguments as of unit_test.py."""
import os
import signal
import threading
import time
import unittest

import zmq

from unit_test import DENIED, DISABLED, DRAINING, NO_METHOD, PATIENCE, REPLY, Caller, Refused, UnitTest


class ReloadTest(UnitTest):
    def setUp(self):
        super().setUp()
        self.unit_file = self.folder / "conf/units/one.conf"

    def write_users(self, roles='"operator", "approver", "admin"'):
        super().write_users(roles)

    def site(self, text):
        (self.folder / "conf/conf.d/more.conf").write_text(text)

    def plugins(self, *names):
        self.unit_file.write_text("plugins = {%s}\n" % ", ".join(f'"{name}"' for name in names) + self.unit_conf)

    def reload(self, caller=None):
        answer = (caller or self.caller).call("kontor.reload", left_ms=PATIENCE * 1000)
        self.assertEqual(answer["unit"], "one")
        return answer["taken"], [(row["verdict"], row["place"], row["message"]) for row in answer["rows"]]

    def taken(self, *names):
        self.plugins(*names)
        taken, rows = self.reload()
        self.assertTrue(taken, rows)
        self.assertEqual([row for row in rows if row[0] == "failed"], [])
        self.assertEqual(self.names(), {"kontor", "jobs", "approval", *names})
        return rows

    def names(self):
        return {plugin["name"] for plugin in self.caller.call("kontor.status")["plugins"]}

    def job(self, number):
        return self.caller.call("jobs.get", {"job_id": number})

    def wait_for_job(self, number, state="done"):
        self.wait_until(lambda: self.job(number)["state"] == state, state)


class ComeAndGo(ReloadTest):
    def test_a_plugin_comes_with_its_methods_and_job_kinds_and_goes_again(self):
        self.refused(NO_METHOD, "other.who")
        rows = self.taken("probe", "other")
        self.assertIn(("taken", "", "plugin other 1.0 is in"), rows)
        self.assertTrue(any(place.endswith("one.conf:1") and message == "plugins" for _, place, message in rows), rows)
        self.assertEqual(self.caller.call("other.wait", {"ms": 0}), {"slept_ms": 0})
        self.caller.call("other.submit", {"job_id": 5}, key="five")
        self.wait_for_job(5)
        self.assertEqual(self.caller.call("probe.who_inside")["inside"]["user"], "one")
        self.assertEqual(self.caller.call("probe.call", {"method": "other.who"}), {})
        self.site('service "other" { enabled = no }\n')               # probe calls it
        self.taken("probe")
        self.site("")
        self.taken("probe", "other")
        self.assertEqual(self.caller.call("other.wait", {"ms": 0}), {"slept_ms": 0})

    def test_a_plugin_comes_and_goes_many_times(self):
        self.site('service "other" { endpoints = {"ipc:///run/kontor/other.sock"} }\n')
        for number in range(1, 31):                                   # more often than there are places in a unit
            self.taken("probe", "other")
            self.caller.call("other.submit", {"job_id": number}, key=str(number))
            self.assertEqual(self.caller.call("other.wait", {"ms": 1}), {"slept_ms": 1})
            self.taken("probe")
            self.assertEqual(self.caller.call("probe.wait", {"ms": 1}), {"slept_ms": 1})
        self.taken("probe", "other")
        for number in range(1, 31):
            self.wait_for_job(number)

    def test_what_runs_and_waits_is_finished_and_the_rest_of_the_unit_never_pauses(self):
        self.unit_conf = 'plugin "other" { workers = 1 }\n'
        self.site('service "other" { endpoints = {"ipc:///run/kontor/other.sock"} }\n')
        self.taken("probe", "other")
        accepted = [self.hold("other") for _ in range(3)]
        self.plugins("probe")
        verdict = []
        asker = threading.Thread(target=lambda: verdict.append(self.reload(Caller(self.endpoint))))
        asker.start()
        self.wait_for_log("configuration read again", 2)
        late = Caller(self.endpoint)
        with self.assertRaises(Refused) as caught:
            late.call("other.wait", {"ms": 0})
        self.assertEqual(caught.exception.code, DRAINING)
        self.assertGreater(caught.exception.body["retry_after_ms"], 0)
        for _ in range(20):
            self.assertEqual(late.call("probe.wait", {"ms": 0}), {"slept_ms": 0})
        self.assertTrue(asker.is_alive())
        self.release()
        asker.join()
        answers = [self.caller.receive() for _ in accepted]
        self.assertEqual([(header[1], header[2]) for header, _ in answers], [(REPLY, number) for number in accepted])
        self.assertIn(("taken", "", "plugin other is out"), verdict[0][1])
        self.refused(DRAINING, "other.wait")                          # who has not heard of it yet goes elsewhere
        self.assertNotIn("other", self.names())

    def test_jobs_of_a_plugin_that_leaves_stop_at_a_checkpoint_and_go_on_where_it_comes_back(self):
        self.site('service "other" { endpoints = {"ipc:///run/kontor/other.sock"} }\n')
        for attempt in range(1, 21):                                  # a slow machine may end a job before the reload comes to it
            numbers = (10 * attempt, 10 * attempt + 1)
            self.taken("probe", "other")
            for number in numbers:
                self.caller.call("other.submit", {"job_id": number}, key=str(number))
            self.wait_until(lambda: self.job(numbers[0])["done"], "at work")  # pylint: disable=cell-var-from-loop
            self.taken("probe")
            before = [(job["state"], job["done"]) for job in map(self.job, numbers)]
            if ("done", 10) not in before:
                break
        self.assertNotIn(("done", 10), before)
        time.sleep(0.7)                                               # a lane looks every half second
        self.assertEqual([(job["state"], job["done"]) for job in map(self.job, numbers)], before)
        self.taken("probe", "other")
        for number in numbers:
            self.wait_for_job(number)
            self.assertEqual(self.job(number)["done"], 10)


class Switches(ReloadTest):
    def test_a_service_is_switched_off_and_on_by_one_line(self):
        self.taken("probe", "other")
        running = self.hold("other")
        late = Caller(self.endpoint)
        self.site('service "other" { enabled = no }\n')
        taken, rows = self.reload(late)
        self.assertTrue(any(verdict == "taken" and place.endswith("more.conf:1") and message == 'service "other" enabled'
                            for verdict, place, message in rows), rows)
        for method, arguments in ("other.who", {}), ("probe.call", {"method": "other.who"}):
            with self.assertRaises(Refused) as caught:
                late.call(method, arguments)
            self.assertEqual(caught.exception.code, DISABLED)
            self.assertIn("dev", str(caught.exception))
        self.release()
        self.assertEqual(self.caller.receive()[0][1:3], [REPLY, running])
        self.assertFalse(self.plugin("other")["enabled"])
        self.site("")
        self.reload()
        self.assertEqual(self.caller.call("other.wait", {"ms": 0}), {"slept_ms": 0})
        self.assertEqual(self.caller.call("probe.call", {"method": "other.who"}), {})

    def test_callers_in_the_unit_follow_to_another_place(self):
        elsewhere = zmq.Context.instance().socket(zmq.ROUTER)
        self.addCleanup(elsewhere.close, 0)
        elsewhere.bind(f"ipc://{self.folder}/elsewhere.sock")
        self.taken("probe", "other")
        self.site(f'service "other" {{ endpoints = {{"ipc://{self.folder}/elsewhere.sock"}} }}\n')
        self.taken("probe")
        self.caller.send("probe.call", {"method": "other.who"})
        self.assertTrue(elsewhere.poll(PATIENCE * 1000))

    def test_limits_of_a_queue_are_taken_and_the_number_of_workers_needs_a_restart(self):
        self.unit_conf = 'plugin "probe" {\n queue = 7\n workers = 3\n}\n'
        rows = self.taken("probe")
        self.assertEqual(self.plugin("probe")["queue"], 7)
        self.assertEqual(self.plugin("probe")["workers"], 4)
        self.assertTrue(any(row[0] == "restart" and row[1].endswith("one.conf:4") and "workers" in row[2]
                            for row in rows), rows)

    def test_only_an_admin_reloads(self):
        super(ReloadTest, self).write_users()
        self.reload()
        self.assertIn("needs the role admin", self.refused(DENIED, "kontor.reload")["message"])


class Failures(ReloadTest):
    def test_a_configuration_with_a_problem_changes_nothing(self):
        self.taken("probe", "other")
        self.unit_file.write_text('plugins = {"probe", "othr"}\n')
        self.site('service "probe" { enabled = no }\n')
        taken, rows = self.reload()
        self.assertFalse(taken)
        self.assertTrue(all(verdict == "refused" for verdict, _, _ in rows), rows)
        self.assertTrue(any("one.conf:1" in place and "did you mean 'other'" in message for _, place, message in rows),
                        rows)
        for method in "probe.wait", "other.wait":
            self.assertEqual(self.caller.call(method, {"ms": 0}), {"slept_ms": 0})

    def test_a_plugin_whose_callers_would_have_no_place_to_call_stays(self):
        self.taken("probe", "other")
        self.plugins("probe")
        taken, rows = self.reload()
        self.assertFalse(taken)
        self.assertIn("plugin 'probe' calls other", rows[0][2])
        self.assertIn("one.conf:1", rows[0][1])
        self.assertEqual(self.caller.call("other.wait", {"ms": 0}), {"slept_ms": 0})
        (self.folder / "conf/units/other.conf").write_text('plugins = {"other"}\n')  # then RUNTIME/other.sock
        self.taken("probe")

    def test_a_plugin_that_does_not_start_is_not_taken_but_the_rest_is(self):
        self.unit_conf = 'plugin "other" { word = "unstartable" }\nplugin "probe" { word = "new" }\n'
        self.plugins("probe", "other")
        taken, rows = self.reload()
        failed = [row for row in rows if row[0] == "failed"]
        self.assertEqual(len(failed), 1, rows)
        self.assertRegex(failed[0][1], "one.conf:1$")
        self.assertIn("plugin other does not start: this word does not start", failed[0][2])
        self.assertRegex(self.log_text(), 'could not be taken.*this word does not start')
        self.assertEqual(self.caller.call("probe.who")["word"], "new")
        self.assertEqual(self.names(), {"kontor", "jobs", "approval", "probe"})
        self.unit_conf = ""
        self.taken("probe", "other")
        self.assertEqual(self.caller.call("other.wait", {"ms": 0}), {"slept_ms": 0})

    def test_a_plugin_that_takes_longer_than_drain_timeout_leaves_when_it_can(self):
        self.site('drain_timeout = 1s\nservice "other" { endpoints = {"ipc:///run/kontor/other.sock"} }\n')
        self.taken("probe", "other")
        running = self.hold("other")
        late = Caller(self.endpoint)
        self.plugins("probe")
        taken, rows = self.reload(late)
        self.assertTrue(any(row[0] == "failed" and "has not ended yet" in row[2] for row in rows), rows)
        self.plugins("probe", "other")                                # too early
        taken, rows = self.reload(late)
        self.assertTrue(any(row[0] == "failed" and "still being taken out" in row[2] for row in rows), rows)
        self.release()
        self.assertEqual(self.caller.receive()[0][1:3], [REPLY, running])
        self.wait_for_log("plugin taken out")
        self.taken("probe", "other")

    def test_sigterm_during_a_reload_stops_the_unit_as_always(self):
        self.site('service "other" { endpoints = {"ipc:///run/kontor/other.sock"} }\n')
        self.taken("probe", "other")
        running = self.hold("other")
        asker = Caller(self.endpoint)
        self.plugins("probe")
        asked = asker.send("kontor.reload", left_ms=PATIENCE * 1000)
        self.wait_for_log("configuration read again", 2)
        self.process.send_signal(signal.SIGTERM)
        header, body = asker.receive()
        self.assertEqual((header[2], body["taken"]), (asked, True))
        self.assertIn("has not ended yet", body["rows"][-1]["message"])
        self.release()
        self.assertEqual(self.caller.receive()[0][1:3], [REPLY, running])
        self.assertEqual(self.process.wait(PATIENCE), 0)
        self.assertIn("unit has stopped", self.log_text())

    def test_who_asks_during_a_reload_is_answered_by_one_that_began_later(self):
        self.site('service "other" { endpoints = {"ipc:///run/kontor/other.sock"} }\n')
        self.taken("probe", "other")
        self.hold("other")
        first = Caller(self.endpoint)
        self.plugins("probe")
        asked = first.send("kontor.reload", left_ms=PATIENCE * 1000)
        self.wait_for_log("configuration read again", 2)
        self.process.send_signal(signal.SIGHUP)
        self.plugins("probe", "other")
        second = Caller(self.endpoint)
        later = second.send("kontor.reload", left_ms=PATIENCE * 1000)
        second.send("kontor.ping")                                    # answered after the unit has read what came before
        self.assertNotEqual(second.receive()[0][2], later)
        self.release()
        header, body = first.receive()
        self.assertEqual((header[2], body["taken"]), (asked, True))
        header, body = second.receive()
        self.assertEqual((header[2], body["taken"]), (later, True))
        self.assertIn("plugin other 1.0 is in", [row["message"] for row in body["rows"]])
        self.assertEqual(self.caller.receive()[0][1], REPLY)          # of other.wait
        self.assertEqual(self.caller.call("other.wait", {"ms": 0}), {"slept_ms": 0})


if __name__ == "__main__":
    unittest.main(argv=[os.path.basename(__file__)], verbosity=2)
