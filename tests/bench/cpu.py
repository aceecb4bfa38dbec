# SPDX-License-Identifier: Apache-2.0
"""What a GiB read costs the daemon in time of the processors: cold, from its memory or cache_dir, from the kernel's pages.

A reader in sequence leaves nothing in the daemon's memory, since the kernel has it. So that file is read backwards
before, its pages are dropped, and what is measured is a reader in sequence then.
"""
import os
import resource
import shutil

import fill
import restart
from results import Row, interleave
from stage import CannotRun, run_program

GIB_IN_MIB = 1024
PIECE = 64 << 10
STATUS_BYTES = 16 << 20     # what asking for the status may move


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def forget_pages(path):
    """The kernel drops the pages of this file; what the daemon has stays."""
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def read_backwards(path):
    """By 64 KiB, so that the kernel reads nothing ahead and the daemon sees no sequence."""
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    for offset in reversed(range(0, os.fstat(fd).st_size, PIECE)):
        os.pread(fd, PIECE, offset)
    os.close(fd)


class Costs:
    def __init__(self, stage):
        self.stage, self.mib = stage, stage.sizes["array"]
        self.name = fill.array(stage, self.mib)
        self.uri = stage.uri("arrays")

    def per_gib(self, seconds):
        return seconds * GIB_IN_MIB / self.mib

    def read(self, mount):
        """(core-seconds of the daemon per GiB, bytes it gave to the kernel, bytes it fetched) of one read."""
        before, used = mount.status()["counters"], mount.cpu_seconds()
        run_program("path_reader", "sequential", mount.path / self.name)
        used = mount.cpu_seconds() - used
        after = mount.counters()
        return (self.per_gib(used), *(after[what] - before[what] for what in ("bytes_read", "chunk_bytes_fetched")))

    def cold_and_again(self):
        with self.stage.mounted("arrays") as mount:
            cold, given, fetched = self.read(mount)
            if min(given, fetched) < self.mib << 20:
                raise CannotRun(f"{fetched} bytes were fetched, {given} given to the kernel: not cold")
            pages, given, _ = self.read(mount)
            if given > STATUS_BYTES:
                raise CannotRun(f"the kernel asked for {given} bytes that it had")
        return {"cold": cold, "from the kernel's pages": pages}

    def near(self, mount):
        """The cost of what the daemon has and the kernel has not, or reads by itself (passthrough)."""
        cost, given, fetched = self.read(mount)
        passed = mount.counters()["opens_passed"]
        if (given < self.mib << 20 and not passed) or fetched > STATUS_BYTES:
            raise CannotRun(f"{given} bytes were given to the kernel, {fetched} fetched")
        return cost

    def from_memory(self):
        with self.stage.mounted("arrays", f"cache_size={2 * self.mib}M") as mount:
            read_backwards(mount.path / self.name)
            forget_pages(mount.path / self.name)
            return self.near(mount)

    def from_disk(self):
        options = (f"cache_dir={restart.PLACE}", "cache_free=64M", "ro")
        shutil.rmtree(restart.PLACE, ignore_errors=True)
        try:
            with self.stage.mounted("arrays", *options) as mount:
                mount.warm(mount.path / self.name)
            with self.stage.mounted("arrays", *options) as mount:
                return self.near(mount)
        finally:
            shutil.rmtree(restart.PLACE, ignore_errors=True)

    def gridmount(self):
        """{kind: core-seconds per GiB}"""
        return self.cold_and_again() | {"from the daemon's memory": self.from_memory(),
                                        "from cache_dir, in the page cache": self.from_disk()}

    def plain(self, connections):
        before = children_seconds()
        run_program("ranged_reader", self.uri, "fs", self.name, connections)
        return self.per_gib(children_seconds() - before)


def cpu(stage):
    """Core-seconds per GiB, user and system; beside it those of the plain reader, its start with it."""
    costs = Costs(stage)
    values = interleave(min(stage.rounds, 3), {"gridmount": costs.gridmount, "plain": lambda: costs.plain(2)})
    aims = {"cold": 1.0, "from cache_dir, in the page cache": None, "from the daemon's memory": 0.1,
            "from the kernel's pages": 0.1}
    for kind, aim in aims.items():
        yield Row(f"the daemon's work for a GiB, {kind}", "core-seconds",
                  [measured[kind] for measured in values["gridmount"]], at_most=aim)
    yield Row("the plain reader's, 2 connections", "core-seconds", values["plain"])
