# SPDX-License-Identifier: Apache-2.0
"""A host that gives little: memory of a cgroup, descriptors, and programs that open very many files."""
import concurrent.futures
import errno
import os
import pathlib
import random
import resource
import uuid

import pytest

from mounting import is_sanitized, wait_for

MIB = 1 << 20
GROUP = 192 * MIB
FILES = 4096


class Group:
    """A cgroup with a limit of memory."""

    def __init__(self, path, limit_file, kills_file):
        self.path, self.kills_file = path, kills_file
        path.mkdir()
        (path / limit_file).write_text(str(GROUP))

    def within(self):
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh"]

    def kills(self):
        lines = (self.path / self.kills_file).read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@pytest.fixture
def group():
    """A cgroup of 192 MiB, of the version there is."""
    top, name = pathlib.Path("/sys/fs/cgroup"), f"gridmount-{uuid.uuid4().hex[:8]}"
    try:
        if (top / "cgroup.controllers").exists():
            (top / "cgroup.subtree_control").write_text("+memory")
            made = Group(top / name, "memory.max", "memory.events")
        else:
            made = Group(top / "memory" / name, "memory.limit_in_bytes", "memory.oom_control")
    except OSError as reason:
        pytest.skip(f"no cgroup with a limit of memory can be made here: {reason}")
    yield made
    wait_for(lambda: not (made.path / "cgroup.procs").read_text(), 30, "the group empty")

    def removed():
        try:
            made.path.rmdir()
        except OSError:
            return False
        return True
    wait_for(removed, 30, "the group removed")


def content(seed, size):
    return random.Random(seed).randbytes(size)


@pytest.mark.timeout(300)
def test_a_cgroup_of_192_mib_is_enough_with_the_default_options(server, group, mount, stored):
    if is_sanitized() or server.slow:
        pytest.skip("a sanitizer takes memory of its own, a slow server much time")
    size, count = 20 * MIB, 4     # more than the cache
    mnt = mount(within=group.within())
    assert mnt.status()["cache"]["size"] == GROUP // 4

    def write(n):
        (mnt.path / f"f{n}").write_bytes(content(n, size))

    def read(n):
        return (mnt.path / f"f{n}").read_bytes() == content(n, size)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(count)))
        assert mnt.unmount() == 0 and group.kills() == 0
        mnt.start()
        assert all(pool.map(read, range(count)))
    assert group.kills() == 0 and mnt.process.poll() is None
    assert stored("f0") == content(0, size)


@pytest.fixture
def many_descriptors():
    """Enough for this process to have all those files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * FILES:
        pytest.skip(f"this process may have {hard} files open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * FILES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_many(bucket, mnt, count, written):
    """`count` files are open at once, `written` of them new; all are right, then and when they are closed."""
    bucket.insert_names((f"f{n}" for n in range(written, count)), b"content")
    files = []
    try:
        for n in range(count):
            files.append(open(mnt.path / f"f{n}", "xb+" if n < written else "rb", buffering=0))
        for n in range(written):
            assert files[n].write(b"%d" % n) > 0
        for n, file in enumerate(files):
            assert os.pread(file.fileno(), 100, 0) == (b"%d" % n if n < written else b"content")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda file: file.close(), files))
    finally:
        for file in files:
            file.close()
    assert bucket.files.count_documents({}) == count
    assert mnt.counters()["unsaved_files"] == 0
    for n in random.Random(1).sample(range(written), min(written, 20)):
        assert (mnt.path / f"f{n}").read_bytes() == b"%d" % n


@pytest.mark.timeout(120)
def test_hundreds_of_files_are_open_at_once_with_few_descriptors(bucket, mount, scale):
    mnt = mount(within=["prlimit", "--nofile=256:256"])
    open_many(bucket, mnt, scale(400), scale(40))
    assert len(os.listdir(f"/proc/{mnt.pid}/fd")) < 100


@pytest.mark.long
@pytest.mark.timeout(900)
def test_4096_files_are_open_at_once(many_descriptors, bucket, mount):
    open_many(bucket, mount(), FILES, FILES // 4)


@pytest.mark.timeout(120)
def test_without_descriptors_a_write_fails_and_nothing_closed_is_lost(mount, bucket, stored):
    """Beyond the memory each written file needs a descriptor: there are 64, and memory for few such files."""
    mnt = mount(options="cache_size=4M", within=["prlimit", "--nofile=64:64"])
    files, refused = [], None
    try:
        while refused is None and len(files) < 100:
            file = open(mnt.path / f"f{len(files)}", "xb", buffering=0)
            try:
                file.write(b"content")
                files.append(file)
            except OSError as error:
                refused = error.errno
                file.close()
        assert refused == errno.ENFILE and len(files) > 8
    finally:
        for file in files:
            file.close()
    assert "the staging directory fails: Too many open files" in mnt.log()
    for n in range(len(files)):
        assert stored(f"f{n}") == b"content"
    (mnt.path / "after").write_bytes(b"heals")
    assert stored("after") == b"heals" and mnt.counters()["unsaved_files"] == 0
