# SPDX-License-Identifier: Apache-2.0
"""What the tests of POSIX share: kinds of files and how each is made, calls by name, and what they fail with."""
import errno
import os
import socket
import stat

import pytest

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
