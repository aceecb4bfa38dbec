# SPDX-License-Identifier: Apache-2.0
"""Replaced and removed content: who has it open reads on, for days if need be, and then it goes. DESIGN.md §3, §4."""
import datetime
import errno
import os
import signal

import bson
import pytest

from buckets import now
from mounting import force_unmount, wait_for

SECONDS = 30    # what housekeeping every five seconds takes at most, on a busy machine
YEAR = datetime.timedelta(days=365)


@pytest.fixture
def trash(database):
    return database["fs.gridmount.trash"]


@pytest.fixture
def intents(database):
    return database["fs.gridmount.intents"]


def overwrite(path, data):
    with open(path, "wb") as file:
        file.write(data)


def make_due(collection, field="due"):
    """As if the time of all that waits in it had come, long ago."""
    collection.update_many({field: {"$exists": True}}, {"$set": {field: now() - YEAR}})


def seconds_left(record):
    return (record["due"] - now()).total_seconds()


def test_what_is_replaced_is_due_after_the_grace_of_its_mount(mount, trash):
    for number, grace in enumerate([None, 3600, 1]):
        path = mount(options=f"grace={grace}" if grace else "").path / f"f{number}"
        overwrite(path, b"old")
        overwrite(path, b"new")
        record = trash.find_one({"document.filename": path.name})
        wanted = max(grace or 60, 15)   # less than 15 s is no time for other mounts to say what they have open
        assert wanted - 10 < seconds_left(record) <= wanted + 1


def test_a_long_read_outlives_a_short_grace_of_another_mount(bucket, mount, trash):
    """The reader says that it has the file open before the other's grace is over, and waits with its own."""
    data = os.urandom(3_000_000)
    writer, reader = mount(options="grace=1"), mount(options="grace=3600,cache_size=1M")
    overwrite(writer.path / "f", data)
    with open(reader.path / "f", "rb", buffering=0) as file:
        start = file.read(1000)
        overwrite(writer.path / "f", b"new")
        assert seconds_left(trash.find_one()) < 20
        wait_for(lambda: seconds_left(trash.find_one()) > 3000, SECONDS, "a reader that has said so")
        assert start + file.read() == data
    assert bucket.chunks.count_documents({}) > 1
    make_due(trash)
    wait_for(lambda: bucket.chunks.count_documents({}) == 1, SECONDS, "housekeeping once nobody has it open")
    assert (reader.path / "f").read_bytes() == b"new"


@pytest.mark.long
@pytest.mark.timeout(200)
def test_one_who_keeps_reading_is_waited_for_again_and_again(bucket, mount, trash):
    """The time comes twice, and each time the reader is asked first: it is another mount that deletes."""
    writer, reader = mount(options="grace=1"), mount(options="grace=1")
    overwrite(writer.path / "f", b"old")
    with open(reader.path / "f", "rb") as file:
        overwrite(writer.path / "f", b"new")
        first = trash.find_one()["due"]
        wait_for(lambda: trash.find_one()["due"] > first, SECONDS, "a first time")
        second = trash.find_one()["due"]
        wait_for(lambda: trash.find_one()["due"] > second, SECONDS, "a second time")
        assert file.read() == b"old"
    wait_for(lambda: trash.count_documents({}) == 0, 60, "the end of it")
    assert bucket.chunks.count_documents({}) == 1


def test_only_a_client_that_deletes_the_chunks_ends_a_read_and_not_with_garbage(bucket, mount):
    data = os.urandom(20_000_000)
    mnt = mount(options="cache_size=1M")
    overwrite(mnt.path / "f", data)
    with open(mnt.path / "f", "rb", buffering=0) as file:
        assert file.read(1000) == data[:1000]
        bucket.delete(bucket.files.find_one({"filename": "f"})["_id"])
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)   # the kernel has what was written
        with pytest.raises(OSError) as refused:
            os.pread(file.fileno(), 4096, 19_000_000)
        assert refused.value.errno in (errno.ESTALE, errno.EIO)


# The janitor: one mount at a time, which works off what others left

def test_another_mount_goes_on_where_a_killed_one_stopped(bucket, mount, trash, intents):
    dead = mount(options="grace=1")
    for number in range(5):
        overwrite(dead.path / "f", b"%d" % number)
    held = os.open(dead.path / "unfinished", os.O_CREAT | os.O_WRONLY)
    record = intents.find_one({"kind": "put"})
    orphan = bson.ObjectId(record["_id"].binary[:11] + b"\xc8")
    bucket.chunks.insert_one({"files_id": orphan, "n": 0, "data": b"of a put that died"})
    bucket.chunks.insert_one({"files_id": bson.ObjectId(), "n": 0, "data": b"of somebody's put that goes on"})
    intents.insert_one({"_id": "janitor", "kind": "janitor", "owner": bson.ObjectId(), "until": now() + YEAR})
    dead.process.kill()
    dead.process.wait()
    dead.expected_exit = -signal.SIGKILL
    force_unmount(dead.path)
    try:
        os.close(held)
    except OSError:
        pass
    assert (trash.count_documents({}), bucket.chunks.count_documents({})) == (4, 7)
    make_due(trash)
    make_due(intents, "until")
    heir = mount(options="grace=1")
    wait_for(lambda: bucket.chunks.count_documents({}) == 2, SECONDS, "housekeeping by the next mount")
    assert trash.count_documents({}) == 0
    wait_for(lambda: intents.count_documents({"kind": "put"}) == 0, SECONDS, "the end of what the dead one began")
    assert (heir.path / "f").read_bytes() == b"4"
    assert bucket.chunks.count_documents({"files_id": orphan}) == 0
    assert intents.find_one({"_id": "janitor"})["until"] > now()
    assert heir.unmount() == 0
    assert intents.count_documents({"_id": "janitor"}) == 0, "a clean end makes nobody wait"
