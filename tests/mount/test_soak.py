# SPDX-License-Identifier: Apache-2.0
"""Mixed work of many processes for a long time: everything has its content, and the daemon does not grow.

`make soak SECONDS=3600` is the long form; it prints its figures each minute."""
import json
import os
import pathlib
import random
import subprocess
import sys
import time

import pytest

from mounting import gridmount, is_sanitized
from soak_worker import mark

WORKERS = 8
WORKER = pathlib.Path(__file__).with_name("soak_worker.py")
SECONDS = int(os.environ.get("GRIDMOUNT_TEST_SOAK", "300"))
CACHE, BESIDE, PER_NAME = 64 << 20, 64 << 20, 400
MIB = 1 << 20


class Soak:
    """A mount, what works on it, and its figures over time."""

    def __init__(self, mnt, folder, workers):
        self.workers = range(workers)
        self.mnt, self.folder, self.seed = mnt, folder, random.randrange(1 << 30)
        self.resident, self.descriptors, self.began = [], [], time.monotonic()
        (mnt.path / "shared").mkdir()
        for n in self.workers:
            self.place(n).mkdir()

    def place(self, n):
        return self.mnt.path / f"d{n}"

    def report(self, n):
        return self.folder / f"report{n}"

    def descriptor_count(self):
        return len(os.listdir(f"/proc/{self.mnt.pid}/fd"))

    def look(self):
        self.resident.append(self.mnt.resident_bytes())
        self.descriptors.append(self.descriptor_count())

    def say(self):
        counters = self.mnt.counters()
        print(f"{time.monotonic() - self.began:6.0f} s  resident {self.resident[-1] / MIB:.0f} MiB "
              f"(most {max(self.resident) / MIB:.0f})  descriptors {self.descriptors[-1]} (most {max(self.descriptors)})  "
              f"puts {counters['puts']}  read {counters['bytes_read'] / MIB:.0f} MiB  "
              f"written {counters['bytes_written'] / MIB:.0f} MiB  errors {counters['errors']}", flush=True)

    def run(self, seconds):
        """Works for `seconds`; what the workers complained of."""
        print(f"seed {self.seed}")
        workers = [subprocess.Popen([sys.executable, WORKER, self.place(n), self.mnt.path / "shared",
                                     f"{self.seed}.{n}", str(seconds), self.report(n)],
                                    stdout=subprocess.PIPE, text=True) for n in self.workers]
        said = time.monotonic()
        while any(worker.poll() is None for worker in workers):
            time.sleep(0.2)
            self.look()
            if time.monotonic() - said >= 60:
                said += 60
                self.say()
        complaints = [worker.stdout.read() for worker in workers]
        return "".join(complaints) + "".join(f"exit status {worker.returncode}\n" for worker in workers
                                             if worker.returncode)

    def done(self):
        """How often each kind of work was done."""
        total = {}
        for n in self.workers:
            for kind, count in json.loads(self.report(n).read_text())["done"].items():
                total[kind] = total.get(kind, 0) + count
        return total

    def expect_what_was_told(self):
        for n in self.workers:
            there = json.loads(self.report(n).read_text())["there"]
            assert {path.name: mark(path.read_bytes()) for path in self.place(n).iterdir()} == there


def soak(mnt, tmp_path, seconds, workers=WORKERS):
    running = Soak(mnt, tmp_path, workers)
    complaints = running.run(seconds)
    assert not complaints, complaints
    counters = mnt.counters()
    assert (counters["errors"], counters["unsaved_files"], counters["failed_puts"]) == (0, 0, 0), counters
    running.say()
    print(running.done())
    if not is_sanitized():
        assert max(running.resident) <= CACHE + BESIDE + PER_NAME * counters["inodes"]
    running.expect_what_was_told()
    assert mnt.unmount() == 0
    mnt.start()
    running.expect_what_was_told()
    return running


@pytest.mark.timeout(300)
def test_a_short_soak(server, mount, tmp_path):
    workers = 2 if server.slow else WORKERS
    running = soak(mount(options=f"cache_size={CACHE}"), tmp_path, 4, workers)
    assert sum(running.done().values()) >= workers


@pytest.mark.long
@pytest.mark.timeout(2 * SECONDS + 600)
def test_a_long_soak_leaves_the_daemon_as_it_was(mount, tmp_path, uri):
    running = soak(mount(options=f"cache_size={CACHE}"), tmp_path, SECONDS)
    third = len(running.resident) // 3
    for name, figures, slack in ("resident", running.resident, 8 * MIB), ("descriptors", running.descriptors, 8):
        middle, last = sorted(figures[third:2 * third]), sorted(figures[2 * third:])
        print(f"{name}: median {middle[third // 2]} in the middle, {last[third // 2]} at the end")
        assert last[third // 2] <= middle[third // 2] + slack, f"{name} grew"
    checked = gridmount("fsck", uri, "--json", timeout=600)
    problems = [found for found in json.loads(checked.stdout)["findings"] if found["kind"] == "problem"]
    assert not problems and checked.returncode in (0, 4), checked.stdout     # 4: trash that is due and waits for its turn
