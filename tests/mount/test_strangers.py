# SPDX-License-Identifier: Apache-2.0
"""What else meets on a bucket: users who may do less, dumps that were restored, mounts with other options."""
import datetime
import errno
import os

import bson
import pytest

import guard
from buckets import Bucket, now
from mounting import names_in, wait_for

LONG_AGO = datetime.timedelta(days=30)


def overwrite(path, data):
    with open(path, "wb") as file:
        file.write(data)


def refused(call, *arguments):
    """The errno with which the call failed; None when it did not."""
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    return None


# Roles

@pytest.fixture
def door(server):
    """The server, for a user whose role names the files and chunks of the bucket, and no collection of ours."""
    if not server.is_ours:
        pytest.skip("the server of GRIDMOUNT_TEST_URI cannot be put behind a proxy")
    with guard.Guard("127.0.0.1", server.port, ".gridmount.") as opened:
        yield opened


def test_a_user_of_the_gridfs_collections_alone_reads_all_and_changes_nothing(door, database, bucket, mount):
    bucket.put("f", b"content")
    bucket.put("d/g", b"deep")
    bucket.make_directory("made")
    mnt = mount(uri=f"mongodb://127.0.0.1:{door.port}/{database.name}?directConnection=true")
    assert names_in(mnt.path) == ["d", "f"], "our collections count as empty"
    assert (mnt.path / "f").read_bytes() == b"content" and (mnt.path / "d/g").read_bytes() == b"deep"
    assert door.refused > 0
    calls = {"overwrite": lambda: overwrite(mnt.path / "f", b"new"),
             "create": lambda: overwrite(mnt.path / "new", b"new"), "mkdir": lambda: os.mkdir(mnt.path / "e"),
             "unlink": lambda: os.unlink(mnt.path / "f"), "symlink": lambda: os.symlink("f", mnt.path / "s")}
    assert {what: [refused(call), refused(call)] for what, call in calls.items()} == \
        {what: [errno.EACCES, errno.EACCES] for what in calls}
    assert bucket.files.count_documents({}) == 2 and bucket.chunks.count_documents({}) == 2
    assert (mnt.path / "f").read_bytes() == b"content"
    assert mnt.log().count("cannot be changed with this user") == 1, "it is said once"
    assert mnt.unmount() == 0


def test_a_user_who_may_only_read_reads(guarded, mount, bucket):
    with guarded.client() as client:
        own = Bucket(client["app"])
        own.put("f", b"content")
        client.app.command("createUser", "reader", pwd="pw", roles=[{"role": "read", "db": "app"}])
        before = sorted(client.app.list_collection_names())
        mnt = mount(uri=f"mongodb://reader:pw@127.0.0.1:{guarded.port}/app?authSource=app&directConnection=true")
        with open(mnt.path / "f", "rb") as file:
            assert file.read() == b"content" and names_in(mnt.path) == ["f"]
            assert refused(overwrite, mnt.path / "f", b"new") == errno.EACCES
            wait_for(lambda: "cannot be kept beyond the grace" in mnt.log(), 15, "a word about what is open")
        assert sorted(client.app.list_collection_names()) == before, "an untouched bucket stays untouched"
        assert own.files.count_documents({}) == 1


# A bucket that was restored from a dump

def test_stale_leases_trash_and_intents_of_a_dump_do_no_harm(database, bucket, mount):
    """As a dump has them that was made while a mount wrote, a month ago."""
    old = now() - LONG_AGO
    kept, replaced = bucket.put("kept", b"kept"), bucket.put("replaced", b"replaced")
    [kept_document] = bucket.files.find({"_id": kept})
    [replaced_document] = bucket.files.find({"_id": replaced})
    bucket.files.delete_one({"_id": replaced})
    bucket.put("replaced", b"new")
    first = bson.ObjectId(os.urandom(11) + b"\0")
    published = bson.ObjectId(first.binary[:11] + b"\1")
    unpublished = bson.ObjectId(first.binary[:11] + b"\2")
    bucket.insert("published", b"published", _id=published)
    bucket.chunks.insert_one({"files_id": unpublished, "n": 0, "data": b"of a put that never ended"})
    database["fs.gridmount.nodes"].insert_one({"_id": "", "format": 1})
    database["fs.gridmount.trash"].insert_many([
        {"_id": kept, "document": kept_document, "due": old},       # the dump saw it before and after
        {"_id": replaced, "document": replaced_document, "due": old}])
    database["fs.gridmount.locks"].insert_many([{"_id": name, "owner": bson.ObjectId(), "until": old}
                                                for name in ("created", "made", "kept")])
    database["fs.gridmount.intents"].insert_many([
        {"_id": first, "kind": "put", "owner": bson.ObjectId(), "count": 256, "until": old},
        {"_id": "janitor", "kind": "janitor", "owner": bson.ObjectId(), "until": old}])
    mnt = mount(options="grace=1")
    with open(mnt.path / "created", "xb") as file:
        file.write(b"created")
    os.mkdir(mnt.path / "made")
    overwrite(mnt.path / "kept", b"kept, and more")
    contents = {"kept": b"kept, and more", "replaced": b"new", "published": b"published", "created": b"created"}
    wait_for(lambda: bucket.chunks.count_documents({"files_id": {"$in": [replaced, unpublished]}}) == 0, 30,
             "the end of what is due")
    assert names_in(mnt.path) == sorted([*contents, "made"])
    assert {name: (mnt.path / name).read_bytes() for name in contents} == contents
    assert bucket.files.count_documents({"_id": kept}) == 1, "an application's revision stays"
    assert bucket.chunks.count_documents({"files_id": kept}) == 1
    wait_for(lambda: database["fs.gridmount.intents"].count_documents({"_id": first}) == 0, 30, "the stale intent's end")


# Mounts that were told other things

def test_each_mount_retires_as_it_was_told(bucket, mount):
    own, keep = mount(options="revisions=own"), mount(options="revisions=keep")

    def count():
        return bucket.files.count_documents({"filename": "f"})
    overwrite(own.path / "f", b"1")
    overwrite(keep.path / "f", b"2")
    assert count() == 2, "keep retires none, of whomever"
    overwrite(own.path / "f", b"3")
    assert count() == 1, "own retires what any gridmount put"
    assert (keep.path / "f").read_bytes() == b"3"


def test_a_newer_format_is_read_and_not_changed(database, bucket, mount):
    bucket.put("f", b"content")
    database["fs.gridmount.nodes"].insert_one({"_id": "", "format": 2})
    mnt = mount()
    assert (mnt.path / "f").read_bytes() == b"content"
    assert refused(overwrite, mnt.path / "f", b"new") == errno.EROFS
    assert refused(os.unlink, mnt.path / "f") == errno.EROFS
    assert (mnt.path / "f").read_bytes() == b"content"
