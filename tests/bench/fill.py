# SPDX-License-Identifier: Apache-2.0
"""What the benchmark reads: buckets filled by insert_many, each when it is first needed.

Every kind of content has a database of its own, so that none slows another down. The
documents are those that a GridFS driver writes. What is there already stays.
"""
import datetime
import hashlib
import io
import os

import bson
import numpy

import stage as stages

CHUNK = 255 << 10
CHUNKS_PER_INSERT = 64      # 16 MiB: well inside a message of 48 MB
NAMES_PER_INSERT = 10_000
MIB = 1 << 20
SMALL = 4096
SEVERAL = 8
ROW_FLOATS = 16_384         # 64 KiB: a row of the arrays


def files_document(filename, length):
    return {"_id": bson.ObjectId(), "filename": filename, "length": length, "chunkSize": CHUNK,
            "uploadDate": datetime.datetime.now(datetime.timezone.utc)}


def ready(database, count, length, what):
    """True when the bucket holds `count` files of `length`; else an empty one is made."""
    if database.fs.files.count_documents({}) == count:
        if database.fs.files.find_one({})["length"] == length:
            return True
    stages.say(f"filling {database.name}: {what}")
    database.client.drop_database(database.name)
    make_indexes(database)
    return False


def make_indexes(database):
    """Those that a GridFS driver makes before its first upload."""
    database.fs.files.create_index([("filename", 1), ("uploadDate", 1)])
    database.fs.chunks.create_index([("files_id", 1), ("n", 1)], unique=True)


def insert_file(database, filename, length, head=b"", recorded=False):
    """One large file. 64 random chunks repeat: they are cheap to make, and do not compress. `recorded`: with its SHA-256, as a
    mount with checksum=on puts it."""
    document, digest = files_document(filename, length), hashlib.sha256()
    blocks = [os.urandom(CHUNK) for _ in range(CHUNKS_PER_INSERT)]
    blocks[0] = head + blocks[0][len(head):]
    count = -(-length // CHUNK)
    for n in range(count) if recorded else ():
        digest.update(blocks[n % CHUNKS_PER_INSERT][:length - n * CHUNK])
    if recorded:
        document["metadata"] = {"sha256": digest.hexdigest(), "posix": {"rev": document["_id"]}}
    for first in range(0, count, CHUNKS_PER_INSERT):
        database.fs.chunks.insert_many(
            [{"files_id": document["_id"], "n": n,
              "data": bson.Binary(blocks[n - first][:length - n * CHUNK])}
             for n in range(first, min(first + CHUNKS_PER_INSERT, count))], ordered=False)
    database.fs.files.insert_one(document)


def insert_names(database, names):
    """Files documents only: what is listed is never read."""
    batch = []
    for name in names:
        batch.append(files_document(name, SMALL))
        if len(batch) == NAMES_PER_INSERT:
            database.fs.files.insert_many(batch, ordered=False)
            batch = []
    if batch:
        database.fs.files.insert_many(batch, ordered=False)


def array_head(size):
    """What an .npy file of so many bytes of rows begins with."""
    head = io.BytesIO()
    numpy.lib.format.write_array_header_1_0(
        head, {"descr": "<f4", "fortran_order": False, "shape": (size // (4 * ROW_FLOATS), ROW_FLOATS)})
    return head.getvalue()


def array(stage, mib):
    """Arrays of some sizes, 16.npy and so on, each when it is first needed; returns its name."""
    database, name = stage.database("arrays"), f"{mib}.npy"
    head = array_head(mib * MIB)
    if not database.fs.files.find_one({"filename": name}):
        stages.say(f"filling {database.name}: {name}")
        make_indexes(database)
        insert_file(database, name, len(head) + mib * MIB, head)
    return name


def large(stage):
    """Two files, a.bin and b.bin."""
    database, size = stage.database("large"), stage.sizes["large"]
    if not ready(database, 2, size, f"2 files of {size // MIB} MiB"):
        insert_file(database, "a.bin", size)
        insert_file(database, "b.bin", size)
    return database


def models(stage):
    """Four files, 0.bin to 3.bin."""
    database, size = stage.database("models"), stage.sizes["large"]
    if not ready(database, 4, size, f"4 files of {size // MIB} MiB"):
        for n in range(4):
            insert_file(database, f"{n}.bin", size)
    return database


def recorded(stage):
    """a.bin, and the same amount in the directory `several`, in SEVERAL files; all with their SHA-256."""
    database, size = stage.database("recorded"), stage.sizes["large"]
    if not database.fs.files.find_one({"filename": "a.bin", "length": size}):
        stages.say(f"filling {database.name}: {size // MIB} MiB in one file and in {SEVERAL}")
        database.client.drop_database(database.name)
        make_indexes(database)
        for n in range(SEVERAL):
            insert_file(database, f"several/{n}.bin", size // SEVERAL, recorded=True)
        insert_file(database, "a.bin", size, recorded=True)
    return database


def huge(stage):
    """One file, huge.bin."""
    database, size = stage.database("huge"), stage.sizes["huge"]
    if not ready(database, 1, size, f"1 file of {size // MIB} MiB"):
        insert_file(database, "huge.bin", size)
    return database


def small(stage):
    """Files of 4 KiB in the directory small, uploaded in the order of their names."""
    database, count = stage.database("small"), stage.sizes["small_files"]
    if not ready(database, count, SMALL, f"{count:,} files of 4 KiB"):
        files = [files_document(f"small/{n:05}.bin", SMALL) for n in range(count)]
        database.fs.chunks.insert_many(
            [{"files_id": file["_id"], "n": 0, "data": os.urandom(SMALL)} for file in files])
        database.fs.files.insert_many(files)
    return database


def nested(stage):
    """Ten directories at the root, 300 in each, all names below those."""
    database, count = stage.database("nested"), stage.sizes["names"]
    if not ready(database, count, SMALL, f"{count:,} names below 10 directories"):
        insert_names(database, (f"d{n % 10}/s{n // 10 % 300:03}/f{n:07}.bin"
                                for n in range(count)))
    return database


def listed(stage, count):
    """One directory, many, of so many files that are only listed."""
    database = stage.database(f"listed{count}")
    if not ready(database, count, SMALL, f"a directory of {count:,} names"):
        insert_names(database, (f"many/file{n:06}.bin" for n in range(count)))
    return database


def shelves(stage, count):
    """Directories of 1,000 files each at the root."""
    database = stage.database(f"shelves{count}")
    if not ready(database, count, SMALL, f"{count:,} names in directories of 1,000"):
        insert_names(database, (f"d{n // 1000:03}/f{n:07}.bin" for n in range(count)))
    return database


def flat(stage):
    """All names at the root."""
    database, count = stage.database("flat"), stage.sizes["names"]
    if not ready(database, count, SMALL, f"{count:,} names in one directory"):
        insert_names(database, (f"f{n:07}.bin" for n in range(count)))
    return database
