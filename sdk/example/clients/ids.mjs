// Three ids. usage: node ids.mjs ENDPOINT [METHOD]        (npm: zeromq @msgpack/msgpack)
import * as zmq from "zeromq"; import { encode, decode } from "@msgpack/msgpack";
const [endpoint, method = "idgen.next"] = process.argv.slice(2), socket = new zmq.Dealer(); socket.connect(endpoint);
await socket.send([encode([1, 1, 7, method]), encode({ namespace: "billing-item", count: 3 })]);
const [header, body] = (await socket.receive()).map((frame) => decode(frame, { useBigInt64: true }));
console.log(header[1] === 2 ? body : `error ${body.code} ${body.name}: ${body.message}`); socket.close();
