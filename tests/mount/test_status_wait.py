# SPDX-License-Identifier: Apache-2.0
"""gridmount status --wait: for what must not begin before the mount is there."""
import os
import subprocess
import time

import pytest

from mounting import BINARY, gridmount
from test_outage import go_away

OFTEN = "heartbeatFrequencyMS=500"


def waiting(directory, seconds):
    return subprocess.Popen([BINARY, "status", f"--wait={seconds}", str(directory)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_returns_once_the_mount_is_there(mount, tmp_path):
    """Who waits may be first: neither the directory nor its parent are there yet."""
    directory = tmp_path / "later" / "mnt"
    process = waiting(directory, 50)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    mount(directory=directory)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "") and out.startswith("state       ok")


def test_without_a_mount_it_ends_in_time(tmp_path):
    began = time.monotonic()
    result = gridmount("status", "--wait=0.3", tmp_path)
    assert time.monotonic() - began >= 0.3
    assert (result.returncode, result.stdout) == (2, "")
    assert "is not a gridmount" in result.stderr and "not healthy within 0.3 s" in result.stderr


def test_degraded_is_waited_for_and_then_said(link, through, bucket, mount, tmp_path):
    bucket.put("state       ok", b"x")      # which stands among the busiest files; and cache_dir is well
    mnt = mount(uri=f"{through}&{OFTEN}", options=f"timeout=1,cache_dir={tmp_path / 'cache'}")
    (mnt.path / "state       ok").read_bytes()
    go_away(link)
    with pytest.raises(OSError):
        os.listdir(mnt.path)
    result = gridmount("status", mnt.path, "--wait=0.2")
    assert result.returncode == 1 and result.stdout.startswith("state       degraded")
    assert "not healthy within 0.2 s" in result.stderr
    assert [gridmount("status", mnt.path, *words).returncode for words in ([], ["--json"])] == [1, 1]
    process = waiting(mnt.path, 50)
    link.set(refusing=False)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "") and out.startswith("state       ok")


def test_zero_is_one_look(mount):
    assert gridmount("status", mount().path, "--wait=0").returncode == 0


@pytest.mark.parametrize("words", ["--wait=", "--wait=-1", "--wait=soon", "--waits", "--wait=1s"])
def test_what_is_no_time_is_refused(words, tmp_path):
    result = gridmount("status", words, tmp_path)
    assert result.returncode == 2 and "see gridmount --help" in result.stderr
