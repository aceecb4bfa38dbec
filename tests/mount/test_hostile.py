# SPDX-License-Identifier: Apache-2.0
"""Documents that no driver would write: a documented result, never a crash, and no harm to others.

A files document whose length or chunkSize is unusable is listed (with size 0 if it is
the length), and reading it gives EIO and a log line. Anything else that is odd about
it does not keep its content from being read.
"""
import datetime
import errno

import bson
import pymongo.errors
import pytest
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument

from buckets import ABSENT, day, encoded_id
from mounting import names_in, wait_for

DATA = b"0123456789"
NAN, INFINITY = float("nan"), float("inf")


def nested(depth):
    document = {}
    for _ in range(depth):
        document = {"a": document}
    return document


def insert_or_skip(bucket, *arguments, **fields):
    """Inserts, or skips the test on a server that does not take such a document."""
    try:
        return bucket.insert(*arguments, **fields)
    except (pymongo.errors.OperationFailure, pymongo.errors.AutoReconnect) as error:
        pytest.skip(f"this server stores no such document: {str(error)[:80]}")


@pytest.fixture
def neighbours(bucket):
    """Files around the hostile one, in its directory; a check that they are unharmed."""
    names = ["a", "z"]
    for name in names:
        bucket.put(f"d/{name}", name.encode())

    def unharmed(mnt, hostile=("hostile",)):
        assert set(names_in(mnt.path / "d")) - set(hostile) == set(names)
        for name in names:
            assert (mnt.path / "d" / name).read_bytes() == name.encode()
        assert mnt.status()["state"] == "ok"
    return unharmed


def reading_fails(mnt, path):
    with pytest.raises(OSError) as refused:
        (mnt.path / path).read_bytes()
    assert refused.value.errno == errno.EIO
    assert any(path in line for line in mnt.log().splitlines()), mnt.log()


UNUSABLE_LENGTHS = {
    "-1": -1, "-2^63": Int64(-2**63), "NaN": NAN, "inf": INFINITY, "-inf": -INFINITY,
    "1.5": 1.5, "1e300": 1e300, "string": "10", "null": None, "array": [10], "document": {"a": 10},
    "bool": True, "binary": Binary(b"10"), "date": day(1), "absent": ABSENT,
}


@pytest.mark.parametrize("length", UNUSABLE_LENGTHS.values(), ids=UNUSABLE_LENGTHS)
def test_a_file_of_unusable_length_is_listed_empty_and_cannot_be_read(
        bucket, mount, neighbours, length):
    insert_or_skip(bucket, "d/hostile", DATA, length=length)
    mnt = mount()
    assert "hostile" in names_in(mnt.path / "d")
    assert (mnt.path / "d/hostile").stat().st_size == 0
    reading_fails(mnt, "d/hostile")
    neighbours(mnt)


@pytest.mark.parametrize("length", [2**62, 2**63 - 1, 2**50, 2**33],
                         ids=["2^62", "2^63-1", "2^50", "2^33"])
def test_a_length_that_the_chunks_do_not_have_is_an_error(bucket, mount, neighbours, length):
    insert_or_skip(bucket, "d/hostile", DATA, length=Int64(length))
    mnt = mount()
    assert (mnt.path / "d/hostile").stat().st_size in (0, length)
    with pytest.raises(OSError) as refused:
        with open(mnt.path / "d/hostile", "rb", buffering=0) as file:
            file.read(10)
    assert refused.value.errno == errno.EIO
    neighbours(mnt)


UNUSABLE_CHUNK_SIZES = {
    "0": 0, "-1": -1, "-2^31": -2**31, "2^31": Int64(2**31), "2^62": Int64(2**62), "NaN": NAN,
    "inf": INFINITY, "1.5": 1.5, "0.0": 0.0, "1e300": 1e300, "string": "10", "null": None,
    "array": [10], "document": {}, "bool": True, "absent": ABSENT,
}


@pytest.mark.parametrize("chunk_size", UNUSABLE_CHUNK_SIZES.values(), ids=UNUSABLE_CHUNK_SIZES)
def test_a_file_of_unusable_chunk_size_is_listed_and_cannot_be_read(
        bucket, mount, neighbours, chunk_size):
    insert_or_skip(bucket, "d/hostile", DATA, chunkSize=chunk_size)
    mnt = mount()
    assert "hostile" in names_in(mnt.path / "d")
    reading_fails(mnt, "d/hostile")
    neighbours(mnt)


HARMLESS = {
    "chunkSize 2^30": {"chunkSize": 2**30},
    "chunkSize 2^31-1": {"chunkSize": 2**31 - 1},
    "uploadDate absent": {"uploadDate": ABSENT},
    "uploadDate null": {"uploadDate": None},
    "uploadDate a string": {"uploadDate": "2020-01-01"},
    "uploadDate a number": {"uploadDate": 5},
    "uploadDate a timestamp": {"uploadDate": Timestamp(5, 5)},
    "uploadDate before 1970": {"uploadDate": datetime.datetime(1950, 1, 1)},
    "uploadDate at the end of time": {"uploadDate": DatetimeMS(2**63 - 1)},
    "uploadDate at the start of time": {"uploadDate": DatetimeMS(-2**63)},
    "metadata null": {"metadata": None},
    "metadata a string": {"metadata": "posix"},
    "metadata an array": {"metadata": [{"posix": 1}]},
    "metadata of 15 MiB": {"metadata": {"blob": b"x" * (15 << 20)}},
    "metadata nested 90 deep": {"metadata": nested(90)},
    "metadata nested 150 deep": {"metadata": nested(150)},
    "metadata with a dollar": {"metadata": {"$where": "1"}},
    "metadata with an empty key": {"metadata": {"": 1}},
    "posix null": {"metadata": {"posix": None}},
    "posix a number": {"metadata": {"posix": 5}},
    "posix an array": {"metadata": {"posix": [1, 2]}},
    "posix of strings": {"metadata": {"posix": {"mode": "rwx", "uid": "root", "gid": [], "rev": {}}}},
    "posix negative": {"metadata": {"posix": {"mode": -1, "uid": -1, "gid": -2}}},
    "posix huge": {"metadata": {"posix": {"mode": Int64(2**40), "uid": Int64(2**40), "gid": 1e300}}},
    "posix NaN": {"metadata": {"posix": {"mode": NAN, "uid": NAN, "gid": NAN}}},
    "time at the end": {"_id": 1, "metadata": {"posix": {"rev": 1, "mtime_ns": Int64(2**63 - 1)}}},
    "time at the start": {"_id": 1, "metadata": {"posix": {"rev": 1, "mtime_ns": Int64(-2**63)}}},
    "time a string": {"_id": 1, "metadata": {"posix": {"rev": 1, "mtime_ns": "now"}}},
    "file identity a number": {"metadata": {"posix": {"file": 5}}},
    "md5 a number": {"md5": 5},
    "contentType an array": {"contentType": ["a"], "aliases": 5},
    "unknown fields": {"files": nested(20), "n": -1, "$db": "x"},
    "_id null": {"_id": None},
    "_id MinKey": {"_id": MinKey()},
    "_id MaxKey": {"_id": MaxKey()},
    "_id Decimal128": {"_id": Decimal128("1.5")},
    "_id a long string": {"_id": "x" * 100_000},
    "_id a large document": {"_id": {f"k{n}": n for n in range(500)}},
    "_id false": {"_id": False},
    "_id -0.0": {"_id": -0.0},
    "posix -0.0": {"metadata": {"posix": {"mode": -0.0}}},
}


@pytest.mark.parametrize("fields", HARMLESS.values(), ids=HARMLESS)
def test_an_odd_document_with_usable_content_is_read(bucket, mount, neighbours, fields):
    insert_or_skip(bucket, "d/hostile", DATA, **fields)
    mnt = mount()
    assert "hostile" in names_in(mnt.path / "d")
    stat = (mnt.path / "d/hostile").stat()
    assert stat.st_size == len(DATA) and stat.st_mode & 0o6000 == 0
    assert (mnt.path / "d/hostile").read_bytes() == DATA
    neighbours(mnt)


def test_minus_zero_is_the_length_of_an_empty_file(bucket, mount, neighbours):
    insert_or_skip(bucket, "d/hostile", b"", length=-0.0)
    mnt = mount()
    assert (mnt.path / "d/hostile").read_bytes() == b""
    neighbours(mnt)


@pytest.mark.parametrize("missing", [ABSENT, None, "2030-01-01", 5, Timestamp(2**31, 1),
                                     Regex("x"), True, {"$date": 1}], ids=str)
def test_a_file_without_upload_date_counts_as_the_oldest(bucket, mount, missing):
    insert_or_skip(bucket, "f", b"undated", _id=ObjectId("f" * 24),
                   uploadDate=missing)
    bucket.insert("f", b"dated", _id=ObjectId("0" * 24), uploadDate=day(1))
    assert (mount().path / "f").read_bytes() == b"dated"


ODD_NAMES = {
    "binary": Binary(b"d/hostile"), "date": day(1), "regex": Regex("d/.*"), "bool": True,
    "array within the range": ["d/x", "d/y"], "array of arrays": [["d/x"]], "object id": ObjectId(),
    "document": {"d/": 1}, "timestamp": Timestamp(1, 1), "MinKey": MinKey(), "MaxKey": MaxKey(),
    "a megabyte": "d/" + "x" * (1 << 20), "two thousand slashes": "d" + "/" * 2000,
    "deeper than any path": "d/" + "e/" * 3000 + "f", "dots": "d/../../../etc/passwd",
}


@pytest.mark.parametrize("filename", ODD_NAMES.values(), ids=ODD_NAMES)
def test_an_odd_filename_hides_no_neighbour(bucket, mount, neighbours, filename):
    files_id = insert_or_skip(bucket, filename, DATA)
    mnt = mount()
    neighbours(mnt, hostile=("e",))
    assert names_in(mnt.path) == ["d"]
    assert mnt.by_id(encoded_id(files_id)).read_bytes() == DATA


def raw_document(bucket, document, old, new):
    """Inserts a document some of whose bytes were exchanged after its encoding."""
    encoded = bson.encode(document)
    assert len(old) == len(new) and encoded.count(old) >= 1
    try:
        bucket.files.insert_one(RawBSONDocument(encoded.replace(old, new)))
    except (pymongo.errors.OperationFailure, pymongo.errors.AutoReconnect):
        pytest.skip("this server refuses such BSON")
    raw = bucket.files.with_options(CodecOptions(RawBSONDocument)).find_one({"_id": document["_id"]})
    if new not in raw.raw:
        pytest.skip("this server stores something else instead")


INVALID_UTF8 = {"lone continuation": b"d/Z\x80ZZZ", "overlong slash": b"d/Z\xc0\xafZZ",
                "surrogate": b"d/Z\xed\xa0\x80Z", "cut sequence": b"d/ZZZZ\xe2", "ff": b"d/\xff\xff\xff\xffZ"}


@pytest.mark.parametrize("filename", INVALID_UTF8.values(), ids=INVALID_UTF8)
def test_a_stored_filename_of_invalid_utf8_is_unrepresentable(bucket, mount, neighbours, filename):
    document = bucket.document("d/QQQQQ"[:len(filename)], b"")
    raw_document(bucket, document, document["filename"].encode(), filename)
    mnt = mount()
    neighbours(mnt)
    assert mnt.by_id(encoded_id(document["_id"])).read_bytes() == b""
    wait_for(lambda: mnt.counters()["unrepresentable_names"] >= 1, what="the count")


@pytest.mark.parametrize("field, twin", [("filename", "filenamf"), ("length", "lengtg")])
def test_a_field_given_twice_does_no_harm(bucket, mount, neighbours, field, twin):
    document = bucket.document("d/hostile", b"") | {twin: "other"}
    raw_document(bucket, document, twin.encode() + b"\0", field.encode() + b"\0")
    neighbours(mount())
