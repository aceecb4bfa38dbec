# SPDX-License-Identifier: Apache-2.0
"""copy_file_range and the programs that use it: a copy is whole, and the server makes it where it can."""
import errno
import os
import random
import subprocess

import bson
import pytest

from buckets import CHUNK
from mounting import Watched

KIB, MIB = 1 << 10, 1 << 20
LENGTH = 10 * CHUNK + 1000  # more than is worth a command to the server


def content(size, seed=1):
    return random.Random(seed).randbytes(size)


def copy(source, target, size, source_offset, target_offset):
    """All of it: a call may copy less."""
    done = 0
    while done < size:
        copied = os.copy_file_range(source.fileno(), target.fileno(), size - done, source_offset + done,
                                    target_offset + done)
        if not copied:
            break
        done += copied
    return done


@pytest.fixture
def mnt(mount):
    return mount()


@pytest.fixture
def root(mnt):
    return mnt.path


def test_cp_moves_no_content_where_the_server_copies(bucket, mnt, stored, server, scale):
    data = content(scale(32 * MIB))
    bucket.put("a", data)
    with Watched(mnt) as spent:
        subprocess.run(["cp", mnt.path / "a", mnt.path / "b"], check=True)
    assert stored("b") == data
    assert (mnt.path / "b").read_bytes() == data
    if server.has_transactions:     # a server as rich as that has $merge as well
        assert spent.chunk_bytes_fetched + spent.chunk_bytes_uploaded <= MIB, spent.counts
        assert spent.chunk_bytes_copied >= len(data) - MIB


def test_a_copy_over_a_file_is_its_next_revision(bucket, root, stored):
    data = content(LENGTH)
    bucket.put("a", data, chunk_size=300 * KIB)
    bucket.put("b", b"of before", metadata={"tag": "kept"})
    bucket.put("c", b"of before", chunk_size=100 * KIB)
    for name in ("b", "c", "new"):
        subprocess.run(["cp", root / "a", root / name], check=True)
        assert stored(name) == data
    newest = {name: bucket.files.find_one({"filename": name}, sort=[("uploadDate", -1)]) for name in ("b", "c", "new")}
    assert newest["b"]["metadata"]["tag"] == "kept"
    assert {name: document["chunkSize"] for name, document in newest.items()} == \
        {"b": CHUNK, "c": 100 * KIB, "new": 300 * KIB}


def test_ranges_go_anywhere(bucket, root, stored):
    source, target = content(3 * CHUNK + 10), bytearray(content(3 * CHUNK, 2))
    bucket.put("a", source)
    bucket.put("b", bytes(target))
    with open(root / "a", "rb") as reading, open(root / "b", "r+b") as writing:
        for start, to, size in ((0, 100, 5000), (CHUNK - 7, 7, CHUNK), (CHUNK, CHUNK, 1000),
                                (2 * CHUNK, 3 * CHUNK - 5, CHUNK + 10)):
            assert copy(reading, writing, size, start, to) == size
            target[to:to + size] = source[start:start + size]
        assert os.copy_file_range(reading.fileno(), writing.fileno(), 100, len(source) - 3, 0) == 3
        target[:3] = source[-3:]
        assert os.copy_file_range(reading.fileno(), writing.fileno(), 100, len(source), 0) == 0
    assert stored("b") == target


def test_what_is_written_and_not_closed_is_copied(bucket, root, stored):
    data = bytearray(content(LENGTH))
    bucket.put("a", bytes(data))
    with open(root / "a", "r+b", buffering=0) as source, open(root / "b", "wb") as target:
        source.seek(CHUNK + 5)
        source.write(b"written")
        data[CHUNK + 5:CHUNK + 12] = b"written"
        assert copy(source, target, len(data), 0, 0) == len(data)
    assert stored("b") == data


def test_within_one_file_ranges_must_not_overlap(bucket, root, stored):
    data = content(1000)
    bucket.put("a", data)
    with open(root / "a", "r+b") as file:
        with pytest.raises(OSError) as refused:
            copy(file, file, 500, 0, 499)
        assert refused.value.errno == errno.EINVAL
        assert copy(file, file, 500, 0, 500) == 500
    assert stored("a") == data[:500] * 2


def test_what_cannot_be_copied_says_why(bucket, mount):
    bucket.put("a", content(1000))
    root = mount(options=f"max_file_size={MIB}").path
    with open(root / "a", "r+b") as source, open(root / "b", "ab") as appending, open(root / "c", "wb") as target:
        for attempt, error in ((lambda: copy(source, appending, 9, 0, 0), errno.EBADF),
                               (lambda: copy(target, source, 9, 0, 0), errno.EBADF),
                               (lambda: copy(source, target, 9, 0, MIB - 8), errno.EFBIG)):
            with pytest.raises(OSError) as refused:
                attempt()
            assert refused.value.errno == error


def test_a_sparse_file_stays_sparse(root, stored, server):
    with open(root / "a", "wb") as file:
        file.write(b"start")
        file.seek(20 * CHUNK)
        file.write(b"end")
    subprocess.run(["cp", root / "a", root / "b"], check=True)
    assert stored("b") == b"start" + bytes(20 * CHUNK - 5) + b"end"
    if server.has_nested_arrays:
        assert (root / "b").stat().st_blocks == (root / "a").stat().st_blocks < 100


def test_a_copy_that_began_is_of_the_revision_that_was_opened(bucket, mount, mnt, stored):
    data, other = content(LENGTH), mount().path
    (mnt.path / "a").write_bytes(data)
    bucket.put("foreign", data)
    for name in ("a", "foreign"):
        with open(mnt.path / name, "rb") as source, open(mnt.path / f"{name}-copy", "wb") as target:
            assert copy(source, target, CHUNK + 7, 0, 0) == CHUNK + 7
            if name == "a":
                (other / name).write_bytes(b"replaced")
                os.unlink(other / name)
            else:
                bucket.put(name, b"replaced")
            assert copy(source, target, LENGTH, CHUNK + 7, CHUNK + 7) == LENGTH - CHUNK - 7
        assert stored(f"{name}-copy") == data


def test_a_source_that_another_client_deletes_is_an_error_and_no_short_file(bucket, root, stored):
    number = bucket.put("a", content(LENGTH))
    with open(root / "a", "rb") as source:
        target = os.open(root / "b", os.O_WRONLY | os.O_CREAT)
        assert os.copy_file_range(source.fileno(), target, LENGTH) == LENGTH
        bucket.delete(number)
        with pytest.raises(OSError):
            os.close(target)
    assert stored("b") is None
    os.unlink(root / "b")


def test_a_damaged_source_is_an_error_and_no_damaged_copy(bucket, root, stored):
    number = bucket.put("a", content(LENGTH))
    bucket.chunks.update_one({"files_id": number, "n": 5}, {"$set": {"data": bson.Binary(b"short")}})
    assert subprocess.run(["cp", root / "a", root / "b"], check=False, capture_output=True).returncode != 0
    assert stored("b") is None
    os.unlink(root / "b")


def test_sources_whose_ids_may_be_used_again_are_copied_too(bucket, root, stored):
    data = content(LENGTH)
    bucket.put("a", data, _id="a name of its own")
    subprocess.run(["cp", root / "a", root / "b"], check=True)
    assert stored("b") == data
