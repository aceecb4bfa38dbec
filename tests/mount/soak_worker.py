# SPDX-License-Identifier: Apache-2.0
"""What test_soak.py has done to a mount for a while: mixed work of one process in a directory of its own, of which it
knows what each file has, and in one that all share, of which it knows that files are whole: soak_worker.py DIRECTORY
SHARED SEED SECONDS REPORT. Prints a line when something fails, and ends."""
import collections
import hashlib
import json
import mmap
import os
import pathlib
import random
import sys
import time

FILES = 40
SIZES = (0, 100, 5_000, 70_000, 300_000, 1_500_000)
LARGEST = 3_000_000


def mark(content):
    return f"{len(content)}:{hashlib.sha256(content).hexdigest()[:16]}"


class Work:
    """Each method is one kind of work; `there` has what every file of our own has."""

    def __init__(self, folder, shared, seed):
        self.folder, self.shared, self.dice = pathlib.Path(folder), pathlib.Path(shared), random.Random(seed)
        self.there, self.number = {}, 0

    def some_file(self):
        return self.dice.choice(sorted(self.there))

    def some_bytes(self):
        return self.dice.randbytes(self.dice.choice(SIZES))

    def expect(self, name, content):
        assert content == self.there[name], \
            f"{name} has {mark(content)} and not {mark(self.there[name])}"

    def create(self):
        self.number += 1
        name, content = f"f{os.getpid()}.{self.number}", self.some_bytes()
        with open(self.folder / name, "xb") as file:
            file.write(content)
        self.there[name] = content

    def overwrite(self):
        name, content = self.some_file(), self.some_bytes()
        (self.folder / name).write_bytes(content)
        self.there[name] = content

    def append(self):
        name, more = self.some_file(), self.dice.randbytes(self.dice.randrange(1, 20_000))
        if len(self.there[name]) > LARGEST:
            return
        with open(self.folder / name, "ab") as file:
            file.write(more)
        self.there[name] += more

    def change(self):
        name, piece = self.some_file(), self.dice.randbytes(self.dice.randrange(1, 50_000))
        content = bytearray(self.there[name])
        at = self.dice.randrange(len(content) + 1)
        with open(self.folder / name, "r+b", buffering=0) as file:
            file.seek(at)
            file.write(piece)
            if self.dice.random() < 0.3:
                os.fsync(file.fileno())
        content[at:at + len(piece)] = piece
        self.there[name] = bytes(content)

    def change_by_mapping(self):
        name = self.some_file()
        if not self.there[name]:
            return
        content, at = bytearray(self.there[name]), self.dice.randrange(len(self.there[name]))
        with open(self.folder / name, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            assert mapped[:] == self.there[name], f"{name} is mapped as something else"
            mapped[at] = content[at] = self.dice.randrange(256)
            mapped.flush()
        self.there[name] = bytes(content)

    def truncate(self):
        name = self.some_file()
        size = self.dice.randrange(len(self.there[name]) + 10_000)
        os.truncate(self.folder / name, size)
        self.there[name] = self.there[name][:size] + bytes(max(0, size - len(self.there[name])))

    def rename(self):
        name = self.some_file()
        target = self.some_file() if self.dice.random() < 0.5 else name + "r"
        os.rename(self.folder / name, self.folder / target)
        self.there[target] = self.there.pop(name)

    def unlink(self):
        name = self.some_file()
        os.unlink(self.folder / name)
        del self.there[name]

    def read(self):
        name = self.some_file()
        self.expect(name, (self.folder / name).read_bytes())

    def read_by_mapping(self):
        name = self.some_file()
        if self.there[name]:
            with open(self.folder / name, "rb") as file, \
                    mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
                self.expect(name, mapped[:])

    def list(self):
        found = {entry.name: entry.stat().st_size for entry in os.scandir(self.folder)}
        assert found == {name: len(content) for name, content in self.there.items()}, \
            f"{set(found.items()) ^ {(name, len(content)) for name, content in self.there.items()}}"

    def replace_shared(self):
        byte, size = self.dice.randrange(256), self.dice.choice(SIZES[1:])
        name = self.shared / f"s{self.dice.randrange(5)}"
        temporary = self.shared / f".{os.getpid()}"
        temporary.write_bytes(size.to_bytes(8, "big") + bytes([byte]) * size)
        os.rename(temporary, name)

    def read_shared(self):
        try:
            content = (self.shared / f"s{self.dice.randrange(5)}").read_bytes()
        except FileNotFoundError:
            return
        assert len(content) - 8 == int.from_bytes(content[:8], "big") and len(set(content[8:])) == 1, \
            f"a shared file is not whole: {mark(content)}"

    def one(self):
        """Does something; its name."""
        if not self.there or len(self.there) < FILES and self.dice.random() < 0.1:
            what = "create"
        elif len(self.there) >= FILES:
            what = "unlink"
        else:
            what = self.dice.choice(KINDS)
        getattr(self, what)()
        return what


KINDS = ["create", "overwrite", "append", "change", "change_by_mapping", "truncate", "rename", "unlink",
         "read", "read", "read", "read_by_mapping", "list", "replace_shared", "read_shared", "read_shared"]


def main():
    folder, shared, seed, seconds, report = sys.argv[1:]
    work, done = Work(folder, shared, seed), collections.Counter()
    ends = time.monotonic() + float(seconds)
    while time.monotonic() < ends:
        try:
            done[work.one()] += 1
        except (OSError, AssertionError) as error:
            print(f"{folder}: {error!r}", flush=True)
            break       # what is there now is not known
    marks = {name: mark(content) for name, content in work.there.items()}
    pathlib.Path(report).write_text(json.dumps({"done": done, "there": marks}))


if __name__ == "__main__":
    main()
