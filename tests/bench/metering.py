# SPDX-License-Identifier: Apache-2.0
"""What it costs a reader that a mount counts and times what it does.

Against a build without (METERING=0, cache/base/stats.h). Both are mounted at once and read in turns, in short slices, now the
one first, now the other. Where in memory a daemon has its chunks makes some per cent, too: so both are mounted anew in each
round, and what is compared are the medians of rounds. From the daemon's memory, past the kernel's pages: what the kernel has it does
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
SLICES = 60         # of each in a round
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


def measure(with_it, without, work, port):
    """{side: the median of its slices}"""
    slices = {"without": [], "with": [], "scraped": []}
    for number in range(SLICES):
        sides = [("without", without), ("with", with_it)]
        for name, mount in sides[::-1] if number % 2 else sides:
            slices[name].append(read(mount, work, work.count))
    for _ in range(SLICES // SHORTER):
        slices["scraped"].append(read_scraped(with_it, work, port))
    return {side: Slice(*(statistics.median(of(name, each)) for name in ("took", "worked"))) for side, each in slices.items()}


def of(name, slices):
    return [getattr(each, name) for each in slices]


def words(change):
    within = "" if change.low is None else f", with 99 % within {change.low:.3f} to {change.high:.3f}"
    return f"{change.ratio:.3f}{within}"


def rows(work, medians):
    """Of {side: a median of each round}."""
    without, these = medians["without"], medians["with"]
    rates = {side: [1 / took for took in of("took", medians[side])] for side in medians}
    for side, name in (("with", "with metrics"), ("scraped", "with metrics, asked for each second")):
        yield Row(f"{work.name}, {name}", "reads/s", rates[side], "without", rates["without"], at_least=1 - work.aim,
                  more_is_better=True, note=f"mean ratio {words(moved.change(rates['without'], rates[side]))}")
    yield Row(f"{work.name}, what the daemon does more", "% of a read",
              [100 * (one.worked - none.worked) / none.took for none, one in zip(without, these)], at_most=100 * work.aim,
              note=f"{1e6 * statistics.median(of('worked', these)):.2f} against {1e6 * statistics.median(of('worked', without)):.2f} µs; "
                   f"mean ratio {words(moved.change(of('worked', without), of('worked', these)))}")


def measure_round(stage, binaries, medians, order):
    """`binaries`: of the one with metrics and the one without. `order`: who is first, and so has the better memory."""
    port = stages.servers.free_port()
    with contextlib.ExitStack() as opened:
        mounts = [None, None]
        for side in order:
            stage.binary = binaries[side]
            listen = [] if side else [f"metrics_listen={port}"]
            mounts[side] = opened.enter_context(stage.mounted("large", *OPTIONS, *listen, place=("mnt", "unmetered-mnt")[side]))
            read(mounts[side], WORKS[1], stage.sizes["large"] // MIB)      # now it is in memory
        fetched = mounts[0].counters()["chunks_fetched"]
        if mounts[1].counters()["bytes_read"] > 0:
            raise CannotRun("the other build is not one without metrics")
        opened.enter_context(on_one_processor(*mounts))
        for work in WORKS:
            for side, median in measure(*mounts, work, port).items():
                medians[work].setdefault(side, []).append(median)
        more = mounts[0].counters()["chunks_fetched"] - fetched
        if more:
            raise CannotRun(f"{more} chunks were not in memory")


def metrics(stage):
    """Reads with and without what is counted of them, and with a monitoring system that asks each second."""
    fill.large(stage)
    binary, medians = stage.binary, {work: {} for work in WORKS}
    other = unmetered()
    try:
        for number in range(stage.rounds):
            measure_round(stage, (binary, other), medians, (1, 0) if number % 2 else (0, 1))
    finally:
        stage.binary = binary
    for work in WORKS:
        yield from rows(work, medians[work])
