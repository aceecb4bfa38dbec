# SPDX-License-Identifier: Apache-2.0
"""What the modes of `consistency=` cost: the README's table, per name of a bucket without further spellings."""
import os
import time

import pytest

from mounting import Watched



def spent_on(mnt, call):
    with Watched(mnt) as spent:
        call()
    return spent.round_trips


def read(path):
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture
def costs(bucket, mount):
    """costs(mode): (open and read, stat, ls) of what was looked at just now."""
    for name in ("f", "g", "h"):
        bucket.put(name, b"content")

    def measure(mode):
        mnt = mount(options=f"consistency={mode}")
        mnt.look = lambda: (read(mnt.path / "f"), os.stat(mnt.path / "f"), os.listdir(mnt.path))
        mnt.look()
        mnt.look()
        return mnt, [spent_on(mnt, lambda: read(mnt.path / "f")), spent_on(mnt, lambda: os.stat(mnt.path / "f")),
                     spent_on(mnt, lambda: os.listdir(mnt.path))]
    return measure


#  mode: the most for open, stat, ls
PROMISED = {"strict": (5, 4, 4), "open": (4, 3, 4), "ttl:60": (0, 0, 4), "immutable": (0, 0, 4)}


@pytest.mark.parametrize("mode", PROMISED)
def test_each_mode_costs_what_the_readme_says(costs, mode):
    _, found = costs(mode)
    assert all(spent <= most for spent, most in zip(found, PROMISED[mode])), found
    if mode == "strict":
        assert found[0] >= 1 and found[1] >= 1, "each is asked for"


def test_in_the_default_mode_an_open_asks_once_and_a_stat_within_a_second_does_not(costs):
    mnt, _ = costs("open")
    read(mnt.path / "f")

    def at_once(calls):
        """Of several at once, since the mode's second may end in between."""
        began = time.monotonic()
        spent = spent_on(mnt, lambda: [call() for call in calls])
        return spent, time.monotonic() - began
    spent, _ = at_once([lambda: read(mnt.path / "f")] * 5 + [lambda: os.stat(mnt.path / "f")] * 20)
    assert 5 <= spent <= 5 + 2 * 3, "one question for each open, and what a name costs again in a new second"


def test_an_absent_name_is_asked_for_each_time_and_in_ttl_once(costs):
    for mode, least, most in (("open", 5, 10), ("strict", 5, 20), ("ttl:60", 0, 2)):
        mnt, _ = costs(mode)
        spent = spent_on(mnt, lambda: [os.path.exists(mnt.path / "absent") for _ in range(5)])
        assert least <= spent <= most, (mode, spent)


def test_what_is_written_is_seen_by_the_modes_that_ask(bucket, mount):
    """strict and open see a new content at each open; ttl may not for its time; immutable never does."""
    bucket.put("f", b"old")
    mounts = {mode: mount(options=f"consistency={mode}") for mode in ("strict", "open", "ttl:0.5", "immutable")}
    for mnt in mounts.values():
        assert read(mnt.path / "f") == b"old"
    bucket.put("f", b"new")
    assert read(mounts["strict"].path / "f") == b"new" == read(mounts["open"].path / "f")
    assert os.stat(mounts["strict"].path / "f").st_size == 3
    assert read(mounts["immutable"].path / "f") == b"old"
    time.sleep(0.6)     # the time that it was told to trust for
    assert read(mounts["ttl:0.5"].path / "f") == b"new"
