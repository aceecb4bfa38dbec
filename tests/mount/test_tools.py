# SPDX-License-Identifier: Apache-2.0
"""Programs that know nothing of GridFS, on the mount. With --local on a plain directory, to see that they are asked right.

The long forms have 1,000 files and 1,000 transactions; TOOLS_FILES and TOOLS_TRANSACTIONS set other sizes.
"""
import os
import random
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time

import pytest

from mounting import wait_for

pytestmark = pytest.mark.timeout(120)


def run(*command, directory=None, **named):
    done = subprocess.run([*map(os.fspath, command)], cwd=directory, capture_output=True, text=True,
                          errors="surrogateescape", stdin=subprocess.DEVNULL, timeout=600, check=False, **named)
    assert done.returncode == 0, f"{command} exited {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def needs(program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed here")


LONG = [pytest.mark.long, pytest.mark.timeout(3600)]


@pytest.fixture(params=[pytest.param(25, id="short"), pytest.param(1000, id="long", marks=LONG)])
def files(request):
    return int(os.environ.get("TOOLS_FILES", request.param))


@pytest.fixture(params=[pytest.param(25, id="short"), pytest.param(1000, id="long", marks=LONG)])
def transactions(request):
    return int(os.environ.get("TOOLS_TRANSACTIONS", request.param))


@pytest.fixture
def source(tmp_path, files):
    """A tree of files of many sizes, modes and times, with links, empty directories and odd names."""
    made, rng = tmp_path / "source", random.Random(1)
    for number in range(files):
        path = made / f"d{number % 5}" / f"s{number % 3}" / f"file-{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(rng.choice((0, 10, 1000, 20_000, 300_000))))
        path.chmod(rng.choice((0o644, 0o600, 0o755, 0o444)))
        os.utime(path, ns=(rng.randrange(10**18), rng.randrange(10**18)))
    (made / "empty").mkdir(mode=0o750)
    os.symlink("d0/s0/file-0.bin", made / "link")
    os.symlink("/nowhere", made / "broken")
    os.link(made / "d0/s0/file-0.bin", made / "hard")
    os.mkfifo(made / "fifo")
    (made / "with\nnewline").write_bytes(b"1")
    with open(os.fsencode(made) + b"/\xff\xfe", "wb") as file:
        file.write(b"2")
    (made / "sparse").touch()
    os.truncate(made / "sparse", 3_000_000)
    return made


def described(root):
    """{path: (type and mode, owner, group, size and links or target, time but of directories)}."""
    found = {}
    for folder, directories, names in os.walk(os.fsencode(root)):
        for name in directories + names:
            full = os.path.join(folder, name)
            kept = os.lstat(full)
            what = os.readlink(full) if stat.S_ISLNK(kept.st_mode) else None
            if stat.S_ISREG(kept.st_mode):
                what = kept.st_size, kept.st_nlink
            times = None if stat.S_ISDIR(kept.st_mode) else kept.st_mtime_ns
            found[os.path.relpath(full, os.fsencode(root))] = (kept.st_mode, kept.st_uid, kept.st_gid, what, times)
    return found


def differences(one, other):
    first, second = described(one), described(other)
    return {name: (first.get(name), second.get(name)) for name in first.keys() | second.keys()
            if first.get(name) != second.get(name)}


def same_content(one, other):
    run("diff", "-r", "--no-dereference", "-x", "fifo", one, other)


# Copies

def test_cp_keeps_content_modes_links_and_times(place, source):
    run("cp", "-a", source, place.root / "copy")
    place.remount()
    same_content(source, place.root / "copy")
    assert not differences(source, place.root / "copy")


def test_rsync_copies_and_then_has_nothing_to_do(place, source):
    needs("rsync")
    run("rsync", "-aH", f"{source}/", place.root / "copy/")
    place.remount()
    same_content(source, place.root / "copy")
    # rsync sets no times of symlinks and FIFOs on some systems.
    found = differences(source, place.root / "copy")
    assert not [pair for pair in found.values() if None in pair or pair[0][:4] != pair[1][:4] or stat.S_ISREG(pair[0][0])]
    again = run("rsync", "-aH", "--stats", f"{source}/", place.root / "copy/")
    assert "Number of regular files transferred: 0" in again


def test_tar_unpacks_and_finds_no_difference(place, source, tmp_path):
    run("tar", "-C", source, "-cf", tmp_path / "packed.tar", ".")
    (place.root / "out").mkdir()
    run("tar", "-C", place.root / "out", "-xpf", tmp_path / "packed.tar")
    place.remount()
    run("tar", "-C", place.root / "out", "-df", tmp_path / "packed.tar")
    same_content(source, place.root / "out")


def test_moving_a_tree_in_and_out(place, source, tmp_path):
    before = described(source)
    run("mv", source, place.root / "moved")
    run("mv", place.root / "moved", place.root / "renamed")
    assert described(place.root / "renamed") == before
    run("mv", place.root / "renamed", tmp_path / "back")
    assert described(tmp_path / "back") == before and os.listdir(place.root) == []


def test_find_du_and_rm(place, source, server):
    run("cp", "-a", source, place.root / "copy")
    assert len(run("find", place.root / "copy", "-print0").split("\0")) == len(run("find", source, "-print0").split("\0"))
    used = int(run("du", "-sk", place.root / "copy").split()[0])
    content = sum(os.lstat(path).st_size for path in source.rglob("*.bin"))
    sparse = 0 if server.has_nested_arrays else os.lstat(source / "sparse").st_size // 1000  # or its hole is not kept
    assert content // 1024 <= used <= content // 1024 * 1.2 + 4 * len(described(source)) + 1000 + sparse
    run("rm", "-rf", place.root / "copy")
    assert os.listdir(place.root) == []


# Version control and databases

GIT = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
       "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nonexistent", "PATH": os.environ["PATH"]}


@pytest.fixture
def repository(tmp_path, files):
    needs("git")
    made = tmp_path / "repository"
    made.mkdir()
    run("git", "init", "-q", ".", directory=made, env=GIT)
    for number in range(files):
        path = made / f"d{number % 11}" / f"f{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"line of {number}\n" * (number % 50))
    (made / "script").write_text("#!/bin/sh\necho ran\n")
    (made / "script").chmod(0o755)
    os.symlink("script", made / "link")
    run("git", "add", "-A", directory=made, env=GIT)
    run("git", "commit", "-qm", "one", directory=made, env=GIT)
    return made


def test_git_clones_commits_and_checks(place, repository):
    clone = place.root / "clone"
    run("git", "clone", "-q", "--no-local", repository, clone, env=GIT)
    run("git", "fsck", "--full", directory=clone, env=GIT)
    assert run("git", "status", "--porcelain", directory=clone, env=GIT) == ""
    (clone / "d0/f0.txt").write_text("changed\n")
    os.rename(clone / "d1/f1.txt", clone / "d1/renamed.txt")
    run("git", "add", "-A", directory=clone, env=GIT)
    run("git", "commit", "-qm", "two", directory=clone, env=GIT)
    run("git", "gc", "-q", directory=clone, env=GIT)
    place.remount()
    run("git", "fsck", "--full", directory=clone, env=GIT)
    assert run("git", "status", "--porcelain", directory=clone, env=GIT) == ""
    run("git", "checkout", "-q", "HEAD~1", directory=clone, env=GIT)
    run("diff", "-r", "--no-dereference", "-x", ".git", repository, clone)


@pytest.mark.parametrize("journal", ["delete", "truncate", "persist", "wal"])
def test_sqlite_is_sound_after_many_transactions(place, transactions, journal):
    path = place.root / "data.sqlite"
    with sqlite3.connect(path) as database:
        assert database.execute(f"pragma journal_mode={journal}").fetchone() == (journal,)
        database.execute("create table t (n integer primary key, text text)")
    for number in range(transactions):
        database.execute("insert into t values (?, ?)", (number, "x" * (number % 3000)))
        database.commit()
        if number % 10 == 0:
            database.execute("update t set text = 'rolled back'")
            database.rollback()
    database.close()
    place.remount()
    database = sqlite3.connect(path)
    assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert database.execute("select count(*), sum(length(text)) from t").fetchone() == \
        (transactions, sum(number % 3000 for number in range(transactions)))
    database.close()


def test_sqlite_between_processes(place, transactions):
    program = """if 1:
        import sqlite3, sys
        database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
        for number in range(int(sys.argv[2])):
            database.execute("begin immediate")
            database.execute("update t set n = n + 1")
            database.execute("commit")"""
    path, count = place.root / "data.sqlite", max(5, transactions // 10)
    with sqlite3.connect(path) as database:
        database.execute("create table t (n integer)")
        database.execute("insert into t values (0)")
    database.close()
    writers = [subprocess.Popen([sys.executable, "-c", program, path, str(count)]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    database = sqlite3.connect(path)
    assert database.execute("select n from t").fetchone() == (3 * count,)
    assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
    database.close()


# Editors, compilers, interpreters

def test_sed_in_place(place):
    path = place.root / "settings.ini"
    path.write_text("a=1\nb=2\n")
    path.chmod(0o640)
    run("sed", "-i", "s/b=2/b=3/", path)
    run("sed", "-i.old", "s/a=1/a=5/", path)
    place.remount()
    assert path.read_text() == "a=5\nb=3\n" and (place.root / "settings.ini.old").read_text() == "a=1\nb=3\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(place.root)) == ["settings.ini", "settings.ini.old"]


def test_vim_writes_a_file(place):
    needs("vim.tiny")
    path = place.root / "text"
    path.write_text("one\ntwo\n")
    run("vim.tiny", "-u", "NONE", "-es", "-c", "%s/two/three/", "-c", "wq", path)
    place.remount()
    assert path.read_text() == "one\nthree\n" and os.listdir(place.root) == ["text"]


def test_a_c_program_is_compiled_and_run_there(place):
    needs("gcc")
    (place.root / "hello.c").write_text('#include <stdio.h>\nint main(void) { puts("hello from gridfs"); return 0; }\n')
    run("gcc", "-O1", "-g", "-c", "-o", "hello.o", "hello.c", directory=place.root)
    run("gcc", "-o", "hello", "hello.o", directory=place.root)
    assert run(place.root / "hello") == "hello from gridfs\n"
    place.remount()
    assert run(place.root / "hello") == "hello from gridfs\n"
    run("strip", "hello", directory=place.root)
    assert run(place.root / "hello") == "hello from gridfs\n"


def test_make_builds_what_is_newer(place):
    needs("make")
    make = ("env", "-u", "MAKEFLAGS", "make")   # not as the make that runs the tests
    (place.root / "Makefile").write_text("out: in\n\tcp in out\n")
    (place.root / "in").write_text("1")
    run(*make, directory=place.root)
    assert "up to date" in run(*make, directory=place.root)
    time.sleep(0.05)
    (place.root / "in").write_text("2")
    run(*make, directory=place.root)
    assert (place.root / "out").read_text() == "2"


def test_a_python_environment_is_made_and_used_there(place):
    run("/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable, "-m", "venv", "--without-pip",
        place.root / "venv")
    package = place.root / "venv/lib"
    site = next(package.glob("python*/site-packages"))
    (site / "mine").mkdir()
    (site / "mine/__init__.py").write_text("value = 'imported from gridfs'\n")
    python = place.root / "venv/bin/python"
    settings = {"PATH": os.environ["PATH"]}
    assert run(python, "-c", "import mine, sys; print(mine.value, sys.prefix)", env=settings).strip() == \
        f"imported from gridfs {place.root / 'venv'}"
    place.remount()
    assert "imported" in run(python, "-c", "import mine; print(mine.value)")
    assert list((site / "mine/__pycache__").iterdir())


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_pip_installs_there(place):
    run(sys.executable, "-m", "pip", "install", "-q", "--target", place.root / "site", "flask==3.1.3")
    place.remount()
    assert "3.1.3" in run(sys.executable, "-c", "from importlib.metadata import version; print(version('flask'))",
                          env={"PYTHONPATH": str(place.root / "site")})


# Other processes

def test_tail_follows_a_log(place):
    log = place.root / "log"
    log.write_text("first\n")
    with subprocess.Popen(["tail", "-n", "+1", "-f", "-s", "0.1", log], stdout=subprocess.PIPE, text=True) as tail:
        seen = []
        reader = threading.Thread(target=lambda: seen.extend(iter(tail.stdout.readline, "")))
        reader.start()
        for number in range(5):
            with open(log, "a", encoding="utf-8") as file:
                file.write(f"line {number}\n")
            time.sleep(0.1)
        try:
            wait_for(lambda: len(seen) == 6, what="all lines in tail -f")
        finally:
            tail.kill()
            reader.join()
    assert seen == ["first\n", *[f"line {number}\n" for number in range(5)]]


def test_a_unix_socket_and_a_fifo_connect_processes(here):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        listener.listen()
        program = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('socket'); s.sendall(b'called')"
        with subprocess.Popen([sys.executable, "-c", program]) as caller:
            accepted, _ = listener.accept()
            assert accepted.recv(100) == b"called"
            accepted.close()
        assert caller.returncode == 0
    os.mkfifo("fifo")
    with subprocess.Popen("echo through > fifo", shell=True):
        with open("fifo", encoding="utf-8") as fifo:
            assert fifo.read() == "through\n"


def test_a_lock_file_lets_one_process_in_at_a_time(place):
    program = """if 1:
        import fcntl, sys
        for _ in range(20):
            with open(sys.argv[1] + ".lock", "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                with open(sys.argv[1]) as file:
                    value = int(file.read())
                with open(sys.argv[1], "w") as file:
                    file.write(str(value + 1))"""
    path = place.root / "counter"
    path.write_text("0")
    writers = [subprocess.Popen([sys.executable, "-c", program, path]) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert path.read_text() == "80"
