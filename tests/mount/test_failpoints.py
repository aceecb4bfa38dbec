# SPDX-License-Identifier: Apache-2.0
"""Each question that a change takes fails in its turn, at the server itself: configureFailPoint.

An operation that says it is done is done; one that says it is not has left the old or the new, whole, and can be made
again."""
import contextlib
import errno
import itertools
import json
import os
import stat

import gridfs
import pytest

import servers
from mounting import gridmount, wait_for

QUESTIONS = ["find", "aggregate", "insert", "update", "delete", "findAndModify", "bulkWrite", "getMore"]
CHANGES = ["insert", "update", "delete", "findAndModify", "bulkWrite"]
# What happens, to which questions, and how often: the driver asks again after some, which is to fail as well.
FAULTS = {
    "refused": ({"errorCode": 8000}, QUESTIONS, 1),
    "new primary": ({"errorCode": 189, "errorLabels": ["RetryableWriteError"]}, QUESTIONS, 2),
    "cut": ({"closeConnection": True}, QUESTIONS, 2),
    "done, but no majority": ({"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
                              CHANGES, 3),
}
OLD, NEW, OTHER = b"old" * 100_000, b"new!" * 100_000, b"other" * 1000
PATIENCE = 30


@pytest.fixture(scope="module")
def failing(request, tmp_path_factory):
    """A server of our own that takes configureFailPoint."""
    try:
        with servers.start(request.config.getoption("--server"), tmp_path_factory.mktemp("failing"),
                           failpoints=True) as started:
            yield started
    except servers.NotAvailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def database(failing):
    with failing.client(tz_aware=True) as client:
        yield client[f"failing_{os.urandom(6).hex()}"]


@pytest.fixture
def uri(failing, database):
    """What marks a server as away is asked for soon after."""
    return failing.uri(database.name, directConnection="true", heartbeatFrequencyMS=500)


@contextlib.contextmanager
def armed(database, fault, skip):
    """The fault meets the mount's questions after so many, not those of the test."""
    data, questions, times = FAULTS[fault]
    command = {"configureFailPoint": "failCommand", "data": data | {"failCommands": questions, "appName": "gridmount"}}
    admin = database.client.admin
    admin.command(command | {"mode": {"skip": skip, "times": times}})
    try:
        yield
    finally:
        admin.command({"configureFailPoint": "failCommand", "mode": "off"})


# What is done to a directory with the files `f` (OLD) and `other`, and what it has then.

def overwrite(root):
    (root / "f").write_bytes(NEW)


def create(root):
    (root / "created").write_bytes(NEW)


def append(root):
    with open(root / "f", "ab") as file:
        file.write(b"more")


def replace(root):
    os.rename(root / "other", root / "f")


def rename(root):
    os.rename(root / "f", root / "g")


def unlink(root):
    os.unlink(root / "f")


def make_directory(root):
    (root / "directory").mkdir()


def link(root):
    os.link(root / "f", root / "g")


def symlink(root):
    os.symlink("f", root / "g")


def change_mode(root):
    os.chmod(root / "f", 0o600)


NAMES = ("f", "other", "created", "g")
BEFORE = {"f": OLD, "other": OTHER}
CHANGED = {
    overwrite: {"f": NEW}, create: {"created": NEW}, append: {"f": OLD + b"more"}, replace: {"f": OTHER, "other": None},
    rename: {"f": None, "g": OLD}, unlink: {"f": None}, link: {"g": OLD}, make_directory: {}, symlink: {}, change_mode: {},
}
# What it says when it had been done after all.
AGAIN = {replace: FileNotFoundError, rename: FileNotFoundError, unlink: FileNotFoundError, link: FileExistsError,
         make_directory: FileExistsError, symlink: FileExistsError}


def content_of(database, name):
    """Looks again when the revision went between two questions: the mount itself puts what it could not store."""
    while True:
        newest = database["fs.files"].find_one({"filename": name}, sort=[("uploadDate", -1), ("_id", -1)])
        if not newest or stat.S_ISLNK((newest.get("metadata") or {}).get("mode", 0)):
            return None
        with contextlib.suppress(gridfs.NoFile):
            return gridfs.GridFS(database).get(newest["_id"]).read()


def seen_by_pymongo(database):
    found = {name: content_of(database, name) for name in NAMES}
    return {name: data for name, data in found.items() if data is not None}


def seen(change, database, other):
    """By another application; and where that is not how it is stored, by another mount."""
    if change is link:
        return {name: (other.path / name).read_bytes() for name in NAMES if is_there(other.path / name)}
    return seen_by_pymongo(database)


def is_there(path):
    """As open() has it: what a name was may be known for a second."""
    try:
        os.close(os.open(path, os.O_RDONLY))
    except FileNotFoundError:
        return False
    return True


def expected(change):
    after = BEFORE | CHANGED[change]
    return {name: data for name, data in after.items() if data is not None}


def try_it(change, root):
    try:
        change(root)
    except OSError as error:
        assert error.errno in (errno.EIO, errno.ETIMEDOUT), error
        return False
    return True


def make_again(change, root):
    """As a user would. What was closed but could not be stored, which the mount shows, it puts again by itself."""
    with contextlib.suppress(AGAIN.get(change, ())):
        if change is not append or (root / "f").read_bytes() == OLD:
            change(root)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", ["refused", "done, but no majority",
                                   *(pytest.param(fault, marks=pytest.mark.long) for fault in ("new primary", "cut"))])
@pytest.mark.parametrize("change", CHANGED, ids=lambda change: change.__name__)
def test_whatever_question_fails_nothing_is_half_done(database, mount, change, fault):
    mnt, other = mount(), mount()
    failures = 0
    for skip in itertools.count():
        for entry in list(mnt.path.iterdir()):
            entry.rmdir() if entry.is_dir() else entry.unlink()
        for name, data in BEFORE.items():
            (mnt.path / name).write_bytes(data)
        before = mnt.counters()["round_trips"]
        with armed(database, fault, skip):
            done = try_it(change, mnt.path)
        asked = mnt.counters()["round_trips"] - before
        if done:
            assert seen(change, database, other) == expected(change), f"done, after {skip} questions"
        else:
            failures += 1
            found = seen(change, database, other)
            either = (BEFORE, expected(change), BEFORE | expected(change))
            assert found in either, f"neither old nor new, after {skip} questions"
            make_again(change, mnt.path)
            wait_for(lambda: seen(change, database, other) == expected(change), PATIENCE,
                     f"what failed after {skip} questions and was made again")
        if skip > asked:
            break
    assert failures > 0, "no question was hit"
    checked = gridmount("fsck", mnt.uri, "--json")
    problems = [found for found in json.loads(checked.stdout)["findings"] if found["kind"] == "problem"]
    assert checked.returncode in (0, 4) and not problems, checked.stdout
