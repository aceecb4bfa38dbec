# SPDX-License-Identifier: Apache-2.0
"""cache_dir: what was fetched is found on disk by the next mount, and whatever happens to the disk costs a fetch, no more."""
import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading

import pytest

from buckets import CHUNK
from cache_dir import PATIENCE, await_stored, cached, on_disk, place
from mounting import MountFailed, force_unmount, wait_for

MIB = 1 << 20


def chunks_in(size):
    return -(-size // CHUNK)


@pytest.fixture
def files(bucket, scale):
    """{name: content}: a large one and some small ones."""
    dice = random.Random(5)
    contents = {"large.bin": dice.randbytes(scale(4 * MIB) + 12345)}
    contents |= {f"d/f{n}": dice.randbytes(3000 + n) for n in range(5)}
    for name, data in contents.items():
        bucket.put(name, data)
    return contents


def read_all(mnt, files):
    for name, data in files.items():
        assert (mnt.path / name).read_bytes() == data, name


def fill(mnt, files):
    """Reads all, and waits until it is on disk."""
    read_all(mnt, files)
    await_stored(mnt, sum(map(len, files.values())))


def kill(mnt):
    mnt.process.kill()
    assert mnt.end() == -signal.SIGKILL
    mnt.expected_exit = -signal.SIGKILL
    force_unmount(mnt.path)


def read_until_it_fails(path):
    try:
        while path.read_bytes():
            pass
    except OSError:
        pass


def test_without_it_nothing_is_kept_and_with_it_nothing_is_fetched_twice(mount, cached, files, place):
    mnt = mount()
    read_all(mnt, files)
    assert "cache_dir" not in mnt.status() and not place.exists()
    assert not any(count for name, count in mnt.counters().items() if name.startswith("disk_"))
    mnt = cached()
    fill(mnt, files)
    assert mnt.status()["cache_dir"]["path"] == str(place / "chunks")
    assert len(on_disk(place)) == len(files)
    other = cached()    # while that one is still there
    read_all(other, files)
    counters = other.counters()
    assert counters["chunks_fetched"] == 0 and counters["disk_misses"] == 0, counters
    assert counters["disk_hits"] == sum(chunks_in(len(data)) for data in files.values())
    assert counters["disk_bytes"] == sum(map(len, files.values()))


def test_what_a_killed_mount_had_fetched_is_found_and_no_byte_is_wrong(cached, files):
    mnt = cached()
    small = {name: data for name, data in files.items() if name.startswith("d/")}
    fill(mnt, small)
    stored = mnt.counters()["disk_bytes_stored"]
    reader = threading.Thread(target=read_until_it_fails, args=(mnt.path / "large.bin",))
    reader.start()
    try:
        wait_for(lambda: mnt.counters()["disk_bytes_stored"] > stored, PATIENCE, "some of it stored")
    finally:
        kill(mnt)
        reader.join()
    mnt = cached()
    read_all(mnt, files)
    assert mnt.counters()["chunks_fetched"] < chunks_in(len(files["large.bin"]))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_mounts_that_are_killed_again_and_again_leave_no_wrong_byte(cached, bucket, place):
    seed = int(os.environ.get("GRIDMOUNT_TEST_SEED", "0")) or random.randrange(1 << 30)
    print(f"GRIDMOUNT_TEST_SEED={seed}")
    dice = random.Random(seed)
    files = {f"f{n}": dice.randbytes(dice.randrange(1, 8 * MIB)) for n in range(10)}
    for name, data in files.items():
        bucket.put(name, data)
    hits = 0
    for number in range(50):
        if place.exists() and number % 10 == 0:
            shutil.rmtree(place)
        mnt = cached(options=f"cache_disk={dice.choice([16, 32, 1024])}M")
        timer = threading.Timer(dice.uniform(0, 0.3), mnt.process.kill)
        timer.start()
        try:
            while True:
                name = dice.choice(list(files))
                assert (mnt.path / name).read_bytes() == files[name], name
                hits += mnt.counters()["disk_hits"] > 0
        except OSError:
            pass
        timer.join()
        assert mnt.end() == -signal.SIGKILL
        mnt.expected_exit = -signal.SIGKILL
        force_unmount(mnt.path)
    assert hits


def test_what_the_disk_has_turned_into_something_else_is_fetched(cached, files, place):
    mnt = cached()
    fill(mnt, files)
    assert mnt.unmount() == 0
    dice = random.Random(9)
    for path in on_disk(place):
        with open(path, "r+b") as file:
            at = dice.randrange(3000)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << dice.randrange(8)]))
    mnt = cached()
    read_all(mnt, files)
    counters = mnt.counters()
    assert counters["disk_damaged"] == len(files)
    assert 0 < counters["disk_hits"] <= chunks_in(len(files["large.bin"])) - 1


def test_what_was_replaced_is_not_found(cached, bucket, files):
    mnt = cached()
    bucket.put("mine", b"a" * 1000, _id="mine")
    fill(mnt, files | {"mine": b"a" * 1000})
    bucket.put("large.bin", b"new" * 1000)
    (mnt.path / "d/f0").write_bytes(b"newer")
    bucket.delete("mine")
    bucket.put("mine", b"b" * 1000, _id="mine")    # the same _id, length and n
    assert mnt.unmount() == 0
    read_all(cached(), files | {"large.bin": b"new" * 1000, "d/f0": b"newer", "mine": b"b" * 1000})


def test_with_the_server_away_an_open_file_is_read_from_disk(cached, files, link, through):
    mnt = cached(uri=through)
    fill(mnt, files)
    assert mnt.unmount() == 0
    mnt = cached(uri=through, options="timeout=20")
    with open(mnt.path / "large.bin", "rb", buffering=0) as file:
        link.set(refusing=True)
        link.cut()
        assert file.read() == files["large.bin"]
        link.set(refusing=False)


def test_reads_go_on_when_it_is_removed(cached, files, place):
    mnt = cached()
    fill(mnt, {"d/f0": files["d/f0"]})
    shutil.rmtree(place)
    read_all(mnt, files)
    wait_for(lambda: mnt.status()["cache_dir"]["state"] != "ok", PATIENCE, "it is said in status")
    read_all(mnt, files)
    assert mnt.log().count("nothing is kept there") == 1
    assert mnt.status()["state"] == "ok"


@pytest.fixture
def disk(place):
    """A file system of its own of 3 MiB for the cache, to be changed by disk("remount,ro")."""
    place.mkdir()

    def change(options):
        subprocess.run(["mount", "-o", options, place], check=True)

    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3M,mode=700", "none", place], capture_output=True).returncode:
        pytest.skip("mounts a tmpfs: root only")
    yield change
    subprocess.run(["umount", "-l", place], check=True)


def taken(place):
    """What the files take, as long as they are there."""
    total = 0
    for path in (place / "chunks").iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_blocks * 512
    return total


def free_bytes(place):
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize


def test_reads_go_on_when_it_becomes_read_only(cached, files, disk):
    small = {name: data for name, data in files.items() if name.startswith("d/")}
    mnt = cached()
    fill(mnt, small)
    assert mnt.unmount() == 0
    mnt = cached()
    disk("remount,ro")
    read_all(mnt, files)
    wait_for(lambda: mnt.status()["cache_dir"]["state"] == "Read-only file system", PATIENCE, "it is said in status")
    assert mnt.counters()["disk_hits"] == len(small)
    assert mnt.unmount() == 0
    mnt = cached()      # one that was never other than read-only
    read_all(mnt, files)
    assert mnt.counters()["disk_hits"] == len(small)


def test_it_does_not_fill_the_disk(cached, files, disk, place):
    least = 2900 << 10
    mnt = cached(options=f"cache_free={least >> 10}K")
    read_all(mnt, files)
    wait_for(lambda: mnt.status()["cache_dir"]["state"] == "No space left on device", PATIENCE, "it is said in status")
    assert free_bytes(place) >= least
    read_all(mnt, files)


def test_it_takes_no_more_than_it_may(cached, bucket, place):
    dice = random.Random(6)
    most = 2 * MIB
    files = {f"f{n}": dice.randbytes(MIB // 4) for n in range(12)}
    for name, data in files.items():
        bucket.put(name, data, chunk_size=32 << 10)
    mnt = cached(options=f"cache_disk={most >> 20}M")
    for name, data in files.items():
        assert (mnt.path / name).read_bytes() == data
        assert taken(place) <= most
    assert mnt.unmount() == 0
    assert MIB <= taken(place) <= most


@pytest.mark.parametrize("wrong", ["a file", "below the mount"])
def test_what_is_no_place_for_it_is_said(mount, bucket, tmp_path, wrong):
    folder = tmp_path / "file" if wrong == "a file" else tmp_path / "mnt1" / "cache"
    if wrong == "a file":
        folder.write_text("")
    with pytest.raises(MountFailed, match="cache_dir"):
        mount(options=f"cache_dir={folder}")
