# SPDX-License-Identifier: Apache-2.0
"""What a program does that reads GridFS with pymongo: alone, or with some threads that share the work.

Each returns seconds. What is asked is the least that pymongo can ask: a chunk by its number, a document by its name.
"""
import concurrent.futures
import time

import gridfs


def shared(threads, act, items):
    """The seconds until act(item) was called for each item."""
    start = time.perf_counter()
    if threads == 1:
        for item in items:
            act(item)
    else:
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            list(pool.map(act, items))
    return time.perf_counter() - start


def file_named(database, name):
    return database.fs.files.find_one({"filename": name})


def whole(database, name, threads):
    """get().read(), or a find for each thread's part of the chunks."""
    file = file_named(database, name)
    if threads == 1:
        return shared(1, lambda file_id: gridfs.GridFS(database).get(file_id).read(), [file["_id"]])
    count = -(-file["length"] // file["chunkSize"])
    edges = [count * part // threads for part in range(threads + 1)]

    def read(part):
        numbers = {"$gte": edges[part], "$lt": edges[part + 1]}
        return [chunk["data"] for chunk in database.fs.chunks.find({"files_id": file["_id"], "n": numbers})]

    return shared(threads, read, range(threads))


def chunks(database, name, numbers, threads):
    file_id = file_named(database, name)["_id"]
    return shared(threads, lambda n: database.fs.chunks.find_one({"files_id": file_id, "n": n}), numbers)


def files(database, names, threads):
    """get().read() of each, by the _ids, which are known."""
    found = database.fs.files.find({"filename": {"$in": names}}, {"filename": 1})
    by_name = {file["filename"]: file["_id"] for file in found}
    ids = [by_name[name] for name in names]
    bucket = gridfs.GridFS(database)
    return shared(threads, lambda file_id: bucket.get(file_id).read(), ids)


def stats(database, names, threads):
    return shared(threads, lambda name: file_named(database, name), names)


def listings(database, directories, threads):
    """A find for each directory; "" is the whole bucket."""
    def find(directory):
        below = {"filename": {"$gte": f"{directory}/", "$lt": f"{directory}0"}} if directory else {}
        return list(database.fs.files.find(below))
    return shared(threads, find, directories)
