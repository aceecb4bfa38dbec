# SPDX-License-Identifier: Apache-2.0
"""What it costs to be sure: `gridmount verify`, and reading on a mount with `-o verify`, against reading alone."""
import fill
from results import Row, interleave
from stage import CannotRun, run_program, timed

MIB = 1 << 20


def read(stage, names, *options):
    """MiB per second of a cold read, one file after the other."""
    with stage.mounted("recorded", *options) as mount:
        size, _, seconds = run_program("path_reader", "sequential", *(mount.path / name for name in names))
        sound = mount.counters().get("sound_reads", 0)
    if size != stage.sizes["large"] or sound != (len(names) if "verify" in options else 0):
        raise CannotRun(f"{size} bytes were read, and {sound} files found sound")
    return size / seconds / MIB


def verify(stage, name):
    """The same of the command, from its exec to its end."""
    with stage.mounted("recorded") as mount:
        seconds = timed([stage.binary, "verify", mount.path / name])
    return stage.sizes["large"] / seconds / MIB


def verifying(stage):
    """One large file, whose SHA-256 only one thread can make, and several, which are read side by side."""
    fill.recorded(stage)
    several = [f"several/{n}.bin" for n in range(fill.SEVERAL)]
    contestants = {
        "read": lambda: read(stage, ["a.bin"]),
        "read on a mount that verifies": lambda: read(stage, ["a.bin"], "verify"),
        "verify": lambda: verify(stage, "a.bin"),
        "read several": lambda: read(stage, several),
        "verify several": lambda: verify(stage, "several"),
    }
    interleave(1, contestants)
    values = interleave(stage.rounds, contestants)
    yield Row("gridmount verify, one file", "MiB/s", values["verify"], "cold read", values["read"], at_least=0.9,
              more_is_better=True)
    yield Row(f"gridmount verify, {fill.SEVERAL} files", "MiB/s", values["verify several"], "cold read of them",
              values["read several"], at_least=0.9, more_is_better=True)
    yield Row("cold read with -o verify", "MiB/s", values["read on a mount that verifies"], "without", values["read"],
              more_is_better=True)
