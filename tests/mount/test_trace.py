# SPDX-License-Identifier: Apache-2.0
"""trace=: a line for each request."""
import collections
import errno
import json
import mmap
import os
import re

import pytest

from mounting import MountFailed, gridmount

Line = collections.namedtuple("Line", "when pid operation path offset size result seconds")


def lines_of(path):
    return [Line(*line.split("\t")) for line in path.read_text().splitlines()]


@pytest.fixture
def traced(mount, tmp_path):
    """traced(options): a mount, and what its trace has by then; unmounted, so that all is written."""
    trace = tmp_path / "trace"

    def start(options=""):
        return mount(",".join(filter(None, [f"trace={trace}", options])))

    def read(mnt):
        mnt.unmount()
        return lines_of(trace)
    start.read = read
    start.file = trace
    return start


def test_each_request_is_a_line(bucket, traced):
    bucket.put("models/a.pt", os.urandom(300_000))
    mnt = traced()
    descriptor = os.open(mnt.path / "models/a.pt", os.O_RDONLY | os.O_DIRECT)
    assert os.preadv(descriptor, [mmap.mmap(-1, 8192)], 4096) == 8192
    os.close(descriptor)
    (mnt.path / "new").write_bytes(b"12345")
    os.truncate(mnt.path / "new", 3)
    (mnt.path / "new").rename(mnt.path / "models/b\tc\n\\\r\x1b")
    (mnt.path / "d").mkdir()
    os.listdir(mnt.path)
    lines = traced.read(mnt)
    for line in lines:
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.when)
        assert line.pid.isdigit() and re.fullmatch(r"[a-z_0-9]+", line.operation) and 0 <= float(line.seconds) < 60
    mine = [line[2:7] for line in lines if line.pid == str(os.getpid())]
    for expected in [("lookup", "models", "-", "-", "OK"), ("open", "models/a.pt", "-", "-", "OK"),
                     ("read", "models/a.pt", "4096", "8192", "OK"), ("create", "new", "-", "-", "OK"),
                     ("write", "new", "0", "5", "OK"), ("flush", "new", "-", "-", "OK"),
                     ("setattr", "new", "-", "3", "OK"), ("lookup", r"models/b\tc\n\\\x0d\x1b", "-", "-", "ENOENT"),
                     ("rename", "new", r"models/b\tc\n\\\x0d\x1b", "-", "OK"), ("mkdir", "d", "-", "-", "OK")]:
        assert expected in mine, expected
    assert any(line[0] == "readdirplus" and line[1] == "/" for line in mine)


def test_names_of_all_kinds_have_a_path(bucket, traced, database):
    one = bucket.put("f", b"x")
    mnt = traced("bucket=*")
    (mnt.path / "fs/f").read_bytes()
    mnt.by_id = mnt.path / "fs/.gridfs/id" / str(one)
    mnt.by_id.read_bytes()
    (mnt.path / ".gridfs/status").read_text()
    read = {line.path for line in traced.read(mnt) if line.operation == "open"}
    assert read >= {"fs/f", f"fs/.gridfs/id/{one}", ".gridfs/status"}


def test_a_trace_is_added_to_and_for_its_owner_only(bucket, traced):
    bucket.put("f", b"x")
    mnt = traced()
    (mnt.path / "f").read_bytes()
    first = traced.read(mnt)
    assert traced.file.stat().st_mode & 0o777 == 0o600
    mnt.start()
    (mnt.path / "f").read_bytes()
    assert traced.read(mnt)[:len(first)] == first


def test_killed_programs_and_errors_are_told(bucket, traced):
    bucket.put("d/f", b"x")
    mnt = traced()
    with pytest.raises(OSError) as refusal:
        (mnt.path / "d").rmdir()
    assert refusal.value.errno == errno.ENOTEMPTY
    assert [line[2:7] for line in traced.read(mnt) if line.operation == "rmdir"] == [("rmdir", "d", "-", "-", "ENOTEMPTY")]


def test_a_trace_that_cannot_be_written_is_refused(mount, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for trace, why in (tmp_path, "Is a directory"), (pipe, "No such device or address"):
        with pytest.raises(MountFailed) as refusal:
            mount(f"trace={trace}")
        assert f"{why}; give a file that can be written" in str(refusal.value)


def test_nobody_waits_for_who_reads_the_trace(mount, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        mnt = mount(f"trace={pipe}")
        for number in range(1000):      # more than a pipe holds
            assert not (mnt.path / f"{number}-{'x' * 200}").exists()
        assert reader.read(3) == b"202" and "the trace has gaps: " in mnt.log()


def test_a_full_disk_costs_lines_only(bucket, mount):
    bucket.put("f", b"x" * 1000)
    mnt = mount("trace=/dev/full")
    for _ in range(3):
        assert (mnt.path / "f").read_bytes() == b"x" * 1000
    assert mnt.log().count("the trace has gaps: No space left on device") == 1


# gridmount profile

def test_a_profile_says_what_was_done(bucket, traced):
    bucket.put("models/a.pt", os.urandom(300_000))
    mnt = traced()
    (mnt.path / "models/a.pt").read_bytes()
    for _ in range(30):
        assert not (mnt.path / "absent\r\t").exists()
    for of in (mnt.path, traced.file):
        result = gridmount("profile", of)
        assert (result.returncode, result.stderr) == (0, "")
        for words in ("where the time went", "models/a.pt", " KiB in ", "times not there", "what would help"):
            assert words in result.stdout
    told = json.loads(gridmount("profile", mnt.path, "--json").stdout)
    assert told["odd_lines"] == 0
    operations = {each["operation"]: each for each in told["operations"]}
    assert operations["lookup"]["errors"] >= 30 and operations["read"]["errors"] == 0
    paths = {each["path"]: each for each in told["paths"]}
    assert paths["models/a.pt"]["reached"] >= 300_000 and paths["absent\r\t"]["absent"] >= 30
    assert told["requests"] == sum(each["requests"] for each in told["operations"])


def test_what_is_no_trace_has_no_profile(mount, tmp_path):
    mnt = mount()
    (tmp_path / "other").write_text("hello\nworld\n")
    for arguments, status, cure in [([mnt.path], 2, "mount it with -o trace=FILE"), ([tmp_path / "none"], 1, "No such file"),
                                    ([tmp_path / "other"], 1, "no request is in it"), ([], 2, "no trace named"),
                                    (["--text", "f"], 2, "takes a trace or a mount")]:
        result = gridmount("profile", *arguments)
        assert (result.returncode, result.stdout) == (status, "") and cure in result.stderr
