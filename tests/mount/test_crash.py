# SPDX-License-Identifier: Apache-2.0
"""What a change of names leaves behind when the daemon dies between two of its documents: each name shows its old or
its new content, and nothing comes back later. The states are made in the database, one for each such moment."""
import datetime
import os

import pytest

from mounting import force_unmount

OLD, NEW, OTHER = b"old content", b"new content", b"content of the other file"


class Names:
    """A mount that comes and goes, and what its names show."""

    def __init__(self, mnt, bucket):
        self.mnt, self.root = mnt, mnt.path
        self.files = bucket.files
        self.nodes = bucket.database["fs.gridmount.nodes"]

    def write(self, name, content):
        (self.root / name).write_bytes(content)

    def link(self, name, further):
        os.link(self.root / name, self.root / further, follow_symlinks=False)

    def rename(self, name, to):
        os.rename(self.root / name, self.root / to)

    def unlink(self, name):
        os.unlink(self.root / name)

    def shows(self, **contents):
        """What each name shows: content, the target of a symlink as text, None for nothing."""
        for name, content in contents.items():
            path = self.root / name
            found = (None if not os.path.lexists(path) else
                     os.readlink(path) if path.is_symlink() else path.read_bytes())
            assert found == content, f"{name} shows {found}"
        listed = {name for name, content in contents.items() if content is not None}
        assert listed == set(os.listdir(self.root))

    def links(self, name):
        return os.lstat(self.root / name).st_nlink

    def identity(self, name):
        return self.files.find_one({"filename": name})["metadata"]["posix"]["file"]

    def point(self, name, at, of, was=None):
        """Makes `name` a further name of the file that is called `of`, which looks for it at `at`."""
        node = {"_id": name, "kind": "link", "file": self.identity(of), "at": at}
        self.nodes.replace_one({"_id": name}, node | ({"was": was} if was else {}), upsert=True)


@pytest.fixture
def names(mount, bucket):
    """names(change): after the daemon was killed and change(names) made in the database what it had got to."""
    mnt = mount()
    made = Names(mnt, bucket)

    def restart(change=lambda: None):
        mnt.process.kill()
        mnt.end()
        force_unmount(mnt.path)
        change()
        mnt.start()
    made.restart = restart
    return made


def replace(names, name, content):
    names.write("temporary", content)
    names.rename("temporary", name)


def rename_and_back(names):
    names.rename("to", "elsewhere")
    names.rename("elsewhere", "to")


# What is done to the name "to", which shows OLD, and what it shows then.
NEXT = {
    "unlinked": (lambda names: names.unlink("to"), None),
    "renamed": (rename_and_back, OLD),
    "renamed and unlinked": (lambda names: (names.rename("to", "elsewhere"), names.unlink("elsewhere")), None),
    "replaced and unlinked": (lambda names: (replace(names, "to", NEW), names.unlink("to")), None),
    "written and unlinked": (lambda names: (names.write("to", NEW), names.unlink("to")), None),
}


@pytest.mark.parametrize("then", NEXT)
def test_a_further_name_that_did_not_get_onto_a_file_is_not_there(names, then):
    """rename("further", "to"): the node is at both names, and the file "to" still hides it."""
    names.write("own", OTHER)
    names.link("own", "further")
    names.write("to", OLD)
    names.restart(lambda: names.point("to", at="own", of="own"))
    names.shows(own=OTHER, further=OTHER, to=OLD)
    change, shown = NEXT[then]
    change(names)
    names.shows(own=OTHER, further=OTHER, to=shown)
    names.restart()
    names.shows(own=OTHER, further=OTHER, to=shown)


def test_a_further_name_that_got_onto_a_file_has_both_names(names):
    """rename("further", "to"): "to" has gone, "further" not yet."""
    names.write("own", OTHER)
    names.link("own", "further")
    names.restart(lambda: (names.point("to", at="own", of="own"),
                           names.files.update_one({}, {"$set": {"metadata.posix.links": 3}})))
    names.shows(own=OTHER, further=OTHER, to=OTHER)
    names.unlink("further")
    names.shows(own=OTHER, to=OTHER)
    assert names.links("own") == 2


@pytest.mark.parametrize("then", NEXT)
def test_a_symlink_that_did_not_get_onto_a_file_is_not_there(names, then):
    """rename("link", "to") of a symlink: its node is at both names, and the file "to" still hides it."""
    os.symlink("target", names.root / "link")
    names.write("to", OLD)
    node = names.nodes.find_one({"_id": "link"})
    names.restart(lambda: names.nodes.insert_one(node | {"_id": "to"}))
    names.shows(link="target", to=OLD)
    change, shown = NEXT[then]
    change(names)
    names.shows(link="target", to=shown)


@pytest.mark.parametrize("then", NEXT)
def test_a_file_that_got_onto_a_further_name_hides_it_for_good(names, then):
    """rename("file", "to") where "to" is a further name: the file has its name, and the node is not away yet."""
    names.write("own", OTHER)
    names.link("own", "to")
    names.write("file", OLD)
    names.restart(lambda: names.files.update_one({"filename": "file"}, {"$set": {"filename": "to"}}))
    names.shows(own=OTHER, to=OLD)
    change, shown = NEXT[then]
    change(names)
    names.shows(own=OTHER, to=shown)
    assert names.links("own") == 1


TAKEN_OVER = {"unlinked": (lambda names: names.unlink("to"), {"to": None}),
              "renamed": (lambda names: names.rename("to", "elsewhere"), {"elsewhere": OLD}),
              "written": (lambda names: names.write("to", OTHER), {"to": OTHER, "third": OTHER})}


@pytest.mark.parametrize("then", TAKEN_OVER)
@pytest.mark.parametrize("moved", [False, True])
def test_a_name_that_is_taking_over_the_file_is_one_name(names, moved, then):
    """unlink("own") of a file that is also called "to" and "third": they point to "to", and the file may have moved."""
    names.write("own", OLD)
    names.link("own", "to")
    names.link("own", "third")
    file = names.identity("own")

    def change():
        names.nodes.update_many({"file": file}, {"$set": {"at": "to", "was": "own"}})
        if moved:
            names.files.update_one({"filename": "own"}, {"$set": {"filename": "to"}})
    names.restart(change)
    own = {} if moved else {"own": OLD}
    names.shows(**own, to=OLD, third=OLD)
    change, shown = TAKEN_OVER[then]
    change(names)
    changed = then == "written"
    names.shows(**({"third": OLD} | {name: OTHER if changed else OLD for name in own} | shown))
    if not changed:
        names.unlink("third")
        names.shows(**(own | shown))


def replaced_a_file_with_names(names, taking_over):
    """rename("file", "to") where the file "to" is also called "further", which has not taken it over yet."""
    names.write("to", OTHER)
    names.link("to", "further")
    names.write("file", OLD)
    date = names.files.find_one({"filename": "to"})["uploadDate"] + datetime.timedelta(seconds=1)

    def change():
        names.files.update_one({"filename": "file"}, {"$set": {"filename": "to", "uploadDate": date}})
        if taking_over:
            names.nodes.update_one({"_id": "further"}, {"$set": {"at": "further", "was": "to"}})
    names.restart(change)
    names.shows(to=OLD, further=OTHER)


@pytest.mark.parametrize("taking_over", [False, True])
def test_a_name_of_a_file_that_was_replaced_is_renamed_onto_what_replaced_it(names, taking_over):
    replaced_a_file_with_names(names, taking_over)
    names.rename("further", "to")
    names.shows(to=OTHER)
    names.restart()
    names.shows(to=OTHER)


@pytest.mark.parametrize("taking_over", [False, True])
def test_a_file_that_was_replaced_is_written_by_its_other_name(names, taking_over):
    replaced_a_file_with_names(names, taking_over)
    names.write("further", NEW)
    names.shows(to=OLD, further=NEW)
    names.unlink("to")
    names.shows(further=NEW)


@pytest.mark.parametrize("then", NEXT)
def test_a_file_with_names_that_was_replaced_lives_on_under_the_others(names, then):
    replaced_a_file_with_names(names, False)
    change, shown = NEXT[then]
    change(names)
    names.shows(to=shown, further=OTHER)
    names.restart()
    names.shows(to=shown, further=OTHER)
