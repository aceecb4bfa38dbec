# SPDX-License-Identifier: Apache-2.0
"""The ctime of what was renamed, linked or unlinked: it shows when, also once the database has been asked again."""
import os

import pytest

import posix_calls
from operations import EXCHANGE, renameat2


def make(path, kind):
    posix_calls.MAKERS[kind](path)


def renamed(place, kind):
    os.rename(place / "f", place / "g")
    return [place / "g"]


def replaced(place, kind):
    make(place / "g", kind)
    os.rename(place / "f", place / "g")
    return [place / "g"]


def linked(place, kind):
    os.link(place / "f", place / "g", follow_symlinks=False)
    return [place / "f", place / "g"]


def unlinked(place, kind):
    os.link(place / "f", place / "g", follow_symlinks=False)
    os.unlink(place / "f")
    return [place / "g"]


def unlinked_further(place, kind):
    os.link(place / "f", place / "g", follow_symlinks=False)
    os.unlink(place / "g")
    return [place / "f"]


def further_renamed(place, kind):
    os.link(place / "f", place / "g", follow_symlinks=False)
    os.rename(place / "g", place / "h")
    return [place / "f", place / "h"]


def replaced_one_of_two(place, kind):
    os.link(place / "f", place / "g", follow_symlinks=False)
    make(place / "h", kind)
    os.rename(place / "h", place / "g")
    return [place / "f"]


CHANGES = [renamed, replaced, linked, unlinked, unlinked_further, further_renamed, replaced_one_of_two]


def ctime_of(path):
    return os.stat(path, follow_symlinks=False).st_ctime_ns


@pytest.mark.parametrize("kind", ["regular", "symlink", "fifo"])
def test_the_ctime_of_a_change_of_names_stays(mount, kind):
    mnt = mount("consistency=strict")       # each stat asks the database
    before, changed = {}, {}
    for change in CHANGES:
        folder = mnt.path / change.__name__
        folder.mkdir()
        make(folder / "f", kind)
        before[change] = ctime_of(folder / "f")
        for path in change(folder, kind):
            changed[path] = ctime_of(path)
            assert changed[path] > before[change], path
    assert {path: ctime_of(path) for path in changed} == changed
    assert mnt.unmount() == 0
    mnt.start()
    assert {path: ctime_of(path) for path in changed} == changed


def test_the_ctime_of_what_an_application_put_stays_while_it_is_mounted(mount, bucket):
    bucket.put("a", b"1")
    bucket.put("b", b"2")
    mnt = mount("consistency=strict")
    before = ctime_of(mnt.path / "a")
    os.rename(mnt.path / "a", mnt.path / "c")
    os.link(mnt.path / "b", mnt.path / "d")
    changed = [ctime_of(mnt.path / name) for name in "cbd"]
    assert all(each > before for each in changed)
    assert [ctime_of(mnt.path / name) for name in "cbd"] == changed


def test_an_exchange_changes_the_ctime_of_both(mount):
    mnt = mount("consistency=strict")
    for name in "ab":
        (mnt.path / name).write_text(name)
    before = {name: ctime_of(mnt.path / name) for name in "ab"}
    renameat2(mnt.path / "a", mnt.path / "b", EXCHANGE)
    after = {name: ctime_of(mnt.path / name) for name in "ab"}
    assert min(after.values()) > max(before.values())
    assert {name: ctime_of(mnt.path / name) for name in "ab"} == after
