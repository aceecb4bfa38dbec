# SPDX-License-Identifier: Apache-2.0
"""A program that maps an array and reads it, as those do that load models.

    npy_reader.py whole FILE                     copies all of it in order, a megabyte at a time
    npy_reader.py rows FILE ROW_BYTES COUNT      copies so many different rows of so many bytes, at random

It prints "BYTES ITEMS SECONDS", as the programs in C do; the time begins before the file is opened, when numpy is
loaded.
"""
import random
import sys
import time

import numpy

AT_ONCE = 1 << 20


def whole(array):
    step = max(1, AT_ONCE // array[0].nbytes)
    place = numpy.empty_like(array[:step])
    for first in range(0, len(array), step):
        part = array[first:first + step]
        numpy.copyto(place[:len(part)], part)
    return array.nbytes, len(array)


def chosen_rows(count, of):
    """The same each time, so that others can tell what they need."""
    return random.Random(1).sample(range(of), count)


def rows(array, row_bytes, count):
    array = array.reshape(-1, row_bytes // array.itemsize)
    place = numpy.empty_like(array[0])
    for row in chosen_rows(count, len(array)):
        numpy.copyto(place, array[row])
    return count * place.nbytes, count


def main(mode, path, *numbers):
    start = time.perf_counter()
    array = numpy.load(path, mmap_mode="r")
    size, items = whole(array) if mode == "whole" else rows(array, *map(int, numbers))
    print(size, items, f"{time.perf_counter() - start:.6f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
