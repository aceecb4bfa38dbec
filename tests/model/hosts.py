# SPDX-License-Identifier: Apache-2.0
"""Several hosts on one bucket: a program per mount, and applications that use GridFS through pymongo.

Each is told what to do, over a pipe, and answers when it is done: so whoever asks knows what came before what.

    one, other = Host(mount_1.path), Host(mount_2.path)
    one.put("f", b"new")            # written and closed when this returns
    assert other.get("f") == b"new"
    one.send("mkdir", b"d", 0o755)  # or at the same time: ask all, then hear all
    one.receive()                   # ("is", value) or ("fails", "EEXIST")
"""
import errno
import os
import random

import gridfs

import operations


class Calls(operations.Calls):
    """What programs do with whole files."""

    def put(self, path, data):
        with open(self.at(path), "wb") as file:
            file.write(data)

    def append(self, path, data):
        with open(self.at(path), "ab") as file:
            file.write(data)

    def create(self, path, data):
        with open(self.at(path), "xb") as file:
            file.write(data)

    def replace(self, path, data):
        """As programs do that want the old content or the new, and nothing between."""
        temporary = path + b".%d" % os.getpid()
        self.put(temporary, data)
        os.rename(self.at(temporary), self.at(path))

    def pwrite_bytes(self, slot, data, offset):
        assert os.pwrite(self.files[slot], data, offset) == len(data)

    def get(self, path):
        with open(self.at(path), "rb") as file:
            return file.read()

    def make_directories(self, path):
        os.makedirs(self.at(path), exist_ok=True)


def told(outcome):
    """The value of an outcome, or its OSError."""
    how, value = outcome
    if how == "fails":
        raise OSError(getattr(errno, str(value), 0), str(value))
    return value


class Host(operations.Process):
    """A program on a host of its own."""

    program = os.path.abspath(__file__)

    def put(self, name, data):
        told(self("put", os.fsencode(name), data))

    def append(self, name, data):
        told(self("append", os.fsencode(name), data))

    def get(self, name):
        """None when it is not there."""
        outcome = self("get", os.fsencode(name))
        return None if outcome == ("fails", "ENOENT") else told(outcome)

    def remove(self, name):
        told(self("unlink", os.fsencode(name)))

    def rename(self, name, new_name):
        told(self("rename", os.fsencode(name), os.fsencode(new_name), 0))

    def replace(self, name, data):
        told(self("replace", os.fsencode(name), data))

    def names(self, folder=""):
        return {os.fsdecode(name) for name in told(self("listdir", os.fsencode(folder)))}


class Application:
    """A client of GridFS. Its clock is right."""

    def __init__(self, database, bucket="fs"):
        self.gridfs = gridfs.GridFS(database, bucket)
        self.files = database[bucket].files

    def put(self, name, data):
        self.gridfs.put(data, filename=name)

    replace = put

    def append(self, name, data):
        self.put(name, (self.get(name) or b"") + data)

    def get(self, name):
        try:
            return self.gridfs.get_last_version(name).read()
        except gridfs.NoFile:
            return None

    def remove(self, name):
        for document in self.files.find({"filename": name}, {"_id": 1}).sort("uploadDate", 1):
            self.gridfs.delete(document["_id"])

    def rename(self, name, new_name):
        """Onto a name that is taken, the newest wins: so what is there goes first."""
        self.remove(new_name)
        self.files.update_many({"filename": name}, {"$set": {"filename": new_name}})

    def names(self, folder=""):
        return set(self.gridfs.list())


def chosen_seed():
    """A seed to repeat a run by; HOSTS_SEED sets it."""
    seed = int(os.environ.get("HOSTS_SEED", random.randrange(1 << 30)))
    print("HOSTS_SEED", seed)
    return seed


if __name__ == "__main__":
    import sys
    operations.serve(Calls(sys.argv[1]))
