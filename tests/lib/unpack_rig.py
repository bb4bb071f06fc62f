# SPDX-License-Identifier: Apache-2.0
"""Uploads of a packed file that are killed, or cancelled, while their plan unpacks it: the unpacked pieces are stored one by one."""
import gzip
import time

from upload_input import zstd_frames
from upload_rig import UploadRig

PIECE = 1 << 20
PIECE_SECONDS = 0.3             # for storing one, in the uploads that are disturbed: a look at how far they are takes some of it
PACKERS = {"gzip": lambda data: gzip.compress(data, 1), "zstd": zstd_frames}


class UnpackRig(UploadRig):
    """packing: gzip or zstd."""

    def __init__(self, folder, rows, seed, packing, **options):
        super().__init__(folder, rows, seed, longest_pause=1, **options)
        data = self.file.read_bytes()
        self.pieces = -(-len(data) // PIECE)
        self.file = self.folder / "items.packed"
        self.file.write_bytes(PACKERS[packing](data))
        self.met = []                                               # unpacked pieces that were there at each kill, of those of the file

    def undisturbed(self):
        super().undisturbed()
        self.kontor.sql(f"CREATE TRIGGER slow_disk BEFORE INSERT ON upload_plain FOR EACH ROW DO SLEEP({PIECE_SECONDS})")

    def stored(self, region):
        """(state, pieces) of the region's upload; None before there is one."""
        rows = self.kontor.sql(f"SELECT u.state, COUNT(p.upload_id) FROM upload u LEFT JOIN upload_plain p ON p.upload_id = u.upload_id "
                               f"WHERE u.region = '{region}' GROUP BY u.upload_id ORDER BY u.upload_id DESC LIMIT 1")
        return (rows[0][0], int(rows[0][1])) if rows else None

    def pause(self, region):
        """Until some pieces are there. After a kill the plan stores them again from the first one on, so those of before wait, too."""
        some, until = self.random.randrange(1, self.pieces), time.monotonic() + self.ends_within
        while not self.finished and time.monotonic() < until:
            stored = self.stored(region)
            if stored and stored[0] not in ("receiving", "checking"):
                return                                              # too late
            if stored and stored[1] >= some:
                self.met.append(stored[1])
                time.sleep(self.random.uniform(0, 0.05))
                return

    def cancel_while_unpacking(self):
        """Cancels one upload, mostly in the middle of its plan; none of its bytes may stay. Returns whether it was unpacked just then."""
        region, self.finished = self.regions.pop(0), False
        command = self.type_command(region)
        self.pause(region)
        upload_id, job_id, state = self.kontor.sql(f"SELECT upload_id, job_id, state FROM upload WHERE region = '{region}'")[0]
        cancelled = self.kontor.run("jobs", "cancel", job_id)[0] == 0
        command.communicate(timeout=self.ends_within)
        if not cancelled:                                           # it has ended
            return False
        left = [self.kontor.sql(f"SELECT COUNT(*) FROM {table} WHERE upload_id = {upload_id}")[0][0]
                for table in ("upload_plain", "upload_piece", "upload_reject", "upload_total", "billing_item")]
        if set(left) != {"0"} or self.stored(region)[0] != "cancelled":
            self.wrong.append(f"{region}: of the cancelled upload are left: {left}, {self.stored(region)}")
        return state == "checking"

    def hits_of_plan(self):
        return sum(count for (_, doing), count in self.hits.items() if doing == "plan")
