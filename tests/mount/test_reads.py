# SPDX-License-Identifier: Apache-2.0
"""Content: every byte right, however it is asked for."""
import errno
import mmap
import os
import random
import subprocess
import threading

import numpy
import pytest
from bson import Int64

from buckets import CHUNK, day

KIB, MIB = 1 << 10, 1 << 20


def content(size, seed=1):
    return random.Random(seed).randbytes(size)


def read_in_steps(path, step):
    with open(path, "rb", buffering=0) as file:
        return b"".join(iter(lambda: file.read(step), b""))


# Sizes and types

@pytest.mark.parametrize("size", [
    0, 1, 110, 4095, 4096, 4097, CHUNK - 1, CHUNK, CHUNK + 1, 128 * KIB, 256 * KIB, 384 * KIB,
    MIB, 2 * MIB, 2 * CHUNK, 3 * CHUNK - 1, 3 * CHUNK, 3 * CHUNK + 1, 8 * MIB + 4096])
def test_content_is_what_pymongo_put(bucket, mount, size):
    data = content(size)
    bucket.put("f", data)
    path = mount().path / "f"
    assert path.read_bytes() == data
    assert path.stat().st_size == size


@pytest.mark.parametrize("chunk_size, size", [
    (1, 300), (7, 1000), (1000, 100_003), (KIB, 100 * KIB), (4096, 64 * KIB), (64 * KIB, 3 * MIB + 1),
    (MIB, 3 * MIB + 5), (8 * MIB, 9 * MIB), (15 * MIB, 16 * MIB)])
def test_any_chunk_size_is_read_right(bucket, mount, chunk_size, size):
    data = content(size)
    bucket.put("f", data, chunk_size=chunk_size)
    assert (mount().path / "f").read_bytes() == data


@pytest.mark.parametrize("numeric", [int, Int64, float])
def test_length_chunk_size_and_n_may_be_any_numeric_type(bucket, mount, numeric):
    data = content(2500)
    chunks = [{"files_id": "id", "n": numeric(n), "data": data[n * 1000:n * 1000 + 1000]}
              for n in range(3)]
    bucket.insert("f", data, chunks=chunks, _id="id", length=numeric(2500),
                  chunkSize=numeric(1000))
    path = mount().path / "f"
    assert path.stat().st_size == 2500
    assert path.read_bytes() == data


# Ways to read

@pytest.fixture
def big(bucket, scale):
    """(path in the mount, content) of a file of many chunks."""
    data = content(scale(16 * MIB) + 123)
    bucket.put("big", data)
    return "big", data


@pytest.mark.parametrize("step", [1000, 4096, 65536, 131072, 1 << 20, 10_000_001])
def test_sequential_reads_of_any_size(big, mount, step):
    name, data = big
    assert read_in_steps(mount().path / name, step) == data


def random_reads(descriptor, data, seed, count):
    rng = random.Random(seed)
    for _ in range(count):
        at = rng.randrange(len(data) + 10_000)
        size = rng.choice([1, 100, 4096, 100_000, 600_000])
        assert os.pread(descriptor, size, at) == data[at:at + size], f"seed {seed}, {size} at {at}"


def test_random_reads_match_the_reference(big, mount):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    descriptor = os.open(mount().path / big[0], os.O_RDONLY)
    random_reads(descriptor, big[1], seed, 400)
    os.close(descriptor)


def in_threads(count, work):
    """Runs work(number) in that many threads; the first exception of any."""
    failures = []

    def guarded(number):
        try:
            work(number)
        except BaseException as failure:
            failures.append(failure)
    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_preads_from_eight_threads(big, mount):
    descriptor = os.open(mount(options="cache_size=4M").path / big[0], os.O_RDONLY)
    in_threads(8, lambda number: random_reads(descriptor, big[1], number, 80))
    os.close(descriptor)


def test_mmap_sees_the_content(big, mount):
    name, data = big
    with open(mount().path / name, "rb") as file, \
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        rng = random.Random(5)
        for _ in range(200):
            at = rng.randrange(len(data))
            assert mapped[at:at + 5000] == data[at:at + 5000]
        assert mapped[:] == data


def test_numpy_memmap_of_a_npy_file(bucket, mount, tmp_path):
    array = numpy.random.default_rng(1).normal(size=(1000, 500))
    numpy.save(tmp_path / "w.npy", array)
    bucket.put("models/w.npy", (tmp_path / "w.npy").read_bytes())
    loaded = numpy.load(mount().path / "models/w.npy", mmap_mode="r")
    assert numpy.array_equal(loaded[::-7], array[::-7])
    assert numpy.array_equal(loaded, array)


@pytest.mark.parametrize("size", [4096, 128 * KIB, MIB])
def test_direct_reads(big, mount, size):
    name, data = big
    descriptor = os.open(mount().path / name, os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, size)        # aligned to a page
    for at in [0, 4096, 300 * 4096, len(data) // 4096 * 4096]:
        got = os.preadv(descriptor, [buffer], at)
        assert buffer[:got] == data[at:at + size]
        assert got == min(size, len(data) - at)
    os.close(descriptor)


def test_seeks_and_reads_at_and_beyond_the_end(big, mount):
    name, data = big
    with open(mount().path / name, "rb", buffering=0) as file:
        assert file.seek(0, os.SEEK_END) == len(data)
        assert file.read(10) == b""
        file.seek(len(data) + MIB)
        assert file.read(10) == b""
        for at in range(len(data) - 1, 0, -len(data) // 50):
            file.seek(at)
            assert file.read(10) == data[at:at + 10]


def test_ordinary_programs_copy_the_tree(bucket, mount, tmp_path):
    source = tmp_path / "source"
    for name, size in {"a.pkl": 110, "d/b.bin": 20_000, "d/e/c.jpg": 700_000}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content(size))
        bucket.put(name, content(size))
    root = mount().path
    subprocess.run(["cp", "-a", f"{root}/.", tmp_path / "copied"], check=True)
    subprocess.run(["tar", "-C", root, "-cf", tmp_path / "packed.tar", "."], check=True)
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-C", tmp_path / "unpacked", "-xf", tmp_path / "packed.tar"], check=True)
    for copy in (root, tmp_path / "copied", tmp_path / "unpacked"):
        subprocess.run(["diff", "-r", source, copy], check=True)


# Read only

def test_nothing_can_be_written(bucket, mount):
    bucket.put("f", b"x")
    root = mount(options="ro").path
    attempts = {
        "write": lambda: open(root / "f", "r+b"),
        "create": lambda: open(root / "new", "wb"),
        "truncate": lambda: os.truncate(root / "f", 0),
        "unlink": lambda: os.unlink(root / "f"),
        "rename": lambda: os.rename(root / "f", root / "g"),
        "mkdir": lambda: os.mkdir(root / "d"),
        "symlink": lambda: os.symlink("f", root / "l"),
        "link": lambda: os.link(root / "f", root / "l"),
        "chmod": lambda: os.chmod(root / "f", 0o600),
        "utime": lambda: os.utime(root / "f"),
    }
    for name, attempt in attempts.items():
        with pytest.raises(OSError) as refused:
            attempt()
        assert refused.value.errno == errno.EROFS, name
    assert (root / "f").read_bytes() == b"x"


# Replaced and deleted while in use

def test_an_open_handle_and_its_mapping_keep_their_revision(bucket, mount):
    old, new = b"0123456789", b"abcdefghijklmnopqrst"
    root = mount().path
    for number in range(20):
        name, path = f"f{number}", root / f"f{number}"
        bucket.put(name, old)
        with open(path, "rb", buffering=0) as handle, \
                mmap.mmap(handle.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            assert handle.read() == old and mapped[:] == old
            bucket.put(name, new)
            assert path.read_bytes() == new
            handle.seek(0)
            assert handle.read() == old and mapped[:] == old
            assert os.fstat(handle.fileno()).st_size == 10
            assert path.stat().st_size == 20
            with open(path, "rb") as again, \
                    mmap.mmap(again.fileno(), 0, prot=mmap.PROT_READ) as new_mapped:
                assert new_mapped[:] == new and mapped[:] == old


def test_an_unread_handle_of_a_replaced_file_reads_its_own_revision(bucket, mount):
    old, new = content(3 * CHUNK, 1), content(2 * CHUNK, 2)
    bucket.put("f", old)
    path = mount().path / "f"
    with open(path, "rb", buffering=0) as handle:
        bucket.put("f", new)
        assert path.read_bytes() == new
        assert handle.read() == old


def test_an_open_after_a_put_never_sees_the_old_content(bucket, mount):
    path = mount().path / "f"
    for number in range(30):
        data = b"%d" % number * (number % 7 + 1)
        bucket.put("f", data)
        assert path.read_bytes() == data


def test_an_open_sees_a_put_under_any_spelling_of_the_name(bucket, mount):
    root = mount().path
    for number in range(30):
        data = b"revision %d" % number
        bucket.put(("", "/", "./")[number % 3] + "d/f", data)
        assert (root / "d/f").read_bytes() == data
    for spelling in ("", "/", "./"):
        bucket.files.delete_many({"filename": spelling + "d/f"})
    with pytest.raises(FileNotFoundError):
        (root / "d/f").read_bytes()


def test_delete_and_put_again_under_the_same_id_is_new_content(bucket, mount):
    path = mount().path / "f"
    for number in range(1, 10):
        data = content(CHUNK + 10, number)
        bucket.insert("f", data, _id="mine", uploadDate=day(number))
        assert path.read_bytes() == data
        bucket.delete("mine")
        with pytest.raises(FileNotFoundError):
            path.read_bytes()


def test_a_deleted_file_is_gone_for_new_opens_and_stale_for_old_handles(bucket, mount):
    data = content(40 * CHUNK)
    files_id = bucket.put("f", data)
    path = mount(options="cache_size=2M").path / "f"
    descriptor = os.open(path, os.O_RDONLY)
    assert os.pread(descriptor, 100, 0) == data[:100]
    bucket.delete(files_id)
    with pytest.raises(FileNotFoundError):
        os.open(path, os.O_RDONLY)
    refused = 0
    for n in range(40):
        try:
            assert os.pread(descriptor, 100, n * CHUNK) == data[n * CHUNK:n * CHUNK + 100]
        except OSError as error:
            assert error.errno == errno.ESTALE
            refused += 1
    os.close(descriptor)
    assert refused > 0
