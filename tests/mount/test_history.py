# SPDX-License-Identifier: Apache-2.0
"""Every revision of a name, as a file below .gridfs/revisions."""
import datetime
import errno
import os
import shutil
import subprocess

import bson

from buckets import Bucket, day, encoded_id
from mounting import BINARY, names_in, wait_for
from past import contents, fails, history, named, overwrite
from users import as_user

LONGEST = 250      # characters of an _id, and no name


def test_each_revision_is_a_read_only_file(bucket, mount):
    dates = {b"first": day(1), b"second": day(2), b"before 1970": datetime.datetime(1969, 12, 31, 23, 59, 59, 999000,
                                                                                  datetime.timezone.utc)}
    ids = {data: bucket.insert("d/f", data, uploadDate=date) for data, date in dates.items()}
    other = bucket.insert("d/g", b"other", uploadDate=day(1))
    root = mount().path
    directory = history(root, "d/f")
    assert names_in(directory) == sorted(named(dates[data], ids[data]) for data in dates)
    assert contents(directory) == [b"before 1970", b"first", b"second"]
    assert (os.stat(directory).st_mode, os.stat(directory).st_uid) == (0o40500, os.getuid())
    first = directory / named(day(1), ids[b"first"])
    found = os.stat(first)
    assert (found.st_mode, found.st_uid, found.st_size) == (0o100400, os.getuid(), 5)
    assert found.st_ino != os.stat(root / "d/f").st_ino
    assert os.getxattr(first, "user.gridfs.id").decode() == str(ids[b"first"])
    for name in ("x", named(day(2), ids[b"first"]), named(day(1), other), named(day(1), bson.ObjectId()), "Z-",
                 named(day(1), {"$gt": ""}), f"{named(day(1), ids[b'first'])}x", "undated-" + str(ids[b"first"])):
        fails(errno.ENOENT, os.stat, directory / name)
    for path in ("nothing", "d/nothing", "d/" + named(day(1), ids[b"first"]), named(day(1), ids[b"first"])):
        fails(errno.ENOENT, os.stat, history(root, path))
    shutil.copy(first, root / "d/f")      # which cp refuses where both are one inode
    assert (root / "d/f").read_bytes() == b"first"


def test_nothing_below_gridfs_can_be_changed(bucket, mount):
    files_id = bucket.insert("d/f", b"x", uploadDate=day(1))
    root = mount().path
    revision = history(root, "d/f") / named(day(1), files_id)
    for file in (revision, root / ".gridfs/status", root / ".gridfs/id" / str(files_id)):
        fails(errno.EROFS, open, file, "ab")
        fails(errno.EROFS, os.chmod, file, 0o600)
        fails(errno.EROFS, os.setxattr, file, "user.x", b"y")
        fails(errno.EROFS, os.unlink, file)
    for directory in (history(root), history(root, "d"), history(root, "d/f"), root / ".gridfs", root / ".gridfs/id"):
        fails(errno.EROFS, os.mkdir, directory / "new")
        fails(errno.EROFS, open, directory / "new", "wb")
        fails(errno.EROFS, os.link, root / "d/f", directory / "new")
        fails(errno.EROFS, os.rename, root / "d/f", directory / "new")
    assert (root / "d/f").read_bytes() == b"x" == revision.read_bytes()


def test_an_id_may_be_anything_and_a_date_missing(bucket, mount):
    ids = {1: b"int", "a/b é": b"text", "x" * LONGEST: b"too long for a name", bson.Int64(2): b"long"}
    for files_id, data in ids.items():
        bucket.insert("f", data, _id=files_id, uploadDate=day(1))
    bucket.insert("f", b"undated", _id=3, uploadDate="yesterday")
    directory = history(mount().path, "f")
    shown = {named(day(1), files_id): data for files_id, data in ids.items() if files_id != "x" * LONGEST}
    shown["undated-" + encoded_id(3)] = b"undated"
    assert {name: (directory / name).read_bytes() for name in os.listdir(directory)} == shown


def test_all_spellings_of_a_name_are_one(bucket, mount):
    for number, name in enumerate(["f", "/f", "./f"]):
        bucket.insert(name, b"%d" % number, uploadDate=day(1 + number))
    assert contents(history(mount().path, "f")) == [b"0", b"1", b"2"]


def test_a_name_of_any_bytes_has_revisions(mount):
    root = mount(options="revisions=keep").path
    for name in (b"caf\xe9", b"\xff\xfe", "é\n\\ x".encode(), b"a@b", b"%41", b"Z-" + b"1" * 24):
        path = os.fsencode(root) + b"/" + name
        for data in (b"one", b"two"):
            with open(path, "wb") as file:
                file.write(data)
        below = os.fsencode(history(root)) + b"/" + name
        assert [open(below + b"/" + each, "rb").read() for each in sorted(os.listdir(below))] == [b"one", b"two"]
        assert name in os.listdir(os.fsencode(history(root)))


def test_what_was_replaced_or_removed_is_there_for_its_grace(bucket, mount):
    root = mount().path         # revisions=own
    (root / "d/e").mkdir(parents=True)
    overwrite(root / "d/e/f", b"one", b"two", b"three")
    assert contents(history(root, "d/e/f")) == [b"one", b"two", b"three"]
    shutil.rmtree(root / "d")
    assert contents(history(root, "d/e/f")) == [b"one", b"two", b"three"]
    assert names_in(history(root)) == [] and names_in(history(root, "d")) == []
    last = history(root, "d/e/f") / names_in(history(root, "d/e/f"))[-1]
    record = bucket.database["fs.gridmount.trash"].find_one({"document.length": 5})
    assert os.getxattr(last, "user.gridfs.id").decode() == str(record["_id"])
    assert os.getxattr(last, "user.gridfs.due").decode().startswith(record["due"].strftime("%Y-%m-%dT%H:%M:%S"))
    bucket.database["fs.gridmount.trash"].delete_many({})
    wait_for(lambda: not history(root, "d/e/f").exists(), what="the end of it")     # the kernel knows the name for 1 s


def test_a_revision_that_is_open_is_read_on(bucket, mount):
    data = os.urandom(600_000)
    root = mount(options="cache_size=2M").path
    overwrite(root / "f", data)
    with open(history(root, "f") / names_in(history(root, "f"))[0], "rb") as file:
        start = file.read(1000)
        overwrite(root / "f", b"new")
        assert start + file.read() == data


def test_further_names_have_the_revisions_of_their_file(mount):
    root = mount(options="revisions=keep").path
    overwrite(root / "a", b"one", b"two")
    os.link(root / "a", root / "b")
    overwrite(root / "b", b"three")
    assert contents(history(root, "a")) == contents(history(root, "b")) == [b"one", b"two", b"three"]
    os.unlink(root / "a")
    assert contents(history(root, "b"))[-1] == b"three"


def test_directories_are_listed_and_other_kinds_are_not(bucket, mount):
    bucket.insert_names(f"many/{number:05}" for number in range(1000))
    bucket.insert("both", b"shadowed", uploadDate=day(1), _id=1)
    bucket.put("both/below", b"x")
    root = mount().path
    (root / "empty").mkdir()
    os.symlink("both", root / "link")
    os.mkfifo(root / "fifo")
    entries = {entry.name: entry.is_dir() for entry in os.scandir(history(root))}
    assert entries == {"many": True, "both": True, "empty": True}
    assert [entry.name for entry in os.scandir(history(root, "many")) if entry.is_dir()] == names_in(root / "many")
    assert names_in(history(root, "both")) == ["below"]
    assert (history(root, "both") / named(day(1), 1)).read_bytes() == b"shadowed"
    for name in ("link", "fifo"):
        fails(errno.ENOENT, os.stat, history(root, name))


def test_each_bucket_has_its_own(database, mount):
    for name in ("fs", "photos"):
        Bucket(database, name).put("d/f", name.encode())
    root = mount(bucket="*").path
    for name in ("fs", "photos"):
        assert contents(history(root, "d/f", name)) == [name.encode()]
    fails(errno.ENOENT, os.stat, history(root))


def test_revisions_of_others_show_at_once(bucket, mount):
    root = mount().path
    bucket.put("f", b"one")
    for number in range(3):
        assert len(names_in(history(root, "f"))) == number + 1
        bucket.put("f", b"more %d" % number)


def test_of_many_revisions_the_newest_are_listed_and_all_are_there(bucket, mount):
    most, count = 10_000, 10_500
    documents = [bucket.document("f", uploadDate=day(1) + datetime.timedelta(seconds=n)) for n in range(count)]
    bucket.files.insert_many(documents)
    mnt = mount()
    names = [named(each["uploadDate"], each["_id"]) for each in documents]
    assert names_in(history(mnt.path, "f")) == names[-most:]
    assert os.stat(history(mnt.path, "f") / names[0]).st_size == 0


def test_revisions_are_for_who_mounted(bucket, mount, tmp_path):
    owner, other = 4711, 4712
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(0o755)
    ids = [bucket.insert("f", data, uploadDate=day(1 + number)) for number, data in enumerate([b"one", b"two"])]
    root = mount(f"allow_other,uid={owner},gid={owner},umask=0").path
    first = history(root, "f") / named(day(1), ids[0])
    assert as_user(owner, first.read_bytes) == b"one"
    fails(errno.EACCES, as_user, other, first.read_bytes)
    fails(errno.EACCES, as_user, other, os.listdir, root / ".gridfs")
    value = named(day(1), ids[0]).encode()
    binary = shutil.copy(BINARY, tmp_path)      # which may be where only root gets
    fails(errno.EPERM, as_user, other, os.setxattr, root / "f", "user.gridfs.restore", value)
    for words in (["log", root / "f"], ["restore", f"{root}/f@{ids[0]}"], ["status", root], ["status", "--json", root]):
        result = subprocess.run(["setpriv", f"--reuid={other}", f"--regid={other}", "--clear-groups", binary, *words],
                                capture_output=True, text=True, check=False)
        assert result.returncode == 1 and "for who mounted it" in result.stderr
    as_user(owner, os.setxattr, root / "f", "user.gridfs.restore", value)
    assert (root / "f").read_bytes() == b"one" and os.stat(root / "f").st_uid == owner
