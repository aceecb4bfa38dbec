# SPDX-License-Identifier: Apache-2.0
"""The TLS end of a hosted cluster before a server that speaks none.

    with front.Front("127.0.0.1", server.port, certificate) as door:
        door.port               # connect here, with tls=true
        door.presented          # subjects of the certificates that clients showed; None: none
        door.commands, door.names   # what they asked, and what they called themselves

It goes on to the server in the clear, so that certificates of all kinds can stand before any server.
"""
import contextlib
import ssl

import bson

from relay import HEADER, OP_MSG, Relay, sections


def context_of(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


class Front(Relay):
    """`clients`: the authority that signed the clients' certificates; without one none is asked for."""

    def __init__(self, host, port, certificate, clients=None):
        super().__init__(host, port)
        self.context = context_of(certificate)
        if clients:
            self.context.load_verify_locations(clients)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.presented, self.commands, self.names = [], [], set()

    def serve(self, near):
        with contextlib.suppress(OSError), self.context.wrap_socket(near, server_side=True) as plain:
            subject = plain.getpeercert() and plain.getpeercert()["subject"]
            self.presented.append(subject and subject[0][0][1])
            super().serve(plain)

    def answers(self, message, far):
        code = HEADER.unpack_from(message)[3]
        command = next(sections(message)) if code == OP_MSG else bson.decode(message[message.index(b"\0", 20) + 9:])
        self.commands.append(command)
        if "client" in command:
            self.names.add(command["client"].get("application", {}).get("name"))
        return super().answers(message, far)

    def __enter__(self):
        return self.open()

    def __exit__(self, *_):
        self.close()
