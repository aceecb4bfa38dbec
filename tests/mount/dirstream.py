# SPDX-License-Identifier: Apache-2.0
"""opendir, readdir, telldir, seekdir and rewinddir of libc, which Python does not offer."""
import ctypes
import os


class Entry(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("reclen", ctypes.c_ushort),
                ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]


LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.opendir.restype = ctypes.c_void_p
LIBC.opendir.argtypes = [ctypes.c_char_p]
LIBC.readdir.restype = ctypes.POINTER(Entry)
LIBC.telldir.restype = ctypes.c_long
LIBC.getdents64.restype = ctypes.c_ssize_t
LIBC.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
for function in (LIBC.readdir, LIBC.telldir, LIBC.rewinddir, LIBC.closedir):
    function.argtypes = [ctypes.c_void_p]


def read_some(descriptor, size=2048):
    """The names that one getdents of so few bytes gives; [] at the end. A stream reads thousands at once."""
    buffer = ctypes.create_string_buffer(size)
    got, at, names = LIBC.getdents64(descriptor, buffer, ctypes.c_size_t(size)), 0, []
    if got < 0:
        raise OSError(ctypes.get_errno(), "getdents64")
    while at < got:
        names.append(os.fsdecode(ctypes.string_at(ctypes.addressof(buffer) + at + Entry.name.offset)))
        at += Entry.from_buffer_copy(buffer.raw[at:at + Entry.name.offset].ljust(ctypes.sizeof(Entry))).reclen
    return names


class DirStream:
    """An open directory. Names are str; "." and ".." are given like the others."""

    def __init__(self, path):
        self.stream = LIBC.opendir(os.fsencode(path))
        if not self.stream:
            raise OSError(ctypes.get_errno(), "opendir", str(path))

    def read(self):
        """(name, inode number, DT_ type), or None at the end."""
        ctypes.set_errno(0)
        entry = LIBC.readdir(self.stream)
        if entry:
            found = entry.contents
            return os.fsdecode(found.name), found.ino, found.type
        if ctypes.get_errno():
            raise OSError(ctypes.get_errno(), "readdir")
        return None

    def names(self, limit=None):
        """The names from here on, at most `limit` of them."""
        found = []
        while limit is None or len(found) < limit:
            entry = self.read()
            if entry is None:
                break
            found.append(entry[0])
        return found

    def tell(self):
        return LIBC.telldir(self.stream)

    def seek(self, position):
        LIBC.seekdir(self.stream, position)

    def rewind(self):
        LIBC.rewinddir(self.stream)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        LIBC.closedir(self.stream)
