# SPDX-License-Identifier: Apache-2.0
"""Several hosts write one file at once: the last close wins as a whole, and nothing is left over. DESIGN.md §3, §4."""
import random

import pytest

from buckets import CHUNK
from hosts import Application, Host, chosen_seed, told

WRITERS = 3


@pytest.fixture
def writers(mount):
    hosts = [Host(mount().path) for _ in range(WRITERS)]
    yield hosts
    for host in hosts:
        host.end()


@pytest.fixture
def application(database):
    return Application(database)


def content(rng, number):
    """Of one byte throughout, and of a length of its own: a mix of two is seen."""
    return bytes([1 + number % 255]) * rng.choice((rng.randint(1, 3000), CHUNK + rng.randint(-1, 1), 2 * CHUNK + number))


def at_once(hosts, calls):
    """Each makes its call; what they heard."""
    asked = [host.send(*call) or host for host, call in zip(hosts, calls)]
    return [host.receive() for host in asked]


def everybody_sees(hosts, application, name):
    """The one content that all agree on, None when it is not there."""
    seen = [host.get(name) for host in hosts] + [application.get(name)]
    assert all(each == seen[0] for each in seen), [each and (each[:1], len(each)) for each in seen]
    return seen[0]


def nothing_is_left_over(bucket, names):
    """One revision of each of these names; no chunk that neither a file nor the trash has; no file without a chunk."""
    found = sorted(document["filename"] for document in bucket.files.find())
    assert found == sorted(names)
    known = {document["_id"] for collection in (bucket.files, bucket.database["fs.gridmount.trash"])
             for document in collection.find({}, {"_id": 1})}
    orphans = [chunk for chunk in bucket.chunks.find({}, {"files_id": 1}) if chunk["files_id"] not in known]
    assert not orphans
    for document in bucket.files.find():
        wanted = -(-document["length"] // document["chunkSize"])
        assert bucket.chunks.count_documents({"files_id": document["_id"]}) == wanted


def check_writers(bucket, writers, application, rng, number, name):
    contents = [content(rng, WRITERS * number + n) for n in range(WRITERS)]
    ways = ("put", "replace") if number % 4 else ("put",)
    calls = [(rng.choice(ways), name.encode(), data) for data in contents]
    assert at_once(writers, calls) == [("is", None)] * WRITERS
    last = everybody_sees(writers, application, name)
    assert last in contents, "one of them, and whole"


def run_writers(bucket, writers, application, rounds):
    rng = random.Random(chosen_seed())
    names = set()
    for number in range(rounds):
        name = f"new {number}" if number % 4 == 0 else "f"
        check_writers(bucket, writers, application, rng, number, name)
        names.add(name)
        if number % 8 == 7:
            nothing_is_left_over(bucket, names)
    nothing_is_left_over(bucket, names)


def test_of_all_who_close_at_once_one_wins_as_a_whole(bucket, writers, application, server):
    run_writers(bucket, writers, application, 5 if server.slow else 16)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_of_all_who_close_at_once_one_wins_as_a_whole_a_thousand_times(bucket, writers, application):
    run_writers(bucket, writers, application, 1000)


def test_who_closes_last_wins_although_another_opened_and_wrote_later(bucket, writers, application):
    first, second, third = writers
    first.put("f", b"as it was")
    told(first("open", 1, b"f", 1, 0))      # O_WRONLY
    told(first("write", 1, 1, 100))
    wanted = first.get("f")                 # what it has written is there for its own host
    second.put("f", b"of the second")
    assert everybody_sees([second, third], application, "f") == b"of the second"
    told(first("close", 1))
    assert everybody_sees(writers, application, "f") == wanted
    nothing_is_left_over(bucket, ["f"])


def test_readers_see_whole_revisions_while_all_write(bucket, writers, application, mount):
    """The same name again and again; a reader that begins is given one content, whole."""
    rng = random.Random(chosen_seed())
    reader = Host(mount().path)
    writers[0].put("f", b"\1" * 10)
    for number in range(6):
        contents = [content(rng, 1 + WRITERS * number + n) for n in range(WRITERS)]
        for host, data in zip(writers, contents):
            host.send("put", b"f", data)
        for _ in range(6):
            for seen in (reader.get("f"), application.get("f")):
                assert seen and len(set(seen)) == 1
        for host in writers:
            assert host.receive() == ("is", None)
        assert everybody_sees([*writers, reader], application, "f") in contents
    reader.end()


ORDERS = {
    # what the other does to the file meanwhile: the names and contents that one order or the other ends in
    "unlink": (("unlink", b"f"), [{}, {"f": b"new"}]),
    "rename": (("rename", b"f", b"g", 0), [{"g": b"new"}, {"g": b"old", "f": b"new"}]),
    "replace": (("rename", b"other", b"f", 0), [{"f": b"new"}, {"f": b"other"}]),
}


@pytest.mark.parametrize("what", ORDERS)
def test_a_name_that_changes_while_another_host_writes_it_ends_in_one_of_two_orders(bucket, writers, application, server, what):
    """At once only where updates are atomic: what two clients change in one document at a time, FerretDB may undo."""
    call, ends = ORDERS[what]
    size = 200_000      # of several questions, so that the change falls between any two of them
    for number in range(4):
        for name in application.names():
            writers[2].remove(name)
        writers[0].put("f", b"old" * size)
        if what == "replace":
            writers[1].put("other", b"other" * size)
        assert writers[1].get("f") == b"old" * size
        told(writers[0]("open", 1, b"f", 1, 0))
        told(writers[0]("pwrite_bytes", 1, b"new" * size, 0))
        if number % 2 and server.kind != "ferretdb":
            at_once(writers, [("close", 1), call])
        else:
            told(writers[1](*call))
            told(writers[0]("close", 1))
        found = {name: everybody_sees(writers, application, name) for name in ("f", "g", "other")}
        found = {name: data for name, data in found.items() if data is not None}
        assert found in [{name: data * size for name, data in end.items()} for end in ends], \
            {name: (data[:5], len(data)) for name, data in found.items()}
        nothing_is_left_over(bucket, found)
