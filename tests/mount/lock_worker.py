# SPDX-License-Identifier: Apache-2.0
"""A program that opens and locks files as its test tells it: one call a line on stdin, one answer a line on stdout."""
import errno
import fcntl
import json
import os
import signal
import struct
import sys

FLOCK = "hhqqi"  # struct flock of 64-bit Linux: type, whence, start, length, pid
KINDS = {"shared": fcntl.F_RDLCK, "exclusive": fcntl.F_WRLCK, "none": fcntl.F_UNLCK}
FLOCKS = {"shared": fcntl.LOCK_SH, "exclusive": fcntl.LOCK_EX, "none": fcntl.LOCK_UN}
files = []


def opened(path, flags):
    files.append(os.open(path, flags | os.O_CREAT, 0o644))
    return len(files) - 1


def flocked(file, kind, waits):
    fcntl.flock(files[file], FLOCKS[kind] | (0 if waits else fcntl.LOCK_NB))


def ranged(file, kind, start, length, waits):
    wanted = struct.pack(FLOCK, KINDS[kind], os.SEEK_SET, start, length, 0)
    fcntl.fcntl(files[file], fcntl.F_SETLKW if waits else fcntl.F_SETLK, wanted)


def told(file, kind, start, length):
    """What stands in the way: [its kind, start, length], or None."""
    wanted = struct.pack(FLOCK, KINDS[kind], os.SEEK_SET, start, length, 0)
    what, _, start, length, _ = struct.unpack(FLOCK, fcntl.fcntl(files[file], fcntl.F_GETLK, wanted))
    names = {value: name for name, value in KINDS.items()}
    return None if what == fcntl.F_UNLCK else [names[what], start, length]


def written(file, text, offset=None):
    data = text.encode()
    return os.write(files[file], data) if offset is None else os.pwrite(files[file], data, offset)


def read(file, size=1 << 20):
    return os.pread(files[file], size, 0).decode()


def closed(file):
    os.close(files[file])


def cut(file, length):
    os.ftruncate(files[file], length)


def size(file):
    return os.fstat(files[file]).st_size


def appended(path, number, lines, flags=os.O_APPEND):
    """Adds lines to a file that others add to, each under its lock, through one descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)
    for line in range(lines):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not flags:
            os.lseek(descriptor, 0, os.SEEK_END)
        os.write(descriptor, f"{number} {line}\n".encode())
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


CALLS = {"open": opened, "flock": flocked, "range": ranged, "told": told, "write": written, "read": read,
         "close": closed, "size": size, "cut": cut, "append": appended}


class Interrupted(Exception):
    """A signal came while a call waited."""


def interrupt(*_):
    raise Interrupted


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, interrupt)
    for message in sys.stdin:
        name, *arguments = json.loads(message)
        try:
            answer = ["is", CALLS[name](*arguments)]
        except OSError as error:
            answer = ["fails", errno.errorcode[error.errno]]
        except Interrupted:
            answer = ["fails", "EINTR"]
        print(json.dumps(answer), flush=True)
