# SPDX-License-Identifier: Apache-2.0
"""New content: a large file, many small ones, and more than the memory holds."""
import contextlib
import os
import pathlib
import shutil
import tempfile
import time

import gridfs

import fill
import stage as stages
from results import Row, interleave
from stage import CannotRun, run_program, timed

MIB = 1 << 20
CHUNKS_PER_INSERT = (16, 64)    # 4 and 16 MiB: which is faster depends on the server
STREAMED_THROUGH_MIB = 64


@contextlib.contextmanager
def sources():
    """A directory in memory, so that reading what is to be written costs as little as can be."""
    place = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=place, prefix="gridmount-bench-") as directory:
        yield pathlib.Path(directory)


def check_stored(database, count, length):
    """Times count only for what is really there."""
    stored = [file["length"] for file in database.fs.files.find({}, {"length": 1})]
    if stored != [length] * count:
        raise CannotRun(f"{database.name} holds {len(stored)} files of {sum(stored)} bytes, "
                        f"not {count} of {length}")


def copy_to_mount(stage, source, *options, mount_options=()):
    """The seconds cp takes on a fresh mount of an empty bucket; what it closes is stored."""
    stage.empty("written")
    with stage.mounted("written", *mount_options) as mount:
        return timed(["cp", *options, source, mount.path])


def copy_with_checksum(stage, source):
    return copy_to_mount(stage, source, mount_options=["checksum=on"])


def put_large(stage, source):
    bucket = gridfs.GridFS(stage.empty("written"))
    start = time.perf_counter()
    with open(source, "rb") as file:
        bucket.put(file, filename=source.name)
    return time.perf_counter() - start


def insert_large(stage, source, per_insert):
    fill.make_indexes(stage.empty("written"))
    return run_program("raw_insert", stage.uri("written"), "fs", source, per_insert)[2]


def write(stage):
    """cp of one large file, with its close, against everything else that can store it."""
    size, database = stage.sizes["large"], stage.database("written")

    def rate(store, *arguments):
        seconds = store(stage, source, *arguments)
        check_stored(database, 1, size)
        return size / seconds / MIB

    with sources() as directory:
        source = directory / "large.bin"
        source.write_bytes(os.urandom(size))
        loops = {f"C insert_many of {count} chunks":
                 lambda count=count: rate(insert_large, count) for count in CHUNKS_PER_INSERT}
        contestants = {"gridmount": lambda: rate(copy_to_mount),
                       "with checksum=on": lambda: rate(copy_with_checksum),
                       "pymongo put": lambda: rate(put_large), **loops}
        interleave(1, contestants)
        values = interleave(stage.rounds, contestants)
    limit = max(loops, key=lambda name: sorted(values[name])[len(values[name]) // 2])
    stage.empty("written")
    for reference, target in (("pymongo put", 1.3), (limit, 0.85), ("with checksum=on", None)):
        yield Row(f"cp of {size // MIB} MiB", "MiB/s", values["gridmount"], reference,
                  values[reference], at_least=target, more_is_better=True)


def put_each(stage, directory):
    bucket = gridfs.GridFS(stage.empty("written"))
    start = time.perf_counter()
    for path in sorted(directory.iterdir()):
        bucket.put(path.read_bytes(), filename=f"{directory.name}/{path.name}")
    return time.perf_counter() - start


def write_small(stage):
    """A directory of new small files, one after another."""
    count, database, trips = stage.sizes["small_files"], stage.database("written"), []

    def rate(store, *arguments):
        seconds = store(stage, directory, *arguments)
        check_stored(database, count, fill.SMALL)
        return count / seconds

    def count_trips():
        stage.empty("written")
        with stage.mounted("written") as mount:
            before = mount.counters()["round_trips"]
            timed(["cp", "-r", directory, mount.path])
            trips.append((mount.counters()["round_trips"] - before) / count)

    with sources() as place:
        directory = place / "new"
        directory.mkdir()
        for number in range(count):
            (directory / f"{number:05}.bin").write_bytes(os.urandom(fill.SMALL))
        contestants = {"gridmount": lambda: rate(copy_to_mount, "-r"),
                       "pymongo": lambda: rate(put_each)}
        count_trips()
        values = interleave(stage.rounds, contestants)
    stage.empty("written")
    name = f"cp -r of {count:,} x 4 KiB"
    yield Row(name, "files/s", values["gridmount"], "pymongo put", values["pymongo"],
              at_least=1.0, more_is_better=True)
    yield Row(name, "round trips per file", trips)


def write_blocks(path, size):
    """Random bytes, the same 16 MiB again and again; returns the seconds with the close."""
    block = os.urandom(16 * MIB)
    start = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // len(block)):
            if file.write(block) != len(block):
                raise CannotRun(f"{path}: a short write")
    return time.perf_counter() - start


def write_memory(stage):
    """A huge file written through a small budget: most of it waits in the staging directory."""
    size, highest, afterwards, rates = stage.sizes["streamed"], [], [], []
    if shutil.disk_usage(stages.BUILD).free < 4 * size:
        raise CannotRun(f"there is no room for {size // MIB} MiB staged and stored")
    for _ in range(min(stage.rounds, 2)):
        stage.empty("written")
        with stage.mounted("written", f"cache_size={STREAMED_THROUGH_MIB}M") as mount:
            rates.append(size / write_blocks(mount.path / "huge.bin", size) / MIB)
            afterwards.append(mount.memory("VmRSS"))
            highest.append(mount.memory("VmHWM"))
        check_stored(stage.database("written"), 1, size)
    stage.empty("written")
    name = f"{size / 2**30:g} GiB written, cache_size={STREAMED_THROUGH_MIB}M"
    yield Row(name, "MiB resident at most", highest, at_most=128)
    yield Row(name, "MiB resident after the close", afterwards, at_most=128)
    yield Row(name, "MiB/s", rates, more_is_better=True)
