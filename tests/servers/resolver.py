# SPDX-License-Identifier: Apache-2.0
"""A resolver of a few names, and a shell that asks it and no other.

    with resolver.Resolver(zone) as names:          # zone: lines of a zone file
        names.within(folder)                        # the words before a command that is to ask it
        names.asked                                 # [("_mongodb._tcp.cluster.example.test.", "SRV")]

Without a zone it listens, and never answers; `options` is a line of resolv.conf(5). It has an address of its own in 127/8,
since the port is always 53. Who starts the command has to be root, and what it mounts only the command and its children see.
"""
import pathlib
import random
import socket
import threading

import dnslib

import namespaces


class Resolver:
    def __init__(self, zone="", options=""):
        self.options = options
        self.records, self.asked = dnslib.RR.fromZone(zone), []
        self.address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))

    def serve(self):
        while True:
            message, client = self.socket.recvfrom(4096)
            if not message:
                return
            request = dnslib.DNSRecord.parse(message)
            self.asked.append((str(request.q.qname), dnslib.QTYPE[request.q.qtype]))
            if self.records:
                self.socket.sendto(self.answer(request).pack(), client)

    def answer(self, request):
        reply = request.reply()
        there = [record for record in self.records if record.rname == request.q.qname]
        for record in there:
            if record.rtype == request.q.qtype:
                reply.add_answer(record)
        if not there:
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
        return reply

    def within(self, folder):
        path = pathlib.Path(folder) / "resolv.conf"
        path.write_text(f"nameserver {self.address}\n{self.options}\n")
        return [*namespaces.apart(f'mount --bind "{path}" /etc/resolv.conf && exec "$@"'), "sh"]

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", (self.address, 53))
        self.thread.join()
        self.socket.close()
