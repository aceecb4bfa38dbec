# SPDX-License-Identifier: Apache-2.0
"""A server that dies, goes silent or breaks its connections again and again, under programs that write and read: no wrong
byte, no close that returned 0 is lost, and nobody hangs once it is back. The seed is printed."""
import json
import os
import pathlib
import random
import subprocess
import sys
import time

import gridfs
import pytest

import proxy
import servers
import storm_worker
from buckets import Bucket
from mounting import wait_for

SEED = int(os.environ.get("GRIDMOUNT_TEST_SEED", "0")) or int(time.time())
OUTAGES = int(os.environ.get("GRIDMOUNT_TEST_OUTAGES", "50"))
WORKERS = int(os.environ.get("GRIDMOUNT_TEST_WORKERS", "8"))
LARGEST = 2_000_000
TIMEOUT = 3
BACK_SECONDS = 5        # the aim: by then nobody hangs any more
WORKER = pathlib.Path(__file__).with_name("storm_worker.py")


class Storm:
    """Programs that work on directories of a mount while the server comes and goes."""

    def __init__(self, mnt, folder, workers, seed, largest):
        self.mnt, self.stop, self.longest = mnt, folder / "stop", 0.0
        self.folders = [f"d{n}" for n in range(workers)]
        self.reports = [folder / f"report{n}" for n in range(workers)]
        self.progress = [folder / f"progress{n}" for n in range(workers)]
        for name in self.folders:
            (mnt.path / name).mkdir()
        self.processes = [
            subprocess.Popen([sys.executable, WORKER, mnt.path / name, f"{seed}.{name}", str(largest), report, progress, self.stop])
            for name, report, progress in zip(self.folders, self.reports, self.progress)]
        self.all_go_on(60)

    def calls(self):
        """How many each has begun; and what it is in."""
        told = [path.read_text().partition(" ") if path.exists() else ("", "", "") for path in self.progress]
        return [int(number or 0) for number, _, _ in told], [what for _, _, what in told]

    def all_go_on(self, seconds):
        """Each has ended the call that it was in; how long that took."""
        began, (before, within) = time.monotonic(), self.calls()
        def hanging():
            self.check_alive()
            return [what for now, then, what in zip(self.calls()[0], before, within) if now == then]
        while (left := hanging()) and time.monotonic() < began + seconds:
            time.sleep(0.02)
        assert not left, f"{seconds} s after {began:.2f}, still in {left}"
        return time.monotonic() - began

    def check_alive(self):
        for process, report in zip(self.processes, self.reports):
            if process.poll() is not None:
                told = json.loads(report.read_text()) if report.exists() else {"wrong": "it crashed", "story": []}
                raise AssertionError(told["wrong"] + "\n" + "\n".join(told["story"][-60:]))

    def back(self, seconds):
        """The server is back: how long until each program has gone on."""
        self.longest = max(self.longest, self.all_go_on(seconds))

    def end(self):
        """What each name of each directory may show, after a look at what the workers told."""
        self.check_alive()
        self.stop.touch()
        told = {}
        for process, report, folder in zip(self.processes, self.reports, self.folders):
            assert process.wait(60) == 0
            told[folder] = json.loads(report.read_text())
            assert not told[folder]["wrong"], told[folder]["wrong"] + "\n" + "\n".join(told[folder]["story"][-60:])
        return told

    def kill(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def shown_by(database):
    """{path: mark} of the newest revision of each name, as pymongo reads it."""
    files = gridfs.GridFS(database)
    return {name: storm_worker.mark(files.get_last_version(name).read()) for name in files.list()}


def check(shown, told):
    """That each name shows what it may; and that what was recovered beside is one of those too."""
    for folder, report in told.items():
        for name, may in report["may"].items():
            found = shown.get(f"{folder}/{name}")
            assert found in may, (f"{folder}/{name} shows {found}, not {sorted(map(str, may))[:9]}\n"
                                  + "\n".join(line for line in report["story"] if f" {name} " in line))
    for path in shown:
        folder, _, name = path.partition("/")
        assert name.partition(".recovered-")[0] in told[folder]["may"], f"nobody wrote {path}"


def sums(told, field):
    total = {}
    for report in told.values():
        for name, count in report[field].items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))


def storm(mount, uri, database, weather, outages, seconds):
    """Goes through the outages, each a function that returns when the server is back; then everything is looked at, as
    this mount left it, and as another finds it."""
    mnt = weather.mnt
    try:
        for outage in outages:
            outage()
            weather.back(seconds)
        told = weather.end()
    finally:
        weather.kill()
    wait_for(lambda: mnt.counters()["unsaved_files"] == 0, 60, "everything stored")
    check(shown_by(database), told)
    recovered = mnt.counters()["recovered_files"]
    assert mnt.unmount() == 0
    other = mount(uri=uri)
    check({f"{name}/{path.name}": storm_worker.mark(path.read_bytes()) for name in weather.folders
           for path in (other.path / name).iterdir()}, told)
    print(f"{len(outages)} outages, all went on after {weather.longest:.1f} s at most, {recovered} recovered;"
          f" done {sums(told, 'done')}, told {sums(told, 'errors')}")


@pytest.fixture
def mortal(request, tmp_path):
    """A server of this test's own, that keeps what it acknowledged when it is killed."""
    kind = request.config.getoption("--server")
    if servers.choose(kind) == "external":
        pytest.skip("the server of GRIDMOUNT_TEST_URI is not ours to kill")
    with servers.start(kind, tmp_path / "mortal", sync_on_commit=True) as started:
        with started.client() as client:
            Bucket(client["db"])
        yield started


def killed(mortal, dice, running, away):
    """Killed after a while, for a while: so many seconds at most."""
    def outage():
        time.sleep(dice.uniform(0, running))
        mortal.kill()
        time.sleep(dice.uniform(0, away))
        mortal.run()
    return outage


def stalled(link, dice, how, running, away):
    def outage():
        time.sleep(dice.uniform(0, running))
        link.set(stalled=how)
        time.sleep(dice.uniform(0, away))
        link.set(stalled=False)
    return outage


def reset(link, dice, running, away):
    """In mid-message, a few times; and then for a while nothing is connected."""
    def outage():
        for _ in range(4):
            link.cut(after=dice.randrange(1, 300_000))
            time.sleep(dice.uniform(0, running))
        link.set(refusing=True)
        link.cut()
        time.sleep(dice.uniform(0, away))
        link.set(refusing=False)
    return outage


@pytest.mark.timeout(300)
def test_nothing_is_lost_when_the_server_dies_and_the_network_breaks(mortal, mount, tmp_path):
    dice = random.Random(6)
    with proxy.Proxy("127.0.0.1", mortal.port) as link, mortal.client() as client:
        outages = [killed(mortal, dice, 0.3, 0), reset(link, dice, 0.1, 0.5), stalled(link, dice, True, 0.2, 2),
                   killed(mortal, dice, 0.3, 1)]
        uri = f"mongodb://127.0.0.1:{link.port}/db?directConnection=true"
        weather = Storm(mount(uri=uri, options=f"timeout={TIMEOUT}"), tmp_path, 3, 6, 70_000)
        storm(mount, uri, client["db"], weather, outages, 60)


@pytest.mark.long
@pytest.mark.timeout(300 + 30 * OUTAGES)
@pytest.mark.parametrize("options", ["", ",hard"])
def test_a_server_that_is_killed_again_and_again_loses_nothing(mortal, mount, tmp_path, options):
    print(f"GRIDMOUNT_TEST_SEED={SEED} GRIDMOUNT_TEST_OUTAGES={OUTAGES}")
    dice = random.Random(SEED)
    with mortal.client() as client:
        uri = mortal.uri("db", directConnection="true")
        weather = Storm(mount(uri=uri, options=f"timeout={TIMEOUT}{options}"), tmp_path, WORKERS, SEED, LARGEST)
        storm(mount, uri, client["db"], weather, [killed(mortal, dice, 2, 2 * TIMEOUT) for _ in range(OUTAGES)],
              BACK_SECONDS)


@pytest.mark.long
@pytest.mark.timeout(300 + 30 * OUTAGES)
def test_a_network_that_stalls_and_breaks_again_and_again_loses_nothing(link, through, database, mount, tmp_path):
    print(f"GRIDMOUNT_TEST_SEED={SEED} GRIDMOUNT_TEST_OUTAGES={OUTAGES}")
    dice = random.Random(SEED)
    kinds = [lambda: stalled(link, dice, True, 1, 3 * TIMEOUT), lambda: stalled(link, dice, "down", 1, 3 * TIMEOUT),
             lambda: reset(link, dice, 0.5, 2 * TIMEOUT), lambda: reset(link, dice, 0.5, 0)]
    Bucket(database)
    weather = Storm(mount(uri=through, options=f"timeout={TIMEOUT}"), tmp_path, WORKERS, SEED, LARGEST)
    storm(mount, through, database, weather, [kinds[n % len(kinds)]() for n in range(OUTAGES)], BACK_SECONDS)
