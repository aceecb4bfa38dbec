# SPDX-License-Identifier: Apache-2.0
"""pjdfstest on the mount: its Rust form from the crates' registry, and with --long its shell form from a checkout.

PJDFSTEST names a checkout of github.com/pjd/pjdfstest (built here if it is not yet: autoconf, automake); PJDFSTEST_RS the
binary of the crate `pjdfstest`, else it is looked for in build/tools/bin and PATH. PJDFSTEST_AREAS="rename chmod"
runs only these. The short form of what they ask is test_posix*.py. The shell form makes 8,798 assertions on a tmpfs.
"""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from mounting import ROOT

LONGEST = 7200
USERS = (("nobody", "nogroup"), ("daemon", "daemon"))     # every Debian has them
SETTINGS = f"""
[features]
posix_fallocate = {{}}
utimensat = {{}}
utime_now = {{}}
[settings]
naptime = 0.01
allow_remount = false
[dummy_auth]
entries = [{", ".join(f'["{user}", "{group}"]' for user, group in USERS)}]
"""


def areas():
    return os.environ.get("PJDFSTEST_AREAS", "").split()


def run(*command, directory):
    return subprocess.run([*map(str, command)], cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)


@pytest.fixture
def checkout():
    if not (named := os.environ.get("PJDFSTEST")):
        pytest.skip("PJDFSTEST names no checkout of github.com/pjd/pjdfstest")
    folder = pathlib.Path(named).resolve()
    if not (folder / "pjdfstest").exists():
        built = run("sh", "-c", "autoreconf -ifs && ./configure && make pjdfstest", directory=folder)
        assert built.returncode == 0, built.stdout[-3000:]
    return folder


@pytest.mark.long
@pytest.mark.timeout(LONGEST)
def test_every_assertion_of_pjdfstest_holds(place, checkout):
    tests = [checkout / "tests" / area for area in areas()] or [checkout / "tests"]
    done = run("prove", "-r", *tests, directory=place.root)
    failed = [line for line in done.stdout.splitlines() if re.search(r"Failed|not ok|Wstat|Non-zero", line)]
    assert done.returncode == 0, "\n".join(failed[:100])
    print(done.stdout.splitlines()[-2])


@pytest.fixture
def binary():
    found = os.environ.get("PJDFSTEST_RS") or \
        shutil.which("pjdfstest", path=f"{ROOT / 'build/tools/bin'}:{os.environ['PATH']}")
    if not found:
        pytest.skip("pjdfstest is not here: cargo install pjdfstest --version 0.2.2 --root build/tools, "
                    "or name it with PJDFSTEST_RS=")
    return found


@pytest.fixture
def near(request):
    """A writable directory with a path that sockets can have (107 bytes) and other users can reach."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        if request.config.getoption("--local"):
            yield folder
            return
        mnt = request.getfixturevalue("mount")("allow_other", directory=f"{folder}/mnt")
        yield mnt.path
        assert mnt.unmount() == 0


@pytest.mark.timeout(900)
def test_every_test_of_the_rust_form_passes(near, binary, tmp_path):
    (tmp_path / "pjdfstest.toml").write_text(SETTINGS)
    done = run(binary, "-c", tmp_path / "pjdfstest.toml", "-p", near, *areas(), directory=tmp_path)
    failed = [line for line in done.stdout.splitlines() if re.search(r"FAILED|panicked", line)]
    assert done.returncode == 0, "\n".join(failed[:100] or [done.stdout[-3000:]])
    print(re.search(r"Summary: .*", done.stdout)[0])
