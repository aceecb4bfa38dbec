# SPDX-License-Identifier: Apache-2.0
"""What is closed while the server is away: an error, then stored by itself, and never over what others did meanwhile."""
import concurrent.futures
import errno
import os
import time

import gridfs
import pytest

from mounting import names_in, wait_for

TIMEOUT = 2
GRACE = 4       # what a loaded machine may take on top


def go_away(link):
    link.set(refusing=True)
    link.cut()


def all_there_is(database):
    """{name: content}, each name once, as pymongo reads it."""
    files = gridfs.GridFS(database)
    names = [file.filename for file in files.find()]
    assert len(names) == len(set(names))
    return {name: files.get_last_version(name).read() for name in names}


@pytest.mark.timeout(120)
def test_what_could_not_be_stored_never_replaces_what_others_did(link, through, bucket, mount, database):
    files_ids = {name: bucket.put(name, b"before " + name.encode()) for name in ("kept", "replaced", "removed")}
    mnt = mount(uri=through, options=f"timeout={TIMEOUT}")
    files = {name: open(mnt.path / name, "r+b", buffering=0) for name in ("kept", "replaced", "removed")}
    files |= {name: open(mnt.path / name, "xb", buffering=0) for name in ("new", "made", "claimed")}
    for name, file in files.items():
        assert file.write(b"OURS") == 4
    files["removed"].truncate(4)    # so that nothing of the content that will be deleted is needed
    go_away(link)
    for name, file in files.items():
        with pytest.raises(OSError):
            file.close()
    wait_for(lambda: mnt.counters()["unsaved_files"] == 6, 20, "all kept")
    assert mnt.status()["state"] == "degraded"
    assert (mnt.path / "new").read_bytes() == b"OURS", "what is staged can be read meanwhile"

    bucket.delete(files_ids["removed"])
    for name in ("replaced", "made"):
        bucket.put(name, b"theirs")
    assert database["fs.gridmount.locks"].delete_one({"_id": "claimed"}).deleted_count == 1, "as if it had run out"
    link.set(refusing=False)
    wait_for(lambda: mnt.counters()["unsaved_files"] == 0, 40, "everything stored")

    for name in ("kept", "replaced"):
        bucket.delete(files_ids[name])    # what an application put stays as an older revision
    stored = all_there_is(database)
    beside = {name.partition(".recovered-")[0]: content for name, content in stored.items() if ".recovered-" in name}
    plain = {name: content for name, content in stored.items() if ".recovered-" not in name}
    assert plain == {"kept": b"OURSre kept", "replaced": b"theirs", "new": b"OURS", "claimed": b"OURS",
                     "made": b"theirs"}
    assert beside == {"replaced": b"OURSre replaced", "removed": b"OURS", "made": b"OURS"}
    assert names_in(mnt.path) == sorted(stored) and mnt.counters()["recovered_files"] == 3
    for name, content in stored.items():
        assert (mnt.path / name).read_bytes() == content
    assert "recovered-" in mnt.log()


@pytest.mark.timeout(120)
def test_a_close_ends_within_the_timeout_when_the_server_is_gone(link, through, bucket, mount, database):
    timeout = 6
    for n in range(4):
        bucket.put(f"old {n}", bytes(300_000))
    mnt = mount(uri=through, options=f"timeout={timeout}")
    files = [open(mnt.path / f"old {n}", "r+b", buffering=0) for n in range(4)]
    files += [open(mnt.path / f"new {n}", "xb", buffering=0) for n in range(8)]
    for n, file in enumerate(files):
        file.write(bytes([n]) * (600_000 if n % 2 else 1000))
    go_away(link)

    def close(file):
        began = time.monotonic()
        with pytest.raises(OSError):
            file.close()
        return time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(len(files)) as pool:
        took = list(pool.map(close, files))
    assert max(took) <= 2 * timeout + GRACE
    wait_for(lambda: mnt.counters()["unsaved_files"] == len(files), 30, "all kept")
    link.set(refusing=False)


def is_there(path):
    """False too when nobody can tell."""
    try:
        return path.exists()
    except OSError:
        return False


def listed(directory):
    """As `ls -l` shows it."""
    return sorted((entry.name, entry.stat(follow_symlinks=False).st_size if entry.is_file() else None) for entry in os.scandir(directory))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("push,how", [
    pytest.param("on", {"refusing": True}, id="gone"),
    pytest.param("off", {"stalled": True}, id="silent", marks=pytest.mark.long)])
def test_what_is_known_is_listed_while_the_server_is_away(link, through, bucket, mount, how, push):
    for name in ("one", "sub/two", "sub/three"):
        bucket.put(name, name.encode())
    mnt = mount(uri=through, options=f"timeout={2 * TIMEOUT},push={push}")
    before = [listed(mnt.path), listed(mnt.path / "sub")]
    opened = open(mnt.path / "one", "rb")
    assert opened.read() == b"one"
    link.set(**how)
    if "refusing" in how:
        link.cut()
    wait_for(lambda: names_in(mnt.path) and mnt.status()["away_since"], 30, "it is known that the server is away")

    began = time.monotonic()
    while mnt.counters()["recalled"] < 60 or time.monotonic() < began + 1.5:    # names are believed for a second
        assert [listed(mnt.path), listed(mnt.path / "sub")] == before
        assert os.stat(mnt.path / "sub" / "two").st_size == 7
    assert time.monotonic() - began <= 60 * TIMEOUT, "each would wait for so long, if the server were asked"
    assert "names and listings are shown as of" in (mnt.path / ".gridfs" / "status").read_text()
    for call in (lambda: open(mnt.path / "one", "rb"), lambda: os.stat(mnt.path / "sub" / "unknown")):
        with pytest.raises(OSError) as refused:
            call()
        assert refused.value.errno == errno.ETIMEDOUT
    opened.seek(0)
    assert opened.read() == b"one", "what is open and cached stays readable"
    opened.close()

    bucket.put("sub/new", b"new")
    link.set(refusing=False, stalled=False)
    wait_for(lambda: is_there(mnt.path / "sub" / "new"), 60, "what the server has is seen again")
    assert names_in(mnt.path / "sub") == ["new", "three", "two"]
    wait_for(lambda: mnt.status()["away_since"] == "", 30, "a healthy status")
