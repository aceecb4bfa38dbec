# SPDX-License-Identifier: Apache-2.0
"""Listings: complete, each entry once, in one order, at a cost that the entries set."""
import os
import random
import subprocess
import threading

import pytest

from dirstream import DirStream
from mounting import Watched, names_in, tree


def sort_key(name, directories=()):
    """The promised order: bytewise, a directory as if its name ended in "/"."""
    return os.fsencode(name) + (b"/" if name in directories else b"")


# Complete

def test_ten_thousand_entries_are_each_listed_exactly_once(bucket, mount, scale):
    names = [f"file-{n:05}.bin" for n in range(scale(10_000))]
    bucket.insert_names(random.Random(1).sample(names, len(names)))
    mnt = mount()
    with Watched(mnt) as spent:
        listed = [entry.name for entry in os.scandir(mnt.path)]
    assert len(listed) == len(names)
    assert sorted(listed) == names
    assert spent.documents_fetched <= 2.2 * len(names) + 100


def test_a_walk_finds_every_file_of_a_nested_tree(bucket, mount, scale):
    rng = random.Random(2)
    parts = ["a", "a!", "a-b", "a.b", "b", "bb", "z"]
    names = {"/".join([*rng.choices(parts, k=rng.randint(0, 4)), f"f{n}"])
             for n in range(scale(3000))}
    bucket.insert_names(names)
    files = {path for path in tree(mount().path) if not path.endswith("/")}
    assert files == names


def test_directories_next_to_names_that_sort_around_the_slash_are_all_listed(bucket, mount):
    # "!" to "." sort before "/" and "0" after it: a skip over "a/" must lose none of them.
    files = ["a!", "a-", "a.", "a.txt", "a/1", "a/2/3", "a0", "aa", "b/x", "b"]
    for name in files:
        bucket.put(name)
    assert names_in(mount().path) == sorted(["a", "a!", "a-", "a.", "a.txt", "a0", "aa", "b"])


def test_the_order_is_bytewise_with_directories_as_if_they_ended_in_a_slash(bucket, mount):
    files = ["b", "a.txt", "a/x", "a!", "a0", "Z", "é", "日本", "a-/y", "a-z", ".h"]
    for name in files:
        bucket.put(name)
    root = mount().path
    directories = {"a", "a-"}
    expected = sorted({name.split("/")[0] for name in files},
                      key=lambda name: sort_key(name, directories))
    assert os.listdir(root) == expected
    assert os.listdir(root) == expected


def test_empty_directories_list_nothing_but_dot_and_dot_dot(bucket, mount):
    bucket.make_directory("empty")
    root = mount().path
    with DirStream(root / "empty") as stream:
        entries = {name: ino for name, ino, _ in iter(stream.read, None)}
    assert set(entries) == {".", ".."}
    assert entries["."] == (root / "empty").stat().st_ino


def test_an_empty_bucket_lists_nothing(bucket, mount):
    assert os.listdir(mount().path) == []


def test_types_and_inode_numbers_of_a_listing_are_those_of_stat(bucket, mount):
    bucket.put("file")
    bucket.put("directory/x")
    bucket.make_directory("made")
    bucket.make_symlink("link", "file")
    root = mount().path
    entries = list(os.scandir(root))
    assert len({entry.inode() for entry in entries}) == 4
    for entry in entries:
        stat = os.lstat(entry.path)
        assert entry.inode() == stat.st_ino, entry.name
        assert entry.is_dir(follow_symlinks=False) == (entry.name in ("directory", "made"))
        assert entry.is_symlink() == (entry.name == "link")


def test_inode_numbers_are_the_same_in_the_next_mount(bucket, mount):
    for name in ("a", "d/b", "d/c/e"):
        bucket.put(name)

    def numbers():
        mnt = mount()
        return {path: os.lstat(mnt.path / path).st_ino for path in tree(mnt.path)}
    assert numbers() == numbers()


# At once

def test_a_listing_shows_what_was_just_put_or_deleted(bucket, mount):
    bucket.put("d/keep")
    root = mount().path
    for number in range(10):
        files_id = bucket.put(f"d/f{number}")
        assert names_in(root / "d") == [f"f{number}", "keep"]
        bucket.delete(files_id)
        assert names_in(root / "d") == ["keep"]


def test_a_directory_goes_with_its_last_file(bucket, mount):
    files_id = bucket.put("d/f")
    root = mount().path
    assert names_in(root) == ["d"]
    bucket.delete(files_id)
    assert names_in(root) == []


# While names come and go

@pytest.mark.parametrize("every", [2, 3, 1000])
def test_a_listing_in_progress_shows_each_surviving_entry_once(bucket, mount, scale, every):
    names = [f"f{n:05}" for n in range(scale(5000))]
    bucket.insert_names(names)
    doomed = {name for n, name in enumerate(names) if n % every == 0}
    with DirStream(mount().path) as stream:
        seen = stream.names(limit=scale(1000))
        bucket.files.delete_many({"filename": {"$in": sorted(doomed)}})
        seen += stream.names()
    seen = [name for name in seen if name not in (".", "..")]
    assert len(seen) == len(set(seen)), "an entry came twice"
    assert set(names) - doomed <= set(seen) <= set(names)


def test_a_listing_in_progress_is_not_shifted_by_new_names(bucket, mount, scale):
    names = [f"f{n:05}" for n in range(scale(5000))]
    bucket.insert_names(names)
    with DirStream(mount().path) as stream:
        seen = stream.names(limit=scale(1000))
        bucket.insert_names([f"{name}-new" for name in names[::10]] + ["000", "zzz"])
        seen += stream.names()
    seen = [name for name in seen if name not in (".", "..")]
    assert len(seen) == len(set(seen)), "an entry came twice"
    assert set(names) <= set(seen)


def test_what_a_walk_deletes_does_not_hide_the_rest(bucket, mount, scale):
    """What `rm -r` does: read some, delete those, read on."""
    names = [f"f{n:05}" for n in range(scale(3000))]
    bucket.insert_names(names)
    seen = []
    with DirStream(mount().path) as stream:
        while some := stream.names(limit=scale(500)):
            bucket.files.delete_many({"filename": {"$in": some}})
            seen += some
    assert sorted(set(seen) - {".", ".."}) == names


def test_many_readers_list_one_directory_at_once(bucket, mount, scale):
    names = [f"f{n:05}" for n in range(scale(2000))]
    bucket.insert_names(names)
    root, results = mount().path, []
    threads = [threading.Thread(target=lambda: results.append(names_in(root))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [names] * 8


# seekdir

def positions_of(stream):
    """Every name with the position in front of it."""
    found = []
    while True:
        position = stream.tell()
        entry = stream.read()
        if entry is None:
            return found
        found.append((position, entry[0]))


def test_seekdir_goes_back_to_any_position(bucket, mount, scale):
    bucket.insert_names(f"f{n:05}" for n in range(scale(3000)))
    for name in ("d1/x", "d2/y", "f00100.d/z"):
        bucket.put(name)
    rng = random.Random(3)
    with DirStream(mount().path) as stream:
        positions = positions_of(stream)
        names = [name for _, name in positions]
        assert len(set(position for position, _ in positions)) == len(positions)
        for _ in range(100):
            at = rng.randrange(len(positions))
            stream.seek(positions[at][0])
            assert stream.names(limit=20) == names[at:at + 20]


def test_seekdir_after_deletions_loses_and_repeats_nothing(bucket, mount, scale):
    names = [f"f{n:05}" for n in range(scale(3000))]
    bucket.insert_names(names)
    with DirStream(mount().path) as stream:
        positions = positions_of(stream)
        doomed = set(names[::2])
        bucket.files.delete_many({"filename": {"$in": sorted(doomed)}})
        for at in range(2, len(positions), len(positions) // 20):
            stream.seek(positions[at][0])
            rest = stream.names()
            after = {name for _, name in positions[at:]}
            assert len(rest) == len(set(rest))
            assert after - doomed <= set(rest) <= after


def test_rewinddir_reads_the_directory_anew(bucket, mount):
    for name in ("a", "b", "c"):
        bucket.put(name)
    with DirStream(mount().path) as stream:
        assert sorted(stream.names()) == [".", "..", "a", "b", "c"]
        bucket.put("d")
        stream.rewind()
        assert sorted(stream.names()) == [".", "..", "a", "b", "c", "d"]


# What it costs

def test_listing_the_root_of_a_deep_bucket_costs_its_entries_not_its_files(bucket, mount, scale):
    count = scale(20_000)
    bucket.insert_names(f"d{n % 10}/s{n // 10 % 30:02}/f{n:06}" for n in range(count))
    mnt = mount()
    with Watched(mnt) as spent:
        subprocess.run(["ls", mnt.path], check=True, capture_output=True)
    # Where round trips take long, a page of 2,000 names is cheaper than a step for each.
    assert spent.round_trips <= 40 and spent.documents_fetched <= (1000 if count > 2000 else count), spent.counts
    assert names_in(mnt.path) == [f"d{n}" for n in range(10)]
    assert len(names_in(mnt.path / "d3")) == 30
    assert len(names_in(mnt.path / "d3/s00")) == len(range(3, count, 300))


def test_a_long_listing_asks_nothing_per_entry(bucket, mount):
    bucket.insert_names((f"f{n:04}" for n in range(1000)), b"content")
    mnt = mount()
    with Watched(mnt) as spent:
        assert sum(entry.stat().st_size for entry in os.scandir(mnt.path)) == 7000
    # A part that took a busy server very long is asked for once more, since it may have been cut.
    assert spent.round_trips <= 20 and spent.documents_fetched <= 2400, spent.counts


def test_names_of_attributes_of_file_after_file_come_in_batches(bucket, mount):
    """As `ls -l` of newer coreutils asks for them."""
    bucket.insert_names((f"f{n:04}" for n in range(1000)), b"content")
    mnt = mount()
    with Watched(mnt) as spent:
        listed = subprocess.run(["ls", "-l", mnt.path], check=True, capture_output=True, text=True)
    assert len(listed.stdout.splitlines()) == 1001
    assert spent.round_trips <= 60 and spent.documents_fetched <= 2400, spent.counts
    with Watched(mnt) as spent:
        assert all("user.gridfs.id" in os.listxattr(entry.path) for entry in os.scandir(mnt.path))
    assert spent.round_trips <= 60, spent.counts


def test_stat_after_a_listing_asks_nothing(bucket, mount):
    bucket.insert_names(f"f{n:03}" for n in range(100))
    mnt = mount()
    names = names_in(mnt.path)
    with Watched(mnt) as spent:
        for name in names:
            os.stat(mnt.path / name)
    assert spent.round_trips <= 2, spent.counts


def test_many_revisions_of_one_name_are_one_entry(bucket, mount, scale):
    bucket.insert_names(["busy"] * scale(3000))
    bucket.put("before")
    bucket.put("zlast")
    root = mount().path
    assert os.listdir(root) == ["before", "busy", "zlast"]


def test_a_flat_directory_does_not_grow_the_daemon_with_its_listings(bucket, mount, scale):
    bucket.insert_names(f"f{n:06}" for n in range(scale(3000)))
    mnt = mount()
    len(os.listdir(mnt.path))
    before = mnt.resident_bytes()
    for _ in range(5):
        len(os.listdir(mnt.path))
    assert mnt.resident_bytes() - before < 16 << 20


def test_a_renamed_directory_is_not_seen_by_what_is_where_it_was(bucket, mount):
    bucket.put("e/f", b"x")
    root = mount(options="consistency=strict").path
    assert os.listdir(root / "e") == ["f"]
    os.rename(root / "e", root / "d")
    bucket.files.update_many({"filename": "d/f"}, {"$set": {"filename": "e/f"}})    # by somebody else, back
    bucket.database["fs.gridmount.nodes"].delete_many({"_id": "d"})
    assert os.listdir(root) == ["e"]
    assert not os.path.exists(root / "d")
    os.mkdir(root / "d")
    assert sorted(os.listdir(root)) == ["d", "e"]
