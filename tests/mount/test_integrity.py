# SPDX-License-Identifier: Apache-2.0
"""Damaged files: an error and a log line that names the file and the chunk, never data."""
import errno
import os
import random
import re

import pytest
from bson import Int64, ObjectId

from buckets import CHUNK, Bucket, chunks_of
from mounting import names_in

SIZE, CHUNK_SIZE = 3500, 1000       # three full chunks and a half
DATA = random.Random(1).randbytes(SIZE)


def without(n):
    return lambda chunks: [chunk for chunk in chunks if chunk["n"] != n]


def changed(which, /, **fields):
    return lambda chunks: [chunk | fields if chunk["n"] == which else chunk for chunk in chunks]


def with_more(*data):
    """Further chunks behind the last one."""
    return lambda chunks: chunks + [chunks[-1] | {"_id": ObjectId(), "n": len(chunks) + i, "data": d}
                                    for i, d in enumerate(data)]


def swapped(chunks):
    last = max(chunk["n"] for chunk in chunks)
    return [chunk | {"n": last - chunk["n"]} for chunk in chunks]


def without_field(n, field):
    return lambda chunks: [{k: v for k, v in chunk.items() if k != field} if chunk["n"] == n else chunk
                           for chunk in chunks]


# What is done to the chunks, and which chunk the log must name.
DAMAGE = {
    "first chunk missing": (without(0), 0),
    "middle chunk missing": (without(1), 1),
    "last chunk missing": (without(3), 3),
    "all chunks missing": (lambda chunks: [], 0),
    "first chunk short": (changed(0, data=DATA[:999]), 0),
    "middle chunk short": (changed(2, data=DATA[2000:2999]), 2),
    "middle chunk empty": (changed(1, data=b""), 1),
    "last chunk short": (changed(3, data=DATA[3000:3499]), 3),
    "last chunk empty": (changed(3, data=b""), 3),
    "first chunk long": (changed(0, data=DATA[:1001]), 0),
    "middle chunk long": (changed(1, data=DATA[1000:2000] + b"!"), 1),
    "last chunk long": (changed(3, data=DATA[3000:] + b"!"), 3),
    "last chunk as long as a full one": (changed(3, data=b"x" * 1000), 3),
    "middle chunk misnumbered": (changed(1, n=7), 1),
    "middle chunk with a negative number": (changed(1, n=-1), 1),
    "middle chunk with a fractional number": (changed(1, n=1.5), 1),
    "middle chunk numbered by a string": (changed(1, n="1"), 1),
    "middle chunk numbered by null": (changed(1, n=None), 1),
    "middle chunk numbered beyond int32": (changed(1, n=Int64(2**40)), 1),
    "chunks in reverse": (swapped, 0),
    "extra chunk": (with_more(b"extra"), 3),        # found with the last one
    "two extra chunks": (with_more(b"x" * 1000, b"y"), 3),
    "data is a string": (changed(1, data="x" * 1000), 1),
    "data is null": (changed(1, data=None), 1),
    "data is a number": (changed(1, data=5), 1),
    "data is missing": (without_field(1, "data"), 1),
}


@pytest.mark.parametrize("damage, n", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_an_error_that_names_the_file_and_the_chunk(bucket, mount, damage, n):
    files_id = ObjectId()
    bucket.insert("d/damaged", DATA, _id=files_id, chunkSize=CHUNK_SIZE,
                  chunks=damage(chunks_of(files_id, DATA, CHUNK_SIZE)))
    bucket.put("d/neighbour", b"unharmed")
    mnt = mount()
    with pytest.raises(OSError) as refused:
        (mnt.path / "d/damaged").read_bytes()
    assert refused.value.errno == errno.EIO
    assert any("d/damaged" in line and re.search(rf"chunk \D*{n}\b", line)
               for line in mnt.log().splitlines()), mnt.log()
    assert mnt.counters()["damaged_chunks"] >= 1
    assert names_in(mnt.path / "d") == ["damaged", "neighbour"]
    assert (mnt.path / "d/damaged").stat().st_size == SIZE
    assert (mnt.path / "d/neighbour").read_bytes() == b"unharmed"


@pytest.mark.parametrize("more", [(b"",), (b"", b"")], ids=["one", "two"])
def test_an_empty_extra_chunk_is_tolerated(bucket, mount, more):
    files_id = ObjectId()
    bucket.insert("f", DATA, _id=files_id, chunkSize=CHUNK_SIZE,
                  chunks=with_more(*more)(chunks_of(files_id, DATA, CHUNK_SIZE)))
    assert (mount().path / "f").read_bytes() == DATA


@pytest.mark.parametrize("with_chunk", [False, True])
def test_an_empty_file_needs_no_chunk(bucket, mount, with_chunk):
    chunk = {"_id": ObjectId(), "files_id": "empty", "n": 0, "data": b""}
    bucket.insert("f", b"", _id="empty", chunks=[chunk] if with_chunk else [])
    path = mount().path / "f"
    assert path.stat().st_size == 0
    assert path.read_bytes() == b""


def test_chunks_stored_in_any_order_are_read_in_theirs(bucket, mount):
    chunks = chunks_of("id", DATA, CHUNK_SIZE)
    random.Random(2).shuffle(chunks)
    bucket.insert("f", DATA, _id="id", chunkSize=CHUNK_SIZE, chunks=chunks)
    assert (mount().path / "f").read_bytes() == DATA


def test_chunks_of_other_files_are_never_mixed_in(bucket, mount):
    ids = [1, "1", ObjectId(), {"a": 1}]
    for n, files_id in enumerate(ids):
        bucket.insert(f"f{n}", repr(files_id).encode() * 50, _id=files_id, chunkSize=10)
    root = mount().path
    for n, files_id in enumerate(ids):
        assert (root / f"f{n}").read_bytes() == repr(files_id).encode() * 50


def test_what_lies_before_the_damage_is_still_readable(bucket, mount):
    data = random.Random(3).randbytes(30 * CHUNK)
    files_id = bucket.put("f", data)
    bucket.chunks.delete_one({"files_id": files_id, "n": 25})
    mnt = mount()
    descriptor = os.open(mnt.path / "f", os.O_RDONLY)
    assert os.pread(descriptor, 5 * CHUNK, 0) == data[:5 * CHUNK]
    assert os.pread(descriptor, CHUNK, 28 * CHUNK) == data[28 * CHUNK:29 * CHUNK]
    with pytest.raises(OSError) as refused:
        os.pread(descriptor, 10, 25 * CHUNK + CHUNK // 2)
    assert refused.value.errno == errno.EIO
    os.close(descriptor)


def test_a_repaired_file_is_readable_again(bucket, mount):
    files_id = bucket.put("f", DATA, chunk_size=CHUNK_SIZE)
    lost = bucket.chunks.find_one_and_delete({"files_id": files_id, "n": 1})
    path = mount().path / "f"
    with pytest.raises(OSError):
        path.read_bytes()
    bucket.chunks.insert_one(lost)
    assert path.read_bytes() == DATA


def test_a_chunk_stored_twice_is_never_silently_chosen(database, mount):
    bucket = Bucket(database, indexes=False)
    chunks = chunks_of("id", DATA, CHUNK_SIZE)
    chunks.append(chunks[1] | {"_id": ObjectId(), "data": b"!" * CHUNK_SIZE})
    bucket.insert("f", DATA, _id="id", chunkSize=CHUNK_SIZE, chunks=chunks)
    with pytest.raises(OSError) as refused:
        (mount().path / "f").read_bytes()
    assert refused.value.errno == errno.EIO


def test_no_files_document_means_no_file(bucket, mount):
    bucket.chunks.insert_many(chunks_of(ObjectId(), DATA, CHUNK_SIZE))
    root = mount().path
    assert names_in(root) == []
    with pytest.raises(FileNotFoundError):
        (root / "f").read_bytes()
