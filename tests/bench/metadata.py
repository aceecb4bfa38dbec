# SPDX-License-Identifier: Apache-2.0
"""Metadata by one thread: creates, opens with a byte read, renames, unlinks; and what each asks of the server."""
import os
import statistics
import time

from results import Row
from stage import CannotRun

TARGETS = {"create": 1000, "open + read of 1 byte": 3000, "rename": 1000, "unlink": 1500}


def create(path):
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644))


def write_byte(path):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    os.write(fd, b"1")
    os.close(fd)


def read_byte(path):
    fd = os.open(path, os.O_RDONLY)
    if os.read(fd, 1) != b"1":
        raise CannotRun(f"{path} does not hold what was written")
    os.close(fd)


def rename(path):
    os.rename(path, path + ".new")


def each(mount, operation, paths):
    """(operations per second, round trips per operation)"""
    before, start = mount.counters()["round_trips"], time.perf_counter()
    for path in paths:
        operation(path)
    seconds = time.perf_counter() - start
    return len(paths) / seconds, (mount.counters()["round_trips"] - before) / len(paths)


def play_round(stage, count):
    """{operation: (per second, round trips)}, each on files of its own in one directory."""
    stage.empty("metadata")
    with stage.mounted("metadata") as mount:
        directory = mount.path / "files"
        directory.mkdir()
        names = [str(directory / f"{number:05}") for number in range(count)]
        bytes_of_one = [str(directory / f"one{number:05}") for number in range(count)]
        create(str(directory / "first"))    # it makes what a bucket needs once
        measured = {"create": each(mount, create, names),
                    "create with 1 byte": each(mount, write_byte, bytes_of_one)}
        read = each(mount, read_byte, bytes_of_one)
        measured["open + read of 1 byte"] = read
        measured["rename"] = each(mount, rename, names)
        measured["unlink"] = each(mount, os.unlink, [name + ".new" for name in names])
    with stage.mounted("metadata") as mount:
        os.listdir(mount.path / "files")
        measured["open + read of 1 byte, fresh mount"] = each(mount, read_byte, bytes_of_one)
    return measured


def metadata(stage):
    """One thread, one operation after another, against the figures that were set."""
    rounds = [play_round(stage, stage.sizes["changes"]) for _ in range(stage.rounds)]
    ping = 1 / statistics.median(stage.round_trip() for _ in range(200))
    stage.empty("metadata")
    for operation in rounds[0]:
        rates, trips = zip(*(measured[operation] for measured in rounds))
        yield Row(operation, "per s", list(rates), at_least=TARGETS.get(operation),
                  more_is_better=True,
                  note=f"{statistics.median(trips):.2f} round trips each")
    yield Row("pymongo ping", "per s", [ping], more_is_better=True)
