# SPDX-License-Identifier: Apache-2.0
"""What a server with change streams tells by itself: a mount believes what it knows, at no round trip, until then."""
import os
import pathlib
import random
import stat
import time

import pytest

from buckets import day
from dirstream import read_some
from hosts import chosen_seed
from mounting import Watched, names_in
from told import costs_nothing, pushed, pushing, size_of, soon, streams


# ---- what it saves ----

def test_stat_and_ls_of_what_does_not_change_cost_nothing(bucket, pushing, scale):
    count = scale(10_000)
    bucket.insert_names(f"d/{n:05}" for n in range(count))
    mnt = pushing("ro")
    directory = mnt.path / "d"

    def look():
        os.stat(directory / "00007")
        assert sum(entry.stat().st_nlink for entry in os.scandir(directory)) == count
    costs_nothing(mnt, look, after=1.1)      # the mode's second is over


def test_a_listing_that_is_dropped_while_it_is_read_goes_on_as_it_was(bucket, pushing):
    count, missing, early = 3000, 7, {"!", "0", "00"}
    bucket.insert_names(f"d/{n:05}" for n in range(count))
    mnt = pushing("ro")
    directory = mnt.path / "d"
    costs_nothing(mnt, lambda: os.listdir(directory))
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        names = read_some(descriptor)
        told = mnt.counters()["kernel_told"]
        for name in early:
            bucket.put(f"d/{name}", b"x")
        bucket.delete(bucket.files.find_one({"filename": f"d/{missing:05}"})["_id"])
        soon(lambda: mnt.counters()["kernel_told"] > told, "the first event")
        soon(lambda: {*early, f"{missing:05}"} & set(os.listdir(directory)) == early, "all changes")
        while more := read_some(descriptor):
            names += more
    finally:
        os.close(descriptor)
    assert sorted(names) == [".", "..", *(f"{n:05}" for n in range(count))]
    assert sorted(os.listdir(directory)) == sorted([*early, *(f"{n:05}" for n in range(count) if n != missing)])


def test_a_lookup_asks_for_spellings_only_when_somebody_made_one(bucket, pushing):
    bucket.put("f", b"1")
    bucket.put("g", b"2")
    mnt = pushing("ro")
    costs_nothing(mnt, lambda: os.stat(mnt.path / "f"), after=1.1)     # the mode's second is over
    with Watched(mnt) as spent:
        os.stat(mnt.path / "g")
    assert spent.round_trips == 1
    bucket.put("./h", b"3")
    soon(lambda: os.path.exists(mnt.path / "h"), "a file with another spelling of its name")


def test_an_open_is_asked_for_all_the_same(bucket, pushing):
    bucket.put("f", b"old")
    mnt = pushing("ro")
    costs_nothing(mnt, lambda: os.stat(mnt.path / "f"))
    with Watched(mnt) as spent:
        assert (mnt.path / "f").read_bytes() == b"old"
    assert spent.round_trips >= 1
    for round in range(20):     # however the event comes
        bucket.put("f", b"%d" % round)
        assert (mnt.path / "f").read_bytes() == b"%d" % round
        os.stat(mnt.path / "f")


# ---- what others do is seen ----

def test_what_an_application_does_is_seen_by_what_is_believed(bucket, pushing):
    bucket.put("d/f", b"old")
    bucket.put("d/other", b"")
    mnt = pushing("ro")
    directory = mnt.path / "d"

    def look():
        return size_of(directory / "f"), names_in(directory) if directory.exists() else None
    costs_nothing(mnt, look)
    assert look() == (3, ["f", "other"])
    bucket.put("d/f", b"newer")
    soon(lambda: look() == (5, ["f", "other"]), "a put")
    costs_nothing(mnt, look)
    bucket.put("d/e", b"")
    soon(lambda: look() == (5, ["e", "f", "other"]), "another name")
    costs_nothing(mnt, look)
    bucket.files.update_many({"filename": "d/f"}, {"$set": {"filename": "d/g"}})
    soon(lambda: look() == (None, ["e", "g", "other"]), "a rename")
    costs_nothing(mnt, lambda: (size_of(directory / "g"), names_in(directory)))
    for document in list(bucket.files.find({"filename": {"$in": ["d/g", "d/e"]}})):
        bucket.delete(document["_id"])
    soon(lambda: look() == (None, ["other"]), "deletions")
    costs_nothing(mnt, lambda: names_in(directory))
    bucket.delete(bucket.files.find_one({"filename": "d/other"})["_id"])
    soon(lambda: look() == (None, None) and names_in(mnt.path) == [], "the end of the directory")


def test_what_another_mount_does_is_seen_by_what_is_believed(bucket, pushing):
    mine, other = pushing(), pushing()
    (mine.path / "d").mkdir()
    (mine.path / "d/f").write_bytes(b"old")
    os.symlink("f", mine.path / "d/link")
    there = other.path / "d"

    def look():
        try:
            return names_in(there), size_of(there / "f"), os.stat(there / "f").st_mode & 0o777
        except FileNotFoundError:
            return None
    soon(lambda: look() == (["f", "link"], 3, 0o644), "what was made")
    costs_nothing(other, look)
    os.chmod(mine.path / "d/f", 0o600)
    soon(lambda: look() == (["f", "link"], 3, 0o600), "a chmod")
    (mine.path / "d/f").write_bytes(b"newer")
    soon(lambda: look() == (["f", "link"], 5, 0o600), "an overwrite")
    costs_nothing(other, lambda: (look(), os.lstat(there / "link")))
    os.unlink(mine.path / "d/link")
    soon(lambda: not os.path.lexists(there / "link") and look() == (["f"], 5, 0o600), "an unlink")
    (mine.path / "d").rename(mine.path / "e")
    soon(lambda: look() is None and names_in(other.path) == ["e"], "a rename of the directory")
    there = other.path / "e"
    soon(lambda: look() == (["f"], 5, 0o600), "its new name")
    costs_nothing(other, look)


def test_an_open_file_is_what_it_was_and_its_name_is_what_it_is(bucket, pushing):
    """As for `tail -F`, which looks at both."""
    bucket.put("f", b"old")
    mnt = pushing("ro")
    costs_nothing(mnt, lambda: os.stat(mnt.path / "f"))
    with open(mnt.path / "f", "rb", buffering=0) as file:
        for content in (b"newer", b"newest", b"later still"):
            told = mnt.counters()["kernel_told"]
            bucket.put("f", content)
            soon(lambda: size_of(mnt.path / "f") == len(content), "the new content, by name")
            if content == b"newer":
                soon(lambda: mnt.counters()["kernel_told"] > told, "the event")
            assert os.fstat(file.fileno()).st_size == 3
            assert os.pread(file.fileno(), 9, 0) == b"old"
    costs_nothing(mnt, lambda: os.stat(mnt.path / "f"))


class Crowd:
    """Applications and mounts that change few names at random, and look at them all the time."""

    NAMES = ["f", "g", "d/f", "d/g", "d/e/f", "e/f"]

    def __init__(self, bucket, mounts, seed):
        self.bucket, self.mounts, self.rng, self.number = bucket, mounts, random.Random(seed), 0

    def run(self, count):
        for self.number in range(count):
            name = self.rng.choice(self.NAMES)
            change = self.rng.choice([self.put, self.delete, self.rename, self.write, self.write, self.unlink, self.move])
            try:
                change(name)
            except OSError:     # what is not there, or is a directory, by the time
                pass
            for mnt in self.mounts:
                self.seen(mnt)
        return self

    def put(self, name):
        self.bucket.put(name, b"x" * self.number)

    def delete(self, name):
        for document in list(self.bucket.files.find({"filename": name})):
            self.bucket.delete(document["_id"])

    def rename(self, name):
        self.bucket.files.update_many({"filename": name}, {"$set": {"filename": self.rng.choice(self.NAMES)}})

    def write(self, name):
        path = self.rng.choice(self.mounts).path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"y" * self.number)

    def unlink(self, name):
        (self.rng.choice(self.mounts).path / name).unlink()

    def move(self, name):
        root = self.rng.choice(self.mounts).path
        (root / name).rename(root / self.rng.choice(self.NAMES))

    def seen(self, mnt):
        """{path: size, or None of a directory} by listings and stats."""
        found = {}
        for folder, directories, files in os.walk(mnt.path):
            for name in directories + files:
                path = pathlib.Path(folder) / name
                try:
                    status = path.lstat()
                except OSError:     # removed, or a stale directory above
                    continue
                found[str(path.relative_to(mnt.path))] = None if stat.S_ISDIR(status.st_mode) else status.st_size
        return found


def agree(bucket, mounts, fresh, seed, count):
    crowd = Crowd(bucket, mounts, seed).run(count)
    truth = crowd.seen(fresh())
    for mnt in mounts:
        soon(lambda: crowd.seen(mnt) == truth, f"seed {seed}: what is there")
        costs_nothing(mnt, lambda: crowd.seen(mnt))


def test_what_a_crowd_leaves_is_what_everybody_sees_soon(bucket, pushing, mount):
    agree(bucket, [pushing(), pushing()], lambda: mount("consistency=strict"), chosen_seed(), 100)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_what_a_large_crowd_leaves_is_what_everybody_sees_soon(bucket, pushing, mount):
    seed, mounts = chosen_seed(), [pushing() for _ in range(3)]
    for round in range(40):
        agree(bucket, mounts, lambda: mount("consistency=strict"), seed + round, 100)


def test_the_mounts_own_changes_do_not_cost_it_what_it_knows_elsewhere(bucket, pushing):
    bucket.insert_names((f"d/{n}" for n in range(100)), b"x")
    mnt = pushing()

    def look():
        assert len(names_in(mnt.path / "d")) == 100
        os.stat(mnt.path / "d/5")
    costs_nothing(mnt, look)
    (mnt.path / "f").write_bytes(b"1")
    (mnt.path / "f").write_bytes(b"22")
    os.unlink(mnt.path / "f")
    soon(lambda: mnt.counters()["changes_told"] >= 4, "its own changes, told")
    with Watched(mnt) as spent:
        look()
    assert spent.round_trips == 0


def test_the_time_of_a_rename_stays_what_it_was(pushing):
    mnt = pushing()
    (mnt.path / "f").write_bytes(b"x")
    time.sleep(0.01)
    os.rename(mnt.path / "f", mnt.path / "g")
    renamed = os.stat(mnt.path / "g").st_ctime_ns
    os.link(mnt.path / "g", mnt.path / "h")
    linked = os.stat(mnt.path / "g").st_ctime_ns
    assert renamed < linked
    time.sleep(1.1)     # it is asked again
    assert os.stat(mnt.path / "g").st_ctime_ns == linked


# ---- when the stream ends ----

def test_without_a_stream_nothing_is_believed_until_there_is_one_again(link, through, bucket, pushing):
    bucket.put("f", b"old")
    mnt = pushing("ro,timeout=20", uri=through)

    def look():
        return size_of(mnt.path / "f"), names_in(mnt.path)
    costs_nothing(mnt, look)
    link.cut()
    bucket.put("g", b"")
    bucket.put("f", b"newer")
    soon(lambda: look() == (5, ["f", "g"]), "what happened meanwhile")
    pushed(mnt)
    costs_nothing(mnt, look)
    bucket.put("h", b"")
    soon(lambda: look() == (5, ["f", "g", "h"]), "a put after that")


def test_a_dropped_bucket_is_seen(bucket, pushing):
    bucket.put("d/f", b"x")
    mnt = pushing("ro")
    costs_nothing(mnt, lambda: (names_in(mnt.path), os.stat(mnt.path / "d/f")))
    bucket.files.drop()
    soon(lambda: names_in(mnt.path) == [] and size_of(mnt.path / "d/f") is None, "the drop")
    bucket.put("e", b"x")
    soon(lambda: names_in(mnt.path) == ["e"], "a put after it")


def test_older_revisions_that_are_lifted_are_seen(bucket, pushing):
    older, _ = bucket.insert("f", b"one", uploadDate=day(1)), bucket.insert("f", b"three", uploadDate=day(2))
    mnt = pushing("ro")
    costs_nothing(mnt, lambda: os.stat(mnt.path / "f"))
    assert size_of(mnt.path / "f") == 5
    bucket.files.update_one({"_id": older}, {"$set": {"uploadDate": day(3)}})
    soon(lambda: size_of(mnt.path / "f") == 3, "the older content")


def test_other_modes_are_not_told(mount, bucket):
    bucket.put("f", b"x")
    for options in ("consistency=strict", "consistency=ttl:5", "consistency=immutable", "push=off"):
        assert mount(options=f"{options},push=on" if "push" not in options else options).status()["push"] == "none"


def test_the_stream_shows_that_it_lives(pushing):
    mnt = pushing()
    before = mnt.counters()["stream_answers"]
    soon(lambda: mnt.counters()["stream_answers"] >= before + 2, "an answer with nothing to tell")
