# SPDX-License-Identifier: Apache-2.0
"""Random operations of several hosts and an application, each begun when the one before has answered: what they answer
is what one local filesystem would. HOSTS_SEED repeats a run.

In the default mode a name that leads to a directory may be a second old: so there directories stay. In `strict` they
are removed and renamed too.
"""
import random

import pytest

from hosts import Application, Host, chosen_seed
from operations import NOREPLACE

FILES = ["a", "b", "d/a", "d/b", "e/a"]
DIRECTORIES = ["d", "e"]
STEPS_TOLD = 30


class World:
    """The reference: what is where, and what a call answers."""

    def __init__(self):
        self.files, self.directories = {}, set()

    def parent_is_there(self, path):
        return "/" not in path or path.split("/")[0] in self.directories

    def has_entries(self, directory):
        return any(path.startswith(directory + "/") for path in self.files)

    def put(self, path, data):
        if not self.parent_is_there(path):
            return "ENOENT"
        self.files[path] = data
        return None

    replace = put

    def append(self, path, data):
        return self.put(path, self.files.get(path, b"") + data)

    def create(self, path, data):
        if path in self.files:
            return "EEXIST"
        return self.put(path, data)

    def get(self, path):
        return self.files.get(path, "ENOENT")

    def unlink(self, path):
        return None if self.files.pop(path, None) is not None else "ENOENT"

    def rename(self, path, new_path, flags=0):
        if path not in self.files or not self.parent_is_there(new_path):
            return "ENOENT"
        if flags == NOREPLACE and new_path in self.files:
            return "EEXIST"
        self.files[new_path] = self.files.pop(path)
        return None

    def mkdir(self, path):
        if path in self.directories:
            return "EEXIST"
        self.directories.add(path)
        return None

    def rmdir(self, path):
        if path not in self.directories:
            return "ENOENT"
        if self.has_entries(path):
            return "ENOTEMPTY"
        self.directories.remove(path)
        return None

    def rename_directory(self, path, new_path):
        if path not in self.directories:
            return "ENOENT"
        if path == new_path:
            return None
        if new_path in self.directories and self.has_entries(new_path):
            return "ENOTEMPTY"
        self.directories = self.directories - {path} | {new_path}
        for name in [name for name in self.files if name.startswith(path + "/")]:
            self.files[new_path + name[len(path):]] = self.files.pop(name)
        return None

    def list(self, path):
        if path not in self.directories:
            return "ENOENT"
        return {name[len(path) + 1:] for name in self.files if name.startswith(path + "/")}

    def list_top(self):
        return {name for name in self.files if "/" not in name} | self.directories


def ask_host(host, name, *arguments):
    """The same, of a program on a mount."""
    calls = {
        "mkdir": lambda path: host("mkdir", path.encode(), 0o755),
        "rename": lambda path, new, flags=0: host("rename", path.encode(), new.encode(), flags),
        "rename_directory": lambda path, new: host("rename", path.encode(), new.encode(), 0),
        "list": lambda path: host("listdir", path.encode()),
        "list_top": lambda: host("listdir", b""),
    }
    call = calls.get(name, lambda path, *rest: host(name, path.encode(), *rest))
    how, value = call(*arguments)
    if how == "is" and name in ("list", "list_top"):
        return {entry.decode() for entry in value}
    return value


def ask_application(application, name, *arguments):
    """What GridFS has a notion of; directories are there with their files."""
    if name == "get":
        found = application.get(*arguments)
        return "ENOENT" if found is None else found
    if name == "list_files":
        return application.names()
    getattr(application, {"unlink": "remove"}.get(name, name))(*arguments)
    return None


class Ordered:
    def __init__(self, hosts, application, seed, directories_go):
        self.rng, self.seed, self.directories_go = random.Random(seed), seed, directories_go
        self.hosts, self.application, self.world = hosts, application, World()
        self.steps, self.number, self.wrong = [], 0, []

    def data(self):
        self.number += 1
        return b"%d " % self.number * self.rng.randint(1, self.rng.choice((3, 300, 90_000)))

    def choose(self):
        """A call of any kind, by a host."""
        path, other = self.rng.choice(FILES), self.rng.choice(FILES)
        directory, new = self.rng.choice(DIRECTORIES), self.rng.choice(DIRECTORIES)
        return self.rng.choices(*zip(
            (("put", path, self.data()), 6), (("append", path, self.data()[:300]), 3), (("get", path), 12),
            (("replace", path, self.data()), 3), (("create", path, self.data()), 3), (("unlink", path), 3),
            (("rename", path, other), 4 * (path != other)),
            (("rename", path, other, NOREPLACE), 2 * (path != other and path in self.world.files)),
            (("mkdir", directory), 3), (("rmdir", directory), 2 * self.directories_go),
            (("rename_directory", directory, new), self.directories_go), (("list", directory), 4), (("list_top",), 2)))[0]

    def choose_of_application(self):
        """One that leaves the directories as they are, which only mounts know."""
        name, *arguments = self.choose()
        usable = name in ("put", "append", "unlink", "get") and self.world.parent_is_there(arguments[0])
        if name == "rename" and len(arguments) == 2:
            usable = arguments[0] in self.world.files and self.world.parent_is_there(arguments[1])
        return (name, *arguments) if usable else None

    def step(self):
        if self.rng.random() < 0.25:
            who, ask, call = "application", ask_application, self.choose_of_application()
            subject = self.application
        else:
            number = self.rng.randrange(len(self.hosts))
            who, ask, call, subject = f"host {number}", ask_host, self.choose(), self.hosts[number]
        if not call:
            return
        expected = getattr(self.world, call[0])(*call[1:])
        if ask is ask_application and call[0] != "get":
            expected = None
        found = ask(subject, *call)
        self.steps.append(f"{who}: {[shown(argument) for argument in call]} -> {shown(found)}")
        if found != expected:
            self.wrong.append(f"{self.steps[-1]}, not {shown(expected)}")

    def run(self, count):
        for _ in range(count):
            self.step()
            if self.wrong:
                told = "\n  ".join(self.steps[-STEPS_TOLD:])
                raise AssertionError(f"HOSTS_SEED {self.seed}\n  {told}\nwrong: {self.wrong[0]}")
        self.compare()

    def compare(self):
        for host in self.hosts:
            assert ask_host(host, "list_top") == self.world.list_top()
            for path in FILES:
                assert ask_host(host, "get", path) == self.world.get(path), path
        assert self.application.names() == set(self.world.files)


def shown(value):
    return f"{value[:12]!r}…{len(value)}" if isinstance(value, bytes) and len(value) > 12 else value


@pytest.fixture
def run(mount, database):
    started = []

    def ordered(mode, count):
        started.extend(Host(mount(options=f"consistency={mode}").path) for _ in range(3))
        Ordered(started, Application(database), chosen_seed(), mode == "strict").run(count)
    yield ordered
    for host in started:
        host.end()


@pytest.mark.parametrize("mode", ["open", "strict"])
def test_ordered_operations_of_three_hosts_and_an_application(run, mode):
    run(mode, 400)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("mode", ["open", "strict"])
def test_twenty_four_thousand_ordered_operations(run, mode):
    run(mode, 24_000)
