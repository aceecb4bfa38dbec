# SPDX-License-Identifier: Apache-2.0
"""-o verify: who reads a file from its first byte to its last gets what was recorded, or an error before the last bytes."""
import errno
import hashlib
import mmap
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading

import pytest
from bson import ObjectId

MIB = 1 << 20
SIZE = 3 * MIB + 12345
NAME = "models/a.pt"


@pytest.fixture
def content():
    return random.Random(7).randbytes(SIZE)


@pytest.fixture
def recorded(bucket):
    """recorded(name, content, sha256=…): a file as a mount with checksum=on puts it; its _id."""
    def put(name, content, sha256=None):
        files_id = ObjectId()
        digest = sha256 or hashlib.sha256(content).hexdigest()
        return bucket.insert(name, content, _id=files_id, metadata={"sha256": digest, "posix": {"rev": files_id}})
    return put


@pytest.fixture
def damaged(bucket, recorded, content):
    """A file of which one byte is another since; what it has now, and what was recorded."""
    files_id = recorded(NAME, content)
    chunk = bucket.chunks.find_one({"files_id": files_id, "n": 5})
    data = bytearray(chunk["data"])
    data[100] ^= 4
    bucket.chunks.update_one({"_id": chunk["_id"]}, {"$set": {"data": bytes(data)}})
    at = 5 * (255 << 10) + 100
    return files_id, content[:at] + bytes([content[at] ^ 4]) + content[at + 1:]


def by_pieces(size, flags=os.O_RDONLY):
    def read(path):
        got = bytearray()
        fd = os.open(path, flags)
        buffer = mmap.mmap(-1, size)
        try:
            while count := os.preadv(fd, [buffer], len(got)):
                got += buffer[:count]
        except OSError as error:
            assert error.errno == errno.EIO
            return bytes(got), False
        finally:
            os.close(fd)
        return bytes(got), True
    return read


def by_cp(path):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["cp", path, f"{folder}/copy"], capture_output=True, text=True)
        assert done.returncode == 0 or "Input/output error" in done.stderr
        with open(f"{folder}/copy", "rb") as file:
            return file.read(), done.returncode == 0


MAPPED = """
import mmap, sys
with open(sys.argv[1], "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
    for at in range(0, len(mapped), 4096):
        sys.stdout.buffer.write(mapped[at:at + 4096])
"""


def by_mmap(path):
    done = subprocess.run([sys.executable, "-c", MAPPED, path], capture_output=True)
    assert done.returncode in (0, -signal.SIGBUS), done.stderr
    return done.stdout, done.returncode == 0


def in_parallel(path):
    found = []
    readers = [threading.Thread(target=lambda: found.append(by_pieces(100_000)(path))) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    (one, one_whole), (other, other_whole) = found
    assert one_whole == other_whole
    return max(one, other, key=len), one_whole


WAYS = {"cp": by_cp, "1 MiB": by_pieces(MIB), "odd sizes": by_pieces(77_777), "all at once": by_pieces(4 * MIB),
        "mmap": by_mmap, "two at once": in_parallel, "directly": by_pieces(MIB, os.O_RDONLY | os.O_DIRECT)}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


def figures(mnt):
    counters = mnt.counters()
    return counters["sound_reads"], counters["wrong_reads"]


def test_what_is_as_recorded_is_read(recorded, mount, content, way):
    recorded(NAME, content)
    mnt = mount("verify")
    got, whole = way(mnt.path / NAME)
    assert whole and got == content
    assert figures(mnt) == (1, 0)


def test_what_is_not_is_an_error_before_the_last_bytes(damaged, mount, way):
    files_id, now = damaged
    mnt = mount("verify")
    got, whole = way(mnt.path / NAME)
    assert not whole and len(got) < SIZE and now.startswith(got)
    sound, wrong = figures(mnt)
    assert sound == 0 and wrong >= 1, "of two at once, one may come after the other"
    line, = [line for line in mnt.log().splitlines() if "is not what was stored" in line]
    assert f"'{NAME}'" in line and str(files_id) in line and hashlib.sha256(now).hexdigest() in line
    assert mnt.counters()["errors"] >= 1


def test_again_and_again(damaged, mount):
    mnt = mount("verify")
    for _ in range(3):      # what the kernel kept does not help
        assert not by_pieces(MIB)(mnt.path / NAME)[1]
    sound, wrong = figures(mnt)
    assert sound == 0 and 1 <= wrong <= 3, "the daemon may hear of a close after the next open"


def test_an_older_revision_is_compared_too(damaged, recorded, content, mount):
    files_id, _ = damaged
    recorded(NAME, content)
    mnt = mount("verify")
    assert (mnt.path / NAME).read_bytes() == content
    older, = [name for name in os.listdir(mnt.path / ".gridfs/revisions" / NAME) if str(files_id) in name]
    assert not by_pieces(MIB)(mnt.path / ".gridfs/revisions" / NAME / older)[1]
    assert not by_pieces(MIB)(mnt.by_id(str(files_id)))[1]
    sound, wrong = figures(mnt)
    assert sound == 1 and wrong >= 1


def test_in_random_order_nothing_is_compared(damaged, mount):
    _, now = damaged
    mnt = mount("verify")
    places = list(range(0, SIZE, 16384))
    random.Random(3).shuffle(places)
    with open(mnt.path / NAME, "rb", buffering=0) as file:
        pieces = {at: os.pread(file.fileno(), 16384, at) for at in places}
        assert b"".join(pieces[at] for at in sorted(places)) == now
        assert figures(mnt) == (0, 0)
        assert not by_pieces(MIB)(mnt.path / NAME)[1], "opened anew it is read anew"


def test_a_part_that_was_read_before_is_read_again(damaged, mount):
    mnt = mount("verify")
    with open(mnt.path / NAME, "rb", buffering=0) as file:
        os.pread(file.fileno(), MIB, 2 * MIB)
    assert not by_pieces(MIB)(mnt.path / NAME)[1]
    assert figures(mnt) == (0, 1)


def test_what_was_found_sound_stays_in_the_page_cache(recorded, mount, content):
    recorded(NAME, content)
    mnt = mount("verify")
    for _ in range(3):
        assert (mnt.path / NAME).read_bytes() == content
        counters = mnt.counters()
    assert counters["bytes_read"] - SIZE < SIZE / 2 and figures(mnt) == (1, 0)


@pytest.mark.parametrize("record", [{}, {"metadata": {"sha256": "0" * 64}},
                                    {"metadata": {"sha256": "0" * 64, "posix": {"rev": 5}}}], ids=["none", "another's", "old"])
def test_where_nothing_is_recorded_nothing_is_compared(bucket, mount, content, record):
    bucket.insert(NAME, content, **record)
    mnt = mount("verify")
    for _ in range(2):
        assert (mnt.path / NAME).read_bytes() == content
    assert figures(mnt) == (0, 0)
    assert mnt.counters()["bytes_read"] - SIZE < SIZE / 2


def test_what_is_written_and_replaced_meanwhile(recorded, mount, content, bucket):
    recorded(NAME, content)
    mnt = mount("verify,checksum=on")
    path = mnt.path / NAME
    with open(path, "rb") as old:
        assert old.read(MIB) == content[:MIB]
        path.write_bytes(content[::-1])
        path.with_suffix(".new").write_bytes(content)
        assert path.read_bytes() == content[::-1]
    assert path.with_suffix(".new").read_bytes() == content
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"changed")
        file.flush()
        file.seek(0)
        assert file.read() == content[::-1][:100] + b"changed" + content[::-1][107:]
    recorded(NAME, b"small")
    assert path.read_bytes() == b"small"
    recorded(NAME, b"")
    assert path.read_bytes() == b""
    assert figures(mnt)[1] == 0 and bucket.files.count_documents({"metadata.sha256": {"$exists": True}}) >= 3


def test_a_record_that_is_no_digest_is_not_what_was_read(recorded, mount, content):
    recorded(NAME, content, sha256="x\n" * 1000)
    mnt = mount("verify")
    assert not by_pieces(MIB)(mnt.path / NAME)[1]
    assert len([line for line in mnt.log().splitlines() if "is not what was stored" in line]) == 1


def test_without_the_option_it_is_as_before(damaged, mount):
    mnt = mount()
    assert by_pieces(MIB)(mnt.path / NAME) == (damaged[1], True)
    assert figures(mnt) == (0, 0)
