# SPDX-License-Identifier: Apache-2.0
"""What stands between a driver and a server and reads their messages; see guard.py and replica.py for what it is good for."""
import socket
import struct
import threading

import bson

OP_MSG, HEADER = 2013, struct.Struct("<iiii")


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


def parts(message):
    """The documents of an OP_MSG: (None, its command), and those of the sequences beside it with their names."""
    at = HEADER.size + 4
    while at < len(message):
        kind, at = message[at], at + 1
        size = struct.unpack_from("<i", message, at)[0]
        if kind == 0:
            yield None, bson.decode(message[at:at + size])
        else:
            inner = message.index(b"\0", at + 4) + 1
            name = message[at + 4:inner - 1].decode()
            while inner < at + size:
                length = struct.unpack_from("<i", message, inner)[0]
                yield name, bson.decode(message[inner:inner + length])
                inner += length
        at += size


def sections(message):
    return (document for _, document in parts(message))


def command_of(message):
    """The command, with what stands beside it in its place."""
    command, beside = {}, {}
    for name, document in parts(message):
        if name is None:
            command = document
        else:
            beside.setdefault(name, []).append(document)
    return command | beside


def body_of(document):
    """What is behind the header of an OP_MSG that says no more than this."""
    return struct.pack("<i", 0) + b"\0" + bson.encode(document)


def framed(body, answers):
    return HEADER.pack(HEADER.size + len(body), 0, answers, OP_MSG) + body


class Relay:
    """Listens from open() to close(); answers() says what becomes of a message."""

    def __init__(self, host, port):
        self.far = host, port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def open(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(near,), daemon=True).start()

    def serve(self, near):
        """One question at a time, as drivers ask them."""
        with near, socket.create_connection(self.far) as far:
            try:
                while True:
                    for answer in self.answers(read_message(near), far):
                        near.sendall(answer)
            except (ConnectionError, OSError):
                return

    def answers(self, message, far):
        """The server's own: in parts, for a monitor that listens, which may take long."""
        far.sendall(message)
        more = True
        while more:
            answer = read_message(far)
            yield answer
            more = HEADER.unpack_from(answer)[3] == OP_MSG and answer[HEADER.size] & 2
