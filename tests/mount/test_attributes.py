# SPDX-License-Identifier: Apache-2.0
"""Made directories, symlinks and other nodes; mode, owner and times: DESIGN.md §3."""
import os
import time

import pytest
from bson import Int64, ObjectId

from buckets import day
from mounting import mount_table, names_in, tree


# Made directories, links and other nodes

def test_made_directories_exist_without_files(bucket, mount):
    bucket.nodes.insert_one({"_id": "", "format": 1})
    bucket.make_directory("made", mode=0o750, uid=1234, gid=2345)
    bucket.make_directory("made/inner")
    bucket.put("other/file")
    root = mount().path
    assert tree(root) == ["made/", "made/inner/", "other/", "other/file"]
    stat = (root / "made").stat()
    assert (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == (0o750, 1234, 2345)
    assert names_in(root / "made/inner") == []


def test_a_made_directory_implies_its_parents(bucket, mount):
    bucket.make_directory("a/b/c")
    assert tree(mount().path) == ["a/", "a/b/", "a/b/c/"]


def test_a_made_directory_keeps_its_mode_when_it_has_files(bucket, mount):
    bucket.make_directory("d", mode=0o700)
    bucket.put("d/f")
    root = mount().path
    assert tree(root) == ["d/", "d/f"]
    assert (root / "d").stat().st_mode & 0o7777 == 0o700


def test_symlinks_are_read_back_as_stored(bucket, mount):
    bucket.put("a/x.txt", b"target")
    bucket.make_symlink("a/link", "x.txt")
    bucket.make_symlink("broken", "/no/such/place")
    root = mount().path
    assert os.readlink(root / "a/link") == "x.txt"
    assert (root / "a/link").read_bytes() == b"target"
    assert os.readlink(root / "broken") == "/no/such/place"
    assert names_in(root) == ["a", "broken"] and names_in(root / "a") == ["link", "x.txt"]
    assert os.lstat(root / "broken").st_size == len("/no/such/place")


@pytest.mark.parametrize("kind, is_kind", [("fifo", "is_fifo"), ("socket", "is_socket")])
def test_other_kinds_of_nodes_show_as_what_they_are(bucket, mount, kind, is_kind):
    bucket.nodes.insert_one({"_id": "d/node", "kind": kind, "mode": 0o600, "uid": 0, "gid": 0})
    root = mount().path
    assert names_in(root / "d") == ["node"]
    assert getattr(root / "d/node", is_kind)()


@pytest.mark.parametrize("node", [
    {"_id": "bad"}, {"_id": "bad", "kind": "unknown"}, {"_id": "bad", "kind": 5},
    {"_id": "../bad", "kind": "directory"}, {"_id": "bad//x", "kind": "directory"},
    {"_id": 5, "kind": "directory"}, {"_id": "bad", "kind": "symlink"},
    {"_id": "bad", "kind": "symlink", "target": 5}, {"_id": "bad", "kind": "symlink", "target": ""},
    {"_id": ".gridfs/id", "kind": "directory"}, {"_id": {"a": 1}, "kind": "directory"},
    {"_id": "good", "kind": "directory", "mode": "rwx", "uid": -1, "gid": 2.5},
    {"_id": "good", "kind": "directory", "mode": None},
], ids=str)
def test_a_node_that_makes_no_sense_harms_nothing(bucket, mount, node):
    bucket.nodes.insert_one(node)
    bucket.put("file", b"fine")
    root = mount().path
    assert set(names_in(root)) - {"bad", "good"} == {"file"}
    for entry in os.scandir(root):
        entry.stat(follow_symlinks=False)
    assert (root / "file").read_bytes() == b"fine"


# What metadata.posix says

def posix(files_id, **fields):
    return {"_id": files_id, "metadata": {"posix": {"rev": files_id} | fields}}


def test_mode_owner_and_time_come_from_metadata(bucket, mount):
    written = 1_234_567_890_123_456_789
    bucket.insert("f", b"x", **posix(ObjectId(), mode=0o640, uid=1234, gid=2345,
                                     mtime_ns=Int64(written)))
    stat = (mount().path / "f").stat()
    assert (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == (0o640, 1234, 2345)
    assert stat.st_mtime_ns == written


def test_times_of_another_revision_do_not_count_but_mode_and_owner_do(bucket, mount):
    fields = posix(ObjectId(), mode=0o600, uid=7, gid=8, mtime_ns=Int64(10**18))
    bucket.insert("f", b"x", uploadDate=day(5), **(fields | {"_id": ObjectId()}))
    stat = (mount().path / "f").stat()
    assert (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == (0o600, 7, 8)
    assert stat.st_mtime == day(5).timestamp()


def test_setuid_setgid_and_sticky_are_shown_but_not_honoured(bucket, mount):
    bucket.insert("f", b"x", **posix(ObjectId(), mode=0o6755))
    bucket.make_directory("d", mode=0o3755)
    root = mount().path
    assert (root / "f").stat().st_mode & 0o7777 == 0o6755
    assert (root / "d").stat().st_mode & 0o7777 == 0o3755
    flags = mount_table(root)[0].split()[3]
    assert {"nosuid", "nodev"} <= set(flags.split(","))


def test_files_without_metadata_get_the_owner_and_mask_of_the_options(bucket, mount):
    bucket.put("d/f", b"x")
    root = mount(options="uid=1234,gid=2345,umask=027").path
    for path, mode in ((root / "d/f", 0o640), (root / "d", 0o750), (root, 0o750)):
        stat = path.stat()
        assert (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == (mode, 1234, 2345)


def test_sizes_and_times_are_those_of_the_files_document(bucket, mount):
    bucket.insert("f", b"x" * 1000, uploadDate=day(3))
    bucket.insert("d/g", b"", uploadDate=day(4))
    root = mount().path
    stat = (root / "f").stat()
    assert (stat.st_size, stat.st_mtime, stat.st_nlink) == (1000, day(3).timestamp(), 1)
    assert stat.st_mode & 0o7777 == 0o644


def test_a_directory_that_exists_by_its_files_shows_one_steady_time(bucket, mount):
    """The newest below it would cost reading all that lies below: it shows when it was mounted."""
    bucket.insert("d/g", b"", uploadDate=day(4))
    before = time.time()
    root = mount().path
    first = (root / "d").stat().st_mtime
    bucket.insert("d/h", b"", uploadDate=day(5))
    assert first == {entry.name: entry for entry in os.scandir(root)}["d"].stat().st_mtime == root.stat().st_mtime
    assert int(before) <= first <= time.time()
