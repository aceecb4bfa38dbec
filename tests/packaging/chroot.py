# SPDX-License-Identifier: Apache-2.0
"""A Debian of a test's own: a copy-on-write view of a base that debootstrap made, in mount and process namespaces of its own.

    with chroot.started("bookworm", folder) as debian:
        debian.run("apt-get", "install", "-y", "/tmp/some.deb")
        (debian.path / "mnt/file").read_bytes()     # its mounts are seen there

The base stays in build/chroots. The network is the host's, and so are the package server and what apt is told of it.
Processes, mounts and files end with it, and with the test that died.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import namespaces

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The first process of the namespace; it ignores SIGCHLD, so that what ends there leaves no zombie.
FIRST = namespaces.LET_GO + """set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount -t proc proc "$2/root/proc"
mount --rbind /dev "$2/root/dev"
cp -L /etc/resolv.conf "$2/root/etc/resolv.conf"
echo ready
exec env --ignore-signal=CHLD sleep infinity
"""


def _ask(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def _mirror():
    """Where this machine gets Debian from: the archive that has the other releases too."""
    for line in _ask("apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages").splitlines():
        origin, uri = line.split()
        if origin == "Debian" and "security" not in uri:
            return uri
    return "http://deb.debian.org/debian"


def base(suite):
    """The folder of a release; made once, half a minute."""
    folder = ROOT / "build/chroots" / suite
    if not folder.exists():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        made = subprocess.run(["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, part, _mirror()],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert made.returncode == 0, made.stdout[-3000:]
        acquire = [line for line in _ask("apt-config", "dump", "Acquire").splitlines() if "Proxy" in line or "Check-" in line]
        (part / "etc/apt/apt.conf.d/90host").write_text("\n".join(acquire) + "\n")
        part.rename(folder)
    return folder


class Debian:
    def __init__(self, suite, pid, folder):
        self.suite, self.pid, self.folder = suite, pid, folder
        self.path = pathlib.Path(f"/proc/{pid}/root{folder}/root")

    def run(self, *words, check=True, timeout=300):
        """The result of a command in it; its text is stdout and stderr as they came."""
        done = subprocess.run(["nsenter", "--target", str(self.pid), "--mount", "--pid", "chroot", self.folder / "root",
                               "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C",
                               *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=timeout, check=False)
        assert not check or done.returncode == 0, f"{' '.join(map(str, words))}:\n{done.stdout[-6000:]}"
        return done


@contextlib.contextmanager
def started(suite, folder):
    if os.getuid() != 0 or not shutil.which("debootstrap") or not os.path.exists("/dev/fuse"):
        pytest.skip("a Debian to install in needs root, debootstrap and /dev/fuse")
    lower = base(suite)
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(parents=True)
    with open(folder / "log", "w+", encoding="utf-8") as log, subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child",
             "sh", "-c", FIRST, "sh", lower, folder], stdout=subprocess.PIPE, stderr=log, text=True) as keeper:
        if keeper.stdout.readline() != "ready\n":
            keeper.kill()
            pytest.skip("the namespaces and the overlay of a Debian cannot be made here: " + (folder / "log").read_text())
        first = int(pathlib.Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text())
        try:
            yield Debian(suite, first, folder)
        finally:
            os.kill(first, signal.SIGKILL)      # all others in its namespace end before it is gone
            keeper.wait()
            shutil.rmtree(folder, ignore_errors=True)
