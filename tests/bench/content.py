# SPDX-License-Identifier: Apache-2.0
"""Large files: cold and warm, whole and at random, straight and through a slow link."""
import contextlib
import os
import random
import shutil
import statistics
import tempfile
import time

import gridfs

import fill
from results import Row, interleave
from stage import CannotRun, run_program

MIB = 1 << 20
LINK_BYTES_PER_SECOND = 200_000_000
RANDOM_READS_CACHED = 100_000
RANDOM_READS_UNCACHED = 500


def rate(measured):
    """MiB per second of what run_program returned."""
    size, _, seconds = measured
    return size / seconds / MIB


def read_cold(stage, names, uri=None):
    with stage.mounted("large", uri=uri) as mount:
        read = run_program("path_reader", "sequential", *(mount.path / name for name in names))
    if read[0] != len(names) * stage.sizes["large"]:
        raise CannotRun(f"{read[0]} bytes were read of {' and '.join(names)}")
    return rate(read)


def read_pymongo(database, name):
    bucket = gridfs.GridFS(database)
    file_id = database.fs.files.find_one({"filename": name}, {"_id": 1})["_id"]
    start = time.perf_counter()
    size = len(bucket.get(file_id).read())
    return size / (time.perf_counter() - start) / MIB


def read_ranges(uri, connections):
    return rate(run_program("ranged_reader", uri, "fs", "a.bin", connections))


def faster(values, *names):
    return max(names, key=lambda name: statistics.median(values[name]))


def cold(stage):
    """A whole file from a fresh mount, against everything else that can read it."""
    database, uri = fill.large(stage), stage.uri("large")
    contestants = {
        "gridmount": lambda: read_cold(stage, ["a.bin"]),
        "pymongo get().read()": lambda: read_pymongo(database, "a.bin"),
        "ranged finds, 1 connection": lambda: read_ranges(uri, 1),
        "ranged finds, 2 connections": lambda: read_ranges(uri, 2),
        "libmongoc GridFS stream":
            lambda: rate(run_program("gridfs_stream", uri, "fs", "a.bin")),
        "two at once": lambda: read_cold(stage, ["a.bin", "b.bin"]),
    }
    interleave(1, contestants)      # the server's own cache is warm for all of them
    values = interleave(stage.rounds, contestants)
    limit = faster(values, "ranged finds, 1 connection", "ranged finds, 2 connections")
    targets = {"pymongo get().read()": 2.0, limit: 0.6, "libmongoc GridFS stream": None}
    for reference, target in targets.items():
        yield Row("cold read", "MiB/s", values["gridmount"], reference, values[reference],
                  at_least=target, more_is_better=True)
    yield Row("cold read, two files at once", "MiB/s", values["two at once"], "one file",
              values["gridmount"], at_least=1.0, more_is_better=True)


def link(stage):
    """The same where the network is the limit."""
    database = fill.large(stage)
    with stage.slow_link("large", LINK_BYTES_PER_SECOND) as uri:
        contestants = {
            "gridmount": lambda: read_cold(stage, ["a.bin"], uri),
            "ranged finds, 1 connection": lambda: read_ranges(uri, 1),
            "ranged finds, 2 connections": lambda: read_ranges(uri, 2),
        }
        read_pymongo(database, "a.bin")
        values = interleave(stage.rounds, contestants)
    limit = faster(values, "ranged finds, 1 connection", "ranged finds, 2 connections")
    yield Row("cold read through 200 MB/s", "MiB/s", values["gridmount"], limit, values[limit],
              at_least=0.9, more_is_better=True)


@contextlib.contextmanager
def on_tmpfs(source):
    """A copy of the file in memory; reading the source for it warms the page cache."""
    size, place = os.path.getsize(source), "/dev/shm"
    if not os.path.isdir(place) or shutil.disk_usage(place).free < size + 16 * MIB:
        raise CannotRun(f"{place} has no {size // MIB} MiB free to compare the page cache with")
    with tempfile.TemporaryDirectory(dir=place, prefix="gridmount-bench-") as directory:
        yield shutil.copy(source, directory)


def warm(stage):
    """What is in the page cache, against a file on tmpfs."""
    fill.large(stage)
    modes = {"warm read": ("sequential",), "warm mmap": ("mmap",),
             "random 4 KiB preads, cached": ("random",)}
    with stage.mounted("large") as mount, on_tmpfs(mount.path / "a.bin") as copy:
        for name, (mode,) in modes.items():
            count = [RANDOM_READS_CACHED] if mode == "random" else []
            contestants = {
                side: lambda path=path: rate(run_program("path_reader", mode, path, *count))
                for side, path in (("gridmount", mount.path / "a.bin"), ("tmpfs", copy))}
            interleave(1, contestants)
            values = interleave(stage.rounds, contestants)
            yield Row(name, "MiB/s", values["gridmount"], "tmpfs", values["tmpfs"],
                      at_least=0.9, more_is_better=True)


def pages_at_random(size, count):
    """Offsets of whole pages, each in one chunk, no two chunks the same."""
    chunks = random.Random(1).sample(range(size // fill.CHUNK), min(count, size // fill.CHUNK))
    return [-(-chunk * fill.CHUNK // 4096) * 4096 for chunk in chunks]


def read_pages(mount, offsets):
    """(seconds per read, chunks fetched per read) of reads that all miss."""
    path = mount.path / "a.bin"
    before = mount.counters()
    fd = os.open(path, os.O_RDONLY)
    try:
        start = time.perf_counter()
        for offset in offsets:
            if len(os.pread(fd, 4096, offset)) != 4096:
                raise CannotRun(f"{path}: a short read at {offset}")
        seconds = time.perf_counter() - start
    finally:
        os.close(fd)
    fetched = mount.counters()["chunks_fetched"] - before["chunks_fetched"]
    return seconds / len(offsets), fetched / len(offsets)


def find_chunks(database, file_id, offsets):
    start = time.perf_counter()
    for offset in offsets:
        database.fs.chunks.find_one({"files_id": file_id, "n": offset // fill.CHUNK})
    return (time.perf_counter() - start) / len(offsets)


def random_reads(stage):
    """Single pages that no cache has: one chunk each, and no reading ahead."""
    database = fill.large(stage)
    file_id = database.fs.files.find_one({"filename": "a.bin"})["_id"]
    offsets = pages_at_random(stage.sizes["large"], RANDOM_READS_UNCACHED)
    fetched = []

    def gridmount():
        with stage.mounted("large") as mount:
            seconds, chunks = read_pages(mount, offsets)
        fetched.append(chunks)
        return seconds * 1000

    values = interleave(stage.rounds, {
        "gridmount": gridmount, "find_one": lambda: find_chunks(database, file_id, offsets) * 1000})
    yield Row("random 4 KiB preads, uncached", "chunks per miss", fetched, at_most=1)
    yield Row("random 4 KiB preads, uncached", "ms", values["gridmount"],
              "pymongo find_one of the chunk", values["find_one"])


def first(stage):
    """What the first page of a very large file costs, once the mount has answered anything."""
    fill.huge(stage)
    trips, fetched, times = [], [], []
    for _ in range(stage.rounds):
        with stage.mounted("huge") as mount:
            os.listdir(mount.path)
            before = mount.counters()
            start = time.perf_counter()
            with open(mount.path / "huge.bin", "rb", buffering=0) as file:
                file.read(4096)
            times.append((time.perf_counter() - start) * 1000)
            after = mount.counters()
        trips.append(after["round_trips"] - before["round_trips"])
        fetched.append((after["chunk_bytes_fetched"] - before["chunk_bytes_fetched"]) / MIB)
    yield Row("first 4 KiB of a huge file", "round trips", trips, at_most=3)
    yield Row("first 4 KiB of a huge file", "MiB", fetched, at_most=1.2)
    yield Row("first 4 KiB of a huge file", "ms", times)
