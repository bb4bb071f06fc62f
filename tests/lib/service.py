# SPDX-License-Identifier: Apache-2.0
"""A service that calls Kontor over ZeroMQ: a socket, msgpack, and nothing of Kontor's."""
import msgpack
import zmq


class Failure(Exception):
    """What was answered instead of a reply."""

    def __init__(self, body):
        super().__init__(f"{body['code']} {body['name']}: {body['message']}")
        self.code, self.name, self.message = body["code"], body["name"], body["message"]


class Service:
    """timeout: seconds that each call has. zmq.Again: nobody answered."""

    def __init__(self, endpoint, kind=zmq.DEALER, timeout=60):
        self.socket = zmq.Context.instance().socket(kind)
        self.socket.linger = 0
        self.socket.rcvtimeo = self.left_ms = int(timeout * 1000)
        self.number = 0
        self.prepare()
        self.socket.connect(endpoint)

    def prepare(self):
        """Before it connects."""

    def call(self, method, /, key=None, caller="", **arguments):
        self.send(method, key, caller, **arguments)
        return self.receive()

    def send(self, method, /, key=None, caller="", **arguments):
        self.number += 1
        header = [1, 1, self.number, method, self.left_ms, 0, key or "", "", caller]
        self.socket.send_multipart([msgpack.packb(header), msgpack.packb(arguments)])

    def receive(self):
        header, body = [msgpack.unpackb(frame) for frame in self.socket.recv_multipart()]
        if header[1] == 3:
            raise Failure(body)
        assert header[1] == 2 and header[2] == self.number, header
        return body

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
