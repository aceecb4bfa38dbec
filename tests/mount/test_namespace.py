# SPDX-License-Identifier: Apache-2.0
"""Names on the mount, and what they are in the database: files, made directories, links, nodes, attributes.

What POSIX alone says is in test_posix*.py; this is what a GridFS filesystem has to get right besides.
"""
import errno
import fcntl
import os
import shutil
import socket
import stat

import pytest

from mounting import Watched, names_in, tree
from names import stored_name
from operations import EXCHANGE, NOREPLACE, renameat2

YEAR = 365 * 86_400 * 10**9


@pytest.fixture
def mnt(mount):
    return mount()


@pytest.fixture
def filenames(bucket):
    """What GridFS applications see: the filenames, in order."""
    return lambda: sorted(document["filename"] for document in bucket.files.find())


def again(mnt):
    """The same mount after a new start: nothing is remembered but what the database has."""
    assert mnt.unmount() == 0
    return mnt.start()


def fails(expected, call, *arguments):
    with pytest.raises(OSError) as refused:
        call(*arguments)
    assert errno.errorcode[refused.value.errno] == errno.errorcode[expected]


# Directories

def test_made_directories_are_no_gridfs_files(mnt, bucket, filenames):
    os.makedirs(mnt.path / "a/b/c")
    (mnt.path / "a/b/f").write_bytes(b"x")
    assert filenames() == ["a/b/f"]
    assert {node["_id"] for node in bucket.nodes.find({"kind": "directory"})} >= {"a", "a/b", "a/b/c"}
    again(mnt)
    assert tree(mnt.path) == ["a/", "a/b/", "a/b/c/", "a/b/f"]


@pytest.mark.parametrize("leave", ["unlink", "rename"])
def test_a_directory_stays_when_its_last_file_goes(bucket, mnt, leave):
    bucket.put("only/by/its/file", b"x")
    if leave == "unlink":
        os.unlink(mnt.path / "only/by/its/file")
    else:
        os.rename(mnt.path / "only/by/its/file", mnt.path / "elsewhere")
    assert names_in(mnt.path / "only/by/its") == []
    again(mnt)
    assert names_in(mnt.path / "only/by/its") == []
    os.removedirs(mnt.path / "only/by/its")
    assert names_in(mnt.path) == ([] if leave == "unlink" else ["elsewhere"])


@pytest.mark.parametrize("spelling", ["", "/", "./"])
def test_a_directory_is_not_empty_while_others_have_files_in_it(bucket, mnt, spelling):
    os.mkdir(mnt.path / "d")
    assert names_in(mnt.path / "d") == []
    bucket.put(spelling + "d/put behind our back", b"x")
    fails(errno.ENOTEMPTY, os.rmdir, mnt.path / "d")
    assert names_in(mnt.path / "d") == ["put behind our back"]


def test_removing_a_tree_of_files_and_directories(bucket, mnt, filenames, scale):
    count = scale(500)
    bucket.insert_names([f"t/d{n % 7}/s{n % 3}/f{n}" for n in range(count)], b"x")
    shutil.rmtree(mnt.path / "t")
    assert names_in(mnt.path) == [] and filenames() == []


# Exclusive creation

@pytest.mark.parametrize("make", ["open", "mkdir", "symlink", "link", "mkfifo", "rename"])
def test_a_name_that_others_made_since_is_refused(bucket, mnt, make):
    """The kernel and the mount may think that the name is free: exclusive calls ask."""
    (mnt.path / "source").write_bytes(b"x")
    fails(errno.ENOENT, os.stat, mnt.path / "name")
    bucket.put("name", b"others")
    target = mnt.path / "name"
    calls = {"open": lambda: os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY),
             "mkdir": lambda: os.mkdir(target),
             "symlink": lambda: os.symlink("x", target),
             "link": lambda: os.link(mnt.path / "source", target),
             "mkfifo": lambda: os.mkfifo(target),
             "rename": lambda: renameat2(mnt.path / "source", target, NOREPLACE)}
    fails(errno.EEXIST, calls[make])
    assert target.read_bytes() == b"others"


def test_two_mounts_create_one_name_once(mount, stored_count):
    one, other = mount(), mount()
    for number in range(20):
        made = 0
        for mnt in (one, other) if number % 2 else (other, one):
            try:
                descriptor = os.open(mnt.path / f"f{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                made += 1
                os.write(descriptor, b"mine")
                os.close(descriptor)
            except FileExistsError:
                pass
        assert made == 1
    assert stored_count() == 20


@pytest.fixture
def stored_count(bucket):
    return lambda: bucket.files.count_documents({})


# Unlink and rename

def test_unlink_removes_every_revision_and_spelling(bucket, mnt, filenames):
    for spelling in ("f", "/f", "./f", "f"):
        bucket.put(spelling, spelling.encode())
    assert (mnt.path / "f").read_bytes() == b"f"
    os.unlink(mnt.path / "f")
    assert names_in(mnt.path) == [] and filenames() == []
    again(mnt)
    assert names_in(mnt.path) == []


def test_rename_keeps_the_document_and_its_id(bucket, mnt, filenames):
    files_id = bucket.put("a", b"content", metadata={"mine": 1}, extra="kept")
    before = bucket.files.find_one({"_id": files_id})
    os.rename(mnt.path / "a", mnt.path / "b")
    after = bucket.files.find_one({"_id": files_id})
    assert filenames() == ["b"] and after["metadata"]["mine"] == 1 and after["extra"] == "kept"
    assert {**after, "filename": "a", "metadata": None} == {**before, "metadata": None}
    again(mnt)
    assert (mnt.path / "b").read_bytes() == b"content"


def test_rename_moves_older_revisions_too(bucket, mnt):
    for number in range(3):
        bucket.put("a", b"%d" % number)
    os.rename(mnt.path / "a", mnt.path / "b")
    assert names_in(mnt.path) == ["b"] and (mnt.path / "b").read_bytes() == b"2"


def test_rename_wins_over_a_newer_target(bucket, mnt):
    bucket.put("source", b"source")
    bucket.put("target", b"target, put later")
    os.rename(mnt.path / "source", mnt.path / "target")
    assert (mnt.path / "target").read_bytes() == b"source"
    newest = list(bucket.files.find({"filename": "target"}).sort([("uploadDate", -1), ("_id", -1)]))[0]
    assert newest["length"] == 6
    again(mnt)
    assert (mnt.path / "target").read_bytes() == b"source" and names_in(mnt.path) == ["target"]


def test_rename_of_a_directory_moves_all_below_in_every_spelling(bucket, mnt, filenames, scale):
    count = scale(1000)
    bucket.insert_names([f"{('', '/', './')[n % 3]}d/s{n % 5}/f{n}" for n in range(count)], b"x")
    bucket.insert_names(["d!", "d0", "dd/f"], b"y")
    os.mkdir(mnt.path / "d/made")
    os.symlink("target", mnt.path / "d/link")
    os.rename(mnt.path / "d", mnt.path / "e")
    assert names_in(mnt.path) == ["d!", "d0", "dd", "e"]
    again(mnt)
    assert names_in(mnt.path) == ["d!", "d0", "dd", "e"]
    assert names_in(mnt.path / "e") == ["link", "made", *[f"s{n}" for n in range(5)]]
    assert len([name for name in filenames() if "e/" in name]) == count
    assert os.readlink(mnt.path / "e/link") == "target"


def test_rename_of_a_directory_with_open_files_in_it(mnt, bucket):
    os.makedirs(mnt.path / "d/sub")
    with open(mnt.path / "d/sub/f", "wb", buffering=0) as file:
        file.write(b"before ")
        os.rename(mnt.path / "d", mnt.path / "e")
        file.write(b"after")
    assert (mnt.path / "e/sub/f").read_bytes() == b"before after"
    assert bucket.files.find_one({"filename": "e/sub/f"}) and not (mnt.path / "d").exists()


def test_a_file_that_is_renamed_while_it_is_written_is_published_under_its_new_name(mnt, filenames):
    with open(mnt.path / "a", "wb", buffering=0) as file:
        file.write(b"before ")
        os.rename(mnt.path / "a", mnt.path / "b")
        file.write(b"after")
    assert names_in(mnt.path) == filenames() == ["b"]
    assert (mnt.path / "b").read_bytes() == b"before after"


def test_exchange_of_a_file_and_a_directory(bucket, mnt):
    bucket.put("file", b"content")
    bucket.put("directory/f", b"inner")
    renameat2(mnt.path / "file", mnt.path / "directory", EXCHANGE)
    again(mnt)
    assert tree(mnt.path) == ["directory", "file/", "file/f"]
    assert (mnt.path / "directory").read_bytes() == b"content" and (mnt.path / "file/f").read_bytes() == b"inner"


def test_no_hidden_files_are_made_for_what_is_unlinked_while_open(mnt, filenames):
    with open(mnt.path / "f", "w+b", buffering=0) as file:
        file.write(b"content")
        os.fsync(file.fileno())
        os.unlink(mnt.path / "f")
        assert names_in(mnt.path) == filenames() == []
        file.write(b" and more")
        file.seek(0)
        assert file.read() == b"content and more"
    assert names_in(mnt.path) == filenames() == []


# Links, symlinks and other nodes

def test_hard_links_are_one_gridfs_file(mnt, bucket, filenames):
    (mnt.path / "a").write_bytes(b"content")
    os.mkdir(mnt.path / "d")
    os.link(mnt.path / "a", mnt.path / "b")
    os.link(mnt.path / "b", mnt.path / "d/c")
    names = ("a", "b", "d/c")
    assert filenames() == ["a"]
    for _ in range(2):
        assert len({(mnt.path / name).stat().st_ino for name in names}) == 1
        assert {(mnt.path / name).stat().st_nlink for name in names} == {3}
        again(mnt)
    with open(mnt.path / "b", "ab") as file:
        file.write(b" more")
    assert {(mnt.path / name).read_bytes() for name in names} == {b"content more"}
    assert filenames() in (["a"], ["a"] * 2)


def test_a_file_takes_over_another_name_when_its_own_goes(mnt, filenames):
    (mnt.path / "a").write_bytes(b"content")
    os.link(mnt.path / "a", mnt.path / "b")
    os.unlink(mnt.path / "a")
    assert filenames() == ["b"]
    again(mnt)
    assert names_in(mnt.path) == ["b"] and (mnt.path / "b").stat().st_nlink == 1
    assert (mnt.path / "b").read_bytes() == b"content"


def test_another_clients_delete_takes_the_further_names_too(bucket, mnt):
    (mnt.path / "a").write_bytes(b"content")
    os.link(mnt.path / "a", mnt.path / "b")
    bucket.delete(bucket.files.find_one({"filename": "a"})["_id"])
    again(mnt)
    fails(errno.ENOENT, (mnt.path / "b").read_bytes)


@pytest.mark.parametrize("change", ["none", "unlink", "rename", "write"])
def test_what_an_application_puts_over_a_hard_link_is_the_content_of_all_names(bucket, mnt, mount, change):
    (mnt.path / "a").write_bytes(b"content")
    os.link(mnt.path / "a", mnt.path / "b")
    assert (mnt.path / "b").read_bytes() == b"content"
    bucket.put("a", b"of the application")
    assert (mnt.path / "b").read_bytes() == (mnt.path / "a").read_bytes() == b"of the application"
    expected = {"a": b"of the application", "b": b"of the application"}
    if change == "unlink":
        os.unlink(mnt.path / "a")
        del expected["a"]
    elif change == "rename":
        os.rename(mnt.path / "a", mnt.path / "z")
        expected["z"] = expected.pop("a")
    elif change == "write":
        with open(mnt.path / "a", "ab") as file:
            file.write(b", changed")
        expected = dict.fromkeys(expected, b"of the application, changed")
    for root in (mnt.path, mount().path):
        assert {name: (root / name).read_bytes() for name in names_in(root)} == expected


def test_special_files_work_and_are_no_gridfs_files(mnt, filenames):
    os.mkfifo(mnt.path / "fifo")
    os.symlink("fifo", mnt.path / "link")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(mnt.path)      # a socket's path is 107 bytes at most
        try:
            listener.bind("socket")
            listener.listen()
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect("socket")
        finally:
            os.chdir("/")
    writer = os.open(mnt.path / "fifo", os.O_RDWR)
    os.write(writer, b"through")
    reader = os.open(mnt.path / "link", os.O_RDONLY)
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    os.close(writer)
    again(mnt)
    assert (mnt.path / "fifo").is_fifo() and (mnt.path / "socket").is_socket()
    assert os.readlink(mnt.path / "link") == "fifo" and filenames() == []


@pytest.mark.parametrize("name", [
    b"with\nnewline", b"\xff\xfe bytes", "ünï日本".encode(), b" leading", b"trailing ", b"\\", b"'\"", b"*?[",
    b"L" * 255, b"\x80" * 255, b".hidden", b"...", b"-rf", b"a:b", b"\x01\x7f"], ids=repr)
def test_any_name_of_bytes_is_kept(mnt, filenames, name):
    path = os.fsencode(mnt.path) + b"/" + name
    with open(path, "wb") as file:
        file.write(b"content")
    os.mkdir(os.fsencode(mnt.path) + b"/d")
    os.rename(path, os.fsencode(mnt.path) + b"/d/" + name)
    assert filenames() == [stored_name(b"d/" + name)]
    again(mnt)
    assert os.listdir(os.fsencode(mnt.path) + b"/d") == [name]
    with open(os.fsencode(mnt.path) + b"/d/" + name, "rb") as file:
        assert file.read() == b"content"


# Attributes

ATTRIBUTED = ["file", "directory", "implied", "symlink", "fifo"]


@pytest.fixture
def some(bucket, mnt):
    """One of each kind, by name."""
    (mnt.path / "file").write_bytes(b"content")
    os.mkdir(mnt.path / "directory")
    bucket.put("implied/f", b"x")
    os.symlink("target", mnt.path / "symlink")
    os.mkfifo(mnt.path / "fifo")
    return mnt


@pytest.mark.parametrize("kind", ATTRIBUTED)
def test_mode_owner_and_times_survive_a_remount(some, kind):
    path = some.path / kind
    os.chown(path, 1234, 2345, follow_symlinks=False)
    if kind != "symlink":
        os.chmod(path, 0o710)
    for modified in (-10 * YEAR - 1, 0, 1_234_567_890_123_456_789, 80 * YEAR + 123_456_789):
        os.utime(path, ns=(modified + 1, modified), follow_symlinks=False)
        again(some)
        found = os.lstat(path)
        assert (found.st_uid, found.st_gid) == (1234, 2345)
        assert found.st_mtime_ns == modified
        if kind != "symlink":
            assert stat.S_IMODE(found.st_mode) == 0o710


@pytest.mark.parametrize("kind", ["file", "directory", "implied"])
def test_xattrs_of_users(some, kind):
    path = some.path / kind
    os.setxattr(path, "user.one", b"1")
    os.setxattr(path, "user.binary", bytes(range(256)))
    os.setxattr(path, "user.empty", b"")
    fails(errno.EEXIST, lambda: os.setxattr(path, "user.one", b"2", os.XATTR_CREATE))
    fails(errno.ENODATA, lambda: os.setxattr(path, "user.none", b"2", os.XATTR_REPLACE))
    fails(errno.ENODATA, os.getxattr, path, "user.none")
    os.setxattr(path, "user.one", b"longer", os.XATTR_REPLACE)
    os.removexattr(path, "user.empty")
    fails(errno.ENODATA, os.removexattr, path, "user.empty")
    again(some)
    assert {"user.one", "user.binary"} <= set(os.listxattr(path)) and "user.empty" not in os.listxattr(path)
    assert os.getxattr(path, "user.one") == b"longer" and os.getxattr(path, "user.binary") == bytes(range(256))


def test_xattrs_survive_an_overwrite_and_a_rename(some):
    os.setxattr(some.path / "file", "user.kept", b"yes")
    (some.path / "file").write_bytes(b"new content")
    os.rename(some.path / "file", some.path / "renamed")
    again(some)
    assert os.getxattr(some.path / "renamed", "user.kept") == b"yes"


def test_what_gridfs_knows_shows_as_xattrs(bucket, mnt):
    files_id = bucket.put("f", b"content", metadata={"owner": "ann", "contentType": "text/plain"})
    path = mnt.path / "f"
    names = os.listxattr(path)
    assert {"user.gridfs.id", "user.mime_type"} <= set(names)
    assert os.getxattr(path, "user.gridfs.id").decode() == str(files_id)
    assert os.getxattr(path, "user.mime_type") == b"text/plain"
    with pytest.raises(OSError):
        os.setxattr(path, "user.gridfs.id", b"other")


def test_the_mime_type_is_the_content_type(bucket, mnt):
    (mnt.path / "f").write_bytes(b"{}")
    os.setxattr(mnt.path / "f", "user.mime_type", b"application/json")
    assert bucket.files.find_one({"filename": "f"})["metadata"]["contentType"] == "application/json"


@pytest.mark.timeout(180)    # 2 s on a quiet machine; the document of 16 MiB is read and written again and again
def test_an_xattr_that_the_document_has_no_room_for_is_refused(some):
    refused = 0
    for number in range(400):
        try:
            os.setxattr(some.path / "file", f"user.big{number}", bytes(64 << 10))
        except OSError as error:
            assert error.errno in (errno.ENOSPC, errno.E2BIG)
            refused += 1
            break
    assert refused
    again(some)
    assert (some.path / "file").read_bytes() == b"content"


def test_statvfs_answers(mnt):
    found = os.statvfs(mnt.path)
    assert found.f_namemax == 255 and found.f_bsize > 0 and found.f_bfree > 0


def test_a_file_without_metadata_gets_only_what_was_set(bucket, mnt):
    files_id = bucket.put("f", b"content")
    os.chmod(mnt.path / "f", 0o600)
    document = bucket.files.find_one({"_id": files_id})
    assert document["metadata"]["posix"]["mode"] & 0o7777 == 0o600 and document["length"] == 7
    again(mnt)
    assert stat.S_IMODE((mnt.path / "f").stat().st_mode) == 0o600


# Locks within one mount

def test_locks_exclude_other_processes(mnt):
    path = mnt.path / "f"
    path.write_bytes(b"x" * 100)

    def in_another_process(lock):
        child = os.fork()
        if not child:
            try:
                with open(path, "r+b") as file:
                    lock(file)
                os._exit(0)
            except OSError as error:
                os._exit(error.errno)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    busy = (errno.EAGAIN, errno.EACCES)
    with open(path, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert in_another_process(lambda f: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)) in busy
        fcntl.flock(file, fcntl.LOCK_UN)
        assert in_another_process(lambda f: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)) == 0
        fcntl.lockf(file, fcntl.LOCK_EX, 10, 0)
        assert in_another_process(lambda f: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)) in busy
        assert in_another_process(lambda f: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 10)) == 0


# Limits

def test_unnamed_files_are_not_supported_or_work(mnt):
    """libfuse before 3.17 has no operation for O_TMPFILE: programs are told so, and then make a named file."""
    try:
        descriptor = os.open(mnt.path, os.O_TMPFILE | os.O_RDWR)
    except OSError as error:
        assert error.errno == errno.EOPNOTSUPP
        return
    os.write(descriptor, b"content")
    os.link(f"/proc/self/fd/{descriptor}", mnt.path / "f", follow_symlinks=True)
    os.close(descriptor)
    assert (mnt.path / "f").read_bytes() == b"content"


def test_the_mounts_own_directory_cannot_be_changed(mnt):
    for call in (lambda: os.mkdir(mnt.path / ".gridfs/x"), lambda: os.unlink(mnt.path / ".gridfs/status.json"),
                 lambda: (mnt.path / ".gridfs/new").write_bytes(b""), lambda: os.rmdir(mnt.path / ".gridfs"),
                 lambda: os.rename(mnt.path / ".gridfs", mnt.path / "x"), lambda: os.mkdir(mnt.path / ".gridfs")):
        with pytest.raises(OSError):
            call()
    assert mnt.status()


def test_all_buckets_root_cannot_be_changed(bucket, mount):
    bucket.put("f", b"x")
    root = mount(options="bucket=*").path
    fails(errno.EPERM, os.mkdir, root / "new")
    fails(errno.EPERM, lambda: (root / "new").write_bytes(b""))
    fails(errno.EPERM, os.rmdir, root / "fs")
    (root / "fs/g").write_bytes(b"y")
    assert bucket.files.find_one({"filename": "g"})


# What it costs

def test_names_cost_few_round_trips(bucket, mnt):
    (mnt.path / "first").write_bytes(b"x")
    for number in range(20):
        (mnt.path / f"f{number}").write_bytes(b"x")
    several_at_once = bucket.database.client.admin.command("hello")["maxWireVersion"] >= 25
    names_in(mnt.path)
    with Watched(mnt) as spent:
        for number in range(20):
            os.rename(mnt.path / f"f{number}", mnt.path / f"g{number}")
    assert spent.round_trips <= 20 * (3 if several_at_once else 5) + 10, spent.counts
    with Watched(mnt) as spent:
        for number in range(20):
            os.unlink(mnt.path / f"g{number}")
    assert spent.round_trips <= 20 * (2 if several_at_once else 4) + 10, spent.counts


def test_a_file_without_a_name_is_said_not_to_be_supported(mount):
    with pytest.raises(OSError) as refused:
        os.open(mount().path, os.O_TMPFILE | os.O_RDWR)
    assert refused.value.errno == errno.EOPNOTSUPP
