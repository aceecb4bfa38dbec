# SPDX-License-Identifier: Apache-2.0
"""Checks that includes follow the layers: python3 tests/layers.py FOLDER...

A folder may include headers of its own and of the folders listed for it, and no system header of another's library.
Two headers of fs/store/mongo aside, nothing outside may look into it: server.h is its door.
"""
import pathlib
import re
import sys

MAY_USE = {
    "cache/base": [],
    "cache": ["cache/base"],
    "fs/store": ["cache/base"],
    "fs/store/mongo": ["fs/store", "cache/base"],
    "fs/vfs": ["fs/store", "cache", "cache/base"],
    "fs/fuse": ["fs/vfs", "cache", "cache/base"],
    "fs/tools": ["fs", "fs/store", "cache/base"],
    "fs": ["fs/tools", "fs/fuse", "fs/vfs", "fs/store", "fs/store/mongo", "cache", "cache/base"],
}
DOORS = {("fs", "fs/store/mongo"): {"server.h"}, ("fs", "fs/fuse"): {"session.h", "meter.h"}, ("fs", "fs/vfs"): {"vfs.h"},
         ("fs/fuse", "fs/vfs"): {"vfs.h"}, ("fs/tools", "fs"): {"mountpoint.h"},
         ("fs/tools", "fs/store"): {"check.h"}}
LIBRARIES = {"mongoc": ["fs/store/mongo"], "bson": ["fs/store/mongo"], "fuse": ["fs/fuse"],
             "openssl": ["fs/store/mongo", "fs/tools", "cache"], "xxhash": ["cache"], "microhttpd": ["fs"]}
WITH_UTHASH = {"cache", "fs/tools", "fs/store", "fs/store/mongo", "fs/vfs"}


def complaints(folder, file):
    for number, line in enumerate(file.read_text().splitlines(), 1):
        include = re.match(r'\s*#\s*include\s+(["<])([^">]+)', line)
        if not include:
            continue
        quote, name = include.groups()
        place = f"{file}:{number}: "
        if quote == "<":
            library = re.match(r"[a-z]+", name).group()
            if folder not in LIBRARIES.get(library, [folder]):
                yield place + f"only {' and '.join(LIBRARIES[library])} may use <{name}>"
            if library.startswith("ut") and name in ("uthash.h", "utlist.h") and folder not in WITH_UTHASH:
                yield place + f"{folder} may not use <{name}>"
            continue
        target = str(pathlib.PurePath(name).parent)
        if target != folder and target not in MAY_USE[folder]:
            yield place + f"{folder} may not use {target}"
        elif target != folder:
            doors = DOORS.get((folder, target))
            if doors and pathlib.PurePath(name).name not in doors:
                yield place + f"{folder} may only use {', '.join(sorted(doors))} of {target}"


def main(folders):
    found = [complaint for folder in folders for file in sorted(pathlib.Path(folder).glob("*.[ch]"))
             for complaint in complaints(folder, file)]
    print("\n".join(found) or f"layers: {len(folders)} folders keep their direction")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
