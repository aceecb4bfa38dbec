# SPDX-License-Identifier: Apache-2.0
"""The Debian package that `make deb` made; lintian has looked at it there."""
import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def package():
    found = list((ROOT / "build/deb").glob("gridmount_*.deb"))
    if not found:
        pytest.skip("no package: make check-packaging makes it first")
    assert len(found) == 1
    return found[0]


def ask(*words):
    return subprocess.run(["dpkg-deb", *words], capture_output=True, text=True, check=True).stdout


def test_it_holds_what_is_installed(package):
    held = {line.split(maxsplit=5)[5].split(" -> ")[0] for line in ask("--contents", package).splitlines()}
    for path in ("usr/bin/gridmount", "usr/sbin/mount.gridfs", "usr/lib/systemd/system/gridmount@.service",
                 "usr/share/man/man1/gridmount.1.gz", "usr/share/man/man8/gridmount-fsck.8.gz", "usr/share/man/man8/mount.gridfs.8.gz",
                 "usr/share/bash-completion/completions/gridmount", "usr/share/zsh/vendor-completions/_gridmount"):
        assert f"./{path}" in held


def test_it_asks_for_what_it_is_linked_with_and_for_fusermount3(package):
    depends = ask("--field", package, "Depends")
    for word in ("libc6", "libfuse3", "libmongoc", "libbson", "libxxhash0", "libmicrohttpd12", "libssl", "fuse3"):
        assert word in depends


@pytest.mark.long
def test_another_folder_makes_the_same_package(package, tmp_path):
    (tree,) = package.parent.glob("gridmount-*/")
    copy = tmp_path / "of-another-depth" / tree.name
    shutil.copytree(tree, copy, symlinks=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "SOURCE_DATE"))}
    subprocess.run(["dpkg-buildpackage", "-us", "-uc", "-b"], cwd=copy, env=environment, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    assert {path.name: path.read_bytes() for path in copy.parent.glob("*.deb")} == \
        {path.name: path.read_bytes() for path in package.parent.glob("*.deb")}
