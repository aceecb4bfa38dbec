# SPDX-License-Identifier: Apache-2.0
"""What a service manager is told: the datagrams of sd_notify(3)."""
import os
import signal
import socket
import subprocess
import time

import pytest

from mounting import BINARY, environment, gridmount, wait_for
from test_outage import go_away

OFTEN = "heartbeatFrequencyMS=500"
WATCHED = {"WATCHDOG_USEC": "2000000"}

pytestmark = pytest.mark.once


class Manager:
    """The socket of a service manager, and what has come in."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.setblocking(False)
        self.lines = []

    def read(self):
        while True:
            try:
                self.lines += self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.lines

    def await_line(self, start, seconds=15):
        return wait_for(lambda: next((line for line in self.read() if line.startswith(start)), None), seconds, start)

    def await_new(self, start, seconds=15):
        self.read()
        self.lines.clear()
        return self.await_line(start, seconds)


@pytest.fixture(params=["path", "abstract"])
def address(request, tmp_path):
    return str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path}"[:100]


@pytest.fixture
def manager(tmp_path):
    opened = Manager(str(tmp_path / "notify"))
    opened.settings = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    yield opened
    opened.socket.close()


def test_ready_is_said_when_it_is_and_stopping_at_the_end(mount, address):
    manager = Manager(address.replace("@", "\0"))
    mnt = mount(settings={"NOTIFY_SOCKET": address})
    manager.await_line("READY=1")
    manager.await_line(f"STATUS=mounted on {mnt.path}")
    assert "STOPPING=1" not in manager.read() and "WATCHDOG=1" not in manager.lines
    mnt.process.send_signal(signal.SIGTERM)
    manager.await_line("STOPPING=1")
    assert mnt.end() == 0


def test_the_watchdog_is_fed_while_the_mount_answers_and_only_then(mount, manager):
    mnt = mount(settings=manager.settings | WATCHED)
    manager.await_line("WATCHDOG=1")
    subprocess.run(["mount", "-t", "tmpfs", "hides", str(mnt.path)], check=True)
    try:
        wait_for(lambda: is_quiet(manager), 20, "no word to the watchdog")
    finally:
        subprocess.run(["umount", str(mnt.path)], check=True)
    manager.await_new("WATCHDOG=1")


def is_quiet(manager, seconds=2.2):
    manager.read()
    manager.lines.clear()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if "WATCHDOG=1" in manager.read():
            return False
        time.sleep(0.1)
    return True


def test_a_server_that_is_away_shows_in_the_status(link, through, mount, manager):
    mnt = mount(uri=f"{through}&{OFTEN}", options="timeout=1", settings=manager.settings | WATCHED)
    manager.await_line("READY=1")
    go_away(link)
    with pytest.raises(OSError):
        os.listdir(mnt.path)
    assert "does not answer" in manager.await_line("STATUS=degraded", 30)
    manager.await_new("WATCHDOG=1")        # the mount itself does answer
    link.set(refusing=False)
    manager.await_line("STATUS=mounted on", 30)


def test_more_time_is_asked_for_while_files_are_stored(link, through, mount, manager, tmp_path, stored):
    content = bytes(range(256)) * (4 << 10)
    mnt = mount(uri=through, options=f"writeback,stop_timeout=40,staging_dir={tmp_path}/staged", settings=manager.settings)
    with open(mnt.path / "file", "wb") as file:
        file.write(content)
        file.flush()
        link.set(stalled=True)
    mnt.process.send_signal(signal.SIGTERM)
    manager.await_line("STOPPING=1")
    manager.await_line("STATUS=unmounted; storing 1 closed files")
    manager.await_new("EXTEND_TIMEOUT_USEC=")
    link.set(stalled=False)
    assert mnt.end() == 0
    assert stored("file") == content


def test_a_manager_that_does_not_listen_does_not_keep_it(mount, manager):
    mnt = mount(settings=manager.settings | WATCHED)
    manager.await_line("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.connect(manager.settings["NOTIFY_SOCKET"])
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                other.send(b"X")
    mnt.process.send_signal(signal.SIGTERM)
    assert mnt.end() == 0


def test_a_line_break_begins_no_message_of_its_own(mount, manager, tmp_path):
    mount(directory=tmp_path / "a\nMAINPID=1", settings=manager.settings)
    manager.await_line(f"STATUS=mounted on {tmp_path}/a?MAINPID=1")
    assert "MAINPID=1" not in manager.lines


def test_why_it_does_not_start_is_said(manager, tmp_path):
    directory = tmp_path / "mnt"
    directory.mkdir()
    result = gridmount("mount", "mongodb://127.0.0.1:1/x", directory, "-f", "-o", "timeout=1", **manager.settings)
    assert result.returncode == 1
    statuses = [line for line in manager.read() if line.startswith("STATUS=")]
    assert statuses[-1].removeprefix("STATUS=") in result.stderr and "READY=1" not in manager.lines


def test_in_the_background_it_is_its_starter_who_is_told(uri, manager, tmp_path):
    directory = tmp_path / "mnt"
    directory.mkdir()
    try:
        subprocess.run([BINARY, "mount", uri, str(directory)], env=environment(**manager.settings), check=True)
        assert manager.read() == []
    finally:
        gridmount("umount", directory)
