# SPDX-License-Identifier: Apache-2.0
"""The driver makes a change once more when its answer was lost. A server that was killed and started in between may have
forgotten the first time, and then finds nothing to do: nobody is told that what was made could not be."""
import errno
import os
import struct
import threading

import pytest

import relay


class Forgetful(relay.Relay):
    """Makes each change that the driver may repeat, cuts the connection, and takes the second try for the first."""

    def __init__(self, server, client):
        super().__init__("127.0.0.1", server.port)
        self.client, self.lock, self.made, self.on = client, threading.Lock(), {}, False

    def answers(self, message, far):
        if self.on and relay.HEADER.unpack_from(message)[3] == relay.OP_MSG:
            command = relay.command_of(message)
            which = command.get("txnNumber") and (command["lsid"]["id"], command["txnNumber"])
            with self.lock:
                if which and which not in self.made:
                    self.made[which] = next(iter(command))
                    self.make(command)
                    raise ConnectionError
        return super().answers(message, far)

    def make(self, command):
        database = self.client[command["$db"]]
        database.command({name: value for name, value in command.items()
                          if name not in ("$db", "lsid", "txnNumber", "$clusterTime", "$readPreference")})


@pytest.fixture
def forgetful(server, client):
    if not server.is_ours:
        pytest.skip("the server of GRIDMOUNT_TEST_URI cannot be put behind a relay")
    with client.start_session() as session:
        if "setName" not in client.admin.command("hello", session=session):
            pytest.skip("the driver repeats no change here")
    opened = Forgetful(server, client).open()
    yield opened
    opened.close()


def exclusively(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))


# What is done in a folder that has `file`, `other`, `linked` (also as `link`), `symlink`, `empty` and `full/file`; and what
# is there after it.
CHANGES = {
    "create": (lambda at: exclusively(at / "new"), "new", None),
    "mkdir": (lambda at: (at / "new").mkdir(), "new", None),
    "symlink": (lambda at: (at / "new").symlink_to("x"), "new", None),
    "mkfifo": (lambda at: os.mkfifo(at / "new"), "new", None),
    "link": (lambda at: os.link(at / "file", at / "new"), "new", None),
    "unlink": (lambda at: (at / "file").unlink(), None, "file"),
    "unlink a link": (lambda at: (at / "link").unlink(), "linked", "link"),
    "unlink a symlink": (lambda at: (at / "symlink").unlink(), None, "symlink"),
    "rmdir": (lambda at: (at / "empty").rmdir(), None, "empty"),
    "rename": (lambda at: (at / "file").rename(at / "new"), "new", "file"),
    "rename onto": (lambda at: (at / "file").rename(at / "other"), "other", "file"),
    "rename a link": (lambda at: (at / "link").rename(at / "new"), "new", "link"),
    "rename a symlink": (lambda at: (at / "symlink").rename(at / "new"), "new", "symlink"),
    "rename a directory": (lambda at: (at / "full").rename(at / "new"), "new/file", "full"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_a_server_makes_twice_is_made_or_may_be(forgetful, mount, database, change):
    make, comes, goes = CHANGES[change]
    uri = f"mongodb://127.0.0.1:{forgetful.port}/{database.name}?directConnection=true"
    mnt = mount(uri=uri, options="push=off,timeout=10")
    at = mnt.path / "folder"
    for directory in (at, at / "empty", at / "full"):
        directory.mkdir()
    for name in ("file", "other", "linked", "full/file"):
        (at / name).write_bytes(name.encode())
    os.link(at / "linked", at / "link")
    (at / "symlink").symlink_to("x")
    forgetful.on = True
    try:
        make(at)
        told = 0
    except OSError as error:
        told = error.errno
    forgetful.on = False
    assert told in (0, errno.ETIMEDOUT), errno.errorcode[told]
    if told == 0:
        assert comes is None or os.path.lexists(at / comes)
        assert goes is None or not os.path.lexists(at / goes)
