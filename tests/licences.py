# SPDX-License-Identifier: Apache-2.0
"""Checks that each source file begins with its licence: python3 tests/licences.py [--add]

--add writes the line where it is missing. What a program reads as its first line ("#!", "#compdef") stays first.
"""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
LINE = "SPDX-License-Identifier: Apache-2.0"
FOLDERS = ["fs", "cache", "tests", "packaging", ".ci"]
NOT_OURS = {"corpus", "__pycache__"}
# What a comment begins with, by the end of the file's name.
SIGNS = {"//": (".c", ".h", ".def", ".go"),
         "#": (".py", ".sh", ".awk", ".yaml", ".service", ".bash", ".zsh", "Makefile", "Dockerfile"),
         '.\\"': (".1", ".8")}


def sign(path):
    """None: it is data, or text to read."""
    for found, ends in SIGNS.items():
        if path.name.removesuffix(".in").endswith(ends):
            return found
    return "#" if path.read_bytes()[:2] == b"#!" else None


def sources():
    yield ROOT / "Makefile"
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and not NOT_OURS & set(path.parts) and sign(path):
                yield path


def lacks(path):
    return not any(LINE in line for line in path.read_text().splitlines()[:2])


def add(path):
    lines = path.read_text().splitlines(keepends=True)
    at = 1 if lines and lines[0].startswith(("#!", "#compdef")) else 0
    lines.insert(at, f"{sign(path)} {LINE}\n")
    path.write_text("".join(lines))


def main(arguments):
    found = list(sources())
    missing = [path for path in found if lacks(path)]
    for path in missing:
        if arguments == ["--add"]:
            add(path)
        else:
            print(f"{path.relative_to(ROOT)}: no line {LINE}; make add-licences")
    print(f"licences: {len(found)} source files, {len(missing)} {'added' if arguments else 'missing'}")
    return bool(missing) and not arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
