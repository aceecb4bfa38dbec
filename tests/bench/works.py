# SPDX-License-Identifier: Apache-2.0
"""The works of the table: how each is done by who knows paths, by pymongo and in C. All return items per second."""
import os
import random
import time

import cells
import fill
import pymongo_sides
from stage import CannotRun, run_program, timed

MIB = 1 << 20
SMALL_READERS = 1
CONNECTIONS_NEAR, CONNECTIONS_FAR = 2, 8    # of ranged_reader: what was its best without and with a round trip


class Whole:
    """A file of `count` MiB, read or mapped."""

    def __init__(self, stage, mapped):
        self.stage, self.mapped = stage, mapped

    def database(self, _):
        return "arrays"

    def fill(self, counts):
        for count in counts:
            fill.array(self.stage, count)

    def content(self, root, count):
        return root / f"{count}.npy"

    def prime(self, root, count):
        run_program("path_reader", "sequential", self.content(root, count))

    def by_path(self, root, count):
        path = self.content(root, count)
        size, _, seconds = run_program("npy_reader.py", "whole", path) if self.mapped else \
            run_program("path_reader", "sequential", path)
        if size < count * MIB:
            raise CannotRun(f"{size} bytes were read of {path}")
        return size / MIB / seconds

    def by_pymongo(self, database, count, threads):
        return count / pymongo_sides.whole(database, f"{count}.npy", threads)

    def in_c(self, uri, count, link):
        connections = CONNECTIONS_FAR if link.round_trip_ms else CONNECTIONS_NEAR
        return count / run_program("ranged_reader", uri, "fs", f"{count}.npy", connections)[2]


class Places:
    """Pages of one file: at random, or one of each 64 KiB from the beginning on."""

    def __init__(self, stage, mode):
        self.stage, self.mode = stage, mode
        self.mib = stage.sizes["table_file"]
        self.name = f"{self.mib}.npy"

    def database(self, _):
        return "arrays"

    def fill(self, _):
        fill.array(self.stage, self.mib)

    def content(self, root, _):
        return root / self.name

    def prime(self, root, count):
        run_program("path_reader", "sequential", self.content(root, count))

    def by_path(self, root, count):
        return count / run_program("path_reader", self.mode, self.content(root, count), count)[2]

    def chunks(self, count):
        """The chunks to ask for; each once while it is read in order."""
        of = self.mib * MIB
        if self.mode == "random":
            return random.Random(1).choices(range(of // cells.CHUNK), k=count)
        return list(dict.fromkeys(number * 65_536 % of // cells.CHUNK for number in range(count)))

    def by_pymongo(self, database, count, threads):
        return count / pymongo_sides.chunks(database, self.name, self.chunks(count), threads)

    def in_c(self, uri, count, _):
        return count / run_program("raw_questions", uri, "fs", "chunks", self.name, lines=self.chunks(count))[2]


class Small:
    """Files of 4 KiB in the order of their directory."""

    def __init__(self, stage):
        self.stage = stage

    def database(self, _):
        return "small"

    def fill(self, _):
        fill.small(self.stage)

    def content(self, root, _):
        return root / "small"

    def prime(self, root, count):
        self.by_path(root, count)

    def by_path(self, root, count):
        size, files, seconds = run_program("path_reader", "directory", root / "small", SMALL_READERS, count)
        if (size, files) != (count * fill.SMALL, count):
            raise CannotRun(f"{size} bytes in {files} files were read, not {count} x {fill.SMALL}")
        return count / seconds

    def names(self, count):
        return [f"small/{number:05}.bin" for number in range(count)]

    def by_pymongo(self, database, count, threads):
        return count / pymongo_sides.files(database, self.names(count), threads)

    def in_c(self, uri, count, _):
        return count / run_program("raw_questions", uri, "fs", "read", lines=self.names(count))[2]


class Stat:
    """stat() of names that are known, none of which was listed."""

    def __init__(self, stage):
        self.stage, self.listed = stage, stage.sizes["listed"]

    def database(self, _):
        return f"listed{self.listed}"

    def fill(self, _):
        fill.listed(self.stage, self.listed)

    def names(self, count):
        return [f"many/file{number:06}.bin" for number in range(count)]

    def prime(self, root, count):
        self.by_path(root, count)

    def by_path(self, root, count):
        paths = [str(root / name) for name in self.names(count)]
        start = time.perf_counter()
        for path in paths:
            os.stat(path)
        return count / (time.perf_counter() - start)

    def by_pymongo(self, database, count, threads):
        return count / pymongo_sides.stats(database, self.names(count), threads)

    def in_c(self, uri, count, _):
        return count / run_program("raw_questions", uri, "fs", "stat", lines=self.names(count))[2]


class Tree:
    """All names of a bucket with their attributes: `ls -l` of one directory, or `find` over many."""

    def __init__(self, stage, flat):
        self.stage, self.flat = stage, flat

    def database(self, count):
        return f"listed{count}" if self.flat else f"shelves{count}"

    def fill(self, counts):
        for count in counts:
            (fill.listed if self.flat else fill.shelves)(self.stage, count)

    def prime(self, root, count):
        self.by_path(root, count)

    def by_path(self, root, count):
        return count / timed(["ls", "-l", root / "many"] if self.flat else ["find", root, "-size", "-2"])

    def by_pymongo(self, database, count, threads):
        shelves = [f"d{number:03}" for number in range(count // 1000)]
        return count / pymongo_sides.listings(database, [""] if threads == 1 else shelves, threads)

    def in_c(self, uri, count, _):
        return count / run_program("raw_find", uri, "fs", "")[2]


MAKE = {"sequential": lambda stage: Whole(stage, False), "mmap": lambda stage: Whole(stage, True),
        "random": lambda stage: Places(stage, "random"), "stride": lambda stage: Places(stage, "stride"),
        "small": Small, "stat": Stat, "ls": lambda stage: Tree(stage, True), "names": lambda stage: Tree(stage, False)}
