# SPDX-License-Identifier: Apache-2.0
"""The Debian package installed, upgraded under a mount that is in use, removed and purged, in a Debian of its own.

GRIDMOUNT_TEST_SUITES="bookworm trixie" chooses which; the package of a release that is not this machine's is built in it.
"""
import os
import pathlib
import platform
import shutil
import subprocess
import threading

import gridfs
import pytest

import chroot

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUITES = os.environ.get("GRIDMOUNT_TEST_SUITES", "bookworm").split()
BIG = os.urandom(1 << 16) * 128
BUILD = """cd /tmp/tree
apt-get -qq update
apt-get -qq install -y --no-install-recommends build-essential >/dev/null
apt-get -qq build-dep -y --no-install-recommends . >/dev/null
dpkg-buildpackage -us -uc -b >../log 2>&1 || { tail -40 ../log; exit 1; }
mv ../gridmount_*.deb /tmp/gridmount.deb"""
RAISE_VERSION = """cd /tmp
dpkg-deb -R gridmount.deb newer
sed -i 's/^Version: .*/&+1/' newer/DEBIAN/control
dpkg-deb --root-owner-group -b newer newer.deb
rm -r newer"""

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=SUITES)
def package(request, tmp_path_factory):
    """A release, and its package."""
    made = next((ROOT / "build/deb").glob("gridmount_*.deb"), None)
    if not made:
        pytest.skip("no package: make check-packaging makes it first")
    folder = tmp_path_factory.mktemp(request.param)
    if platform.freedesktop_os_release().get("VERSION_CODENAME") == request.param:
        return request.param, shutil.copy(made, folder / "gridmount.deb")
    with chroot.started(request.param, folder / "debian") as debian:
        shutil.copytree(next((ROOT / "build/deb").glob("gridmount-*/")), debian.path / "tmp/tree", symlinks=True)
        debian.run("sh", "-ec", BUILD, timeout=900)
        return request.param, shutil.copy(debian.path / "tmp/gridmount.deb", folder)


@pytest.fixture
def debian(package, tmp_path):
    """That release, with the package as /tmp/gridmount.deb, and as /tmp/newer.deb with a higher version."""
    suite, path = package
    with chroot.started(suite, tmp_path / "debian") as started:
        started.run("apt-get", "-qq", "update")
        shutil.copy(path, started.path / "tmp")
        started.run("sh", "-ec", RAISE_VERSION)
        yield started


def install(debian):
    debian.run("apt-get", "install", "-qq", "-y", "--no-install-recommends", "/tmp/gridmount.deb")


def daemons(debian):
    """The processes that serve what was mounted by mount(8)."""
    return debian.run("sh", "-c", "cd /proc; grep -lx mount.gridfs [0-9]*/comm; true").stdout.split()


class Use:
    """A program that keeps a file open, reads it, and writes others, until told to stop; `rounds` counts."""

    def __init__(self, folder):
        self.folder, self.rounds, self.error, self.over = folder, 0, None, threading.Event()
        self.file = open(folder / "big", "rb")
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        try:
            while not self.over.is_set():
                offset = self.rounds * 4093 % (len(BIG) - 4096)
                self.file.seek(offset)
                assert self.file.read(4096) == BIG[offset:offset + 4096]
                (self.folder / f"written-{self.rounds % 8}").write_bytes(b"%d" % self.rounds)
                assert "big" in os.listdir(self.folder)
                self.rounds += 1
        except Exception as error:      # told where it is asked for
            self.error = error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(60)
        self.file.close()


def traces(debian):
    return debian.run("find", "/", "-xdev", "(", "-path", "/tmp", "-o", "-path", "/mnt", "-o", "-path", "/proc", ")",
                      "-prune", "-o", "-iname", "*grid*", "-print").stdout


def test_a_mount_in_use_stays_through_an_upgrade_and_a_removal(debian, server, database):
    before = traces(debian)
    gridfs.GridFS(database).put(BIG, filename="big")
    (debian.path / "mnt/shop").mkdir()
    install(debian)
    debian.run("mount", "-t", "gridfs", server.uri(database.name, directConnection="true"), "/mnt/shop")
    serving = daemons(debian)
    assert serving
    with Use(debian.path / "mnt/shop") as use:
        debian.run("dpkg", "-i", "/tmp/newer.deb")
        upgraded = use.rounds
        assert (use.error, daemons(debian)) == (None, serving) and upgraded
        assert debian.run("dpkg-query", "-W", "-f", "${Version}", "gridmount").stdout.endswith("+1")
        assert debian.run("gridmount", "status", "/mnt/shop").returncode == 0
        debian.run("apt-get", "remove", "-qq", "-y", "gridmount")
        assert (use.error, daemons(debian)) == (None, serving) and use.rounds > upgraded
    assert use.error is None
    last = use.rounds - 1
    assert gridfs.GridFS(database).find_one({"filename": f"written-{last % 8}"}).read() == b"%d" % last
    debian.run("umount", "/mnt/shop")
    debian.run("timeout", "30", "sh", "-c", "while grep -qx mount.gridfs /proc/[0-9]*/comm; do sleep 0.1; done")
    debian.run("apt-get", "purge", "-qq", "-y", "gridmount")
    assert (traces(debian), debian.run("dpkg", "--audit").stdout) == (before, "")


def test_a_purge_leaves_what_is_not_stored_yet(debian):
    install(debian)
    staged = debian.path / "var/lib/gridmount"
    (staged / "0123456789abcdef").mkdir(parents=True)
    (staged / "fedcba9876543210").mkdir()
    (staged / "0123456789abcdef/journal").write_text("unsaved")
    said = debian.run("apt-get", "purge", "-qq", "-y", "gridmount").stdout
    assert "/var/lib/gridmount stays" in said
    assert [str(path.relative_to(staged)) for path in staged.rglob("*") if path.is_file()] == ["0123456789abcdef/journal"]
    assert not (staged / "fedcba9876543210").exists()


def test_two_folders_build_the_same_bytes(tmp_path):
    tarball = next((ROOT / "build").glob("gridmount-*.tar.xz"), None)
    if not tarball:
        pytest.skip("no tarball: make check-packaging makes it first")
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    built = []
    for name in ("here", "another-folder/of-another-depth"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        subprocess.run(["tar", "-C", folder, "--strip-components=1", "-xf", tarball], check=True)
        subprocess.run(["make", "CFLAGS=-O0 -g", "all", "docs"], cwd=folder, env=outer, check=True, stdout=subprocess.DEVNULL)
        built.append({str(path.relative_to(folder)): path.read_bytes() for path in [folder / "build/gridmount",
                      *sorted((folder / "build/share").rglob("*"))] if path.is_file()})
    assert built[0] == built[1]
