# SPDX-License-Identifier: Apache-2.0
"""mount.gridfs as mount(8) and fstab call it: in a namespace whose /sbin is a folder with nothing else in it."""
import os
import shlex
import subprocess

import pytest

import namespaces
import servers
from mounting import BINARY, environment

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mount(8) mounts for root only")


MOUNTED = "grep 'a.040folder' /proc/mounts"    # the table has what others mounted too


@pytest.fixture
def within(tmp_path):
    """Runs lines of a shell where mount(8) finds the helper; what they start ends with them."""
    sbin, directory = tmp_path / "sbin", tmp_path / "a folder"
    sbin.mkdir()
    directory.mkdir()
    (sbin / "mount.gridfs").symlink_to(BINARY)

    def run(*lines, **settings):
        script = "\n".join([f"mount --bind {shlex.quote(str(sbin))} {os.path.realpath('/sbin')}", *lines])
        return subprocess.run(namespaces.apart(script, "--pid", "--fork", "--kill-child", "--mount-proc"),
                              cwd=tmp_path, env=environment(**settings), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)

    return run


@pytest.fixture
def credentials(tmp_path):
    def write(**settings):
        path = tmp_path / "credentials"
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        path.chmod(0o600)
        return path
    return write


def test_mount_mounts_and_umount_ends_it(within, uri, bucket):
    bucket.put("a.txt", b"content")
    result = within(f"mount -t gridfs '{uri}' 'a folder' -o ro,noatime || exit", "cat 'a folder/a.txt'", "echo",
                    "touch 'a folder/b' 2>&1", MOUNTED, "umount 'a folder'", "ls 'a folder'")
    lines = result.stdout.splitlines()
    assert lines[0] == "content", result.stderr
    assert "Read-only file system" in lines[1]
    assert " fuse.gridfs ro," in lines[2]
    assert len(lines) == 3 and result.returncode == 0


def test_a_line_of_fstab_is_mounted(within, tmp_path, uri, bucket, credentials, stored):
    """What is mount(8)'s and systemd's own is taken out; a space in a path is \\040; the URI is kept from who reads fstab."""
    bucket.put("a.txt", b"content")
    path = credentials(MONGODB_URL=uri)
    (tmp_path / "fstab").write_text(
        f"gridfs {tmp_path}/a\\040folder gridfs _netdev,nofail,x-systemd.automount,credentials={path},rw 0 0\n")
    result = within("mount -a -T fstab || exit", "cat 'a folder/a.txt'", "echo", "echo new >'a folder/new.txt'",
                    f"{MOUNTED} | grep -c mongodb:", "umount 'a folder'")
    assert result.stdout.splitlines() == ["content", "0"], result.stderr
    assert stored("new.txt") == b"new\n"


def test_a_password_is_not_in_the_table_of_mounts(within, guarded):
    uri = guarded.uri("shop", directConnection="true")
    result = within(f"mount -t gridfs '{uri}' 'a folder' || exit", MOUNTED, "umount 'a folder'")
    assert len(result.stdout.splitlines()) == 1, result.stderr
    assert servers.PASSWORD not in result.stdout


@pytest.mark.parametrize("options, words", [
    ("no_such_option", ["no_such_option"]), ("remount,ro", ["remount", "umount it"]), ("cache_size=abc", ["cache_size"])])
def test_bad_options_end_with_the_status_of_mount(within, uri, options, words):
    result = within(f"mount.gridfs '{uri}' 'a folder' -o {options}", "echo status $?", MOUNTED)
    assert result.stdout.splitlines() == ["status 1"]
    for word in words:
        assert word in result.stderr


def test_a_server_that_is_away_is_a_mount_that_failed(within):
    result = within("mount -t gridfs mongodb://127.0.0.1:1/shop 'a folder' -o timeout=1", "echo status $?")
    assert result.stdout == "status 32\n"
    assert "cannot use 127.0.0.1:1: " in result.stderr


def test_sloppy_leaves_unknown_options_out(within, uri, bucket):
    result = within(f"mount -s -t gridfs '{uri}' 'a folder' -o no_such_option,ro || exit", "umount 'a folder'", "echo done")
    assert result.stdout == "done\n", result.stderr


def test_a_pretended_mount_looks_at_the_options_only(within):
    result = within("mount -f -t gridfs mongodb://127.0.0.1:1/shop 'a folder' -o ro", "echo status $?",
                    "mount.gridfs mongodb://127.0.0.1:1/shop 'a folder' -f -o no_such_option", "echo status $?", MOUNTED)
    assert result.stdout.splitlines() == ["status 0", "status 1"]


def test_it_mounts_in_another_namespace(within, uri, bucket):
    bucket.put("a.txt", b"content")
    result = within("mkfifo ready; unshare --mount sh -c 'echo >ready; exec sleep 60' & read line <ready",
                    f"mount.gridfs '{uri}' \"$PWD/a folder\" -N /proc/$!/ns/mnt || exit", "ls 'a folder'",
                    "nsenter --mount=/proc/$!/ns/mnt cat \"$PWD/a folder/a.txt\"", "echo",
                    f"mount.gridfs '{uri}' 'a folder' -N /nowhere", "echo status $?")
    assert result.stdout.splitlines() == ["content", "status 32"], result.stderr
    assert "/nowhere" in result.stderr


@pytest.mark.parametrize("words, cure", [
    (["a.example", "x"], "is no connection string"), (["mongodb://h/d"], "SPEC and DIR"),
    (["mongodb://h/d", "x", "-t", "ext4"], "say -t gridfs"), (["-q"], "usage:")])
def test_wrong_words_are_said(within, words, cure):
    result = within("mount.gridfs " + " ".join(words), "echo status $?")
    assert result.stdout == "status 1\n"
    assert cure in result.stderr
