# SPDX-License-Identifier: Apache-2.0
"""gridmount warm and -o warm=: the caches are filled before a program reads, and whatever goes wrong meanwhile is told."""
import contextlib
import json
import os
import pty
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from buckets import CHUNK
from cache_dir import PATIENCE, cached, place
from mounting import (BINARY, Watched, environment, force_unmount, gridmount, mount_table, settled, unmount_daemon,
                      wait_for)
from users import as_user

MIB = 1 << 20
DONE, FAILED, USAGE = 0, 1, 2
PROMPT = 10     # far less than the mount waits for its server
ODD = b"odd/\xff\n\x1b[2J"

pytestmark = pytest.mark.timeout(120)


def chunks_in(size):
    return -(-size // CHUNK)


def chunks_of(files):
    return sum(chunks_in(len(data)) for data in files.values())


@pytest.fixture
def files(bucket, scale):
    """{name: content}: long ones, short ones, an empty one."""
    dice = random.Random(7)
    contents = {f"models/m{n}.bin": dice.randbytes(scale(5 * MIB) + n) for n in range(3)}
    contents |= {f"data/{n // 10}/f{n}": dice.randbytes(2000 + n) for n in range(40)}
    contents |= {"data/with\nnewline": b"1", "data/empty": b"", "top": b"2"}
    for name, data in contents.items():
        bucket.put(name, data)
    return contents


def warm(*arguments):
    return gridmount("warm", *arguments, timeout=100)


def events(output):
    return [json.loads(line) for line in output.splitlines()]


def warmed(*arguments):
    """What `gridmount warm ARGUMENTS --json` says at last, and all events."""
    done = warm(*arguments, "--json")
    assert done.stdout, done.stderr
    told = events(done.stdout)
    assert told[-1]["event"] == "sum" and told[-1]["exit"] == done.returncode
    assert [event["event"] for event in told].count("sum") == 1
    return told[-1], told


@contextlib.contextmanager
def warming(*arguments):
    """A process that warms, ended at last."""
    with subprocess.Popen([BINARY, "warm", *map(str, arguments)], env=environment(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_all(mnt, files):
    for name, data in files.items():
        assert (mnt.path / name).read_bytes() == data, name


# What it is for

@pytest.mark.parametrize("jobs", [1, 4, 16])
def test_after_a_restart_nothing_is_fetched(cached, files, jobs):
    mnt = cached()
    total = sum(map(len, files.values()))
    last, _ = warmed(mnt.path, f"--jobs={jobs}")
    assert (last["files"], last["of_files"], last["bytes"], last["exit"]) == (len(files), len(files), total, DONE)
    counters = mnt.counters()   # all is on disk when it has ended, without waiting
    stored = counters["disk_bytes_stored"]
    assert stored == total or stored > total and counters["hedged_fetches"], "what was fetched twice is stored twice"
    assert counters["disk_dropped"] == 0
    assert mnt.unmount() == 0
    mnt = cached()
    read_all(mnt, files)
    counters = mnt.counters()
    assert (counters["chunks_fetched"], counters["disk_hits"]) == (0, chunks_of(files))


def test_programs_find_it_in_memory_and_in_the_kernel(mount, files):
    mnt = mount()
    assert warm(mnt.path).returncode == DONE
    with Watched(mnt) as spent:
        read_all(mnt, files)
        assert warm(mnt.path).returncode == DONE
    assert spent.chunks_fetched == 0 and spent.bytes_read < 100_000, "but status.json"


def test_only_what_is_named_is_read(mount, files, bucket):
    mnt = mount()
    last, _ = warmed(mnt.path / "data", mnt.path / "models/m1.bin")
    assert last["files"] == 43
    with Watched(mnt) as spent:
        read_all(mnt, {name: data for name, data in files.items() if name.startswith("data/") or name.endswith("m1.bin")})
    assert spent.chunks_fetched == 0
    with Watched(mnt) as spent:
        read_all(mnt, {"models/m2.bin": files["models/m2.bin"]})
    assert spent.chunks_fetched == chunks_in(len(files["models/m2.bin"]))


def test_symlinks_are_not_followed_and_other_mounts_not_entered(mount, bucket, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x" * 100)
    bucket.put("d/file", b"content")
    mnt = mount()
    os.symlink(outside, mnt.path / "d/directory")
    os.symlink(outside / "secret", mnt.path / "d/link")
    os.mkfifo(mnt.path / "d/fifo")
    (mnt.path / "d/inner").mkdir()
    if os.geteuid() == 0:
        subprocess.run(["mount", "--bind", outside, mnt.path / "d/inner"], check=True)
    last, _ = warmed(mnt.path)
    if os.geteuid() == 0:
        assert warm(mnt.path / "d/inner").returncode == USAGE
        subprocess.run(["umount", mnt.path / "d/inner"], check=True)
    assert (last["files"], last["bytes"], last["failed"]) == (1, 7, 0)
    os.symlink(mnt.path / "d", tmp_path / "way-in")
    assert warmed(tmp_path / "way-in")[0]["files"] == 1, "but one that is named is"


def test_odd_names_are_shown_so_that_nothing_happens(mount, bucket):
    mnt = mount()
    path = os.fsencode(mnt.path) + b"/" + ODD
    os.mkdir(os.path.dirname(path))
    with open(path, "wb") as file:
        file.write(b"a" * 100)
    assert warmed(mnt.path)[0]["files"] == 1
    (found,) = bucket.files.find({})
    bucket.chunks.delete_many({"files_id": found["_id"]})
    assert mnt.unmount() == 0
    mnt.start()
    done = warm(mnt.path)
    assert done.returncode == FAILED
    assert "odd/\\xff\\x0a\\x1b[2J: " in done.stderr and "\x1b" not in done.stderr
    last, told = warmed(mnt.path)
    assert last["failed"] == 1
    assert [event["path"] for event in told if event["event"] == "failed"] == [f"{mnt.path}/odd/\ufffd\n\x1b[2J"]


# Interruptions and faults

@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_what_was_reached_is_kept_and_it_is_run_again(cached, bucket, link, through, how):
    files = {f"f{n}": random.Random(n).randbytes(MIB) for n in range(12)}
    for name, data in files.items():
        bucket.put(name, data)
    mnt = cached(uri=through)
    link.set(bandwidth=2 * MIB)
    with warming(mnt.path, "--json") as process:
        wait_for(lambda: mnt.counters()["disk_bytes_stored"] >= 6 * MIB, PATIENCE, "some of it on disk")
        process.send_signal(how)
        began = time.monotonic()
        output, _ = process.communicate(timeout=20)
        assert time.monotonic() - began < PROMPT
    last = events(output)[-1]
    assert process.returncode == last["exit"] == 128 + how
    assert last["interrupted"] and 0 < last["files"] < len(files)
    assert mnt.unmount() == 0
    link.set(bandwidth=0)
    mnt = cached(uri=through)
    assert warmed(mnt.path)[0]["files"] == len(files)
    counters = mnt.counters()
    again = counters["hedged_fetches"] * chunks_in(MIB)     # where a server takes long, some are asked for once more
    assert counters["disk_hits"] >= last["files"] * chunks_in(MIB)
    assert counters["chunks_fetched"] <= (len(files) - last["files"]) * chunks_in(MIB) + again
    assert 0 <= counters["chunks_fetched"] + counters["disk_hits"] - chunks_of(files) <= again


def test_it_ends_at_once_when_the_server_is_silent(mount, bucket, link, through):
    bucket.put("f", random.Random(1).randbytes(8 * MIB))
    mnt = mount(uri=through)
    link.set(bandwidth=2 * MIB)
    with warming(mnt.path) as process:
        wait_for(lambda: mnt.counters()["chunks_fetched"], PATIENCE, "it reads")
        link.set(stalled=True)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        output, _ = process.communicate(timeout=20)
        assert time.monotonic() - began < PROMPT
    link.set(stalled=False, bandwidth=0)
    assert process.returncode == 130 and output.startswith("interrupted: 0 of 1 files")


def test_it_goes_on_after_an_outage(cached, bucket, link, through):
    files = {f"f{n}": random.Random(n).randbytes(2 * MIB) for n in range(4)}
    for name, data in files.items():
        bucket.put(name, data)
    mnt = cached(uri=through, options="timeout=2")
    link.set(bandwidth=4 * MIB)
    with warming(mnt.path, "--json") as process:
        wait_for(lambda: mnt.counters()["chunks_fetched"] >= 4, PATIENCE, "it reads")
        link.set(refusing=True)
        link.cut()
        wait_for(lambda: mnt.counters()["errors"] >= 2, PATIENCE, "reads fail")
        link.set(refusing=False, bandwidth=0)
        output, _ = process.communicate(timeout=80)
    last = events(output)[-1]
    assert process.returncode == DONE, output
    assert (last["files"], last["failed"], last["bytes"]) == (4, 0, 8 * MIB)
    assert mnt.unmount() == 0
    mnt = cached()
    read_all(mnt, files)


def test_what_cannot_be_read_is_named_and_the_others_are_warm(cached, bucket, files):
    damaged = bucket.put("models/damaged", b"x" * (3 * CHUNK))
    bucket.chunks.delete_one({"files_id": damaged, "n": 1})
    mnt = cached()
    done = warm(mnt.path)
    assert done.returncode == FAILED
    assert f"gridmount: {mnt.path}/models/damaged: Input/output error" in done.stderr.splitlines()
    assert done.stdout.startswith(f"{len(files)} of {len(files) + 1} files, ") and ", 1 failed\n" in done.stdout
    assert mnt.unmount() == 0
    mnt = cached()
    read_all(mnt, files)
    assert mnt.counters()["chunks_fetched"] == 0


def test_what_is_replaced_all_the_time_is_no_failure(mount, bucket, files):
    mnt = mount()
    stop = threading.Event()

    def replace():
        while not stop.is_set():
            (mnt.path / "top").write_bytes(os.urandom(3000))
            (mnt.path / "new").write_bytes(b"new")
            os.rename(mnt.path / "new", mnt.path / "data/f")
            os.unlink(mnt.path / "data/f")

    replacing = threading.Thread(target=replace)
    replacing.start()
    try:
        for _ in range(5):
            last, told = warmed(mnt.path)
            assert last["exit"] == DONE, told
    finally:
        stop.set()
        replacing.join()


# --verify

@pytest.fixture
def recorded(mount, bucket):
    """Two files with a SHA-256 and one without, and a mount that has read none."""
    mnt = mount(options="checksum=on")
    (mnt.path / "a").write_bytes(random.Random(1).randbytes(3 * CHUNK + 5))
    (mnt.path / "b").write_bytes(b"small")
    assert mnt.unmount() == 0
    bucket.put("c", b"of another client")
    return mnt.start()


def test_what_is_as_recorded_is_verified(recorded):
    last, _ = warmed(recorded.path, "--verify")
    assert [last[what] for what in ("verified", "mismatched", "without_record", "files", "exit")] == [2, 0, 1, 3, DONE]
    assert ", 2 as recorded, 1 without a record\n" in warm(recorded.path, "--verify").stdout


def test_other_bytes_than_recorded_are_found(recorded, bucket):
    (found,) = bucket.files.find({"filename": "a"})
    chunk = bucket.chunks.find_one({"files_id": found["_id"], "n": 2})
    data = bytearray(chunk["data"])
    data[1000] ^= 1
    bucket.chunks.update_one({"_id": chunk["_id"]}, {"$set": {"data": bytes(data)}})
    assert warm(recorded.path).returncode == DONE, "nobody asked"
    last, told = warmed(recorded.path, "--verify")
    assert [last[what] for what in ("verified", "mismatched", "without_record", "failed", "exit")] == [1, 1, 1, 0, FAILED]
    (mismatch,) = [event for event in told if event["event"] == "mismatch"]
    assert mismatch["path"] == f"{recorded.path}/a"
    assert mismatch["recorded"] == found["metadata"]["sha256"] != mismatch["found"]
    assert f"gridmount: {recorded.path}/a: its SHA-256 is recorded as {mismatch['recorded']}" in \
        warm(recorded.path, "--verify").stderr


# What it says

def test_what_is_no_mount_is_refused(tmp_path, mount, bucket):
    bucket.put("f", b"x")
    mnt = mount()
    for arguments, words in [((tmp_path,), "lies on no gridmount"),
                             ((mnt.path, tmp_path), "lies on no gridmount"),
                             ((mnt.path / "nothing",), "No such file"),
                             ((mnt.path / "f" / "below",), "Not a directory"),
                             ((), "no path named"),
                             ((mnt.path, "--jobs", "0"), "--jobs"),
                             ((mnt.path, "--unknown"), "--verify")]:
        done = warm(*arguments)
        assert (done.returncode, done.stdout) == (USAGE, ""), arguments
        assert done.stderr.startswith("gridmount: ") and words in done.stderr and done.stderr.count("\n") == 1
    mnt.process.kill()
    assert mnt.end() == -signal.SIGKILL
    mnt.expected_exit = -signal.SIGKILL
    done = warm(mnt.path)
    assert done.returncode == USAGE and "not connected" in done.stderr
    force_unmount(mnt.path)


def test_progress_is_one_json_object_a_line(mount, bucket, link, through):
    bucket.put("f", random.Random(1).randbytes(6 * MIB))
    mnt = mount(uri=through)
    link.set(bandwidth=2 * MIB)
    last, told = warmed(mnt.path)
    steps = [event for event in told if event["event"] == "progress"]
    assert steps and [step["bytes"] for step in steps] == sorted(step["bytes"] for step in steps)
    assert any(step["complete"] and step["seconds_left"] and step["bytes_per_second"] for step in steps)
    assert steps[-1]["of_bytes"] == last["bytes"] == 6 * MIB and last["seconds"] > 1


def test_on_a_terminal_it_is_one_line_that_is_drawn_anew(mount, bucket, link, through):
    bucket.put("f", random.Random(1).randbytes(3 * MIB))
    mnt = mount(uri=through)
    link.set(bandwidth=2 * MIB)
    ours, theirs = pty.openpty()
    with subprocess.Popen([BINARY, "warm", mnt.path], env=environment(), stdin=subprocess.DEVNULL, stdout=theirs,
                          stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 4096):
                shown += piece
    os.close(ours)
    assert process.returncode == DONE
    *progress, last = shown.decode().strip().split("\n")[-1].split("\r")
    assert len(progress) > 2 and any(" left" in step for step in progress)
    assert last.removeprefix("\x1b[K").startswith("1 of 1 files, 3.0 MiB, in ")


def test_what_the_caches_cannot_keep_is_said_once(mount, cached, bucket):
    for n in range(4):
        bucket.put(f"d{n}/f", os.urandom(2 * MIB))
    mnt = mount(options="cache_size=4M")
    done = warm(mnt.path)
    assert done.returncode == DONE and done.stderr.count("more than the caches") == 1
    mnt = cached(options="cache_size=4M")
    assert "more than" not in warm(mnt.path).stderr


def test_a_cache_dir_that_keeps_nothing_is_told(mount, files, tmp_path):
    mnt = mount(options=f"cache_dir={tmp_path}/cache,cache_free=1000T")
    done = warm(mnt.path)
    assert done.returncode == DONE, "the other caches are warm"
    assert done.stderr.count("gridmount: cache_dir keeps nothing now: No space left on device\n") == 1


def test_two_mounts_are_warmed_at_once(mount, cached, files):
    mounts = [mount(), cached()]
    assert warmed(*(mnt.path for mnt in mounts))[0]["files"] == 2 * len(files)
    for mnt in mounts:
        with Watched(mnt) as spent:
            read_all(mnt, files)
        assert spent.chunks_fetched == 0


# -o warm=

def state_of(mnt):
    return mnt.status()["warming"]["state"]


def test_a_mount_fills_its_caches_by_itself(cached, files):
    mnt = cached(options="warm=models/*.bin,warm=data")
    wait_for(lambda: state_of(mnt) == "done", PATIENCE, "it is done")
    named = {name: data for name, data in files.items() if name != "top"}
    assert mnt.status()["warming"] == {"state": "done", "files": len(named), "failed": 0,
                                       "bytes": sum(map(len, named.values()))}
    assert f"warming     done: {len(named)} files, " in (mnt.path / ".gridfs/status").read_text()
    fetched = mnt.counters()["chunks_fetched"]
    assert fetched == chunks_of(named)
    read_all(mnt, named)
    assert settled(mnt)["chunks_fetched"] == fetched
    assert mnt.unmount() == 0
    mnt = cached()
    assert "warming" not in mnt.status()
    read_all(mnt, named)
    assert mnt.counters()["chunks_fetched"] == 0


@pytest.mark.parametrize("how", ["unmount", "SIGTERM"])
def test_a_mount_that_still_warms_ends_at_once(mount, bucket, link, through, how):
    bucket.put("f", random.Random(1).randbytes(20 * MIB))
    link.set(bandwidth=2 * MIB)
    mnt = mount(uri=through, options="warm=*")
    wait_for(lambda: mnt.status()["warming"]["bytes"], PATIENCE, "it reads")
    assert state_of(mnt) == "running"
    began = time.monotonic()
    if how == "unmount":
        done = gridmount("umount", mnt.path)
        assert (done.returncode, done.stderr) == (0, "")
    else:
        mnt.process.terminate()
    mnt.process.wait(20)
    assert time.monotonic() - began < PROMPT


@pytest.mark.parametrize("fault", [{"stalled": True}, {"refusing": True}], ids=["silent", "gone"])
def test_one_whose_server_is_away_waits_and_ends_at_once(mount, bucket, link, through, fault):
    bucket.put("f", random.Random(1).randbytes(20 * MIB))
    link.set(bandwidth=2 * MIB)
    mnt = mount(uri=through, options="warm=*,timeout=2")
    wait_for(lambda: mnt.status()["warming"]["bytes"], PATIENCE, "it reads")
    link.set(**fault)
    if "refusing" in fault:
        link.cut()
    wait_for(lambda: state_of(mnt) == "waiting", PATIENCE, "it waits for the server")
    began = time.monotonic()
    mnt.process.terminate()
    mnt.process.wait(20)
    assert time.monotonic() - began < PROMPT


def test_it_goes_on_when_the_server_is_back(mount, bucket, link, through):
    bucket.put("f", random.Random(1).randbytes(4 * MIB))
    link.set(bandwidth=2 * MIB)
    mnt = mount(uri=through, options="warm=f,timeout=2")
    wait_for(lambda: mnt.status()["warming"]["bytes"], PATIENCE, "it reads")
    link.set(refusing=True)
    link.cut()
    wait_for(lambda: state_of(mnt) == "waiting", PATIENCE, "it waits for the server")
    link.set(refusing=False, bandwidth=0)
    wait_for(lambda: state_of(mnt) == "done", PATIENCE, "it is done")
    assert mnt.status()["warming"]["bytes"] == 4 * MIB and mnt.status()["warming"]["failed"] == 0


def test_readiness_does_not_wait_for_it(mount, bucket, link, through):
    for n in range(20):
        bucket.put(f"d{n}/f", b"x" * MIB)
    link.set(latency=0.05, bandwidth=MIB)
    took = []
    for options in ("", "warm=*"):
        began = time.monotonic()
        mnt = mount(uri=through, options=options)
        took.append(time.monotonic() - began)
        assert mnt.unmount() == 0
    assert took[1] < took[0] + 1


def test_more_than_has_room_is_left_out(mount, bucket):
    for n in range(4):
        bucket.put(f"f{n}", os.urandom(MIB))
    mnt = mount(options="warm=*,cache_size=4M")     # memory to spare is a part of it
    wait_for(lambda: state_of(mnt) == "full", PATIENCE, "the memory is full")
    assert 1 <= mnt.status()["warming"]["files"] < 4
    assert mnt.status()["warming"]["bytes"] <= 3 * MIB and "no room for more" in mnt.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_confined_daemon_of_a_user_warms_too(bucket, uri, tmp_path, files):
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(0o755)
    directory = tmp_path / "mnt"
    directory.mkdir()
    binary = shutil.copy(BINARY, tmp_path)      # which may be where only root gets
    try:
        done = gridmount("mount", uri, directory, "-o", f"user=65534,staging_dir={tmp_path}/staged,push=off,"
                         f"cache_dir={tmp_path}/cache,cache_free=1M,warm=data,log_file={tmp_path}/log")
        assert done.returncode == 0, done.stderr

        def status():
            return json.loads(gridmount("status", directory, "--json").stdout)

        wait_for(lambda: status()["warming"]["state"] == "done", PATIENCE, "it is done")
        assert status()["warming"]["files"] == 42
        assert as_user(65534, lambda: subprocess.run([binary, "warm", directory], timeout=100, check=False).returncode) == DONE
        total = sum(map(len, files.values()))
        assert status()["counters"]["disk_bytes_stored"] == total
        assert gridmount("umount", directory).returncode == 0
        assert mount_table(directory) == []
    finally:
        unmount_daemon(directory)
