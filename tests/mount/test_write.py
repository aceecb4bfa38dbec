# SPDX-License-Identifier: Apache-2.0
"""What programs write by path is a GridFS file that every driver reads, once it is closed."""
import ctypes
import errno
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import gridfs
import pytest

from buckets import CHUNK
from mounting import MountFailed, Watched, is_sanitized, wait_for
from operations import KEEP_SIZE, PUNCH_HOLE, fallocate

KIB, MIB = 1 << 10, 1 << 20
PROT_READ, PROT_WRITE, MAP_SHARED = 1, 2, 1


def content(size, seed=1):
    return random.Random(seed).randbytes(size)


@pytest.fixture
def mnt(mount):
    return mount()


@pytest.fixture
def revisions(bucket):
    """revisions(name): how many of that name there are."""
    return lambda name: bucket.files.count_documents({"filename": name})


def python(program, *arguments, **named):
    """A Python program in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, **named)


# Forms in which programs write

def test_a_pickle_is_read_by_pymongo_and_one_by_pymongo_here(bucket, mnt, stored):
    value = {"weights": list(range(10_000)), "name": "model"}
    with open(mnt.path / "model.pkl", "wb") as file:
        pickle.dump(value, file)
    assert pickle.loads(stored("model.pkl")) == value
    bucket.put("other.pkl", pickle.dumps(value))
    with open(mnt.path / "other.pkl", "rb") as file:
        assert pickle.load(file) == value


@pytest.mark.parametrize("size", [0, 1, 4096, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, MIB, 5 * MIB + 17])
def test_files_of_any_size(mnt, stored, size):
    data = content(size)
    (mnt.path / "f").write_bytes(data)
    assert stored("f") == data
    assert (mnt.path / "f").read_bytes() == data and (mnt.path / "f").stat().st_size == size


def test_the_document_is_what_the_specification_says(bucket, mnt):
    before = time.time()
    os.makedirs(mnt.path / "a/b")
    (mnt.path / "a/b/f").write_bytes(content(CHUNK + 1))
    document = bucket.files.find_one({"filename": "a/b/f"})
    assert set(document) == {"_id", "length", "chunkSize", "uploadDate", "filename", "metadata"}
    assert (document["length"], document["chunkSize"]) == (CHUNK + 1, CHUNK)
    assert before - 5 <= document["uploadDate"].timestamp() <= time.time() + 5
    posix = document["metadata"]["posix"]
    assert posix["rev"] == document["_id"] and posix["mode"] & 0o777 == 0o644
    for chunk in bucket.chunks.find({"files_id": document["_id"]}):
        assert set(chunk) == {"_id", "files_id", "n", "data"} and isinstance(chunk["data"], bytes)


def test_the_first_write_into_an_empty_bucket_makes_the_two_indexes(database, mnt):
    (mnt.path / "f").write_bytes(b"x")
    keys = {name: [list(index["key"].items()) for index in database[name].list_indexes()]
            for name in ("fs.files", "fs.chunks")}
    assert [("filename", 1), ("uploadDate", 1)] in keys["fs.files"]
    assert [("files_id", 1), ("n", 1)] in keys["fs.chunks"]


def test_appending_adds_to_the_end(mnt, stored):
    for number in range(20):
        with open(mnt.path / "log", "a", encoding="utf-8") as log:
            log.write(f"line {number}\n")
        assert stored("log").decode().count("\n") == number + 1
    assert stored("log").decode().splitlines() == [f"line {number}" for number in range(20)]


def test_appending_to_what_pymongo_put(bucket, mnt, stored):
    data = content(3 * CHUNK + 100)
    bucket.put("log", data)
    with open(mnt.path / "log", "ab") as log:
        log.write(b"more")
    assert stored("log") == data + b"more"


def test_appends_of_several_processes_lose_nothing(mnt, stored):
    program = """if 1:
        import os, sys
        descriptor = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        for number in range(200):
            os.write(descriptor, f"{sys.argv[2]} {number}\\n".encode())
        os.close(descriptor)"""
    writers = [python(program, mnt.path / "log", name) for name in "abcd"]
    assert [writer.wait() for writer in writers] == [0] * 4
    lines = stored("log").decode().splitlines()
    assert sorted(lines) == sorted(f"{name} {number}" for name in "abcd" for number in range(200))
    assert (mnt.path / "log").read_text().splitlines() == lines


def test_write_a_temporary_file_and_rename_it(bucket, mnt, stored):
    bucket.put("config", b"old")
    for number in range(10):
        data = b"new %d" % number
        with open(mnt.path / "config.tmp", "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(mnt.path / "config.tmp", mnt.path / "config")
        assert stored("config") == data and stored("config.tmp") is None
        assert (mnt.path / "config").read_bytes() == data
    assert os.listdir(mnt.path) == ["config"]


def test_overwriting_cuts_what_was_longer(bucket, mnt, stored):
    bucket.put("photo.jpg", content(700_000))
    (mnt.path / "photo.jpg").write_bytes(b"small")
    assert stored("photo.jpg") == b"small"


def test_a_change_in_the_middle_keeps_the_rest(bucket, mnt, stored):
    data = bytearray(content(6 * CHUNK + 1000))
    bucket.put("f", bytes(data))
    rng = random.Random(3)
    for _ in range(5):
        at, change = rng.randrange(len(data) - 5000), rng.randbytes(5000)
        with open(mnt.path / "f", "r+b") as file:
            file.seek(at)
            file.write(change)
        data[at:at + 5000] = change
        assert stored("f") == data
        assert (mnt.path / "f").read_bytes() == data


def test_the_chunk_size_of_a_file_is_kept(bucket, mnt, stored):
    files_id = bucket.put("f", content(500_000), chunk_size=64 * KIB)
    with open(mnt.path / "f", "ab") as file:
        file.write(b"more")
    document = bucket.files.find_one({"filename": "f", "_id": {"$ne": files_id}})
    assert document["chunkSize"] == 64 * KIB
    assert stored("f") == content(500_000) + b"more"


@pytest.mark.parametrize("size", [0, 1, 100, CHUNK, CHUNK + 5, 4 * CHUNK, 7 * CHUNK])
def test_truncate_to_any_size(bucket, mnt, stored, size):
    data = content(4 * CHUNK + 7)
    bucket.put("f", data)
    os.truncate(mnt.path / "f", size)
    expected = data[:size] + bytes(max(0, size - len(data)))
    assert stored("f") == expected, "published when truncate returns: there is no close that could"
    assert (mnt.path / "f").read_bytes() == expected


def test_sparse_files_and_punched_holes(mnt, stored):
    with open(mnt.path / "f", "wb") as file:
        file.seek(3 * CHUNK)
        file.write(b"end")
    assert stored("f") == bytes(3 * CHUNK) + b"end"
    descriptor = os.open(mnt.path / "f", os.O_RDWR)
    os.pwrite(descriptor, b"x" * 2 * CHUNK, 0)
    fallocate(descriptor, PUNCH_HOLE | KEEP_SIZE, 1000, CHUNK)
    os.close(descriptor)
    expected = b"x" * 1000 + bytes(CHUNK) + b"x" * (CHUNK - 1000) + bytes(CHUNK) + b"end"
    assert stored("f") == expected


def test_a_hole_is_still_one_after_a_remount(mnt, server):
    if not server.has_nested_arrays:
        pytest.skip("this server cannot store where holes are: they come back as zeros")
    with open(mnt.path / "f", "wb") as file:
        file.write(b"start")
        file.seek(8 * MIB)
        file.write(b"end")
    for _ in range(2):
        found = (mnt.path / "f").stat()
        assert found.st_size == 8 * MIB + 3 and found.st_blocks * 512 <= MIB
        descriptor = os.open(mnt.path / "f", os.O_RDONLY)
        hole = os.lseek(descriptor, 0, os.SEEK_HOLE)
        assert 5 <= hole <= MIB
        assert MIB < os.lseek(descriptor, hole, os.SEEK_DATA) <= 8 * MIB
        os.close(descriptor)
        assert mnt.unmount() == 0
        mnt.start()


def test_handles_of_one_file_see_each_other_at_once(mnt, stored):
    path = mnt.path / "f"
    with open(path, "w+b", buffering=0) as one, open(path, "r+b", buffering=0) as other, \
            open(path, "rb", buffering=0) as reader:
        one.write(b"0123456789")
        assert other.read() == reader.read() == b"0123456789"
        other.seek(5)
        other.write(b"abcdefghij")
        assert os.pread(one.fileno(), 100, 0) == os.pread(reader.fileno(), 100, 0) == b"01234abcdefghij"
        one.truncate(3)
        assert os.pread(reader.fileno(), 100, 0) == b"012" and os.fstat(other.fileno()).st_size == 3
        assert path.read_bytes() == b"012" and path.stat().st_size == 3
    assert stored("f") == b"012"


# mmap

class Mapping:
    """A shared mapping that holds no descriptor, unlike Python's own."""

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.msync.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

    def __init__(self, path, size):
        descriptor = os.open(path, os.O_RDWR)
        self.size = size
        self.address = self.libc.mmap(None, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        os.close(descriptor)
        assert self.address != ctypes.c_void_p(-1).value

    def write(self, offset, data):
        ctypes.memmove(self.address + offset, data, len(data))

    def sync(self):
        assert self.libc.msync(self.address, self.size, 4) == 0

    def unmap(self):
        assert self.libc.munmap(self.address, self.size) == 0


def test_what_is_written_through_a_mapping_after_the_last_close_is_published(bucket, mnt, stored):
    data = content(2 * CHUNK)
    bucket.put("f", data)
    os.utime(mnt.path / "f", ns=(1, 1))
    mapping = Mapping(mnt.path / "f", len(data))
    mapping.write(CHUNK - 5, b"0123456789")
    expected = data[:CHUNK - 5] + b"0123456789" + data[CHUNK + 5:]
    assert (mnt.path / "f").read_bytes() == expected
    mapping.sync()
    mapping.write(0, b"last")
    mapping.unmap()
    expected = b"last" + expected[4:]
    # Not stored(): its several questions may meet the replacement half-way.
    newest = gridfs.GridFS(bucket.database).get_last_version
    wait_for(lambda: newest("f").read() == expected, what="the mapping's pages in the database")
    assert stored("f") == expected
    assert (mnt.path / "f").read_bytes() == expected
    assert (mnt.path / "f").stat().st_mtime > time.time() - 60


# What is not published

def test_open_for_writing_and_close_writes_nothing(bucket, mnt, revisions):
    files_id = bucket.put("f", b"content")
    with Watched(mnt) as spent:
        for flags in (os.O_RDWR, os.O_WRONLY, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_CREAT):
            os.close(os.open(mnt.path / "f", flags))
        with open(mnt.path / "f", "r+b") as file:
            assert file.read() == b"content"
    assert revisions("f") == 1 and bucket.files.find_one({"filename": "f"})["_id"] == files_id
    assert spent.round_trips <= 15, spent.counts


def test_touch_changes_metadata_only(bucket, mnt, revisions):
    files_id = bucket.put("f", b"content")
    chunks = bucket.chunks.find_one({"files_id": files_id})["_id"]
    os.utime(mnt.path / "f", ns=(5, 7))
    assert revisions("f") == 1
    document = bucket.files.find_one({"filename": "f"})
    assert document["_id"] == files_id and document["metadata"]["posix"]["mtime_ns"] == 7
    assert bucket.chunks.find_one({"files_id": files_id})["_id"] == chunks


def test_a_new_file_is_not_there_for_others_before_it_is_closed(mount, mnt, stored):
    other = mount()
    with open(mnt.path / "new", "xb") as file:
        file.write(b"content")
        file.flush()
        assert stored("new") is None and not (other.path / "new").exists()
        with pytest.raises(FileExistsError):
            open(other.path / "new", "xb")
    assert stored("new") == b"content"
    assert (other.path / "new").read_bytes() == b"content"


def test_fsync_publishes(mnt, stored):
    with open(mnt.path / "f", "wb") as file:
        for number in range(3):
            file.write(b"%d" % number)
            file.flush()
            os.fsync(file.fileno())
            assert stored("f") == b"012"[:number + 1]


def test_a_forked_child_that_exits_publishes_nothing(bucket, mnt, stored, revisions):
    bucket.put("f", b"old")
    with open(mnt.path / "f", "r+b", buffering=0) as file:
        file.write(b"half")
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        assert stored("f") == b"old" and revisions("f") == 1
        file.write(b" whole")
    assert stored("f") == b"half whole"


def test_a_forked_child_that_writes_and_exits_publishes(mnt, stored):
    with open(mnt.path / "f", "wb", buffering=0) as file:
        file.write(b"parent ")
        child = os.fork()
        if not child:
            file.write(b"child")
            file.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert stored("f") == b"parent child"


def test_a_subprocess_that_inherits_nothing_disturbs_nothing(mnt, stored):
    with open(mnt.path / "f", "wb", buffering=0) as file:
        file.write(b"first ")
        subprocess.run(["true"], check=True)
        assert stored("f") is None
        file.write(b"second")
    assert stored("f") == b"first second"


def test_writing_and_renaming_is_all_or_nothing_for_a_killed_writer(bucket, mnt, stored):
    program = """if 1:
        import os, sys, time
        with open(sys.argv[1] + ".tmp", "wb") as file:
            file.write(b"x" * 1_000_000)
            file.flush()
            print("written", flush=True)
            time.sleep(60)
        os.rename(sys.argv[1] + ".tmp", sys.argv[1])"""
    bucket.put("f", b"old")
    writer = python(program, mnt.path / "f")
    assert writer.stdout.readline() == b"written\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert stored("f") == b"old" and (mnt.path / "f").read_bytes() == b"old"
    (mnt.path / "f").write_bytes(b"new")
    assert stored("f") == b"new"


def test_a_writer_that_is_killed_leaves_whole_revisions_only(mnt, stored):
    program = """if 1:
        import sys
        for number in range(1, 1000):
            with open(sys.argv[1], "wb") as file:
                file.write(bytes([number % 256]) * (50_000 + number))
            print(number, flush=True)"""
    writer = python(program, mnt.path / "f")
    for _ in range(3):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    # Published is what had been written when a descriptor was closed: that may be by its end, in the middle.
    wait_for(lambda: mnt.status() is not None)
    data = stored("f")
    assert data == (mnt.path / "f").read_bytes()
    assert len(set(data)) <= 1


# Errors

def test_a_file_over_the_limit_is_efbig(mount, stored):
    path = mount(options="max_file_size=1M").path / "f"
    path.write_bytes(bytes(MIB))
    with open(path, "r+b", buffering=0) as file:
        file.seek(MIB)
        with pytest.raises(OSError) as refused:
            file.write(b"x")
        assert refused.value.errno == errno.EFBIG
    with pytest.raises(OSError) as refused:
        os.truncate(path, MIB + 1)
    assert refused.value.errno == errno.EFBIG
    assert stored("f") == bytes(MIB)


def test_a_user_who_may_only_read_reads_and_is_refused_the_rest(guarded, mount):
    with guarded.client() as client:
        database = client["read_only"]
        gridfs.GridFS(database).put(b"content", filename="f")
        database.command("createUser", "reader", pwd="secret", roles=[{"role": "read", "db": "read_only"}])
        before = {name: list(database[name].find()) for name in database.list_collection_names()}
        mnt = mount(uri=f"mongodb://reader:secret@127.0.0.1:{guarded.port}/read_only?directConnection=true")
        assert (mnt.path / "f").read_bytes() == b"content"
        for attempt in (lambda: (mnt.path / "new").write_bytes(b"x"), lambda: (mnt.path / "f").write_bytes(b"x"),
                        lambda: os.unlink(mnt.path / "f"), lambda: os.mkdir(mnt.path / "d"),
                        lambda: os.rename(mnt.path / "f", mnt.path / "g"), lambda: os.chmod(mnt.path / "f", 0o600)):
            with pytest.raises(OSError) as refused:
                attempt()
            assert refused.value.errno in (errno.EACCES, errno.EROFS)
        assert (mnt.path / "f").read_bytes() == b"content"
        assert {name: list(database[name].find()) for name in database.list_collection_names()} == before


@pytest.fixture
def small_disk(tmp_path):
    """A directory on a filesystem of its own, of 8 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M", "none", place], capture_output=True).returncode:
        pytest.skip("no filesystem can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_staging_directory_is_enospc_and_stores_nothing_of_that_write(small_disk, mount, stored):
    root = mount(options=f"staging_dir={small_disk},cache_size=4M").path
    (root / "before").write_bytes(b"stays")
    with open(root / "big", "wb", buffering=0) as file:
        written = 0
        with pytest.raises(OSError) as refused:
            for _ in range(64):
                written += file.write(content(MIB))
        assert refused.value.errno == errno.ENOSPC
        assert stored("big") is None
        assert os.fstat(file.fileno()).st_size == written
    assert stored("big") == content(MIB) * (written // MIB) + content(MIB)[:written % MIB]
    assert (root / "before").read_bytes() == b"stays"
    (root / "after").write_bytes(content(MIB, 2))  # what was stored has made room
    assert stored("after") == content(MIB, 2)


def test_a_read_only_mount_refuses_all_changes_and_makes_nothing(bucket, database, mount):
    bucket.put("f", b"x")
    before = sorted(database.list_collection_names())
    root = mount(options="ro").path
    for attempt in (lambda: (root / "new").write_bytes(b""), lambda: os.mkdir(root / "d"),
                    lambda: os.unlink(root / "f"), lambda: open(root / "f", "r+b")):
        with pytest.raises(OSError) as refused:
            attempt()
        assert refused.value.errno == errno.EROFS
    assert sorted(database.list_collection_names()) == before


def test_what_is_written_within_a_small_budget_is_spilled(mount, stored, tmp_path, scale):
    staging = tmp_path / "staging"
    staging.mkdir(mode=0o700)
    mnt = mount(options=f"cache_size=16M,staging_dir={staging}")
    data = content(scale(48 * MIB))
    with open(mnt.path / "f", "wb") as file:
        for at in range(0, len(data), MIB):
            file.write(data[at:at + MIB])
        # A sanitizer takes memory of its own.
        assert is_sanitized() or mnt.resident_bytes() <= 16 * MIB + 64 * MIB
    assert stored("f") == data


def test_a_staging_directory_that_cannot_be_used_is_refused(mount, tmp_path):
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(MountFailed, match="staging"):
        mount(options=f"staging_dir={tmp_path / 'file'}")


# What it costs

def test_a_new_small_file_costs_few_round_trips(bucket, mnt):
    (mnt.path / "first").write_bytes(b"x")
    with Watched(mnt) as spent:
        for number in range(20):
            (mnt.path / f"f{number}").write_bytes(b"content")
    several_at_once = bucket.database.client.admin.command("hello")["maxWireVersion"] >= 25
    assert spent.round_trips <= 20 * (2 if several_at_once else 5) + 10, spent.counts


def test_a_small_change_to_a_big_file_moves_little_of_it(bucket, mnt, stored, server, scale):
    data = bytearray(content(scale(64 * MIB)))
    bucket.put("big", bytes(data))
    with Watched(mnt) as spent, open(mnt.path / "big", "r+b") as file:
        file.seek(len(data) // 2)
        file.write(b"changed")
    data[len(data) // 2:len(data) // 2 + 7] = b"changed"
    assert stored("big") == data
    if server.has_transactions:     # a server as rich as that has $merge as well
        assert spent.chunk_bytes_fetched <= 2 * MIB, spent.counts
