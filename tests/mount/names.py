# SPDX-License-Identifier: Apache-2.0
"""The rules of names as the tests know them, written apart from those of the program (fs/store/names.h)."""
import os

ESCAPES = 0xEF00


def stored_name(path):
    """The GridFS filename of a POSIX path: a byte that is not UTF-8 becomes the private-use character U+EFNN.

    Not for paths that have characters U+EF80 to U+EFFF of their own.
    """
    text = os.fsencode(path).decode("utf-8", "surrogateescape")
    return "".join(chr(ESCAPES + ord(c) - 0xDC00) if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)
