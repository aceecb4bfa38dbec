# SPDX-License-Identifier: Apache-2.0
"""Files that are mapped into memory, as np.load(mmap_mode="r") does: what is fetched follows what is touched."""
import mmap
import random

import pytest

from buckets import CHUNK
from mounting import Watched

MIB, KIB = 1 << 20, 1 << 10


@pytest.fixture
def mapped(bucket, mount, scale):
    """mapped(size, …): the content of a file, its map through a mount, and the mount, made with what else is said."""
    def put(size, advice=mmap.MADV_NORMAL, **how):
        part, size = random.Random(size).randbytes(MIB + 1), scale(size)
        data = part * (size // len(part)) + part[:size % len(part)]
        bucket.put("f", data)
        mnt = mount(**how)
        with open(mnt.path / "f", "rb") as file:
            content = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        content.madvise(advice)
        return data, content, mnt
    return put


def rows_of(data, size, share, order):
    """The offsets of so large a share of all rows of this size."""
    count = len(data) // size
    rows = [row * size for row in random.Random(size).sample(range(count), int(count * share))]
    return rows if order == "shuffled" else sorted(rows, reverse=order == "falling")


def read_rows(data, content, mnt, rows, size):
    """How many chunks were fetched for these rows, and how many they lie in."""
    with Watched(mnt) as spent:
        for at in rows:
            assert content[at:at + size] == data[at:at + size]
    content.close()
    return spent.chunks_fetched, len({n for at in rows for n in (at // CHUNK, (at + size - 1) // CHUNK)})


@pytest.mark.parametrize("row, order", [(4 * KIB, "shuffled"), (4 * KIB, "rising"), (16 * KIB, "shuffled"),
                                        (16 * KIB, "rising"), (16 * KIB, "falling")])
def test_a_hundredth_of_the_rows_fetches_little_more_than_their_chunks(mapped, row, order):
    data, content, mnt = mapped(128 * MIB)
    fetched, needed = read_rows(data, content, mnt, rows_of(data, row, 0.01, order), row)
    assert fetched <= 2.5 * needed, (fetched, needed)    # the kernel reads 128 KiB around each fault


def test_rows_over_a_long_link_fetch_no_more(mapped, link, through):
    data, content, mnt = mapped(128 * MIB, uri=through)
    link.set(latency=0.01)       # each fetch takes longer, so more is fetched ahead of who reads in sequence
    fetched, needed = read_rows(data, content, mnt, rows_of(data, 16 * KIB, 0.012, "rising"), 16 * KIB)
    assert fetched <= 2.5 * needed, (fetched, needed)


def test_rows_of_who_says_that_they_are_random_fetch_their_chunks(mapped):
    data, content, mnt = mapped(64 * MIB, mmap.MADV_RANDOM)
    fetched, needed = read_rows(data, content, mnt, rows_of(data, 16 * KIB, 0.01, "rising"), 16 * KIB)
    assert fetched <= needed + 4, (fetched, needed)


def read_forward(content, data, at):
    assert content[at:at + MIB] == data[at:at + MIB]


def read_from_the_end(content, data, at):
    """As memcpy() may copy a piece."""
    for page in reversed(range(at, min(at + MIB, len(data)), 4 * KIB)):
        assert content[page] == data[page]


@pytest.mark.parametrize("start", [0, 0.5])
@pytest.mark.parametrize("read", [read_forward, read_from_the_end])
def test_a_map_that_is_read_in_sequence_is_fetched_ahead(mapped, read, start):
    data, content, mnt = mapped(64 * MIB)
    first = int(len(data) * start) // CHUNK * CHUNK
    with Watched(mnt) as spent:
        for at in range(first, len(data), MIB):
            read(content, data, at)
    content.close()
    chunks = -(-(len(data) - first) // CHUNK)
    assert chunks <= spent.chunks_fetched <= chunks + 1      # the kernel begins somewhat before the first fault
    assert spent.readahead_chunks >= chunks / 2 - 4 and spent.round_trips <= 10 + chunks / 2, spent.counts
