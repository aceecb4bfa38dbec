# SPDX-License-Identifier: Apache-2.0
"""Publish files to the store: each replaces the one of its base name.

    publish.py [--folder FOLDER] BUCKET FILE...

The store is MONGODB_URL and DB_NAME in the environment.
"""

import argparse
import mimetypes
import os
from pathlib import Path

import gridfs
import pymongo


def publish(store, path, folder=""):
    """Delete what has the file's name, then put the file under it. Returns the name."""
    name = f"{folder}/{path.name}" if folder else path.name
    for old in store.find({"filename": name}):
        store.delete(old._id)
    kind = mimetypes.MimeTypes().guess_type(name)[0] or "application/octet-stream"
    with open(path, "rb") as file:
        store.put(file, filename=name, content_type=kind)
    return name


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default="", help="put the files below this folder")
    parser.add_argument("bucket")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with pymongo.MongoClient(os.environ["MONGODB_URL"]) as client:
        store = gridfs.GridFS(client[os.environ["DB_NAME"]], collection=arguments.bucket)
        for path in arguments.files:
            publish(store, path, arguments.folder)


if __name__ == "__main__":
    main()
