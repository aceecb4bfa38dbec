# SPDX-License-Identifier: Apache-2.0
"""The disk of staging_dir fails while the mount is used: full, read-only, removed. Writers are told, nothing that was
closed is lost, and the mount goes on."""
import errno
import os
import pathlib
import shutil
import subprocess

import pytest

from mounting import wait_for

MIB = 1 << 20
PIECE = os.urandom(MIB)
SMALL = "cache_size=4M"      # a quarter of it is for what is written
TIMEOUT = 2


@pytest.fixture
def disk(tmp_path):
    """A directory on a filesystem of its own, of 8 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M", "none", place], capture_output=True).returncode:
        pytest.skip("no filesystem can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def remount(disk, how):
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)


def write_until_refused(path):
    """What was written of much more than the memory takes, and why no more; closed then."""
    written = 0
    with open(path, "wb", buffering=0) as file:
        with pytest.raises(OSError) as refused:
            while written < 32 * MIB:
                written += file.write(PIECE)
    return written, refused.value.errno


def expect_small_files_work(mnt, stored, name):
    (mnt.path / name).write_bytes(b"content")
    assert stored(name) == b"content" and mnt.counters()["unsaved_files"] == 0


def expect_large_files_work(mnt, stored, name):
    (mnt.path / name).write_bytes(PIECE * 2)
    assert stored(name) == PIECE * 2


@pytest.mark.timeout(120)
def test_a_read_only_staging_directory_takes_no_large_files_until_it_is_writable_again(disk, mount, stored):
    mnt = mount(options=f"staging_dir={disk},{SMALL}")
    expect_large_files_work(mnt, stored, "before")
    remount(disk, "ro")
    written, why = write_until_refused(mnt.path / "big")
    assert why == errno.EIO and "the staging directory fails: Read-only file system" in mnt.log()
    assert stored("big") == (PIECE * 32)[:written], "what was written is as good as ever"
    expect_small_files_work(mnt, stored, "small")
    assert (mnt.path / "before").read_bytes() == PIECE * 2
    remount(disk, "rw")
    expect_large_files_work(mnt, stored, "after")


@pytest.mark.timeout(120)
def test_without_its_staging_directory_a_mount_takes_no_large_files_until_the_next(tmp_path, mount, stored):
    staging = tmp_path / "staging"
    mnt = mount(options=f"staging_dir={staging},{SMALL}")
    with open(mnt.path / "open", "wb", buffering=0) as file:
        for _ in range(2):
            assert file.write(PIECE) == MIB
        shutil.rmtree(staging)
        assert file.write(PIECE) == MIB, "its file goes on without a name"
    assert stored("open") == PIECE * 3
    written, why = write_until_refused(mnt.path / "big")
    assert why == errno.EIO and "the staging directory fails: " in mnt.log()
    assert stored("big") == (PIECE * 32)[:written]
    expect_small_files_work(mnt, stored, "small")
    assert mnt.unmount() == 0
    mnt.start()
    expect_large_files_work(mnt, stored, "after")


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", ["full", "removed"])
def test_what_the_disk_does_not_keep_is_stored_when_the_server_is_back(fault, disk, link, through, mount, stored):
    """Closed with an error, and no room for its record either: it is kept in memory, and the log and status say so."""
    mnt = mount(uri=through, options=f"staging_dir={disk},timeout={TIMEOUT}")
    file = open(mnt.path / "new", "xb", buffering=0)
    assert file.write(PIECE) == MIB
    if fault == "full":
        with pytest.raises(OSError), open(disk / "fill", "wb", buffering=0) as fill:
            while fill.write(PIECE):
                pass
    else:
        for folder in pathlib.Path(disk).iterdir():
            shutil.rmtree(folder)
    link.set(refusing=True)
    link.cut()
    with pytest.raises(OSError):
        file.close()
    wait_for(lambda: mnt.counters()["unsaved_files"] == 1, 30, "it kept")
    assert mnt.counters()["failed_records"] > 0
    assert "not safe from a crash until it is stored" in mnt.log() and mnt.status()["state"] == "degraded"
    link.set(refusing=False)
    wait_for(lambda: mnt.counters()["unsaved_files"] == 0, 50, "it stored")
    assert stored("new") == PIECE == (mnt.path / "new").read_bytes()
