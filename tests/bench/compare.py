# SPDX-License-Identifier: Apache-2.0
"""What a change did: this tree's build and that of BASE, interleaved, topic by topic.

    make bench-compare BASE=REVISION [BENCH="--only cold --rounds 9"]

BASE is built below build/compare. Each round measures each topic with both builds, one right after the other, now the
one first, now the other. pymongo and the programs in C run with both: what they "moved" is the noise of the machine.
Prints a table and writes build/bench/compare.json; moved.py says what counts as moved.
"""
import argparse
import json
import statistics
import subprocess
import sys

import bench
import moved
import stage
from results import figure

TOPICS = ("cold", "random", "small", "list", "metadata")    # quick ones, of different kinds


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("base", help="the revision to compare with")
    parser.add_argument("--only", action="append", choices=[name for name in bench.CASES if name != "table"],
                        help=f"compare only this; may be repeated ({', '.join(TOPICS)})")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of each figure (5)")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    return parser.parse_args()


def build(revision):
    """The binary of a revision, in a folder of its own; made once."""
    git = ["git", "-C", str(stage.ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--verify", f"{revision}^{{commit}}"], text=True,
                            capture_output=True).stdout.strip()
    if not commit:
        sys.exit(f"{revision} is no revision of this repository")
    folder = stage.ROOT / "build" / "compare" / commit[:12]
    if not folder.exists():
        unpacked = folder.with_name(folder.name + ".new")
        unpacked.mkdir(parents=True, exist_ok=True)
        files = subprocess.run([*git, "archive", commit], check=True, capture_output=True).stdout
        subprocess.run(["tar", "x", "-C", str(unpacked)], input=files, check=True)
        unpacked.rename(folder)
    stage.say(f"building {commit[:12]}")
    stage.make("all", folder=folder)
    return folder / "build" / "gridmount"


class Figures:
    """{(what, unit): {round: {"base": value, "new": value}}}, and which way each is better."""

    def __init__(self):
        self.values, self.more_is_better = {}, {}

    def add(self, number, side, row):
        self.put(number, side, (row.name, row.unit), row.gridmount, row.more_is_better)
        if row.reference:
            self.put(number, side, (f"({row.name}: {row.reference_name})", row.unit), row.reference, row.more_is_better)

    def put(self, number, side, key, values, more_is_better):
        self.values.setdefault(key, {}).setdefault(number, {})[side] = statistics.median(values)
        self.more_is_better[key] = more_is_better

    def changes(self):
        """(key, base, new, change, word) of what both builds could in the same rounds."""
        for key, rounds in self.values.items():
            pairs = [(of["base"], of["new"]) for of in rounds.values() if len(of) == 2]
            if pairs:
                base, new = (list(values) for values in zip(*pairs))
                change = moved.change(base, new)
                yield key, base, new, change, change.word(self.more_is_better[key])


def run_round(play, number, topics, binaries, figures):
    for topic in topics:
        for side, binary in binaries:
            play.binary = binary
            for row in bench.run_cases(play, [topic]):
                figures.add(number, side, row)


def print_changes(changes):
    print("| what | unit | base | new | new / base (99 %) | moved |\n|---|---|---|---|---|---|")
    for (what, unit), base, new, change, word in changes:
        ratio = "" if change.ratio is None else f"{change.ratio:.3f}"
        spread = "" if change.low is None else f" ({change.low:.2f} to {change.high:.2f})"
        print(f"| {what} | {unit} | {figure(statistics.median(base))} | {figure(statistics.median(new))} "
              f"| {ratio}{spread} | {word} |")
    print("\nIn brackets: what neither build has a part in; its spread is the machine's.", flush=True)


def main():
    arguments = parse_arguments()
    sizes = dict(bench.QUICK if arguments.quick else bench.NORMAL)
    binaries = [("base", build(arguments.base)), ("new", stage.GRIDMOUNT)]
    figures, topics = Figures(), arguments.only or TOPICS
    with stage.open_stage(1, sizes, keep=False) as play:
        machine = play.describe()
        for number in range(arguments.rounds):
            stage.say(f"round {number + 1} of {arguments.rounds}")
            run_round(play, number, topics, binaries[::-1] if number % 2 else binaries, figures)
    changes = list(figures.changes())
    print_changes(changes)
    path = stage.BUILD / "compare.json"
    path.write_text(json.dumps({
        "base": arguments.base, "machine": machine, "sizes": sizes, "rounds": arguments.rounds,
        "figures": [{"what": what, "unit": unit, "base": base, "new": new, "ratio": change.ratio, "low": change.low,
                     "high": change.high, "moved": word}
                    for (what, unit), base, new, change, word in changes]}, indent=1) + "\n")
    stage.say(f"written: {path}")


if __name__ == "__main__":
    main()
