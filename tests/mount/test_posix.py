"""The rules of POSIX by area, as pjdfstest asks for them: what each call does, and each errno it may fail with.

With --local they run on a plain directory instead. The whole of pjdfstest runs with --long: see test_pjdfstest.py.
"""
import errno
import itertools
import os
import socket
import stat
import time

import pytest

from operations import EXCHANGE, KEEP_SIZE, NOREPLACE, PUNCH_HOLE, fallocate, renameat2
from users import as_user

pytestmark = pytest.mark.usefixtures("here")
ANN, BEN = 65533, 65532         # users; their groups have the same numbers
LONG, TOO_LONG = "n" * 255, "n" * 256
RW_CREATE = os.O_RDWR | os.O_CREAT


def write(path, content=b"x", mode=0o644):
    descriptor = os.open(path, RW_CREATE | os.O_TRUNC, mode)
    os.fchmod(descriptor, mode)
    os.write(descriptor, content)
    os.close(descriptor)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def directory(path, owner=0, mode=0o755):
    os.mkdir(path)
    os.chmod(path, mode)
    os.chown(path, owner, owner)


def bind(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)


def remount(here):
    os.chdir("/")       # a mount in use as a working directory is busy
    here.remount()
    os.chdir(here.root)


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def fails(expected, call, *arguments, **named):
    with pytest.raises(OSError) as refused:
        call(*arguments, **named)
    got = errno.errorcode.get(refused.value.errno)
    assert got == errno.errorcode[expected], f"{call.__name__}{arguments}"


MAKERS = {
    "regular": write,
    "directory": os.mkdir,
    "fifo": os.mkfifo,
    "symlink": lambda path: os.symlink("target", path),
    "socket": bind,
    "block": lambda path: os.mknod(path, stat.S_IFBLK | 0o644, os.makedev(1, 2)),
    "character": lambda path: os.mknod(path, stat.S_IFCHR | 0o644, os.makedev(1, 2)),
}
TYPES = {"regular": stat.S_ISREG, "directory": stat.S_ISDIR, "fifo": stat.S_ISFIFO, "symlink": stat.S_ISLNK,
         "socket": stat.S_ISSOCK, "block": stat.S_ISBLK, "character": stat.S_ISCHR}
every_kind = pytest.mark.parametrize("kind", MAKERS)
every_kind_but_directories = pytest.mark.parametrize("kind", [kind for kind in MAKERS if kind != "directory"])

# Calls that make or remove what `path` names, or look at it
CREATORS = {
    "open": lambda path: os.close(os.open(path, RW_CREATE | os.O_EXCL)),
    "mkdir": os.mkdir,
    "mkfifo": os.mkfifo,
    "mknod": lambda path: os.mknod(path, stat.S_IFIFO | 0o600),
    "symlink": lambda path: os.symlink("t", path),
    "link": lambda path: os.link("source", path),
    "rename": lambda path: os.rename("source", path),
}
USERS_OF = {
    "open": lambda path: os.close(os.open(path, os.O_RDONLY)),
    "chmod": lambda path: os.chmod(path, 0o600),
    "chown": lambda path: os.chown(path, 1, 1),
    "truncate": lambda path: os.truncate(path, 1),
    "unlink": os.unlink,
    "rmdir": os.rmdir,
    "utimensat": os.utime,
    "link": lambda path: os.link(path, "other"),
    "rename": lambda path: os.rename(path, "other"),
    "stat": os.stat,
}


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
