# SPDX-License-Identifier: Apache-2.0
"""A server that is 20 ms a round trip away, behind links of several widths."""
import contextlib
import os
import shutil
import subprocess
import time

import gridfs
import pymongo

import fill
from content import MIB, read_cold, read_pymongo, read_ranges
from names import get_each
from results import Row, interleave
from stage import CannotRun, run_program, timed
from writing import check_stored, sources

ROUND_TRIP = 0.020
READERS = WRITERS = 8
LINKS = {   # what carries it, and what is aimed at against pymongo and against the link
    "": ({}, 2.0, None),
    ", 10 MB/s a connection, 80 MB/s in all": ({"each": 10_000_000, "bandwidth": 80_000_000}, 6.0, 0.85),
    ", 10 MB/s": ({"bandwidth": 10_000_000}, None, 0.95),
}
WRITE_LINK = 80_000_000
TREES = 40
GIT_FILES = 1_000


@contextlib.contextmanager
def link(stage, name, **settings):
    """Yields the URI of a database behind the link, and pymongo's view of it there."""
    with stage.link(name, latency=ROUND_TRIP / 2, **settings) as (uri, _), pymongo.MongoClient(uri) as client:
        yield uri, client.get_default_database()


def large(stage):
    """A whole file from a fresh mount, against pymongo, plain ranged finds, and the link."""
    fill.large(stage)
    ranges = f"ranged finds, {READERS} connections"
    for name, (settings, aim, link_aim) in LINKS.items():
        with link(stage, "large", **settings) as (uri, database):
            values = interleave(stage.rounds if not settings else min(stage.rounds, 2), {
                "gridmount": lambda uri=uri: read_cold(stage, ["a.bin"], uri),
                "pymongo": lambda database=database: read_pymongo(database, "a.bin"),
                ranges: lambda uri=uri: read_ranges(uri, READERS),
            })
        what = f"cold read at 20 ms{name}"
        yield Row(what, "MiB/s", values["gridmount"], "pymongo", values["pymongo"], at_least=aim, more_is_better=True)
        yield Row(what, "MiB/s", values["gridmount"], ranges, values[ranges], at_least=0.85, more_is_better=True)
        if settings:
            yield Row(what, "MiB/s", values["gridmount"], "the link", [settings["bandwidth"] / MIB],
                      at_least=link_aim, more_is_better=True)


def small(stage):
    """Every file of a directory in its order, by one reader and by eight, against pymongo one by one."""
    fill.small(stage)
    with link(stage, "small") as (uri, database):
        ids = [file["_id"] for file in database.fs.files.find({}, {"_id": 1}).sort("filename", 1)]

        def read(consistency, readers):
            with stage.mounted("small", f"consistency={consistency}", uri=uri) as mount:
                size, files, seconds = run_program("path_reader", "directory", mount.path / "small", readers)
            if size != len(ids) * fill.SMALL:
                raise CannotRun(f"{size} bytes in {files} files were read, not {len(ids)} x {fill.SMALL}")
            return files / seconds

        aims = {("open", 1): 1.8, ("open", READERS): 10, ("ttl:5", 1): 20, ("immutable", 1): 20}
        contestants = {"pymongo": lambda: get_each(gridfs.GridFS(database), ids)}
        contestants |= {kind: lambda kind=kind: read(*kind) for kind in aims}
        values = interleave(min(stage.rounds, 2), contestants)
    for (consistency, readers), aim in aims.items():
        yield Row(f"{len(ids):,} x 4 KiB at 20 ms, {consistency}, {readers} at a time", "files/s",
                  values[consistency, readers], "pymongo, one by one", values["pymongo"], at_least=aim,
                  more_is_better=True)


def write(stage):
    """A large file through a link, and small ones eight at a time, against pymongo one after another."""
    size, count = stage.sizes["large"], stage.sizes["small_files"]

    def copy_large(uri):
        stage.empty("written")
        with stage.mounted("written", uri=uri) as mount:
            seconds = timed(["cp", source, mount.path])
        check_stored(stage.database("written"), 1, size)
        return size / seconds / MIB

    def copy_small(uri, command):
        stage.empty("written")
        with stage.mounted("written", uri=uri) as mount:
            seconds = timed(["sh", "-c", command, "sh", trees, mount.path])
        check_stored(stage.database("written"), count, fill.SMALL)
        return count / seconds

    def put_small(database):
        fill.make_indexes(stage.empty("written"))
        bucket, start = gridfs.GridFS(database), time.perf_counter()
        for path in sorted(trees.glob("*/*")):
            bucket.put(path.read_bytes(), filename=str(path.relative_to(trees)))
        return count / (time.perf_counter() - start)

    with sources() as place:
        source, trees = place / "large.bin", place / "trees"
        source.write_bytes(os.urandom(size))
        for number in range(count):
            path = trees / f"{number % TREES:02}" / f"{number:05}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(fill.SMALL))
        with link(stage, "written", bandwidth=WRITE_LINK) as (uri, _):
            large_values = [copy_large(uri) for _ in range(min(stage.rounds, 3))]
        with link(stage, "written") as (uri, database):
            values = interleave(min(stage.rounds, 2), {
                "trees": lambda: copy_small(uri, f'ls "$1" | xargs -P {WRITERS} -I@ cp -r "$1/@" "$2"'),
                "one directory": lambda: copy_small(uri, f'find "$1" -type f | xargs -P {WRITERS} -n 25 cp -t "$2"'),
                "pymongo": lambda: put_small(database)})
    stage.empty("written")
    yield Row(f"cp of {size // MIB} MiB at 20 ms, 80 MB/s", "MiB/s", large_values, "the link", [WRITE_LINK / MIB],
              at_least=0.85, more_is_better=True)
    small = f"{count:,} x 4 KiB at 20 ms, {WRITERS} at a time"
    for kind, what, aim in (("trees", f"cp -r of {small}, in {TREES} directories", 4.0),
                            ("one directory", f"cp of {small}, into one directory", None)):
        yield Row(what, "files/s", values[kind], "pymongo put, one by one", values["pymongo"], at_least=aim,
                  more_is_better=True)


def git_status(stage):
    """`git status` in a clone that another mount made, for the second time."""
    if not shutil.which("git"):
        raise CannotRun("git is not installed")
    environment = os.environ | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}

    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=b", "-c", "user.email=b@example.com", *map(str, arguments)],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)

    with sources() as place:
        for number in range(GIT_FILES):
            path = place / "repository" / f"{number % 20:02}" / f"{number:04}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{number}\n" * 50)
        git("-C", place / "repository", "init", "-q")
        git("-C", place / "repository", "add", ".")
        git("-C", place / "repository", "commit", "-qm", "all")
        stage.empty("written")
        with stage.mounted("written") as mount:
            git("clone", "-q", place / "repository", mount.path / "clone")
        first, second = [], []
        with link(stage, "written") as (uri, _), stage.mounted("written", uri=uri) as mount:
            for times in (first, second, second, second):
                start = time.perf_counter()
                git("-C", mount.path / "clone", "status")
                times.append(time.perf_counter() - start)
    stage.empty("written")
    yield Row(f"git status of {GIT_FILES:,} files at 20 ms, first", "s", first)
    yield Row(f"git status of {GIT_FILES:,} files at 20 ms, again", "s", second, at_most=1.0)
