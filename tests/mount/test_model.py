# SPDX-License-Identifier: Apache-2.0
"""Random calls do on the mount what they do in a local directory, and pymongo reads what they wrote.

MODEL_SEED repeats a run, MODEL_COUNT sets the number of calls, MODEL_REMOUNTS how often the mount is made anew.
"""
import collections
import os
import random

import gridfs
import pytest

import faults
from model import Different, Model
from names import stored_name

COUNTS = {"all": 1500, "content": 1000, "names": 700}
LONG_COUNTS = {"all": 100_000, "content": 50_000, "names": 50_000}


def environment_number(name, default):
    return int(os.environ.get(name, default))


def seed():
    chosen = environment_number("MODEL_SEED", random.randrange(1 << 30))
    print("MODEL_SEED", chosen)
    return chosen


def files_by_inode(root):
    """{inode number: the names of that regular file}, as bytes below root."""
    found = collections.defaultdict(list)
    root = os.fsencode(root)
    for folder, _, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                found[os.lstat(path).st_ino].append(os.path.relpath(path, root))
    return found


def pymongo_reads_the_same(database, reference):
    """Each file is one GridFS name below model/, whichever of its hard links, and there is no other."""
    files = gridfs.GridFS(database)
    names = set(files.list())
    kept = files_by_inode(reference)
    for paths in kept.values():
        present = [name for name in (stored_name(b"model/" + path) for path in paths) if name in names]
        assert len(present) == 1, f"{paths} are stored as {present}"
        with open(os.path.join(os.fsencode(reference), paths[0]), "rb") as file:
            content = files.get_last_version(present[0])
            assert content.length == os.fstat(file.fileno()).st_size, paths
            assert content.read() == file.read(), paths
    assert len(names) == len(kept), f"more names than files: {sorted(names)}"


def run(place, database, reference, profile, count):
    reference.mkdir()
    (place.root / "model").mkdir()
    times = environment_number("MODEL_REMOUNTS", max(2, count // 5000))
    with Model(place.root / "model", reference, seed(), profile) as model:
        for _ in range(times):
            model.run(count // times)
            model.remount(place.remount)
            if database is not None:
                pymongo_reads_the_same(database, reference)
    return model


@pytest.fixture
def stored(place, request):
    """The database that pymongo is to look into; None with --local."""
    return None if place.local else request.getfixturevalue("database")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("profile", COUNTS)
def test_random_calls_do_what_they_do_in_a_local_directory(place, stored, tmp_path, profile):
    count = environment_number("MODEL_COUNT", COUNTS[profile])
    run(place, stored, tmp_path / "reference", profile, count)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("profile", COUNTS)
def test_a_hundred_thousand_random_calls(place, stored, tmp_path, profile):
    count = environment_number("MODEL_COUNT", LONG_COUNTS[profile])
    run(place, stored, tmp_path / "reference", profile, count)


# The model itself: two local directories agree, and each of these faults is found

def test_the_model_finds_no_difference_between_local_directories(tmp_path):
    for name in ("tested", "reference"):
        (tmp_path / name).mkdir()
    with Model(tmp_path / "tested", tmp_path / "reference", seed()) as model:
        model.run(1500).remount(lambda: None)
    assert len(model.done) > 80, "calls and outcomes that were compared"


@pytest.mark.parametrize("fault", faults.KINDS)
def test_the_model_finds_a_filesystem_that_is_wrong(tmp_path, fault):
    for name in ("tested", "reference"):
        (tmp_path / name).mkdir()
    with Model(tmp_path / "tested", tmp_path / "reference", seed(), fault=fault) as model:
        with pytest.raises(Different, match="seed"):
            model.run(10_000)
            model.remount(lambda: None)


def test_the_model_finds_what_a_remount_lost(tmp_path):
    for name in ("tested", "reference"):
        (tmp_path / name).mkdir()

    def lose():
        for paths in files_by_inode(tmp_path / "tested").values():
            os.unlink(os.path.join(os.fsencode(tmp_path / "tested"), paths[0]))

    with Model(tmp_path / "tested", tmp_path / "reference", seed()) as model:
        while not files_by_inode(tmp_path / "tested"):
            model.run(300)
        with pytest.raises(Different, match="the whole tree"):
            model.remount(lose)
