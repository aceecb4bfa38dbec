# SPDX-License-Identifier: Apache-2.0
"""Large files over a long link: as many connections as carry more, and none that one of them stands still for."""
import hashlib
import os
import random
import threading

import pytest

from mounting import is_sanitized, wait_for

MIB = 1 << 20


@pytest.fixture(autouse=True)
def quick(server):
    if server.slow:
        pytest.skip("here the link is not what is slow")


def stored_content(bucket, size):
    data = random.Random(size).randbytes(MIB + 1) * (size // MIB)
    bucket.put("large", data)
    return hashlib.sha256(data).digest()


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def test_a_link_that_gives_each_connection_little_gets_many(bucket, link, through, mount):
    link.set(latency=0.005, each=8 * MIB)
    content = stored_content(bucket, 48 * MIB)
    mnt = mount(uri=through)
    before = link.counts()["connections"]
    assert digest_of(mnt.path / "large") == content
    assert link.counts()["connections"] - before >= 6
    assert link.counts()["down"] < 60 * MIB, "and nothing twice"


@pytest.mark.parametrize("budget", [64, 256])
def test_many_fetches_at_once_stay_within_the_memory(bucket, link, through, mount, budget):
    if is_sanitized():
        pytest.skip("a sanitizer takes memory of its own")
    link.set(latency=0.005, each=32 * MIB)
    content = stored_content(bucket, 192 * MIB)
    mnt = mount(uri=through, options=f"cache_size={budget}M")
    assert digest_of(mnt.path / "large") == content
    assert mnt.most_resident_bytes() <= (budget + 64) * MIB


def test_a_connection_that_stands_still_is_done_without(bucket, link, through, mount):
    content = stored_content(bucket, 48 * MIB)
    mnt = mount(uri=through, options="timeout=120")
    with open(mnt.path / "large", "rb") as file:
        begun = file.read(8 * MIB)
        link.freeze(1)
        rest = file.read()
    assert hashlib.sha256(begun + rest).digest() == content
    counters = mnt.counters()
    assert counters["hedged_fetches"] >= 1 and counters["errors"] == 0
    link.cut()      # else the unmount waits for what stands still


def test_a_single_read_is_not_held_up_by_a_connection_that_stands_still(bucket, link, through, mount):
    stored_content(bucket, 32 * MIB)
    link.set(latency=0.005)
    mnt = mount(uri=through, options="timeout=120")
    with open(mnt.path / "large", "rb", buffering=0) as file:
        for n in range(6):      # far from each other: nothing is fetched ahead
            assert len(os.pread(file.fileno(), 4096, (29 - 4 * n) * MIB)) == 4096
        link.freeze(1)
        assert len(os.pread(file.fileno(), 4096, 3 * MIB)) == 4096
    counters = mnt.counters()
    assert counters["hedged_fetches"] >= 1 and counters["errors"] == 0
    link.cut()


def test_files_that_are_read_at_once_share_the_link(bucket, link, through, mount):
    readers, size = 4, 24 * MIB
    for n in range(readers):
        bucket.put(f"f{n}", random.Random(n).randbytes(MIB) * (size // MIB))
    link.set(latency=0.005, bandwidth=40 * MIB)
    mnt = mount(uri=through)
    read, when_the_first_ended, lock = [0] * readers, [], threading.Lock()

    def reader(n):
        with open(mnt.path / f"f{n}", "rb", buffering=0) as file:
            while piece := file.read(MIB // 4):
                read[n] += len(piece)
        with lock:
            when_the_first_ended.append(list(read))

    threads = [threading.Thread(target=reader, args=(n,)) for n in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [size] * readers
    assert min(when_the_first_ended[0]) >= size // 2


@pytest.mark.parametrize("size, pause", [(48 * MIB, 1), pytest.param(1024 * MIB, 10, marks=pytest.mark.long)])
@pytest.mark.timeout(600)
def test_a_link_that_is_cut_again_and_again_delivers(bucket, link, through, mount, size, pause):
    content = stored_content(bucket, size)
    link.set(latency=0.005, bandwidth=20 * MIB)
    mnt = mount(uri=through)
    over, cuts = threading.Event(), []

    def cut():
        while not over.wait(pause):
            link.cut()
            cuts.append(pause)

    cutting = threading.Thread(target=cut)
    cutting.start()
    try:
        assert digest_of(mnt.path / "large") == content
    finally:
        over.set()
        cutting.join()
    assert cuts and mnt.counters()["errors"] == 0
    wait_for(lambda: mnt.status()["state"] == "ok", 30, "a status that is ok")
