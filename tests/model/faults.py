# SPDX-License-Identifier: Apache-2.0
"""Filesystems that are wrong in one way each: what the model must find."""
import errno
import os

from operations import Calls


class LostWrite(Calls):
    """Says that it wrote, and did not, once in a while."""
    def pwrite(self, slot, seed, size, offset):
        return super().pwrite(slot, seed, size, offset) if seed % 8 else size


class FlippedByte(Calls):
    """The last byte of what is closed may change."""
    def close(self, slot):
        path = os.readlink(f"/proc/self/fd/{self.files[slot]}")
        super().close(slot)
        if slot % 4 == 0 and os.path.isfile(path) and os.path.getsize(path):
            times = os.stat(path)
            with open(path, "r+b") as file:
                file.seek(-1, os.SEEK_END)
                last = file.read()
                file.seek(-1, os.SEEK_END)
                file.write(bytes([last[0] ^ 1]))
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


class StaleTail(Calls):
    """What is cut off and grown again shows its old bytes: here, a byte that is not zero."""
    def ftruncate(self, slot, size):
        before = os.fstat(self.files[slot]).st_size
        super().ftruncate(slot, size)
        if size > before:
            os.pwrite(self.files[slot], b"x", size - 1)


class WrongErrno(Calls):
    def rmdir(self, path):
        try:
            super().rmdir(path)
        except OSError as error:
            if error.errno == errno.ENOTEMPTY:
                raise OSError(errno.EBUSY, "") from None
            raise


class LostUnlink(Calls):
    def unlink(self, path):
        if len(path) % 3:
            super().unlink(path)
        else:
            os.lstat(self.at(path))


class RenameOverNothing(Calls):
    """RENAME_NOREPLACE that replaces."""
    def rename(self, old, new, flags):
        super().rename(old, new, flags & ~1)


class CopiedLink(Calls):
    """A hard link that is a copy."""
    def link(self, old, new):
        content = open(self.at(old), "rb").read() if os.path.isfile(self.at(old)) else None
        super().link(old, new)
        if content is not None and not os.path.islink(self.at(old)):
            os.unlink(self.at(new))
            with open(self.at(new), "wb") as file:
                file.write(content)


class LostTime(Calls):
    """Times to the microsecond only."""
    def utime(self, path, accessed, modified):
        super().utime(path, accessed, modified // 1000 * 1000)


class LostAttribute(Calls):
    def set_xattr(self, path, name, value, flags):
        super().set_xattr(path, name, value[:400], flags)


class FilledHole(Calls):
    """A hole that was punched shows data still."""
    def fallocate(self, slot, mode, offset, size):
        if not mode & 2:
            super().fallocate(slot, mode, offset, size)


KINDS = {kind.__name__: kind for kind in Calls.__subclasses__() if kind.__module__ == __name__}
