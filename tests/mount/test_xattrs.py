# SPDX-License-Identifier: Apache-2.0
"""Content type and fields of metadata as extended attributes: set by setfattr, seen by pymongo, and the other way round."""
import datetime
import errno
import os
import subprocess

import bson
import pytest
from bson import Int64, ObjectId

FIELD = "user.gridfs.metadata."
ID = ObjectId("0123456789abcdef01234567")
DAY = datetime.datetime(2020, 1, 2, 3, 4, 5, 6000, tzinfo=datetime.timezone.utc)
METADATA = {"text": "x y", "number": 5, "long": Int64(5), "fraction": 1.5, "truth": True, "nothing": None, "date": DAY,
            "id": ID, "tags": ["a", 1], "deep": {"a": {"b": "c"}}}
SHOWN = {"text": "x y", "number": "5", "long": "5", "fraction": "1.5", "truth": "true", "nothing": "null",
         "date": "2020-01-02T03:04:05.006Z", "id": str(ID), "tags": '[ "a", 1 ]', "deep": '{ "a" : { "b" : "c" } }'}


@pytest.fixture
def mnt(mount):
    return mount()


def fails(code, call, *arguments):
    with pytest.raises(OSError) as refused:
        call(*arguments)
    assert refused.value.errno == code


def setfattr(path, name, value=None):
    how = ["-x", name] if value is None else ["-n", name, "-v", value]
    return subprocess.run(["setfattr", *how, path], capture_output=True, text=True)


def shown(path):
    return {name: os.getxattr(path, name).decode() for name in os.listxattr(path)}


def metadata(bucket, name="f"):
    return {key: value for key, value in bucket.files.find_one({"filename": name})["metadata"].items() if key != "posix"}


def test_what_pymongo_sets_is_seen_and_what_is_set_back_is_the_same(bucket, mnt):
    bucket.put("f", b"x", metadata=dict(METADATA))
    path = mnt.path / "f"
    assert {name.removeprefix(FIELD): value for name, value in shown(path).items() if name.startswith(FIELD)} == SHOWN
    for name, value in SHOWN.items():
        os.setxattr(path, FIELD + name, value.encode())
    found = metadata(bucket)
    assert found == METADATA | {"nothing": "null"}     # there is no telling it from the text
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in METADATA.items()} | {
        "nothing": str}
    bucket.files.update_one({"filename": "f"}, {"$set": {"metadata.text": "by pymongo"}})
    assert os.getxattr(path, FIELD + "text") == b"by pymongo"


def test_what_setfattr_sets_pymongo_sees(bucket, mnt):
    path = mnt.path / "f"
    path.write_bytes(b"{}")
    for name, value in {"user.mime_type": "application/json", FIELD + "owner": "ann", FIELD + "size": '{"$numberInt": "7"}',
                        FIELD + "tags": '["a", "b"]'}.items():
        assert setfattr(path, name, value).returncode == 0
    assert metadata(bucket) == {"contentType": "application/json", "owner": "ann", "size": 7, "tags": ["a", "b"]}
    assert setfattr(path, FIELD + "size", "8").returncode == 0
    assert setfattr(path, FIELD + "tags").returncode == 0
    assert setfattr(path, "user.mime_type").returncode == 0
    assert metadata(bucket) == {"owner": "ann", "size": 8}
    assert setfattr(path, FIELD + "size", "many").returncode == 1
    assert metadata(bucket)["size"] == 8


def test_fields_stay_with_the_file(bucket, mnt):
    path = mnt.path / "f"
    path.write_bytes(b"old")
    os.setxattr(path, FIELD + "owner", b"ann")
    os.setxattr(path, "user.mime_type", b"text/plain")
    path.write_bytes(b"new content")
    os.chmod(path, 0o600)
    os.rename(path, mnt.path / "g")
    mnt.unmount()
    mnt.start()
    assert metadata(bucket, "g") == {"owner": "ann", "contentType": "text/plain"}
    assert os.getxattr(mnt.path / "g", FIELD + "owner") == b"ann"


def test_create_and_replace(bucket, mnt):
    bucket.put("f", b"x", metadata={"there": "yes"})
    path = mnt.path / "f"
    fails(errno.EEXIST, os.setxattr, path, FIELD + "there", b"1", os.XATTR_CREATE)
    fails(errno.ENODATA, os.setxattr, path, FIELD + "absent", b"1", os.XATTR_REPLACE)
    fails(errno.ENODATA, os.removexattr, path, FIELD + "absent")
    fails(errno.ENODATA, os.getxattr, path, FIELD + "absent")
    assert metadata(bucket) == {"there": "yes"}


def test_what_tells_of_the_revision_is_read_only(mount, bucket):
    mnt = mount("checksum=on")
    path = mnt.path / "f"
    path.write_bytes(b"content")
    document = bucket.files.find_one({"filename": "f"})
    found = shown(path)
    assert found["user.gridfs.id"] == str(document["_id"]) and found["user.gridfs.sha256"] == document["metadata"]["sha256"]
    assert found["user.gridfs.chunkSize"] == str(255 << 10) and len(found["user.gridfs.revision"]) == 32
    for name in ("user.gridfs.id", "user.gridfs.sha256", "user.gridfs.uploadDate", "user.gridfs.revision", "user.gridfs.other",
                 FIELD + "sha256", FIELD + "posix", FIELD + "contentType"):
        fails(errno.EPERM, os.setxattr, path, name, b"1")
        fails(errno.EPERM, os.removexattr, path, name)
    os.mkdir(mnt.path / "d")
    fails(errno.EPERM, os.setxattr, mnt.path / "d", FIELD + "owner", b"ann")
    assert bucket.files.find_one({"filename": "f"})["metadata"]["sha256"] == document["metadata"]["sha256"]


def test_what_has_no_place_is_refused(bucket, mnt):
    bucket.put("f", b"x", metadata={"long": "x" * 70_000, "number": 5})
    bucket.put("text", b"x", metadata="text")
    path = mnt.path / "f"
    assert FIELD + "long" not in os.listxattr(path)
    fails(errno.EPERM, os.setxattr, path, FIELD + "long", b"short")     # nobody who cannot see it loses it
    fails(errno.EPERM, os.setxattr, mnt.path / "text", FIELD + "owner", b"ann")
    for name, value in (("a.b", b"1"), ("$a", b"1"), ("number", b"many"), ("text", b"\xff")):
        fails(errno.EINVAL, os.setxattr, path, FIELD + name, value)
    fails(errno.E2BIG, os.setxattr, path, FIELD + "text", b"x" * 65_537)
    assert metadata(bucket) == {"long": "x" * 70_000, "number": 5}


def test_a_mount_that_may_not_write_shows_them(bucket, mount):
    bucket.put("f", b"x", metadata={"owner": "ann"})
    path = mount("ro").path / "f"
    assert os.getxattr(path, FIELD + "owner") == b"ann"
    fails(errno.EROFS, os.setxattr, path, FIELD + "owner", b"bob")
    fails(errno.EROFS, os.removexattr, path, FIELD + "owner")


def test_what_others_wrote_meanwhile_is_not_lost(bucket, mnt):
    files_id = bucket.put("f", b"x", metadata={"n": 0})
    path = mnt.path / "f"
    for number in range(20):
        bucket.files.update_one({"_id": files_id}, {"$set": {f"metadata.theirs{number}": bson.Int64(number)}})
        os.setxattr(path, f"{FIELD}ours{number}", b"x")
    assert metadata(bucket) == {"n": 0} | {f"theirs{n}": n for n in range(20)} | {f"ours{n}": "x" for n in range(20)}
