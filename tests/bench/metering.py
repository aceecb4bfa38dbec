# SPDX-License-Identifier: Apache-2.0
"""What it costs a reader that a mount counts and times what it does.

Against a build without (METERING=0, cache/base/stats.h). Both are mounted all the time and read in turns, in short
rounds, now the one first, now the other. From the daemon's memory, past the kernel's pages: what the kernel has it does
not ask for, so of that nothing is counted.

Program and daemons share one processor, so that nothing goes by where the scheduler puts them, and what the daemon does is
not hidden beside what the program does. Its processor time, by the scheduler's own count, is steadier than what a program
gets, and what it uses more for a read makes the read as much longer: that is the figure to look at.
"""
import contextlib
import os
import pathlib
import statistics
import threading
import urllib.request
from dataclasses import dataclass

import fill
import moved
import stage as stages
from results import Row
from stage import CannotRun, run_program

MIB = 1 << 20
OPTIONS = ("cache_size=8G",)    # a sixteenth of it keeps what was read in order
ROUNDS = 60         # for each of --rounds
SHORTER = 20        # is one of them than a second, in which a monitoring system asks once


@dataclass(frozen=True)
class Work:
    name: str
    mode: str           # of path_reader
    count: int          # of reads; some 50 ms
    aim: float          # of what a read without takes


WORKS = (Work("4 KiB at random", "scattered", 2_000, 0.02), Work("1 MiB in order", "direct", 200, 0.01))


@dataclass(frozen=True)
class Slice:
    """Seconds for each read: of the program, and of the daemon's threads."""
    took: float
    worked: float


def unmetered():
    """The binary that counts nothing but what something goes by."""
    folder = stages.BUILD / "unmetered"
    stages.make(f"OUT={folder.relative_to(stages.ROOT)}", "CFLAGS=-O2 -g -DMETERING=0", "all")
    return folder / "gridmount"


def threads_of(pid):
    return list(pathlib.Path(f"/proc/{pid}/task").iterdir())


def worked(pid):
    """Seconds that the threads of a process were on a processor."""
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads_of(pid)) / 1e9


@contextlib.contextmanager
def on_one_processor(*mounts):
    """These, and the programs that are started from here."""
    before = os.sched_getaffinity(0)
    for thread in [0, *(int(thread.name) for mount in mounts for thread in threads_of(mount.pid))]:
        os.sched_setaffinity(thread, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def read(mount, work, count):
    before = worked(mount.pid)
    _, items, seconds = run_program("path_reader", work.mode, mount.path / "a.bin", count)
    return Slice(seconds / items, (worked(mount.pid) - before) / items)


def ask(port):
    os.sched_setaffinity(0, range(os.cpu_count()))      # of this thread: who asks is somewhere else
    urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read()


def read_scraped(mount, work, port):
    """A second of it, in which a monitoring system asks once."""
    asking = threading.Timer(0.1, ask, [port])
    asking.start()
    slice_ = read(mount, work, SHORTER * work.count)
    asking.join()
    return slice_


def measure(rounds, with_it, without, work, port):
    """{side: slices}, of which "without" and "with" are pairs."""
    slices = {"without": [], "with": [], "scraped": []}
    for number in range(rounds):
        sides = [("without", without), ("with", with_it)]
        for name, mount in sides[::-1] if number % 2 else sides:
            slices[name].append(read(mount, work, work.count))
    for _ in range(rounds // SHORTER):
        slices["scraped"].append(read_scraped(with_it, work, port))
    return slices


def of(name, slices):
    return [getattr(each, name) for each in slices]


def rows(work, slices):
    without, these = slices["without"], slices["with"]
    rates = {side: [1 / took for took in of("took", slices[side])] for side in slices}
    faster = moved.change(rates["without"], rates["with"])
    yield Row(f"{work.name}, with metrics", "reads/s", rates["with"], "without", rates["without"], at_least=1 - work.aim,
              more_is_better=True, note=f"mean ratio of the pairs {faster.ratio:.3f}, with 99 % within "
                                        f"{faster.low:.3f} to {faster.high:.3f}")
    whole = statistics.median(of("took", without))
    more = moved.change(of("worked", without), of("worked", these))
    yield Row(f"{work.name}, what the daemon does more", "% of a read",
              [100 * (one.worked - none.worked) / whole for none, one in zip(without, these)], at_most=100 * work.aim,
              note=f"{1e6 * statistics.median(of('worked', these)):.2f} against "
                   f"{1e6 * statistics.median(of('worked', without)):.2f} µs of {1e6 * whole:.2f} for a read; "
                   f"mean ratio of the pairs {more.ratio:.3f}, with 99 % within {more.low:.3f} to {more.high:.3f}")
    yield Row(f"{work.name}, with metrics, asked for each second", "reads/s", rates["scraped"], "without", rates["without"],
              at_least=1 - work.aim, more_is_better=True)


def metrics(stage):
    """Reads with and without what is counted of them, and with a monitoring system that asks each second."""
    fill.large(stage)
    binary, port = stage.binary, stages.servers.free_port()
    with stage.mounted("large", *OPTIONS, f"metrics_listen={port}") as with_it:
        stage.binary = unmetered()
        try:
            with stage.mounted("large", *OPTIONS, place="unmetered-mnt") as without:
                for mount in (with_it, without):
                    read(mount, WORKS[1], stage.sizes["large"] // MIB)      # now it is in memory
                fetched = with_it.counters()["chunks_fetched"]
                if without.counters()["reads"] == 0 or without.counters()["bytes_read"] > 0:
                    raise CannotRun("the other build is not one without metrics")
                with on_one_processor(with_it, without):
                    for work in WORKS:
                        yield from rows(work, measure(ROUNDS * stage.rounds, with_it, without, work, port))
                more = with_it.counters()["chunks_fetched"] - fetched
                if more:
                    raise CannotRun(f"{more} chunks were not in memory")
        finally:
            stage.binary = binary
