# SPDX-License-Identifier: Apache-2.0
"""The rules of POSIX as pjdfstest asks for them, each errno included: paths, what is made, open.

test_posix_names.py and test_posix_attributes.py have the other areas. With --local they run on a plain directory
instead. The whole of pjdfstest runs with --long: see test_pjdfstest.py.
"""
import errno
import itertools
import os
import stat
import time

import pytest

from posix_calls import (ANN, BEN, CREATORS, LONG, MAKERS, RW_CREATE, TOO_LONG, TYPES, USERS_OF, bind, directory,
                         every_kind, fails, mode_of, read, remount, write)
from users import as_user

pytestmark = pytest.mark.usefixtures("here")


# Paths, for every call

@pytest.mark.parametrize("call", CREATORS)
def test_creators_refuse_what_is_there_and_paths_that_cannot_be(call):
    write("source")
    write("file")
    create = CREATORS[call]
    fails(errno.ENOENT, create, "absent/x")
    fails(errno.ENOTDIR, create, "file/x")
    fails(errno.ENAMETOOLONG, create, TOO_LONG)
    fails(errno.ENAMETOOLONG, create, "/".join(["d" * 200] * 21))
    os.symlink("loop2", "loop1")
    os.symlink("loop1", "loop2")
    fails(errno.ELOOP, create, "loop1/x")
    create(LONG)
    assert LONG in os.listdir(".")
    if call != "rename":
        for kind, make in MAKERS.items():
            make(kind)
            fails(errno.EEXIST, create, kind)


@pytest.mark.parametrize("call", USERS_OF)
def test_users_of_a_path_say_what_is_wrong_with_it(call):
    write("file")
    use = USERS_OF[call]
    fails(errno.ENOENT, use, "absent")
    fails(errno.ENOENT, use, "absent/x")
    fails(errno.ENOTDIR, use, "file/x")
    fails(errno.ENAMETOOLONG, use, TOO_LONG)
    os.symlink("loop2", "loop1")
    os.symlink("loop1", "loop2")
    fails(errno.ELOOP, use, "loop1/x")


@pytest.mark.parametrize("call", CREATORS)
def test_creating_needs_write_and_search_in_the_directory(call):
    """EACCES in both, and then the same call succeeds."""
    directory("d", ANN)
    write("d/source")
    os.chown("d/source", ANN, ANN)

    def create():
        os.chdir("d")
        CREATORS[call]("new")

    def without_search():
        os.stat("d/source")

    os.chmod("d", 0o555)
    fails(errno.EACCES, as_user, ANN, create)
    os.chmod("d", 0o666)
    fails(errno.EACCES, as_user, ANN, without_search)
    os.chmod("d", 0o755)
    as_user(ANN, create)
    assert os.lstat("d/new").st_uid == ANN


@every_kind
def test_removing_needs_write_in_the_directory(kind):
    directory("d", ANN)
    MAKERS[kind]("d/x")
    remove = os.rmdir if kind == "directory" else os.unlink
    os.chmod("d", 0o555)
    fails(errno.EACCES, as_user, ANN, remove, "d/x")
    os.chmod("d", 0o755)
    as_user(ANN, remove, "d/x")
    assert os.listdir("d") == []


# Made things: mode, owner, group and times

@pytest.mark.parametrize("call", ["open", "mkdir", "mkfifo", "mknod"])
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o070, 0])
def test_the_mode_of_what_is_made_is_asked_for_less_the_umask(call, mask):
    def make():
        os.umask(mask)
        {"open": lambda: os.close(os.open("x", RW_CREATE, 0o755)),
         "mkdir": lambda: os.mkdir("x", 0o755),
         "mkfifo": lambda: os.mkfifo("x", 0o755),
         "mknod": lambda: os.mknod("x", stat.S_IFIFO | 0o755)}[call]()
    os.chmod(".", 0o777)
    as_user(ANN, make)
    found = os.lstat("x")
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o755 & ~mask, ANN, ANN)


@pytest.mark.parametrize("call", CREATORS)
def test_making_something_is_a_change_of_its_directory(call):
    write("source")
    os.mkdir("d")
    os.utime("d", ns=(1, 1))
    CREATORS[call]("d/x")
    found = os.stat("d")
    assert abs(found.st_mtime - time.time()) < 30 and abs(found.st_ctime - time.time()) < 30


@every_kind
def test_each_kind_is_what_it_was_made_as(kind, here):
    MAKERS[kind]("x")
    for _ in range(2):
        found = os.lstat("x")
        assert TYPES[kind](found.st_mode)
        assert [entry.name for entry in os.scandir(".")] == ["x"]
        if kind in ("block", "character"):
            assert (os.major(found.st_rdev), os.minor(found.st_rdev)) == (1, 2)
        remount(here)


def test_device_nodes_are_for_root():
    os.chmod(".", 0o777)
    for kind in ("block", "character"):
        fails(errno.EPERM, as_user, ANN, MAKERS[kind], "x")
    as_user(ANN, os.mkfifo, "fifo")


def test_a_setgid_directory_gives_its_group_to_what_is_made_in_it():
    directory("d", mode=0o2777)
    os.chown("d", 0, BEN)
    os.chmod("d", 0o2777)
    as_user(ANN, os.mkdir, "d/sub")
    as_user(ANN, write, "d/file")
    assert os.stat("d/file").st_gid == os.stat("d/sub").st_gid == BEN
    assert mode_of("d/sub") & 0o2000 and not mode_of("d/file") & 0o2000


# open

def test_open_in_each_access_mode_needs_that_permission():
    modes = {os.O_RDONLY: 0o4, os.O_WRONLY: 0o2, os.O_RDWR: 0o6}

    def open_it(flags):
        os.close(os.open("f", flags))

    write("f")
    for shift, (user, group) in {6: (ANN, ANN), 3: (BEN, ANN), 0: (BEN, BEN)}.items():
        os.chown("f", ANN, ANN)
        for bits, (flags, needed) in itertools.product(range(8), modes.items()):
            os.chmod("f", bits << shift)
            if bits & needed == needed:
                as_user(user, open_it, flags, group=group)
            else:
                fails(errno.EACCES, as_user, user, open_it, flags, group=group)


def test_open_with_truncation_needs_write_permission_and_empties():
    write("f", b"content")
    os.chown("f", ANN, ANN)
    os.chmod("f", 0o400)
    fails(errno.EACCES, as_user, ANN, lambda: os.open("f", os.O_RDONLY | os.O_TRUNC))
    assert read("f") == b"content"
    os.chmod("f", 0o600)
    os.utime("f", ns=(1, 1))
    as_user(ANN, lambda: os.close(os.open("f", os.O_WRONLY | os.O_TRUNC)))
    assert read("f") == b"" and os.stat("f").st_mtime_ns > 1


def test_open_of_things_that_cannot_be_opened_so():
    os.mkdir("d")
    os.mkfifo("fifo")
    os.symlink("nowhere", "link")
    bind("socket")
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_RDONLY | os.O_CREAT):
        fails(errno.EISDIR, os.open, "d", flags)
    fails(errno.ENXIO, os.open, "fifo", os.O_WRONLY | os.O_NONBLOCK)
    fails(errno.ENXIO, os.open, "socket", os.O_RDONLY)
    fails(errno.ELOOP, os.open, "link", os.O_RDONLY | os.O_NOFOLLOW)
    fails(errno.EEXIST, os.open, "link", RW_CREATE | os.O_EXCL)
    fails(errno.ENOTDIR, os.open, "fifo", os.O_RDONLY | os.O_DIRECTORY)


def test_what_creates_a_file_may_write_it_whatever_mode_it_gives():
    os.chmod(".", 0o777)

    def create():
        descriptor = os.open("f", RW_CREATE | os.O_EXCL, 0)
        os.write(descriptor, b"written")
        os.close(descriptor)
    as_user(ANN, create)
    assert mode_of("f") == 0 and read("f") == b"written"
    fails(errno.EACCES, as_user, ANN, read, "f")
