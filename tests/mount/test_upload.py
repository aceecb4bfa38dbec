# SPDX-License-Identifier: Apache-2.0
"""A large file is uploaded while it is written; nobody sees any of it before it is closed, and then all of it."""
import os
import random
import signal
import subprocess
import sys

import bson
import gridfs
import pytest

from buckets import CHUNK
from mounting import Watched, force_unmount, wait_for

MIB = 1 << 20
MUCH = 13 * MIB     # beyond what is left to the close


def write_stream(descriptor, data, at=0):
    for start in range(0, len(data), MIB // 4):
        os.pwrite(descriptor, data[start:start + MIB // 4], at + start)


@pytest.fixture
def mnt(mount):
    return mount()


@pytest.fixture
def opened(mnt):
    """The descriptor of a new file."""
    descriptor = os.open(mnt.path / "f", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    yield descriptor
    try:
        os.close(descriptor)
    except OSError:
        pass    # the test has closed it, or killed the mount


def await_chunks(bucket, least):
    wait_for(lambda: bucket.chunks.estimated_document_count() >= least, 30, f"{least} chunks")


def expect_stored(bucket, data):
    """That pymongo reads it, and no chunk but its own is there."""
    file = gridfs.GridFS(bucket.database).get_last_version("f")
    assert file.read() == data
    assert bucket.chunks.count_documents({"files_id": file._id}) == -(-len(data) // CHUNK)


def test_it_is_there_before_the_close_and_seen_after_it(bucket, mnt, mount, opened):
    data = random.Random(1).randbytes(MUCH)
    other = mount()
    with Watched(mnt) as spent:
        write_stream(opened, data)
        await_chunks(bucket, MUCH // CHUNK // 2)
        assert bucket.files.count_documents({}) == 0 and not (other.path / "f").exists()
        assert os.pread(opened, MUCH, 0) == data
        os.close(opened)
    assert spent.chunk_bytes_uploaded == MUCH and spent.puts == 1
    assert (other.path / "f").read_bytes() == data
    expect_stored(bucket, data)
    assert bucket.chunks.count_documents({}) == -(-MUCH // CHUNK)


def test_what_is_overwritten_meanwhile_is_stored_as_it_was_last(bucket, mnt, opened):
    numbers = random.Random(2)
    data = bytearray(numbers.randbytes(MUCH))
    write_stream(opened, data[:MUCH // 2])
    for at in range(MUCH // 2, MUCH, MIB // 4):
        os.pwrite(opened, data[at:at + MIB // 4], at)
        patch, place = numbers.randbytes(numbers.randrange(1, 5000)), numbers.randrange(at)
        os.pwrite(opened, patch, place)
        data[place:place + len(patch)] = patch
    os.close(opened)
    expect_stored(bucket, bytes(data))
    assert (mnt.path / "f").read_bytes() == data


def test_what_is_cut_off_is_not_stored(bucket, mnt, opened):
    data = random.Random(3).randbytes(MUCH)
    write_stream(opened, data)
    await_chunks(bucket, 1)
    os.ftruncate(opened, 5 * MIB + 3)
    os.ftruncate(opened, 6 * MIB)
    os.close(opened)
    expect_stored(bucket, data[:5 * MIB + 3] + bytes(MIB - 3))


def test_a_stream_is_synced_in_between(bucket, mnt, opened):
    data = random.Random(4).randbytes(MUCH)
    write_stream(opened, data[:MUCH // 2 + 7])
    os.fsync(opened)
    expect_stored(bucket, data[:MUCH // 2 + 7])
    write_stream(opened, data[MUCH // 2 + 7:], MUCH // 2 + 7)
    os.close(opened)
    expect_stored(bucket, data)


def test_what_is_removed_before_the_close_goes(bucket, mnt, opened):
    write_stream(opened, bytes(MUCH))
    await_chunks(bucket, 1)
    os.unlink(mnt.path / "f")
    wait_for(lambda: bucket.chunks.count_documents({}) == 0, 30, "that its chunks go")
    write_stream(opened, bytes(MUCH), MUCH)
    os.close(opened)
    assert bucket.chunks.count_documents({}) == bucket.files.count_documents({}) == 0


def die_in_the_middle(bucket, mount):
    """A daemon that is killed while a program writes; what it leaves is under an intent, and no file."""
    mnt = mount()
    program = "import sys; file = open(sys.argv[1], 'wb', buffering=0)\nwhile True: file.write(bytes(1 << 20))"
    writer = subprocess.Popen([sys.executable, "-c", program, str(mnt.path / "f")], stderr=subprocess.DEVNULL)
    await_chunks(bucket, 10)
    mnt.process.kill()
    mnt.expected_exit = -signal.SIGKILL
    writer.wait()
    mnt.end()
    force_unmount(mnt.path)
    intents = bucket.database["fs.gridmount.intents"]
    reserved = [int(str(intent["_id"]), 16) for intent in intents.find({"kind": "put"})]
    for files_id in bucket.chunks.distinct("files_id"):
        assert any(first <= int(str(files_id), 16) < first + 256 for first in reserved)
    assert bucket.files.count_documents({}) == 0
    return intents


def test_a_daemon_that_is_killed_leaves_no_file(bucket, mount):
    die_in_the_middle(bucket, mount)
    bucket.put("f", b"of another application")
    assert (mount().path / "f").read_bytes() == b"of another application"


@pytest.mark.long
@pytest.mark.timeout(200)
def test_what_a_killed_daemon_left_is_cleaned_up(bucket, mount):
    intents = die_in_the_middle(bucket, mount)
    intents.update_many({}, {"$set": {"until": bson.datetime_ms.DatetimeMS(1)}})
    mnt = mount()
    (mnt.path / "g").write_bytes(b"kept")   # the housekeeping is of buckets in use, once a minute
    wait_for(lambda: bucket.chunks.count_documents({}) == 1, 150, "that its chunks go")
    assert gridfs.GridFS(bucket.database).get_last_version("g").read() == b"kept"
