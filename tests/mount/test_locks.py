# SPDX-License-Identifier: Apache-2.0
"""locks=cluster: flock and fcntl exclude across mounts, and who gets a lock sees what was done under it. DESIGN.md §4."""
import contextlib
import json
import os
import pathlib
import select
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from buckets import day
from mounting import Watched, force_unmount, gridmount, process_alive, wait_for

WORKERS = pathlib.Path(__file__).parent
BUSY = ("fails", "EAGAIN")
DONE = ("is", None)
MINUTE = 60


class Program:
    """A process that calls what it is told to; killed when the test ends."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, WORKERS / "lock_worker.py"], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, *call):
        print(json.dumps(call), file=self.process.stdin, flush=True)

    def answered(self, seconds=0):
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def receive(self, seconds=MINUTE):
        assert self.answered(seconds), f"no answer within {seconds} s"
        return tuple(json.loads(self.process.stdout.readline()))

    def __call__(self, *call):
        self.send(*call)
        return self.receive()

    def open(self, path, flags=os.O_RDWR):
        how, number = self("open", str(path), flags)
        assert how == "is", number
        return number

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def program():
    """program(): a Program of this test."""
    with contextlib.ExitStack() as started:
        def start():
            new = Program()
            started.callback(new.kill)
            return new
        yield start


def opened_pair(mount, program, options="locks=cluster"):
    """Two mounts of a bucket, a program on each, and the file `f` open in both."""
    mounts = [mount(options=options) for _ in range(2)]
    (mounts[0].path / "f").write_bytes(b"first")
    programs = [program() for _ in mounts]
    for each, mnt in zip(programs, mounts):
        assert each.open(mnt.path / "f") == 0
    return mounts, programs


@pytest.fixture
def pair(mount, program):
    """Which are told of nothing: who waits asks."""
    return opened_pair(mount, program)


@pytest.fixture(params=["open", "strict"])
def told_pair(request, client, mount, program):
    """Which are told by a change stream."""
    hello = client.admin.command("isMaster")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        pytest.skip("the server has no change streams: who waits for a lock asks")
    return opened_pair(mount, program, f"locks=cluster,push=on,consistency={request.param}")


def waits(program):
    """A call that was sent has not been answered, and that not only for want of time."""
    return not program.answered(0.3)


# Exclusion

def test_flock_excludes_between_mounts(pair):
    _, (one, other) = pair
    assert one("flock", 0, "exclusive", False) == DONE
    assert other("flock", 0, "exclusive", False) == BUSY
    assert other("flock", 0, "shared", False) == BUSY
    assert one("flock", 0, "shared", False) == DONE
    assert other("flock", 0, "shared", False) == DONE
    assert one("flock", 0, "exclusive", False) == BUSY
    assert other("flock", 0, "none", False) == DONE
    assert one("flock", 0, "exclusive", False) == DONE


def test_ranges_exclude_between_mounts(pair):
    _, (one, other) = pair
    assert one("range", 0, "exclusive", 10, 10, False) == DONE
    assert other("range", 0, "exclusive", 0, 10, False) == DONE
    assert other("range", 0, "exclusive", 20, 0, False) == DONE
    assert other("range", 0, "shared", 19, 1, False) == BUSY
    assert other("told", 0, "shared", 0, 0) == ("is", ["exclusive", 10, 10])
    assert one("told", 0, "shared", 15, 10) == ("is", ["exclusive", 20, 0])
    assert one("range", 0, "none", 12, 4, False) == DONE
    assert other("range", 0, "exclusive", 12, 4, False) == DONE
    assert other("told", 0, "exclusive", 10, 2) == ("is", ["exclusive", 10, 2])
    assert one("close", 0) == DONE
    assert other("told", 0, "exclusive", 0, 0) == ("is", None)


def test_flock_and_ranges_do_not_exclude_each_other(pair):
    _, (one, other) = pair
    assert one("flock", 0, "exclusive", False) == DONE
    assert other("range", 0, "exclusive", 0, 0, False) == DONE


def test_programs_of_one_mount_exclude_each_other(pair, program):
    mounts, (one, _) = pair
    neighbour = program()
    neighbour.open(mounts[0].path / "f")
    assert one("range", 0, "exclusive", 0, 5, False) == DONE
    assert neighbour("range", 0, "exclusive", 4, 5, False) == BUSY
    assert neighbour("told", 0, "exclusive", 4, 5) == ("is", ["exclusive", 0, 5])
    neighbour.send("range", 0, "exclusive", 4, 5, True)
    assert waits(neighbour)
    assert one("range", 0, "none", 0, 5, False) == DONE
    assert neighbour.receive() == DONE


# Waiting

def lock_call(kind):
    return ("flock", 0, "exclusive", True) if kind == "flock" else ("range", 0, "exclusive", 0, 0, True)


def unlock_call(kind):
    return ("flock", 0, "none", True) if kind == "flock" else ("range", 0, "none", 0, 0, True)


KINDS = pytest.mark.parametrize("kind", ["flock", "range"])


@KINDS
def test_who_waits_gets_it_when_it_is_unlocked(pair, kind):
    _, (one, other) = pair
    assert one(*lock_call(kind)) == DONE
    other.send(*lock_call(kind))
    assert waits(other)
    assert one(*unlock_call(kind)) == DONE
    assert other.receive() == DONE


@KINDS
def test_who_waits_gets_it_when_the_other_is_killed(pair, kind):
    _, (one, other) = pair
    assert one(*lock_call(kind)) == DONE
    assert one("write", 0, "second", 0) == ("is", 6)
    other.send(*lock_call(kind))
    assert waits(other)
    one.kill()
    assert other.receive() == DONE
    assert other("read", 0) == ("is", "second")


@pytest.mark.long  # it waits; in short, tests/store/test_file_locks.c has it
@pytest.mark.timeout(150)
def test_who_waits_gets_it_when_the_others_host_is_gone(pair):
    (mnt, _), (one, other) = pair
    assert one(*lock_call("flock")) == DONE
    other.send(*lock_call("flock"))
    assert waits(other)
    mnt.process.kill()
    mnt.process.wait()
    mnt.expected_exit = -signal.SIGKILL
    force_unmount(mnt.path)
    assert other.receive() == DONE


@pytest.mark.long
@pytest.mark.timeout(150)
def test_who_slept_too_long_overwrites_nothing(pair, stored):
    (mnt, other_mnt), (one, other) = pair
    assert one(*lock_call("flock")) == DONE
    assert one("write", 0, "of who slept", 0) == ("is", 12)
    mnt.process.send_signal(signal.SIGSTOP)
    try:
        assert other(*lock_call("flock")) == DONE
        assert other("write", 0, "of who was awake", 0) == ("is", 16)
        assert other(*unlock_call("flock")) == DONE
    finally:
        mnt.process.send_signal(signal.SIGCONT)
    assert one(*unlock_call("flock")) == ("fails", "ESTALE")
    assert one("close", 0) == ("fails", "ESTALE")
    assert stored("f") == b"of who was awake"
    kept = wait_for(lambda: [name for name in os.listdir(other_mnt.path) if name != "f"], MINUTE, "a copy beside it")
    assert stored(kept[0]) == b"of who slept"
    assert "locks were lost" in mnt.log()


def test_a_wait_can_be_interrupted(pair):
    _, (one, other) = pair
    assert one(*lock_call("range")) == DONE
    other.send(*lock_call("range"))
    assert waits(other)
    os.kill(other.process.pid, signal.SIGUSR1)
    assert other.receive() == ("fails", "EINTR")
    assert one(*unlock_call("range")) == DONE
    assert one(*lock_call("range")) == DONE  # the other did not get it after all


def test_who_waits_can_be_killed(pair):
    _, (one, other) = pair
    assert one(*lock_call("flock")) == DONE
    other.send(*lock_call("flock"))
    assert waits(other)
    other.process.kill()
    wait_for(lambda: not process_alive(other.process.pid), 30, "the end of who waits")


def test_many_who_wait_leave_the_mount_usable(pair, program):
    mounts, (one, _) = pair
    assert one(*lock_call("flock")) == DONE
    crowd = [program() for _ in range(12)]
    for each in crowd:
        each.open(mounts[1].path / "f")
        each.send(*lock_call("flock"))
    (mounts[1].path / "g").write_bytes(b"other")
    assert (mounts[1].path / "g").read_bytes() == b"other"
    assert one("close", 0) == DONE
    for _ in crowd:
        ready = wait_for(lambda: [each for each in crowd if each.answered()], MINUTE, "the next")[0]
        assert ready.receive() == DONE
        crowd.remove(ready)
        assert ready("close", 0) == DONE
        ready.kill()
        if not crowd:
            break


def test_who_waits_is_told(told_pair, bucket):
    (_, mnt), (one, other) = told_pair
    assert one(*lock_call("range")) == DONE
    other.send(*lock_call("range"))

    def asks_seldom():
        begun = time.monotonic()
        with Watched(mnt) as spent:
            assert not other.answered(1)
        return spent.round_trips <= 6 + 5 * (time.monotonic() - begun)     # else about 20 a second
    wait_for(asks_seldom, MINUTE, "a stream that is open")
    before = mnt.counters()["changes_told"]
    locks = bucket.database[f"{bucket.name}.gridmount.locks"]
    for number in range(40):    # mounts that say that they live
        locks.update_many({"_id": {"$gte": "/mount/", "$lt": "/mount0"}}, {"$set": {"number": number}})
    assert one(*unlock_call("range")) == DONE
    assert other.receive() == DONE
    told = wait_for(lambda: mnt.counters()["changes_told"] - before, MINUTE, "what was told")
    assert told < 40


# Content

def test_who_gets_a_lock_sees_what_was_written_under_it(pair):
    _, (one, other) = pair
    for number, text in enumerate(["second", "a longer third", "4th"]):
        here, there = (one, other) if number % 2 else (other, one)
        assert here("flock", 0, "exclusive", True) == DONE
        assert here("read", 0)[0] == "is"
        assert here("write", 0, text, 0) == ("is", len(text))
        assert here("flock", 0, "none", True) == DONE
        assert there("flock", 0, "shared", True) == DONE
        assert there("read", 0)[1].startswith(text)
        assert there("size", 0)[1] == len(there("read", 0)[1])
        assert there("flock", 0, "none", True) == DONE


def test_who_gets_a_lock_finds_the_files_that_were_made_under_it(told_pair):
    """Though it had found nothing there, and it may not have been told yet."""
    (here, there), (one, other) = told_pair
    for number in range(30):
        name = f"{number}"
        assert not (there.path / name).exists() and not (there.path / name).exists()
        assert one("flock", 0, "exclusive", True) == DONE
        (here.path / name).write_bytes(b"new")
        assert one("flock", 0, "none", True) == DONE
        assert other("flock", 0, "exclusive", True) == DONE
        assert (there.path / name).read_bytes() == b"new"
        assert other("flock", 0, "none", True) == DONE


def test_an_open_file_keeps_its_revision_until_it_is_locked(pair, bucket):
    _, (one, _) = pair
    assert one("read", 0) == ("is", "first")
    bucket.put("f", b"of an application, and longer")
    assert one("read", 0) == ("is", "first")
    assert one("range", 0, "shared", 0, 1, True) == DONE
    assert one("read", 0) == ("is", "of an application, and longer")
    assert one("size", 0) == ("is", 29)


def test_what_is_appended_goes_to_the_end_that_there_is_now(pair, stored, program):
    """The kernel of the other mount believes in the size of before."""
    (mnt, _), (one, _) = pair
    appender = program()
    appender.open(mnt.path / "f", os.O_RDWR | os.O_APPEND)
    for text in ("a longer text", "short"):
        _, there = pair[1]
        assert there("flock", 0, "exclusive", True) == DONE
        assert there("cut", 0, 0) == DONE
        assert there("write", 0, text, 0) == ("is", len(text))
        assert there("flock", 0, "none", True) == DONE
        assert appender("flock", 0, "exclusive", True) == DONE
        assert appender("write", 0, ", more") == ("is", 6)
        assert appender("flock", 0, "none", True) == DONE
        assert stored("f").decode() == text + ", more"
        assert appender("size", 0) == ("is", len(text) + 6)
        assert one("flock", 0, "shared", True) == DONE
        assert one("read", 0) == ("is", text + ", more")
        assert one("flock", 0, "none", True) == DONE


@pytest.mark.timeout(120)
@pytest.mark.parametrize("flags", [os.O_APPEND, 0], ids=["appended", "at the end"])
def test_lines_added_under_a_lock_are_all_there(pair, flags, stored):
    mounts, programs = pair
    lines = 20
    for number, (each, mnt) in enumerate(zip(programs, mounts)):
        each.send("append", str(mnt.path / "log"), number, lines, flags)
    assert [each.receive(100) for each in programs] == [DONE, DONE]
    found = stored("log").decode().splitlines()
    assert sorted(found) == sorted(f"{number} {line}" for number in range(2) for line in range(lines))
    for number in range(2):
        assert [line for line in found if line.startswith(f"{number} ")] == [f"{number} {i}" for i in range(lines)]


# Costs, and what stays as it was

def test_a_lock_that_nobody_else_wants_costs_little(pair):
    (mnt, _), (one, _) = pair
    assert one(*lock_call("flock")) == DONE  # the mount says that it is there
    assert one(*unlock_call("flock")) == DONE
    with Watched(mnt) as spent:
        for _ in range(10):
            assert one(*lock_call("flock")) == DONE
            assert one(*unlock_call("flock")) == DONE
    assert spent.round_trips <= 10 * 4 + 8  # written, looked around, the newest revision; and let go


def test_nothing_is_left_of_locks(pair, bucket):
    mounts, (one, other) = pair
    assert one("range", 0, "exclusive", 0, 10, True) == DONE
    assert other("range", 0, "shared", 20, 10, True) == DONE
    locks = bucket.database[f"{bucket.name}.gridmount.locks"]
    assert locks.count_documents({}) == 4  # two mounts, and what each holds
    one.kill()
    other.kill()
    wait_for(lambda: locks.count_documents({}) == 2, 30, "the end of the locks")
    assert [mnt.unmount() for mnt in mounts] == [0, 0]
    assert locks.count_documents({}) == 0


def test_fsck_lets_locks_be_however_old(pair, bucket, uri):
    _, (one, other) = pair
    assert one(*lock_call("range")) == DONE
    locks = bucket.database[f"{bucket.name}.gridmount.locks"]
    locks.update_many({"_id": {"$gte": "/r/", "$lt": "/r0"}}, {"$set": {"until": day(1)}})
    checked = gridmount("fsck", uri, "--repair", "--yes", timeout=MINUTE)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert other("range", 0, "exclusive", 0, 0, False) == BUSY


def test_without_the_option_locks_are_local(mount, program):
    mounts = [mount(), mount(options="locks=local")]
    (mounts[0].path / "f").write_bytes(b"first")
    programs = [program() for _ in range(3)]
    for each, mnt in zip(programs, mounts + mounts[:1]):
        each.open(mnt.path / "f")
    for call in (("flock", 0, "exclusive", False), ("range", 0, "exclusive", 0, 0, False)):
        assert [each(*call) for each in programs] == [DONE, DONE, BUSY]


# sqlite

def count_together(mounts, transactions, seconds):
    path = [mnt.path / "counter.db" for mnt in mounts]
    with contextlib.closing(sqlite3.connect(path[0], isolation_level=None)) as database:
        database.execute("CREATE TABLE counter (count INTEGER)")
        database.execute("INSERT INTO counter VALUES (0)")
        database.execute("CREATE TABLE entries (who INTEGER, count INTEGER)")
    with contextlib.ExitStack() as started:
        workers = []
        for number, each in enumerate(path):
            workers.append(subprocess.Popen([sys.executable, WORKERS / "sqlite_worker.py", each, str(number),
                                             str(transactions)], stderr=subprocess.PIPE, text=True))
            started.callback(workers[-1].kill)
        for worker in workers:
            _, complaint = worker.communicate(timeout=seconds)
            assert worker.returncode == 0, complaint
    with contextlib.closing(sqlite3.connect(path[0])) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count FROM counter").fetchone() == (transactions * len(mounts),)
        counts = database.execute("SELECT count FROM entries ORDER BY count").fetchall()
        assert counts == [(count,) for count in range(transactions * len(mounts))]


@pytest.mark.timeout(180)
def test_sqlite_counts_from_two_mounts(mount):
    count_together([mount(options="locks=cluster,consistency=strict") for _ in range(2)], 15, 120)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_sqlite_counts_to_thousands_from_four_mounts(mount):
    count_together([mount(options="locks=cluster,consistency=strict") for _ in range(4)], 1000, 1700)
