# SPDX-License-Identifier: Apache-2.0
"""Measures gridmount against pymongo, libmongoc and the server's own speed, in one run.

    python tests/bench/bench.py [--only NAME]... [--rounds N] [--quick | --full] [--keep]

Prints a table (median, best in parentheses) and writes build/bench/results.json.
It measures and never judges: the exit status is 0 whatever the figures are.
"""
import argparse
import signal
import subprocess
import sys

from pymongo.errors import PyMongoError

import asked
import cells
import changing
import content
import cpu
import far
import limits
import mapped
import metadata
import metering
import names
import restart
import stage
import table
import verifying
import writing
from results import print_table, write_json

MIB = 1 << 20
CASES = {"cold": content.cold, "link": content.link, "far": far.large, "far-small": far.small,
         "far-write": far.write, "far-git": far.git_status, "warm": content.warm,
         "random": content.random_reads, "mmap": mapped.mapped, "cpu": cpu.cpu, "verify": verifying.verifying,
         "disk": restart.disk, "first": content.first, "list": names.listing,
         "root": names.root, "walk": names.walk, "small": names.small,
         "memory": limits.memory, "start": limits.start,
         "write": writing.write, "write-small": writing.write_small,
         "write-memory": writing.write_memory, "metadata": metadata.metadata,
         "change": changing.change, "append": changing.append_to_log,
         "metrics": metering.metrics, "asked": asked.asked, "table": table.table}

NORMAL = {"large": 256 * MIB, "huge": 2048 * MIB, "listed": 10_000, "names": 100_000,
          "small_files": 1_000, "streamed": 1024 * MIB, "changes": 1_000,
          "changed": 256 * MIB, "log": 100 * MIB, "appends": 20, "array": 1024,
          "table_seconds": 0.7, "table_rounds": 1, "table_file": 256, "table_largest": 512,
          "table_strides": 4_096}
QUICK = NORMAL | {"large": 64 * MIB, "huge": 256 * MIB, "names": 10_000, "small_files": 200,
                  "streamed": 256 * MIB, "changes": 200, "changed": 64 * MIB, "log": 16 * MIB,
                  "appends": 5, "array": 128, "table_seconds": 0.05, "table_file": 32,
                  "table_strides": 512, "table_largest": 32}
FULL = NORMAL | {"names": 1_000_000, "streamed": 4096 * MIB, "changed": 1024 * MIB,
                 "appends": 100, "array": 2048, "table_seconds": 5, "table_rounds": 3, "table_file": 1024,
                 "table_strides": 16_384, "table_largest": 2048}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", action="append", choices=CASES, default=[],
                        help="measure only this; may be repeated")
    parser.add_argument("--rounds", type=int, default=None,
                        help="rounds of each comparison (5; 2 with --quick; in the table 1, with --full 3)")
    parser.add_argument("--names", type=int, help="names in the large buckets (100,000)")
    parser.add_argument("--work", action="append", choices=cells.WORKS, default=[],
                        help="of the table only this; may be repeated")
    parser.add_argument("--link", action="append", choices=cells.LINKS, default=[],
                        help="of the table only this; may be repeated")
    parser.add_argument("--seconds", type=float, help="what one run in the table is to take, about")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small sizes: does it all work?")
    size.add_argument("--full", action="store_true", help="1,000,000 names, 4 GiB written, all that takes long")
    parser.add_argument("--keep", action="store_true",
                        help="keep what was stored; the next run with --keep finds it")
    arguments = parser.parse_args()
    arguments.table_rounds = arguments.rounds
    arguments.rounds = arguments.rounds or (2 if arguments.quick else 5)
    return arguments


def chosen_sizes(arguments):
    sizes = dict(QUICK if arguments.quick else FULL if arguments.full else NORMAL)
    if arguments.names:
        sizes["names"] = arguments.names
    if arguments.table_rounds:
        sizes["table_rounds"] = arguments.table_rounds
    if arguments.seconds:
        sizes["table_seconds"] = arguments.seconds
    return sizes


def run_cases(play, wanted):
    """One case that cannot run is said and left out; the others still are measured."""
    rows = []
    for name in wanted:
        stage.say(f"measuring {name}")
        try:
            rows += CASES[name](play)
        except (stage.CannotRun, OSError, subprocess.SubprocessError, PyMongoError) as reason:
            stage.say(f"{name} was left out: {reason}")
    return rows


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # so that all is unmounted
    if not stage.GRIDMOUNT.exists():
        sys.exit(f"{stage.GRIDMOUNT} is missing: run make first")
    sizes = chosen_sizes(arguments)
    with stage.open_stage(arguments.rounds, sizes, arguments.keep) as play:
        play.wanted = {"work": arguments.work, "link": arguments.link}
        machine = play.describe()
        if machine["load_before"] > machine["cores"] / 2:
            stage.say(f"this machine is busy (load {machine['load_before']}): "
                      "the counts are right, the times are not")
        rows = run_cases(play, arguments.only or CASES)
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    if not rows:
        return
    print(f"{arguments.rounds} interleaved rounds; median (best)\n")
    print_table(rows)
    write_json(stage.BUILD / "results.json", rows, machine=machine, sizes=sizes,
               rounds=arguments.rounds)
    stage.say(f"written: {stage.BUILD / 'results.json'}")


if __name__ == "__main__":
    main()
