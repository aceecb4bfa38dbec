# SPDX-License-Identifier: Apache-2.0
"""A server whose roles are finer than those of the servers that the tests have: it refuses, as MongoDB does, what is
asked of some collections, and passes on all else.

    with guard.Guard("127.0.0.1", server.port, ".gridmount.") as door:
        door.port       # connect here, with directConnection=true
        door.refused    # how many commands were

Commands that name a collection with that text in it are answered with "not authorized" (13).
"""
from relay import HEADER, OP_MSG, Relay, body_of, framed, sections

REFUSAL = {"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized on app to execute command"}


def namespaces(message):
    """What collections a message names: in its first field, in a cursor's, or in the list of a bulkWrite."""
    documents = list(sections(message))
    command = documents[0]
    yield str(command[next(iter(command))])
    yield str(command.get("collection", ""))
    for document in [*documents[1:], *command.get("nsInfo", [])]:
        yield str(document.get("ns", ""))


class Guard(Relay):
    def __init__(self, host, port, forbidden):
        super().__init__(host, port)
        self.forbidden, self.refused = forbidden, 0

    def __enter__(self):
        return self.open()

    def __exit__(self, *_):
        self.close()

    def answers(self, message, far):
        _, number, _, code = HEADER.unpack_from(message)
        if code == OP_MSG and any(self.forbidden in name for name in namespaces(message)):
            self.refused += 1
            return [framed(body_of(REFUSAL), number)]
        return super().answers(message, far)
