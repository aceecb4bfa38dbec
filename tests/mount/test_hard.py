# SPDX-License-Identifier: Apache-2.0
"""`hard`: a request waits for the server however long it is away, and ends when its program is told to."""
import concurrent.futures
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from buckets import CHUNK
from mounting import gridmount, mount_table, names_in, wait_for

TIMEOUT = 3
LONG = 45       # longer than any of these tests may wait
pytestmark = pytest.mark.timeout(180)
PROGRAM = """
import os, signal, sys
class Told(Exception): pass
def tell(*_): raise Told
signal.signal(signal.SIGUSR1, tell)
print(flush=True)
try:
    {}
except Told:
    print("told")
"""
WAITING = ("open(sys.argv[1], 'rb').read()", "os.listdir(os.path.dirname(sys.argv[1]))",
           "open(sys.argv[1] + ' new', 'xb').close()", "os.mkdir(sys.argv[1] + ' made')")


@pytest.fixture
def data(bucket):
    content = random.Random(1).randbytes(CHUNK + 5)
    bucket.put("f", content)
    return content


def go_away(link, how):
    if how == "silent":
        link.set(stalled=True)
    else:
        link.set(refusing=True)
        link.cut()


def come_back(link):
    link.set(stalled=False, refusing=False)


def read_through(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        return os.pread(descriptor, 10 << 20, 0)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("how", ["gone", pytest.param("silent", marks=pytest.mark.long)])
def test_requests_wait_longer_than_the_timeout_and_end_rightly(link, through, bucket, data, stored, mount, how):
    for name in ("make", "move", "remove"):     # directories: the kernel makes one change of each at a time
        bucket.put(f"{name}/old", name.encode())
    mnt = mount(uri=through, options=f"timeout={TIMEOUT},hard,consistency=ttl:300")
    written = open(mnt.path / "written", "xb", buffering=0)
    written.write(data)
    for folder in ("make", "move", "remove", "."):
        names_in(mnt.path / folder)
    go_away(link, how)
    calls = [lambda: read_through(mnt.path / "f"), written.close, lambda: os.mkdir(mnt.path / "make" / "new"),
             lambda: os.rename(mnt.path / "move" / "old", mnt.path / "move" / "new"),
             lambda: os.unlink(mnt.path / "remove" / "old")]
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        under_way = [pool.submit(call) for call in calls]
        try:
            wait_for(lambda: mnt.counters()["waits"] >= 2 * len(calls), LONG, "several timeouts")
            assert not any(each.done() for each in under_way)
        finally:
            come_back(link)
        results = [each.result(LONG) for each in under_way]
    assert results[0] == data and stored("written") == data and stored("move/new") == b"move"
    assert [names_in(mnt.path / folder) for folder in ("make", "move")] == [["new", "old"], ["new"]]
    assert not bucket.files.find_one({"filename": "remove/old"})


@pytest.mark.parametrize("number", [signal.SIGUSR1, pytest.param(signal.SIGKILL, marks=pytest.mark.long)])
def test_a_signal_ends_what_waits(link, through, bucket, mount, number):
    """SIGUSR1 has a handler in these programs, which go on."""
    for n in range(len(WAITING)):
        bucket.put(f"{n}/f", b"content")
    mnt = mount(uri=through, options=f"timeout={LONG},hard")
    for n in range(len(WAITING)):
        names_in(mnt.path / str(n))     # so that none waits for another's lookup
    link.set(stalled=True)
    programs = [subprocess.Popen([sys.executable, "-c", PROGRAM.format(program), mnt.path / str(n) / "f"],
                                 stdout=subprocess.PIPE, text=True) for n, program in enumerate(WAITING)]
    for program in programs:
        assert program.stdout.readline() == "\n"
        wait_for(lambda: "wait" in pathlib.Path(f"/proc/{program.pid}/wchan").read_text(), 30,
                 "a program that waits for an answer")
    began = time.monotonic()
    for program in programs:
        program.send_signal(number)
    for program in programs:
        told = program.communicate(timeout=LONG / 3)[0]
        assert (program.returncode, told) == ((0, "told\n") if number == signal.SIGUSR1 else (-number, ""))
    assert time.monotonic() - began <= LONG / 3
    link.set(stalled=False)
    assert [(mnt.path / str(n) / "f").read_bytes() for n in range(len(WAITING))] == len(WAITING) * [b"content"]


def test_the_mount_answers_and_a_signal_ends_it_while_requests_wait(link, through, data, mount):
    mnt = mount(uri=through, options=f"timeout={TIMEOUT},hard")
    go_away(link, "gone")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(os.stat, mnt.path / f"name {n}") for n in range(4)]
        wait_for(lambda: mnt.counters()["waits"] >= 4, LONG, "all waited for a timeout")
        began = time.monotonic()
        os.statvfs(mnt.path)
        assert gridmount("status", mnt.path).returncode == 1
        assert gridmount("umount", mnt.path).returncode != 0, "it is in use"
        mnt.process.send_signal(signal.SIGTERM)
        assert mnt.end() == 0
        assert time.monotonic() - began <= LONG / 3
        assert all(isinstance(each.exception(LONG), OSError) for each in waiting)
    assert mount_table(mnt.path) == []


def test_an_unmount_does_not_wait_for_what_killed_programs_asked(link, through, data, mount):
    mnt = mount(uri=through, options=f"timeout={10 * LONG},hard")
    link.set(stalled=True)
    program = subprocess.Popen([sys.executable, "-c", "import os, sys; os.stat(sys.argv[1])", mnt.path / "name"])
    wait_for(lambda: "wait" in pathlib.Path(f"/proc/{program.pid}/wchan").read_text(), 30, "a program that waits")
    program.kill()
    program.wait(LONG)
    assert gridmount("umount", mnt.path).returncode == 0
    wait_for(lambda: mnt.process.poll() is not None, LONG, "the end of the daemon")
    assert mnt.end() == 0
