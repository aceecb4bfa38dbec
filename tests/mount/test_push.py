# SPDX-License-Identifier: Apache-2.0
"""What a server with change streams tells by itself: a mount believes what it knows, at no round trip, until then."""
import os
import pathlib
import random
import stat
import subprocess
import time

import pytest

from buckets import day
from dirstream import read_some
from hosts import chosen_seed
from mounting import Watched, names_in, tells_changes, wait_for

SOON = 30       # seconds for what takes milliseconds


@pytest.fixture(autouse=True)
def streams(client):
    """Skips where the server cannot tell."""
    if not tells_changes(client):
        pytest.skip("the server has no change streams: nothing is pushed")


def pushed(mnt):
    wait_for(lambda: mnt.status()["push"] == "healthy", SOON, "the stream")
    return mnt


@pytest.fixture
def pushing(mount):
    """pushing(options, …): a mount that is told of changes."""
    return lambda options="", **settings: pushed(mount(",".join(filter(None, [options, "push=on"])), **settings))


def soon(condition, what):
    return wait_for(condition, SOON, what)


def costs_nothing(mnt, look, after=0.0):
    """`look` asks the server for nothing, again and again, also `after` so many seconds: once in a while the mount asks
    something of its own accord, or on a busy machine the stream is late."""

    def free():
        with Watched(mnt) as spent:
            look()
            look()
        return spent.round_trips == 0
    soon(free, "a look that costs nothing")
    if after:
        soon(lambda: time.sleep(after) or free(), "a look after a while that costs nothing")


def size_of(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None


# ---- what it saves ----

def test_stat_and_ls_of_what_does_not_change_cost_nothing(bucket, pushing, scale):
    count = scale(10_000)
    bucket.insert_names(f"d/{n:05}" for n in range(count))
    mnt = pushing("ro")
    directory = mnt.path / "d"

    def look():
        os.stat(directory / "00007")
        done = subprocess.run(["ls", "-l", directory], check=True, capture_output=True)
        assert done.stdout.count(b" 1 ") >= count
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


def test_a_name_that_is_not_there_costs_nothing_until_it_comes(bucket, pushing):
    bucket.put("d/f", b"")
    mnt = pushing("ro")
    costs_nothing(mnt, lambda: [size_of(mnt.path / name) for name in ("a", "b", "c", "new", "d/g")])
    bucket.put("/a", b"1")
    bucket.put("./b", b"1")
    bucket.put("new/directory/f", b"1")
    bucket.put("d/g", b"1")
    for name in ("a", "b", "new/directory/f", "d/g"):
        soon(lambda name=name: size_of(mnt.path / name) == 1, name)
    assert size_of(mnt.path / "c") is None
    bucket.delete(bucket.files.find_one({"filename": "d/g"})["_id"])
    soon(lambda: size_of(mnt.path / "d/g") is None, "a deletion")
    costs_nothing(mnt, lambda: size_of(mnt.path / "d/g"))
    bucket.put("d/g", b"22")
    soon(lambda: size_of(mnt.path / "d/g") == 2, "the name again")


def test_a_name_that_a_listing_lacks_is_not_asked_for(bucket, pushing):
    bucket.insert_names(f"d/{n}" for n in range(20))
    mnt = pushing("ro")
    costs_nothing(mnt, lambda: os.listdir(mnt.path / "d"))
    with Watched(mnt) as spent:
        assert size_of(mnt.path / "d/.gitignore") is None
    assert spent.round_trips == 0
    bucket.put("d/.gitignore", b"1")
    soon(lambda: size_of(mnt.path / "d/.gitignore") == 1, "the name")


def test_a_copy_asks_once_for_its_name_before_it_claims_it(bucket, pushing, tmp_path):
    """cp asks whether the name is there, and the kernel does once more before it creates it, under the directory's lock."""
    count, each = 40, 4     # the look, a claim and what it looks at, the put
    source = tmp_path / "source"
    source.mkdir()
    for number in range(count):
        (source / f"{number}").write_bytes(b"x")
    mnt = pushing()
    (mnt.path / "d").mkdir()
    with Watched(mnt) as spent:
        subprocess.run(["cp", "-t", mnt.path / "d", *source.iterdir()], check=True)
    assert spent.round_trips < (each + 1) * count   # claims are kept alive, and directories get their times


def test_what_others_put_at_a_missing_name_is_not_lost_to_who_creates_it(bucket, pushing):
    mnt = pushing()
    for round in range(30):     # whether the event has come or not
        path = mnt.path / f"{round}"
        assert size_of(path) is None and size_of(path) is None
        bucket.put(path.name, b"theirs")
        if round % 3 == 0:
            with open(path, "ab") as file:
                file.write(b", mine")
            assert path.read_bytes() == b"theirs, mine"
        elif round % 3 == 1:
            with pytest.raises(FileExistsError):
                open(path, "xb")
        else:
            with pytest.raises(FileExistsError):
                path.mkdir()


def test_what_is_in_the_way_is_there_at_once(bucket, pushing):
    """Also where a listing that is believed lacks it: else makedirs() would fail where two do it at once."""
    mnt = pushing()
    os.mkdir(mnt.path / "d")
    for round in range(10):
        directory, file = mnt.path / f"d/{round}", mnt.path / f"d/{round}.log"
        soon(lambda: {str(round), f"{round}.log"}.isdisjoint(os.listdir(mnt.path / "d")), "a listing")
        assert size_of(directory) is None and size_of(file) is None
        bucket.insert_names([f"d/{round}/f", f"d/{round}.log"])
        os.makedirs(directory, exist_ok=True)
        with open(file, "ab") as appended:
            appended.write(b"x")


def test_a_directory_comes_by_a_name_that_is_no_path(bucket, pushing):
    mnt = pushing("ro")
    costs_nothing(mnt, lambda: (os.listdir(mnt.path), size_of(mnt.path / "d")))
    bucket.put("d//f", b"")
    soon(lambda: (mnt.path / "d").is_dir(), "the directory")
    soon(lambda: os.listdir(mnt.path) == ["d"], "its name")


def test_a_hard_link_whose_file_comes_back_is_there_again(bucket, pushing, mount):
    """No event names the link then."""
    other, mnt = mount(), pushing("ro")
    (other.path / "d").mkdir()
    (other.path / "f").write_bytes(b"1")
    os.link(other.path / "f", other.path / "d/link")
    for round in range(3):
        soon(lambda: os.listdir(mnt.path / "d") == ["link"], "the link")
        bucket.files.update_one({"filename": "f"}, {"$set": {"filename": "away"}})
        soon(lambda: size_of(mnt.path / "d/link") is None and os.listdir(mnt.path / "d") == [], "no link")
        bucket.files.update_one({"filename": "away"}, {"$set": {"filename": "f"}})
        soon(lambda: size_of(mnt.path / "d/link") == 1, "the link again")


def test_what_is_made_or_renamed_to_a_missing_name_is_there_at_once(bucket, pushing):
    bucket.put("d/f", b"1")
    mnt = pushing()
    (mnt.path / "e").mkdir()
    names = [mnt.path / name for name in ("made", "link", "directory", "e/f", "moved")]
    for path in names:
        assert size_of(path) is None and size_of(path) is None
    (mnt.path / "made").write_bytes(b"1")
    (mnt.path / "link").symlink_to("made")
    (mnt.path / "directory").mkdir()
    os.rename(mnt.path / "d", mnt.path / "e")
    os.rename(mnt.path / "e/f", mnt.path / "moved")
    assert [size_of(path) is not None for path in names] == [True, True, True, False, True]
    for path in (mnt.path / "d", mnt.path / "d/f", mnt.path / "e/f"):
        assert size_of(path) is None


def test_what_another_mount_makes_at_a_missing_name_is_seen(bucket, pushing, mount):
    bucket.put("from/g/f", b"1")
    mnt, other = pushing(), mount()
    names = ["made/g", "to/g/f", "link", "hard"]
    costs_nothing(mnt, lambda: [size_of(mnt.path / name) for name in names] + [mnt.path.joinpath("made").exists()])
    (other.path / "made/g").mkdir(parents=True)
    (other.path / "link").symlink_to("from/g/f")
    os.link(other.path / "from/g/f", other.path / "hard")
    os.rename(other.path / "from", other.path / "to")
    for name in names[:2] + ["hard"]:
        soon(lambda name=name: size_of(mnt.path / name) is not None, name)
    soon(lambda: (mnt.path / "link").is_symlink(), "link")


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
