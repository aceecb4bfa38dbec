# SPDX-License-Identifier: Apache-2.0
"""What other applications have in the database: GridFS buckets, well-formed or not."""
import datetime
import urllib.parse

import bson
import gridfs
from bson import json_util

CHUNK = 255 << 10
ABSENT = object()       # as a field's value: the field is left out
BATCH = 10_000


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def day(number):
    """A date of January 2020, for tests that order revisions."""
    return datetime.datetime(2020, 1, number, tzinfo=datetime.timezone.utc)


def encoded_id(value):
    """The name under .gridfs/id/ of the file with this _id."""
    if isinstance(value, bson.ObjectId):
        return str(value)
    text = json_util.dumps(value, json_options=json_util.CANONICAL_JSON_OPTIONS,
                           separators=(",", ":"), ensure_ascii=False)
    return urllib.parse.quote(text, safe="-_.~")


def chunks_of(files_id, data, chunk_size):
    """The chunk documents of `data`, as the GridFS specification cuts them."""
    return [{"_id": bson.ObjectId(), "files_id": files_id, "n": n, "data": data[at:at + chunk_size]}
            for n, at in enumerate(range(0, len(data), chunk_size))]


class Bucket:
    """A bucket with the spec's indexes (indexes=False: without)."""

    def __init__(self, database, name="fs", indexes=True):
        self.database, self.name = database, name
        self.files, self.chunks = database[f"{name}.files"], database[f"{name}.chunks"]
        self.nodes = database[f"{name}.gridmount.nodes"]
        if indexes:
            self.files.create_index([("filename", 1), ("uploadDate", 1)])
            self.chunks.create_index([("files_id", 1), ("n", 1)], unique=True)

    def put(self, filename, data=b"", **fields):
        """As an application does it, through pymongo; the _id."""
        return gridfs.GridFS(self.database, self.name).put(data, filename=filename, **fields)

    def delete(self, files_id):
        gridfs.GridFS(self.database, self.name).delete(files_id)

    def document(self, filename, data=b"", **fields):
        document = {"_id": bson.ObjectId(), "filename": filename, "length": len(data),
                    "chunkSize": CHUNK, "uploadDate": now()} | fields
        return {name: value for name, value in document.items() if value is not ABSENT}

    def insert(self, filename, data=b"", chunks=None, **fields):
        """Documents as given: `fields` replace those of the files document. The _id."""
        document = self.document(filename, data, **fields)
        chunk_size = document.get("chunkSize")
        if chunks is None:
            usable = isinstance(chunk_size, (int, float)) and 0 < chunk_size < 1 << 24
            size = int(chunk_size) if usable else CHUNK
            chunks = chunks_of(document["_id"], data, size)
        for first in range(0, len(chunks), 1000):
            self.chunks.insert_many(chunks[first:first + 1000])
        self.files.insert_one(document)
        return document["_id"]

    def insert_names(self, names, data=b""):
        """Many small files of equal content; quick."""
        names = list(names)
        for first in range(0, len(names), BATCH):
            documents = [self.document(name, data) for name in names[first:first + BATCH]]
            if data:
                self.chunks.insert_many([c for d in documents
                                         for c in chunks_of(d["_id"], data, CHUNK)])
            self.files.insert_many(documents)

    def make_directory(self, path, mode=0o755, uid=0, gid=0):
        self.nodes.insert_one({"_id": path, "kind": "directory", "mode": mode,
                               "uid": uid, "gid": gid})

    def make_symlink(self, path, target):
        self.nodes.insert_one({"_id": path, "kind": "symlink", "target": target})
