# SPDX-License-Identifier: Apache-2.0
"""What a mount may take: memory while it streams, time until it is ready."""
import statistics

import fill
from results import Row
from stage import run_program

MIB = 1 << 20
START_MILLISECONDS = 100


def memory(stage):
    """A huge file streamed through a small cache."""
    fill.huge(stage)
    resident, rates = [], []
    for _ in range(min(stage.rounds, 2)):
        with stage.mounted("huge", "cache_size=64M") as mount:
            size, _, seconds = run_program("path_reader", "sequential", mount.path / "huge.bin")
            resident.append(mount.highest_memory())
        rates.append(size / seconds / MIB)
    name = f"{stage.sizes['huge'] / 2**30:g} GiB streamed, cache_size=64M"
    yield Row(name, "MiB resident", resident, at_most=128)
    yield Row(name, "MiB/s", rates, more_is_better=True)


def start(stage):
    """From the command to a usable mount, against 100 ms and three round trips."""
    fill.small(stage)
    ready, allowed = [], []
    for _ in range(max(stage.rounds, 10)):
        round_trip = statistics.median(stage.round_trip() for _ in range(10))
        with stage.mounted("small") as mount:
            ready.append(mount.ready_seconds * 1000)
        allowed.append(START_MILLISECONDS + 3 * round_trip * 1000)
    yield Row("start to ready", "ms", ready, "100 ms + 3 round trips", allowed, at_most=1.0)
