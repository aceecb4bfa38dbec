# SPDX-License-Identifier: Apache-2.0
"""A worker of test_pattern.py: resizes what it is named on stdin, and names it on stdout when the result is there."""
import pathlib
import sys

import PIL.Image

SMALL = 40


def resize(storage, name):
    with PIL.Image.open(storage / "uploads" / name) as image:
        image.resize((SMALL, SMALL)).save(storage / "processed" / name)


def main():
    storage = pathlib.Path(sys.argv[1])
    for line in sys.stdin:
        name = line.strip()
        try:
            resize(storage, name)
            print(name, flush=True)
        except OSError as error:    # missing, or torn: Pillow's errors are of this kind
            print(repr(error), flush=True)


if __name__ == "__main__":
    main()
