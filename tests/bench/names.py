# SPDX-License-Identifier: Apache-2.0
"""Directories and many small files: listings, walks and loaders that open everything."""
import pathlib
import statistics
import tempfile
import time

import gridfs

import fill
from results import Row, interleave
from stage import CannotRun, run_program, timed


def raw_find(stage, name, directory):
    return run_program("raw_find", stage.uri(name), "fs", directory)[2] * 1000


def pymongo_find(database, directory):
    start = time.perf_counter()
    list(database.fs.files.find({"filename": {"$gte": f"{directory}/", "$lt": f"{directory}0"}}))
    return (time.perf_counter() - start) * 1000


def listing(stage):
    """ls -l of one large directory on a fresh mount, against one find of its documents."""
    count = stage.sizes["listed"]
    database, name = fill.listed(stage, count), f"listed{count}"

    def list_cold():
        with stage.mounted(name) as mount:
            return timed(["ls", "-l", mount.path / "many"]) * 1000

    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="gridmount-bench-") as local:
        for number in range(count):
            pathlib.Path(local, f"file{number:06}.bin").touch()
        contestants = {"gridmount": list_cold,
                       "C find": lambda: raw_find(stage, name, "many"),
                       "pymongo find": lambda: pymongo_find(database, "many"),
                       "ls": lambda: timed(["ls", "-l", local]) * 1000}
        interleave(1, contestants)
        values = interleave(stage.rounds, contestants)
    alone = f"ls -l itself takes {statistics.median(values['ls']):.0f} ms on tmpfs"
    for reference, note in (("pymongo find", ""), ("C find", alone)):
        yield Row(f"ls -l of {count:,} files, cold", "ms", values["gridmount"],
                  reference, values[reference], at_most=1.5, note=note)


# What a listing of the root needs of a bucket that is all directories: the first component
# of every name that is one, and the newest date below it.
HAS_NAME = {"$eq": [{"$type": "$filename"}, "string"]}
BY_BYTES = {"$substrBytes": ["$filename", 0, {"$indexOfBytes": ["$filename", "/"]}]}
BY_SPLIT = {"$arrayElemAt": [{"$split": ["$filename", "/"]}, 0]}
IN_INDEX = {"$match": {"filename": {"$gte": ""}}}


def group(database, component, *before):
    grouped = {"_id": {"$cond": [HAS_NAME, component, None]}, "newest": {"$max": "$uploadDate"}}
    return [found["_id"] for found in
            database.fs.files.aggregate([*before, {"$group": grouped}])]


def skip(database):
    """One find per directory: the first name behind everything below the last one."""
    found, behind = [], ""
    by_name = {"projection": {"filename": 1}, "sort": [("filename", 1)]}
    while (file := database.fs.files.find_one({"filename": {"$gte": behind}}, **by_name)):
        found.append(file["filename"].split("/")[0])
        behind = found[-1] + "0"
    return found


def milliseconds(call, *arguments):
    start = time.perf_counter()
    call(*arguments)
    return (time.perf_counter() - start) * 1000


def root(stage):
    """ls -l of a root of ten directories, against the server's own fastest way."""
    database, trips, documents = fill.nested(stage), [], []
    ways = {"$group by $substrBytes": lambda: group(database, BY_BYTES),
            "$group by $split": lambda: group(database, BY_SPLIT),
            "$group in the index's order": lambda: group(database, BY_BYTES, IN_INDEX),
            "skips": lambda: skip(database)}
    group(database, BY_BYTES)       # the server's cache is warm for all of them
    tried = {name: milliseconds(way) for name, way in ways.items()}
    fastest = min(tried, key=tried.get)

    def list_cold():
        with stage.mounted("nested") as mount:
            before = mount.counters()
            seconds = timed(["ls", "-l", mount.path])
            after = mount.counters()
        trips.append(after["round_trips"] - before["round_trips"])
        documents.append(after["documents_fetched"] - before["documents_fetched"])
        return seconds * 1000

    values = interleave(stage.rounds, {"gridmount": list_cold,
                                       fastest: lambda: milliseconds(ways[fastest])})
    name = f"ls -l of a root with {stage.sizes['names']:,} names below it"
    note = ", ".join(f"{way} {spent:,.0f} ms" for way, spent in tried.items())
    yield Row(name, "round trips", trips, at_most=40)
    yield Row(name, "documents", documents, at_most=1000)
    yield Row(name, "ms", values["gridmount"], fastest, values[fastest], at_most=1.2,
              note=f"the server's ways once each: {note}")


def walk(stage):
    """find over all names: how long, and how much memory the daemon ever had."""
    for shape, filled in (("nested", fill.nested), ("flat", fill.flat)):
        filled(stage)
        memory = []

        def find_cold():
            with stage.mounted(shape) as mount:
                seconds = timed(["find", mount.path])
                memory.append(mount.highest_memory())
            return seconds * 1000

        rounds = min(stage.rounds, 3)
        values = interleave(rounds, {"gridmount": find_cold,
                                     "C find": lambda: raw_find(stage, shape, "")})
        name = f"find over {stage.sizes['names']:,} names, {shape}"
        yield Row(name, "MiB resident", memory, at_most=1024)
        yield Row(name, "ms", values["gridmount"], "C find", values["C find"])


def get_each(bucket, ids):
    start = time.perf_counter()
    for file_id in ids:
        bucket.get(file_id).read()
    return len(ids) / (time.perf_counter() - start)


def small(stage):
    """Every file of a directory opened and read in its order, on a fresh mount."""
    database = fill.small(stage)
    bucket = gridfs.GridFS(database)
    ids = [file["_id"] for file in database.fs.files.find({}, {"_id": 1}).sort("filename", 1)]
    targets = {"open": 2.5, "ttl:5": 5.0, "immutable": 5.0}

    def read_cold(consistency):
        with stage.mounted("small", f"consistency={consistency}") as mount:
            size, files, seconds = run_program("path_reader", "directory", mount.path / "small")
        if size != len(ids) * fill.SMALL:
            raise CannotRun(f"{size} bytes in {files} files were read, not {len(ids)} x {fill.SMALL}")
        return files / seconds

    contestants = {"pymongo": lambda: get_each(bucket, ids)}
    for consistency in targets:
        contestants[consistency] = lambda consistency=consistency: read_cold(consistency)
    interleave(1, contestants)
    values = interleave(stage.rounds, contestants)
    round_trip = statistics.median(stage.round_trip() for _ in range(100))
    for consistency, target in targets.items():
        yield Row(f"{len(ids):,} x 4 KiB, {consistency}", "files/s", values[consistency],
                  "pymongo get().read()", values["pymongo"], at_least=target,
                  more_is_better=True)
    yield Row("a round trip, pymongo ping", "ms", [round_trip * 1000])
