# SPDX-License-Identifier: Apache-2.0
"""The unit, in a systemd of its own: a container made of this machine's /usr and an /etc with nothing else in it."""
import os
import pathlib
import re
import shutil
import signal
import subprocess

import gridfs
import pytest

from mounting import BINARY, ROOT, wait_for

UNIT = ROOT / "packaging" / "systemd" / "gridmount@.service"
NSPAWN = shutil.which("systemd-nspawn")
ANALYZE = shutil.which("systemd-analyze")
LONGEST = 50
NAME = "gridmount@srv-assets.service"
DIRECTORY = "srv/assets"

needs_nspawn = pytest.mark.skipif(os.geteuid() != 0 or not NSPAWN, reason="root and systemd-nspawn are needed")
with_analyze = pytest.mark.skipif(not ANALYZE, reason="systemd-analyze is not installed")


def unit_for(program):
    return UNIT.read_text().replace("/usr/bin/gridmount", str(program))


class Machine:
    """A booted container; its root is /proc/PID/root."""

    def __init__(self, folder, files):
        self.folder, self.process = folder, None
        for name in ("etc/systemd/system", "etc/gridmount", "usr", "var/lib", "run", "tmp", "srv", "proc", "sys", "dev", "bound",
                     "sbin-more"):
            (folder / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (folder / name).symlink_to(f"usr/{name}")
        files = {"etc/os-release": "ID=test\n", "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
                 "etc/passwd": "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
                 "etc/group": "root:x:0:\nnogroup:x:65534:\n",
                 "etc/systemd/system/gridmount@.service": unit_for("/bound/gridmount")} | files
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o600 if "gridmount/" in name else 0o644)

    def boot(self):
        more = self.folder.parent / "sbin"
        more.mkdir()
        (more / "mount.gridfs").symlink_to("/bound/gridmount")
        devices = [f"--bind={path}" for path in ("/dev/fuse", "/dev/autofs") if os.path.exists(path)]
        with open(self.folder.parent / "boot.log", "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "timeout", str(LONGEST), NSPAWN, "--quiet", f"--directory={self.folder}",
                 "--bind-ro=/usr", f"--bind-ro={BINARY}:/bound/gridmount", f"--overlay-ro=/usr/sbin:{more}:/usr/sbin",
                 *devices, "--register=no", "--keep-unit", "--boot", "--", "systemd.unit=basic.target"],
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},     # version 1 does not tell when the last process ends
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_for(lambda: self.process.poll() is not None or self.is_up(), 30, "the container's systemd")
        if self.process.poll() is not None:
            pytest.skip("systemd does not boot in a container here: " +
                        (self.folder.parent / "boot.log").read_text(errors="replace")[-300:])
        return self

    def children(self, pid):
        """Of not every kernel /proc tells them."""
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and re.search(rf"^PPid:\s+{pid}$", (entry / "status").read_text(), re.M):
                    yield int(entry.name)
            except (FileNotFoundError, ProcessLookupError):
                continue

    @property
    def leader(self):
        """Process 1 of it: nspawn is timeout's child, and its child is that."""
        for spawn in self.children(self.process.pid):
            for leader in self.children(spawn):
                return leader
        return None

    def is_up(self):
        return self.leader and self.systemctl("is-active", "basic.target").stdout == "active\n"

    def systemctl(self, *words):
        return subprocess.run(["nsenter", "--target", str(self.leader), "--mount", "--uts", "--ipc", "--pid", "systemctl", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST, check=False)

    def show(self, name, unit=NAME):
        return self.systemctl("show", "--value", "--property", name, unit).stdout.strip()

    def path(self, name):
        return pathlib.Path(f"/proc/{self.leader}/root") / name

    def journal(self, *matches):
        return subprocess.run(["nsenter", "--target", str(self.leader), "--mount", "--pid", "journalctl", "--no-pager", "-n", "40", *matches],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False).stdout

    def kill_daemon(self):
        """By the pid that it has here: the one whose innermost pid is the unit's."""
        inner = self.show("MainPID")
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and re.search(rf"^NSpid:\s+\d+\s+{inner}$", (entry / "status").read_text(), re.M):
                    os.kill(int(entry.name), signal.SIGKILL)
                    return inner
            except (FileNotFoundError, ProcessLookupError):
                continue
        raise AssertionError(f"no process {inner} in the container")

    def end(self):
        leader = self.leader
        if leader:
            self.systemctl("stop", NAME)
            try:
                os.kill(leader, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(20)


@pytest.fixture
def machine(tmp_path, uri):
    """machine(options, uri=…, files={…}): booted, with the unit's file written."""
    made = []

    def boot(options="", files=None, uri=uri):
        found = Machine(tmp_path / "root", {"etc/gridmount/srv-assets.conf": f"MONGODB_URL={uri}\nOPTIONS={options}\n"} | (files or {}))
        made.append(found)
        return found.boot()

    yield boot
    for found in made:
        if found.process:
            found.end()


@pytest.fixture
def files(database):
    """What applications put and read."""
    return gridfs.GridFS(database)


def started(machine):
    result = machine.systemctl("start", NAME)
    assert result.returncode == 0, machine.journal()
    return machine.path(DIRECTORY)


@needs_nspawn
@pytest.mark.long
@pytest.mark.parametrize("options", ["", "user=nobody,allow_other"])
def test_the_unit_is_up_when_the_mount_is_usable(machine, files, options):
    files.put(b"content", filename="a.txt")
    booted = machine(options)
    directory = started(booted)
    assert booted.show("StatusText") == "mounted on /srv/assets"
    assert (directory / "a.txt").read_bytes() == b"content"
    (directory / "b.txt").write_bytes(b"new")
    assert files.get_last_version("b.txt").read() == b"new"
    assert booted.systemctl("stop", NAME).returncode == 0
    assert booted.show("Result") == "success", booted.journal()
    assert not list(directory.iterdir())


@needs_nspawn
@pytest.mark.long
@pytest.mark.parametrize("options", ["", "user=nobody,allow_other"])
def test_the_lines_of_a_mount_are_found_by_where_it_is(machine, database, options):
    booted = machine(options)
    started(booted)
    found = ["GRIDMOUNT_MOUNTPOINT=/srv/assets", f"GRIDMOUNT_DATABASE={database.name}", "-p", "info", "-o", "cat"]
    lines = wait_for(lambda: "mounted on /srv/assets\n" in (told := booted.journal(*found)) and told, 30, "its line")
    assert "gridmount info" not in lines, "its level is a field"


@needs_nspawn
@pytest.mark.long
@pytest.mark.parametrize("options", ["", "user=nobody,allow_other"])
def test_a_killed_daemon_comes_back_and_its_dead_mount_goes(machine, files, options):
    files.put(b"content", filename="a.txt")
    booted = machine(options)
    directory = started(booted)
    before = booted.kill_daemon()
    wait_for(lambda: booted.show("ActiveState") == "active" and booted.show("MainPID") not in ("0", before), 30, "the restart")
    assert (directory / "a.txt").read_bytes() == b"content"
    mounts = booted.path("proc/1/mounts").read_text()
    assert mounts.count(" /srv/assets ") == 1


@needs_nspawn
@pytest.mark.long
def test_a_stop_takes_the_time_that_storing_takes(machine, link, database, files):
    """Longer than TimeoutStopSec=: more time is asked for."""
    dropin = {f"etc/systemd/system/{NAME}.d/short.conf": "[Service]\nTimeoutStopSec=2\n"}
    through = f"mongodb://127.0.0.1:{link.port}/{database.name}?directConnection=true"
    booted = machine("writeback,stop_timeout=40", dropin, through)
    directory = started(booted)
    link.set(bandwidth=1 << 20)
    contents = {f"file{i}": os.urandom(256 << 10) for i in range(24)}
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    assert booted.systemctl("stop", NAME).returncode == 0
    assert booted.show("Result") == "success", booted.journal()
    link.set(bandwidth=0)
    assert {name: files.get_last_version(name).read() for name in contents} == contents


@needs_nspawn
@pytest.mark.long
def test_a_mount_that_is_never_usable_is_never_up(machine):
    booted = machine("timeout=1", uri="mongodb://127.0.0.1:1/x")
    assert booted.systemctl("start", NAME).returncode != 0
    assert "cannot" in booted.show("StatusText") or "server" in booted.show("StatusText")


@needs_nspawn
@pytest.mark.long
def test_the_secret_may_be_a_credential(machine, files, uri):
    files.put(b"content", filename="a.txt")
    dropin = "[Service]\nLoadCredential=mongodb:/etc/gridmount/secret\nEnvironment=OPTIONS=credentials=%d/mongodb\n"
    booted = machine(files={f"etc/systemd/system/{NAME}.d/secret.conf": dropin, "etc/gridmount/srv-assets.conf": "",
                            "etc/gridmount/secret": f"MONGODB_URL={uri}\n"})
    assert (started(booted) / "a.txt").read_bytes() == b"content"


@needs_nspawn
@pytest.mark.long
def test_a_line_of_fstab_is_mounted_when_it_is_looked_at(machine, files, uri):
    files.put(b"content", filename="a.txt")
    if not os.path.exists("/dev/autofs"):
        pytest.skip("this kernel has no autofs")
    line = "gridfs /srv/auto gridfs _netdev,nofail,x-systemd.automount,credentials=/etc/gridmount/secret 0 0\n"
    booted = machine(files={"etc/fstab": line, "etc/gridmount/secret": f"MONGODB_URL={uri}\n"})
    assert booted.systemctl("start", "srv-auto.automount").returncode == 0, booted.journal()
    assert booted.show("ActiveState", "srv-auto.mount") == "inactive"
    inside = ["nsenter", "--target", str(booted.leader), "--mount", "--pid"]
    shown = subprocess.run([*inside, "cat", "/srv/auto/a.txt"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    assert shown.stdout == b"content", booted.journal()
    assert booted.show("ActiveState", "srv-auto.mount") == "active"
    assert booted.systemctl("stop", "srv-auto.automount", "srv-auto.mount").returncode == 0


@with_analyze
def test_the_unit_is_well_formed(tmp_path):
    path = tmp_path / "gridmount@.service"
    path.write_text(unit_for(BINARY))
    result = subprocess.run([ANALYZE, "verify", "--man=no", str(path)], capture_output=True, text=True, timeout=30, check=False)
    ours = [line for line in (result.stdout + result.stderr).splitlines() if "gridmount" in line]
    assert (result.returncode, ours) == (0, [])


@with_analyze
def test_the_unit_gives_up_what_it_does_not_need(tmp_path):
    path = tmp_path / "gridmount@.service"
    path.write_text(unit_for(BINARY))
    result = subprocess.run([ANALYZE, "security", "--offline=true", str(path)], capture_output=True, text=True, timeout=30, check=False)
    score = re.search(r"exposure level.*: ([0-9.]+)", result.stdout)
    assert score and float(score[1]) <= 5.0, result.stdout + result.stderr
