# SPDX-License-Identifier: Apache-2.0
"""Files that are uploaded at the same time. Where two of them hold the same, which one gets it is a matter of time; what is stored,
and that each row has one verdict, is not."""
import copy
import threading
import time

import verdict_files
import verdict_model
from threads import at_once

AS = ([], ["--as", "alice"], ["--as", "bob"])                       # who uploads; what bob uploads must need no approval: he gives them


class Pairs:
    """Of a VerdictRig."""

    def prepare(self, world, rows):
        """The rows as a file, judged by what counts now; returns the command that uploads it."""
        world.now_ms = time.time() * 1000
        path = self.write(rows)
        verdict_model.judge(world, rows)
        return self.command(world, path)

    def start_all(self, commands):
        """Their answers; each command is another user's, and all of them begin together."""
        together = threading.Barrier(len(commands))

        def upload(number):
            together.wait()
            return self.answer([*commands[number], *AS[number]])
        return at_once(upload, range(len(commands)))

    def write_rows(self, world, fields):
        """Rows by a header of their own."""
        self.writer = verdict_files.Writer(world, self.random)
        return [self.writer.row(one) for one in fields]

    def two_at_once(self, world, rows, crossed=False):
        """Two files of one region and kind; a third of the rows is in both of them. crossed: in opposite order, so that of files of
        several batches each comes to wait for what the other has."""
        size, files = len(rows), []
        for part in (rows[:size * 2 // 3], rows[size // 3:]):
            part = [copy.copy(row) for row in part]
            if not crossed:
                self.random.shuffle(part)
            files.append(part)
        if crossed:
            files[1].reverse()
        commands = [self.prepare(world, part) for part in files]
        what = f"seed {self.seed}, files {self.files - 1} and {self.files} ({world.kind}, at once)"
        self.report(f"  {what}")
        answers = self.start_all(commands)
        self.gave_up += [answer["state"] for answer in answers].count("failed")
        gave_up = [number for number in (0, 1) if answers[number]["state"] == "failed"]
        if len(gave_up) == 2 or (gave_up and "not accepted yet" not in answers[gave_up[0]]["error"]):
            self.wrong.append(f"{what}: {[(answer['state'], answer.get('error')) for answer in answers]}")
            return
        if not gave_up:
            rejects = [{int(row["line"]): row["verdict"] for row in self.kontor.lines("upload", "rejects", answer["upload_id"])}
                       for answer in answers]
            verdict_model.share(world, files, rejects)
        for number in (0, 1):
            if number not in gave_up:
                self.compare(world, f"{what}, {('first', 'second')[number]}", answers[number], files[number])
                self.take(world, what, answers[number], files[number])
        for number in gave_up:                                      # it waited for rows of the other, and the other for its own
            verdict_model.judge(world, files[number])
            answer = self.answer(commands[number])
            self.compare(world, f"{what}, once more", answer, files[number])
            self.take(world, what, answer, files[number])

    def many_at_once(self, sources, size):
        """Files of several kinds and regions, which have nothing to do with each other. sources: (world, facts)."""
        files = []
        for world, facts in sources:
            rows = self.write_rows(world, (facts.fields() for _ in range(size)))
            files.append((world, rows, self.prepare(world, rows)))
        what = f"seed {self.seed}, files {self.files - len(files) + 1} to {self.files} (of several kinds and regions at once)"
        self.report(f"  {what}")
        for (world, rows, _), answer in zip(files, self.start_all([command for _, _, command in files])):
            self.compare(world, f"{what}, {world.kind} {world.region}", answer, rows)
            self.take(world, what, answer, rows)

    def check_items(self, world):
        """What is stored in the region is what the model has, each fact once."""
        stored = sorted((int(shop), order, kind, int(minor), currency, int(occurred)) for shop, order, kind, minor, currency, occurred
                        in self.kontor.sql("SELECT shop_user_id, order_id, ELT(item_type, 'order', 'refund', 'adjustment', 'fee', 'tax', "
                                           f"'voucher'), amount_minor, currency, occurred_ms FROM billing_item WHERE region = '{world.region}'"))
        expected = sorted(world.stored.values())
        if stored != expected:
            self.wrong.append(f"{world.region}: {len(stored)} items are stored, the model has {len(expected)}")
