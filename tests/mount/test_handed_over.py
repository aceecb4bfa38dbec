# SPDX-License-Identifier: Apache-2.0
"""/dev/fd/N: a parent with privilege mounts, and who serves has none."""
import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

import namespaces
from mounting import BINARY, ROOT, environment, force_unmount, gridmount, mount_table, wait_for
from users import as_user

SERVES = 1000
WITHOUT_PRIVILEGE = ["setpriv", f"--reuid={SERVES}", f"--regid={SERVES}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
                     "--no-new-privs"]
NOSUID_NODEV = 2 | 4
LIBC = ctypes.CDLL(None, use_errno=True)

pytestmark = [pytest.mark.once, pytest.mark.skipif(os.geteuid() != 0, reason="the parent that mounts is root")]


class Parent:
    """Opens /dev/fuse, mounts it, and starts who serves it."""

    def __init__(self, folder):
        self.directory, self.folder, self.process = folder / "m n,nodev,t", folder, None
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)      # as Go does
        self.directory.mkdir()
        (folder / "staged").mkdir()
        os.chown(folder / "staged", SERVES, SERVES)

    @property
    def name(self):
        return f"/dev/fd/{self.device}"

    def mount(self, flags=NOSUID_NODEV, options=",default_permissions,allow_other"):
        words = f"fd={self.device},rootmode=40000,user_id={SERVES},group_id={SERVES}{options}"
        if LIBC.mount(b"gridfs", str(self.directory).encode(), b"fuse.gridfs", flags, words.encode()):
            raise OSError(ctypes.get_errno(), "mount")

    def command(self, uri, *more, options="push=off"):
        return [*WITHOUT_PRIVILEGE, BINARY, "mount", uri, self.name, "-o", f"staging_dir={self.folder}/staged,{options}", *more]

    def start(self, uri, options="push=off", within=(), **settings):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *within, *self.command(uri, "-f", options=options)],
                                            env=environment(**settings), pass_fds=[self.device], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.forget()

    def run(self, uri, *more, options="push=off"):
        return subprocess.run(self.command(uri, *more, options=options), env=environment(), pass_fds=[self.device],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)

    def said(self):
        return (self.folder / "log").read_text() if self.process else ""

    def forget(self):
        """What stays open here would keep a dead mount waiting."""
        if self.device >= 0:
            os.close(self.device)
            self.device = -1


@pytest.fixture
def parent(tmp_path):
    for folder in [tmp_path, *tmp_path.parents][:3]:
        folder.chmod(0o755)
    made = Parent(tmp_path)
    yield made
    made.forget()
    if made.process and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    force_unmount(made.directory)


def await_status(parent):
    result = gridmount("status", "--wait=20", parent.directory, "--json")
    assert result.returncode == 0, result.stderr + parent.said()
    return result.stdout


def test_without_any_privilege_it_reads_and_writes(parent, uri, bucket, stored):
    bucket.put("a.txt", b"content")
    parent.mount()
    parent.start(uri)
    status = await_status(parent)
    pid = int(re.search(r'"pid":(\d+)', status)[1])
    facts = pathlib.Path(f"/proc/{pid}/status").read_text()
    assert re.search(rf"^Uid:\t{SERVES}\t{SERVES}\t", facts, re.M) and re.search(r"^CapBnd:\t0+$", facts, re.M)
    assert as_user(SERVES, (parent.directory / "a.txt").read_bytes) == b"content"
    as_user(SERVES, (parent.directory / "new.txt").write_bytes, b"new")
    assert stored("new.txt") == b"new"


def test_the_lines_of_the_readme_do_it(parent, uri, bucket):
    bucket.put("a.txt", b"content")
    parent.forget()
    text = (ROOT / "README.md").read_text().split("### Without privilege")[1].split("Check:")[0]
    lines = "\n".join(line for line in text.splitlines() if line.startswith("    "))
    for theirs, ours in {"/srv/assets": f"'{parent.directory}'", "/home/app/staging": f"{parent.folder}/staged",
                         "gridmount mount": f"{BINARY} mount"}.items():
        assert theirs in lines
        lines = lines.replace(theirs, ours)
    result = subprocess.run(["sh", "-ec", lines], env=environment(MONGODB_URL=uri), stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=30, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r'"pid":\d+', await_status(parent))
    assert as_user(SERVES, (parent.directory / "a.txt").read_bytes) == b"content"
    subprocess.run(["umount", str(parent.directory)], check=True)


def test_it_ends_and_who_mounted_unmounts(parent, uri):
    parent.mount()
    parent.start(uri)
    await_status(parent)
    parent.process.send_signal(signal.SIGTERM)
    assert parent.process.wait(20) == 0
    assert len(mount_table(parent.directory)) == 1
    with pytest.raises(OSError):
        os.listdir(parent.directory)


def test_unmounting_ends_it(parent, uri):
    parent.mount()
    parent.start(uri)
    await_status(parent)
    subprocess.run(["umount", str(parent.directory)], check=True)
    assert parent.process.wait(20) == 0


def test_in_the_background_too(parent, uri, bucket):
    bucket.put("a.txt", b"content")
    parent.mount()
    result = parent.run(uri)
    parent.forget()
    assert (result.returncode, result.stderr) == (0, "")
    pid = int(re.search(r'"pid":(\d+)', await_status(parent))[1])
    assert (parent.directory / "a.txt").read_bytes() == b"content"
    subprocess.run(["umount", str(parent.directory)], check=True)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 20, "its end")


def test_a_command_runs_around_it_and_keeps_no_end_of_it(parent, uri, bucket):
    bucket.put("a.txt", b"content")
    parent.mount()
    command = [*WITHOUT_PRIVILEGE, BINARY, "run", uri, parent.name, "-o", f"staging_dir={parent.folder}/staged", "--",
               "sh", "-c", f'cat "{parent.directory}/a.txt"; ls -l /proc/$$/fd']
    result = subprocess.run(command, env=environment(), pass_fds=[parent.device], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=30, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("content") and "/dev/fuse" not in result.stdout


def test_status_and_staging_name_the_mountpoint_where_the_kernel_tells(parent, uri):
    """By it the next mount finds what this one could not store, whatever number the descriptor has then."""
    parent.mount()
    told = re.search(r"^fuse_connection:", pathlib.Path(f"/proc/self/fdinfo/{parent.device}").read_text(), re.M)
    name = parent.name
    parent.start(uri)
    where = parent.directory if told else name
    assert f'"mountpoint":"{where}"' in await_status(parent)


def test_where_it_cannot_see_its_mount_the_watchdog_hears_that_it_runs(parent, uri, tmp_path):
    elsewhere = [*namespaces.apart('exec "$@"'), "sh"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        (tmp_path / "notify").chmod(0o666)
        manager.settimeout(20)
        name = parent.name
        parent.mount()
        parent.start(uri, within=elsewhere, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="2000000")
        said = iter(lambda: manager.recv(4096).decode(), "WATCHDOG=1")
        assert {"READY=1", f"STATUS=mounted on {name}"} <= set(said)


def test_what_is_not_mounted_is_refused(parent, uri):
    result = parent.run(uri)
    assert result.returncode == 1 and f"{parent.name} is not mounted" in result.stderr


def test_what_is_no_fuse_is_refused(parent, uri):
    other = os.open("/dev/null", os.O_RDWR)
    os.dup2(other, parent.device, inheritable=True)
    os.close(other)
    result = parent.run(uri)
    assert result.returncode == 1 and f"{parent.name} is no /dev/fuse" in result.stderr


@pytest.mark.parametrize("name, because", [("/dev/fd/99", "is not open"), ("/dev/fd/0", "from 3 on"),
                                           ("/dev/fd/99999999999", "from 3 on")])
def test_what_is_not_there_is_refused(uri, name, because):
    result = gridmount("mount", uri, name)
    assert result.returncode == 1 and because in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("flags, options, missing", [(NOSUID_NODEV, ",allow_other", "default_permissions"),
                                                     (2, ",default_permissions", "nodev")])
def test_what_lets_everybody_in_is_refused(parent, uri, flags, options, missing):
    parent.mount(flags, options)
    if "fuse_connection:" not in pathlib.Path(f"/proc/self/fdinfo/{parent.device}").read_text():
        pytest.skip("this kernel does not tell where it is mounted")
    result = parent.run(uri)
    assert result.returncode == 1 and f"without {missing}" in result.stderr


@pytest.mark.parametrize("option", ["allow_other", "noexec", "noatime"])
def test_what_is_decided_already_is_no_option(parent, uri, option):
    parent.mount()
    result = parent.run(uri, options=option)
    assert result.returncode == 2 and f"option {option}: who mounted" in result.stderr
