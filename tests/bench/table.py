# SPDX-License-Identifier: Apache-2.0
"""The full table: every work over every link, cold, from cache_dir and from the kernel's caches, beside pymongo and C.

What is compared is one interleaved run: for each work and link all sides in turn, `table_rounds` times. See cells.py
for how much is read in each. What was measured goes to build/bench/table.json, work by work.
"""
import contextlib
import json
import shutil
import statistics
import subprocess
import time

import pymongo
from pymongo.errors import PyMongoError

import cells
import others
import restart
import works
from results import figure
from stage import BUILD, CannotRun, say

CANNOT = (CannotRun, OSError, subprocess.SubprocessError, PyMongoError)
NOMINAL = {"sequential": "table_largest", "mmap": "table_largest", "stride": "table_strides", "small": "small_files",
           "stat": "listed", "ls": "listed", "names": "names"}      # what the sizes of the run have instead
ON_DISK = (f"cache_dir={restart.PLACE}", "cache_free=64M")


class Table:
    """One proxy for all links, so that the server has one name for cache_dir; one mount whose pages are warm."""

    def __init__(self, stage, proxy, others, work):
        self.stage, self.proxy, self.others, self.work = stage, proxy, others, work
        self.act = works.MAKE[work.name](stage)
        self.left_out = dict(work.left_out)
        self.links = cells.chosen(stage.wanted["link"], cells.LINKS, "link")
        nominal = min(work.nominal, stage.sizes.get(NOMINAL.get(work.name), work.nominal))
        self.todo = {link: cells.cells(work, link, stage.sizes["table_seconds"], nominal, others)
                     for link in self.links}

    def far_uri(self, count):
        return self.stage.uri_through(self.proxy, self.act.database(count))

    def uri(self, link, count):
        """The link that is none goes around the proxy, which takes time of its own."""
        return self.stage.uri(self.act.database(count)) if link.is_direct else self.far_uri(count)

    def mounted(self, count, *options, uri=None, place="mnt"):
        return self.stage.mounted(self.act.database(count), *options, uri=uri or self.far_uri(count), place=place)

    def most(self, side):
        """The largest count of a side, over all links; None when it is no cell of this work."""
        return max((cell.count for of in self.todo.values() for cell in of if cell.side == side), default=None)

    def fill_disk(self):
        shutil.rmtree(restart.PLACE, ignore_errors=True)
        counts = {cell.count for of in self.todo.values() for cell in of if cell.side == "disk"}
        for count in counts if self.work.in_rungs else {max(counts)}:
            with self.mounted(count, *ON_DISK) as mount:
                mount.warm(self.act.content(mount.path, count))

    def leave_out(self, side, reason):
        say(f"{self.work.name}, {side} is left out: {reason}")
        self.left_out[side] = str(reason)
        self.todo = {link: [cell for cell in of if cell.side != side] for link, of in self.todo.items()}

    @contextlib.contextmanager
    def page_mount(self):
        count = self.most("page")
        with self.mounted(count, place="warm") as mount:
            self.act.prime(mount.path, count)
            yield mount

    def run(self, cell, warm, database):
        """Items per second of one side, once."""
        act, count, uri = self.act, cell.count, self.uri(cell.link, cell.count)
        if cell.side == "page":
            return act.by_path(warm.path, count)
        if cell.side == "disk":
            restart.forget_pages()
            with self.mounted(count, *ON_DISK) as mount:
                return act.by_path(mount.path, count)
        if cell.side == "plain C":
            return act.in_c(uri, count, cell.link)
        if cell.side.startswith("pymongo"):
            return act.by_pymongo(database(cell), count, 4 if "threads" in cell.side else 1)
        if cell.side in self.others:
            with self.others[cell.side].mounted(cell.link) as root:
                return act.by_path(root, count)
        with self.mounted(count, uri=uri) as mount:
            return act.by_path(mount.path, count)

    def play_link(self, link, warm):
        """The values of all sides over one link."""
        todo, values, left_out = list(self.todo[link]), {}, dict(self.left_out)
        self.proxy.set(**link.settings)
        with contextlib.ExitStack() as clients:
            def database(cell):
                uri = self.uri(link, cell.count)
                client = clients.enter_context(pymongo.MongoClient(uri))
                client.admin.command("ping")
                return client.get_default_database()

            for _ in range(self.stage.sizes["table_rounds"]):
                for cell in list(todo):
                    try:
                        values.setdefault(cell, []).append(self.run(cell, warm, database))
                    except CANNOT as reason:
                        say(f"{self.work.name}, {link.name}, {cell.side} is left out: {reason}")
                        left_out[cell.side] = str(reason)
                        todo.remove(cell)
        self.proxy.set(**cells.Link(0, 0).settings)
        return self.group(link, values, left_out)

    def group(self, link, values, left_out):
        return {"work": self.work.name, "unit": self.work.unit, "nominal": self.work.nominal, "link": link.name,
                "round_trip_ms": link.round_trip_ms, "megabytes": link.megabytes, "left_out": left_out,
                "sides": {cell.side: {"count": cell.count, "median": statistics.median(measured), "all": measured}
                          for cell, measured in values.items() if measured}}

    def play(self):
        self.act.fill(sorted({cell.count for of in self.todo.values() for cell in of if cell.side not in self.others}))
        try:
            if self.most("disk"):
                try:
                    self.fill_disk()
                except CANNOT as reason:
                    self.leave_out("disk", reason)
            with self.page_mount() as warm:
                for link in self.links:
                    start = time.monotonic()
                    yield self.play_link(link, warm)
                    say(f"  {self.work.name}, {link.name}: {time.monotonic() - start:.1f} s")
        finally:
            shutil.rmtree(restart.PLACE, ignore_errors=True)


def played(of):
    """The groups of one work, as far as it got."""
    try:
        for group in of.play():
            yield group
    except CANNOT as reason:
        say(f"{of.work.name} ended early: {reason}")


def print_groups(groups):
    """A table for each work; a row for each link."""
    for name in dict.fromkeys(group["work"] for group in groups):
        of = [group for group in groups if group["work"] == name]
        sides = list(dict.fromkeys(side for group in of for side in group["sides"]))
        print(f"\n| {name}, {of[0]['unit']} | {' | '.join(sides)} |\n|{'---|' * (len(sides) + 1)}")
        for group in of:
            measured = [group["sides"].get(side) for side in sides]
            print(f"| {group['link']} | " + " | ".join(figure(side["median"]) if side else "" for side in measured)
                  + " |")
    print(flush=True)


def table(stage):
    """It has no rows, but a table and a file of its own."""
    groups, path = [], BUILD / "table.json"
    with stage.link("arrays") as (_, proxy), others.installed(stage) as mounts:
        for work in cells.chosen(stage.wanted["work"], cells.WORKS, "work"):
            groups += played(Table(stage, proxy, mounts, work))
            path.write_text(json.dumps({"machine": stage.describe(), "sizes": stage.sizes, "groups": groups},
                                       indent=1) + "\n")
    print_groups(groups)
    say(f"written: {path}")
    return []
