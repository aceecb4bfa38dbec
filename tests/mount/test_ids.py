# SPDX-License-Identifier: Apache-2.0
"""The control directory: every revision by its _id, of whatever type; and the status files."""
import json
import os
import urllib.parse
import uuid

import bson
import pymongo.errors
import pytest
from bson import Binary, Int64, ObjectId

from buckets import ABSENT, day, encoded_id
from mounting import gridmount, names_in, tree, unmount_daemon, wait_for

IDS = {
    "ObjectId": ObjectId("0123456789abcdef01234567"),
    "int32": 5,
    "int64": Int64(5_000_000_000),
    "double": 2.5,
    "string": "my file/é%.txt",
    "string of 24 hex digits": "0123456789abcdef01234567",
    "empty string": "",
    "uuid": Binary.from_uuid(uuid.UUID("12345678-1234-5678-1234-567812345678")),
    "binary": Binary(b"\0\xff/"),
    "document": {"tenant": 7, "name": "x.txt"},
    "nested document": {"a": {"b": {"c": "d"}}},
    "date": day(7),
    "bool": True,
    "timestamp": bson.Timestamp(1, 2),
}


@pytest.mark.parametrize("files_id", IDS.values(), ids=IDS)
def test_an_id_may_have_any_type(bucket, mount, files_id):
    data = os.urandom(300_000)
    bucket.insert("named", data, _id=files_id)
    mnt = mount()
    assert (mnt.path / "named").read_bytes() == data
    assert mnt.by_id(encoded_id(files_id)).read_bytes() == data


def test_ids_of_different_types_are_different_files(bucket, mount):
    text = "0123456789abcdef01234567"
    bucket.insert("as string", b"string", _id=text)
    try:
        bucket.insert("as ObjectId", b"ObjectId", _id=ObjectId(text))
    except pymongo.errors.BulkWriteError:
        pytest.skip("this server's unique index takes a string for an ObjectId of the same digits")
    mnt = mount()
    assert mnt.by_id(text).read_bytes() == b"ObjectId"
    assert mnt.by_id(encoded_id(text)).read_bytes() == b"string"


# The last ones are questions in MongoDB's language, which no name may become.
NO_IDS = ["nonsense", "{", '"unterminated', "0" * 23, "f" * 24, "[]", "[1]", '{"$where":"1"}',
          '1,"filename":"a"', '{"$gt":""}', '{"$ne":1}', '{"$exists":true}', '{"$in":["b"]}',
          '{"$regularExpression":{"pattern":"","options":""}}', '{"$type":"string"}']


@pytest.mark.parametrize("text", NO_IDS)
def test_an_id_that_no_file_has_is_not_there(bucket, mount, text):
    bucket.insert("a", b"x", _id="b")
    mnt = mount()
    for name in (text, urllib.parse.quote(text, safe="-_.~"), "%zz", "%", "%2"):
        with pytest.raises(FileNotFoundError):
            mnt.by_id(name).stat()
    assert mnt.by_id("%22b%22").read_bytes() == b"x"


@pytest.mark.parametrize("files_id", [ObjectId(), 5, "a b/c", {"a": Int64(1)}], ids=str)
def test_the_log_names_an_unrepresentable_file_by_its_id(bucket, mount, files_id):
    bucket.insert("a//b", b"x", _id=files_id)
    mnt = mount()
    for _ in range(3):
        tree(mnt.path)
    assert mnt.log().count(encoded_id(files_id)) == 1, mnt.log()


def test_listing_the_ids_shows_those_of_unrepresentable_files(bucket, mount):
    lost = [bucket.insert(filename, b"x", _id=files_id) for filename, files_id in
            [("a//b", 5), (None, "no name"), (ABSENT, ObjectId()), (7, {"a": "b"}), ("..", 2.5)]]
    bucket.insert("fine", b"y")
    mnt = mount()
    tree(mnt.path)
    assert sorted(os.listdir(mnt.path / ".gridfs/id")) == sorted(map(encoded_id, lost))
    for files_id in lost:
        assert mnt.by_id(encoded_id(files_id)).read_bytes() == b"x"


def test_the_control_directory_is_hidden_but_there(bucket, mount):
    bucket.put("a")
    mnt = mount()
    assert names_in(mnt.path) == ["a"]
    assert (mnt.path / ".gridfs").is_dir()
    assert "state" in (mnt.path / ".gridfs/status").read_text()
    assert mnt.status()["state"] == "ok"


def test_the_control_directory_is_for_who_mounted(mount, uri, tmp_path):
    """Whoever the files are said to belong to."""
    control = mount().path / ".gridfs"
    for path, mode in ((control, 0o40500), (control / "id", 0o40500), (control / "status", 0o100400), (control / "metrics", 0o100400)):
        assert (path.stat().st_mode, path.stat().st_uid) == (mode, os.geteuid())
    user, directory = 4711, tmp_path / "users"
    directory.mkdir()
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(0o755)
    made = gridmount("mount", uri, directory, "-o", f"ro,user={user},uid=1234,gid=1234")
    try:
        assert made.returncode == 0, made.stderr
        assert gridmount("status", directory).stdout.startswith("state       ok")
        assert gridmount("umount", directory).returncode == 0
    finally:
        unmount_daemon(directory)


@pytest.mark.parametrize("options", ["", "bucket=*"])
def test_the_control_directory_shows_when_asked_for(bucket, mount, options):
    bucket.put("f", b"x")
    top = ["f"] if not options else ["fs"]
    assert names_in(mount(options).path) == top
    mnt = mount(",".join(filter(None, [options, "showcontrol"])))
    assert names_in(mnt.path) == [".gridfs", *top]
    shown = {entry.name: (entry.is_dir(follow_symlinks=False), entry.inode()) for entry in os.scandir(mnt.path)}
    assert shown[".gridfs"] == (True, os.stat(mnt.path / ".gridfs").st_ino)
    assert {"status", "metrics"} <= set(names_in(mnt.path / ".gridfs"))
    assert names_in(mnt.path / "fs") == [".gridfs", "f"] if options else not (mnt.path / ".gridfs/.gridfs").exists()


@pytest.mark.parametrize("options", ["", "bucket=*"])
def test_what_reads_a_whole_mount_does_not_read_the_control_directory(bucket, mount, options):
    bucket.put("d/f", b"content")
    mnt = mount(",".join(filter(None, ["showcontrol", "warm=*", options])))
    wait_for(lambda: mnt.status()["warming"]["state"] == "done", what="what warm= asks for")
    assert mnt.status()["warming"]["files"] == 1
    read = gridmount("verify", mnt.path, "--json").stdout.splitlines()[:-1]
    assert [json.loads(line)["path"] for line in read] == [str(mnt.path / ("fs" if options else "") / "d/f")]
