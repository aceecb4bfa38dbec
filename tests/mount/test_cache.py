# SPDX-License-Identifier: Apache-2.0
"""What reading costs: chunks fetched, round trips, memory."""
import os
import random
import threading

import pytest

from buckets import CHUNK
from mounting import Watched, is_sanitized, names_in, settled

MIB = 1 << 20


def chunks_in(size):
    return -(-size // CHUNK)


@pytest.fixture
def file_of(bucket):
    """file_of(size): the content of a new file "f"."""
    def put(size):
        data = random.Random(size).randbytes(size)
        bucket.put("f", data)
        return data
    return put


def stream(path, check=None):
    """Reads a file from start to end; compares it with `check` on the way."""
    at = 0
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(MIB):
            assert check is None or piece == check[at:at + len(piece)]
            at += len(piece)
    return at


def test_a_sequential_read_fetches_each_chunk_once_and_many_at_a_time(file_of, mount, scale):
    data = file_of(scale(32 * MIB))
    mnt = mount()
    with Watched(mnt) as spent:
        assert stream(mnt.path / "f", data) == len(data)
    assert spent.chunks_fetched == chunks_in(len(data))
    assert spent.round_trips <= 10 + chunks_in(len(data)) / 2, spent.counts


def test_two_readers_at_once_fetch_each_chunk_once(file_of, mount, scale):
    data = file_of(scale(32 * MIB))
    mnt = mount()
    with Watched(mnt) as spent:
        readers = [threading.Thread(target=stream, args=(mnt.path / "f",)) for _ in range(2)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    assert spent.chunks_fetched == chunks_in(len(data))


def test_many_readers_of_one_cold_chunk_fetch_it_once(file_of, mount):
    data = file_of(CHUNK)
    mnt = mount()
    descriptors = [os.open(mnt.path / "f", os.O_RDONLY | os.O_DIRECT) for _ in range(16)]
    results = []
    with Watched(mnt) as spent:
        readers = [threading.Thread(target=lambda d=d: results.append(os.pread(d, CHUNK, 0)))
                   for d in descriptors]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    assert results == [data] * 16 and spent.chunks_fetched == 1
    for descriptor in descriptors:
        os.close(descriptor)


def test_several_streams_in_one_file_fetch_each_chunk_once(file_of, mount, scale):
    size = scale(32 * MIB)
    data = file_of(size)
    mnt = mount()
    descriptor = os.open(mnt.path / "f", os.O_RDONLY)
    quarter = size // 4
    with Watched(mnt) as spent:
        for at in range(0, quarter, 65536):
            for start in range(0, 4 * quarter, quarter):
                length = min(65536, quarter - at)
                assert os.pread(descriptor, length, start + at) == \
                    data[start + at:start + at + length]
    assert spent.chunks_fetched <= chunks_in(size) + 4
    os.close(descriptor)


def test_the_first_request_of_a_big_file_is_small(file_of, mount, scale):
    data = file_of(scale(64 * MIB))
    mnt = mount()
    assert names_in(mnt.path) == ["f"]
    settled(mnt)  # a listing has several questions under way, and may end before their answers are there
    with Watched(mnt) as spent:
        descriptor = os.open(mnt.path / "f", os.O_RDONLY)
        assert os.pread(descriptor, 4096, 0) == data[:4096]
    os.close(descriptor)
    assert spent.chunk_bytes_fetched <= 1.2 * MIB and spent.round_trips <= 3, spent.counts


def test_random_reads_fetch_at_most_one_chunk_per_miss(file_of, mount, scale):
    size = scale(64 * MIB)
    data = file_of(size)
    mnt = mount()
    descriptor = os.open(mnt.path / "f", os.O_RDONLY)
    rng, touched = random.Random(7), set()
    with Watched(mnt) as spent:
        for _ in range(150):
            at = rng.randrange(size - 4096) // 4096 * 4096
            assert os.pread(descriptor, 4096, at) == data[at:at + 4096]
            touched |= {at // CHUNK, (at + 4095) // CHUNK}
    os.close(descriptor)
    # A few reads fall side by side by chance, and then look like the start of a stream.
    assert spent.chunks_fetched <= len(touched) + 8, spent.counts


def test_an_unchanged_file_is_read_again_from_the_page_cache(file_of, mount):
    data = file_of(4 * MIB)
    mnt = mount()
    assert (mnt.path / "f").read_bytes() == data
    with Watched(mnt) as spent:
        assert (mnt.path / "f").read_bytes() == data
    assert spent.chunks_fetched == 0
    assert spent.bytes_read < MIB, "the kernel asked again: its pages were not kept"


def test_what_was_written_is_read_from_the_page_cache(mount):
    mnt, data = mount(), random.Random(3).randbytes(4 * MIB)
    (mnt.path / "f").write_bytes(data)
    for change in (b"", b"x"):
        with open(mnt.path / "f", "r+b") as file:
            file.write(change)
        data = change + data[len(change):]
        with Watched(mnt) as spent:
            assert (mnt.path / "f").read_bytes() == data
        assert spent.bytes_read < MIB, "the kernel asked again: a put made it drop its pages"


def test_a_read_past_the_page_cache_is_served_from_the_chunk_cache(file_of, mount):
    data = file_of(4 * MIB)
    mnt = mount()
    for cold in (True, False):
        descriptor = os.open(mnt.path / "f", os.O_RDONLY | os.O_DIRECT)
        with Watched(mnt) as spent:
            assert os.pread(descriptor, 4 * MIB, 0) == data
        assert (spent.chunks_fetched > 0) == cold
        os.close(descriptor)


@pytest.mark.parametrize("consistency", ["strict", "open", "ttl:5", "immutable"])
def test_every_consistency_reads_right(file_of, bucket, mount, consistency):
    data = file_of(2 * MIB)
    bucket.put("d/g", b"small")
    mnt = mount(options=f"consistency={consistency}")
    for _ in range(2):
        assert (mnt.path / "f").read_bytes() == data
        assert (mnt.path / "d/g").read_bytes() == b"small"
        assert names_in(mnt.path) == ["d", "f"]


def test_strict_sees_a_put_in_the_next_stat(bucket, mount):
    path = mount(options="consistency=strict").path / "f"
    for number in range(1, 30):
        bucket.put("f", b"x" * number)
        assert path.stat().st_size == number


def test_a_small_cache_reads_a_big_file_right(file_of, mount, scale):
    data = file_of(scale(32 * MIB))
    mnt = mount(options="cache_size=1M")
    assert stream(mnt.path / "f", data) == len(data)
    assert mnt.status()["cache"]["used"] <= 1 << 20


def test_a_small_cache_serves_big_chunks(bucket, mount):
    data = random.Random(1).randbytes(20 * MIB)
    bucket.put("f", data, chunk_size=8 * MIB)
    assert stream(mount(options="cache_size=1M").path / "f", data) == len(data)


def test_memory_stays_bounded_while_a_big_file_streams(file_of, mount, scale):
    if is_sanitized():
        pytest.skip("a sanitizer takes memory of its own")
    size = scale(128 * MIB)
    file_of(size)
    mnt = mount(options="cache_size=16M")
    most = 0
    with open(mnt.path / "f", "rb", buffering=0) as file:
        while file.read(MIB):
            most = max(most, mnt.resident_bytes())
    assert most <= (16 + 64) * MIB
    assert mnt.status()["cache"]["used"] <= 16 * MIB


def test_small_files_read_in_directory_order_cost_about_one_round_trip_each(bucket, mount, scale):
    count = scale(500)
    bucket.insert_names((f"d/f{n:04}" for n in range(count)), b"x" * 4096)
    mnt = mount()
    names = names_in(mnt.path / "d")
    with Watched(mnt) as spent:
        for name in names:
            assert len((mnt.path / "d" / name).read_bytes()) == 4096
    assert spent.round_trips <= 1.3 * count + 20, spent.counts


@pytest.mark.parametrize("consistency", ["ttl:60", "immutable"])
def test_small_files_cost_far_less_than_a_round_trip_each_when_opens_are_trusted(
        bucket, mount, scale, consistency):
    count = scale(500)
    bucket.insert_names((f"d/f{n:04}" for n in range(count)), b"x" * 4096)
    mnt = mount(options=f"consistency={consistency}")
    names = names_in(mnt.path / "d")
    with Watched(mnt) as spent:
        for name in names:
            assert len((mnt.path / "d" / name).read_bytes()) == 4096
    assert spent.round_trips <= count / 4 + 20, spent.counts
