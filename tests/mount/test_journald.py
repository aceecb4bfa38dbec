# SPDX-License-Identifier: Apache-2.0
"""What a daemon tells systemd's journal: the datagrams of its native protocol, at a socket that stands in a mount namespace."""
import contextlib
import os
import signal
import socket
import struct
import subprocess

import pytest

import namespaces
from mounting import BINARY, environment, process_alive, wait_for

pytestmark = [pytest.mark.once, pytest.mark.skipif(os.geteuid() != 0, reason="only root has namespaces everywhere")]

# It is the first process there: when it ends, all of it does.
SCRIPT = """mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind "$1" /run/systemd/journal &&
    shift && "$@" && exec sleep infinity"""


class Journal:
    def __init__(self, folder):
        folder.mkdir()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(str(folder / "socket"))
        self.socket.settimeout(30)

    def await_entry(self, words):
        """The next with these words in it: its fields, and from which process it came."""
        while True:
            data, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(12))
            fields = dict(line.split("=", 1) for line in data.decode().splitlines() if "=" in line)
            if words in fields.get("MESSAGE", ""):
                return fields, struct.unpack("iII", ancillary[0][2])[0]


@contextlib.contextmanager
def namespace(folder, *command):
    inside = [*namespaces.apart(SCRIPT, "--pid", "--fork", "--kill-child", "--mount-proc"), "sh", folder, *command]
    with subprocess.Popen(list(map(str, inside)), env=environment(), stdin=subprocess.DEVNULL) as outer:
        try:
            yield
        finally:
            outer.kill()


def test_the_lines_of_a_daemon_have_fields(uri, database, tmp_path):
    journal, directory = Journal(tmp_path / "journal"), tmp_path / "mnt"
    directory.mkdir()
    with namespace(tmp_path / "journal", BINARY, "mount", uri, directory, "-o", f"staging_dir={tmp_path / 'staging'}"):
        fields, pid = journal.await_entry("mounted on")
        assert fields["SYSLOG_IDENTIFIER"] == "gridmount" and fields["PRIORITY"] == "6"
        assert fields["GRIDMOUNT_MOUNTPOINT"] == str(directory)
        assert (fields["GRIDMOUNT_DATABASE"], fields["GRIDMOUNT_BUCKET"]) == (database.name, "fs")
        assert fields["GRIDMOUNT_SERVER"] in uri and "://" not in fields["GRIDMOUNT_SERVER"]
        os.kill(pid, signal.SIGTERM)
        assert journal.await_entry("unmounted from")[1] == pid
        wait_for(lambda: not process_alive(pid), 30, "the end of the daemon")
    journal.socket.close()
