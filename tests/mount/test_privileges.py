# SPDX-License-Identifier: Apache-2.0
"""user=: root starts it, and a user serves it, who can do no more than that takes."""
import errno
import json
import os
import pathlib
import signal
import subprocess

import pytest

import namespaces
import servers
from mounting import (BINARY, environment, gridmount, mount_table, names_in, process_alive, unmount_daemon,
                      wait_for)
from test_command import daemon_of
from test_usage import FAILED, USAGE, as_nobody, refused
from users import as_user

NOBODY = 65534      # has an account on every Debian
NUMBER = 54321      # has none

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def public(tmp_path):
    """A directory that every user may reach."""
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(0o755)
    return tmp_path


@pytest.fixture
def directory(public):
    made = public / "mnt"
    made.mkdir()
    yield made
    gridmount("umount", made)
    unmount_daemon(made)


@pytest.fixture
def served(uri, public, directory):
    """served("option,…"): the mountpoint, mounted by root for a user."""
    def start(options=f"user={NOBODY}", **settings):
        words = f"staging_dir={public}/staged,log_file={public}/log,log_level=debug,{options}"
        result = gridmount("mount", settings.pop("uri", uri), directory, "-o", words, **settings)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        return directory
    return start


def status_of(directory):
    result = gridmount("status", directory, "--json")
    assert result.returncode == 0, result.stderr
    return result.stdout


def pid_of(directory):
    return int(status_of(directory).split('"pid":')[1].split(",")[0])


def lines_of(pid):
    pairs = (line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: value.split() for name, value in pairs}


def porter_of(pid):
    """The one child of the daemon; not every kernel lists children."""
    def parent_of(other):
        try:
            return lines_of(other)["PPid"] == [str(pid)]
        except (FileNotFoundError, ProcessLookupError):
            return False
    (porter,) = [int(other.name) for other in pathlib.Path("/proc").iterdir()
                 if other.name.isdigit() and parent_of(other.name)]
    return porter


@pytest.mark.parametrize("user, uid, gid", [("nobody", NOBODY, NOBODY), (NUMBER, NUMBER, NUMBER),
                                            (f"{NUMBER}:{NOBODY}", NUMBER, NOBODY), ("nobody:0", NOBODY, 0)])
def test_the_daemon_becomes_the_user_for_good(served, user, uid, gid):
    directory = served(f"user={user}")
    pid = pid_of(directory)
    lines = lines_of(pid)
    assert (lines["Uid"], lines["Gid"]) == ([str(uid)] * 4, [str(gid)] * 4)
    assert "0" not in lines["Groups"] or gid == 0
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(lines[capabilities][0], 16) == 0
    assert lines["NoNewPrivs"] == ["1"]
    assert {int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
            if lines_of(task.name)["Uid"] != lines["Uid"]} == set(), "threads that did not"
    assert f"user_id={uid},group_id={gid}" in mount_table(directory)[0]


def test_the_mount_is_the_users_alone_and_what_is_in_it_too(bucket, served, stored):
    bucket.put("d/f", b"old")
    directory = served()
    assert as_user(NOBODY, os.listdir, directory) == ["d"]
    status = as_user(NOBODY, os.stat, directory / "d/f")
    assert (status.st_uid, status.st_gid) == (NOBODY, NOBODY)
    as_user(NOBODY, (directory / "d/f").write_bytes, b"new")
    assert stored("d/f") == b"new"
    for others in (0, NUMBER):
        with pytest.raises(OSError) as kept_out:
            as_user(others, os.listdir, directory)
        assert kept_out.value.errno == errno.EACCES


def test_with_allow_other_owners_and_modes_decide(bucket, served):
    bucket.put("f", b"x")
    directory = served("user=nobody,allow_other,umask=077,gid=7")
    assert names_in(directory) == ["f"]
    assert ((directory / "f").stat().st_uid, (directory / "f").stat().st_gid) == (NOBODY, 7)
    with pytest.raises(OSError):
        as_user(NUMBER, os.listdir, directory)


@pytest.mark.parametrize("options, flags", [("", {"rw", "nosuid", "nodev", "default_permissions"}),
                                            ("ro,noexec,noatime", {"ro", "nosuid", "nodev", "noexec", "noatime"})])
def test_the_porter_mounts_with_the_flags_of_every_mount(served, options, flags):
    device, _, kind, found, *_ = mount_table(served(f"user=nobody,{options}"))[0].split(" ")
    assert flags <= set(found.split(",")) and "allow_other" not in found
    assert kind == "fuse.gridfs" and "@" not in device


def gone(directory, *pids):
    wait_for(lambda: not any(map(process_alive, pids)), 30, "the end of the daemon and its porter")
    return mount_table(directory) == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, "umount", "of the system"], ids=str)
def test_however_it_ends_it_leaves_no_mount_and_no_process(bucket, served, end):
    """Also when it is killed: the porter takes the dead mount away."""
    bucket.put("f", b"x")
    directory = served()
    pid = pid_of(directory)
    porter = porter_of(pid)
    if end == "umount":
        assert gridmount("umount", directory).returncode == 0
        assert not process_alive(pid)
    elif end == "of the system":
        subprocess.run(["umount", directory], check=True)
    else:
        os.kill(pid, end)
    assert gone(directory, pid, porter)


def test_a_wait_for_what_hangs_ends_and_who_looked_ends_with_that(served):
    directory = served()
    pid = pid_of(directory)
    os.kill(pid, signal.SIGSTOP)
    try:
        result = gridmount("status", "--wait=0.2", directory)
        assert (result.returncode, result.stdout) == (1, "") and "does not answer" in result.stderr
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not [other for other in commands() if b"status" in other and os.fsencode(directory) in other], 10,
             "the end of who looked")


def commands():
    """Of all processes."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit():
                yield (entry / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue


def test_the_keys_of_the_terminal_are_for_neither_of_them(served):
    pid = pid_of(served())
    for member in (pid, porter_of(pid)):
        assert os.getsid(member) == member


def test_a_dead_mount_of_a_user_is_healed_by_the_next(bucket, served):
    bucket.put("f", b"x")
    directory = served()
    pid = pid_of(directory)
    porter = porter_of(pid)
    os.kill(porter, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not process_alive(pid) and not process_alive(porter), 30, "the end of both")
    assert len(mount_table(directory)) == 1
    assert gridmount("status", directory).returncode == 2
    served()
    assert len(mount_table(directory)) == 1
    assert as_user(NOBODY, os.listdir, directory) == ["f"]


def test_a_mount_of_a_user_is_not_mounted_over(uri, served):
    directory = served()
    refused(gridmount("mount", uri, directory), FAILED, "already mounted")


def test_an_unmount_while_files_are_open_ends_it_too(bucket, served):
    bucket.put("f", b"x" * 1000)
    directory = served("user=nobody,allow_other")
    pid = daemon_of(directory)
    porter = porter_of(pid)
    with open(directory / "f", "rb") as file:
        os.kill(pid, signal.SIGTERM)
        assert gone(directory, pid, porter)
        with pytest.raises(OSError):
            os.pread(file.fileno(), 1, 0)


def test_a_server_that_does_not_answer_keeps_no_mount(link, through, bucket, served):
    """The daemon ends without it, and asks the porter to unmount before that."""
    bucket.put("f", b"x")
    directory = served(uri=through)
    pid = pid_of(directory)
    porter = porter_of(pid)
    link.set(stalled=True)
    os.kill(pid, signal.SIGTERM)
    assert gone(directory, pid, porter)


def test_a_mount_that_fails_leaves_nothing(public, directory):
    result = gridmount("mount", f"mongodb://127.0.0.1:{servers.free_port()}/db", directory,
                       "-o", f"user=nobody,timeout=1,staging_dir={public}/staged")
    refused(result, FAILED, "server")
    assert mount_table(directory) == []


# Where it writes

def test_what_exceeds_the_memory_is_staged_in_a_folder_of_the_users(served, public, stored):
    directory = served("user=nobody,cache_size=4M")
    (folder,) = (public / "staged").iterdir()
    for made in (public / "staged", folder):
        assert (made.stat().st_uid, made.stat().st_mode & 0o777) == (NOBODY, 0o700)
    content = os.urandom(1 << 20) * 8
    as_user(NOBODY, (directory / "big").write_bytes, content)
    assert stored("big") == content


def test_what_was_read_is_kept_in_a_cache_dir_of_the_users(served, public, bucket):
    content = os.urandom(1 << 20)
    bucket.put("read", content)
    directory = served(f"user=nobody,cache_free=1M,cache_dir={public}/cache")
    assert as_user(NOBODY, (directory / "read").read_bytes) == content
    wait_for(lambda: json.loads(status_of(directory))["counters"]["disk_bytes_stored"] >= len(content), 30,
             "what was read in cache_dir")
    assert {made.stat().st_uid for made in [public / "cache", *(public / "cache").rglob("*")]} == {NOBODY}


def test_what_the_kernel_does_not_read_for_a_user_is_read_all_the_same(served, public, bucket):
    content = os.urandom(1 << 20)
    bucket.put("read", content)
    options = f"user=nobody,ro,cache_free=1M,cache_dir={public}/cache"
    directory = served(options)
    assert as_user(NOBODY, (directory / "read").read_bytes) == content
    assert gridmount("umount", directory).returncode == 0
    served(options)
    for _ in range(2):
        assert as_user(NOBODY, (directory / "read").read_bytes) == content
    status = json.loads(status_of(directory))
    assert status["cache_dir"]["passthrough"].startswith("none: ")
    assert status["counters"]["opens_passed"] == status["counters"]["chunks_fetched"] == 0


def test_a_staging_dir_of_another_is_refused(uri, public, directory):
    (public / "roots").mkdir()
    refused(gridmount("mount", uri, directory, "-o", f"user=nobody,staging_dir={public}/roots"),
            USAGE, "staging_dir", "belongs to another user")


def test_without_a_staging_dir_it_has_one_of_its_own(uri, directory):
    number = NUMBER + os.getpid()      # beside the one of another run
    made = pathlib.Path(f"/var/lib/gridmount-{number}")
    was_there = made.exists()
    try:
        assert gridmount("mount", uri, directory, "-o", f"user={number}").returncode == 0
        assert (made.stat().st_uid, made.stat().st_mode & 0o777) == (number, 0o700)
        assert gridmount("umount", directory).returncode == 0
    finally:
        if not was_there:
            made.rmdir()


def test_a_read_only_mount_stages_nothing(bucket, served, public):
    bucket.put("f", b"x")
    directory = served("user=nobody,ro")
    assert as_user(NOBODY, (directory / "f").read_bytes) == b"x"
    assert not (public / "staged").exists()


def test_the_log_file_may_be_where_only_root_writes(served, public):
    served()
    assert (public / "log").stat().st_uid == 0
    assert "mounted on" in (public / "log").read_text()


# The server comes back: name service and certificates are read again by then

def test_it_connects_anew_over_tls(request, public, directory):
    try:
        server = servers.start(request.config.getoption("--server"), public / "tls", tls=True)
    except servers.NotAvailable as reason:
        pytest.skip(str(reason))
    with server:
        (public / "tls").chmod(0o755)
        uri = server.uri("db").replace("127.0.0.1", "localhost")
        result = gridmount("mount", uri, directory, "-o", f"user=nobody,staging_dir={public}/staged,timeout=30")
        assert result.returncode == 0, result.stderr
        server.restart()
        as_user(NOBODY, (directory / "f").write_bytes, b"x")
        with server.client() as client:
            assert client["db"]["fs.files"].count_documents({"filename": "f"}) == 1
        assert gridmount("umount", directory).returncode == 0


# run

def test_run_serves_as_the_user_and_runs_its_command_as_the_caller(bucket, uri, public, directory):
    bucket.put("f", b"x")
    result = gridmount("run", uri, directory, "-o", f"user=nobody,allow_other,staging_dir={public}/staged", "--",
                       "sh", "-c", 'id -u; stat -c %u "$1"', "sh", directory / "f")
    assert result.stdout == f"0\n{NOBODY}\n", result.stderr
    assert mount_table(directory) == []


# Who may, and what is said

@pytest.mark.parametrize("user, why", [
    ("root", "nothing"), ("0", "nothing"), ("no-such-user", "no such user"), ("nobody:no-such-group", "no such group"),
    ("-1", "no such user"), ("4294967295", "no such user"), ("nobody:", "no such group"), (":nogroup", "no such user")])
def test_who_is_no_user_is_refused(uri, directory, user, why):
    refused(gridmount("mount", uri, directory, "-o", f"user={user}"), USAGE, "user=", why)


def test_only_root_becomes_another_user(uri, directory):
    if as_nobody(BINARY, "--version").returncode != 0:
        pytest.skip("an ordinary user cannot reach the binary here")
    os.chown(directory, NOBODY, NOBODY)
    refused(as_nobody(BINARY, "mount", uri, directory, "-o", "user=daemon"), USAGE, "only root")


def test_root_without_the_right_to_change_is_told_so(uri, public, directory):
    result = subprocess.run(
        ["setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid", BINARY, "mount", uri, directory,
         "-o", f"user=nobody,staging_dir={public}/staged"],
        env=environment(), capture_output=True, text=True, timeout=30, check=False)
    refused(result, FAILED, "cannot become user nobody", "SETUID")


# Secrets

def owner(path):
    return os.stat(path).st_uid


def test_what_proc_tells_of_the_daemon_is_roots(guarded, served):
    """As the kernel has it for a process that leaves no core dump; the password is in its environment."""
    directory = served(uri=guarded.uri("secrets"), options="user=nobody")
    pid = pid_of(directory)
    assert lines_of(pid)["Uid"][0] == str(NOBODY)
    assert owner(f"/proc/{pid}/environ") == owner(f"/proc/{pid}/mem") == 0
    with pytest.raises(OSError):
        as_user(NOBODY, pathlib.Path(f"/proc/{pid}/environ").read_bytes)
    assert servers.PASSWORD not in status_of(directory)


# A /dev/fuse for everybody, and no user_allow_other, whatever this machine has.
ORDINARY = """mount -t tmpfs none /dev && mkdir /dev/shm && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/fuse c 10 229 &&
: >/dev/fuse.conf && { [ ! -e /etc/fuse.conf ] || mount --bind /dev/fuse.conf /etc/fuse.conf; } &&
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@" """


def as_ordinary(*words, **settings):
    return subprocess.run([*namespaces.apart(ORDINARY), "sh", *map(str, words)], cwd="/", capture_output=True,
                          env=environment(**settings), text=True, timeout=60, check=False)


@pytest.fixture
def own(directory):
    """A mountpoint of an ordinary user, who can mount on it."""
    os.chown(directory, NOBODY, NOBODY)
    if as_ordinary(BINARY, "--version").returncode != 0:
        pytest.skip("no mount namespace with a /dev/fuse for everybody can be made here")
    return directory


def test_allow_other_of_an_ordinary_user_is_refused_with_the_line_to_write(uri, own):
    refused(as_ordinary(BINARY, "mount", uri, own, "-o", "allow_other", HOME="/nowhere"), FAILED,
            "user_allow_other", "/etc/fuse.conf")


def test_what_proc_tells_of_run_is_roots(guarded, own):
    """It has the password in memory as long as its command runs."""
    result = as_ordinary(BINARY, "run", guarded.uri("x"), own, "--", "sh", "-c", "stat -c %u /proc/$PPID/environ; id -u",
                         HOME="/nowhere")
    assert result.stdout == f"0\n{NOBODY}\n", result.stderr
