# SPDX-License-Identifier: Apache-2.0
"""Fixtures of mounts that the server tells of changes; a test that imports `streams` is skipped where it cannot."""
import os
import time

import pytest

from mounting import Watched, tells_changes, wait_for

SOON = 30       # seconds for what takes milliseconds


@pytest.fixture(autouse=True)
def streams(client):
    """Skips where the server cannot tell."""
    if not tells_changes(client):
        pytest.skip("the server has no change streams: nothing is pushed")


def pushed(mnt):
    wait_for(lambda: mnt.status()["push"] == "healthy", SOON, "the stream")
    return mnt


@pytest.fixture
def pushing(mount):
    """pushing(options, …): a mount that is told of changes."""
    return lambda options="", **settings: pushed(mount(",".join(filter(None, [options, "push=on"])), **settings))


def soon(condition, what):
    return wait_for(condition, SOON, what)


def costs_nothing(mnt, look, after=0.0):
    """`look` asks the server for nothing, again and again, also `after` so many seconds: once in a while the mount asks
    something of its own accord, or on a busy machine the stream is late."""

    def free():
        with Watched(mnt) as spent:
            look()
            look()
        return spent.round_trips == 0
    soon(free, "a look that costs nothing")
    if after:
        soon(lambda: time.sleep(after) or free(), "a look after a while that costs nothing")


def size_of(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None
