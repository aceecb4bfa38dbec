# SPDX-License-Identifier: Apache-2.0
"""What test_kills.py has done to a directory of a mount that will be killed: random changes of a few names, told when
the mount answers no more: kill_worker.py DIRECTORY SEED REPORT. REPORT.started is there once it has begun."""
import errno
import hashlib
import json
import os
import random
import sys

NAMES = [f"n{i}" for i in range(7)]
GONE = (errno.ENOTCONN, errno.ECONNABORTED)
SIZES = (0, 10, 3_000, 70_000, 600_000)


def mark(content):
    """What is remembered of a content."""
    return f"{len(content)}:{hashlib.sha256(content).hexdigest()[:16]}"


def look(name):
    """What a name shows: the mark of a content, the target of a symlink, None for nothing."""
    if not os.path.lexists(name):
        return None
    if os.path.islink(name):
        return "-> " + os.readlink(name)
    with open(name, "rb") as file:
        return mark(file.read())


class Model:
    """Which names there are, which file each is of, and what the files show."""

    def __init__(self, names=None, files=None):
        self.names, self.files = names or {}, files or {}

    def copy(self):
        return Model(dict(self.names), dict(self.files))

    def shown(self):
        return {name: self.files[file] for name, file in self.names.items()}

    @classmethod
    def of_directory(cls):
        found = cls()
        for name in os.listdir("."):
            if name in NAMES or name == "temporary":
                status = os.lstat(name)
                number = status.st_ino if status.st_nlink > 1 else name
                found.names[name], found.files[number] = number, look(name)
        return found


class Change:
    """One call: what it does, and what the model is after it."""

    def __init__(self, model, dice):
        self.text, self.call, self.after = None, None, model.copy()
        there = sorted(model.names)
        free = [name for name in NAMES if name not in model.names]
        files = [name for name in there if not model.shown()[name].startswith("->")]
        kinds = [("write", files or free, None), ("write", NAMES, None), ("append", files, None), ("sync", files, None),
                 ("rename", there, NAMES), ("rename", there, NAMES), ("rename", there, there), ("link", there, free),
                 ("link", files, free), ("unlink", there, None), ("symlink", free, None)]
        if "temporary" in model.names and dice.random() < 0.7:
            kinds = [("rename", ["temporary"], NAMES)]
        elif dice.random() < 0.2:
            kinds = [("write", ["temporary"], None)]
        usable = [kind for kind in kinds if kind[1] and kind[2] != []]
        kind, names, others = dice.choice(usable)
        getattr(self, kind)(dice.choice(names), dice.choice(others) if others else None, dice)

    def make(self):
        """Whether it was made: a name that the killed mount had claimed for a new link stays so for a minute."""
        try:
            self.call()
        except FileExistsError:
            if os.path.lexists(self.text.split()[2 if self.text.startswith("link") else 1]):
                raise
            self.text += ": claimed"
            return False
        return True

    def put(self, name, content):
        self.after.names.setdefault(name, f"{name} {random.random()}")
        self.after.files[self.after.names[name]] = mark(content)

    def write(self, name, _, dice):
        if self.after.shown().get(name, "").startswith("->"):
            return self.unlink(name, _, dice)
        content = dice.randbytes(dice.choice(SIZES))

        def call():
            with open(name, "wb") as file:
                file.write(content)
        self.text, self.call = f"write {name} {mark(content)}", call
        return self.put(name, content)

    def append(self, name, _, dice):
        content = dice.randbytes(1_000)
        with open(name, "rb") as file:
            before = file.read()

        def call():
            with open(name, "ab") as file:
                file.write(content)
        self.text, self.call = f"append to {name} {mark(before + content)}", call
        self.put(name, before + content)

    def sync(self, name, _, dice):
        content = dice.randbytes(5_000)
        with open(name, "rb") as file:
            before = file.read()

        def call():
            descriptor = os.open(name, os.O_RDWR)
            try:
                os.pwrite(descriptor, content, 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self.text, self.call = f"sync {name} {mark(content + before[len(content):])}", call
        self.put(name, content + before[len(content):])

    def rename(self, name, to, _):
        self.text, self.call = f"rename {name} {to}", lambda: os.rename(name, to)
        if self.after.names[name] != self.after.names.get(to):
            self.after.names[to] = self.after.names.pop(name)

    def link(self, name, to, _):
        self.text, self.call = f"link {name} {to}", lambda: os.link(name, to, follow_symlinks=False)
        self.after.names[to] = self.after.names[name]

    def unlink(self, name, *_):
        self.text, self.call = f"unlink {name}", lambda: os.unlink(name)
        del self.after.names[name]

    def symlink(self, name, _, dice):
        target = f"target {dice.random()}"
        self.text, self.call = f"symlink {name} {target}", lambda: os.symlink(target, name)
        self.after.names[name] = target
        self.after.files[target] = "-> " + target


def main(directory, seed, report):
    os.chdir(directory)
    dice = random.Random(seed)
    story, model, change = [], Model.of_directory(), None
    start = model.shown()
    with open(f"{report}.started", "w", encoding="utf-8"):
        pass
    try:
        while True:
            change = None
            change = Change(model, dice)
            if change.make():
                model = change.after
            story.append(change.text)
    except OSError as error:
        if error.errno not in GONE:
            story.append(f"FAILED {change and change.text}: {error}")
    after = change.after.shown() if change else model.shown()
    with open(report, "w", encoding="utf-8") as file:
        json.dump({"start": start, "before": model.shown(), "after": after, "story": story,
                   "last": change.text if change else None}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
