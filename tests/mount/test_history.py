# SPDX-License-Identifier: Apache-2.0
"""Every revision of a name: .gridfs/revisions, and log, diff and restore, which use it."""
import datetime
import errno
import fcntl
import hashlib
import json
import os
import shutil
import subprocess

import bson
import gridfs
import pymongo
import pytest
from bson.datetime_ms import DatetimeMS

from buckets import CHUNK, Bucket, day, encoded_id
from mounting import BINARY, Watched, force_unmount, gridmount, names_in, tells_changes, wait_for
from users import as_user

LONGEST = 250      # characters of an _id, and no name


def history(root, path="", bucket=""):
    return root / bucket / ".gridfs/revisions" / path


def named(date, files_id):
    """As a revision is called: the date as UTC with milliseconds, the _id."""
    text = date.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{date.microsecond // 1000:03}Z-{encoded_id(files_id)}"


def contents(directory):
    """Of all revisions, in the order of their dates."""
    return [(directory / name).read_bytes() for name in names_in(directory)]


def overwrite(path, *contents_of_each):
    for data in contents_of_each:
        path.write_bytes(data)


def fails(number, call, *arguments):
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno == number


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


# gridmount log

def log(path, *words):
    return gridmount("log", path, *words)


def logged(path):
    result = log(path, "--json")
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_log_shows_what_there_is_newest_first(bucket, mount):
    theirs = bucket.insert("d/f", b"theirs", uploadDate=day(1))
    root = mount(options="revisions=keep,checksum=on").path
    overwrite(root / "d/f", b"ours", b"ours again")
    os.chown(root / "d/f", 4711, -1)
    names = names_in(history(root, "d/f"))
    shown = logged(root / "d/f")
    assert [each["size"] for each in shown] == [10, 4, 6]
    assert [each["current"] for each in shown] == [True, False, False]
    assert [f"{each['date']}-{each['id']}" for each in shown] == names[::-1]
    assert shown[0]["sha256"] == hashlib.sha256(b"ours again").hexdigest()
    assert [(each["by"], each.get("uid")) for each in shown] == [("gridmount", 4711), ("gridmount", None), ("application", None)]
    assert shown[2] == {"size": 6, "current": False, "date": "2020-01-01T00:00:00.000Z", "id": str(theirs),
                        "by": "application"}
    lines = log(root / "d/f").stdout.splitlines()
    assert lines[0].split() == [shown[0]["date"], "10", shown[0]["id"], "4711/gridmount", "current", shown[0]["sha256"]]
    assert lines[1].split()[3:5] == ["gridmount", "kept"]
    assert lines[2].split() == ["2020-01-01T00:00:00.000Z", "6", str(theirs), "application", "kept", "-"]


def test_log_orders_by_any_date(bucket, mount):
    """A client with a wrong clock, or a hostile one: what counts as the newest is the newest in the log."""
    years = {9999: 253402300799999, 1969: -1, 20000: 568971820800000}
    try:
        for milliseconds in years.values():
            bucket.insert("f", b"x", uploadDate=DatetimeMS(milliseconds))
    except pymongo.errors.OperationFailure:
        pytest.skip("this server stores no such date")
    bucket.insert("f", b"undated", uploadDate=None)
    shown = logged(mount().path / "f")
    assert [each.get("date", "-").split("-")[0] for each in shown] == ["20000", "9999", "1969", ""]
    assert [each["current"] for each in shown] == [True, False, False, False]


def test_log_says_when_it_could_not_see_all(bucket, mount, link, through):
    count = 300
    bucket.files.insert_many([bucket.document("f", uploadDate=day(1) + datetime.timedelta(seconds=n)) for n in range(count)])
    path = mount("timeout=1", uri=through).path / "f"
    with subprocess.Popen([BINARY, "log", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)    # so that it waits long before its end
        first = process.stdout.readline()
        link.set(stalled=True)
        rest, said = process.communicate(timeout=50)
    assert first and 0 < len(rest.splitlines()) < count - 1
    assert process.returncode == 1 and "there are more" in said


def test_log_knows_what_was_replaced_or_removed(mount):
    root = mount().path
    (root / "d").mkdir()
    overwrite(root / "d/f", b"one", b"second")
    first, second = logged(root / "d/f")
    assert (first["by"], first["uid"]) == (second["by"], second["uid"]) == ("gridmount", os.getuid())
    assert (first["size"], first["current"], "until" in first) == (6, True, False)
    assert (second["size"], second["current"], "until" in second) == (3, False, True)
    shutil.rmtree(root / "d")
    assert [each["size"] for each in logged(root / "d/f")] == [6, 3]
    assert all("until" in each and not each["current"] for each in logged(f"{root}/d/f/"))
    here = subprocess.run([BINARY, "log", "d/f"], cwd=root, capture_output=True, text=True, check=True)
    assert here.stdout == log(root / "d/f").stdout


def test_log_finds_the_bucket_the_link_and_any_bytes(database, mount):
    bucket = Bucket(database, "photos")
    bucket.put("d/caf\uefe9", b"x")
    root = mount(bucket="*").path
    os.symlink(os.fsencode(root) + b"/photos/d/caf\xe9", root / "photos/link")
    for path in (os.fsencode(root) + b"/photos/d/caf\xe9", os.fsencode(root) + b"/photos/link"):
        result = subprocess.run([BINARY, "log", path], capture_output=True, text=True, check=True)
        assert result.stdout.split()[1] == "1"


def test_log_says_what_is_wrong(bucket, mount):
    bucket.put("f", b"x")
    bucket.put("d/g", b"x")
    root = mount().path
    for words, (status, cure) in {
            ("nothing",): (1, "no revision is known"), ("d/nothing",): (1, "no revision is known"),
            ("d",): (1, "name a file"), (".",): (1, "name a file"), ("f/below",): (1, "Not a directory"),
            ("/tmp/nothing",): (1, "lies on no gridmount"), (): (2, "log takes one file"),
            ("f", "g"): (2, "log takes one file"), ("--all", "f"): (2, "log takes one file"),
            ("",): (2, "log takes one file")}.items():
        result = subprocess.run([BINARY, "log", *words], cwd=root, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stdout) == (status, "")
        assert cure in result.stderr and len(result.stderr.splitlines()) == 1


# gridmount diff

def test_diff_says_which_chunks_differ(bucket, mount):
    data = bytearray(os.urandom(5 * CHUNK + 100))
    first = bucket.insert("f", bytes(data), uploadDate=day(1))
    data[CHUNK] ^= 1
    data[2 * CHUNK + 7] ^= 1
    data[5 * CHUNK:] = b"shorter"
    second = bucket.insert("f", bytes(data), uploadDate=day(2))
    bucket.insert("f", bytes(data), uploadDate=day(3))
    root = mount().path
    path = root / "f"
    result = gridmount("diff", f"{path}@{first}", f"{path}@2020-01-02")
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        f"--- {path}@{named(day(1), first)}  {5 * CHUNK + 100} bytes in chunks of {CHUNK}",
        f"+++ {path}@{named(day(2), second)}  {5 * CHUNK + 7} bytes in chunks of {CHUNK}",
        f"chunks 1 to 2: bytes {CHUNK} to {3 * CHUNK - 1}", f"chunk 5: bytes {5 * CHUNK} to {5 * CHUNK + 99}",
        "3 of 6 chunks differ"]
    now = gridmount("diff", f"{path}@{first}")
    assert now.returncode == 1 and now.stdout.splitlines()[1].startswith(f"+++ {path}  ")
    same = gridmount("diff", f"{path}@{second}")
    assert (same.returncode, same.stdout, same.stderr) == (0, "", "")


def test_diff_is_of_any_two_files(bucket, mount):
    bucket.insert("a@b", b"x" * 1000, chunkSize=100, _id=1)
    bucket.insert("g", b"x" * 900, chunkSize=300, _id=2)
    root = mount().path
    result = gridmount("diff", f"{root}/a@b@{encoded_id(1)}", f"{root}/g@{encoded_id(2)}")
    assert result.returncode == 1 and result.stdout.splitlines()[2:] == ["chunk 9: bytes 900 to 999",
                                                                         "1 of 10 chunks differ"]


def test_diff_says_what_is_wrong(bucket, mount):
    for number in (1, 2):
        bucket.insert("f", b"x", uploadDate=day(number))
    broken = bucket.insert("broken", b"x" * 10, chunks=[])
    root = mount().path
    for words, cure in {("f",): "names no revision", ("f@2020-01-01", "f"): "names no revision",
                        ("f@2020",): "2 revisions begin so", ("f@2021",): "no such revision", ("f@",): "no such revision",
                        ("f@" + "0" * 24,): "no such revision", ("@2020",): "names no revision", (): "diff takes",
                        ("f@2020-01-01", "f@2020-01-02", "f"): "diff takes", ("--json", "f@2020-01-01"): "diff takes",
                        ("none@2020",): "no revision is known", (f"broken@{broken}",): "error"}.items():
        result = subprocess.run([BINARY, "diff", *words], cwd=root, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stdout) == (2, "")
        assert cure in result.stderr and len(result.stderr.splitlines()) == 1


# gridmount restore

def restore(argument):
    return gridmount("restore", argument)


def ids_of(bucket, name):
    return [document["_id"] for document in bucket.files.find({"filename": name}).sort("uploadDate", 1)]


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


# Who else is concerned

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
    for words in (["log", root / "f"], ["restore", f"{root}/f@{ids[0]}"]):
        result = subprocess.run(["setpriv", f"--reuid={other}", f"--regid={other}", "--clear-groups", binary, *words],
                                capture_output=True, text=True, check=False)
        assert result.returncode == 1 and "for who mounted it" in result.stderr
    as_user(owner, os.setxattr, root / "f", "user.gridfs.restore", value)
    assert (root / "f").read_bytes() == b"one" and os.stat(root / "f").st_uid == owner
