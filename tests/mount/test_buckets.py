# SPDX-License-Identifier: Apache-2.0
"""Which bucket is mounted, and what is said about its indexes."""
from buckets import Bucket
from mounting import names_in, tree, wait_for


def test_another_bucket_can_be_chosen(database, mount):
    Bucket(database).put("in fs")
    Bucket(database, "photos").put("in photos", b"picture")
    root = mount(bucket="photos").path
    assert names_in(root) == ["in photos"]
    assert (root / "in photos").read_bytes() == b"picture"


def test_all_buckets_are_top_directories(database, mount):
    for name in ("fs", "photos", "a.b"):
        Bucket(database, name).put(f"d/{name}.txt", name.encode())
    Bucket(database, "fs").make_directory("empty")
    root = mount(bucket="*").path
    assert names_in(root) == ["a.b", "fs", "photos"]
    for name in ("fs", "photos", "a.b"):
        assert (root / name / "d" / f"{name}.txt").read_bytes() == name.encode()
    Bucket(database, "later").put("x", b"new")
    assert "later" in names_in(root)
    assert (root / "later/x").read_bytes() == b"new"


def test_with_all_buckets_each_has_its_own_ids(database, mount):
    for name in ("fs", "photos"):
        Bucket(database, name).insert(None, name.encode(), _id="same")
    mnt = mount(bucket="*")
    assert mnt.status()["bucket"] == "*"
    for name in ("fs", "photos"):
        assert names_in(mnt.path / name) == []
        assert (mnt.path / name / ".gridfs/id/%22same%22").read_bytes() == name.encode()


def test_a_bucket_that_does_not_exist_yet_is_an_empty_root(database, mount):
    root = mount(bucket="future").path
    assert names_in(root) == []
    assert database.list_collection_names() == []
    Bucket(database, "future").put("first", b"here")
    assert names_in(root) == ["first"]
    assert (root / "first").read_bytes() == b"here"


WATCHED = "log_level=debug"     # the mount serves before it has looked at the indexes, and says when it has


def index_warnings(mnt, buckets=1):
    wait_for(lambda: mnt.log().count("were looked at") == buckets, what="a look at the indexes")
    return mnt.log().count("mount once with -o create_indexes")


def test_a_bucket_without_indexes_is_mounted_with_a_warning(database, mount):
    bucket = Bucket(database, indexes=False)
    bucket.insert("f", b"x")
    mnt = mount(options=WATCHED)
    assert (mnt.path / "f").read_bytes() == b"x"
    assert index_warnings(mnt) == 2, "one for each collection"
    assert [index["key"] for index in bucket.files.list_indexes()] == [{"_id": 1}]


def test_a_bucket_with_indexes_gets_no_warning(bucket, mount):
    bucket.put("f", b"x")
    assert index_warnings(mount(options=WATCHED)) == 0


def test_of_all_buckets_each_is_looked_at_for_its_indexes(database, mount):
    for name in ("one", "two"):
        Bucket(database, name, indexes=False).insert("f", b"x")
    assert index_warnings(mount(bucket="*", options=WATCHED), buckets=2) == 4
    made = mount(bucket="*", options=WATCHED + ",create_indexes")
    assert index_warnings(made, buckets=2) == 0
    assert len(list(database["two.files"].list_indexes())) == 2


def test_indexes_with_double_directions_are_the_specs_indexes(database, mount):
    bucket = Bucket(database, indexes=False)
    bucket.insert("f", b"x")
    for collection, key, unique in (("files", {"filename": 1.0, "uploadDate": 1.0}, False),
                                    ("chunks", {"files_id": 1.0, "n": 1.0}, True)):
        index = {"key": key, "name": "by_double"} | ({"unique": True} if unique else {})
        database.command("createIndexes", f"fs.{collection}", indexes=[index])
    assert index_warnings(mount(options=WATCHED)) == 0


def test_create_indexes_makes_them_as_the_specification_says(database, mount):
    bucket = Bucket(database, indexes=False)
    bucket.insert("f", b"x")
    mnt = mount(options="create_indexes")
    assert "create_indexes" not in mnt.log() or "made" in mnt.log()
    files = {tuple(index["key"].items()): index for index in bucket.files.list_indexes()}
    chunks = {tuple(index["key"].items()): index for index in bucket.chunks.list_indexes()}
    assert (("filename", 1), ("uploadDate", 1)) in files
    assert chunks[("files_id", 1), ("n", 1)]["unique"] is True


def test_a_read_only_look_creates_nothing_in_the_database(bucket, mount):
    bucket.put("a/b", b"x")
    before = sorted(bucket.database.list_collection_names())
    mnt = mount()
    tree(mnt.path)
    (mnt.path / "a/b").read_bytes()
    assert mnt.unmount() == 0
    assert sorted(bucket.database.list_collection_names()) == before
