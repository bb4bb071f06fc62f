#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""frame_proxy.py FRONT BACK SEED: passes messages between clients at FRONT and the service at BACK, many of them late, many
twice, in both directions; so they also overtake each other. Prints a line when it is there, and on SIGTERM what it did, as one
JSON object."""
import heapq
import json
import random
import signal
import sys
import time

import zmq

DUPLICATED, DELAYED, LONGEST_S = 0.2, 0.2, 1.5
CLIENTS_LIMIT = 64                                                  # the longest silent one is forgotten


class Proxy:
    def __init__(self, front, back, seed):
        self.context, self.back, self.random = zmq.Context(), back, random.Random(seed)
        self.front = self.context.socket(zmq.ROUTER)
        self.front.linger = 0
        self.front.bind(front)
        self.dealers = {}                                           # a client's route -> its own socket to the service
        self.waiting = []                                           # heap of (when, number, route, frames, to the service?)
        self.poller = zmq.Poller()
        self.poller.register(self.front, zmq.POLLIN)
        self.counts = {"passed": 0, "duplicated": 0, "delayed": 0}
        self.running = True

    def dealer(self, route):
        found = self.dealers.pop(route, None)
        if found is None:
            found = self.context.socket(zmq.DEALER)
            found.linger = 0
            found.connect(self.back)
            self.poller.register(found, zmq.POLLIN)
            if len(self.dealers) == CLIENTS_LIMIT:
                oldest = self.dealers.pop(next(iter(self.dealers)))
                self.poller.unregister(oldest)
                oldest.close()
        self.dealers[route] = found                                 # the most recent one last
        return found

    def deliver(self, route, frames, inward):
        try:
            if inward:
                self.dealer(route).send_multipart(frames, zmq.DONTWAIT)
            else:
                self.front.send_multipart([route, *frames], zmq.DONTWAIT)
        except zmq.Again:
            pass                                                    # a full queue: the message is lost, as on a bus

    def take(self, route, frames, inward):
        self.counts["passed"] += 1
        copies = 1
        if self.random.random() < DUPLICATED:
            self.counts["duplicated"] += 1
            copies = 2
        for _ in range(copies):
            if self.random.random() < DELAYED:
                self.counts["delayed"] += 1
                when = time.monotonic() + self.random.expovariate(1) * LONGEST_S / 5
                heapq.heappush(self.waiting, (when, self.counts["delayed"], route, frames, inward))
            else:
                self.deliver(route, frames, inward)

    def turn(self):
        wait = 100
        if self.waiting:
            wait = max(0, min(wait, 1 + int((self.waiting[0][0] - time.monotonic()) * 1000)))
        ready = dict(self.poller.poll(wait))
        if self.front in ready:
            route, *frames = self.front.recv_multipart()
            self.take(route, frames, True)
        for route, dealer in list(self.dealers.items()):
            if dealer in ready:
                self.take(route, dealer.recv_multipart(), False)
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            _, _, route, frames, inward = heapq.heappop(self.waiting)
            self.deliver(route, frames, inward)

    def end(self, *_):
        self.running = False


def main():
    proxy = Proxy(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    signal.signal(signal.SIGTERM, proxy.end)
    print("ready", flush=True)
    while proxy.running:
        proxy.turn()
    print(json.dumps(proxy.counts))
    proxy.context.destroy(0)


if __name__ == "__main__":
    main()
