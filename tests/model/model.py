# SPDX-License-Identifier: Apache-2.0
"""Random calls on a filesystem and on a local directory side by side, compared at every step.

    Model(tested, reference, seed).run(count)      raises Different, which tells the seed and the last steps
    python3 model.py TESTED REFERENCE [--seed N] [--count N] [--profile all|content|names]

The local directory is the definition of right. Both roots must be empty. Several processes make the calls, each with
open files and mappings of its own, one call at a time.
"""
import argparse
import collections
import fcntl
import os
import random
import stat
import time

from operations import EXCHANGE, KEEP_SIZE, NOREPLACE, PUNCH_HOLE, Attributes, Process

PROCESSES = 3
FILES_MOST, OPEN_MOST, MAPS_MOST, KNOWN_MOST = 40, 12, 4, 40
SIZE_MOST = 900_000
STEPS_TOLD = 40
SECOND, YEAR = 10**9, 365 * 86_400 * 10**9
RECENT = 600 * SECOND

NAMES = [b"a", b"b", b"c", b"dd", b"e.txt", "é".encode(), b"new\nline", b"\xff\xfe", b" ", b"L" * 255]
XATTRS = ["user.t1", "user.t.two", "user.t" + "3" * 60]
NAMED = {"truncate", "unlink", "rename", "mkdir", "rmdir", "symlink", "readlink", "link", "mkfifo", "chmod", "chown",
         "utime", "touch", "set_xattr", "remove_xattr", "open"}
CHANGED = {"read", "write", "pwrite", "seek", "ftruncate", "fallocate", "fsync", "fdatasync", "fchmod", "fchown",
           "futime", "copy_range", "sendfile", "fork_and_write"}
SLOTTED = CHANGED | {"close", "dup", "pread", "fstat", "flock", "lockf", "seek_data", "seek_hole", "map"}
MAPPED = {"map_write", "map_read", "unmap"}

CONTENT = {
    "open": 10, "close": 8, "dup": 1, "read": 6, "pread": 12, "write": 10, "pwrite": 14, "seek": 4, "ftruncate": 6,
    "truncate": 4, "fallocate": 6, "fsync": 3, "fdatasync": 1, "copy_range": 5, "sendfile": 3, "seek_data": 3,
    "seek_hole": 3, "map": 3, "map_write": 6, "map_read": 4, "unmap": 2, "fork_and_exit": 1, "fork_and_write": 2,
    "content": 4, "futime": 1, "fstat": 2}
NAMESPACE = {
    "open": 12, "close": 10, "write": 4, "unlink": 8, "rename": 12, "mkdir": 8, "rmdir": 5, "symlink": 4,
    "readlink": 2, "link": 6, "mkfifo": 2, "chmod": 4, "fchmod": 1, "chown": 3, "fchown": 1, "utime": 4, "futime": 1,
    "touch": 1, "set_xattr": 5, "remove_xattr": 2, "xattrs": 3, "listdir": 4, "lstat": 4, "stat": 4, "access": 1,
    "flock": 2, "lockf": 3, "content": 3}
PROFILES = {
    "all": collections.Counter(CONTENT) + collections.Counter(NAMESPACE),
    "content": CONTENT,
    "names": NAMESPACE,
}


class Different(AssertionError):
    """The filesystem under test did something that the local directory did not."""


def is_recent(nanoseconds):
    return abs(time.time_ns() - nanoseconds) < RECENT


def same_attributes(tested, reference):
    """Times that were set are equal to the nanosecond; others are of just now, on both."""
    if is_recent(reference.modified) and is_recent(tested.modified):
        tested = tested._replace(modified=reference.modified)
    return tested == reference


def same(tested, reference):
    if isinstance(reference, Attributes) and isinstance(tested, Attributes):
        return same_attributes(tested, reference)
    if isinstance(reference, (tuple, list)) and isinstance(tested, (tuple, list)):
        return len(tested) == len(reference) and all(map(same, tested, reference))
    return tested == reference


def tree_differences(tested, reference):
    for path in sorted(tested.keys() | reference.keys()):
        if path not in tested or path not in reference or not same(tested[path], reference[path]):
            yield f"{path!r}\n    tested:    {tested.get(path)}\n    reference: {reference.get(path)}"


def told(process, name, arguments):
    """One line of what was done, with long names and values cut."""
    texts = [text if len(text) <= 40 else f"{text[:30]}…{len(text)}" for text in map(repr, arguments)]
    return f"{process}: {name}({', '.join(texts)})"


class Model:
    def __init__(self, tested, reference, seed, profile="all", fault=None):
        self.rng, self.seed = random.Random(seed), seed
        self.weights = PROFILES[profile]
        self.names = NAMES[:2] if profile == "content" else NAMES
        self.sides = [(Process(tested, fault), Process(reference)) for _ in range(PROCESSES)]
        self.numbers = iter(range(1 << 60))
        self.files, self.maps = {}, {}      # number: its process
        self.known = collections.deque(maxlen=KNOWN_MOST)
        self.steps = collections.deque(maxlen=STEPS_TOLD)
        self.history = []                   # every step, to be replayed
        self.done = collections.Counter()   # (call, outcome): how often

    # Running

    def run(self, count):
        for number in range(count):
            if number % 25 == 0:
                self.cull()
            name = self.rng.choices(list(self.weights), self.weights.values())[0]
            chosen = getattr(self, "choose_" + name)()
            if chosen:
                self.step(chosen[0], name, *chosen[1:])
        return self

    def replay(self, history):
        """The steps of another run, but those on what is not open here."""
        for process, name, *arguments in history:
            if name in MAPPED:
                usable = arguments[0] in self.maps
            else:
                slots = arguments[:2] if name in ("copy_range", "sendfile") else arguments[:1]
                usable = name not in SLOTTED or all(slot in self.files for slot in slots)
            if usable:
                self.step(process, name, *arguments)
        return self

    def remount(self, again):
        """Closes everything, calls again() and compares all there is."""
        self.close_all()
        self.compare_trees()
        again()
        self.compare_trees()

    def close_all(self):
        for number in sorted(self.maps):
            self.step(self.maps[number], "unmap", number)
        for slot in sorted(self.files):
            self.step(self.files[slot], "close", slot)

    def end(self):
        for pair in self.sides:
            for side in pair:
                side.end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def both(self, process, name, *arguments):
        """The call on both sides at once: (tested, reference), each ("is", value) or ("fails", errno)."""
        pair = self.sides[process]
        for side in pair:
            side.send(name, *arguments)
        return tuple(side.receive() for side in pair)

    def reference(self, process, name, *arguments):
        return self.sides[process][1](name, *arguments)

    def step(self, process, name, *arguments):
        self.steps.append(told(process, name, arguments))
        self.history.append((process, name, *arguments))
        tested, reference = self.both(process, name, *arguments)
        self.done[name, reference[0] if reference[0] == "is" else reference[1]] += 1
        if name in ("seek_data", "seek_hole"):
            self.compare_seek(process, name, arguments, tested, reference)
        elif not same(tested, reference):
            self.differ(tested, reference)
        if reference[0] == "is":
            self.note(process, name, arguments)
        self.look_at_what_was_touched(process, name, arguments)

    def differ(self, tested, reference):
        raise Different(f"seed {self.seed}: after\n  " + "\n  ".join(self.steps) +
                        f"\ntested:    {tested}\nreference: {reference}")

    def note(self, process, name, arguments):
        """What is open, mapped and there, as far as the choices need to know."""
        if name in ("open", "dup"):
            self.files[arguments[0] if name == "open" else arguments[1]] = process
        elif name == "close":
            del self.files[arguments[0]]
        elif name == "map":
            self.maps[arguments[1]] = process
        elif name == "unmap":
            del self.maps[arguments[0]]
        if name in ("open", "rename", "symlink", "link"):
            self.known.append(arguments[1])
        elif name in ("mkdir", "mkfifo"):
            self.known.append(arguments[0])

    # Comparing

    def look(self, process, name, *arguments):
        tested, reference = self.both(process, name, *arguments)
        if not same(tested, reference):
            self.steps.append(told(process, name, arguments) + ", to compare")
            self.differ(tested, reference)

    def look_at_what_was_touched(self, process, name, arguments):
        if name in NAMED:
            for path in [argument for argument in arguments[:2] if isinstance(argument, bytes)]:
                self.look(self.any_process(), "lstat", path)
                if self.rng.random() < 0.2:
                    self.look(self.any_process(), "content", path)
        elif name in CHANGED:
            self.look(process, "fstat", arguments[0])
            if self.known and self.rng.random() < 0.2:
                self.look(self.any_process(), "content", self.rng.choice(self.known))

    def compare_trees(self):
        (_, tested), (_, reference) = self.both(0, "tree")
        if differences := list(tree_differences(tested, reference)):
            self.steps.append("the whole tree, to compare")
            self.differ("", "\n  ".join(["these differ:"] + differences[:10]))

    def compare_seek(self, process, name, arguments, tested, reference):
        """Where holes are is up to the filesystem: what it calls one must read as zeros, and all else is fixed."""
        if not self.seek_is_right(process, name, *arguments, tested, reference):
            self.differ(tested, reference)
        # Where the file now stands is the filesystem's affair too: put both at one place again.
        self.both(process, "seek", arguments[0], 0, os.SEEK_SET)

    def seek_is_right(self, process, name, slot, offset, tested, reference):
        how, found = self.reference(process, "fstat", slot)
        if how == "fails" or offset >= found.size:
            return tested == reference
        if tested[0] == "fails":
            return name == "seek_data" and tested[1] == "ENXIO" and not self.data_at(process, slot, offset, found.size)
        place = tested[1]
        if name == "seek_data":
            return offset <= place < found.size and not self.data_at(process, slot, offset, place)
        return place == found.size or offset <= place < found.size and not self.data_at(process, slot, place, place + 1)

    def data_at(self, process, slot, start, end):
        how, holds = self.reference(process, "holds_data", slot, start, end - start)
        return how == "is" and holds

    # Choosing: (process, arguments…), or None when there is nothing to call it on

    def any_process(self):
        return self.rng.randrange(PROCESSES)

    def some_path(self):
        if self.known and self.rng.random() < 0.65:
            return self.rng.choice(self.known)
        depth = self.rng.choices((1, 2, 3, 4), (50, 35, 12, 3))[0]
        parents = [self.rng.choice(self.names[:4]) for _ in range(depth - 1)]
        last = b"T" * 256 if self.rng.random() < 0.005 else self.rng.choice(self.names)
        return b"/".join(parents + [last])

    def some_file(self):
        return self.rng.choice(sorted(self.files)) if self.files else None

    def some_map(self):
        return self.rng.choice(sorted(self.maps)) if self.maps else None

    def some_size(self):
        return self.rng.randint(1, self.rng.choices((100, 5000, 70_000, 300_000), (40, 30, 20, 10))[0])

    def some_offset(self):
        return self.rng.randint(0, self.rng.choices((0, 5000, 300_000, 600_000), (20, 40, 30, 10))[0])

    def some_seed(self):
        return self.rng.randrange(1 << 30)

    def some_mode(self):
        return self.rng.choice((0o644, 0o600, 0o755, 0o400, 0, 0o1777, 0o2775, 0o4755)) ^ self.rng.choice((0, 0, 0o22))

    def some_time(self):
        """Never of these years: times of just now are known by that. Up to 2250: 64 bits of nanoseconds end in 2262."""
        return self.rng.choice((self.rng.randint(-60 * YEAR, 0), self.rng.randint(0, 50 * YEAR),
                                self.rng.randint(90 * YEAR, 280 * YEAR), 0, 1, -1, (1 << 32) * SECOND))

    def other_size(self, now):
        """A size that is a change: whether truncating to the same size sets times differs between filesystems."""
        how, found = now
        size = self.some_offset()
        return size + 1 if how == "is" and found.size == size else size

    def cull(self):
        """Few files keep the comparisons quick, and names in use."""
        how, names = self.reference(0, "names")
        assert how == "is", names
        self.rng.shuffle(names := sorted(names))
        for path in names[FILES_MOST:]:
            self.step(self.any_process(), "unlink", path)

    def on_file(self, *arguments):
        slot = self.some_file()
        return None if slot is None else (self.files[slot], slot, *arguments)

    def on_regular_file(self, *arguments):
        """Positions in a directory are the filesystem's own affair."""
        chosen = self.on_file(*arguments)
        if not chosen:
            return None
        how, found = self.reference(chosen[0], "fstat", chosen[1])
        return chosen if how == "is" and stat.S_ISREG(found.mode) else None

    def on_map(self, *arguments):
        number = self.some_map()
        return None if number is None else (self.maps[number], number, *arguments)

    def on_path(self, *arguments):
        return (self.any_process(), self.some_path(), *arguments)

    def choose_open(self):
        if len(self.files) >= OPEN_MOST:
            return None
        flags = self.rng.choices((os.O_RDONLY, os.O_WRONLY, os.O_RDWR), (3, 2, 5))[0]
        for flag, share in ((os.O_CREAT, 0.6), (os.O_EXCL, 0.15), (os.O_TRUNC, 0.2), (os.O_APPEND, 0.25),
                            (os.O_NOFOLLOW, 0.1), (os.O_DIRECTORY, 0.04), (os.O_SYNC, 0.04)):
            flags |= flag if self.rng.random() < share else 0
        return self.any_process(), next(self.numbers), self.some_path(), flags, self.some_mode() & 0o777

    def choose_close(self):
        return self.on_file()

    def choose_dup(self):
        return self.on_file(next(self.numbers)) if len(self.files) < OPEN_MOST else None

    def choose_read(self):
        return self.on_file(self.some_size())

    def choose_pread(self):
        return self.on_file(self.some_size(), self.some_offset())

    def choose_write(self):
        """At most SIZE_MOST, wherever the appends of before went."""
        chosen = self.on_file(self.some_seed(), self.some_size())
        if chosen:
            how, found = self.reference(chosen[0], "fstat", chosen[1])
            if how == "is" and found.size > SIZE_MOST:
                return None
        return chosen

    def choose_pwrite(self):
        chosen = self.choose_write()
        return chosen and (*chosen, self.some_offset())

    choose_fork_and_write = choose_write

    def choose_fork_and_exit(self):
        return (self.any_process(),)

    def choose_seek(self):
        whence = self.rng.choice((os.SEEK_SET, os.SEEK_CUR, os.SEEK_END))
        offset = self.some_offset() if whence == os.SEEK_SET else self.rng.randint(-5000, 5000)
        return self.on_regular_file(offset, whence)

    def choose_ftruncate(self):
        chosen = self.on_file()
        return chosen and (*chosen, self.other_size(self.reference(chosen[0], "fstat", chosen[1])))

    def choose_truncate(self):
        path = self.some_path()
        return self.any_process(), path, self.other_size(self.reference(0, "stat", path))

    def choose_fallocate(self):
        mode = self.rng.choice((0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, PUNCH_HOLE))
        return self.on_file(mode, self.some_offset(), self.some_size())

    def choose_fsync(self):
        return self.on_file()

    choose_fdatasync = choose_fstat = choose_fsync

    def choose_fchmod(self):
        return self.on_file(self.some_mode())

    def choose_fchown(self):
        return self.on_file(self.rng.randint(-1, 3), self.rng.randint(-1, 3))

    def choose_futime(self):
        return self.on_file(self.some_time(), self.some_time())

    def choose_flock(self):
        return self.on_file(self.rng.choice((fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_UN)))

    def choose_lockf(self):
        chosen = self.choose_flock()
        return chosen and (*chosen, self.rng.randint(0, 50), self.rng.randint(0, 50))

    def two_files(self):
        """Two files that are open in one process."""
        slot = self.some_file()
        if slot is None:
            return None
        others = [other for other, process in sorted(self.files.items()) if process == self.files[slot]]
        return self.files[slot], slot, self.rng.choice(others)

    def choose_copy_range(self):
        chosen = self.two_files()
        return chosen and (*chosen, self.some_size(), self.some_offset(), self.some_offset())

    def choose_sendfile(self):
        """Not from a file to itself: what it then sends depends on how far it reads ahead."""
        chosen = self.two_files()
        if not chosen:
            return None
        process, target, source = chosen
        (_, one), (_, other) = (self.reference(process, "fstat", slot) for slot in (target, source))
        if one.size > SIZE_MOST or self.are_one(process, target, source):
            return None
        return process, target, source, self.some_offset(), min(self.some_size(), other.size)

    def are_one(self, process, first, second):
        return self.reference(process, "identity", first) == self.reference(process, "identity", second)

    def choose_seek_data(self):
        return self.on_regular_file(self.some_offset())

    choose_seek_hole = choose_seek_data

    def choose_map(self):
        return self.on_file(next(self.numbers)) if len(self.maps) < MAPS_MOST else None

    def choose_map_write(self):
        return self.on_map(self.some_seed(), self.some_size(), self.some_offset())

    def choose_map_read(self):
        return self.on_map(self.some_size(), self.some_offset())

    def choose_unmap(self):
        return self.on_map()

    def choose_unlink(self):
        return self.on_path()

    choose_rmdir = choose_readlink = choose_touch = choose_xattrs = choose_unlink
    choose_listdir = choose_lstat = choose_stat = choose_content = choose_unlink

    def choose_rename(self):
        flags = self.rng.choices((0, NOREPLACE, EXCHANGE, NOREPLACE | EXCHANGE), (70, 12, 16, 2))[0]
        return self.on_path(self.some_path(), flags)

    def choose_mkdir(self):
        return self.on_path(self.some_mode())

    choose_mkfifo = choose_chmod = choose_mkdir

    def choose_symlink(self):
        """Targets without "..", which could lead out of the roots."""
        target = self.rng.choice((self.rng.choice(NAMES), self.some_path(), b"nowhere/at/all", b"/no/such/place"))
        return self.any_process(), target, self.some_path()

    def choose_link(self):
        return self.on_path(self.some_path())

    def choose_chown(self):
        return self.on_path(self.rng.randint(-1, 3), self.rng.randint(-1, 3))

    def choose_utime(self):
        return self.on_path(self.some_time(), self.some_time())

    def choose_set_xattr(self):
        value = self.rng.randbytes(self.rng.choice((0, 1, 20, 500)))
        flags = self.rng.choice((0, 0, os.XATTR_CREATE, os.XATTR_REPLACE))
        return self.on_path(self.rng.choice(XATTRS), value, flags)

    def choose_remove_xattr(self):
        return self.on_path(self.rng.choice(XATTRS))

    def choose_access(self):
        return self.on_path(self.rng.choice((os.F_OK, os.R_OK, os.W_OK, os.X_OK)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tested")
    parser.add_argument("reference")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--profile", choices=PROFILES, default="all")
    parser.add_argument("--fault")
    given = parser.parse_args()
    print("seed", given.seed, flush=True)
    with Model(given.tested, given.reference, given.seed, given.profile, given.fault) as model:
        for _ in range(0, given.count, 1000):
            model.run(min(1000, given.count))
            model.compare_trees()
        model.remount(lambda: None)
    for (name, outcome), times in sorted(model.done.items()):
        print(f"{times:8} {name} {outcome}")


if __name__ == "__main__":
    main()
