# SPDX-License-Identifier: Apache-2.0
"""The life of a mount: start, status, run, unmount, and what becomes of secrets."""
import errno
import json
import os
import pathlib
import re
import signal
import subprocess
import urllib.parse

import pytest

import servers
from mounting import (BINARY, environment, gridmount, mount_table, names_in, process_alive,
                      unmount_daemon, wait_for)

COUNTERS = {
    "round_trips", "documents_fetched", "chunks_fetched", "chunk_bytes_fetched", "cache_hits",
    "cache_misses", "cache_evictions", "readahead_chunks", "lookups", "opens", "reads", "bytes_read",
    "directory_reads", "damaged_chunks", "unrepresentable_names", "inodes", "errors"}


@pytest.fixture
def directory(tmp_path):
    """A mountpoint for mounts that are not made by the `mount` fixture."""
    made = tmp_path / "by-command"
    made.mkdir()
    yield made
    gridmount("umount", made)
    unmount_daemon(made)


# Where the URI comes from

@pytest.mark.parametrize("words", [("mount",), ()], ids=["mount DIR", "DIR"])
@pytest.mark.parametrize("variable", ["MONGODB_URL", "MONGODB_URI"])
def test_the_uri_comes_from_the_environment(bucket, uri, directory, variable, words):
    bucket.put("f", b"x")
    result = gridmount(*words, directory, **{variable: uri})
    assert result.returncode == 0, result.stderr
    assert names_in(directory) == ["f"]


@pytest.mark.parametrize("variable", ["DB_NAME", "DBNAME"])
def test_the_database_comes_from_the_environment_when_the_uri_names_none(
        bucket, server, directory, variable):
    bucket.put("f", b"x")
    settings = {"MONGODB_URL": server.uri(), variable: bucket.database.name}
    assert gridmount("mount", directory, **settings).returncode == 0
    assert names_in(directory) == ["f"]


def test_the_command_line_wins_over_the_environment(bucket, uri, server, directory):
    bucket.put("f", b"x")
    result = gridmount(uri, directory, MONGODB_URL=server.uri("another"), DB_NAME="third")
    assert result.returncode == 0, result.stderr
    assert names_in(directory) == ["f"]


def test_the_credentials_file_has_the_same_variables(bucket, server, directory, tmp_path):
    bucket.put("f", b"x")
    file = tmp_path / "credentials"
    file.write_text(f"# for the test\n\nMONGODB_URL={server.uri()}\nDB_NAME={bucket.database.name}\n")
    file.chmod(0o600)
    result = gridmount("mount", directory, "-o", f"credentials={file}")
    assert result.returncode == 0, result.stderr
    assert names_in(directory) == ["f"]


# Background and foreground

def daemon_of(directory):
    return json.loads((directory / ".gridfs/status.json").read_text())["pid"]


def test_the_parent_of_a_daemon_returns_when_the_mount_is_usable(bucket, uri, directory):
    bucket.put("f", b"x")
    result = gridmount("mount", uri, directory)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (directory / "f").read_bytes() == b"x"
    pid = daemon_of(directory)
    assert os.getsid(pid) != os.getsid(0), "it would die with the terminal"
    assert gridmount("umount", directory).returncode == 0
    wait_for(lambda: not process_alive(pid), what="the end of the daemon")
    assert mount_table(directory) == []


def test_a_daemon_logs_to_its_log_file(bucket, uri, directory, tmp_path):
    log = tmp_path / "daemon.log"
    assert gridmount("mount", uri, directory, "-o", f"log_file={log},log_level=info").returncode == 0
    assert gridmount("umount", directory).returncode == 0
    assert str(directory) in log.read_text()


def test_a_relative_mountpoint_and_log_file_are_those_of_the_caller(bucket, uri, directory):
    bucket.put("f", b"x")
    subprocess.run([BINARY, "mount", uri, directory.name, "-o", "log_file=here.log"],
                   cwd=directory.parent, env=environment(), check=True, timeout=30)
    assert names_in(directory) == ["f"]
    assert (directory.parent / "here.log").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_unmounts_cleanly(bucket, mount, number):
    bucket.put("f", b"x" * 1_000_000)
    mnt = mount()
    (mnt.path / "f").read_bytes()
    mnt.process.send_signal(number)
    assert mnt.end() == 0
    assert mount_table(mnt.path) == []


def test_a_daemon_is_unmounted_by_a_signal_too(uri, directory):
    assert gridmount("mount", uri, directory).returncode == 0
    pid = daemon_of(directory)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not process_alive(pid), what="the end of the daemon")
    assert mount_table(directory) == []


def test_the_unmount_of_the_system_ends_the_daemon(mount):
    mnt = mount()
    subprocess.run(["umount", mnt.path], check=True)
    assert mnt.end() == 0


def test_a_stale_mountpoint_is_healed_and_never_stacked_on(bucket, mount, uri):
    bucket.put("f", b"x")
    dead = mount()
    dead.expected_exit = -signal.SIGKILL
    dead.process.kill()
    dead.process.wait()
    with pytest.raises(OSError) as stale:
        os.listdir(dead.path)
    assert stale.value.errno == errno.ENOTCONN
    result = gridmount("mount", uri, dead.path)
    assert result.returncode == 0, result.stderr
    assert names_in(dead.path) == ["f"]
    assert len(mount_table(dead.path)) == 1
    assert gridmount("umount", dead.path).returncode == 0


def test_a_stale_mountpoint_can_be_unmounted(mount):
    dead = mount()
    dead.expected_exit = -signal.SIGKILL
    dead.process.kill()
    dead.process.wait()
    assert gridmount("umount", dead.path).returncode == 0
    assert mount_table(dead.path) == []


# run

def run(uri, directory, *command, **settings):
    return gridmount("run", uri, directory, "--", *command, **settings)


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_run_ends_with_the_status_of_its_command(uri, directory, status):
    assert run(uri, directory, "sh", "-c", f"exit {status}").returncode == status
    assert mount_table(directory) == []


def test_run_mounts_before_its_command_and_unmounts_after_it(bucket, uri, directory):
    bucket.put("a b.txt", b"content\n")
    result = run(uri, directory, "sh", "-c", 'cat "$1"; echo "$MY_SETTING"', "sh",
                 directory / "a b.txt", MY_SETTING="kept")
    assert result.stdout == "content\nkept\n", result.stderr
    assert mount_table(directory) == []


def test_run_of_a_command_that_a_signal_ends_says_so_like_a_shell(uri, directory):
    assert run(uri, directory, "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL


def test_run_of_a_command_that_is_not_there_is_127(uri, directory):
    result = run(uri, directory, "no-such-command")
    assert result.returncode == 127 and "no-such-command" in result.stderr
    assert mount_table(directory) == []


def test_run_passes_a_signal_to_its_command(uri, directory):
    script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen([BINARY, "run", uri, str(directory), "--", "sh", "-c", script],
                               env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 5
    process.stdout.close()
    assert mount_table(directory) == []


def test_a_signal_while_its_mount_starts_ends_run(link, through, directory):
    link.set(stalled=True)
    process = subprocess.Popen([BINARY, "run", through, str(directory), "--", "echo", "ran"],
                               env=environment(), stdout=subprocess.PIPE, text=True)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for(lambda: children.read_text().split(), 20, "the daemon is started")
    process.send_signal(signal.SIGTERM)
    link.set(stalled=False)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert process.stdout.read() == ""
    process.stdout.close()
    assert mount_table(directory) == []


def test_run_whose_mount_fails_does_not_run_its_command(directory):
    nowhere = f"mongodb://127.0.0.1:{servers.free_port()}/db"
    result = gridmount("run", nowhere, directory, "-o", "timeout=2", "--", "echo", "ran")
    assert result.returncode == 1 and "ran" not in result.stdout


# status and umount

def test_status_json_has_what_is_documented(bucket, mount):
    bucket.put("f", b"x" * 1000)
    mnt = mount()
    (mnt.path / "f").read_bytes()
    result = gridmount("status", mnt.path, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    status = json.loads(result.stdout)
    assert status["state"] == "ok"
    assert (status["database"], status["bucket"]) == (bucket.database.name, "fs")
    assert (status["mountpoint"], status["pid"]) == (str(mnt.path), mnt.pid)
    assert status["version"] in gridmount("--version").stdout
    assert status["uptime_seconds"] >= 0 and set(status["cache"]) >= {"size", "used"}
    assert COUNTERS <= set(status["counters"])
    assert all(isinstance(value, int) for value in status["counters"].values())
    assert status["counters"]["chunks_fetched"] == 1


def test_status_text_is_for_people(bucket, mount):
    mnt = mount()
    result = gridmount("status", mnt.path)
    assert (result.returncode, result.stderr) == (0, "")
    for word in ("ok", bucket.database.name, str(mnt.path), "round_trips"):
        assert word in result.stdout or word.replace("_", " ") in result.stdout, word


def test_status_of_what_is_no_gridmount_is_2(tmp_path):
    for path in (tmp_path, tmp_path / "absent", pathlib.Path("/proc")):
        result = gridmount("status", path)
        assert result.returncode == 2
        assert len(result.stderr.splitlines()) == 1


def test_umount_of_what_is_not_mounted_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        result = gridmount("umount", path)
        assert result.returncode == 1
        assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("gridmount: ")


def test_umount_leaves_the_mounts_of_others_alone(directory):
    if os.geteuid() != 0:
        pytest.skip("mounts a tmpfs: root only")
    subprocess.run(["mount", "-t", "tmpfs", "none", directory], check=True)
    try:
        assert gridmount("umount", directory).returncode == 1
        assert len(mount_table(directory)) == 1
    finally:
        subprocess.run(["umount", directory], check=False)


def test_a_mountpoint_may_have_spaces_and_commas(bucket, uri, tmp_path):
    bucket.put("f", b"x")
    odd = tmp_path / "a b,c\\d"
    odd.mkdir()
    try:
        assert gridmount("mount", uri, odd).returncode == 0
        assert names_in(odd) == ["f"]
        assert gridmount("status", odd).returncode == 0
        assert gridmount("umount", odd).returncode == 0
        assert mount_table(odd) == []
    finally:
        unmount_daemon(odd)


@pytest.mark.parametrize("options, access", [("", "rw"), ("ro", "ro")])
def test_the_mount_says_what_it_is_in_the_mount_table(mount, options, access):
    device, _, kind, flags, *_ = mount_table(mount(options).path)[0].split(" ")
    assert kind in ("fuse.gridmount", "fuse.gridfs")
    assert {access, "nosuid", "nodev", "default_permissions"} <= set(flags.split(","))
    assert "@" not in device


# Secrets

def exposed(text):
    """Whether the password is in there, as it is or as URIs have it."""
    return servers.PASSWORD in text or urllib.parse.quote(servers.PASSWORD, safe="") in text


@pytest.mark.parametrize("how", ["argument", "environment", "credentials"])
def test_the_password_is_nowhere_to_be_seen(guarded, directory, tmp_path, how):
    uri, log = guarded.uri("secrets"), tmp_path / "daemon.log"
    options = ["-o", f"log_level=debug,log_file={log}"]
    if how == "argument":
        result = gridmount("mount", uri, directory, *options)
    elif how == "environment":
        result = gridmount("mount", directory, *options, MONGODB_URL=uri)
    else:
        file = tmp_path / "credentials"
        file.touch(mode=0o600)
        file.write_text(f"MONGODB_URL={uri}\n")
        result = gridmount("mount", directory, *options, "-o", f"credentials={file}")
    assert result.returncode == 0, result.stderr
    assert names_in(directory) == []
    pid = daemon_of(directory)
    places = [log, f"/proc/{pid}/cmdline", "/proc/mounts", f"/proc/{pid}/mountinfo",
              directory / ".gridfs/status", directory / ".gridfs/status.json"]
    for place in places:
        assert not exposed(pathlib.Path(place).read_text()), place
    assert not exposed(gridmount("status", directory).stdout)


def test_the_password_is_not_in_ps_in_the_foreground(guarded, mount):
    mnt = mount(uri=guarded.uri("secrets"), options="log_level=debug")
    assert not exposed(pathlib.Path(f"/proc/{mnt.pid}/cmdline").read_text())
    assert not exposed(mnt.log())


def test_the_password_is_not_in_ps_of_run(guarded, directory):
    result = run(guarded.uri("secrets"), directory, "sh", "-c",
                 "cat /proc/$PPID/cmdline /proc/self/environ; cat /proc/[0-9]*/cmdline 2>/dev/null || true")
    assert result.returncode == 0, result.stderr
    assert not exposed(result.stdout.replace("\0", " "))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_an_unmount_that_crosses_requests_is_a_clean_end(mount, tmp_path):
    """The last close after a lazy unmount leaves requests that the kernel gives up while they are read."""
    for _ in range(200):
        mnt = mount(directory=tmp_path / "mnt")
        for number in range(30):
            (mnt.path / f"{number}").write_bytes(b"1")
        files = [open(mnt.path / f"{number}", "rb") for number in range(30)]
        subprocess.run(["umount", "-l", mnt.path], check=True)
        for file in files:
            file.close()
        assert mnt.end() == 0, mnt.log()


def test_run_waits_until_all_is_warm(bucket, uri, directory):
    for number in range(20):
        bucket.put(f"models/{number}", b"x" * 300_000)
    result = gridmount("run", uri, directory, "-o", "warm=models", "--warm", "--",
                       "cat", directory / ".gridfs" / "status.json")
    assert json.loads(result.stdout)["warming"] == {"state": "done", "files": 20, "bytes": 6_000_000, "failed": 0}
    assert result.stderr == ""


def test_run_begins_when_not_all_can_be_warm_and_says_so(bucket, uri, directory):
    bucket.put("f", b"x" * (20 << 20))
    result = gridmount("run", uri, directory, "-o", "warm=*,cache_size=8M", "--warm", "--", "echo", "ran")
    assert result.stdout == "ran\n" and "not all is warm: full" in result.stderr


def test_a_signal_ends_run_while_it_still_warms(bucket, link, through, directory):
    bucket.put("f", b"x" * (20 << 20))
    link.set(bandwidth=1 << 20)
    process = subprocess.Popen([BINARY, "run", through, str(directory), "-o", "warm=*", "--warm", "--", "echo", "ran"],
                               env=environment(), stdout=subprocess.PIPE, text=True)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for(lambda: len(children.read_text().split()) == 2, 20, "the daemon is there, and who waits to be the command")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert process.stdout.read() == ""
    process.stdout.close()
    assert mount_table(directory) == []


def test_the_lines_that_the_readme_explains_are_in_the_log():
    root = pathlib.Path(__file__).parents[2]
    sources = " ".join(path.read_text() for folder in ("fs", "cache") for path in (root / folder).rglob("*.c"))
    said = re.sub(r'"\s*"|%\S*', "", sources)
    table = (root / "README.md").read_text().split("## What the log says")[1].split("\n## ")[0]
    lines = [row.split("|")[1].strip() for row in table.splitlines() if row.startswith("| ")][1:]
    assert len(lines) > 10
    for line in lines:
        for part in line.split("…"):
            assert part.strip() in said, line
