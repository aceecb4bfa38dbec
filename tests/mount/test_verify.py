# SPDX-License-Identifier: Apache-2.0
"""gridmount verify: is what is stored what was stored?"""
import hashlib
import json
import os
import pty
import subprocess

import pytest

from buckets import day
from mounting import BINARY, gridmount, wait_for

MIB = 1 << 20
DONE, FAILED, USAGE = 0, 1, 2


@pytest.fixture
def models(mount):
    """A mount that records checksums, with files of its own, and what was written."""
    mnt = mount("checksum=on")
    (mnt.path / "models").mkdir()
    files = {f"models/{name}": os.urandom(size) for name, size in
             {"a.pt": 3 * MIB + 17, "b.bin": 1000, "empty": 0, "with space": 5, "back\\slash": 300_000,
              "new\nline": 12}.items()}
    for name, data in files.items():
        (mnt.path / name).write_bytes(data)
    return mnt, files


def verify(*arguments, **settings):
    return gridmount("verify", *arguments, **settings)


def lines_of(result):
    return sorted(result.stdout.splitlines())


def escaped(name):
    """As sha256sum has it: whether its line begins with a backslash, and the name."""
    text = name.replace("\\", "\\\\").replace("\n", "\\n")
    return "\\" if text != name else "", text


def found(mnt, how):
    return sorted(f"{sign}{text}: {word}" for name, word in how.items() for sign, text in [escaped(str(mnt.path / name))])


def test_each_file_is_as_recorded(models):
    mnt, files = models
    result = verify(mnt.path)
    assert result.returncode == DONE
    assert lines_of(result) == found(mnt, dict.fromkeys(files, "OK"))
    assert f"{len(files)} as recorded" in result.stderr


def test_sums_are_those_of_sha256sum(models):
    mnt, files = models
    result = verify(mnt.path, "--sums", "--jobs=3")
    assert result.returncode == DONE
    assert lines_of(result) == sorted(
        f"{sign}{hashlib.sha256(data).hexdigest()}  {text}" for name, data in files.items()
        for sign, text in [escaped(str(mnt.path / name))])
    theirs = subprocess.run(["sha256sum", "-c"], input=result.stdout, text=True, capture_output=True)
    assert theirs.returncode == 0
    plain = [line for line in theirs.stdout.splitlines() if "slash" not in line]     # which differs between versions
    assert sorted(plain) == [line for line in lines_of(verify(mnt.path)) if "slash" not in line]


@pytest.mark.parametrize("words, sign", [([], ""), (["--sums"], hashlib.sha256(b"x").hexdigest() + "  ")])
def test_a_terminal_obeys_no_name(bucket, mount, words, sign):
    bucket.put("red\x1b[31m", b"x")
    path = mount().path
    ours, theirs = pty.openpty()
    done = subprocess.run([BINARY, "verify", *words, path], stdout=theirs, stderr=subprocess.DEVNULL, check=False)
    os.close(theirs)
    said = os.read(ours, 4096).decode()
    os.close(ours)
    assert done.returncode == DONE and said.startswith(f"{sign}{path}/red\\x1b[31m")


def test_what_is_wrong_is_told(models, bucket):
    mnt, files = models
    bucket.put("models/foreign", b"who recorded nothing")
    document = bucket.files.find_one({"filename": "models/b.bin"})
    bucket.files.update_one({"_id": document["_id"]}, {"$set": {"metadata.sha256": "0" * 64}})
    damaged = bucket.files.find_one({"filename": "models/a.pt"})
    bucket.chunks.delete_one({"files_id": damaged["_id"], "n": 2})
    mnt.unmount()
    mnt.start()
    result = verify(mnt.path / "models")
    assert result.returncode == FAILED
    how = dict.fromkeys(files, "OK") | {"models/b.bin": "FAILED", "models/a.pt": "FAILED open or read",
                                        "models/foreign": "no SHA-256 is recorded"}
    assert lines_of(result) == found(mnt, how)
    assert f"recorded as {'0' * 64}, but what was read has {hashlib.sha256(files['models/b.bin']).hexdigest()}" \
        in result.stderr
    assert "1 without a record, 1 failed, 1 not as recorded" in result.stderr
    events = [json.loads(line) for line in verify(mnt.path, "--json").stdout.splitlines()]
    named = {event["path"]: event["event"] for event in events if "path" in event}
    assert named == {str(mnt.path / name): {"OK": "verified", "FAILED": "mismatch", "no SHA-256 is recorded": "verified",
                                            "FAILED open or read": "failed"}[word] for name, word in how.items()}
    assert (events[-1]["event"], events[-1]["exit"]) == ("sum", FAILED)


def test_what_was_verified_is_left_out_when_it_goes_on(models, tmp_path):
    mnt, files = models
    notes = tmp_path / "verified"
    first = verify(mnt.path, "--resume", notes)
    assert first.returncode == DONE and len(notes.read_text().splitlines()) == len(files)
    with open(notes, "r+") as file:     # as it is when the power goes in the middle of the last line
        file.truncate(len(file.read()) - 30)
    (mnt.path / "models/b.bin").write_bytes(b"new")
    files["models/b.bin"] = b"new"
    mnt.unmount()
    mnt.start()
    second = verify(mnt.path, "--resume", notes, "--sums", "--jobs=1")
    assert second.returncode == DONE
    assert {line.lstrip("\\")[:64] for line in second.stdout.splitlines()} \
        == {hashlib.sha256(data).hexdigest() for data in files.values()}
    assert 1 <= mnt.counters()["chunks_fetched"] <= 5 + 13, "the new one, and the one whose note was cut"
    mnt.unmount()
    mnt.start()
    assert verify(mnt.path, "--resume", notes).returncode == DONE
    assert mnt.counters()["chunks_fetched"] <= 5, "small ones, fetched since they were opened"


def test_it_asks_the_mount_and_leaves_the_kernels_pages_alone(models):
    mnt, files = models
    name, size = "models/a.pt", len(files["models/a.pt"])
    mnt.unmount()
    mnt.start()
    given = [mnt.counters()["bytes_read"]]
    for read in (lambda: verify(mnt.path / name), (mnt.path / name).read_bytes, lambda: verify(mnt.path / name),
                 (mnt.path / name).read_bytes):
        read()
        given.append(mnt.counters()["bytes_read"])
    asked = [after - before >= size for before, after in zip(given, given[1:])]
    assert asked == [True, True, True, False], given


@pytest.mark.parametrize("arguments, cure", [
    ([], "name files or directories"), (["--sums", "--json", "."], "leave out --sums"),
    (["--jobs=0", "."], "from 1 to 64"), (["--repair", "."], "verify takes paths"),
    (["--verify", "."], "verify takes paths"), (["--resume=", "."], "--resume takes a file")])
def test_wrong_words_are_refused(arguments, cure):
    result = verify(*arguments)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert cure in result.stderr


def test_notes_that_cannot_be_written_and_what_is_no_mount(models, tmp_path):
    mnt, _ = models
    result = verify(mnt.path, "--resume", tmp_path)
    assert (result.returncode, result.stdout) == (USAGE, "") and "name a file that can be written" in result.stderr
    result = verify(tmp_path)
    assert result.returncode == USAGE and "lies on no gridmount" in result.stderr


def test_what_is_being_written_has_no_record_yet(models):
    mnt, files = models
    with open(mnt.path / "models/b.bin", "r+b", buffering=0) as file:
        assert os.getxattr(file.fileno(), "user.gridfs.sha256")
        file.write(b"changed")
        result = verify(mnt.path)
        assert (result.returncode, lines_of(result)) \
            == (DONE, found(mnt, dict.fromkeys(files, "OK") | {"models/b.bin": "no SHA-256 is recorded"}))
        assert not {"user.gridfs.sha256", "user.gridfs.revision"} & set(os.listxattr(file.fileno()))
    assert lines_of(verify(mnt.path)) == found(mnt, dict.fromkeys(files, "OK"))


def test_what_is_changed_meanwhile_is_read_again(link, through, mount):
    mnt = mount("checksum=on", uri=through)
    path = mnt.path / "f"
    path.write_bytes(os.urandom(4 * MIB))
    mnt.unmount()
    mnt.start()
    with open(path, "r+b", buffering=0) as file:
        link.set(bandwidth=4 * MIB)
        with subprocess.Popen([BINARY, "verify", path], stdout=subprocess.PIPE, text=True) as reading:
            wait_for(lambda: mnt.counters()["bytes_read"] >= MIB, what="some of it to be read")
            os.pwrite(file.fileno(), b"changed", 4 * MIB - 7)      # what was read of it is of before, the end is not
            link.set(bandwidth=0)
            said = reading.stdout.read()
        assert (reading.returncode, said) == (DONE, f"{path}: no SHA-256 is recorded\n")


def test_another_content_of_an_id_is_no_revision_that_was_noted(bucket, mount, tmp_path):
    words = [mount("consistency=strict").path / "f", "--sums", "--resume", tmp_path / "notes"]
    for n, data in enumerate((b"one", b"two")):
        bucket.insert("f", data, _id="model", uploadDate=day(n + 1))
        assert verify(*words).stdout.split()[0] == hashlib.sha256(data).hexdigest()
        bucket.delete("model")
