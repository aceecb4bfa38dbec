# SPDX-License-Identifier: Apache-2.0
"""With a change stream a name that is not there is asked for once, and is there at once when something comes to it."""
import os
import subprocess

import pytest

from mounting import Watched
from told import costs_nothing, pushing, size_of, soon, streams


def test_a_name_that_is_not_there_costs_nothing_until_it_comes(bucket, pushing):
    bucket.put("d/f", b"")
    mnt = pushing("ro")
    costs_nothing(mnt, lambda: [size_of(mnt.path / name) for name in ("a", "b", "c", "new", "d/g")])
    bucket.put("/a", b"1")
    bucket.put("./b", b"1")
    bucket.put("new/directory/f", b"1")
    bucket.put("d/g", b"1")
    for name in ("a", "b", "new/directory/f", "d/g"):
        soon(lambda name=name: size_of(mnt.path / name) == 1, name)
    assert size_of(mnt.path / "c") is None
    bucket.delete(bucket.files.find_one({"filename": "d/g"})["_id"])
    soon(lambda: size_of(mnt.path / "d/g") is None, "a deletion")
    costs_nothing(mnt, lambda: size_of(mnt.path / "d/g"))
    bucket.put("d/g", b"22")
    soon(lambda: size_of(mnt.path / "d/g") == 2, "the name again")


def test_a_name_that_a_listing_lacks_is_not_asked_for(bucket, pushing):
    bucket.insert_names(f"d/{n}" for n in range(20))
    mnt = pushing("ro")
    costs_nothing(mnt, lambda: os.listdir(mnt.path / "d"))
    with Watched(mnt) as spent:
        assert size_of(mnt.path / "d/.gitignore") is None
    assert spent.round_trips == 0
    bucket.put("d/.gitignore", b"1")
    soon(lambda: size_of(mnt.path / "d/.gitignore") == 1, "the name")


def test_a_copy_asks_once_for_its_name_before_it_claims_it(bucket, pushing, tmp_path):
    """cp asks whether the name is there, and the kernel does once more before it creates it, under the directory's lock."""
    count, each = 40, 4     # the look, a claim and what it looks at, the put
    source = tmp_path / "source"
    source.mkdir()
    for number in range(count):
        (source / f"{number}").write_bytes(b"x")
    mnt = pushing()
    (mnt.path / "d").mkdir()
    with Watched(mnt) as spent:
        subprocess.run(["cp", "-t", mnt.path / "d", *source.iterdir()], check=True)
    assert spent.round_trips < (each + 1) * count   # claims are kept alive, and directories get their times


def test_what_others_put_at_a_missing_name_is_not_lost_to_who_creates_it(bucket, pushing):
    mnt = pushing()
    for round in range(30):     # whether the event has come or not
        path = mnt.path / f"{round}"
        assert size_of(path) is None and size_of(path) is None
        bucket.put(path.name, b"theirs")
        if round % 3 == 0:
            with open(path, "ab") as file:
                file.write(b", mine")
            assert path.read_bytes() == b"theirs, mine"
        elif round % 3 == 1:
            with pytest.raises(FileExistsError):
                open(path, "xb")
        else:
            with pytest.raises(FileExistsError):
                path.mkdir()


def test_what_is_in_the_way_is_there_at_once(bucket, pushing):
    """Also where a listing that is believed lacks it: else makedirs() would fail where two do it at once."""
    mnt = pushing()
    os.mkdir(mnt.path / "d")
    for round in range(10):
        directory, file = mnt.path / f"d/{round}", mnt.path / f"d/{round}.log"
        soon(lambda: {str(round), f"{round}.log"}.isdisjoint(os.listdir(mnt.path / "d")), "a listing")
        assert size_of(directory) is None and size_of(file) is None
        bucket.insert_names([f"d/{round}/f", f"d/{round}.log"])
        os.makedirs(directory, exist_ok=True)
        with open(file, "ab") as appended:
            appended.write(b"x")


def test_a_directory_comes_by_a_name_that_is_no_path(bucket, pushing):
    mnt = pushing("ro")
    costs_nothing(mnt, lambda: (os.listdir(mnt.path), size_of(mnt.path / "d")))
    bucket.put("d//f", b"")
    soon(lambda: (mnt.path / "d").is_dir(), "the directory")
    soon(lambda: os.listdir(mnt.path) == ["d"], "its name")


def test_a_hard_link_whose_file_comes_back_is_there_again(bucket, pushing, mount):
    """No event names the link then."""
    other, mnt = mount(), pushing("ro")
    (other.path / "d").mkdir()
    (other.path / "f").write_bytes(b"1")
    os.link(other.path / "f", other.path / "d/link")
    for round in range(3):
        soon(lambda: os.listdir(mnt.path / "d") == ["link"], "the link")
        bucket.files.update_one({"filename": "f"}, {"$set": {"filename": "away"}})
        soon(lambda: size_of(mnt.path / "d/link") is None and os.listdir(mnt.path / "d") == [], "no link")
        bucket.files.update_one({"filename": "away"}, {"$set": {"filename": "f"}})
        soon(lambda: size_of(mnt.path / "d/link") == 1, "the link again")


def test_what_is_made_or_renamed_to_a_missing_name_is_there_at_once(bucket, pushing):
    bucket.put("d/f", b"1")
    mnt = pushing()
    (mnt.path / "e").mkdir()
    names = [mnt.path / name for name in ("made", "link", "directory", "e/f", "moved")]
    for path in names:
        assert size_of(path) is None and size_of(path) is None
    (mnt.path / "made").write_bytes(b"1")
    (mnt.path / "link").symlink_to("made")
    (mnt.path / "directory").mkdir()
    os.rename(mnt.path / "d", mnt.path / "e")
    os.rename(mnt.path / "e/f", mnt.path / "moved")
    assert [size_of(path) is not None for path in names] == [True, True, True, False, True]
    for path in (mnt.path / "d", mnt.path / "d/f", mnt.path / "e/f"):
        assert size_of(path) is None


def test_what_another_mount_makes_at_a_missing_name_is_seen(bucket, pushing, mount):
    bucket.put("from/g/f", b"1")
    mnt, other = pushing(), mount()
    names = ["made/g", "to/g/f", "link", "hard"]
    costs_nothing(mnt, lambda: [size_of(mnt.path / name) for name in names] + [mnt.path.joinpath("made").exists()])
    (other.path / "made/g").mkdir(parents=True)
    (other.path / "link").symlink_to("from/g/f")
    os.link(other.path / "from/g/f", other.path / "hard")
    os.rename(other.path / "from", other.path / "to")
    for name in names[:2] + ["hard"]:
        soon(lambda name=name: size_of(mnt.path / name) is not None, name)
    soon(lambda: (mnt.path / "link").is_symlink(), "link")
