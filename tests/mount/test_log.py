# SPDX-License-Identifier: Apache-2.0
"""gridmount log and diff: which revisions a name has, and what differs."""
import datetime
import fcntl
import hashlib
import os
import shutil
import subprocess

import pymongo
import pytest
from bson.datetime_ms import DatetimeMS

from buckets import CHUNK, Bucket, day, encoded_id
from mounting import BINARY, gridmount, names_in
from past import history, log, logged, named, overwrite


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
    revisions = [f"{root}/a@b@{encoded_id(1)}", f"{root}/g@{encoded_id(2)}"]
    for one, other in (revisions, [f"{root}/a@b", f"{root}/g"], [f"{root}/a@b", revisions[1]], [revisions[0], f"{root}/g"]):
        result = gridmount("diff", one, other)
        assert result.returncode == 1 and result.stdout.splitlines()[2:] == ["chunk 9: bytes 900 to 999",
                                                                             "1 of 10 chunks differ"]


def test_diff_says_what_is_wrong(bucket, mount):
    for number in (1, 2):
        bucket.insert("f", b"x", uploadDate=day(number))
    broken = bucket.insert("broken", b"x" * 10, chunks=[])
    bucket.insert("empty", uploadDate=day(1))
    root = mount().path
    for words, cure in {("empty@2020", "."): "Is a directory", ("empty@2020", "/dev/zero"): "Invalid argument", ("f",): "names no revision", ("f@2020-01-01", "none"): "names no revision",
                        ("f@2020-01-01", "."): "irectory",
                        ("f@2020",): "2 revisions begin so", ("f@2021",): "no such revision", ("f@",): "no such revision",
                        ("f@" + "0" * 24,): "no such revision", ("@2020",): "names no revision", (): "diff takes",
                        ("f@2020-01-01", "f@2020-01-02", "f"): "diff takes", ("--json", "f@2020-01-01"): "diff takes",
                        ("none@2020",): "no revision is known", (f"broken@{broken}",): "error"}.items():
        result = subprocess.run([BINARY, "diff", *words], cwd=root, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stdout) == (2, "")
        assert cure in result.stderr and len(result.stderr.splitlines()) == 1
