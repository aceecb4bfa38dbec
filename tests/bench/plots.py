# SPDX-License-Identifier: Apache-2.0
"""Draws what was measured: build/bench/table.json, or the files that are named, as PNG in build/bench/plots.

    plots.py [--to FOLDER] [TABLE.json...]

One picture for content and one for names: a row for each work, a column for each bandwidth, a line for each side over
the round trip. Rates are on a logarithmic axis: a factor is as high everywhere.
"""
import argparse
import json
import pathlib

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot    # noqa: E402  (after the choice of what draws)

import cells    # noqa: E402

BUILD = pathlib.Path(__file__).resolve().parents[2] / "build" / "bench"
PICTURES = {"content": ("sequential", "mmap", "random", "stride"), "names": ("small", "stat", "ls", "names")}
TITLES = {"sequential": "read()", "mmap": ".npy by mmap", "random": "4 KiB at random", "stride": "4 KiB each 64 KiB",
          "small": "files of 4 KiB", "stat": "stat", "ls": "ls -l", "names": "find"}
STYLES = {"cold": ("C0", "-", "gridmount, cold"), "disk": ("C0", "--", "gridmount, cache_dir"),
          "page": ("C0", ":", "gridmount, page cache"), "pymongo": ("C1", "-", "pymongo"),
          "pymongo, 4 threads": ("C1", "--", "pymongo, 4 threads"), "plain C": ("C2", "-", "plain C")}


def style(side):
    return STYLES.get(side, ("C4" if "rclone" in side else "C5", "-.", side))


def draw_panel(panel, groups):
    """The lines of one work over one bandwidth."""
    positions = {milliseconds: place for place, milliseconds in enumerate(cells.ROUND_TRIPS_MS)}
    for side in dict.fromkeys(side for group in groups for side in group["sides"]):
        points = sorted((positions[group["round_trip_ms"]], group["sides"][side]["median"])
                        for group in groups if side in group["sides"])
        colour, line, label = style(side)
        panel.plot(*zip(*points), color=colour, linestyle=line, marker=".", label=label)
    panel.set_yscale("log")
    panel.set_xticks(range(len(positions)), list(positions))
    panel.grid(True, axis="y", alpha=0.3)


def draw(groups, works, path):
    works = [work for work in works if any(group["work"] == work for group in groups)]
    if not works:
        return
    figure, panels = pyplot.subplots(len(works), len(cells.MEGABYTES), sharey="row", squeeze=False,
                                     figsize=(11, 2.6 * len(works) + 0.8), layout="constrained")
    for row, work in zip(panels, works):
        for panel, megabytes in zip(row, cells.MEGABYTES):
            of = [group for group in groups if group["work"] == work and group["megabytes"] == megabytes]
            draw_panel(panel, of)
            panel.set_title(f"{TITLES[work]}, {f'{megabytes} MB/s' if megabytes else 'unlimited'}", fontsize=9)
        row[0].set_ylabel(cells.WORKS[work].unit)
    for panel in panels[-1]:
        panel.set_xlabel("ms a round trip")
    labels = {label: line for panel in panels.flat for line, label in zip(*panel.get_legend_handles_labels())}
    figure.legend(labels.values(), labels.keys(), loc="outside upper center", ncols=4, fontsize=9)
    figure.savefig(path, dpi=80)
    print(f"written: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=pathlib.Path, default=BUILD / "plots")
    parser.add_argument("tables", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    tables = arguments.tables or [path for path in [BUILD / "table.json"] if path.exists()]
    groups = [group for table in tables for group in json.loads(table.read_text())["groups"]]
    arguments.to.mkdir(parents=True, exist_ok=True)
    for name, works in PICTURES.items():
        draw(groups, works, arguments.to / f"{name}.png")


if __name__ == "__main__":
    main()
