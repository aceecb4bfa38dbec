# SPDX-License-Identifier: Apache-2.0
"""Files that are whole in cache_dir are read by the kernel itself (FUSE passthrough), where libfuse and the kernel can."""
import contextlib
import errno
import hashlib
import mmap
import os
import pathlib
import random
import subprocess
import sys
import threading

import pytest
from bson import ObjectId

from buckets import CHUNK
from cache_dir import PATIENCE, await_stored, cached, on_disk, place
from mounting import wait_for

MIB = 1 << 20
NAME = "large.bin"
ASKED = ("cache_hits", "cache_misses", "cache_joins", "chunks_fetched", "disk_hits")


@pytest.fixture
def content(bucket, scale):
    data = random.Random(3).randbytes(scale(4 * MIB) + 12345)
    bucket.put(NAME, data)
    return data


@pytest.fixture
def filled(cached, content):
    """All is in cache_dir."""
    mnt = cached("ro")
    fill(mnt, content)
    assert mnt.unmount() == 0
    return content


@pytest.fixture
def passing(cached, filled):
    """A fresh mount on that, of a library and a kernel that can."""
    return able(cached("ro"))


def able(mnt):
    state = mnt.status()["cache_dir"]["passthrough"]
    if not state.startswith("none yet"):
        pytest.skip(f"passthrough {state}")
    return mnt


def fill(mnt, content):
    assert (mnt.path / NAME).read_bytes() == content
    await_stored(mnt, len(content))


def cache_file(place):
    path, = on_disk(place)
    return path


def asked(mnt):
    """What of the content the daemon was asked for."""
    counters = mnt.counters()
    return sum(counters[name] for name in ASKED)


def by_reading(mnt, content, counter):
    """By how much a counter rises."""
    before = mnt.counters()[counter]
    assert (mnt.path / NAME).read_bytes() == content
    return mnt.counters()[counter] - before


def wait_until_passed(mnt, content):
    """The daemon hears of a close after it."""
    wait_for(lambda: by_reading(mnt, content, "opens_passed") > 0, PATIENCE, "passed")


def test_the_daemon_is_not_asked_for_a_byte(passing, filled):
    assert (passing.path / NAME).read_bytes() == filled
    with open(passing.path / NAME, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == filled
        assert os.pread(file.fileno(), 100, len(filled) - 50) == filled[-50:]
        assert os.fstat(file.fileno()).st_size == len(filled)
        with open(passing.path / NAME, "rb") as other:
            assert other.read() == filled
    assert asked(passing) == 0
    assert passing.counters()["opens_passed"] == 3
    assert passing.status()["cache_dir"]["passthrough"] == "used"


def test_what_is_not_passed_is_read_all_the_same_and_status_says_why(cached, filled, place):
    assert cached("ro").status()["cache_dir"]["passthrough"].split(":")[0] in ("none yet", "none")
    mnt = cached("umask=022")
    assert mnt.status()["cache_dir"]["passthrough"] == "none: only with ro, and without locks=cluster"
    assert (mnt.path / NAME).read_bytes() == filled
    with open(mnt.path / NAME, "rb") as reader, open(mnt.path / NAME, "r+b") as writer:
        writer.write(b"changed")
        writer.flush()
        assert reader.read(7) == b"changed"
    assert mnt.counters()["opens_passed"] == 0
    assert mnt.unmount() == 0
    assert any(path.read_bytes() == filled for path in (place / "chunks").iterdir()), "it was written into cache_dir"


def read_directly(path, at, size):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        return os.pread(fd, size, at)
    finally:
        os.close(fd)


@pytest.mark.parametrize("first", ["passed", "directly"])
def test_what_is_read_directly_need_not_be_aligned(passing, filled, first):
    path = passing.path / NAME
    with open(path, "rb") if first == "passed" else contextlib.nullcontext():
        assert read_directly(path, 12345, 777) == filled[12345:12345 + 777]
        assert read_directly(path, len(filled) - 5, 777) == filled[-5:]
        assert asked(passing) > 0
        assert path.read_bytes() == filled
    wait_until_passed(passing, filled)


def forget_pages(path):
    with open(path, "r+b") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_after_a_restart_a_whole_file_is_passed_by_its_first_open_though_memory_has_nothing_of_it(cached, filled, place):
    mnt = able(cached("ro"))
    assert (mnt.path / NAME).read_bytes() == filled
    forget_pages(cache_file(place))
    wait_for(lambda: mnt.counters()["disk_marks"] == 1, 60, "marked")
    assert mnt.unmount() == 0
    forget_pages(cache_file(place))
    mnt = cached("ro")
    assert (mnt.path / NAME).read_bytes() == filled
    assert mnt.counters()["opens_passed"] == 1 and asked(mnt) == 0
    assert mnt.unmount() == 0
    os.utime(cache_file(place))     # whoever changes it takes the mark
    forget_pages(cache_file(place))
    mnt = cached("ro")
    assert (mnt.path / NAME).read_bytes() == filled
    assert mnt.counters()["opens_passed"] == 0 and asked(mnt) > 0


def test_a_mount_that_root_remounts_lets_nobody_write_into_cache_dir(passing, filled, place):
    subprocess.run(["mount", "-i", "-o", "remount,rw", passing.path], capture_output=True)
    with open(passing.path / NAME, "rb") as reader:
        for flags in (os.O_RDWR, os.O_WRONLY, os.O_RDWR | os.O_TRUNC):
            with pytest.raises(OSError) as refused:
                os.open(passing.path / NAME, flags)
            assert refused.value.errno == errno.EROFS
        assert reader.read() == filled
    assert cache_file(place).read_bytes() == filled


def test_what_is_damaged_is_fetched_and_passed_when_it_is_mended(passing, filled, place):
    with open(cache_file(place), "r+b") as file:
        file.seek(CHUNK + 1000)
        byte = file.read(1)[0]
        file.seek(CHUNK + 1000)
        file.write(bytes([byte ^ 4]))
    assert (passing.path / NAME).read_bytes() == filled
    counters = passing.counters()
    assert counters["opens_passed"] == 0 and counters["chunks_fetched"] == 1 and counters["disk_damaged"] >= 1
    wait_for(lambda: cache_file(place).read_bytes() == filled, PATIENCE, "mended")
    wait_until_passed(passing, filled)


def test_an_open_file_keeps_its_revision_and_the_next_open_has_the_new_one(passing, filled, bucket):
    with open(passing.path / NAME, "rb") as old:
        assert old.read(10) == filled[:10]
        bucket.put(NAME, b"new" * 100000)
        with open(passing.path / NAME, "rb") as new:
            assert new.read() == b"new" * 100000
            old.seek(0)
            assert old.read() == filled
    assert passing.counters()["opens_passed"] == 1


def test_with_verify_a_file_is_passed_once_it_was_found_sound(cached, bucket):
    data, files_id = random.Random(5).randbytes(3 * MIB), ObjectId()
    bucket.insert(NAME, data, _id=files_id, metadata={"sha256": hashlib.sha256(data).hexdigest(), "posix": {"rev": files_id}})
    mnt = cached("ro")
    fill(mnt, data)
    assert mnt.unmount() == 0
    mnt = able(cached("ro,verify"))
    assert (mnt.path / NAME).read_bytes() == data
    counters = mnt.counters()
    assert (counters["opens_passed"], counters["sound_reads"], counters["chunks_fetched"]) == (0, 1, 0)
    wait_until_passed(mnt, data)
    assert mnt.counters()["sound_reads"] == 1


def test_reads_go_on_when_the_cached_file_is_removed(passing, filled, place):
    with open(passing.path / NAME, "rb") as file:
        assert file.read(10) == filled[:10]
        for path in (place / "chunks").iterdir():
            path.unlink()
        with open(passing.path / NAME, "rb") as other:     # while it is passed
            assert other.read() == filled
        file.seek(0)
        assert file.read() == filled
    assert asked(passing) == 0
    wait_for(lambda: by_reading(passing, filled, "chunks_fetched") > 0, PATIENCE, "passed no more")


def test_a_file_that_is_open_otherwise_is_passed_once_it_is_closed(passing, filled, place, cached):
    assert passing.unmount() == 0
    for path in (place / "chunks").iterdir():
        path.unlink()
    mnt = cached("ro")
    with open(mnt.path / NAME, "rb") as first:
        fill(mnt, filled)
        with open(mnt.path / NAME, "rb") as second:
            assert second.read() == filled
        assert first.read() == filled
        assert mnt.counters()["opens_passed"] == 0
    wait_until_passed(mnt, filled)


# Asks for nothing but that open.
OPENING = """
import os, sys
path = os.open(sys.argv[1], os.O_PATH)
print(flush=True)
input()
os.open(f"/proc/self/fd/{path}", os.O_RDONLY)
"""


def test_an_open_that_nobody_waits_for_any_more_is_taken_back(cached, content, link, through):
    mnt = able(cached("ro", uri=through))
    fill(mnt, content)
    assert mnt.unmount() == 0
    mnt = able(cached("ro", uri=through, settings={"MALLOC_PERTURB_": "165"}))
    with subprocess.Popen([sys.executable, "-c", OPENING, mnt.path / NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as program:
        assert program.stdout.readline()
        link.set(stalled=True)
        program.stdin.write("\n")
        program.stdin.flush()
        wait_for(lambda: "wait" in pathlib.Path(f"/proc/{program.pid}/wchan").read_text(), PATIENCE, "an open that waits")
        program.kill()
    link.set(stalled=False)
    wait_for(lambda: mnt.counters()["opens_passed"] == 1, PATIENCE, "answered too late")
    wait_until_passed(mnt, content)


def test_many_at_once_open_close_and_lose_it_and_no_byte_is_wrong(passing, filled, place):
    wrong, over = [], threading.Event()

    def read(seed):
        dice = random.Random(seed)
        for _ in range(60):
            at = dice.randrange(len(filled))
            try:
                with open(passing.path / NAME, "rb", buffering=0) as file:
                    piece = os.pread(file.fileno(), 300000, at)
            except OSError as error:
                wrong.append(error)
                return
            if piece != filled[at:at + len(piece)] or not piece:
                wrong.append(at)

    def remove():
        while not over.wait(0.02):
            for path in (place / "chunks").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    remover = threading.Thread(target=remove)
    for thread in (*readers, remover):
        thread.start()
    for thread in readers:
        thread.join()
    over.set()
    remover.join()
    assert not wrong
