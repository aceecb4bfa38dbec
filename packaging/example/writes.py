# SPDX-License-Identifier: Apache-2.0
"""Send the application what users send it, and look with pymongo at what it left in GridFS.

The application only knows paths. What is looked for: each name has exactly the revisions it should,
their bytes are those that were sent, and no name is there that the same application on plain files has not.
"""

import errno
import os
import pickle

import gridfs
from checks import Answer, Wrong, check_conditional

NEW_USER, KNOWN_USER = "grace@example.org", "ada@example.org"


class Store:
    """One bucket, as any application with a MongoDB driver sees it, beside the plain directory it should equal."""

    def __init__(self, database, bucket, plain):
        self.bucket, self.plain = bucket, plain
        self.files = gridfs.GridFS(database, collection=bucket)

    def revisions(self, name):
        """The contents that a name has, oldest first."""
        found = self.files.find({"filename": name}).sort([("uploadDate", 1), ("_id", 1)])
        return [file.read() for file in found]

    def must_have(self, name, *contents):
        """Raise Wrong unless these are the revisions of a name, and the last of them what a plain file holds."""
        found = self.revisions(name)
        if found != list(contents):
            lengths = [[len(content) for content in each] for each in (found, contents)]
            raise Wrong(f"pymongo: {self.bucket}: {name}: revisions of {lengths[0]} B, expected {lengths[1]} B")
        if contents[-1] != (self.plain / name).read_bytes():
            raise Wrong(f"{name}: the application on plain files wrote something else")
        count = f"{len(found)} revision{'s' if len(found) > 1 else ''}"
        print(f"    ok  pymongo   {self.bucket + '/' + name:<40}{len(found[-1]):>9} B  {count}")

    def must_list(self):
        """Raise Wrong unless the bucket has the names of the plain directory: nothing lost, no temporary file left."""
        found = sorted(self.files.list())
        expected = sorted(path.relative_to(self.plain).as_posix() for path in self.plain.rglob("*") if path.is_file())
        if found != expected:
            raise Wrong(f"pymongo: {self.bucket}: the names are {found}, expected {expected}")
        print(f"    ok  pymongo   {self.bucket}: {len(found)} names, those expected")


def check_photos(twins, store, encode):
    """A new user's photo, and its replacement; then those of a user whose first photo a MongoDB driver put.

    The mount retires the revisions that it made itself. One that another application put stays below
    the new one, because that application may have kept its _id.
    """
    for user in (NEW_USER, KNOWN_USER):
        name, tag = f"profile_{user}.jpg", ""
        earlier = store.revisions(name)
        for colour in ("crimson", "seagreen"):
            photo = encode(colour)
            twins.post("/photos", email=user, photo=(photo, "me.jpg"))
            store.must_have(name, *earlier, photo)
            twins.get(f"/assets/{name}")
            Answer(twins.address, f"/assets/{name}", {"If-None-Match": tag}).must(200, photo)
            tag = check_conditional(twins.address, f"/assets/{name}")
            twins.get("/")
    store.must_list()


def check_posters(twins, store, encode):
    """A new poster and one that is there, written in place."""
    for name in ("film-0004.jpg", "film-0001.jpg"):
        earlier = store.revisions(f"posters/{name}")
        for colour in ("khaki", "orchid"):
            poster = encode(colour)
            twins.post("/posters", poster=(poster, name))
            store.must_have(f"posters/{name}", *earlier, poster)
            twins.get(f"/assets/posters/{name}")
    twins.get("/")
    store.must_list()


def check_votes(twins, store):
    """A log that is appended to and a pickle that is replaced, with each vote."""
    log, sums = b"", {}
    for film, stars in ((17, 4), (17, 5), (4711, 2)):
        twins.post(f"/votes/{film}", stars=str(stars))
        log += b"%d,%d\n" % (film, stars)
        count, total = sums.get(film, (0, 0))
        sums[film] = (count + 1, total + stars)
        store.must_have("votes.csv", log)
        store.must_have("votes.pkl", pickle.dumps(sums))
        twins.get(f"/votes/{film}")
    twins.get("/")
    store.must_list()


def check_refused(twins, store, encode):
    """What is no picture, no name or no vote changes nothing."""
    name = f"profile_{NEW_USER}.jpg"
    earlier, photo = store.revisions(name), encode("black")
    for status, path, fields in (
        (400, "/photos", {"email": "nobody", "photo": (photo, "me.jpg")}),
        (400, "/photos", {"email": "../../data/x@example.org", "photo": (photo, "me.jpg")}),
        (400, "/photos", {"email": NEW_USER, "photo": (b"", "")}),
        (413, "/photos", {"email": NEW_USER, "photo": (bytes(6 << 20), "me.jpg")}),
        (415, "/photos", {"email": NEW_USER, "photo": (b"#!/bin/sh\n", "me.jpg")}),
        (415, "/photos", {"email": NEW_USER, "photo": (photo[:-200], "me.jpg")}),
        (400, "/posters", {"poster": (photo, "../..")}),
        (415, "/posters", {"poster": (photo, "poster.svg")}),
        (400, "/votes/17", {"stars": "6"}),
    ):
        if twins.post(path, **fields) != status:
            raise Wrong(f"POST {path}: expected {status} for what must be refused")
    twins.get("/")
    store.must_have(name, *earlier)
    store.must_list()


def check_read_only(path):
    """A mount with -o ro refuses, whoever asks."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
    except OSError as error:
        if error.errno == errno.EROFS:
            print(f"    ok  {os.strerror(errno.EROFS)}: {path.parent.name}/{path.name}")
            return
        raise Wrong(f"{path.name}: opening it to write: {error.strerror}, expected EROFS") from error
    raise Wrong(f"{path.name}: could be opened to write in a mount with -o ro")
