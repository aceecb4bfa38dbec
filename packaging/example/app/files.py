# SPDX-License-Identifier: Apache-2.0
"""Files that are replaced while others read them."""

import contextlib
import os
import secrets
from pathlib import Path


@contextlib.contextmanager
def replacing(path):
    """A new file to write. When all of it is written and safe it takes the place of `path`, else it is removed:
    who opens `path` meanwhile reads the old content or the new, never a part."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def list_files(directory):
    """(name, size) of all files below a directory, in the order of their names, without those just being written."""
    root = Path(directory)
    found = []
    for path in sorted(root.rglob("*")):
        if path.name.startswith("."):
            continue
        with contextlib.suppress(FileNotFoundError):  # removed since it was listed
            if path.is_file():
                found.append((path.relative_to(root).as_posix(), path.stat().st_size))
    return found
