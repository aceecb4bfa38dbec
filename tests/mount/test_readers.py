# SPDX-License-Identifier: Apache-2.0
"""Readers in a loop while a writer replaces a file: whole revisions only, never none.

READERS_SIZE and READERS_COUNT set what is replaced how often; the long form is 20 MiB, 200 times.
"""
import os
import threading

import gridfs
import pytest

from mounting import wait_for

MIB = 1 << 20


def revision(number, size):
    """Every byte tells which revision it is of; sizes differ, so a short read shows."""
    return bytes([number % 251 + 1]) * (size + number % 7 * 1000)


def is_whole(data, size):
    """One byte all over, and one of the lengths that revisions have."""
    extra, rest = divmod(len(data) - size, 1000)
    return bool(data) and data.count(data[0]) == len(data) and rest == 0 and 0 <= extra < 7


class Readers:
    """Threads that read until they are told to stop; what was wrong, and how many reads there were."""

    def __init__(self, size):
        self.size, self.stop = size, threading.Event()
        self.wrong, self.counts, self.threads = [], {}, []

    def add(self, name, read):
        def loop():
            while not self.stop.is_set():
                try:
                    data = read()
                except Exception as error:  # pylint: disable=broad-except  # whatever it is, it is the finding
                    self.wrong.append(f"{name}: {error!r}")
                    continue
                if not is_whole(data, self.size):
                    self.wrong.append(f"{name}: {len(data)} bytes of {sorted(set(data))[:5]}")
                self.counts[name] = self.counts.get(name, 0) + 1
        self.threads.append(threading.Thread(target=loop))
        self.threads[-1].start()

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def read_file(path):
    with open(path, "rb", buffering=0) as file:
        return b"".join(iter(lambda: file.read(MIB), b""))


def replace_in_place(path, data):
    with open(path, "wb") as file:
        file.write(data)


def replace_by_rename(path, data):
    replace_in_place(f"{path}.tmp", data)
    os.rename(f"{path}.tmp", path)


def watch_a_writer(mount, database, replace, size, count):
    one, other = mount(), mount()
    path = one.path / "f"
    replace_in_place(path, revision(0, size))
    readers = Readers(size)
    with open(path, "rb") as held:
        # pymongo asks for the document and then for its chunks: those of a revision retired between stay, in the trash.
        readers.add("pymongo", lambda: gridfs.GridFS(database).get_last_version("f").read())
        readers.add("second mount", lambda: read_file(other.path / "f"))
        if replace is replace_by_rename:
            readers.add("same mount", lambda: read_file(path))
        try:
            wait_for(lambda: len(readers.counts) == len(readers.threads), 30, "a read by every reader")
            for number in range(1, count + 1):
                replace(path, revision(number, size))
        finally:
            readers.end()
        assert held.read() == revision(0, size) or replace is replace_in_place
    assert not readers.wrong, f"{len(readers.wrong)} of {readers.counts}: {readers.wrong[:5]}"
    assert read_file(other.path / "f") == revision(count, size)
    print(readers.counts)


# A writer in place shows its own mount what it has written so far, as any local filesystem does.
@pytest.mark.timeout(180)
@pytest.mark.parametrize("replace", [replace_in_place, replace_by_rename])
def test_readers_see_whole_revisions(bucket, mount, database, scale, replace):
    size = int(os.environ.get("READERS_SIZE", scale(2 * MIB)))
    watch_a_writer(mount, database, replace, size, int(os.environ.get("READERS_COUNT", 30)))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("replace", [replace_in_place, replace_by_rename])
def test_readers_see_whole_revisions_of_a_big_file(bucket, mount, database, replace):
    size = int(os.environ.get("READERS_SIZE", 20 * MIB))
    watch_a_writer(mount, database, replace, size, int(os.environ.get("READERS_COUNT", 200)))


def test_many_small_files_are_replaced_under_many_readers(bucket, mount, scale):
    one, other = mount(), mount()
    for number in range(10):
        replace_in_place(one.path / f"f{number}", revision(0, 500))
    readers = Readers(500)
    for number in range(0, 10, 2):
        readers.add(f"f{number}", lambda number=number: read_file(other.path / f"f{number}"))
    try:
        for turn in range(1, 1 + scale(20)):
            for number in range(10):
                replace_by_rename(one.path / f"f{number}", revision(turn, 500))
    finally:
        readers.end()
    assert not readers.wrong, readers.wrong[:5]


def test_two_writers_on_two_mounts_leave_one_of_their_revisions(bucket, mount, database):
    mounts, errors = [mount(), mount()], []

    def write(number):
        try:
            for turn in range(10):
                replace_in_place(mounts[number].path / "f", revision(turn * 2 + number, 100_000))
        except OSError as error:
            errors.append(error)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not errors
    seen = {read_file(mnt.path / "f") for mnt in mounts}
    seen.add(gridfs.GridFS(database).get_last_version("f").read())
    assert len(seen) == 1 and is_whole(seen.pop(), 100_000)
