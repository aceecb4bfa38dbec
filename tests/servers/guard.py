"""A server whose roles are finer than those of the servers that the tests have: it refuses, as MongoDB does, what is
asked of some collections, and passes on all else.

    with guard.Guard("127.0.0.1", server.port, ".gridmount.") as door:
        door.port       # connect here, with directConnection=true
        door.refused    # how many commands were

Commands that name a collection with that text in it are answered with "not authorized" (13).
"""
import socket
import struct
import threading

import bson

OP_MSG, HEADER = 2013, struct.Struct("<iiii")
REFUSAL = {"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized on app to execute command"}


def read_exactly(connection, size):
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError
        parts += part
    return bytes(parts)


def read_message(connection):
    head = read_exactly(connection, HEADER.size)
    return head + read_exactly(connection, HEADER.unpack(head)[0] - HEADER.size)


def sections(message):
    """The documents of an OP_MSG: those of its command, and of the sequences beside it."""
    at = HEADER.size + 4
    while at < len(message):
        kind, at = message[at], at + 1
        size = struct.unpack_from("<i", message, at)[0]
        if kind == 0:
            yield bson.decode(message[at:at + size])
        else:
            inner = message.index(b"\0", at + 4) + 1
            while inner < at + size:
                length = struct.unpack_from("<i", message, inner)[0]
                yield bson.decode(message[inner:inner + length])
                inner += length
        at += size


def namespaces(message):
    """What collections a message names: in its first field, in a cursor's, or in the list of a bulkWrite."""
    documents = list(sections(message))
    command = documents[0]
    yield str(command[next(iter(command))])
    yield str(command.get("collection", ""))
    for document in [*documents[1:], *command.get("nsInfo", [])]:
        yield str(document.get("ns", ""))


class Guard:
    def __init__(self, host, port, forbidden):
        self.far, self.forbidden, self.refused = (host, port), forbidden, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(near,), daemon=True).start()

    def serve(self, near):
        """One question at a time, as drivers ask them; a monitor's answer may take long."""
        with near, socket.create_connection(self.far) as far:
            try:
                while True:
                    message = read_message(near)
                    _, number, _, code = HEADER.unpack_from(message)
                    if code == OP_MSG and any(self.forbidden in name for name in namespaces(message)):
                        self.refused += 1
                        near.sendall(self.refusal(number))
                        continue
                    far.sendall(message)
                    more = True
                    while more:     # an answer in parts, of a monitor that listens
                        answer = read_message(far)
                        near.sendall(answer)
                        more = HEADER.unpack_from(answer)[3] == OP_MSG and answer[HEADER.size] & 2
            except (ConnectionError, OSError):
                return

    @staticmethod
    def refusal(number):
        body = struct.pack("<i", 0) + b"\0" + bson.encode(REFUSAL)
        return HEADER.pack(HEADER.size + len(body), 0, number, OP_MSG) + body
