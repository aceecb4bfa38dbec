# SPDX-License-Identifier: Apache-2.0
"""gridmount restore: an older revision as a new one."""
import errno
import hashlib
import os
import subprocess

import gridfs
import pymongo.errors
import pytest
from bson.datetime_ms import DatetimeMS

from buckets import Bucket, day
from mounting import BINARY, Watched, force_unmount, gridmount, names_in, tells_changes, wait_for
from past import fails, ids_of, logged, named, overwrite, restore


@pytest.mark.parametrize("options", ["", "revisions=keep", "revisions=replace", "consistency=ttl:3600"])
def test_restore_makes_a_new_revision_and_loses_none(bucket, mount, options):
    data = os.urandom(600_000)
    theirs = bucket.put("d/f", data, metadata={"tag": "ours to keep"})
    keeping = mount(options="revisions=keep").path
    overwrite(keeping / "d/f", b"kept", b"bad")
    before = ids_of(bucket, "d/f")
    root = mount(options=options).path
    os.chmod(root / "d/f", 0o640)
    with open(root / "d/f", "rb") as file:
        result = restore(f"{root}/d/f@{theirs}")
        assert result.returncode == 0, result.stderr
        assert file.read() == b"bad"
    assert (root / "d/f").read_bytes() == data == (keeping / "d/f").read_bytes()
    after = ids_of(bucket, "d/f")
    assert after[:-1] == before and str(after[-1]) in result.stdout
    assert gridfs.GridFS(bucket.database).get(after[-1]).read() == data
    found = bucket.files.find_one(after[-1])
    assert found["metadata"]["tag"] == "ours to keep"
    assert os.stat(root / "d/f").st_mode == 0o100640 and os.stat(root / "d/f").st_size == len(data)
    shown = logged(root / "d/f")
    assert [each["size"] for each in shown] == [len(data), 3, 4, len(data)] and shown[0]["current"]
    again = restore(f"{root}/d/f@{after[-1]}")
    assert again.returncode == 0 and "already" in again.stdout and ids_of(bucket, "d/f") == after


def test_restore_brings_back_what_was_replaced_or_removed(bucket, mount):
    root = mount().path     # revisions=own
    (root / "d").mkdir()
    overwrite(root / "d/f", b"good", b"bad")
    os.setxattr(root / "d/f", "user.mime_type", b"text/plain")
    os.setxattr(root / "d/f", "user.x", b"y")
    good = logged(root / "d/f")[1]
    assert restore(f"{root}/d/f@{good['id']}").returncode == 0
    assert (root / "d/f").read_bytes() == b"good"
    assert [each["size"] for each in logged(root / "d/f")] == [4, 3, 4]
    os.unlink(root / "d/f")
    os.rmdir(root / "d")
    gone = restore(f"{root}/d/f@{good['id']}")
    assert gone.returncode == 1 and "mkdir -p" in gone.stderr
    (root / "d").mkdir()
    bad = logged(root / "d/f")[1]
    assert restore(f"{root}/d/f@{bad['date']}").returncode == 0
    assert (root / "d/f").read_bytes() == b"bad"
    assert os.getxattr(root / "d/f", "user.mime_type") == b"text/plain" and os.getxattr(root / "d/f", "user.x") == b"y"
    assert names_in(root / "d") == ["f"] and len(ids_of(bucket, "d/f")) == 1
    assert len(logged(root / "d/f")) == 4


def test_what_is_restored_is_seen_at_once(mount, client):
    mnt = mount("push=on")
    if tells_changes(client):       # then names and attributes are believed until a change is told
        wait_for(lambda: mnt.status()["push"] == "healthy", 30, "the stream")
    path = mnt.path / "f"
    overwrite(path, b"good", b"bad one")
    os.link(path, mnt.path / "g")
    good = next(each["id"] for each in logged(path) if each["size"] == 4)
    for _ in range(3):
        assert os.stat(path).st_size == os.stat(mnt.path / "g").st_size == 7 and names_in(mnt.path) == ["f", "g"]
        assert restore(f"{path}@{good}").returncode == 0
        assert os.stat(path).st_size == 4 and path.read_bytes() == b"good"
        assert (mnt.path / "g").read_bytes() == b"good"
        overwrite(path, b"bad one")
    os.unlink(mnt.path / "g")
    os.unlink(path)
    assert names_in(mnt.path) == [] and not path.exists()
    assert restore(f"{path}@{good}").returncode == 0
    assert names_in(mnt.path) == ["f"] and path.read_bytes() == b"good"


def test_all_names_of_a_file_get_what_is_restored(mount):
    one, other = mount("revisions=keep"), mount()
    overwrite(one.path / "a", b"good", b"bad")
    os.link(one.path / "a", one.path / "b")
    good = logged(one.path / "b")[1]["id"]
    assert restore(f"{one.path}/b@{good}").returncode == 0
    for root in (one.path, other.path):
        assert [(root / name).read_bytes() for name in "ab"] == [b"good", b"good"]
        assert os.stat(root / "a").st_ino == os.stat(root / "b").st_ino and os.stat(root / "a").st_nlink == 2


def test_a_removed_name_comes_back_as_a_file_of_its_own(mount):
    root = mount().path
    overwrite(root / "a", b"old", b"new")
    os.link(root / "a", root / "b")
    os.unlink(root / "a")
    old = [each for each in logged(root / "a") if each["size"] == 3 and "until" in each][-1]["id"]
    assert restore(f"{root}/a@{old}").returncode == 0
    assert [(root / name).read_bytes() for name in "ab"] == [b"old", b"new"]
    assert os.stat(root / "a").st_ino != os.stat(root / "b").st_ino


@pytest.mark.parametrize("removed", [False, True])
def test_what_is_restored_has_its_digest(mount, removed):
    summing, root = mount("revisions=keep,checksum=on").path, mount("revisions=keep").path
    overwrite(summing / "f", b"good" * 100_000)
    overwrite(root / "f", b"bad")
    good = logged(root / "f")[1]
    assert good["sha256"] == hashlib.sha256(b"good" * 100_000).hexdigest()
    if removed:
        os.unlink(root / "f")
    assert restore(f"{root}/f@{good['id']}").returncode == 0
    assert [each.get("sha256") for each in logged(root / "f")][:2] == [good["sha256"], None]
    assert gridmount("verify", root / "f").returncode == 0


def test_what_a_removed_file_had_comes_back(bucket, mount):
    """Also what it got right before: the trash has the document as it was then."""
    first = bucket.insert("f", b"x", metadata={"tag": "old"})
    path = mount().path / "f"
    os.stat(path)
    os.chmod(path, 0o640)
    os.chown(path, 12, 13)
    wanted = {"user.x": b"y", "user.mime_type": b"text/plain", "user.gridfs.metadata.tag": b"new"}
    for name, value in wanted.items():
        os.setxattr(path, name, value)
    path.unlink()
    assert restore(f"{path}@{first}").returncode == 0
    found = os.stat(path)
    assert (found.st_mode, found.st_uid, found.st_gid) == (0o100640, 12, 13)
    assert {name: os.getxattr(path, name) for name in os.listxattr(path) if name in wanted} == wanted


@pytest.mark.parametrize("options", ["consistency=ttl:3600", "consistency=strict", "consistency=open"])
def test_what_was_seen_to_be_missing_comes_back(mount, options):
    """The kernel may have been told that nothing is there, for an hour."""
    path = mount(options).path / "f"
    overwrite(path, b"good")
    path.unlink()
    assert not path.exists() and not path.exists()
    gone = logged(path)[0]["id"]
    result = restore(f"{path}@{gone}")
    assert result.returncode == 0 and "new _id" in result.stdout
    wait_for(path.exists, what="the kernel to hear of it")
    assert path.read_bytes() == b"good"


def test_restore_copies_on_the_server(mount, bucket, server, scale):
    data = os.urandom(scale(16 << 20))
    bucket.insert("f", data, uploadDate=day(1))
    bucket.put("f", b"bad")
    mnt = mount()
    with Watched(mnt) as spent:
        assert restore(f"{mnt.path}/f@2020-01-01").returncode == 0
    assert (mnt.path / "f").read_bytes() == data
    if server.has_transactions:     # a server as rich as that has $merge as well
        assert spent.chunk_bytes_copied >= 15 << 20, spent.counts


@pytest.mark.parametrize("killed", ["command", "daemon"])
def test_who_is_killed_meanwhile_leaves_what_was_or_what_is_to_be(mount, bucket, scale, killed):
    data = os.urandom(scale(12 << 20))
    bucket.insert("f", data, uploadDate=day(1), chunkSize=64 << 10)
    bucket.insert("f", b"bad", uploadDate=day(2), chunkSize=100 << 10)     # chunks of another size are not copied
    mnt = mount("cache_size=4M")
    intents = bucket.database["fs.gridmount.intents"]
    command = subprocess.Popen([BINARY, "restore", mnt.path / "f@2020-01-01"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    wait_for(lambda: command.poll() is not None or intents.find_one({}), what="the put")
    if killed == "command":
        command.kill()
        assert command.wait(10) in (0, -9)
    else:
        mnt.process.kill()
        mnt.end()
        command.wait(10)
        force_unmount(mnt.path)
        mnt.start()
    assert (mnt.path / "f").read_bytes() in (b"bad", data)
    assert all(size in (3, len(data)) for size in (each["size"] for each in logged(mnt.path / "f")))
    if killed == "command":     # what it asked for goes on
        wait_for(lambda: len(ids_of(bucket, "f")) == 3, 30, "the new revision")
        assert (mnt.path / "f").read_bytes() == data


def test_restore_and_any_bytes_in_a_bucket_of_many(database, mount):
    bucket = Bucket(database, "photos")
    name = b"caf\xe9@ \n"
    root = os.fsencode(mount(options="bucket=*,revisions=keep").path) + b"/photos"
    bucket.put("x")
    for data in (b"good", b"bad"):
        with open(root + b"/" + name, "wb") as file:
            file.write(data)
    good = os.listdir(root + b"/.gridfs/revisions/" + name)
    result = subprocess.run([BINARY, "restore", root + b"/" + name + b"@" + sorted(good)[0]], capture_output=True,
                            check=False)
    assert result.returncode == 0, result.stderr
    assert open(root + b"/" + name, "rb").read() == b"good"


def test_restore_says_what_is_wrong(bucket, mount):
    first, second = (bucket.insert("f", b"%d" % number, uploadDate=day(number)) for number in (1, 2))
    other = bucket.put("g", b"other")
    mnt = mount()
    for words, (status, cure) in {
            (): (2, "restore takes"), (f"f@{first}", "g"): (2, "restore takes"), ("--json", f"f@{first}"): (2, "restore takes"),
            ("f",): (1, "names no revision"), ("f@2020-01",): (1, "2 revisions begin so"), (f"f@{other}",): (1, "no such revision"),
            ("d@2020",): (1, "no revision is known")}.items():
        result = subprocess.run([BINARY, "restore", *words], cwd=mnt.path, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stdout) == (status, "")
        assert cure in result.stderr and len(result.stderr.splitlines()) == 1
    name = named(day(1), first)
    for wrong in (named(day(1), other), named(day(2), first), str(first), "x"):
        fails(errno.ENOENT, os.setxattr, mnt.path / "f", "user.gridfs.restore", wrong.encode())
    fails(errno.EINVAL, os.setxattr, mnt.path, "user.gridfs.restore", b"f")
    fails(errno.EEXIST, os.setxattr, mnt.path, "user.gridfs.restore", f"f/{name}".encode())
    with open(mnt.path / "f", "ab"):
        busy = restore(f"{mnt.path}/f@{first}")
        assert busy.returncode == 1 and "is writing it" in busy.stderr
    read_only = mount("ro").path
    refused = restore(f"{read_only}/f@{first}")
    assert refused.returncode == 1 and "read-only" in refused.stderr
    assert ids_of(bucket, "f") == [first, second] and (mnt.path / "f").read_bytes() == b"2"


def test_what_did_not_come_back_is_no_success(bucket, mount):
    first = bucket.insert("f", b"good", uploadDate=day(1))
    try:
        bucket.insert("f", b"bad", uploadDate=DatetimeMS(2**63 - 1))
    except pymongo.errors.OperationFailure:
        pytest.skip("the server takes no such date")
    path = mount().path / "f"
    result = restore(f"{path}@{first}")
    assert (result.returncode, result.stdout) == (1, "") and "the last there can be" in result.stderr
    assert path.read_bytes() == b"bad"
