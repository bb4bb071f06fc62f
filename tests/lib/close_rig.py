# SPDX-License-Identifier: Apache-2.0
"""Writers that add items through settlement.add_items while windows are closed under them: every item must be in exactly one
window, and the frozen totals of a closed window must be those of its rows."""
import collections
import threading
import time

from service import Failure, Service

RETRY = (-10, -11, -12, -14, -20, -30, -32)


class CloseRig:
    """`writers` DEALER clients served by a few threads; each sends batches until the last window has closed."""

    def __init__(self, kontor, region, writers, windows, batch=5, threads=8):
        self.kontor, self.region, self.windows, self.batch = kontor, region, windows, batch
        self.writers, self.threads = writers, threads
        self.stop = threading.Event()
        self.accepted = collections.Counter()    # order_id -> times that an answer said it was stored
        self.lock = threading.Lock()
        self.failures = []
        self.calls = 0

    def write(self, first, count):
        services = [Service(self.kontor.endpoint) for _ in range(count)]
        pending = [None] * count
        number = [0] * count
        try:
            while not self.stop.is_set() or any(pending):
                for index, service in enumerate(services):
                    if pending[index] is None:
                        if self.stop.is_set():
                            continue
                        number[index] += 1
                        pending[index] = self.items(first + index, number[index])
                    service.send("settlement.add_items", f"w{first + index}-{number[index]}", region=self.region,
                                 items=pending[index])
                for index, service in enumerate(services):
                    if pending[index] is None:
                        continue
                    try:
                        answer = service.receive()
                    except Failure as failure:
                        if failure.code not in RETRY:
                            raise
                        time.sleep(0.01)
                        continue                                    # the same key again in the next round
                    with self.lock:
                        self.calls += 1
                        for sent, got in zip(pending[index], answer["items"]):
                            if got["verdict"] not in ("ok", "late"):
                                raise AssertionError(f"{sent}: {got}")
                            self.accepted[sent["order_id"]] += 1
                    pending[index] = None
        except BaseException as failure:  # pylint: disable=broad-except
            self.failures.append(failure)
            self.stop.set()
        finally:
            for service in services:
                service.close()

    def items(self, writer, number):
        return [{"shop_user_id": 1000 + writer, "order_id": f"W-{writer}-{number}-{n}", "item_type": "order",
                 "amount_minor": 1 + n, "currency": "SGD", "occurred_at": f"2026-11-0{2 + n}T05:00:00Z"}
                for n in range(self.batch)]

    def run(self):
        """Returns a list of what is wrong."""
        share = self.writers // self.threads
        threads = [threading.Thread(target=self.write, args=(index * share, share)) for index in range(self.threads)]
        for thread in threads:
            thread.start()
        closed = {}
        try:
            for window in self.windows:
                time.sleep(1.0)
                closed[window] = self.kontor.json("settlement", "close", "--region", self.region, "--window", window,
                                                  "--early", "--follow")
                self.kontor.json("payout", "run", "--region", self.region, "--window", window, "--follow")
        finally:
            time.sleep(0.5)
            self.stop.set()
            for thread in threads:
                thread.join()
        if self.failures:
            raise self.failures[0]
        return self.check(closed)

    def check(self, closed):
        wrong = []
        rows = self.kontor.sql(f"SELECT order_id, window_no FROM billing_item WHERE region='{self.region}'")
        stored = collections.Counter(order for order, _ in rows)
        wrong += [f"{order} is stored {times} times" for order, times in stored.items() if times != 1]
        wrong += [f"{order} was accepted but is not stored" for order in self.accepted if order not in stored]
        wrong += [f"{order} is stored but nobody was told" for order in stored if order not in self.accepted]
        per_window = collections.Counter(window for _, window in rows)
        for window, answer in closed.items():
            number = window.replace("-W", "")
            if per_window[number] != answer["items"]:
                wrong.append(f"{window} closed with {answer['items']} items, has {per_window[number]}")
        return wrong
