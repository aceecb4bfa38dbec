# SPDX-License-Identifier: Apache-2.0
"""The rules of POSIX as pjdfstest asks for them, see test_posix.py: link, unlink, rmdir, rename, symlink."""
import errno
import os
import stat
import time

import pytest

from operations import EXCHANGE, NOREPLACE, renameat2
from posix_calls import (ANN, BEN, MAKERS, directory, every_kind, every_kind_but_directories, fails, read, remount,
                         write)
from users import as_user

pytestmark = pytest.mark.usefixtures("here")


# link

@every_kind_but_directories
def test_link_gives_one_file_two_names(kind):
    MAKERS[kind]("a")
    os.link("a", "b", follow_symlinks=False)
    one, other = os.lstat("a"), os.lstat("b")
    assert one == other and one.st_nlink == 2
    if kind != "symlink":
        os.chmod("b", 0o640)
        os.chown("b", 12, 34)
        found = os.lstat("a")
        assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o640, 12, 34)
    os.unlink("a")
    assert os.lstat("b").st_nlink == 1
    fails(errno.ENOENT, os.lstat, "a")


@every_kind_but_directories
def test_names_of_one_file_share_its_attributes(kind, here):
    MAKERS[kind]("a")
    os.link("a", "b", follow_symlinks=False)
    remount(here)
    assert os.lstat("a") == os.lstat("b")       # what is known of one name is out of date with the other's change
    for number, name in enumerate(("a", "b"), 1):
        os.chown(name, 12 + number, 34, follow_symlinks=False)
        os.utime(name, ns=(5, number), follow_symlinks=False)
        for _ in range(2):
            for path in ("a", "b"):
                found = os.lstat(path)
                assert (found.st_uid, found.st_gid, found.st_mtime_ns) == (12 + number, 34, number)
            remount(here)
    os.rename("a", "c")
    renameat2("b", "c", EXCHANGE)
    remount(here)
    assert os.lstat("b") == os.lstat("c") and os.lstat("b").st_nlink == 2


def test_link_refuses_directories_and_what_is_not_there():
    os.mkdir("d")
    fails(errno.EPERM, os.link, "d", "x")
    fails(errno.ENOENT, os.link, "absent", "x")


def test_link_changes_the_ctime_and_not_the_mtime():
    write("a")
    os.utime("a", ns=(1, 1))
    before = os.stat("a").st_ctime_ns
    time.sleep(0.02)
    os.link("a", "b")
    assert os.stat("a").st_ctime_ns > before and os.stat("a").st_mtime_ns == 1


def test_link_of_a_new_file_that_is_renamed_while_it_is_open():
    first = os.open("a", os.O_RDONLY | os.O_CREAT, 0o644)
    os.rename("a", "b")
    second = os.open("b", os.O_RDWR | os.O_TRUNC)
    os.link("b", "c")
    assert os.stat("b").st_nlink == os.stat("c").st_nlink == os.fstat(first).st_nlink == 2
    for descriptor in (first, second):
        os.close(descriptor)
    assert os.stat("b").st_nlink == 2 and os.stat("b").st_ino == os.stat("c").st_ino


# unlink and rmdir

@every_kind_but_directories
def test_unlink_removes_any_kind_but_directories(kind):
    MAKERS[kind]("x")
    os.utime(".", ns=(1, 1))
    os.unlink("x")
    fails(errno.ENOENT, os.lstat, "x")
    assert os.stat(".").st_mtime_ns > 1
    os.mkdir("d")
    fails(errno.EISDIR, os.unlink, "d")


def test_an_unlinked_open_file_lives_until_it_is_closed():
    write("f", b"content")
    descriptor = os.open("f", os.O_RDWR)
    os.unlink("f")
    assert os.fstat(descriptor).st_nlink == 0
    assert os.pread(descriptor, 10, 0) == b"content"
    os.pwrite(descriptor, b"CON", 0)
    os.ftruncate(descriptor, 5)
    assert os.pread(descriptor, 10, 0) == b"CONte"
    assert os.listdir(".") == []
    write("f", b"another")
    assert os.pread(descriptor, 10, 0) == b"CONte"
    os.close(descriptor)
    assert read("f") == b"another"


@every_kind
def test_rmdir_removes_empty_directories_only(kind):
    os.mkdir("d")
    MAKERS[kind]("d/x")
    fails(errno.ENOTEMPTY, os.rmdir, "d")
    fails(errno.EINVAL, os.rmdir, "d/.")
    assert os.listdir("d") == ["x"]
    if kind != "directory":
        fails(errno.ENOTDIR, os.rmdir, "d/x")
        os.unlink("d/x")
    else:
        fails(errno.ENOTEMPTY, os.rmdir, "d/x/..")
        os.rmdir("d/x")
    os.rmdir("d")
    fails(errno.ENOENT, os.lstat, "d")


def test_directories_count_their_subdirectories_as_links():
    os.mkdir("d")
    os.mkdir("e")
    assert os.stat("d").st_nlink == 2
    os.mkdir("d/sub")
    write("d/file")
    assert os.stat("d").st_nlink == 3
    inode = os.stat("d").st_ino
    assert os.stat("d/sub/..").st_ino == inode
    os.rename("d/sub", "e/sub")
    assert (os.stat("d").st_nlink, os.stat("e").st_nlink) == (2, 3)
    assert os.stat("e/sub/..").st_ino == os.stat("e").st_ino
    os.rmdir("e/sub")
    assert os.stat("e").st_nlink == 2


# rename

@every_kind
def test_rename_keeps_what_it_renames(kind):
    MAKERS[kind]("a")
    before = os.lstat("a")
    os.mkdir("d")
    os.rename("a", "d/b")
    after = os.lstat("d/b")
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)
    assert os.listdir(".") == ["d"]


@pytest.mark.parametrize("source", MAKERS)
@pytest.mark.parametrize("target", MAKERS)
def test_rename_onto_each_kind(source, target):
    MAKERS[source]("a")
    MAKERS[target]("b")
    inode = os.lstat("a").st_ino
    if source == "directory" != target:
        fails(errno.ENOTDIR, os.rename, "a", "b")
    elif target == "directory" != source:
        fails(errno.EISDIR, os.rename, "a", "b")
    else:
        os.rename("a", "b")
        assert os.listdir(".") == ["b"] and os.lstat("b").st_ino == inode


def test_rename_refuses_what_would_lose_or_loop():
    os.makedirs("d/sub")
    os.mkdir("full")
    write("full/x")
    fails(errno.EINVAL, os.rename, "d", "d/sub/d")
    fails(errno.ENOTEMPTY, os.rename, "d", "full")
    fails(errno.ENOENT, os.rename, "absent", "x")
    for path in (".", "d/.", "d/.."):
        with pytest.raises(OSError) as refused:
            os.rename(path, "x")
        assert refused.value.errno in (errno.EINVAL, errno.EBUSY)
    assert os.listdir("full") == ["x"]


def test_rename_of_one_link_onto_another_does_nothing():
    write("a")
    os.link("a", "b")
    os.rename("a", "b")
    assert sorted(os.listdir(".")) == ["a", "b"] and os.stat("a").st_nlink == 2


@pytest.mark.parametrize("is_open", [False, True])
def test_renames_of_hard_links_onto_each_other_mix_up_nothing(here, is_open):
    handles = []
    for name in ("a", "b"):
        write(name, name.encode())
        if is_open:
            handles.append(os.open(name, os.O_RDWR))
        os.link(name, name + "2")
    os.rename("a", "x")
    os.rename("b2", "x")
    os.rename("x", "b2")
    for _ in range(2):
        assert sorted(os.listdir(".")) == ["a2", "b", "b2"]
        assert {name: read(name) for name in ("a2", "b", "b2")} == {"a2": b"a", "b": b"b", "b2": b"b"}
        assert [os.stat(name).st_nlink for name in ("a2", "b", "b2")] == [1, 2, 2]
        while handles:
            os.close(handles.pop())
        remount(here)


def test_rename_onto_an_open_file_leaves_it_to_its_handle():
    write("old", b"old")
    write("new", b"new")
    descriptor = os.open("old", os.O_RDWR)
    os.rename("new", "old")
    assert os.pread(descriptor, 10, 0) == b"old" and os.fstat(descriptor).st_nlink == 0
    os.pwrite(descriptor, b"OLDER", 0)
    os.close(descriptor)
    assert read("old") == b"new" and os.listdir(".") == ["old"]


def test_rename_with_flags():
    write("a", b"a")
    write("b", b"b")
    os.makedirs("d/sub")
    fails(errno.EEXIST, renameat2, "a", "b", NOREPLACE)
    fails(errno.ENOENT, renameat2, "a", "absent", EXCHANGE)
    fails(errno.EINVAL, renameat2, "a", "b", EXCHANGE | NOREPLACE)
    fails(errno.EINVAL, renameat2, "d", "d/sub", EXCHANGE)
    inodes = [os.stat(name).st_ino for name in ("a", "b", "d")]
    renameat2("a", "b", EXCHANGE)
    assert (read("a"), read("b")) == (b"b", b"a")
    renameat2("a", "d", EXCHANGE)
    assert os.listdir("a") == ["sub"] and read("d") == b"b"
    assert [os.stat(name).st_ino for name in ("b", "d", "a")] == inodes
    renameat2("b", "c", NOREPLACE)
    assert sorted(os.listdir(".")) == ["a", "c", "d"]


@every_kind
def test_in_a_sticky_directory_only_owners_rename_and_remove(kind):
    remove = os.rmdir if kind == "directory" else os.unlink
    for owner_of_directory, owner, user, allowed in (
            (BEN, BEN, ANN, False), (0, BEN, ANN, False), (0, ANN, ANN, True), (ANN, BEN, ANN, True)):
        directory("d", owner_of_directory, 0o1777)
        MAKERS[kind]("d/x")
        os.chown("d/x", owner, owner, follow_symlinks=False)
        if allowed:
            if kind != "directory" or owner == user:    # moving a directory also writes its ".."
                as_user(user, os.rename, "d/x", "d/y")
            else:
                os.rename("d/x", "d/y")
            as_user(user, remove, "d/y")
        else:
            with pytest.raises(PermissionError):
                as_user(user, os.rename, "d/x", "d/y")
            with pytest.raises(PermissionError):
                as_user(user, remove, "d/x")
            remove("d/x")
        os.rmdir("d")


# symlink

def test_symlinks_hold_what_they_were_given(here):
    targets = ["t", "/absolute/../path", "a" * 1000, "with\nnewline", "日本", "x" * 4095]
    for number, target in enumerate(targets):
        os.symlink(target, f"l{number}")
    remount(here)
    for number, target in enumerate(targets):
        assert os.readlink(f"l{number}") == target
        assert os.lstat(f"l{number}").st_size == len(os.fsencode(target))
    write("t", b"reached")
    assert read("l0") == b"reached"
    fails(errno.EINVAL, os.readlink, "t")
    fails(errno.ENOENT, os.symlink, "", "empty")


def test_the_target_of_a_symlink_is_any_bytes(here):
    os.symlink(b"\xff\xfe", "link")
    assert os.readlink(b"link") == b"\xff\xfe"
