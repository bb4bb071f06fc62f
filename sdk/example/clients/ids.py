#!/usr/bin/python3
"""Three ids. usage: ids.py ENDPOINT [METHOD]        (apt: python3-zmq python3-msgpack)"""
import sys, zmq, msgpack  # noqa: E401
socket = zmq.Context.instance().socket(zmq.REQ); socket.connect(sys.argv[1])  # noqa: E702
method = sys.argv[2] if len(sys.argv) > 2 else "idgen.next"
socket.send_multipart([msgpack.packb([1, 1, 7, method]), msgpack.packb({"namespace": "billing-item", "count": 3})])
header, body = [msgpack.unpackb(frame) for frame in socket.recv_multipart()]
print(body if header[1] == 2 else f"error {body['code']} {body['name']}: {body['message']}")
