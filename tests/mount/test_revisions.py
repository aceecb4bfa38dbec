# SPDX-License-Identifier: Apache-2.0
"""What happens to revisions and to the fields of other applications: DESIGN.md §3."""
import datetime
import errno
import os

import bson
import gridfs
import pytest

from mounting import names_in, wait_for


@pytest.fixture
def ids(bucket):
    """The _ids of a name's revisions, oldest first."""
    return lambda name: [document["_id"] for document in
                         bucket.files.find({"filename": name}).sort([("uploadDate", 1), ("_id", 1)])]


def readable(bucket, files_id):
    return gridfs.GridFS(bucket.database).get(files_id).read()


def overwrite(path, data):
    with open(path, "wb") as file:
        file.write(data)


# revisions=own|replace|keep

def test_own_keeps_what_other_applications_put_and_retires_what_a_mount_put(bucket, mount, ids):
    theirs = bucket.put("f", b"theirs")
    root = mount().path
    for number in range(3):
        overwrite(root / "f", b"ours %d" % number)
    kept = ids("f")
    assert len(kept) == 2 and kept[0] == theirs
    assert readable(bucket, theirs) == b"theirs" and (root / "f").read_bytes() == b"ours 2"
    assert readable(bucket, kept[1]) == b"ours 2"


def test_replace_retires_the_one_replaced_whoever_put_it(bucket, mount, ids):
    oldest, theirs = bucket.put("f", b"oldest"), bucket.put("f", b"theirs")
    root = mount(options="revisions=replace").path
    overwrite(root / "f", b"ours")
    kept = ids("f")
    assert theirs not in kept and kept[0] == oldest and len(kept) == 2
    assert readable(bucket, kept[1]) == b"ours"


def test_keep_retires_none(bucket, mount, ids):
    bucket.put("f", b"theirs")
    root = mount(options="revisions=keep").path
    for number in range(3):
        overwrite(root / "f", b"ours %d" % number)
    assert [readable(bucket, files_id) for files_id in ids("f")] == [b"theirs", b"ours 0", b"ours 1", b"ours 2"]
    assert (root / "f").read_bytes() == b"ours 2" and names_in(root) == ["f"]


def test_unlink_removes_all_revisions(bucket, mount, ids):
    bucket.put("f", b"theirs")
    root = mount(options="revisions=keep").path
    overwrite(root / "f", b"ours")
    os.unlink(root / "f")
    assert ids("f") == [] and names_in(root) == []


def test_a_rename_onto_a_file_of_others_keeps_it_as_an_older_revision(bucket, mount, ids):
    theirs = bucket.put("f", b"theirs")
    root = mount().path
    overwrite(root / "f.tmp", b"ours")
    os.rename(root / "f.tmp", root / "f")
    assert theirs in ids("f") and readable(bucket, ids("f")[-1]) == b"ours"
    assert (root / "f").read_bytes() == b"ours" and names_in(root) == ["f"]


def test_a_replaced_revision_is_read_on_by_who_has_it_open(mount, scale):
    data = bytes(range(256)) * scale(40_000)
    one, other = mount(options="cache_size=2M"), mount(options="cache_size=2M")
    overwrite(one.path / "f", data)
    with open(other.path / "f", "rb") as file:
        start = file.read(1000)
        for number in range(3):
            overwrite(one.path / "f", b"new %d" % number)
        assert start + file.read() == data
    assert (other.path / "f").read_bytes() == b"new 2"


@pytest.mark.parametrize("first", ["a", "b"])
def test_each_name_of_a_file_is_opened_as_the_database_has_it(mount, first):
    one, other = mount(), mount()
    overwrite(one.path / "a", b"before")
    os.link(one.path / "a", one.path / "b")
    for turn in range(10):
        names = ["a", "b"] if first == "a" else ["b", "a"]
        assert [(one.path / name).read_bytes() for name in names] == [b"before"] * 2  # the kernel knows both
        overwrite(other.path / "new", b"after %d" % turn)
        os.rename(other.path / "new", other.path / first)
        got = {name: (one.path / name).read_bytes() for name in names * 2}
        assert got == {first: b"after %d" % turn, names[1]: b"before"}
        os.unlink(other.path / first)
        os.link(other.path / names[1], other.path / first)


def test_the_last_close_wins_although_a_revision_is_dated_in_the_future(bucket, mount, ids):
    future = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    bucket.insert("f", b"of a host whose clock is wrong", uploadDate=future)
    root = mount().path
    overwrite(root / "f", b"ours")
    assert readable(bucket, ids("f")[-1]) == b"ours" and (root / "f").read_bytes() == b"ours"


# Fields of other applications

def fields(bucket, name):
    return bucket.files.find({"filename": name}).sort([("uploadDate", -1), ("_id", -1)])[0]


CHANGES = {
    "overwrite": lambda root: overwrite(root / "f", b"new"),
    "append": lambda root: open(root / "f", "ab").write(b"more"),
    "chmod": lambda root: os.chmod(root / "f", 0o600),
    "chown": lambda root: os.chown(root / "f", 5, 6),
    "utime": lambda root: os.utime(root / "f", ns=(1, 2)),
    "setxattr": lambda root: os.setxattr(root / "f", "user.x", b"y"),
    "link": lambda root: os.link(root / "f", root / "g"),
    "rename there and back": lambda root: (os.rename(root / "f", root / "g"), os.rename(root / "g", root / "f")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_fields_of_others_survive(bucket, mount, change):
    metadata = {"user_id": bson.ObjectId(), "tags": ["a", {"b": 1}], "n": bson.Int64(5), "contentType": "image/png",
                "posix-like": {"mode": 1}, "none": None}
    bucket.insert("f", b"content", metadata=metadata, aliases=["alias"], contentType="image/legacy",
                  custom={"deep": [1, 2, {"x": b"binary"}]}, number=1.5)
    CHANGES[change](mount().path)
    found = fields(bucket, "f")
    kept = dict(found["metadata"])
    kept.pop("posix", None)
    kept.pop("sha256", None)
    assert kept == metadata
    assert found["aliases"] == ["alias"] and found["contentType"] == "image/legacy"
    assert found["custom"] == {"deep": [1, 2, {"x": b"binary"}]} and found["number"] == 1.5


def test_a_legacy_md5_goes_when_the_content_changes_and_stays_when_not(bucket, mount):
    bucket.insert("f", b"content", md5="9a0364b9e99bb480dd25e1f0284c8555")
    root = mount().path
    os.chmod(root / "f", 0o600)
    assert "md5" in fields(bucket, "f")
    overwrite(root / "f", b"other")
    assert "md5" not in fields(bucket, "f")


def test_a_metadata_of_null_becomes_a_document(bucket, mount):
    bucket.insert("f", b"content", metadata=None)
    root = mount().path
    os.chmod(root / "f", 0o600)
    assert fields(bucket, "f")["metadata"]["posix"]["mode"] & 0o777 == 0o600
    overwrite(root / "f", b"new")
    assert (root / "f").read_bytes() == b"new"


@pytest.mark.parametrize("metadata", ["text", 5, [1, 2], True, bson.ObjectId()], ids=str)
def test_metadata_of_another_type_is_left_alone(bucket, mount, metadata):
    bucket.insert("f", b"content", metadata=metadata)
    mnt = mount()
    for change in (lambda: os.chmod(mnt.path / "f", 0o600), lambda: os.chown(mnt.path / "f", 3, 4),
                   lambda: os.utime(mnt.path / "f", ns=(1, 1)),
                   lambda: os.setxattr(mnt.path / "f", "user.x", b"y")):
        with pytest.raises(OSError) as refused:
            change()
        assert refused.value.errno == errno.EPERM
    overwrite(mnt.path / "f", b"new")
    assert fields(bucket, "f")["metadata"] == metadata and (mnt.path / "f").read_bytes() == b"new"
    os.rename(mnt.path / "f", mnt.path / "g")
    assert fields(bucket, "g")["metadata"] == metadata
    os.unlink(mnt.path / "g")
    assert names_in(mnt.path) == []


@pytest.mark.parametrize("files_id", ["text", 5, bson.Int64(7), {"a": 1}, b"binary"], ids=str)
def test_files_with_any_id_are_changed_and_removed(bucket, mount, files_id):
    bucket.insert("f", b"content", _id=files_id)
    root = mount().path
    os.chmod(root / "f", 0o600)
    with open(root / "f", "ab") as file:
        file.write(b" more")
    assert (root / "f").read_bytes() == b"content more"
    os.rename(root / "f", root / "g")
    os.unlink(root / "g")
    assert bucket.files.count_documents({}) == 0


def test_a_delete_and_put_under_one_custom_id_between_open_and_close(bucket, mount):
    bucket.insert("f", b"old", _id="mine")
    root = mount().path
    with open(root / "f", "r+b", buffering=0) as file:
        file.write(b"OLD")
        bucket.delete("mine")
        bucket.insert("f", b"put again", _id="mine")
    assert (root / "f").read_bytes() == b"OLD", "the last close wins"
    assert readable(bucket, "mine") == b"put again", "nobody's document is harmed"


# Nothing is left behind

def test_chunks_of_what_was_retired_or_removed_are_recorded_or_gone(bucket, database, mount):
    mnt = mount()
    for number in range(5):
        overwrite(mnt.path / "f", b"%d" % number * 1000)
    os.unlink(mnt.path / "f")

    def accounted():
        named = {document["_id"] for document in bucket.files.find({}, {"_id": 1})}
        trash = list(database["fs.gridmount.trash"].find())
        recorded = str(trash)
        return all(chunk["files_id"] in named or str(chunk["files_id"]) in recorded or str(chunk["_id"]) in recorded
                   for chunk in bucket.chunks.find({}, {"files_id": 1}))
    wait_for(accounted, what="a trash record for every chunk that no file has")
    assert mnt.unmount() == 0
