# SPDX-License-Identifier: Apache-2.0
"""fsx (the crate, https://crates.io/crates/fsx) on a file of the mount, in four mixes of calls.

FSX names the binary, else it is looked for in build/tools/bin and PATH. FSX_SEEDS and FSX_COUNT set how many seeds,
from FSX_SEED on, and operations of each; with --long they are 20 and 10,000.
"""
import os
import shutil
import subprocess

import pytest

from mounting import ROOT

CALLS = ("close_open", "read", "write", "mapread", "mapwrite", "invalidate", "truncate", "fsync", "fdatasync",
         "posix_fallocate", "punch_hole", "sendfile", "posix_fadvise", "copy_file_range")
PLAIN = {"close_open": 2, "read": 10, "write": 10, "truncate": 5, "fsync": 1, "fdatasync": 1}
MIXES = {
    "plain": PLAIN,
    "mmap": PLAIN | {"mapread": 10, "mapwrite": 10, "invalidate": 2},
    "copy": PLAIN | {"copy_file_range": 10, "sendfile": 10},
    "holes": PLAIN | {"posix_fallocate": 5, "punch_hole": 10, "mapread": 3},
}
# Several chunks, and single calls that cross chunks.
LENGTH, MOST = 900_000, 300_000
SHORT, LONG = {"seeds": 1, "count": 400}, {"seeds": 20, "count": 10_000}


def find_binary():
    return os.environ.get("FSX") or shutil.which("fsx", path=f"{ROOT / 'build/tools/bin'}:{os.environ['PATH']}")


@pytest.fixture
def fsx(tmp_path):
    """fsx(file, mix, seed, count): runs it to its end; what it said, should it have failed."""
    binary = find_binary()
    if not binary:
        pytest.skip("fsx is not here: cargo install fsx --version 0.3.2 --root build/tools, or name it with FSX=")

    def run(file, mix, seed, count):
        weights = "".join(f"{call} = {MIXES[mix].get(call, 0)}\n" for call in CALLS)
        settings = tmp_path / "fsx.toml"
        settings.write_text(f"flen = {LENGTH}\n[opsize]\nmax = {MOST}\n[weights]\n{weights}")
        done = subprocess.run([binary, "-f", settings, "-N", str(count), "-S", str(seed), "-P", tmp_path, file],
                              capture_output=True, text=True, check=False)
        return None if done.returncode == 0 else f"seed {seed}: {(done.stdout + done.stderr)[-3000:]}"
    return run


def check(place, fsx, mix, seeds, count):
    first = int(os.environ.get("FSX_SEED", 1))
    for seed in range(first, first + int(os.environ.get("FSX_SEEDS", seeds))):
        failure = fsx(place.root / f"fsx{seed}", mix, seed, int(os.environ.get("FSX_COUNT", count)))
        assert not failure, failure


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mix", MIXES)
def test_fsx(place, fsx, mix):
    check(place, fsx, mix, **SHORT)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("mix", MIXES)
def test_fsx_with_many_seeds(place, fsx, mix):
    check(place, fsx, mix, **LONG)
