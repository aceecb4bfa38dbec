# SPDX-License-Identifier: Apache-2.0
"""gridmount fsck: each damage is made through pymongo, found, and repaired only where that cannot harm anybody.

No mount runs unless a test says so. Each case has a bucket of its own in one database.
"""
import contextlib
import datetime
import itertools
import json
import os
import pty
import random
import signal
import subprocess
import threading
import uuid

import bson
import gridfs
import pytest

import buckets
import mounting
import servers

CLEAN, CORRECTED, LEFT, FAILED, USAGE = 0, 1, 4, 8, 16
MINUTE = datetime.timedelta(minutes=1)
LONG_AGO = buckets.day(1)
PATIENCE = 50


@pytest.fixture(scope="module")
def shop(server):
    name = f"test_{uuid.uuid4().hex[:12]}"
    with server.client(tz_aware=True) as client:
        yield client[name]
        client.drop_database(name)


class Place(buckets.Bucket):
    """A bucket with what gridmount keeps beside it, and what fsck says of it."""

    def __init__(self, database, name, uri):
        super().__init__(database, name)
        self.uri = uri
        self.locks, self.trash, self.intents = (
            database[f"{name}.gridmount.{collection}"] for collection in ("locks", "trash", "intents"))

    def fsck(self, *arguments):
        done = mounting.gridmount("fsck", self.uri, "-o", f"bucket={self.name}", "--json", *arguments, timeout=PATIENCE)
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        assert report["exit"] == done.returncode
        report["complaints"] = done.stderr
        assert report["bucket"] == self.name
        for word, count in report["counts"].items():
            listed = sum(finding["class"] == word for finding in report["findings"])
            assert listed in (0, count["found"]), word
        return Report(report)

    def store(self, filename, chunks, **fields):
        """A files document and these chunks {n: data}, whether or not they fit; the _id."""
        document = self.document(filename, **fields)
        self.files.insert_one(document)
        self.add_chunks(document["_id"], chunks)
        return document["_id"]

    def add_chunks(self, files_id, chunks):
        if chunks:
            self.chunks.insert_many([{"files_id": files_id, "n": n, "data": data} for n, data in chunks.items()])

    def everything(self):
        """All documents of the database, to see that nothing was written."""
        return {name: sorted(map(repr, self.database[name].find()))
                for name in self.database.list_collection_names() if name.startswith(f"{self.name}.")}


class Report(dict):
    """What fsck --json wrote."""

    @property
    def found(self):
        """Class to number, but for the number of files."""
        return {word: count["found"] for word, count in self["counts"].items() if count["found"] and word != "files"}

    @property
    def corrected(self):
        return {word: count["corrected"] for word, count in self["counts"].items() if count["corrected"]}

    def of(self, word):
        return [finding for finding in self["findings"] if finding["class"] == word]


numbers = itertools.count()


@pytest.fixture
def place(server, shop):
    return Place(shop, f"b{next(numbers)}", server.uri(shop.name, directConnection="true"))


# What is in order

def test_a_bucket_in_order_is_clean_and_nothing_is_written(place):
    place.put("a", b"x" * 1000)
    place.put("d/b", b"y" * 1000, chunk_size=300)
    place.put("empty")
    place.put("seven", b"7", _id=7)
    place.put("string", b"s", _id="an id")
    place.put("document", b"d", _id={"user": 1, "n": "x"})
    before = place.everything()
    report = place.fsck("--repair", "--yes")
    assert (report["exit"], report["findings"], report.found, report["not_checked"]) == (CLEAN, [], {}, [])
    assert report["counts"]["files"]["found"] == 6
    assert place.everything() == before


def test_a_bucket_that_does_not_exist_is_clean_and_not_made(place):
    place.database.drop_collection(place.files)
    place.database.drop_collection(place.chunks)
    assert place.fsck("--repair", "--yes")["exit"] == CLEAN
    assert not place.everything()


def test_numbers_are_equal_across_their_types(place):
    for files_id, other in [(bson.Int64(5), 5.0), (6, bson.Int64(6))]:
        place.files.insert_one(place.document(str(other), b"x", _id=files_id))
        place.add_chunks(other, {0: b"x"})
    assert place.fsck().found == {}


# Damaged files

TEN = {"length": 10, "chunkSize": 4}
DAMAGES = {
    "nothing": ({}, TEN, "it has no chunks"),
    "first": ({1: b"4567", 2: b"89"}, TEN, "chunk 0 is missing"),
    "last": ({0: b"0123", 1: b"4567"}, TEN, "chunk 2 is missing"),
    "rest": ({0: b"0123"}, TEN, "chunks 1 to 2 are missing"),
    "short": ({0: b"0123", 1: b"456", 2: b"89"}, TEN, "chunk 1 is too short"),
    "long": ({0: b"0123", 1: b"4567", 2: b"89A"}, TEN, "chunk 2 is too long"),
    "all": ({0: b"0", 1: b"4", 2: b"8"}, TEN, "chunk 0 is too short, and 2 more are damaged"),
    "extra": ({0: b"0123", 1: b"4567", 2: b"89", 3: b"A"}, TEN, "there is a chunk 3 behind the last"),
    "text": ({0: "0123", 1: b"4567", 2: b"89"}, TEN, "chunk 0 is without data"),
    "no length": ({0: b"0123"}, {"length": "ten"}, "its length is no usable number"),
    "no chunkSize": ({0: b"0123"}, {"length": 4, "chunkSize": 0}, "its chunkSize is no usable number"),
}


def test_damaged_files_are_named_and_never_repaired(place):
    ids = {name: place.store(name, chunks, **fields) for name, (chunks, fields, _) in DAMAGES.items()}
    place.store("good", {0: b"0123", 1: b"4567", 2: b"89"}, **TEN)
    place.store("harmless", {0: b"0123", 1: b"4567", 2: b"89", 3: b""}, **TEN)
    before = place.everything()
    report = place.fsck("--repair", "--yes")
    assert {finding["name"]: (finding["id"], finding["detail"]) for finding in report.of("damaged-file")} == {
        name: (str(ids[name]), text) for name, (_, _, text) in DAMAGES.items()}
    assert (report["exit"], report.found) == (LEFT, {"damaged-file": len(DAMAGES)})
    assert place.everything() == before


def test_a_damaged_file_is_found_whatever_its_id(place):
    ids = [1.5, bson.Int64(7), "id", {"a": 1}, {"a": [1, {"b": None}]}, True, LONG_AGO, bson.Binary(b"\0\1", 5)]
    for number, files_id in enumerate(ids):
        place.put(f"sound{number}", b"x", chunk_size=4)
        place.store(f"broken{number}", {0: b"0123"}, _id=files_id, **TEN)
    report = place.fsck()
    assert {finding["id"] for finding in report.of("damaged-file")} == set(map(buckets.encoded_id, ids))
    assert report.found == {"damaged-file": len(ids)}


# Chunks without a files document

def intent(place, until, first=None):
    first = first or bson.ObjectId(bson.ObjectId().binary[:11] + b"\0")
    place.intents.insert_one({"_id": first, "kind": "put", "owner": bson.ObjectId(), "count": 256, "until": until})
    return lambda number: bson.ObjectId(first.binary[:11] + bytes([number]))


def test_chunks_that_nothing_explains_are_told_and_left_alone(place):
    place.put("a", b"x")
    ids = [bson.ObjectId(), "id", 3]
    for files_id in ids:
        place.add_chunks(files_id, {0: b"x" * 100, 1: b"y" * 100})
    place.chunks.insert_one({"n": 0, "data": b"of none"})
    before = place.everything()
    report = place.fsck("--repair", "--yes")
    assert (report["exit"], report.found) == (LEFT, {"orphan-chunks": 4})
    found = {finding["id"]: finding["bytes"] for finding in report.of("orphan-chunks")}
    assert found == {buckets.encoded_id(files_id): 200 for files_id in ids} | {buckets.encoded_id(None): 7}
    assert place.everything() == before


def test_more_of_them_than_are_looked_at_at_once(place):
    ids = [bson.ObjectId() for _ in range(300)]
    place.chunks.insert_many([{"files_id": files_id, "n": 0, "data": b"x"} for files_id in ids])
    report = place.fsck()
    assert {finding["id"] for finding in report.of("orphan-chunks")} == set(map(str, ids))


def test_a_live_upload_is_no_problem(place):
    number = intent(place, buckets.now() + 9 * MINUTE)
    place.add_chunks(number(3), {0: b"x"})
    report = place.fsck("--repair", "--yes")
    assert (report["exit"], report.found) == (CLEAN, {"uploads": 1})
    assert place.chunks.count_documents({}) == 1


def test_a_retired_revision_is_no_problem(place):
    files_id = place.put("a", b"x" * 100)
    document = place.files.find_one({"_id": files_id})
    place.trash.insert_one({"_id": files_id, "document": document, "retired": buckets.now(),
                            "due": buckets.now() + 60 * MINUTE})
    place.files.delete_one({"_id": files_id})
    report = place.fsck("--repair", "--yes")
    assert (report["exit"], report.found) == (CLEAN, {"trash": 1})
    assert report["counts"]["trash"]["bytes"] == 100
    assert place.chunks.count_documents({}) == 1


# What dead mounts left behind

def dead_upload(place):
    number = intent(place, LONG_AGO)
    place.add_chunks(number(3), {0: b"x", 1: b"y"})
    place.store("published", {0: b"z"}, _id=number(4), length=1)
    return {"dead-upload": 1}


def unfinished_rename(place):
    place.put("from/a", b"a")
    place.intents.insert_one({"_id": bson.ObjectId(), "kind": "rename", "from": "from", "to": "to",
                              "owner": bson.ObjectId(), "until": LONG_AGO})
    return {"unfinished-rename": 1}


def overdue_trash(place):
    for name in "ab":
        files_id = place.put(name, b"x")
        place.trash.insert_one({"_id": files_id, "document": place.files.find_one({"_id": files_id}),
                                "retired": LONG_AGO, "due": LONG_AGO})
        place.files.delete_one({"_id": files_id})
    return {"overdue-trash": 2}


def expired_claim(place):
    for name in "abc":
        place.locks.insert_one({"_id": name, "owner": bson.ObjectId(), "until": LONG_AGO})
    place.locks.insert_one({"_id": "d", "owner": bson.ObjectId(), "until": buckets.now() + MINUTE})
    return {"expired-claim": 3, "claims": 1}


def dead_name(place):
    file = bson.ObjectId()
    alive = place.put("alive", b"x")
    place.files.update_one({"_id": alive}, {"$set": {"metadata.posix": {"rev": alive, "file": file, "links": 3}}})
    place.put("taken", b"another file")
    place.nodes.insert_many([
        {"_id": "", "format": 1, "hard_links": True},
        {"_id": "further", "kind": "link", "file": file, "at": "alive"},
        {"_id": "gone", "kind": "link", "file": bson.ObjectId(), "at": "nowhere"},
        {"_id": "taken", "kind": "link", "file": file, "at": "alive"}])
    return {"dead-name": 2}


LEFT_OVER = [dead_upload, unfinished_rename, overdue_trash, expired_claim, dead_name]


def test_what_dead_mounts_left_is_told_and_taken_away(place):
    made = {}
    for make in LEFT_OVER:
        made |= make(place)
    before = place.everything()
    report = place.fsck()
    assert (report["exit"], report.found) == (LEFT, made)
    assert place.everything() == before
    report = place.fsck("--repair", "--yes")
    assert (report["exit"], report.found) == (CORRECTED, made)
    assert report.corrected == {word: count for word, count in made.items() if word != "claims"}
    assert set(place.files.distinct("filename")) == {"published", "to/a", "alive", "taken"}
    assert set(place.chunks.distinct("files_id")) == set(place.files.distinct("_id"))
    assert place.locks.distinct("_id") == ["d"]
    assert {"", "further"} <= set(place.nodes.distinct("_id")) <= {"", "further", "to", "from"}
    assert (place.trash.count_documents({}), place.intents.count_documents({})) == (0, 0)
    report = place.fsck()
    assert (report["exit"], report.found) == (CLEAN, {"claims": 1})


def test_what_a_mount_tends_is_left_to_it(place):
    overdue_trash(place)
    place.intents.insert_one({"_id": "janitor", "kind": "janitor", "owner": bson.ObjectId(),
                              "until": buckets.now() + MINUTE})
    report = place.fsck("--repair", "--yes")
    assert (report["exit"], report.found) == (CLEAN, {"trash": 2})
    assert place.trash.count_documents({}) == 2


# Names

def test_names_that_hide_each_other(place):
    for name in ("a", "a-b", "a/b", "/deep/x/y", "deep/x", "./deep", "dir", "link", "plain", "plain.txt"):
        place.put(name, b"x")
    place.nodes.insert_many([
        {"_id": "", "format": 1},
        {"_id": "dir", "kind": "directory"},
        {"_id": "empty", "kind": "directory"},
        {"_id": "link", "kind": "symlink", "target": "plain"},
        {"_id": "plain/below", "kind": "directory"},
        {"_id": "seen", "kind": "symlink", "target": "plain"}])
    report = place.fsck()
    assert report["exit"] == CLEAN
    assert sorted(finding["name"] for finding in report.of("shadowed-file")) == ["a", "deep", "deep/x", "dir"]
    assert sorted(finding["name"] for finding in report.of("hidden-node")) == ["link", "plain"]
    assert set(report.found) == {"shadowed-file", "hidden-node"}


def test_a_node_above_files_is_hidden_by_the_directory(place):
    place.put("pipe/file", b"x")
    place.nodes.insert_many([{"_id": "", "format": 1}, {"_id": "pipe", "kind": "fifo"}])
    assert [finding["name"] for finding in place.fsck().of("hidden-node")] == ["pipe"]


def test_older_revisions_are_counted_across_spellings(place):
    for spelled in ("a", "/a", "./a", "a"):
        place.put(spelled, b"x" * 10)
    place.put("b", b"y")
    report = place.fsck()
    assert (report["exit"], report.found) == (CLEAN, {"older-revisions": 3})
    assert report["counts"]["older-revisions"]["bytes"] == 30


def test_files_that_no_path_can_name(place):
    names = ["", "a//b", "a/", "..", "a/../b", "x" * 256, ".gridfs"]
    for name in names:
        place.put(name)
    nameless = [place.store(filename, {}) for filename in (None, 7, buckets.ABSENT)]
    report = place.fsck()
    unnamed = report.of("unnameable-file")
    assert report["exit"] == CLEAN
    assert sorted(finding["name"] for finding in unnamed if "name" in finding) == sorted(names)
    assert {finding["id"] for finding in unnamed if "name" not in finding} == set(map(str, nameless))


def test_control_characters_reach_no_terminal(place):
    place.store("bell\a\x1b[31m\n", {}, **TEN)
    done = mounting.gridmount("fsck", place.uri, "-o", f"bucket={place.name}", timeout=PATIENCE)
    assert "'bell\\x07\\x1b[31m\\x0a'" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


# Against a second opinion, on what chance makes

def is_sound(chunks, length=10, size=4):
    expected = {n: min(size, length - n * size) for n in range(-(-length // size))}
    return {n: len(data) for n, data in chunks.items() if data or n in expected} == expected


@pytest.mark.parametrize("seed", range(2))
def test_damage_and_orphans_of_ids_of_many_types(place, seed):
    dice = random.Random(seed)
    make = [lambda: bson.ObjectId(dice.randbytes(12)), lambda: dice.randrange(-9, 99), lambda: dice.randrange(-9, 99) + 0.5,
            lambda: bson.Int64(dice.randrange(1 << 60)), lambda: "".join(dice.choices("aäz\U0001f600", k=3)),
            lambda: {dice.choice("ab"): dice.randrange(5), "c": dice.choice(["x", 1, None])},
            lambda: bson.Binary(dice.randbytes(dice.randrange(4))), lambda: buckets.day(dice.randrange(1, 30))]
    ids = {buckets.encoded_id(value): value for value in (dice.choice(make)() for _ in range(150))}
    damaged, orphans = set(), set()
    for number, files_id in enumerate(ids.values()):
        chunks = {n: dice.randbytes(min(4, 10 - n * 4)) for n in range(3)}
        if dice.random() < 0.3:
            n = dice.randrange(5)
            chunks[n] = dice.randbytes(dice.randrange(6))
        if dice.random() < 0.3:
            del chunks[dice.randrange(3)]
        if dice.random() < 0.2:
            orphans.add(buckets.encoded_id(files_id))
            place.add_chunks(files_id, chunks)
        else:
            place.store(f"f{number}", chunks if dice.random() < 0.9 else (chunks := {}), _id=files_id, **TEN)
            damaged |= set() if is_sound(chunks) else {buckets.encoded_id(files_id)}
    report = place.fsck()
    assert {finding["id"] for finding in report.of("damaged-file")} == damaged
    assert {finding["id"] for finding in report.of("orphan-chunks")} == orphans


@pytest.mark.parametrize("seed", range(2))
def test_names_that_hide_each_other_in_a_crowd(place, seed):
    dice = random.Random(seed)
    parts = ["a", "b", "a-", "a.", "a0", "ä", "b" * 20]

    def some():
        return {"/".join(dice.choices(parts, k=dice.randrange(1, 5))) for _ in range(60)}
    files, nodes = some(), {path: dice.choice(["directory", "symlink"]) for path in some()}
    place.files.insert_many([place.document(dice.choice(["", "", "/", "./"]) + path) for path in files])
    place.nodes.insert_many([{"_id": "", "format": 1}] + [
        {"_id": path, "kind": kind, "target": "x"} for path, kind in nodes.items()])

    directories = {path.rsplit("/", n)[0] for path in files for n in range(1, path.count("/") + 1)}
    made = {path for path, kind in nodes.items() if kind == "directory"}
    seen = {path for path in files if path not in directories | made} | {
        path for path, kind in nodes.items() if kind == "symlink" and path not in directories}
    report = place.fsck()
    assert {finding["name"] for finding in report.of("shadowed-file")} == files & (directories | made)
    assert {finding["name"] for finding in report.of("hidden-node")} == {
        path for path, kind in nodes.items() if kind == "symlink" and path in files | directories} | {
        path for path in seen if any(node.startswith(f"{path}/") for node in nodes)}


# What others wrote

def test_hostile_records_are_told_and_nothing_is_done_to_them(place, server):
    strange = [None, "text", -1, 2.5, True, [], [[]], {}, {"$gt": 1}, bson.Int64(2**62), bson.Regex("x"), bson.ObjectId(),
               LONG_AGO, bson.Timestamp(1, 1), bson.Binary(b"x")]
    if server.kind != "ferretdb":   # it hangs up on types it does not know
        strange += [bson.MinKey(), bson.MaxKey(), bson.Code("x"), bson.Decimal128("1.5"), bson.DBRef("x", 1)]
    kinds = ["put", "rename", "exchange", "janitor", 7]
    collections = place.locks, place.trash, place.intents, place.nodes

    def insert(collection, document):
        with contextlib.suppress(Exception):    # not every server takes everything
            collection.insert_one(document)
    for number, value in enumerate(strange):
        for collection in collections:
            insert(collection, {"_id": bson.ObjectId(), "kind": kinds[number % 5], "until": value, "due": value,
                                "from": value, "to": value, "at": value, "file": value, "document": value})
        insert(place.files, {"_id": f"f{number}", "filename": value, "length": value, "chunkSize": value,
                             "uploadDate": value, "metadata": value})
        insert(place.chunks, {"files_id": value, "n": number, "data": value})
        insert(place.chunks, {"files_id": f"f{number}", "n": value, "data": value})
    before = place.everything()
    report = place.fsck()
    assert (report["exit"], report["complaints"]) == (LEFT, "")
    assert place.everything() == before
    assert {"damaged-file", "orphan-chunks", "unreadable-record", "unnameable-file"} <= set(report.found)


def test_a_newer_format_is_told_and_nothing_is_repaired(place):
    overdue_trash(place)
    place.nodes.insert_one({"_id": "", "format": 2})
    before = place.everything()
    report = place.fsck("--repair", "--yes")
    assert report["exit"] == LEFT | FAILED
    assert report.found == {"newer-format": 1, "overdue-trash": 2}
    assert place.everything() == before


def test_missing_indexes_are_told(shop, server):
    bare = Place.__new__(Place)
    buckets.Bucket.__init__(bare, shop, f"b{next(numbers)}", indexes=False)
    bare.uri = server.uri(shop.name, directConnection="true")
    bare.files.insert_one(bare.document("a"))
    bare.chunks.insert_one({"files_id": 1, "n": 0, "data": b""})
    assert bare.fsck().found == {"missing-index": 2, "orphan-chunks": 1}


# The command

@pytest.mark.parametrize("arguments", [
    ("--repair",), ("--mend",), ("one", "two"), ("-o", "bucket=*"), ("-o", "no_such_option")], ids=" ".join)
def test_wrong_usage(place, arguments):
    done = mounting.gridmount("fsck", place.uri, *arguments)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr.startswith("gridmount: ")


def test_without_a_uri_the_environment_names_it(place):
    place.put("a", b"x")
    done = mounting.gridmount("fsck", "-o", f"bucket={place.name}", MONGODB_URL=place.uri)
    assert (done.returncode, done.stderr) == (CLEAN, "")
    assert "clean" in done.stdout and "files: 1, 1 bytes" in done.stdout


def test_a_server_that_is_not_there():
    done = mounting.gridmount("fsck", f"mongodb://127.0.0.1:{servers.free_port()}/x", "-o", "timeout=2")
    assert done.returncode == FAILED
    assert done.stderr


@pytest.mark.parametrize("answer, status", [("y", CORRECTED), ("", LEFT)], ids=["yes", "enter"])
def test_at_a_terminal_it_asks_first(place, answer, status):
    expired_claim(place)
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "wb", buffering=0) as keyboard:
        keyboard.write(answer.encode() + b"\n")
        done = subprocess.run([mounting.BINARY, "fsck", place.uri, "-o", f"bucket={place.name}", "--repair"],
                              stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, timeout=PATIENCE, check=False,
                              env=mounting.environment())
        os.close(theirs)
    assert done.returncode == status
    assert place.locks.count_documents({}) == (1 if answer == "y" else 4)


# Beside a mount

def test_what_a_mount_does_is_no_problem(bucket, uri, mount):
    mnt = mount()
    for number in range(3):
        (mnt.path / "file").write_bytes(b"x" * 1000 * number)
    (mnt.path / "dir").mkdir()
    (mnt.path / "link").symlink_to("file")
    (mnt.path / "dir" / "one").write_bytes(b"1")
    os.link(mnt.path / "dir" / "one", mnt.path / "two")
    os.rename(mnt.path / "dir", mnt.path / "renamed")
    os.unlink(mnt.path / "file")
    done = mounting.gridmount("fsck", uri, "--json", timeout=PATIENCE)
    report = Report(json.loads(done.stdout))
    assert (done.returncode, report["findings"]) == (CLEAN, []), done.stdout
    assert set(report.found) <= {"uploads", "trash", "claims", "renames"}
    assert report.found["trash"]


def test_what_a_killed_mount_leaves_is_taken_away_when_its_time_is_over(bucket, uri, mount):
    mnt = mount()
    file = os.open(mnt.path / "big", os.O_CREAT | os.O_WRONLY)
    for _ in range(16):
        os.write(file, bytes(1 << 20))      # so much is sent while it is written
    mounting.wait_for(lambda: bucket.chunks.count_documents({}), 30, "a chunk before the close")
    mnt.process.kill()
    mnt.process.wait()
    mnt.expected_exit = -signal.SIGKILL
    with contextlib.suppress(OSError):
        os.close(file)
    mounting.force_unmount(mnt.path)

    place = Place(bucket.database, bucket.name, uri)
    report = place.fsck()
    assert (report["exit"], report["findings"], report.found) == (CLEAN, [], {"uploads": 1})
    place.intents.update_many({}, {"$set": {"until": LONG_AGO}})
    assert place.fsck("--repair", "--yes")["exit"] == CORRECTED
    assert (place.chunks.count_documents({}), place.intents.count_documents({})) == (0, 0)


# Who may not write

def test_a_user_who_may_only_read_looks_and_repairs_nothing(guarded):
    with guarded.client(tz_aware=True) as client:
        database = client["fsck_reader"]
        place = Place(database, "fs", f"mongodb://reader:secret@127.0.0.1:{guarded.port}/fsck_reader?directConnection=true")
        database.command("createUser", "reader", pwd="secret", roles=[{"role": "read", "db": "fsck_reader"}])
        place.store("broken", {}, **TEN)
        expired_claim(place)
        before = place.everything()
        report = place.fsck()
        assert (report["exit"], report.found) == (LEFT, {"damaged-file": 1, "expired-claim": 3, "claims": 1})
        assert place.fsck("--repair", "--yes")["exit"] == LEFT | FAILED
        assert place.everything() == before


# While others are at work

@pytest.mark.long
def test_puts_and_deletes_meanwhile_are_no_damage(place):
    fs = gridfs.GridFS(place.database, place.name)
    stopping = threading.Event()

    def work(number):
        while not stopping.is_set():
            ids = [fs.put(b"x" * 3000, filename=f"{number}/{n}", chunk_size=1000) for n in range(20)]
            for files_id in ids:
                fs.delete(files_id)
    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(50):
            assert set(place.fsck().found) <= {"orphan-chunks", "older-revisions"}
    finally:
        stopping.set()
        for worker in workers:
            worker.join()
    assert place.fsck()["exit"] == CLEAN
