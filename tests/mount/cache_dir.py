# SPDX-License-Identifier: Apache-2.0
"""Fixtures of mounts with a cache_dir; a test that imports them has them."""
import pytest

from mounting import wait_for

PATIENCE = 40


@pytest.fixture
def place(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def cached(mount, place):
    """cached(options="…", …): a mount that keeps what it fetches in `place`, the same each time."""
    def start(options="", **arguments):
        options = ",".join(filter(None, [f"cache_dir={place},cache_free=1M", options]))
        return mount(options=options, **arguments)
    return start


def await_stored(mnt, count):
    """So many bytes are on disk; they are written after they were read."""
    wait_for(lambda: mnt.counters()["disk_bytes_stored"] >= count, PATIENCE, "all stored in cache_dir")


def on_disk(place):
    """The files with content; the checksums are beside them."""
    return sorted(path for path in (place / "chunks").iterdir() if not path.name.endswith("h"))
