# SPDX-License-Identifier: Apache-2.0
"""Storms of processes: programs that are run from the mount, and children that inherit open files."""
import concurrent.futures
import multiprocessing
import shutil
import subprocess
import sys

import pytest

from mounting import wait_for

AT_ONCE = 16


def run_storm(mnt, count):
    """Runs a program of the mount so often, many at once."""
    shutil.copy("/bin/true", mnt.path / "true")
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(lambda _: subprocess.run([mnt.path / "true"], check=False).returncode, range(count)))
    assert ended == [0] * count


# What a process does that forks children with its file open: argv: PATH COUNT.
FORKER = r"""
import os, sys
path, count = sys.argv[1], int(sys.argv[2])
file = open(path, "wb", buffering=0)
file.write(b"half")
for number in range(count):
    if number % 8 == 7:
        while True:
            try:
                os.wait()
            except ChildProcessError:
                break
    if os.fork() == 0:
        if number % 2:
            os.execv("/bin/true", ["true"])
        os._exit(0)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
print("forked", flush=True)
sys.stdin.read(1)
file.write(b" and whole")
file.close()
"""


def fork_storm(mnt, stored, processes, count):
    """Children that only end, or run something else, publish nothing; who wrote does, once, when it closes."""
    forkers = [subprocess.Popen([sys.executable, "-c", FORKER, mnt.path / f"f{n}", str(count)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE) for n in range(processes)]
    try:
        for forker in forkers:
            assert forker.stdout.readline() == b"forked\n"
        assert [stored(f"f{n}") for n in range(processes)] == [None] * processes
        before = mnt.counters()["puts"]
        for forker in forkers:
            forker.communicate(b"x", timeout=60)
            assert forker.returncode == 0
        assert [stored(f"f{n}") for n in range(processes)] == [b"half and whole"] * processes
        assert mnt.counters()["puts"] == before + processes
    finally:
        for forker in forkers:
            forker.kill()
            forker.wait()


def write_in_a_child(path):
    with open(path, "wb") as file:
        file.write(path.name.encode())


@pytest.mark.timeout(120)
def test_programs_of_the_mount_run_many_at_once(mount, bucket, stored):
    mnt = mount()
    run_storm(mnt, 60)
    assert stored("true") == open("/bin/true", "rb").read()
    assert mnt.counters()["puts"] == 1 == bucket.files.count_documents({})


@pytest.mark.timeout(120)
def test_children_that_inherit_files_and_end_publish_nothing(mount, stored):
    fork_storm(mount(), stored, 3, 20)


@pytest.mark.timeout(120)
def test_children_that_write_publish_what_they_close(mount, stored):
    mnt = mount()
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(write_in_a_child, [mnt.path / f"child {n}" for n in range(24)])
    assert [stored(f"child {n}") for n in range(24)] == [b"child %d" % n for n in range(24)]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_long_storm_of_processes(mount, stored):
    mnt = mount()
    run_storm(mnt, 500)
    fork_storm(mnt, stored, 8, 200)
    wait_for(lambda: mnt.counters()["unsaved_files"] == 0, 30, "everything stored")
