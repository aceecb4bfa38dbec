# SPDX-License-Identifier: Apache-2.0
"""A container that starts again: its models, 1 GiB, are in cache_dir, and the server is asked for their documents only."""
import contextlib
import os
import shutil
import time

import content
import fill
from results import Row, interleave
from stage import BUILD, CannotRun, run_program, wait_until

PLACE = BUILD / "cache"
NAMES = [f"{n}.bin" for n in range(4)]
PAGE = 4096


def cached_files():
    """Those with content; the checksums are beside them."""
    return sorted(path for path in (PLACE / "chunks").iterdir() if not path.name.endswith("h"))


def forget_pages():
    """What is on disk is not in the page cache any more."""
    for path in cached_files():
        fd = os.open(path, os.O_RDWR)
        try:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


def mounted(stage):
    return stage.mounted("models", f"cache_dir={PLACE}", "cache_free=64M", "ro")


def fill_place(stage):
    """As a mount leaves it that lived for a minute: what is whole and on the disk has its mark."""
    shutil.rmtree(PLACE, ignore_errors=True)
    with mounted(stage) as mount:
        mount.warm(mount.path)      # no faster than it can be kept
        forget_pages()
        with contextlib.suppress(CannotRun):    # Linux before 6.5 does not tell what is on the disk
            wait_until(lambda: mount.counters()["disk_marks"] == len(NAMES), f"all is marked in {PLACE}")


def unmark():
    """As a mount leaves it that ended at once, or a day ago."""
    for path in cached_files():
        os.utime(path)


def open_and_read_a_page(path):
    """Seconds: a file that is passed to the kernel is checked by its first open."""
    begun = time.monotonic()
    fd = os.open(path, os.O_RDONLY)
    os.pread(fd, PAGE, os.fstat(fd).st_size // 2)
    os.close(fd)
    return time.monotonic() - begun


def read_again(stage, first, again, prepare):
    """The rate of a read of all by a fresh mount, from the first open on. `first` gets the ms from its exec to a page of a
    file, `again` the rate of what is read after that."""
    prepare()
    with mounted(stage) as mount:
        page = open_and_read_a_page(mount.path / NAMES[0])
        first.append((mount.ready_seconds + page) * 1000)
        size, passes, seconds = run_program("path_reader", "sequential", *(mount.path / name for name in NAMES))
        if mount.counters()["chunks_fetched"] or not size:
            raise CannotRun(f"not all was in {PLACE}")
    again.append(content.rate((size, passes, seconds)))
    return content.rate((size, passes, seconds + page))


def read_files(prepare):
    prepare()
    return content.rate(run_program("path_reader", "sequential", *cached_files()))


def read_server(stage):
    with stage.mounted("models") as mount:
        return content.rate(run_program("path_reader", "sequential", *(mount.path / name for name in NAMES)))


def disk(stage):
    """The disk tier after a restart, against its own files and against the server."""
    fill.models(stage)
    first, first_warm, first_unmarked, again = [], [], [], []
    try:
        fill_place(stage)
        values = interleave(stage.rounds, {
            "cold": lambda: read_again(stage, first, [], forget_pages),
            "files, cold": lambda: read_files(forget_pages),
            "warm": lambda: read_again(stage, first_warm, [], lambda: read_files(lambda: None)),
            "files, warm": lambda: read_files(lambda: None),
            "server": lambda: read_server(stage)})
        unmarked = interleave(stage.rounds, {
            "cold": lambda: read_again(stage, first_unmarked, [], lambda: (unmark(), forget_pages())),
            "files, cold": lambda: read_files(forget_pages),
            "warm": lambda: read_again(stage, first_unmarked, again, lambda: read_files(unmark)),
            "files, warm": lambda: read_files(lambda: None)})
    finally:
        shutil.rmtree(PLACE, ignore_errors=True)
    for what, got in (("restart", values), ("restart, nothing marked", unmarked)):
        yield Row(f"{what}, cache_dir cold", "MiB/s", got["cold"], "its files, cold", got["files, cold"],
                  at_least=0.7, more_is_better=True)
        yield Row(f"{what}, cache_dir in the page cache", "MiB/s", got["warm"], "its files", got["files, warm"],
                  at_least=0.95, more_is_better=True)
    yield Row("the same, but for its first open", "MiB/s", again, "its files", unmarked["files, warm"], more_is_better=True)
    yield Row("restart, cache_dir cold", "MiB/s", values["cold"], "from the server", values["server"],
              more_is_better=True)
    yield Row("restart, exec to first page", "ms", first, at_most=150)
    yield Row("restart, exec to first page, in the page cache", "ms", first_warm, at_most=150)
    yield Row("restart, exec to first page, nothing marked", "ms", first_unmarked, at_most=150)
