# SPDX-License-Identifier: Apache-2.0
"""Small changes of large files: what they move over the network, and how long a close takes.

All goes through a proxy that counts, so the figures are those of the wire, with every
question, answer and heartbeat in them.
"""
import os
import statistics
import time

import fill
from results import Row
from stage import CannotRun

MIB = 1 << 20
CHANGED = b"c" * 4096
LINE = b"2026-11-24 04:05:06 worker-17 one more line of a log that others follow".ljust(99) + b"\n"
CHANGES_MOST = 3


def moved(link, change):
    """(MiB over the network in both directions, milliseconds) of one change and its close."""
    before, start = link.counts(), time.perf_counter()
    change()
    seconds, after = time.perf_counter() - start, link.counts()
    return sum(after[way] - before[way] for way in ("up", "down")) / MIB, seconds * 1000


def fill_file(stage, name, size):
    database = stage.empty("changed")
    fill.make_indexes(database)
    fill.insert_file(database, name, size)
    return database


def overwrite(path, offset):
    with open(path, "r+b", buffering=0) as file:
        file.seek(offset)
        file.write(CHANGED)


def append(path):
    with open(path, "ab", buffering=0) as file:
        file.write(LINE)


def change(stage):
    """A page in the middle of a huge file, then the close that stores it."""
    size = stage.sizes["changed"]
    fill_file(stage, "huge.bin", size)
    rounds = min(stage.rounds, CHANGES_MOST)
    with stage.link("changed") as (uri, link), \
            stage.mounted("changed", uri=uri) as mount:
        path = mount.path / "huge.bin"
        os.stat(path)
        measured = [moved(link, lambda n=n: overwrite(path, size * (2 * n + 1) // (2 * rounds)))
                    for n in range(rounds)]
        counters = mount.counters()
    stage.empty("changed")
    name = f"4 KiB changed in {size // MIB} MiB"
    copied, sent = counters["chunk_bytes_copied"] / MIB, counters["chunk_bytes_uploaded"] / MIB
    yield Row(name, "MiB over the network", [mib for mib, _ in measured], at_most=4,
              note=f"in {rounds} changes the server copied {copied:,.0f} MiB, {sent:.1f} MiB were sent")
    yield Row(name, "ms", [ms for _, ms in measured])


def append_to_log(stage):
    """A line at the end of a large log, closed each time."""
    size, count = stage.sizes["log"], stage.sizes["appends"]
    fill_file(stage, "app.log", size)
    with stage.link("changed") as (uri, link), \
            stage.mounted("changed", "trash_max=1G", uri=uri) as mount:
        path = mount.path / "app.log"
        before = mount.counters()["round_trips"]
        measured = [moved(link, lambda: append(path)) for _ in range(count)]
        trips = (mount.counters()["round_trips"] - before) / count
        length = os.stat(path).st_size
    stage.empty("changed")
    if length != size + count * len(LINE):
        raise CannotRun(f"the log has {length} bytes after {count} appends")
    name = f"100 B appended to {size // MIB} MiB, {count} times"
    yield Row(name, "MiB over the network per close", [mib for mib, _ in measured], at_most=4,
              note=f"at most {max(mib for mib, _ in measured):.2f} MiB; "
                   f"{trips:.1f} round trips per close; "
                   f"the slowest close took {max(ms for _, ms in measured):,.0f} ms, "
                   f"half of them {statistics.median(ms for _, ms in measured):,.0f} ms")
    yield Row(name, "ms", [ms for _, ms in measured])
