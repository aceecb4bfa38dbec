"""One real server as a set of two members: a primary, and a secondary that lags when it is told to.

    with replica.Replica("127.0.0.1", server.port) as members:
        members.uri("app", "secondary")         # connect here
        members.secondary.asked                 # Counter({("find", "fs.chunks"): 3})
        members.secondary.lagging = True        # from now on it has nothing new

Both members lead to the same server, so what one does not say the other has. While the secondary lags, it answers a
find as it did before it lagged, and with no documents when it was not asked that before. Where a real secondary would
refuse, this one answers, and has counted it. The server has to be of a replica set itself: drivers ask such ones more.
"""
import collections
import threading

import bson

from relay import HEADER, OP_MSG, Relay, body_of, framed, sections

OP_QUERY = 2004                 # drivers still begin with it
BODY = {OP_MSG: HEADER.size + 5, 1: HEADER.size + 20}      # where the document of an answer begins
HELLO = ("hello", "ismaster")
UNSAID = ("topologyVersion", "electionId")  # told no version, drivers ask again from time to time, and do not listen


class Member(Relay):
    """One address of the server. Nobody listens for a new hello."""

    def __init__(self, host, port):
        super().__init__(host, port)
        self.lagging, self.asked = False, collections.Counter()
        self.role, self.known, self.lock = {}, {}, threading.Lock()
        self.address = f"127.0.0.1:{self.port}"

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
            return self.disguised(self.ask(message, far))
        collection = command.get("collection") or command[what]
        with self.lock:
            self.asked[what, collection if isinstance(collection, str) else ""] += 1
        if what != "find":
            return self.ask(message, far)
        # Without what differs from one time to the next.
        question = bson.encode({name: value for name, value in command.items()
                                if name != "lsid" and name != "$clusterTime"})
        if self.lagging:
            return framed(self.known.get(question) or self.nothing(command), number)
        answer = self.ask(message, far)
        self.known[question] = answer[HEADER.size:]
        return answer

    @staticmethod
    def nothing(command):
        cursor = {"firstBatch": [], "id": bson.Int64(0), "ns": f"{command['$db']}.{command['find']}"}
        return body_of({"cursor": cursor, "ok": 1.0})

    def disguised(self, answer):
        _, number, answers, code = HEADER.unpack_from(answer)
        start = BODY[code]
        said = {name: value for name, value in bson.decode(answer[start:]).items() if name not in UNSAID}
        body = answer[HEADER.size:start] + bson.encode(said | self.role)
        return HEADER.pack(HEADER.size + len(body), number, answers, code) + body


class Replica:
    def __init__(self, host, port):
        self.primary, self.secondary = Member(host, port), Member(host, port)
        shared = {"setName": "replica", "hosts": [self.primary.address, self.secondary.address],
                  "primary": self.primary.address}
        for member, name in ((self.primary, "primary"), (self.secondary, "secondary")):
            first = member is self.primary
            member.role = shared | {"me": member.address, "isWritablePrimary": first, "ismaster": first,
                                    "secondary": not first, "tags": {"member": name}}
            member.open()

    def uri(self, database, preference):
        hosts = f"{self.primary.address},{self.secondary.address}"
        return f"mongodb://{hosts}/{database}?replicaSet=replica&readPreference={preference}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.primary.close()
        self.secondary.close()
