# SPDX-License-Identifier: Apache-2.0
"""The wall clock of a mount's host steps by an hour, forward and back, while the mount is used."""
import datetime
import os
import pathlib
import struct
import subprocess
import threading
import time

import pytest

from mounting import is_sanitized, wait_for

SOURCE = pathlib.Path(__file__).with_name("stepped_clock.c")
HOUR = 3600
TIMEOUT = 3
PATIENCE = 40    # seconds; nothing like an hour
STEPS = [HOUR, -HOUR, 0]


class Clock:
    """A wall clock for daemons that are started with .settings."""

    def __init__(self, folder):
        self.offset, library = folder / "offset", folder / "stepped_clock.so"
        subprocess.run(["gcc", "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
        self.offset.write_bytes(struct.pack("q", 0))
        self.settings = {"LD_PRELOAD": str(library), "GRIDMOUNT_TEST_CLOCK": str(self.offset)}

    def step(self, seconds):
        with open(self.offset, "r+b", buffering=0) as file:
            file.write(struct.pack("q", seconds))


@pytest.fixture
def clock(tmp_path):
    if is_sanitized():
        pytest.skip("a sanitizer wants to be loaded first")
    return Clock(tmp_path)


def logged_time(line):
    return datetime.datetime.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)


@pytest.mark.timeout(120)
def test_the_close_that_was_last_wins_whatever_the_clock_says(clock, mount, bucket, stored):
    mnt, other = mount(settings=clock.settings), mount()
    bucket.put("f", b"first")
    bucket.put("kept", b"first")
    kept = open(mnt.path / "kept", "rb", buffering=0)
    for number, seconds in enumerate(STEPS):
        clock.step(seconds)
        mine, theirs = b"mine %d" % number, b"theirs %d" % number
        (mnt.path / "f").write_bytes(mine)
        assert (stored("f"), (other.path / "f").read_bytes(), (mnt.path / "f").read_bytes()) == (mine,) * 3
        (other.path / "f").write_bytes(theirs)
        assert (stored("f"), (other.path / "f").read_bytes(), (mnt.path / "f").read_bytes()) == (theirs,) * 3
        with open(mnt.path / f"new {number}", "xb") as file:
            file.write(mine)
        with pytest.raises(FileExistsError):
            open(other.path / f"new {number}", "xb")
        os.rename(mnt.path / f"new {number}", mnt.path / f"renamed {number}")
        assert stored(f"renamed {number}") == mine
        (other.path / "kept").write_bytes(theirs)
        assert os.pread(kept.fileno(), 100, 0) == b"first", "an open file keeps its revision"
    kept.close()
    assert mnt.counters()["unsaved_files"] == 0
    clock.step(HOUR)
    assert mnt.status()["uptime_seconds"] < HOUR / 2


@pytest.mark.timeout(120)
def test_the_daemon_has_the_stepped_clock(clock, mount):
    """Without which the other tests would show nothing."""
    clock.step(HOUR)
    mnt = mount(settings=clock.settings)
    ahead = logged_time(mnt.log().splitlines()[0]) - datetime.datetime.now(datetime.timezone.utc)
    assert ahead > datetime.timedelta(seconds=HOUR / 2)
    (mnt.path / "f").write_bytes(b"x")
    assert os.stat(mnt.path / "f").st_mtime > time.time() + HOUR / 2, "what is new has the time of its host"


@pytest.mark.timeout(200)
@pytest.mark.parametrize("seconds", [pytest.param(HOUR, marks=pytest.mark.long), -HOUR], ids=["forward", "back"])
def test_waits_end_in_time_when_the_clock_steps_in_them(clock, link, through, mount, bucket, stored, seconds):
    bucket.put("f", b"content")
    mnt = mount(uri=through, options=f"timeout={TIMEOUT}", settings=clock.settings)
    file = open(mnt.path / "new", "wb", buffering=0)
    assert file.write(b"closed in vain") == 14
    link.set(stalled=True)
    failed = []

    def fail(call):
        try:
            call()
        except OSError as error:
            failed.append(error)

    waiting = [threading.Thread(target=fail, args=[call], daemon=True)
               for call in (file.close, lambda: open(mnt.path / "f", "rb"))]
    for thread in waiting:
        thread.start()
    time.sleep(TIMEOUT / 3)
    clock.step(seconds)
    for thread in waiting:
        thread.join(PATIENCE)
    assert len(failed) == 2
    link.set(stalled=False)
    link.cut()
    wait_for(lambda: mnt.counters()["unsaved_files"] == 0 and stored("new"), PATIENCE, "what was kept stored")
    assert stored("new") == b"closed in vain"
    assert (mnt.path / "f").read_bytes() == b"content"
