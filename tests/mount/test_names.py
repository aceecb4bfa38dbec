# SPDX-License-Identifier: Apache-2.0
"""How GridFS filenames become paths: DESIGN.md §3, "Names"."""
import itertools
import os

import pytest
from bson import ObjectId

from buckets import ABSENT, day, encoded_id
from mounting import Watched, names_in, tree, wait_for

SPELLINGS = ("{}", "/{}", "./{}")


# Directories and spellings

def test_a_slash_in_a_filename_makes_directories(bucket, mount):
    bucket.put("a/b/c.txt", b"deep")
    bucket.put("a/d.txt", b"flat")
    bucket.put("e.txt", b"root")
    root = mount().path
    assert tree(root) == ["a/", "a/b/", "a/b/c.txt", "a/d.txt", "e.txt"]
    assert (root / "a/b/c.txt").read_bytes() == b"deep"
    assert (root / "a/b").is_dir() and (root / "e.txt").is_file()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_leading_slash_or_dot_slash_counts_as_absent(bucket, mount, spelling):
    bucket.put(spelling.format("a/b.txt"), b"content")
    bucket.put(spelling.format("c.txt"), b"more")
    root = mount().path
    assert tree(root) == ["a/", "a/b.txt", "c.txt"]
    assert (root / "a/b.txt").read_bytes() == b"content"
    assert (root / "c.txt").read_bytes() == b"more"


@pytest.mark.parametrize("order", list(itertools.permutations(SPELLINGS)))
def test_the_newest_revision_wins_across_spellings(bucket, mount, order):
    for number, spelling in enumerate(order, 1):
        bucket.insert(spelling.format("d/x"), b"r%d" % number, uploadDate=day(number))
    mnt = mount()
    assert (mnt.path / "d/x").read_bytes() == b"r3"
    assert tree(mnt.path) == ["d/", "d/x"]
    assert (mnt.path / "d/x").stat().st_mtime == day(3).timestamp()


def test_a_listing_merges_the_spellings_of_a_directory(bucket, mount):
    for spelling, name in zip(SPELLINGS, "bca", strict=True):
        bucket.put(spelling.format(f"d/{name}"))
        bucket.put(spelling.format(f"d/same/{name}"))
        bucket.put(spelling.format(f"root-{name}"))
    root = mount().path
    assert names_in(root / "d") == ["a", "b", "c", "same"]
    assert names_in(root / "d/same") == ["a", "b", "c"]
    assert names_in(root) == ["d", "root-a", "root-b", "root-c"]


# Revisions

def test_the_newest_revision_is_the_one_with_the_latest_upload_date(bucket, mount):
    bucket.insert("f", b"newest", uploadDate=day(3))
    bucket.insert("f", b"oldest", uploadDate=day(1))
    bucket.insert("f", b"middle", uploadDate=day(2))
    root = mount().path
    assert (root / "f").read_bytes() == b"newest"
    assert names_in(root) == ["f"]


@pytest.mark.parametrize("ids", [(1, 2), ("a", "b"), (ObjectId(b"0" * 12), ObjectId(b"1" * 12))],
                         ids=["int", "str", "ObjectId"])
@pytest.mark.parametrize("backwards", [False, True], ids=["ascending", "descending"])
def test_equal_upload_dates_are_decided_by_the_id(bucket, mount, ids, backwards):
    revisions = [(ids[0], b"lower"), (ids[1], b"higher")]
    for files_id, data in reversed(revisions) if backwards else revisions:
        bucket.insert("f", data, _id=files_id, uploadDate=day(1))
    root = mount().path
    assert names_in(root) == ["f"]
    assert (root / "f").read_bytes() == b"higher"


def test_older_revisions_are_readable_by_their_id(bucket, mount):
    old = bucket.insert("f", b"old", uploadDate=day(1))
    bucket.insert("f", b"new", uploadDate=day(2))
    mnt = mount()
    assert (mnt.path / "f").read_bytes() == b"new"
    assert mnt.by_id(encoded_id(old)).read_bytes() == b"old"


# What a path cannot hold

UNREPRESENTABLE = {
    "no filename": ABSENT,
    "null": None,
    "a number": 5,
    "an array": ["a", "b"],
    "a document": {"a": "b"},
    "empty": "",
    "dot": ".",
    "dot dot": "..",
    "slash": "/",
    "dot dot first": "../etc/passwd",
    "dot dot within": "a/../b",
    "dot dot last": "a/..",
    "dot within": "a/./b",
    "double slash first": "//a",
    "double slash within": "a//b",
    "double slash after dot": ".//a",
    "trailing slash": "a/",
    "NUL": "a\0b",
    "256 bytes": "x" * 256,
    "256 bytes, fewer characters": "é" * 128,
    "256 bytes in a directory": "x" * 256 + "/a",
    ".gridfs": ".gridfs",
    "/.gridfs": "/.gridfs",
    "below .gridfs": ".gridfs/status",
}


@pytest.mark.parametrize("filename", UNREPRESENTABLE.values(), ids=UNREPRESENTABLE)
def test_a_name_that_no_path_can_hold_is_counted_and_readable_by_id(bucket, mount, filename):
    bucket.put("good", b"good")
    files_id = bucket.insert(filename, b"not lost")
    mnt = mount()
    assert [name for name in tree(mnt.path) if name != "a/"] == ["good"]
    assert (mnt.path / "good").read_bytes() == b"good"
    assert mnt.by_id(encoded_id(files_id)).read_bytes() == b"not lost"
    wait_for(lambda: mnt.counters()["unrepresentable_names"] >= 1, what="the count")


def test_listing_again_does_not_count_an_unrepresentable_name_again(bucket, mount):
    bucket.insert("a//b")
    bucket.insert(None)
    mnt = mount()
    tree(mnt.path)
    wait_for(lambda: mnt.counters()["unrepresentable_names"] == 2, what="the count")
    for _ in range(3):
        tree(mnt.path)
    assert mnt.counters()["unrepresentable_names"] == 2


def test_names_of_255_bytes_are_files(bucket, mount):
    names = ["x" * 255, "é" * 127, "d/" + "y" * 255]
    for name in names:
        bucket.put(name, name.encode())
    root = mount().path
    for name in names:
        assert (root / name).read_bytes() == name.encode()


def test_a_path_longer_than_4096_bytes_is_reachable_step_by_step(bucket, mount):
    parts = ["p" * 250] * 20
    bucket.put("/".join(parts), b"far")
    folder = os.open(mount().path, os.O_RDONLY)
    for part in parts[:-1]:
        assert os.listdir(folder) == [part]
        inner = os.open(part, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    leaf = os.open(parts[-1], os.O_RDONLY, dir_fd=folder)
    assert os.read(leaf, 10) == b"far"
    os.close(leaf)
    os.close(folder)


@pytest.mark.parametrize("between", [[], ["a.txt"], ["a!", "a-", "a.d/x", "a.txt"]],
                         ids=["adjacent", "one between", "many between"])
def test_a_file_with_the_name_of_a_directory_is_shadowed_by_it(bucket, mount, between):
    shadowed = bucket.put("a", b"shadowed")
    bucket.put("a/b", b"inside")
    for name in between:
        bucket.put(name)
    mnt = mount()
    listed = [entry.name for entry in os.scandir(mnt.path)]
    assert sorted(listed) == sorted({"a"} | {name.split("/")[0] for name in between})
    assert (mnt.path / "a").is_dir()
    assert (mnt.path / "a/b").read_bytes() == b"inside"
    with pytest.raises(IsADirectoryError):
        (mnt.path / "a").read_bytes()
    assert mnt.by_id(encoded_id(shadowed)).read_bytes() == b"shadowed"
    wait_for(lambda: mnt.counters()["unrepresentable_names"] >= 1, what="the count")


def test_what_a_big_directory_cannot_show_is_counted(bucket, mount, scale):
    """Servers that do not seek group such a directory: no document but these few is read."""
    bucket.insert_names(f"d{n % 10}/f{n:06}" for n in range(scale(20_000)))
    ids = [bucket.insert("d3", b"shadowed"), bucket.insert("d4\0x", b"NUL"),
           bucket.insert("d5\0/x", b"NUL before the slash")]
    mnt = mount()
    assert names_in(mnt.path) == [f"d{n}" for n in range(10)]
    wait_for(lambda: mnt.counters()["unrepresentable_names"] == 3, what="the count")
    assert [mnt.by_id(encoded_id(files_id)).read_bytes() for files_id in ids] == \
        [b"shadowed", b"NUL", b"NUL before the slash"]
    assert len(names_in(mnt.path / "d3")) == len(range(3, scale(20_000), 10))


def test_a_file_with_the_name_of_a_made_directory_is_shadowed_by_it(bucket, mount):
    shadowed = bucket.put("a", b"shadowed")
    bucket.make_directory("a")
    mnt = mount()
    assert names_in(mnt.path) == ["a"] and (mnt.path / "a").is_dir()
    assert mnt.by_id(encoded_id(shadowed)).read_bytes() == b"shadowed"


def test_ordinary_but_odd_names_are_files(bucket, mount):
    names = ["...", "..a", " ", "a b", "-rf", "*", "$where", "a.b", "é", "日本", "\n", "\\",
             "a\tb", "%2F", "~", "con", "a:b", "\u202e", "😀", "'\"", ".hidden", "x.gridfs",
             "sub/.gridfs-not"]
    for name in names:
        bucket.put(name, name.encode())
    root = mount().path
    assert tree(root) == sorted([*names, "sub/"])
    for name in names:
        assert (root / name).read_bytes() == name.encode()


# Bytes that are not UTF-8

@pytest.mark.parametrize("stored, name", [
    ("a\uefffb", b"a\xffb"),
    ("\uef80", b"\x80"),
    ("caf\uefe9", b"caf\xe9"),
    ("\uefc3", b"\xc3"),
    ("\uefee\uefbe\uef80", "\uef80".encode()),
    ("x\uefee\uefbf\uefbfy", "x\uefffy".encode()),
    ("d\uefff/f\uef80", b"d\xff/f\x80"),
    ("\uef7f", "\uef7f".encode()),
    ("\uf000", "\uf000".encode()),
])
def test_bytes_that_are_not_utf8_have_one_reversible_escape(bucket, mount, stored, name):
    bucket.put(stored, b"content")
    root = os.fsencode(mount().path)
    assert os.listdir(root) == [name.split(b"/")[0]]
    with open(os.path.join(root, name), "rb") as file:
        assert file.read() == b"content"


@pytest.mark.parametrize("stored", ["\uefc3\uefa9", "a\uefe2\uef82\uefac", "d\uefc3\uefa9/x"])
def test_an_escape_of_what_needs_none_is_unrepresentable(bucket, mount, stored):
    files_id = bucket.put(stored, b"content")
    mnt = mount()
    assert tree(mnt.path) == []
    assert mnt.by_id(encoded_id(files_id)).read_bytes() == b"content"
    wait_for(lambda: mnt.counters()["unrepresentable_names"] >= 1, what="the count")
    with pytest.raises(FileNotFoundError):
        (mnt.path / "é").stat()


# Looking up

def test_a_missing_name_appears_as_soon_as_it_is_put(bucket, mount):
    root = mount().path
    for number in range(20):
        path = root / f"f{number}"
        assert not path.exists()
        bucket.put(path.name, b"%d" % number)
        assert path.read_bytes() == b"%d" % number


def test_looking_at_one_name_does_not_read_its_directory(bucket, mount, scale):
    bucket.insert_names(f"d/{n:05}" for n in range(scale(10_000)))
    bucket.put("d/wanted", b"x")
    mnt = mount()
    with Watched(mnt) as spent:
        assert (mnt.path / "d/wanted").read_bytes() == b"x"
    # 8, and what is believed for a second is asked again where a server takes that long.
    assert spent.documents_fetched <= 30 and spent.round_trips <= 16
