# SPDX-License-Identifier: Apache-2.0
"""One real server as a set of two members: a primary, and a secondary that lags when it is told to.

    with replica.Replica("127.0.0.1", server.port) as members:
        members.uri("app", "secondary")         # connect here
        members.secondary.asked                 # Counter({("find", "fs.chunks"): 3})
        members.secondary.lagging = True        # from now on it has nothing new
        members.fail_over()                     # the primary steps down, soon the other is elected
        members.fail_over(gone=True)            # the primary is gone, with all its connections

Both members lead to the same server, so what one does not say the other has. While the secondary lags, it answers a
find as it did before it lagged, and with no documents when it was not asked that before. As a real one it refuses what is
the primary's. The server has to be of a replica set itself: drivers ask such ones more.
"""
import collections
import contextlib
import socket
import threading

import bson

import front
from relay import HEADER, OP_MSG, Relay, body_of, framed, sections

OP_QUERY = 2004                 # drivers still begin with it
BODY = {OP_MSG: HEADER.size + 5, 1: HEADER.size + 20}      # where the document of an answer begins
HELLO = ("hello", "ismaster")
REFUSAL = {"ok": 0.0, "code": 10107, "codeName": "NotWritablePrimary", "errmsg": "not primary"}
PRIMARY = {"mode": "primary"}
ANYONES = ("getMore", "killCursors", "endSessions")
HELLOS_OF_AN_ELECTION = 4       # of all members' together: each is asked again
UNSAID = ("topologyVersion", "electionId")  # told no version, drivers ask again from time to time, and do not listen


class Member(Relay):
    """One address of the server. Nobody listens for a new hello."""

    def __init__(self, host, port, replica, name):
        super().__init__(host, port)
        self.lagging, self.asked = False, collections.Counter()
        self.replica, self.name = replica, name
        self.known, self.lock, self.connections = {}, threading.Lock(), set()
        self.away = False
        self.address = f"{replica.host}:{self.port}"

    @property
    def leads(self):
        return self.replica.leader is self

    def serve(self, near):
        if self.away:
            near.close()
            return
        with contextlib.suppress(OSError):
            near = self.replica.tls.wrap_socket(near, server_side=True) if self.replica.tls else near
            self.connections.add(near)
            super().serve(near)
        self.connections.discard(near)

    def cut(self):
        for near in list(self.connections):
            with contextlib.suppress(OSError):
                near.shutdown(socket.SHUT_RDWR)

    def answers(self, message, far):
        return [self.answer(message, far)]

    def ask(self, message, far):
        answer, = super().answers(message, far)
        return answer

    def answer(self, message, far):
        _, number, _, code = HEADER.unpack_from(message)
        command = next(sections(message)) if code == OP_MSG else {"hello": 1}
        what = next(iter(command))
        if what.lower() in HELLO:
            self.replica.heard_hello()
            return self.disguised(self.ask(message, far))
        collection = command.get("collection") or command[what]
        question = what, collection if isinstance(collection, str) else ""
        with self.lock:
            self.asked[question] += 1
        if self.replica.heard_question(question) and self.away:
            self.ask(message, far)
            raise ConnectionError
        if not self.leads and what not in ANYONES and command.get("$readPreference", PRIMARY)["mode"] == "primary":
            labels = ["RetryableWriteError"] if "txnNumber" in command else []
            return framed(body_of(REFUSAL | {"errorLabels": labels}), number)
        if what != "find":
            return self.ask(message, far)
        # Without what differs from one time to the next.
        asked = bson.encode({name: value for name, value in command.items()
                                if name != "lsid" and name != "$clusterTime"})
        if self.lagging:
            return framed(self.known.get(asked) or self.nothing(command), number)
        answer = self.ask(message, far)
        self.known[asked] = answer[HEADER.size:]
        return answer

    @staticmethod
    def nothing(command):
        cursor = {"firstBatch": [], "id": bson.Int64(0), "ns": f"{command['$db']}.{command['find']}"}
        return body_of({"cursor": cursor, "ok": 1.0})

    def role(self):
        """Its part of a hello."""
        members, leader = (self.replica.primary, self.replica.secondary), self.replica.leader
        return {"setName": "replica", "hosts": [member.address for member in members], "me": self.address,
                "primary": leader.address if leader else None, "isWritablePrimary": self.leads, "ismaster": self.leads,
                "secondary": not self.leads, "tags": {"member": self.name}}

    def disguised(self, answer):
        _, number, answers, code = HEADER.unpack_from(answer)
        start = BODY[code]
        said = {name: value for name, value in bson.decode(answer[start:]).items() if name not in UNSAID} | self.role()
        body = answer[HEADER.size:start] + bson.encode({name: value for name, value in said.items() if value is not None})
        return HEADER.pack(HEADER.size + len(body), number, answers, code) + body


class Replica:
    """With a certificate for `name`, by which its members call themselves, they speak TLS."""

    def __init__(self, host, port, name="127.0.0.1", certificate=None):
        self.host, self.tls = name, certificate and front.context_of(certificate)
        self.lock = threading.RLock()
        self.gone, self.when, self.until_elected = False, None, 0
        self.primary, self.secondary = (Member(host, port, self, name) for name in ("primary", "secondary"))
        self.leader = self.primary
        self.primary.open()
        self.secondary.open()

    def uri(self, database, preference):
        hosts = f"{self.primary.address},{self.secondary.address}"
        return f"mongodb://{hosts}/{database}?replicaSet=replica&readPreference={preference}"

    def fail_over(self, gone=False, when=None):
        """At once, or with the first question for which when((command, collection)) is true. A member that is gone has done
        what it was asked then, and does not say so; it is back the next time."""
        with self.lock:
            self.gone, self.when = gone, when
            if not when:
                self.lose_leader()

    def lose_leader(self):
        leader, self.leader, self.when = self.leader, None, None
        self.next = self.secondary if leader is self.primary else self.primary
        self.until_elected = HELLOS_OF_AN_ELECTION
        leader.away, self.next.away = self.gone, False
        if self.gone:
            leader.cut()

    def heard_question(self, question):
        """Whether that was when."""
        with self.lock:
            now = bool(self.when and self.when(question))
            if now:
                self.lose_leader()
            return now

    def heard_hello(self):
        with self.lock:
            if not self.leader:
                self.until_elected -= 1
                if self.until_elected <= 0:
                    self.leader = self.next

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in (self.primary, self.secondary):
            member.close()
            member.cut()
