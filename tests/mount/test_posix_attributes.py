# SPDX-License-Identifier: Apache-2.0
"""The rules of POSIX as pjdfstest asks for them, see test_posix.py: chmod, chown, utimensat, truncate, fallocate."""
import errno
import os
import time

import pytest

from operations import KEEP_SIZE, PUNCH_HOLE, fallocate
from posix_calls import ANN, BEN, MAKERS, RW_CREATE, every_kind, fails, mode_of, read, remount, write
from users import as_user

pytestmark = pytest.mark.usefixtures("here")


# chmod and chown

@pytest.mark.parametrize("kind", ["regular", "directory", "fifo", "socket", "block", "character"])
def test_chmod_is_for_the_owner_and_changes_the_ctime(kind):
    MAKERS[kind]("x")
    os.chown("x", ANN, ANN)
    before = os.stat("x").st_ctime_ns
    time.sleep(0.02)
    as_user(ANN, os.chmod, "x", 0o111)
    assert mode_of("x") == 0o111 and os.stat("x").st_ctime_ns > before
    fails(errno.EPERM, as_user, BEN, os.chmod, "x", 0o777)
    assert mode_of("x") == 0o111


def test_chmod_of_all_bits():
    write("f")
    os.mkdir("d")
    for mode in (0, 0o777, 0o1000, 0o2000, 0o4000, 0o7777, 0o644):
        for name in ("f", "d"):
            os.chmod(name, mode)
            assert mode_of(name) == mode


def test_chmod_by_one_who_is_not_in_the_group_drops_setgid():
    write("f")
    os.chown("f", ANN, BEN)
    as_user(ANN, os.chmod, "f", 0o2755)
    assert mode_of("f") == 0o755
    as_user(ANN, os.chmod, "f", 0o2755, groups=[BEN])
    assert mode_of("f") == 0o2755


def test_the_sticky_bit_of_a_file_is_kept():
    write("f")
    os.chmod("f", 0o1644)
    assert mode_of("f") == 0o1644


def test_writing_by_another_than_root_drops_setuid_and_setgid():
    def change():
        with open("f", "r+b") as file:
            file.write(b"y")
    write("f", mode=0o777)
    os.chmod("f", 0o6777)
    as_user(ANN, change)
    assert mode_of("f") == 0o777
    os.chmod("f", 0o6777)
    as_user(ANN, os.truncate, "f", 0)
    assert mode_of("f") == 0o777


@pytest.mark.parametrize("kind", MAKERS)
def test_chown_by_root_sets_owner_and_group(kind):
    MAKERS[kind]("x")
    for user, group, expected in ((123, 456, (123, 456)), (-1, 7, (123, 7)), (8, -1, (8, 7)), (-1, -1, (8, 7))):
        os.chown("x", user, group, follow_symlinks=False)
        found = os.lstat("x")
        assert (found.st_uid, found.st_gid) == expected


def test_chown_by_others_is_to_an_own_group_of_an_own_file():
    write("f")
    os.chown("f", ANN, ANN)
    as_user(ANN, os.chown, "f", -1, BEN, groups=[BEN])
    assert (os.stat("f").st_uid, os.stat("f").st_gid) == (ANN, BEN)
    fails(errno.EPERM, as_user, ANN, os.chown, "f", -1, 99)
    fails(errno.EPERM, as_user, ANN, os.chown, "f", BEN, -1)
    fails(errno.EPERM, as_user, BEN, os.chown, "f", BEN, BEN)


def test_chown_by_others_drops_setuid_and_setgid():
    write("f", mode=0o755)
    os.chown("f", ANN, ANN)
    os.chmod("f", 0o6755)
    as_user(ANN, os.chown, "f", -1, BEN, groups=[BEN])
    assert mode_of("f") == 0o755


# utimensat

TIMES = [0, 1, -1, 1_234_567_890_123_456_789, -86_400 * 10**9 * 365 * 10 - 1, (1 << 31) * 10**9 + 5,
         (1 << 32) * 10**9 + 999_999_999]


@every_kind
def test_times_are_kept_to_the_nanosecond(kind, here):
    MAKERS[kind]("x")
    for accessed, modified in zip(TIMES, reversed(TIMES)):
        os.utime("x", ns=(accessed, modified), follow_symlinks=False)
        assert (os.lstat("x").st_atime_ns, os.lstat("x").st_mtime_ns) == (accessed, modified)
    remount(here)
    assert os.lstat("x").st_mtime_ns == TIMES[0]


def test_times_are_set_to_now_by_writers_and_else_by_the_owner():
    write("f", mode=0o666)
    os.utime("f", ns=(1, 1))
    as_user(ANN, os.utime, "f")
    assert abs(os.stat("f").st_mtime - time.time()) < 30
    fails(errno.EPERM, as_user, ANN, os.utime, "f", ns=(1, 1))
    os.chmod("f", 0o644)
    fails(errno.EACCES, as_user, ANN, os.utime, "f")
    os.chown("f", ANN, ANN)
    as_user(ANN, os.utime, "f", ns=(5, 5))
    assert os.stat("f").st_mtime_ns == 5


# truncate

def cut_by_path(size):
    os.truncate("f", size)


def cut_by_handle(size):
    descriptor = os.open("f", os.O_RDWR)
    try:
        os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("cut", [cut_by_path, cut_by_handle])
def test_truncate_cuts_and_grows_with_zeros(cut):
    write("f", b"0123456789")
    for size, content in ((15, b"0123456789\0\0\0\0\0"), (5, b"01234"), (8, b"01234\0\0\0"), (0, b""), (3, b"\0\0\0")):
        os.utime("f", ns=(1, 1))
        cut(size)
        assert read("f") == content
        assert os.stat("f").st_size == size and os.stat("f").st_mtime_ns > 1
    fails(errno.EINVAL, cut, -1)


def test_emptying_an_empty_file_is_a_change_of_it(here):
    write("f", b"")
    os.utime("f", ns=(1, 1))
    os.close(os.open("f", os.O_WRONLY | os.O_TRUNC))
    assert os.stat("f").st_mtime_ns > 1
    remount(here)
    assert os.stat("f").st_mtime_ns > 1


def test_truncate_refuses_what_it_may_not():
    os.mkdir("d")
    os.mkfifo("fifo")
    write("f", mode=0o444)
    fails(errno.EISDIR, os.truncate, "d", 0)
    fails(errno.EINVAL, os.truncate, "fifo", 0)
    fails(errno.EACCES, as_user, ANN, os.truncate, "f", 0)
    descriptor = os.open("f", os.O_RDONLY)
    fails(errno.EINVAL, os.ftruncate, descriptor, 0)
    os.close(descriptor)


def test_a_handle_truncates_although_the_mode_no_longer_lets_it():
    os.chmod(".", 0o777)

    def create_and_cut():
        descriptor = os.open("f", RW_CREATE, 0)
        os.ftruncate(descriptor, 123)
        os.close(descriptor)
    as_user(ANN, create_and_cut)
    assert os.stat("f").st_size == 123


# posix_fallocate, fallocate

def test_posix_fallocate_grows_and_changes_nothing_that_is_there():
    write("f", b"content")
    descriptor = os.open("f", os.O_RDWR)
    os.posix_fallocate(descriptor, 0, 4)
    assert os.fstat(descriptor).st_size == 7
    os.posix_fallocate(descriptor, 5, 10)
    assert os.pread(descriptor, 100, 0) == b"content" + bytes(8)
    fails(errno.EINVAL, os.posix_fallocate, descriptor, 0, 0)
    fails(errno.EINVAL, os.posix_fallocate, descriptor, -1, 5)
    os.close(descriptor)
    descriptor = os.open("f", os.O_RDONLY)
    fails(errno.EBADF, os.posix_fallocate, descriptor, 0, 1)
    os.close(descriptor)


def test_fallocate_keeps_the_size_and_punches_holes():
    write("f", b"x" * 10_000)
    descriptor = os.open("f", os.O_RDWR)
    fallocate(descriptor, KEEP_SIZE, 0, 50_000)
    assert os.fstat(descriptor).st_size == 10_000
    fallocate(descriptor, KEEP_SIZE | PUNCH_HOLE, 100, 8000)
    fallocate(descriptor, KEEP_SIZE | PUNCH_HOLE, 9990, 8000)
    expected = b"x" * 100 + bytes(8000) + b"x" * 1890 + bytes(10)
    assert os.pread(descriptor, 20_000, 0) == expected
    fails(errno.EOPNOTSUPP, fallocate, descriptor, PUNCH_HOLE, 0, 10)
    os.close(descriptor)
    assert read("f") == expected
