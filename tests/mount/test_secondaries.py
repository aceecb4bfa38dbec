# SPDX-License-Identifier: Apache-2.0
"""Replica sets whose secondaries lag: content is read from them where the URI says so, names never are."""
import errno
import itertools
import os
import random

import pytest

import replica
from buckets import CHUNK, Bucket
from mounting import names_in, wait_for

CONTENT = ("find", "fs.chunks")
# The nearest is either, by chance; there is a tag so that it is the secondary.
PREFERENCES = {"secondary": "secondary", "secondaryPreferred": "secondaryPreferred",
               "nearest": "nearest&readPreferenceTags=member:secondary"}


@pytest.fixture
def members(server, client):
    if not server.is_ours:
        pytest.skip("the server of GRIDMOUNT_TEST_URI cannot be put behind a relay")
    if "setName" not in client.admin.command("hello"):
        pytest.skip(f"{server.kind} is no member of a replica set, so it cannot be shown as two")
    with replica.Replica("127.0.0.1", server.port) as opened:
        yield opened


@pytest.fixture(params=PREFERENCES)
def preference(request):
    return PREFERENCES[request.param]


@pytest.fixture
def mount_set(members, database, bucket, mount):
    """mount_set(preference): a mount that knows the secondary; before it does, it may have asked the primary."""
    numbers = itertools.count()

    def start(preference="secondary", options=""):
        mnt = mount(uri=members.uri(database.name, preference), options=options)
        asked = members.secondary.asked[CONTENT]

        def reads_from_the_secondary():
            name = f"early{next(numbers)}"
            files_id = bucket.put(name, name.encode())
            assert (mnt.path / name).read_bytes() == name.encode()
            bucket.delete(files_id)
            return members.secondary.asked[CONTENT] > asked
        wait_for(reads_from_the_secondary, 30, "a read from the secondary")
        return mnt
    return start


def content(seed, chunks=3):
    return random.Random(seed).randbytes(chunks * CHUNK - 5)


def test_content_comes_from_the_secondary_and_all_else_from_the_primary(members, mount_set, bucket, stored, preference):
    bucket.put("d/f", content(1))
    mnt = mount_set(preference)
    by_primary = members.primary.asked[CONTENT]
    assert (mnt.path / "d/f").read_bytes() == content(1)
    assert members.primary.asked[CONTENT] == by_primary
    (mnt.path / "d/f").rename(mnt.path / "moved")
    (mnt.path / "made").mkdir()
    with open(mnt.path / "made/new", "xb") as file:
        file.write(content(2))
    os.link(mnt.path / "made/new", mnt.path / "linked")
    os.symlink("moved", mnt.path / "symlink")
    os.setxattr(mnt.path / "moved", "user.colour", b"red")
    os.truncate(mnt.path / "moved", CHUNK + 7)
    (mnt.path / "made").rename(mnt.path / "renamed")
    os.unlink(mnt.path / "linked")
    assert names_in(mnt.path) == ["d", "moved", "renamed", "symlink"]
    assert stored("moved") == content(1)[:CHUNK + 7] and stored("renamed/new") == content(2)
    assert mnt.unmount() == 0
    assert set(members.secondary.asked) == {CONTENT}, "names, leases and commits are the primary's"


def test_what_a_lagging_secondary_lacks_is_asked_from_the_primary(members, mount_set, bucket, stored, preference):
    writer, reader = mount_set(preference), mount_set(preference)
    bucket.put("replaced", content(1))
    assert (reader.path / "replaced").read_bytes() == content(1)
    members.secondary.lagging = True
    by_secondary = members.secondary.asked[CONTENT]
    bucket.put("put", content(2))
    bucket.put("small", b"small")
    bucket.put("appended", content(3))
    bucket.put("replaced", content(4))
    (writer.path / "written").write_bytes(content(5))
    with open(writer.path / "appended", "ab") as file:
        file.write(b"more")
    (writer.path / "written").rename(writer.path / "renamed")
    there = {"put": content(2), "small": b"small", "appended": content(3) + b"more", "replaced": content(4),
             "renamed": content(5)}
    for mnt in (reader, writer):
        assert names_in(mnt.path) == sorted(there)
        assert {name: (mnt.path / name).read_bytes() for name in there} == there
        assert mnt.counters()["damaged_chunks"] == 0
    assert stored("appended") == there["appended"]
    assert members.secondary.asked[CONTENT] > by_secondary, "it was asked"
    assert set(members.secondary.asked) == {CONTENT}


def test_a_chunk_that_the_primary_lacks_too_is_damage(members, mount_set, bucket):
    mnt = mount_set()
    files_id = bucket.put("f", content(1))
    bucket.chunks.delete_one({"files_id": files_id, "n": 1})
    for lagging in (False, True):
        members.secondary.lagging = lagging
        by_primary = members.primary.asked[CONTENT]
        with open(mnt.path / "f", "rb") as file:
            with pytest.raises(OSError) as error:
                os.pread(file.fileno(), 4096, CHUNK)
        assert error.value.errno == errno.EIO
        assert members.primary.asked[CONTENT] > by_primary
    assert "file 'f' in bucket fs is damaged at chunk 1: it is missing" in mnt.log()


def test_what_an_id_had_before_is_not_taken_for_what_it_has(members, mount_set, bucket):
    """Applications put again under an _id of their own; a secondary that lags has the chunks of before."""
    mnt = mount_set()
    bucket.put("f", content(1), _id="mine")
    assert (mnt.path / "f").read_bytes() == content(1)
    members.secondary.lagging = True
    bucket.delete("mine")
    bucket.put("f", content(2), _id="mine")
    assert (mnt.path / "f").read_bytes() == content(2)


def test_buckets_are_listed_by_the_primary(members, database, mount):
    Bucket(database, "first").put("f", b"content")
    mnt = mount(uri=members.uri(database.name, "secondary"), bucket="*")
    members.secondary.lagging = True
    assert names_in(mnt.path) == ["first"]
    Bucket(database, "second").put("g", b"new")
    assert names_in(mnt.path) == ["first", "second"]
    assert (mnt.path / "second/g").read_bytes() == b"new"
    assert mnt.unmount() == 0
    assert set(members.secondary.asked) <= {("find", "second.chunks")}


def test_changes_are_told_by_the_primary(members, mount_set, bucket):
    mnt = mount_set(options="push=on")
    wait_for(lambda: mnt.status()["push"] == "healthy", 30, "a change stream")
    members.secondary.lagging = True
    wait_for(lambda: names_in(mnt.path) == [], 30, "the events of what mount_set put and deleted")
    bucket.put("f", content(1))
    wait_for(lambda: names_in(mnt.path) == ["f"], 30, "the event of a put")
    assert (mnt.path / "f").read_bytes() == content(1)
    assert mnt.unmount() == 0
    assert set(members.secondary.asked) == {CONTENT}
