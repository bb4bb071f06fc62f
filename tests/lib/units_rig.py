# SPDX-License-Identifier: Apache-2.0
"""The uploads of upload_rig.py with a second unit beside the first: each has one thread for them, and both work on one job."""
import pathlib
import signal
import time

import zmq

from bench_rig import Unit
from service import Failure, Service
from threads import at_once
from upload_rig import UploadRig

NAME, READY_WITHIN = "second", 60


class UnitsRig(UploadRig):
    def __init__(self, folder, rows, seed, **options):
        super().__init__(folder, rows, seed, threads=1, workers=2, with_ids=1.0, **options)    # the second unit issues no ids
        (self.kontor.folder / f"conf/units/{NAME}.conf").write_text('plugins = {"settlement"}\n')
        self.second = Unit(self.kontor, NAME)

    def close(self):
        self.second.stop()
        super().close()

    def start_second(self):
        self.second.start()
        until = time.monotonic() + READY_WITHIN
        while not self.answers():
            if self.second.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the second unit does not answer; see {self.second.log.name}")

    def answers(self):
        with Service(self.second.endpoint, timeout=0.5) as service:
            try:
                return service.call("kontor.ping")["state"] == "ready"
            except (zmq.Again, Failure):
                return False

    def kill_once(self, region, target):
        if target != NAME:
            return super().kill_once(region, target)
        self.second.process.send_signal(signal.SIGKILL)
        self.second.process.wait(READY_WITHIN)
        doing, _ = self.standing(region)
        self.hits[target, doing] = self.hits.get((target, doing), 0) + 1
        self.chunk_kills += doing == "chunks"
        self.start_second()
        return doing

    # ---- how fast

    def measured_upload(self):
        """(seconds of the command, rows/s from its first chunk to its last) of an upload that nobody disturbs."""
        region = self.regions.pop(0)
        self.progress = None

        def watcher(region):
            while not self.finished and not self.progress:
                self.watch(region)
                time.sleep(0.02)
        start = time.monotonic()
        answer = self.upload(region, watcher)
        seconds = time.monotonic() - start
        time.sleep(0.2)
        self.progress.stopping = True
        self.progress.join()
        self.check_answer(region, answer)
        (first, begun), (last, done) = self.progress.marks[0], self.progress.marks[-1]
        return seconds, (done - begun) / max(0.001, last - first)

    def bare_files(self):
        """The rows of the undisturbed upload as LOAD DATA takes them: all, and in two halves."""
        self.columns_of_item = self.kontor.sql(
            "SELECT GROUP_CONCAT(column_name ORDER BY ordinal_position) FROM information_schema.columns "
            "WHERE table_schema = 'kontor' AND table_name = 'billing_item'")[0][0]
        middle = self.rows // 2
        self.bare = {"all": "1", "first": f"line_no <= {middle}", "second": f"line_no > {middle}"}
        for name, condition in self.bare.items():
            path = pathlib.Path(self.folder) / f"{name}.tsv"
            self.kontor.sql(f"SELECT {self.columns_of_item} INTO OUTFILE '{path}' CHARACTER SET binary FROM billing_item "
                            f"WHERE region = '{self.reference_region}' AND {condition} ORDER BY line_no")

    def bare_load(self, *names):
        """Seconds of one stream for each name, at the same time."""
        self.kontor.sql("CREATE DATABASE IF NOT EXISTS bare; DROP TABLE IF EXISTS bare.billing_item; "
                        "CREATE TABLE bare.billing_item LIKE kontor.billing_item")
        start = time.monotonic()
        at_once(self.kontor.sql, [f"LOAD DATA LOCAL INFILE '{self.folder}/{name}.tsv' INTO TABLE bare.billing_item CHARACTER SET binary "
                                  f"({self.columns_of_item})" for name in names])
        seconds = time.monotonic() - start
        loaded = int(self.kontor.sql("SELECT COUNT(*) FROM bare.billing_item")[0][0])
        if loaded != self.expected["ok"] + self.expected["late"]:
            raise AssertionError(f"{loaded} rows were loaded")
        return seconds
