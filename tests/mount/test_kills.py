# SPDX-License-Identifier: Apache-2.0
"""The daemon dies at any moment, again and again: each name shows its old or its new content then. The seed is printed,
and of a name that does not, what was done to it and what the database has of it."""
import json
import os
import pathlib
import random
import subprocess
import sys
import time

import pytest

import kill_worker
from mounting import force_unmount, wait_for

KILLS = int(os.environ.get("GRIDMOUNT_TEST_KILLS", "40"))
SEED = int(os.environ.get("GRIDMOUNT_TEST_SEED", "0")) or int(time.time())
WORKERS = 3
WORKER = pathlib.Path(__file__).with_name("kill_worker.py")


def story_of(told):
    return "\n".join([f"at first {told['start']}", *told["story"][-60:], f"cut short: {told['last']}"])


def records_of(bucket, folder):
    """What the database has of a directory."""
    files = bucket.files.find({"filename": {"$regex": f"^{folder}/"}}).sort("filename", 1)
    nodes = bucket.database["fs.gridmount.nodes"].find({"_id": {"$regex": f"^{folder}/"}}).sort("_id", 1)
    return "\n".join(str(document) for document in [*files, *nodes])


def check(folder, told):
    """What a killed mount left of what a worker had done."""
    assert not [line for line in told["story"] if line.startswith("FAILED")], story_of(told)
    before, after = told["before"], told["after"]
    os.chdir(folder)
    try:
        shown = {name: kill_worker.look(name) for name in {*before, *after, *kill_worker.NAMES}}
    finally:
        os.chdir("/")
    for name, content in shown.items():
        assert content in (before.get(name), after.get(name)), \
            f"{name} shows {content}, not {before.get(name)} or {after.get(name)}\n{story_of(told)}"
    lost = set(before.values()) & set(after.values()) - set(shown.values())
    assert not lost, f"{lost} is not there any more\n{story_of(told)}"
    return shown


@pytest.mark.long
@pytest.mark.timeout(60 + 30 * KILLS)
@pytest.mark.parametrize("options", ["", "writeback"])
def test_a_daemon_that_is_killed_leaves_what_was_there_or_what_was_to_come(mount, bucket, tmp_path, options):
    print(f"GRIDMOUNT_TEST_SEED={SEED} GRIDMOUNT_TEST_KILLS={KILLS}")
    dice = random.Random(SEED)
    mnt = mount(options=options)
    for worker in range(WORKERS):
        (mnt.path / f"d{worker}").mkdir()
    for number in range(KILLS):
        reports = [tmp_path / f"report{number}.{worker}" for worker in range(WORKERS)]
        running = [subprocess.Popen([sys.executable, WORKER, mnt.path / f"d{worker}", f"{SEED}.{number}.{worker}",
                                     report]) for worker, report in enumerate(reports)]
        for report in reports:
            wait_for(report.with_name(f"{report.name}.started").exists, 30)
        time.sleep(dice.random())
        mnt.process.kill()
        mnt.end()
        for process in running:
            assert process.wait(60) == 0
        force_unmount(mnt.path)
        left = [records_of(bucket, f"d{worker}") for worker in range(WORKERS)]
        mnt.start()
        wait_for(lambda: mnt.counters()["unsaved_files"] == 0, 90, "what the killed mount had not stored")
        for worker, report in enumerate(reports):
            print(f"\n== {number}.{worker}\n{left[worker]}")
            told = json.loads(report.read_text())
            print(story_of(told))
            check(mnt.path / f"d{worker}", told)
    for folder in mnt.path.iterdir():
        for path in folder.iterdir():
            path.unlink()
        assert not os.listdir(folder)
    mnt.unmount()
    mnt.start()
    assert [os.listdir(folder) for folder in mnt.path.iterdir()] == [[]] * WORKERS
    assert bucket.files.count_documents({}) == 0
