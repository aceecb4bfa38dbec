# SPDX-License-Identifier: Apache-2.0
"""What `make install` and `make dist` put where, and that the manual and the completions say what the binary says."""
import hashlib
import os
import pathlib
import re
import subprocess
import tarfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = re.search(r'"(.*)"', (ROOT / "fs/version.h").read_text().split("GRIDMOUNT_VERSION")[1])[1]


# A make of its own: what the one above us was told is not for it. The tree may be another user's.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))} | {
    "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": str(ROOT)}


def make(*words):
    result = subprocess.run(["make", "--no-print-directory", *words], cwd=ROOT, env=ENVIRONMENT, capture_output=True,
                            text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Its folder /usr, as `make install` fills it."""
    destination = tmp_path_factory.mktemp("installed")
    make("install", f"DESTDIR={destination}", "PREFIX=/usr")
    return destination / "usr"


@pytest.fixture(scope="module")
def options(installed):
    """Name to argument of each option that --help lists."""
    text = subprocess.run([installed / "bin/gridmount", "--help"], capture_output=True, text=True, check=True).stdout
    lines = re.split(r"^\S", text.split("\nOptions:")[1], flags=re.MULTILINE)[0].splitlines()
    found = dict(re.match(r"  ([a-z_]+)=?(\S*)", line).groups() for line in lines if re.match(r"  [a-z]", line))
    assert len(found) > 25
    return found


def test_all_is_where_it_is_looked_for(installed):
    modes = {str(path.relative_to(installed)): path.stat().st_mode & 0o777 for path in installed.rglob("*") if path.is_file()}
    assert modes == {
        "bin/gridmount": 0o755, "sbin/mount.gridfs": 0o755, "lib/systemd/system/gridmount@.service": 0o644,
        "share/man/man1/gridmount.1": 0o644, "share/man/man8/gridmount-fsck.8": 0o644, "share/man/man8/mount.gridfs.8": 0o644,
        "share/bash-completion/completions/gridmount": 0o644, "share/zsh/site-functions/_gridmount": 0o644}
    assert os.readlink(installed / "sbin/mount.gridfs") == "../bin/gridmount"


def test_the_binary_names_its_version_and_no_folder_it_was_built_in(installed):
    binary = installed / "bin/gridmount"
    assert VERSION in subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    assert str(ROOT).encode() not in binary.read_bytes()


@pytest.mark.parametrize("page", ["man1/gridmount.1", "man8/gridmount-fsck.8", "man8/mount.gridfs.8"])
def test_a_manual_page_has_no_mistake(installed, page):
    path = installed / "share/man" / page
    said = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], capture_output=True, text=True).stdout
    assert said == ""
    assert not re.search(r"@[A-Z_]+@", path.read_text()), "a word of the template"


def test_the_manual_has_every_option(installed, options):
    page = subprocess.run(["mandoc", "-T", "ascii", installed / "share/man/man1/gridmount.1"],
                          capture_output=True, text=True, check=True).stdout
    page = re.sub(".\b", "", page)
    for name, argument in options.items():
        assert re.search(rf"^ +{name}{re.escape('=' + argument if argument else '')}( |$)", page, re.MULTILINE), name


def complete(installed, line):
    """What bash offers at the end of a line."""
    script = f'. "$1"; COMP_LINE=$2 COMP_POINT=${{#2}}; _gridmount; printf "%s\\n" "${{COMPREPLY[@]}}"'
    result = subprocess.run(["bash", "-c", script, "bash", installed / "share/bash-completion/completions/gridmount", line],
                            capture_output=True, text=True)
    assert result.stderr == ""
    return {word.strip() for word in result.stdout.splitlines()}


def test_bash_offers_commands_options_and_their_words(installed, options):
    assert {"mount", "run", "umount", "status", "warm", "fsck"} <= complete(installed, "gridmount ")
    assert {name + ("=" if argument else "") for name, argument in options.items()} <= complete(installed, "gridmount mount -o ")
    for name, argument in options.items():
        if "|" in argument and ":" not in argument:
            offered = complete(installed, f"gridmount mount -o ro,{name}=")
            assert {word.split("=")[-1] for word in offered} == set(argument.split("|")), name


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout")
def test_the_tarball_is_the_commit_and_the_same_each_time():
    path = ROOT / f"build/gridmount-{VERSION}.tar.xz"

    def digest():
        make("dist")
        return hashlib.sha256(path.read_bytes()).hexdigest()

    assert digest() == digest()
    with tarfile.open(path) as tarball:
        names = {name.split("/", 1)[1] for name in tarball.getnames() if "/" in name}
    tracked = subprocess.run(["git", "ls-tree", "-r", "--name-only", "HEAD"], cwd=ROOT, env=ENVIRONMENT,
                             capture_output=True, text=True, check=True).stdout.splitlines()
    assert set(tracked) <= names
