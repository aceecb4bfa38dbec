# SPDX-License-Identifier: Apache-2.0
"""What test_storms.py has done to a mount whose server comes and goes: storm_worker.py DIRECTORY SEED LARGEST REPORT PROGRESS STOP.
One writer and reader of names of its own, which knows of each name what it may show: one content, after a call that
returned 0; or several, after calls that failed, of which nobody knows whether they were done. Ends when STOP is there."""
import collections
import errno
import hashlib
import json
import os
import pathlib
import random
import sys
import time

NAMES = [f"n{i}" for i in range(6)]
SIZES = (0, 10, 3_000, 70_000, 600_000, 2_000_000)
TOLD = (errno.ETIMEDOUT, errno.EIO)     # how a mount says that the server is away, or that nobody knows
PAGE = 4096
ABSENT, EMPTY = None, "0:e3b0c44298fc1c14"


class Wrong(Exception):
    """What the mount showed cannot be."""


def mark(content):
    """What is remembered of a content."""
    return f"{len(content)}:{hashlib.sha256(content).hexdigest()[:16]}"


def marks_of_parts(content):
    """What is left where the writing was cut short, as the kernel passes it on: in pages."""
    digest, marks = hashlib.sha256(), {EMPTY}
    for at in range(0, len(content), PAGE):
        digest.update(content[at:at + PAGE])
        marks.add(f"{min(at + PAGE, len(content))}:{digest.copy().hexdigest()[:16]}")
    return marks


def read(name):
    with open(name, "rb", buffering=0) as file:
        parts = []
        while part := file.read(1 << 20):
            parts.append(part)
    return b"".join(parts)


def write(name, flags, content, sync=False):
    """What a call says of an error is said; a close is tried in any case, and once."""
    descriptor = os.open(name, flags, 0o644)
    try:
        at = 0
        while at < len(content):
            at += os.write(descriptor, content[at:at + (128 << 10)])
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Worker:
    def __init__(self, seed, largest, progress):
        self.dice, self.sizes = random.Random(seed), [size for size in SIZES if size <= largest]
        self.may = {name: {ABSENT} for name in NAMES}
        self.story, self.errors, self.done, self.number = [], collections.Counter(), collections.Counter(), 0
        self.progress, self.calls = progress, 0

    def tell(self, what):
        """How many calls have begun, and what the last is."""
        self.calls += 1
        self.progress.write_text(f"{self.calls} {what} {time.monotonic():.2f}", encoding="utf-8")

    def content(self):
        return self.dice.randbytes(self.dice.choice(self.sizes))

    def attempt(self, what, name, call, then, else_):
        """A change of one name: what it shows after it, and what it may show too if the call fails."""
        began, told = time.monotonic(), "done"
        self.tell(f"{what} {name}")
        try:
            call()
            self.may[name] = {then}
            self.done[what] += 1
        except OSError as error:
            told = errno.errorcode[error.errno]
            if error.errno not in TOLD:
                raise Wrong(f"{what} {name}: {error}") from None
            self.errors[f"{what} {told}"] += 1
            self.may[name] = self.may[name] | {then, *else_}
        self.story.append(f"{began:.2f}-{time.monotonic():.2f} {what} {name} {then}: {told}")
        return told == "done"

    # what is done

    def overwrite(self, name):
        content = self.content()
        self.attempt("overwrite", name, lambda: write(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, content),
                     mark(content), marks_of_parts(content))

    def replace(self, name):
        content, self.number = self.content(), self.number + 1
        temporary = f"t{self.number}"
        self.may[temporary] = {ABSENT}
        if self.attempt("write", temporary, lambda: write(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, content),
                        mark(content), marks_of_parts(content)):
            if self.attempt("rename", name, lambda: os.rename(temporary, name), mark(content), ()):
                self.may[temporary] = {ABSENT}
            else:
                self.may[temporary] |= {ABSENT}

    def append(self, name):
        if len(self.may[name]) == 1 and self.may[name] != {ABSENT}:
            before = self.look(name)
            if before is not None:
                more = self.dice.randbytes(1000)
                self.attempt("append", name, lambda: write(name, os.O_WRONLY | os.O_APPEND, more, sync=True),
                             mark(before + more), ())

    def unlink(self, name):
        if self.may[name] == {ABSENT}:
            return
        def call():
            try:
                os.unlink(name)
            except FileNotFoundError:
                if ABSENT not in self.may[name]:
                    raise
        self.attempt("unlink", name, call, ABSENT, ())

    def look(self, name):
        """What it shows, or None: nothing, or an error was told."""
        self.tell(f"read {name}")
        try:
            content = read(name)
        except FileNotFoundError:
            content = ABSENT
        except OSError as error:
            if error.errno not in TOLD:
                raise Wrong(f"read {name}: {error}") from None
            self.errors[f"read {errno.errorcode[error.errno]}"] += 1
            return None
        shown = ABSENT if content is ABSENT else mark(content)
        if shown not in self.may[name]:
            raise Wrong(f"{name} shows {shown}, not one of {sorted(map(str, self.may[name]))[:9]}")
        self.done["read"] += 1
        return content

    def list_all(self, _):
        self.tell("list")
        try:
            shown = set(os.listdir("."))
        except OSError as error:
            if error.errno not in TOLD:
                raise Wrong(f"listdir: {error}") from None
            self.errors[f"list {errno.errorcode[error.errno]}"] += 1
            return
        there = {name for name, may in self.may.items() if ABSENT not in may}
        maybe = {name for name, may in self.may.items() if may != {ABSENT}}
        if not there <= shown or not {name for name in shown if ".recovered-" not in name} <= maybe:
            raise Wrong(f"a listing lacks {sorted(there - shown)} and has {sorted(shown - maybe)}")
        self.done["list"] += 1

    def run(self, stop):
        acts = [self.overwrite, self.overwrite, self.replace, self.replace, self.append, self.unlink,
                self.look, self.look, self.look, self.list_all]
        while not os.path.exists(stop):
            self.dice.choice(acts)(self.dice.choice(NAMES))


def main(directory, seed, largest, report, progress, stop):
    os.chdir(directory)
    worker, wrong = Worker(seed, int(largest), pathlib.Path(progress)), None
    try:
        worker.run(stop)
    except Wrong as reason:
        wrong = str(reason)
    with open(report, "w", encoding="utf-8") as file:
        json.dump({"may": {name: list(may) for name, may in worker.may.items()}, "wrong": wrong,
                   "story": worker.story[-400:], "errors": worker.errors, "done": worker.done}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
