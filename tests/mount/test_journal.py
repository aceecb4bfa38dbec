# SPDX-License-Identifier: Apache-2.0
"""What could not be stored before a mount ended, however it did: the next one stores it, never over what others did."""
import errno
import pathlib
import random
import signal
import threading
import time

import gridfs
import pytest

from mounting import force_unmount, wait_for

TIMEOUT = 2     # seconds, of the mounts; what is waited for is given far more
LONG = 180      # longer than any of these tests may wait


@pytest.fixture
def staging(tmp_path):
    return tmp_path / "staging"


@pytest.fixture
def options():
    """More of them for `away`; a test may set them."""
    return ""


@pytest.fixture
def away(through, mount, staging, options):
    """A mount of which the server can be made unreachable."""
    return mount(uri=through, options=f"timeout={TIMEOUT},staging_dir={staging},{options}")


def go_away(link):
    link.set(refusing=True)
    link.cut()


def close_in_vain(*files):
    for file in files:
        with pytest.raises(OSError):
            file.close()


def kill(mnt):
    mnt.process.kill()
    assert mnt.end() == -signal.SIGKILL
    force_unmount(mnt.path)


def records(staging):
    return list(pathlib.Path(staging).glob("*/*.record"))


def expect_all_stored(mnt, staging):
    wait_for(lambda: mnt.counters()["unsaved_files"] == 0, 50, "everything stored")
    assert records(staging) == []


def all_there_is(database, prefix=""):
    """{name: newest content}, as pymongo reads it."""
    files = gridfs.GridFS(database)
    return {name: files.get_last_version(name).read() for name in files.list() if name.startswith(prefix)}


@pytest.mark.timeout(150)
def test_what_a_killed_mount_could_not_store_is_stored_by_the_next(link, bucket, away, database, staging):
    for name in ("kept", "replaced"):
        bucket.put(name, b"before " + name.encode())
    files = [open(away.path / name, "r+b", buffering=0) for name in ("kept", "replaced")]
    files += [open(away.path / "new", "wb", buffering=0), open(away.path / "claimed", "xb", buffering=0)]
    for file in files:
        assert file.write(b"OURS") == 4
    go_away(link)
    close_in_vain(*files)
    assert len(records(staging)) == 4
    kill(away)
    bucket.put("replaced", b"theirs")
    assert database["fs.gridmount.locks"].delete_one({"_id": "claimed"}).deleted_count == 1, "as if it had run out"

    link.set(refusing=False)
    away.start()
    expect_all_stored(away, staging)
    assert away.counters()["recovered_files"] == 1
    stored = all_there_is(database)
    beside = {name: stored.pop(name) for name in list(stored) if ".recovered-" in name}
    assert stored == {"kept": b"OURSre kept", "replaced": b"theirs", "new": b"OURS", "claimed": b"OURS"}
    assert [name.partition(".recovered-")[0] for name in beside] == ["replaced"]
    assert list(beside.values()) == [b"OURSre replaced"]
    for name, content in (stored | beside).items():
        assert (away.path / name).read_bytes() == content
    assert "is stored now" in away.log() and "replaced.recovered-" in away.log()


@pytest.mark.timeout(120)
def test_what_an_unmounted_mount_could_not_store_is_stored_by_the_next(link, away, database, staging):
    file = open(away.path / "new", "wb", buffering=0)
    assert file.write(b"OURS") == 4
    go_away(link)
    close_in_vain(file)
    assert away.unmount() == 0
    assert len(records(staging)) == 1 and "could not be stored before the end" in away.log()
    link.set(refusing=False)
    away.start()
    expect_all_stored(away, staging)
    assert all_there_is(database) == {"new": b"OURS"}


def tell_to_end(mnt):
    """It may take a while, but nothing like the time that the server has for an answer."""
    mnt.process.send_signal(signal.SIGTERM)
    mnt.process.wait(LONG / 3)
    assert mnt.end() == 0


@pytest.fixture
def patient(through, mount, staging):
    """A mount that would wait for an answer for longer than anybody waits for the mount."""
    return mount(uri=through, options=f"timeout={LONG},staging_dir={staging}")


@pytest.mark.timeout(150)
@pytest.mark.parametrize("fault", [{"stalled": True}, {"refusing": True}], ids=["silent", "absent"])
def test_what_no_program_has_closed_is_kept_when_a_signal_ends_the_mount_of_a_server_that_does_not_answer(
        link, patient, database, staging, fault):
    file = open(patient.path / "new", "wb", buffering=0)
    assert file.write(b"OURS") == 4
    link.set(**fault)
    if "refusing" in fault:
        link.cut()
    tell_to_end(patient)
    record, = records(staging)
    assert f"4 bytes written, of 0 closed files and what was open, could not be stored before the end; the next mount " \
        f"with this staging_dir and mountpoint stores them, kept until then in {record.parent}\n" in patient.log()
    with pytest.raises(OSError):
        file.close()
    link.set(stalled=False, refusing=False)
    link.cut()
    patient.start()
    expect_all_stored(patient, staging)
    assert all_there_is(database) == {"new": b"OURS"}


@pytest.mark.timeout(150)
def test_a_put_that_nobody_knows_the_end_of_is_made_again_over_itself(link, patient, database, staging):
    for name in ("other", "old"):
        (patient.path / name).write_bytes(b"before")
    files = [open(patient.path / "new", "wb", buffering=0), open(patient.path / "old", "r+b", buffering=0)]
    for file in files:
        assert file.write(b"OURS") == 4
    link.set(stalled="down")    # what is put may arrive, but no answer comes
    tell_to_end(patient)
    assert len(records(staging)) == 2
    for file in files:
        with pytest.raises(OSError):
            file.close()
    link.set(stalled=False)
    link.cut()
    patient.start()
    expect_all_stored(patient, staging)
    assert all_there_is(database) == {"other": b"before", "old": b"OURSre", "new": b"OURS"}


def test_a_record_that_is_none_is_set_aside_and_the_mount_works(bucket, mount, staging, stored):
    mnt = mount(options=f"staging_dir={staging}")
    folder, = staging.iterdir()
    assert mnt.unmount() == 0
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "0000000000000003.record").write_bytes(b"garbage" * 100)
    (folder / "0000000000000004.new").write_bytes(b"what a process had begun when it died")
    mnt.start()
    wait_for(lambda: mnt.counters()["damaged_records"] == 1, 30, "the record set aside")
    assert [path.name for path in folder.iterdir()] == ["0000000000000003.bad"]
    assert "0000000000000003.bad" in mnt.log() and mnt.counters()["unsaved_files"] == 0
    (mnt.path / "file").write_bytes(b"content")
    assert stored("file") == b"content"


DEAD = (errno.ENOTCONN, errno.ECONNABORTED)


class Writer(threading.Thread):
    """Writes versions of one file until the mount is dead. What may be there then: `sure`, the last version of which a
    close has said something, or what was begun after it. Beside it may be what it had replaced when that arrived late."""

    def __init__(self, path, seed):
        super().__init__()
        self.path, self.dice = path, random.Random(seed)
        self.sure, self.later, self.all, self.failed = None, [], [], 0

    def run(self):
        for number in range(1 << 30):
            content = f"{self.path.name} {number} ".encode() * self.dice.choice([1, 100, 5000, 60000])
            try:
                self.later.append(b"")      # an open that fails may have cut it off
                self.all += [b"", content]
                file = open(self.path, "wb", buffering=0)
                self.later.append(content)
                try:
                    assert file.write(content) == len(content)
                finally:
                    file.close()
            except OSError as error:
                if error.errno in DEAD:
                    return
                self.failed += 1
                if content not in self.later:
                    continue
            self.sure, self.later = content, []


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("options", ["", "writeback"])
def test_mounts_that_are_killed_at_any_moment_lose_nothing_that_a_close_has_answered(
        link, away, database, staging):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    kept = failed = 0
    for number in range(12):
        writers = [Writer(away.path / f"round {number} file {n}", dice.random()) for n in range(4)]
        for writer in writers:
            writer.start()
        for _ in range(dice.randrange(1, 5)):
            time.sleep(dice.random())
            link.set(refusing=dice.random() < 0.7)
            link.cut()
        time.sleep(dice.random() * 2 * TIMEOUT)
        kill(away)
        for writer in writers:
            writer.join(30)
        link.set(refusing=False)
        kept += len(records(staging))
        failed += sum(writer.failed for writer in writers)
        away.start()
        wait_for(lambda: away.counters()["unsaved_files"] == 0, 150, "everything stored")
        assert records(staging) == [] and away.counters()["damaged_records"] == 0
        stored = all_there_is(database, f"round {number} ")
        for writer in writers:
            there = {name: content for name, content in stored.items() if name.startswith(writer.path.name)}
            possible = [writer.sure] + writer.later
            assert not writer.sure or any(content in possible for content in there.values()), "it is lost"
            assert there.pop(writer.path.name, possible[-1]) in possible, "it was replaced by what came before"
            assert all(content in writer.all for content in there.values()), "half a version"
    print(f"{failed} calls failed, {kept} records were recovered")
