# SPDX-License-Identifier: Apache-2.0
"""The primary of a replica set steps down, or is gone, and another member is elected: programs wait, and see no error.

One server stands for both members (replica.py), so that nothing is lost that a majority has confirmed."""
import concurrent.futures
import itertools
import os
import shutil

import pytest

from mounting import names_in, wait_for
from test_secondaries import content, members  # pylint: disable=unused-import

BOTH = pytest.mark.parametrize("gone", [False, True], ids=["steps down", "is gone"])
OLD, NEW = b"old" * 1000, content(2)


# What is done in a directory with the files `f` and `other` (OLD), and a directory `full` with a file; and whether it is done.

def read(root):
    return (root / "f").read_bytes() == OLD


def listed(root):
    return names_in(root) == ["f", "full", "other"]


def create(root):
    (root / "new").write_bytes(NEW)
    return (root / "new").read_bytes() == NEW


def create_exclusively(root):
    with open(root / "new", "xb") as file:
        file.write(NEW)
    return (root / "new").read_bytes() == NEW


def overwrite(root):
    (root / "f").write_bytes(NEW)
    return (root / "f").read_bytes() == NEW


def append(root):
    with open(root / "f", "ab") as file:
        file.write(b"more")
    return (root / "f").read_bytes() == OLD + b"more"


def rename(root):
    os.rename(root / "f", root / "g")
    return "f" not in names_in(root) and (root / "g").read_bytes() == OLD


def replace(root):
    os.rename(root / "other", root / "f")
    return names_in(root) == ["f", "full"] and (root / "f").read_bytes() == OLD


def rename_directory(root):
    os.rename(root / "full", root / "moved")
    return "full" not in names_in(root) and (root / "moved/g").read_bytes() == OLD


def unlink(root):
    os.unlink(root / "f")
    return names_in(root) == ["full", "other"]


def make_directory(root):
    (root / "new").mkdir()
    return (root / "new").is_dir()


def remove_tree(root):
    shutil.rmtree(root / "full")
    return names_in(root) == ["f", "other"]


def link(root):
    os.link(root / "f", root / "g")
    return (root / "g").read_bytes() == OLD


def symlink(root):
    os.symlink("f", root / "g")
    return (root / "g").read_bytes() == OLD


def change_mode(root):
    os.chmod(root / "f", 0o600)
    return os.stat(root / "f").st_mode & 0o777 == 0o600


def set_attribute(root):
    os.setxattr(root / "f", "user.colour", b"red")
    return os.getxattr(root / "f", "user.colour") == b"red"


def truncate(root):
    os.truncate(root / "f", 1000)
    return (root / "f").read_bytes() == OLD[:1000]


CALLS = (read, listed, create, create_exclusively, overwrite, append, rename, replace, rename_directory, unlink, make_directory,
         remove_tree, link, symlink, change_mode, set_attribute, truncate)


@pytest.fixture
def mnt(members, database, mount):
    """A mount that has looked at what only a first change looks at."""
    started = mount(uri=members.uri(database.name, "primary"))
    (started.path / "first").write_bytes(b"")
    return started


@pytest.fixture
def prepared(mnt, bucket):
    """prepared(names…): directories of the mount, which has read a file in each."""
    def make(*names):
        bucket.insert_names([f"{name}/{file}" for name in names for file in ("f", "other", "full/g")], OLD)
        for name in names:
            assert (mnt.path / name / "f").read_bytes() == OLD
        return [mnt.path / name for name in names]
    return make


@BOTH
def test_every_call_waits_for_the_next_primary(members, prepared, gone):
    roots = prepared(*(call.__name__ for call in CALLS))
    members.fail_over(gone)
    with concurrent.futures.ThreadPoolExecutor(len(CALLS)) as threads:
        asked = [threads.submit(call, root) for call, root in zip(CALLS, roots)]
    results = {call.__name__: result.exception() or result.result() for call, result in zip(CALLS, asked)}
    assert results == {call.__name__: True for call in CALLS}
    assert members.leader is members.secondary


@BOTH
@pytest.mark.parametrize("call, question", [
    (overwrite, ("insert", "fs.chunks")), (overwrite, ("insert", "fs.files")), (rename_directory, ("update", "fs.files"))],
    ids=["chunks", "files document", "update of many"])
def test_a_change_goes_on_with_the_next_primary(members, prepared, call, question, gone):
    root, = prepared("directory")
    members.fail_over(gone, when=lambda asked: asked == question)
    assert call(root) is True
    assert members.leader is members.secondary, "the question was asked"


@pytest.mark.long
@pytest.mark.timeout(900)
@BOTH
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_each_question_of_a_call_may_be_the_last_of_a_primary(members, prepared, call, gone):
    for last in itertools.count(1):
        root, = prepared(f"{call.__name__}{last}")
        number = itertools.count(1)
        members.fail_over(gone, when=lambda _, number=number, last=last: next(number) == last)
        assert call(root) is True, f"after {last} questions"
        if members.when:    # it took fewer
            break
    assert last > 1


@BOTH
def test_changes_by_others_are_told_by_the_next_primary(members, database, bucket, mount, gone):
    mnt = mount(uri=members.uri(database.name, "primary"), options="push=on")
    wait_for(lambda: mnt.status()["push"] == "healthy", 30, "a change stream")
    bucket.put("before", b"content")
    wait_for(lambda: names_in(mnt.path) == ["before"], 30, "the event of a put")
    members.fail_over(gone)
    bucket.put("meanwhile", b"content")
    wait_for(lambda: names_in(mnt.path) == ["before", "meanwhile"], 30, "what was put while there was no primary")
    wait_for(lambda: mnt.status()["push"] == "healthy", 30, "a change stream again")
    bucket.put("later", b"content")
    wait_for(lambda: names_in(mnt.path) == ["before", "later", "meanwhile"], 30, "the event of a put")
    assert members.leader is members.secondary
