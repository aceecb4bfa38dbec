# SPDX-License-Identifier: Apache-2.0
"""Writeback: a close returns when what was written is safe in the staging directory, and the server has it later, whatever
becomes of the mount meanwhile. And the end of a mount: what waits is stored, or kept and said."""
import os
import pathlib
import signal
import time

import gridfs
import pytest

from mounting import force_unmount, gridmount, wait_for

LONG = 180      # longer than any of these tests may wait for a server that does not answer
PROMPT = 30     # far less than that, and far more than a disk takes
TIMEOUT = 2


@pytest.fixture
def staging(tmp_path):
    return tmp_path / "staging"


@pytest.fixture
def back(through, mount, staging):
    """A mount that does not wait for the server, which is behind a link."""
    return mount(uri=through, options=f"writeback,timeout={LONG},staging_dir={staging}")


@pytest.fixture
def hasty(through, mount, staging):
    """The same, that gives a server up soon."""
    return mount(uri=through, options=f"writeback,timeout={TIMEOUT},staging_dir={staging}")


def go_away(link):
    link.set(refusing=True)
    link.cut()


def come_back(link):
    link.set(refusing=False, stalled=False)
    link.cut()


def kill(mnt):
    mnt.process.kill()
    assert mnt.end() == -signal.SIGKILL
    force_unmount(mnt.path)


def records(staging):
    return list(pathlib.Path(staging).glob("*/*.record"))


def all_there_is(database):
    """{name: newest content}, as pymongo reads it."""
    files = gridfs.GridFS(database)
    return {name: files.get_last_version(name).read() for name in files.list()}


def expect_stored(mnt, staging, database, contents):
    """A record goes when its file is stored."""
    wait_for(lambda: records(staging) == [], 60, "no record left")
    wait_for(lambda: mnt.counters()["waiting_files"] == mnt.counters()["unsaved_files"] == 0, 30, "nothing waits")
    assert all_there_is(database) == contents


def write(path, content):
    with open(path, "wb", buffering=0) as file:
        assert file.write(content) == len(content)


def test_what_was_closed_is_stored_without_anybody_waiting(mount, staging, database):
    mnt = mount(options=f"writeback,staging_dir={staging}")
    contents = {f"file {n}": bytes([n]) * n * 10_000 for n in range(20)}
    for name, content in contents.items():
        write(mnt.path / name, content)
        assert (mnt.path / name).read_bytes() == content
    expect_stored(mnt, staging, database, contents)
    assert mnt.status()["state"] == "ok"


@pytest.mark.timeout(150)
def test_a_close_does_not_wait_for_a_silent_server_and_what_was_written_is_there(link, back, staging, database):
    files = [open(back.path / f"file {n}", "xb", buffering=0) for n in range(3)]
    big = open(back.path / "big", "xb", buffering=0)
    link.set(stalled=True)
    for n, file in enumerate(files):
        assert file.write(b"content %d" % n) == 9
    assert big.write(bytes(3 << 20)) == 3 << 20
    began = time.monotonic()
    for file in [*files, big]:
        file.close()
    assert time.monotonic() - began < PROMPT
    assert len(records(staging)) == 4
    for n in range(3):
        assert (back.path / f"file {n}").read_bytes() == b"content %d" % n
    status = back.status()
    assert status["counters"]["waiting_files"] == 4 and status["counters"]["waiting_bytes"] == 27 + (3 << 20)
    assert status["state"] == "ok", "what merely waits is no trouble"
    assert all_there_is(database) == {}
    come_back(link)
    expect_stored(back, staging, database, {f"file {n}": b"content %d" % n for n in range(3)} | {"big": bytes(3 << 20)})


@pytest.mark.timeout(120)
def test_a_sync_waits_and_tells_the_truth(link, hasty, staging, database):
    with open(hasty.path / "file", "xb", buffering=0) as file:
        assert file.write(b"synced") == 6
        os.fsync(file.fileno())
        assert all_there_is(database) == {"file": b"synced"}
        assert file.write(b" and not") == 8
        go_away(link)
        with pytest.raises(OSError):
            os.fsync(file.fileno())
    wait_for(lambda: hasty.status()["state"] == "degraded", 30, "the failure shown")
    come_back(link)
    expect_stored(hasty, staging, database, {"file": b"synced and not"})


@pytest.mark.timeout(120)
def test_what_cannot_be_stored_shows_and_is_stored_when_it_can(link, hasty, staging, database):
    file = open(hasty.path / "file", "xb", buffering=0)
    assert file.write(b"content") == 7
    go_away(link)
    file.close()
    wait_for(lambda: hasty.counters()["unsaved_files"] == 1, 30, "the failure counted")
    assert hasty.status()["state"] == "degraded"
    come_back(link)
    expect_stored(hasty, staging, database, {"file": b"content"})
    assert "file 'file' is stored now" in hasty.log()


@pytest.mark.timeout(120)
def test_the_next_mount_stores_what_a_killed_one_had_not_and_keeps_both_where_others_were_faster(
        link, back, staging, bucket, database):
    for name in ("kept", "replaced"):
        bucket.put(name, b"before " + name.encode())
    files = {name: open(back.path / name, "r+b", buffering=0) for name in ("kept", "replaced")}
    files |= {name: open(back.path / name, "wb", buffering=0) for name in ("new", "made")}
    link.set(stalled=True)
    for file in files.values():
        assert file.write(b"OURS") == 4
        file.close()
    assert len(records(staging)) == 4
    kill(back)
    for name in ("replaced", "made"):
        bucket.put(name, b"theirs")
    come_back(link)
    back.start()
    wait_for(lambda: records(staging) == [], 60, "everything stored")
    stored = all_there_is(database)
    beside = {name.partition(".recovered-")[0]: stored.pop(name) for name in list(stored) if ".recovered-" in name}
    assert stored == {"kept": b"OURSre kept", "replaced": b"theirs", "new": b"OURS", "made": b"theirs"}
    assert beside == {"replaced": b"OURSre replaced", "made": b"OURS"}


@pytest.mark.timeout(120)
def test_what_waits_follows_its_name_and_goes_with_it(link, hasty, staging, bucket, database):
    for name in ("changed", "victim", "gone"):
        bucket.put(name, b"before")
    files = {name: open(hasty.path / name, "r+b", buffering=0) for name in ("changed", "victim", "gone")}
    files["dropped"] = open(hasty.path / "dropped", "xb", buffering=0)
    other = open(hasty.path / "other", "xb", buffering=0)
    go_away(link)
    for file in files.values():
        assert file.write(b"AFTER") == 5
        file.close()
    assert other.write(b"other") == 5
    other.close()
    os.unlink(hasty.path / "dropped")       # the server knows nothing of it
    come_back(link)
    os.rename(hasty.path / "other", hasty.path / "victim")
    os.unlink(hasty.path / "gone")
    os.rename(hasty.path / "changed", hasty.path / "renamed")
    os.chmod(hasty.path / "renamed", 0o640)
    expect_stored(hasty, staging, database, {"victim": b"other", "renamed": b"AFTERe"})
    assert os.stat(hasty.path / "renamed").st_mode & 0o777 == 0o640


def test_an_unmount_stores_what_waits(link, back, staging, database):
    link.set(latency=0.02)
    contents = {f"file {n}": bytes([n]) * 100_000 for n in range(12)}
    for name, content in contents.items():
        write(back.path / name, content)
    said = gridmount("umount", back.path)
    assert (said.returncode, said.stderr) == (0, "")
    assert back.process.wait(1) == 0, "the command came back when all was done"
    assert all_there_is(database) == contents and records(staging) == []


@pytest.mark.timeout(120)
def test_an_unmount_without_the_server_says_what_it_leaves_and_the_next_mount_stores_it(
        link, back, staging, database):
    files = [open(back.path / f"file {n}", "wb", buffering=0) for n in range(2)]
    link.set(stalled=True)
    for file in files:
        assert file.write(b"kept") == 4
        file.close()
    said = gridmount("umount", back.path, timeout=60)
    assert "2 files are not stored yet" in said.stderr and str(staging) in said.stderr
    assert back.end() == 0
    assert len(records(staging)) == 2
    assert "8 bytes written, of 2 closed files and what was open, could not be stored before the end" in back.log()
    assert str(staging) in back.log()
    come_back(link)
    back.start()
    expect_stored(back, staging, database, {f"file {n}": b"kept" for n in range(2)})


@pytest.mark.timeout(120)
def test_a_slow_server_gets_what_it_can_until_the_stop_timeout_and_the_next_mount_brings_the_rest(
        link, through, mount, staging, database):
    mnt = mount(uri=through, options=f"writeback,timeout={LONG},stop_timeout=2,staging_dir={staging}")
    contents = {f"file {n}": bytes([n]) * 500_000 for n in range(16)}
    files = [open(mnt.path / name, "wb", buffering=0) for name in contents]
    link.set(bandwidth=200_000)     # it goes on answering, and has not all of it in half a minute
    for file, content in zip(files, contents.values()):
        assert file.write(content) == len(content)
        file.close()
    began = time.monotonic()
    mnt.process.send_signal(signal.SIGTERM)
    mnt.process.wait(PROMPT)
    assert mnt.end() == 0 and time.monotonic() - began < PROMPT
    assert records(staging) and "could not be stored before the end" in mnt.log()
    link.set(bandwidth=0)
    mnt.start()
    expect_stored(mnt, staging, database, contents)
