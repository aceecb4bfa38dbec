# SPDX-License-Identifier: Apache-2.0
"""The calls of the model, made below one root: in a process of its own, or by its `Process` in another.

Every call is a method of Calls that takes numbers, bytes and paths below the root and returns what can be compared:
contents as (length, digest), attributes as Attributes. Files are kept open under numbers ("slots").
"""
import collections
import ctypes
import errno
import fcntl
import hashlib
import mmap
import os
import pickle
import random
import stat
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
NOREPLACE, EXCHANGE = 1, 2
KEEP_SIZE, PUNCH_HOLE = 1, 2
AT_FDCWD = -100
AT_ONCE = 1 << 20

Attributes = collections.namedtuple("Attributes", "mode links owner group size device modified")


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def renameat2(old, new, flags):
    checked(LIBC.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags))


def fallocate(descriptor, mode, offset, size):
    checked(LIBC.fallocate(descriptor, mode, offset, size))


def pattern(seed, size):
    return random.Random(seed).randbytes(size)


def digest(data):
    return len(data), hashlib.blake2b(data, digest_size=16).hexdigest()


def attributes(found):
    """Of a stat result, what a filesystem promises. Sizes, times and links of directories are its own affair; times of
    FIFOs are the kernel's, which does not change them with a write where it is FUSE's."""
    directory = stat.S_ISDIR(found.st_mode)
    timeless = directory or stat.S_ISFIFO(found.st_mode)
    return Attributes(found.st_mode, 0 if directory else found.st_nlink, found.st_uid, found.st_gid, 0 if directory else found.st_size,
                      found.st_rdev, 0 if timeless else found.st_mtime_ns)


def read_whole(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        return b"".join(iter(lambda: os.read(descriptor, AT_ONCE), b""))
    finally:
        os.close(descriptor)


def own_xattrs(path):
    names = [name for name in os.listxattr(path, follow_symlinks=False) if name.startswith("user.t")]
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in sorted(names)}


class Calls:
    def __init__(self, root):
        self.root = os.fsencode(root)
        self.files, self.maps = {}, {}
        os.umask(0o022)

    def at(self, path):
        return self.root + b"/" + path if path else self.root

    def execute(self, name, arguments):
        """("is", the result) or ("fails", the name of the errno)."""
        try:
            return "is", getattr(self, name)(*arguments)
        except OSError as error:
            return "fails", errno.errorcode.get(error.errno, error.errno)
        except ValueError as error:     # Python's own: an empty file to map
            return "fails", str(error)

    # Open files

    def open(self, slot, path, flags, mode):
        # Without O_NONBLOCK a FIFO would wait for its other end.
        self.files[slot] = os.open(self.at(path), flags | os.O_NONBLOCK, mode)

    def dup(self, slot, new):
        self.files[new] = os.dup(self.files[slot])

    def close(self, slot):
        os.close(self.files.pop(slot))

    def read(self, slot, size):
        return digest(os.read(self.files[slot], size))

    def pread(self, slot, size, offset):
        return digest(os.pread(self.files[slot], size, offset))

    def write(self, slot, seed, size):
        return os.write(self.files[slot], pattern(seed, size))

    def pwrite(self, slot, seed, size, offset):
        return os.pwrite(self.files[slot], pattern(seed, size), offset)

    def seek(self, slot, offset, whence):
        return os.lseek(self.files[slot], offset, whence)

    def ftruncate(self, slot, size):
        os.ftruncate(self.files[slot], size)

    def fallocate(self, slot, mode, offset, size):
        fallocate(self.files[slot], mode, offset, size)

    def fsync(self, slot):
        os.fsync(self.files[slot])

    def fdatasync(self, slot):
        os.fdatasync(self.files[slot])

    def fstat(self, slot):
        return attributes(os.fstat(self.files[slot]))

    def identity(self, slot):
        found = os.fstat(self.files[slot])
        return found.st_dev, found.st_ino

    def fchmod(self, slot, mode):
        os.fchmod(self.files[slot], mode)

    def fchown(self, slot, owner, group):
        os.fchown(self.files[slot], owner, group)

    def futime(self, slot, accessed, modified):
        os.utime(self.files[slot], ns=(accessed, modified))

    def flock(self, slot, how):
        fcntl.flock(self.files[slot], how | fcntl.LOCK_NB)

    def lockf(self, slot, how, size, start):
        fcntl.lockf(self.files[slot], how | fcntl.LOCK_NB, size, start)

    def copy_range(self, source, target, size, source_offset, target_offset):
        """copy_file_range may copy less than it was asked for; only the sum is comparable."""
        done = 0
        while done < size:
            copied = os.copy_file_range(self.files[source], self.files[target], size - done,
                                        source_offset + done, target_offset + done)
            if not copied:
                break
            done += copied
        return done

    def sendfile(self, target, source, offset, size):
        done = 0
        while done < size:
            sent = os.sendfile(self.files[target], self.files[source], offset + done, size - done)
            if not sent:
                break
            done += sent
        return done

    def seek_data(self, slot, offset):
        return os.lseek(self.files[slot], offset, os.SEEK_DATA)

    def seek_hole(self, slot, offset):
        return os.lseek(self.files[slot], offset, os.SEEK_HOLE)

    def holds_data(self, slot, offset, size):
        """Whether any byte there is not zero; also of a file that is open for writing only."""
        with open(f"/proc/self/fd/{self.files[slot]}", "rb", buffering=0) as file:
            return any(os.pread(file.fileno(), size, offset))

    # Mappings

    def map(self, slot, number):
        mapped = mmap.mmap(self.files[slot], 0)
        self.maps[number] = mapped, os.dup(self.files[slot])

    def map_write(self, number, seed, size, offset):
        """Within what the mapping and the file now both have: beyond it is a signal, no error.

        Whether it changes times differs between local filesystems, so they are set.
        """
        mapped, descriptor = self.maps[number]
        usable = min(len(mapped), mapped.size())
        data = pattern(seed, max(0, min(size, usable - offset)))
        if data:
            mapped[offset:offset + len(data)] = data
            mapped.flush()
            os.utime(descriptor)
        return len(data)

    def map_read(self, number, size, offset):
        mapped, _ = self.maps[number]
        return digest(mapped[offset:min(offset + size, len(mapped), mapped.size())])

    def unmap(self, number):
        mapped, descriptor = self.maps.pop(number)
        mapped.close()
        os.close(descriptor)

    # Other processes

    def fork_and_exit(self):
        """A child that closes what it inherited, as every forked child does at its end."""
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)

    def fork_and_write(self, slot, seed, size):
        child = os.fork()
        if not child:
            try:
                os.write(self.files[slot], pattern(seed, size))
                os._exit(0)
            except OSError as error:
                os._exit(error.errno)
        return errno.errorcode.get(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    # Names

    def truncate(self, path, size):
        os.truncate(self.at(path), size)

    def unlink(self, path):
        os.unlink(self.at(path))

    def rename(self, old, new, flags):
        renameat2(self.at(old), self.at(new), flags)

    def mkdir(self, path, mode):
        os.mkdir(self.at(path), mode)

    def rmdir(self, path):
        os.rmdir(self.at(path))

    def symlink(self, target, path):
        os.symlink(target, self.at(path))

    def readlink(self, path):
        return os.readlink(self.at(path))

    def link(self, old, new):
        os.link(self.at(old), self.at(new), follow_symlinks=False)

    def mkfifo(self, path, mode):
        os.mkfifo(self.at(path), mode)

    def chmod(self, path, mode):
        os.chmod(self.at(path), mode)

    def chown(self, path, owner, group):
        os.chown(self.at(path), owner, group, follow_symlinks=False)

    def utime(self, path, accessed, modified):
        os.utime(self.at(path), ns=(accessed, modified), follow_symlinks=False)

    def touch(self, path):
        os.utime(self.at(path))

    def set_xattr(self, path, name, value, flags):
        os.setxattr(self.at(path), name, value, flags, follow_symlinks=False)

    def remove_xattr(self, path, name):
        os.removexattr(self.at(path), name, follow_symlinks=False)

    def xattrs(self, path):
        return own_xattrs(self.at(path))

    def listdir(self, path):
        return sorted(os.listdir(self.at(path)))

    def lstat(self, path):
        return attributes(os.lstat(self.at(path)))

    def stat(self, path):
        return attributes(os.stat(self.at(path)))

    def access(self, path, mode):
        return os.access(self.at(path), mode)

    def content(self, path):
        if not stat.S_ISREG(os.lstat(self.at(path)).st_mode):
            return None
        return digest(read_whole(self.at(path)))

    # All of it

    def names(self):
        """Every path, without a look at it."""
        skip = len(self.root) + 1
        return [(folder + b"/" + name)[skip:] for folder, directories, files in os.walk(self.root)
                for name in directories + files]

    def tree(self):
        """Everything below the root: {path: (attributes, content or target, xattrs)}."""
        found = {}
        for folder, directories, files in os.walk(self.root):
            for name in directories + files:
                full = folder + b"/" + name
                found[full[len(self.root) + 1:]] = self.entry(full)
        return found

    @staticmethod
    def entry(full):
        kept = os.lstat(full)
        if stat.S_ISLNK(kept.st_mode):
            return attributes(kept), os.readlink(full), {}
        if stat.S_ISREG(kept.st_mode):
            return attributes(kept), digest(read_whole(full)), own_xattrs(full)
        return attributes(kept), None, own_xattrs(full)


class Process:
    """A process that executes calls below `root`; `fault` names another kind of Calls (see faults.py)."""

    program = os.path.abspath(__file__)

    def __init__(self, root, fault=None):
        command = [sys.executable, self.program, os.fspath(root), *([fault] if fault else [])]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, name, *arguments):
        pickle.dump((name, arguments), self.process.stdin)
        self.process.stdin.flush()

    def receive(self):
        try:
            return pickle.load(self.process.stdout)
        except EOFError:
            raise AssertionError(f"a process of the model ended: {self.process.wait()}") from None

    def __call__(self, name, *arguments):
        self.send(name, *arguments)
        return self.receive()

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def serve(calls):
    replies = sys.stdout.buffer
    while True:
        try:
            name, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        # Pickled by name, Attributes is a class of this module also when it is run as a program.
        pickle.dump(calls.execute(name, arguments), replies)
        replies.flush()


if __name__ == "__main__":
    import faults
    import operations
    kind = faults.KINDS[sys.argv[2]] if len(sys.argv) > 2 else operations.Calls
    operations.serve(kind(sys.argv[1]))
