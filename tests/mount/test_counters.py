# SPDX-License-Identifier: Apache-2.0
"""What a mount counts adds up, to the byte."""
import mmap
import os
import random

import pytest

from cache_dir import await_stored, cached, place
from mounting import gridmount, tells_changes, wait_for
from test_metrics import Metrics

MIB, CHUNK = 1 << 20, 64 << 10
READS = 1000
GIVEN = ("hit_bytes_total", "miss_bytes_total", "staged_bytes_read_total")


class Counted:
    """What was counted since it was made: counted("reads_total")."""

    def __init__(self, mnt):
        self.mnt, self.before = mnt, Metrics(mnt)

    def __call__(self, *names):
        after = Metrics(self.mnt)
        return [after(name) - self.before(name) for name in names]


def put_files(bucket, mount, unit):
    """{name: content}, 12 units in sum: one that ends within a page, and one with holes, that a mount made."""
    plain = os.urandom(8 * unit - 1234)
    bucket.put("plain", plain, chunkSize=CHUNK)
    pieces = {0: os.urandom(5000), unit + 100: os.urandom(CHUNK), 3 * unit - 7: os.urandom(7)}
    sparse = bytearray(4 * unit + 1)
    mnt = mount()
    with open(mnt.path / "sparse", "wb", buffering=0) as file:
        for at, piece in pieces.items():
            file.seek(at)
            file.write(piece)
            sparse[at:at + len(piece)] = piece
        file.truncate(len(sparse))
    assert mnt.unmount() == 0
    return {"plain": plain, "sparse": bytes(sparse)}


def read_at_random(mnt, files):
    """READS reads past the kernel's pages, some of them across or behind the end; how many bytes they gave."""
    chosen, buffer, asked = random.Random(7), mmap.mmap(-1, 2 * CHUNK), 0
    opened = {name: os.open(mnt.path / name, os.O_RDONLY | os.O_DIRECT) for name in files}
    for n in range(READS):
        name, length = chosen.choice(list(files)), chosen.choice((4, 16, 64, 128)) << 10
        data = files[name]
        offset = chosen.randrange((len(data) >> 12) + 2) << 12 if n % 50 else len(data) >> 12 << 12
        got = os.preadv(opened[name], [memoryview(buffer)[:length]], offset)
        assert got == max(0, min(length, len(data) - offset))
        assert buffer[:got] == data[offset:offset + got]
        asked += got
    for descriptor in opened.values():
        os.close(descriptor)
    return asked


@pytest.mark.timeout(180)
def test_bytes_asked_for_are_hits_and_misses(bucket, mount, server, scale):
    """Of files that memory has room for in part only, but on slow servers."""
    files = put_files(bucket, mount, scale(MIB))
    mnt = mount("cache_size=8M")
    counted = Counted(mnt)
    asked = read_at_random(mnt, files)
    hits, misses, staged = counted(*GIVEN)
    assert hits + misses == asked and hits > 0 and misses > 0 and staged == 0
    assert counted("bytes_read_total") == [asked]
    evicted, unread = counted("cache_evictions_total", "unread_chunks_total")
    assert unread <= evicted and (evicted > 0 or server.slow)


@pytest.mark.timeout(180)
def test_so_they_are_from_cache_dir(bucket, mount, cached, scale):
    files = put_files(bucket, mount, scale(MIB))
    mnt = cached()
    assert gridmount("warm", mnt.path).returncode == 0
    await_stored(mnt, sum(map(len, files.values())))
    assert mnt.unmount() == 0
    mnt = cached("cache_size=8M")
    counted = Counted(mnt)
    asked = read_at_random(mnt, files)
    hits, misses = counted("hit_bytes_total", "miss_bytes_total")
    assert hits + misses == asked and hits > 0 and misses > 0
    assert counted("bytes_read_total") == [asked]
    found, on_disk = counted("disk_hits_total", "disk_bytes_total")
    assert found > 0 and on_disk > 0


def test_what_is_not_published_yet_counts_apart(bucket, mount):
    data = os.urandom(10 * CHUNK + 77)
    bucket.put("f", data, chunkSize=CHUNK)
    mnt = mount()
    counted = Counted(mnt)
    with open(mnt.path / "f", "r+b", buffering=0) as file:
        file.seek(CHUNK + 5)
        file.write(b"changed")
        content = data[:CHUNK + 5] + b"changed" + data[CHUNK + 12:]
        descriptor = os.open(mnt.path / "f", os.O_RDONLY | os.O_DIRECT)
        buffer = mmap.mmap(-1, 16 * CHUNK)
        assert os.preadv(descriptor, [buffer], 0) == len(data) and buffer[:len(data)] == content
        assert counted(*GIVEN) == [0, 0, len(data)]
        assert counted("bytes_read_total", "bytes_written_total") == [len(data), 7]
    assert os.preadv(descriptor, [buffer], 0) == len(data) and buffer[:len(data)] == content
    os.close(descriptor)
    hits, misses, staged = counted(*GIVEN)
    assert hits + misses == staged == len(data), "what the close read for itself is nobody's hit"
    assert counted("bytes_read_total") == [2 * len(data)]


def test_what_is_written_is_counted_until_it_is_stored(mount):
    mnt = mount()
    counted = Counted(mnt)
    with open(mnt.path / "f", "wb", buffering=0) as file:
        file.write(bytes(300_000))
        assert counted("staged_bytes", "bytes_written_total", "chunk_bytes_uploaded_total") == [300_000, 300_000, 0]
    assert counted("staged_bytes", "chunk_bytes_uploaded_total", "puts_total") == [0, 300_000, 1]


def test_what_is_read_ahead_is_of_use_to_a_reader_in_sequence(bucket, mount):
    bucket.put("f", os.urandom(4 * MIB), chunkSize=CHUNK)
    mnt = mount()
    counted = Counted(mnt)
    assert len((mnt.path / "f").read_bytes()) == 4 * MIB
    ahead, used, unread = counted("readahead_chunks_total", "readahead_used_total", "unread_chunks_total")
    assert ahead == used > 0 and unread == 0


def test_what_is_sent_once_more_is_counted(bucket, mount, link, through):
    data = os.urandom(2 * MIB)
    bucket.put("f", data)
    mnt = mount(uri=through)
    with open(mnt.path / "f", "rb") as file:
        counted = Counted(mnt)
        link.cut(after=300_000)
        assert file.read() == data
    assert counted("retries_total")[0] >= 1


def test_how_late_changes_are_told_is_said_where_they_are(client, mount, link, through):
    lag = ("gridmount_push_lag_seconds",)
    assert lag not in Metrics(mount()).samples
    mnt = mount("push=on", uri=through)
    if not tells_changes(client):
        assert lag not in Metrics(mnt).samples
        return
    wait_for(lambda: Metrics(mnt)("push_healthy"), 30, "the stream")
    assert 0 <= Metrics(mnt)("push_lag_seconds") < 30
    link.set(stalled=True)
    wait_for(lambda: Metrics(mnt)("push_lag_seconds") > 2, 30, "that it is late")
    link.set(stalled=False)
    wait_for(lambda: Metrics(mnt)("push_lag_seconds") < 2, 60, "that it is not any more")
