# SPDX-License-Identifier: Apache-2.0
"""A server that is slow, silent or gone: no hang, the truth in `status`, and healing by itself."""
import concurrent.futures
import errno
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

import servers
from buckets import CHUNK, Bucket
from mounting import gridmount, mount_table, names_in, wait_for

TIMEOUT = 3
LONG = 45       # longer than any of these tests may wait
GRACE = 4       # what a loaded machine may take on top


@pytest.fixture
def data(bucket, scale):
    content = random.Random(1).randbytes(scale(20 * CHUNK) + 5)
    bucket.put("f", content)
    return content


def test_requests_end_when_the_server_is_silent_and_work_when_it_is_back(
        link, through, data, mount):
    mnt = mount(uri=through, options=f"timeout={TIMEOUT}")
    descriptor = os.open(mnt.path / "f", os.O_RDONLY | os.O_DIRECT)
    assert os.pread(descriptor, 4096, 0) == data[:4096]
    link.set(stalled=True)
    began = time.monotonic()
    with pytest.raises(OSError):
        os.listdir(mnt.path)
    assert time.monotonic() - began <= TIMEOUT + GRACE
    assert os.pread(descriptor, 4096, 0) == data[:4096], "what is cached stays readable"
    began = time.monotonic()
    os.statvfs(mnt.path)
    assert gridmount("status", mnt.path).returncode == 1
    assert mnt.status()["state"] == "degraded"
    assert time.monotonic() - began <= GRACE
    link.set(stalled=False)
    wait_for(lambda: gridmount("status", mnt.path).returncode == 0, 20, "a healthy status")
    wait_for(lambda: "the server answers again" in mnt.log(), what="word of it in the log")
    assert names_in(mnt.path) == ["f"]
    assert os.pread(descriptor, len(data), 0) == data
    os.close(descriptor)


def test_lookups_in_a_directory_do_not_wait_for_each_other(link, through, mount):
    mnt = mount(uri=through, options=f"timeout={TIMEOUT}")
    names_in(mnt.path)
    link.set(stalled=True)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(os.stat, mnt.path / f"name {n}") for n in range(12)]
        assert [each.exception().errno for each in waiting] == 12 * [errno.ETIMEDOUT]
    assert time.monotonic() - began <= 2 * TIMEOUT + GRACE, "one behind the other would take 18 s at least"


def test_what_needs_no_server_answers_while_hundreds_of_programs_wait(bucket, link, through, mount):
    """More than there are threads for them; and then each gets its answer."""
    bucket.insert_names(f"{n}" for n in range(350))
    bucket.put("read before", b"content")
    mnt = mount(uri=through, options=f"timeout={LONG}")
    names = names_in(mnt.path)      # which are known then: else each would wait for the lookup of another
    cached = os.open(mnt.path / "read before", os.O_RDONLY | os.O_DIRECT)
    assert os.pread(cached, 4096, 0) == b"content"
    link.set(stalled=True)
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        opened = [pool.submit(open, mnt.path / name) for name in names]
        wait_for(lambda: mnt.counters()["waits"] >= 20, 30, "more requests than are served at once")
        began = time.monotonic()
        os.statvfs(mnt.path)
        assert gridmount("status", mnt.path).stdout
        assert os.pread(cached, 4096, 0) == b"content"
        assert time.monotonic() - began <= LONG / 3
        link.set(stalled=False)
        for each in opened:
            each.result(LONG).close()
    os.close(cached)


def test_an_unmount_works_while_the_server_is_silent(link, through, data, mount):
    mnt = mount(uri=through, options=f"timeout={LONG}")
    (mnt.path / "f").stat()
    link.set(stalled=True)
    began = time.monotonic()
    assert mnt.unmount() == 0
    assert time.monotonic() - began <= LONG / 3
    assert mount_table(mnt.path) == []


def test_a_signal_ends_the_mount_of_a_silent_server_and_what_waits_for_it(link, through, data, mount):
    mnt = mount(uri=through, options=f"timeout={LONG}")
    opened = open(mnt.path / "f", "rb")
    link.set(stalled=True)
    with concurrent.futures.ThreadPoolExecutor(350) as pool:
        waiting = [pool.submit(os.stat, mnt.path / f"name {n}") for n in range(346)]
        waiting += [pool.submit(os.listdir, mnt.path) for _ in range(4)]
        wait_for(lambda: mnt.counters()["waits"] >= 20, 30, "more requests than are served at once")
        began = time.monotonic()
        mnt.process.send_signal(signal.SIGTERM)
        assert mnt.end() == 0
        assert time.monotonic() - began <= LONG / 3
        assert all(isinstance(each.exception(LONG), OSError) for each in waiting)
    assert mount_table(mnt.path) == [] and names_in(mnt.path) == [], "no dead mount is left"
    with pytest.raises(OSError):
        opened.read()
    opened.close()


def test_content_that_a_silent_server_does_not_take_is_told_at_the_end(link, through, mount):
    mnt = mount(uri=through, options=f"timeout={TIMEOUT}")
    file = open(mnt.path / "f", "wb", buffering=0)
    file.write(bytes(12345))
    link.set(stalled=True)
    with pytest.raises(OSError):
        file.close()
    mnt.process.send_signal(signal.SIGTERM)
    assert mnt.end() == 0
    assert "could not be stored before the end" in mnt.log() and mount_table(mnt.path) == []


WAITING = ("import sys; open(sys.argv[1], 'rb').read()",
           "import sys, os; os.listdir(os.path.dirname(sys.argv[1]))",
           "import sys; open(sys.argv[1], 'ab', buffering=0).write(b'more')",
           "import sys; open(sys.argv[1] + ' new', 'xb')")
WRITING = "import sys; f = open(sys.argv[1], 'ab', buffering=0); f.write(b' more'); print(flush=True); sys.stdin.read()"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_program_is_gone_although_the_server_is_silent(link, through, bucket, stored, mount, number):
    for n in range(len(WAITING) + 1):
        bucket.put(f"{n}/f", b"content")
    mnt = mount(uri=through, options=f"timeout={LONG}")
    writer = subprocess.Popen([sys.executable, "-c", WRITING, mnt.path / str(len(WAITING)) / "f"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert writer.stdout.readline()
    for n in range(len(WAITING)):
        names_in(mnt.path / str(n))     # so that none waits for another's lookup
    link.set(stalled=True)
    programs = [subprocess.Popen([sys.executable, "-c", program, mnt.path / str(n) / "f"])
                for n, program in enumerate(WAITING)]
    for program in programs:
        wait_for(lambda: "wait" in pathlib.Path(f"/proc/{program.pid}/wchan").read_text(), 30,
                 "a program that waits for an answer")
    for program in [*programs, writer]:
        program.send_signal(number)
    for program in [*programs, writer]:
        assert program.wait(LONG / 3) == -number
    writer.stdin.close(), writer.stdout.close()
    link.set(stalled=False)
    wait_for(lambda: stored(f"{len(WAITING)}/f") == b"content more", 30, "what was written is stored")
    assert [(mnt.path / str(n) / "f").read_bytes() for n in range(len(WAITING))] == len(WAITING) * [b"content"]


def test_a_connection_that_breaks_in_mid_read_breaks_no_content(link, through, data, mount):
    mnt = mount(uri=through)
    for number in range(5):
        link.cut()
        descriptor = os.open(mnt.path / "f", os.O_RDONLY | os.O_DIRECT)
        at = number * len(data) // 5
        assert os.pread(descriptor, 10_000, at) == data[at:at + 10_000]
        os.close(descriptor)
    assert (mnt.path / "f").read_bytes() == data


def test_a_slow_link_carries_the_content_about_once(link, through, data, mount):
    link.set(bandwidth=8 << 20, latency=0.01)
    mnt = mount(uri=through)
    before = link.counts()["down"]
    assert (mnt.path / "f").read_bytes() == data
    assert link.counts()["down"] - before <= 1.15 * len(data) + 100_000


def test_a_listing_asks_its_questions_side_by_side(bucket, link, through, mount):
    bucket.insert_names(f"{directory}/{n}" for directory in ("one", "two") for n in range(20))
    link.set(latency=0.05)
    mnt = mount(uri=through)
    names_in(mnt.path / "one")      # the connections are made
    turn = 0.3
    link.set(latency=turn / 2)
    began = time.monotonic()
    assert len(names_in(mnt.path / "two")) == 20
    assert time.monotonic() - began <= 4.5 * turn, "one for the name, one for the listing's four"


def test_a_server_that_dies_and_comes_back_is_found_again(request, tmp_path, mount):
    kind = request.config.getoption("--server")
    if servers.choose(kind) == "external":
        pytest.skip("the server of GRIDMOUNT_TEST_URI is not ours to kill")
    with servers.start(kind, tmp_path / "mortal", sync_on_commit=True) as mortal:
        with mortal.client() as client:
            Bucket(client["db"]).put("f", b"survives")
        mnt = mount(uri=mortal.uri("db"), options=f"timeout={TIMEOUT}")
        assert (mnt.path / "f").read_bytes() == b"survives"
        mortal.kill()
        with pytest.raises(OSError) as refused:
            os.listdir(mnt.path)
        assert refused.value.errno in (errno.EIO, errno.ETIMEDOUT, errno.EHOSTUNREACH,
                                       errno.ECONNREFUSED, errno.ENOTCONN)
        mortal.restart()

        def works():
            try:
                return names_in(mnt.path) == ["f"]
            except OSError:
                return False
        wait_for(works, 20, "a mount that works again")
        assert (mnt.path / "f").read_bytes() == b"survives"
        assert mnt.unmount() == 0
