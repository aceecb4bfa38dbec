# SPDX-License-Identifier: Apache-2.0
"""An .npy file mapped by numpy: all of it, and one row in a hundred at random."""
import fill
import npy_reader
from results import Row, interleave
from stage import CannotRun, run_program

MIB = 1 << 20
ROW_BYTES = (65_536, 4_096)
SHARE = 100


def chunks_needed(head, size, row_bytes):
    """How many chunks hold the rows that are read."""
    rows, needed = size // row_bytes, set()
    for row in npy_reader.chosen_rows(rows // SHARE, rows):
        first = head + row * row_bytes
        needed.update(range(first // fill.CHUNK, (first + row_bytes - 1) // fill.CHUNK + 1))
    return len(needed)


def mapped(stage):
    mib = stage.sizes["array"]
    size, name = mib * MIB, fill.array(stage, mib)
    head, times = len(fill.array_head(size)), {}

    def read(program, *arguments):
        with stage.mounted("arrays") as mount:
            size_read, _, seconds = run_program(program, *arguments, mount.path / name)
        if size_read < size:
            raise CannotRun(f"{size_read} bytes were read of {name}")
        return size_read / seconds / MIB

    def read_rows(row_bytes):
        """Bytes fetched, for each byte of the chunks that hold the rows."""
        with stage.mounted("arrays") as mount:
            before = mount.counters()["chunk_bytes_fetched"]
            _, rows, seconds = run_program("npy_reader.py", "rows", mount.path / name, row_bytes,
                                           size // row_bytes // SHARE)
            fetched = mount.counters()["chunk_bytes_fetched"] - before
        times.setdefault(row_bytes, []).append(seconds)
        return fetched / (chunks_needed(head, size, row_bytes) * fill.CHUNK)

    values = interleave(min(stage.rounds, 3), {
        "mmap": lambda: read("npy_reader.py", "whole"), "read": lambda: read("path_reader", "sequential"),
        **{row_bytes: lambda row_bytes=row_bytes: read_rows(row_bytes) for row_bytes in ROW_BYTES}})
    what = f"{mib / 1024:g} GiB .npy by numpy's mmap, cold"
    yield Row(f"{what}, all", "MiB/s", values["mmap"], "read() of it", values["read"], at_least=0.8,
              more_is_better=True)
    for row_bytes in ROW_BYTES:
        rows = f"{what}, 1 % of its rows of {row_bytes >> 10} KiB at random"
        yield Row(rows, "bytes fetched per byte of their chunks", values[row_bytes], at_most=3)
        yield Row(rows, "s", times[row_bytes])
