# SPDX-License-Identifier: Apache-2.0
"""The long forms: a million files and gigabytes. Run with --long; they take many minutes."""
import os
import random
import subprocess
import threading
import time

import pytest

from buckets import CHUNK, now
from mounting import Watched, wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
MIB, GIB = 1 << 20, 1 << 30
MILLION = 1_000_000


@pytest.fixture
def peak():
    """peak(mnt): follows the resident size of a daemon; call the result for the most so far."""
    stop = threading.Event()

    def follow(mnt):
        most = [0]

        def look():
            while not stop.wait(0.05) and mnt.process.poll() is None:
                most[0] = max(most[0], mnt.resident_bytes())
        threading.Thread(target=look, daemon=True).start()
        return lambda: most[0]
    yield follow
    stop.set()


@pytest.fixture
def sparse_file(bucket):
    """sparse_file(size): a file "big" whose chunks are one random chunk again and again."""
    def make(size):
        chunk = random.Random(1).randbytes(CHUNK)
        count = -(-size // CHUNK)
        files_id = bucket.document("big")["_id"]
        for first in range(0, count, 128):
            bucket.chunks.insert_many([
                {"files_id": files_id, "n": n, "data": chunk[:min(CHUNK, size - n * CHUNK)]}
                for n in range(first, min(first + 128, count))])
        bucket.files.insert_one(bucket.document("big", length=size, _id=files_id, uploadDate=now()))
        return chunk
    return make


def find_count(root):
    """The number of names that `find` prints below root."""
    found = subprocess.run(f"find '{root}' -mindepth 1 | wc -l", shell=True, check=True,
                           capture_output=True, text=True)
    return int(found.stdout)


def test_the_root_of_a_million_nested_files(bucket, mount, scale, peak):
    count = scale(MILLION)
    bucket.insert_names(f"d{n % 10}/s{n // 10 % 300:03}/f{n:06}" for n in range(count))
    mnt = mount()
    most = peak(mnt)
    with Watched(mnt) as spent:
        assert os.listdir(mnt.path) == [f"d{n}" for n in range(10)]
    assert spent.round_trips <= 40 and spent.documents_fetched <= 1000, spent.counts
    assert find_count(mnt.path) == count + 10 + 10 * min(300, count // 10)
    assert most() <= GIB


def test_a_million_names_in_one_directory(bucket, mount, scale, peak):
    count = scale(MILLION)
    bucket.insert_names(f"f{n:07}" for n in range(count))
    mnt = mount()
    most = peak(mnt)
    assert find_count(mnt.path) == count
    with os.scandir(mnt.path) as entries:
        assert len({entry.name for entry in entries}) == count
    assert most() <= GIB


def test_two_gigabytes_stream_within_their_budget(sparse_file, mount, scale, peak):
    size = scale(2 * GIB)
    chunk = sparse_file(size)
    mnt = mount(options="cache_size=64M")
    most = peak(mnt)
    with open(mnt.path / "big", "rb", buffering=0) as file:
        at = 0
        while piece := file.read(CHUNK):
            assert piece == chunk[:len(piece)]
            at += len(piece)
    assert at == size
    assert most() <= 128 * MIB


def test_the_first_bytes_of_two_gigabytes_cost_three_round_trips(sparse_file, mount, scale):
    chunk = sparse_file(scale(2 * GIB))
    mnt = mount()
    assert os.listdir(mnt.path) == ["big"]
    with Watched(mnt) as spent, open(mnt.path / "big", "rb", buffering=0) as file:
        assert file.read(4096) == chunk[:4096]
    assert spent.round_trips <= 3 and spent.chunk_bytes_fetched <= 1.2 * MIB, spent.counts


def test_random_readers_and_writers_for_a_minute_see_whole_revisions(bucket, mount):
    """Puts of one name by pymongo while many readers open it: each sees one revision, whole."""
    mnt, ends, wrong = mount(), time.monotonic() + 60, []

    def read():
        while time.monotonic() < ends:
            content = (mnt.path / "f").read_bytes()
            if len(content) != 50_000 + content[0] or set(content) != {content[0]}:
                wrong.append(len(content))

    bucket.put("f", bytes([1]) * 50_001)
    wait_for((mnt.path / "f").exists)
    readers = [threading.Thread(target=read) for _ in range(6)]
    for reader in readers:
        reader.start()
    number = 1
    while time.monotonic() < ends:
        number = number % 250 + 1
        bucket.put("f", bytes([number]) * (50_000 + number))
    for reader in readers:
        reader.join()
    assert not wrong


def test_a_directory_of_a_hundred_thousand_files_is_renamed(bucket, mount, scale):
    count = scale(100_000)
    bucket.insert_names(f"old/s{n % 100:02}/f{n:06}" for n in range(count))
    mnt = mount()
    os.rename(mnt.path / "old", mnt.path / "new")
    assert os.listdir(mnt.path) == ["new"]
    assert bucket.files.count_documents({"filename": {"$gte": "new/", "$lt": "new0"}}) == count
    assert bucket.files.count_documents({}) == count
    assert (mnt.path / "new/s07/f000007").read_bytes() == b""


def test_pieces_of_all_sizes_leave_no_more_memory_than_promised(mount, scale, peak):
    """Content that comes and goes in many sizes is what leaves an allocator with holes."""
    mnt, rng = mount(options="cache_size=64M"), random.Random(1)
    most, ends = peak(mnt), time.monotonic() + 60
    while time.monotonic() < ends:
        path = mnt.path / f"f{rng.randrange(12)}"
        if not path.exists() or rng.random() < 0.2:
            path.write_bytes(rng.randbytes(rng.randrange(1, scale(3_000_000))))
            continue
        size = path.stat().st_size
        with open(path, "r+b", buffering=0) as file:
            for _ in range(rng.randrange(1, 6)):
                offset, count = rng.randrange(size), rng.randrange(1, 300_000)
                if rng.random() < 0.5:
                    os.pwrite(file.fileno(), rng.randbytes(count), offset)
                else:
                    os.pread(file.fileno(), count, offset)
    assert most() <= 128 * MIB
