# SPDX-License-Identifier: Apache-2.0
"""Bad input: one line that names the cause and the cure, the documented exit status, no mount left."""
import os
import pathlib
import subprocess

import pytest

import namespaces
import servers
from mounting import BINARY, environment, gridmount, mount_table, tree, unmount_daemon

USAGE, FAILED = 2, 1


@pytest.fixture
def directory(tmp_path):
    """An empty mountpoint, on which nothing may be left."""
    made = tmp_path / "mnt"
    made.mkdir()
    yield made
    unmount_daemon(made)


def refused(result, status, *words):
    """One line on stderr that has all these words."""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("gridmount: ") and ";" in lines[0], "a cause; a cure"
    for word in words:
        assert word.lower() in lines[0].lower(), f"{word!r} is not in: {lines[0]}"
    assert result.returncode == status, result.stderr
    assert result.stdout == ""


# What is wrong with the words

@pytest.mark.parametrize("option", [
    "no_such_option", "no_such_option=1", "cache_size=abc", "cache_size=-1", "cache_size=",
    "consistency=sometimes", "consistency=ttl:", "consistency=ttl:x", "timeout=-1", "timeout=soon",
    "umask=9", "uid=nobody-here", "gid=-5", "bucket=", "log_level=loud", "create_indexes=5x"])
def test_a_bad_option_is_named(uri, directory, option):
    refused(gridmount("mount", uri, directory, "-o", option), USAGE, option.split("=")[0])


def test_a_missing_uri_is_said_with_the_variables_to_set(directory):
    refused(gridmount("mount", directory), USAGE, "MONGODB_URL")


def test_a_missing_database_is_said_with_the_variables_to_set(server, directory):
    refused(gridmount("mount", server.uri(), directory), USAGE, "database", "DB_NAME")


def test_a_missing_directory_is_said(uri):
    refused(gridmount("mount", uri), USAGE, "directory")


@pytest.mark.parametrize("words", [("mount",), ("umount",), ("status",), ("warm",), ("run",),
                                   ("mount", "a", "b", "c"), ("--no-such-flag",)], ids=str)
def test_too_few_or_unknown_words_are_refused(words):
    refused(gridmount(*words), USAGE)


def test_run_without_a_command_is_refused(uri, directory):
    refused(gridmount("run", uri, directory), USAGE, "--")
    refused(gridmount("run", uri, directory, "--"), USAGE, "command")
    refused(gridmount("run", uri, directory, "--warm", "--", "true"), USAGE, "-o warm=GLOB")
    refused(gridmount("mount", uri, directory, "-o", "warm=*", "--warm"), USAGE, "-o warm=GLOB")


@pytest.mark.parametrize("bad", ["mongodb://", "mongodb://a b/db", "mongodb://u:p@:/x",
                                 "mongodb://127.0.0.1:99999/db", "mongodb://h/db?tls=perhaps"])
def test_a_malformed_uri_is_refused_without_repeating_it(directory, bad):
    result = gridmount("mount", bad, directory, "-o", "timeout=3")
    refused(result, result.returncode)
    assert result.returncode in (USAGE, FAILED)
    assert "u:p@" not in result.stderr


def test_help_lists_the_commands_and_every_option():
    result = gridmount("--help")
    assert (result.returncode, result.stderr) == (0, "")
    for word in ("mount", "run", "umount", "status", "warm", "bucket", "cache_size", "consistency", "timeout",
                 "uid", "gid", "umask", "credentials", "create_indexes", "allow_other", "log_level",
                 "log_file", "MONGODB_URL", "DB_NAME"):
        assert word in result.stdout, word


def test_version_is_one_line():
    result = gridmount("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("gridmount ") and result.stdout.count("\n") == 1


# What is wrong with the server

def test_a_host_that_does_not_resolve_is_named(directory):
    refused(gridmount("mount", "mongodb://no-such-host.invalid/db", directory, "-o", "timeout=3"),
            FAILED, "no-such-host.invalid")


def test_a_server_that_does_not_answer_is_named(directory):
    address = f"127.0.0.1:{servers.free_port()}"
    refused(gridmount("mount", f"mongodb://{address}/db", directory, "-o", "timeout=3"),
            FAILED, address)


def test_a_wrong_password_is_said_without_repeating_it(guarded, directory):
    uri = f"mongodb://{servers.USER}:not-the-one@127.0.0.1:{guarded.port}/db?authSource=admin"
    result = gridmount("mount", uri, directory, "-o", "timeout=5")
    refused(result, FAILED, "authentication")
    assert "not-the-one" not in result.stderr


def test_a_missing_password_is_said(guarded, directory):
    result = gridmount("mount", f"mongodb://127.0.0.1:{guarded.port}/db", directory,
                       "-o", "timeout=5")
    refused(result, FAILED, "auth")


def test_a_server_without_tls_is_said(server, directory):
    refused(gridmount("mount", server.uri("db", tls="true"), directory, "-o", "timeout=5"),
            FAILED, "TLS")


def test_a_certificate_that_is_not_trusted_is_said(request, tmp_path, directory):
    try:
        server = servers.start(request.config.getoption("--server"), tmp_path / "tls", tls=True)
    except servers.NotAvailable as reason:
        pytest.skip(str(reason))
    with server:
        untrusted = f"mongodb://127.0.0.1:{server.port}/db?tls=true"
        refused(gridmount("mount", untrusted, directory, "-o", "timeout=5"),
                FAILED, "certificate", "tlsCAFile")
        assert gridmount("mount", server.uri("db"), directory).returncode == 0
        assert gridmount("umount", directory).returncode == 0


# What is wrong with the mountpoint

def test_a_mountpoint_that_does_not_exist_is_named(uri, tmp_path):
    refused(gridmount("mount", uri, tmp_path / "nowhere"), FAILED, "nowhere", "mkdir")


def test_a_mountpoint_that_is_a_file_is_refused(uri, tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(gridmount("mount", uri, tmp_path / "file"), FAILED, "directory")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_mountpoint_that_is_not_empty_is_refused(uri, directory):
    (directory / "precious").write_text("mine")
    refused(gridmount("mount", uri, directory), FAILED, "empty")
    assert (directory / "precious").read_text() == "mine"


def test_a_mountpoint_in_use_is_refused_and_the_mount_lives_on(bucket, mount, uri):
    bucket.put("f", b"x")
    mnt = mount()
    refused(gridmount("mount", uri, mnt.path), FAILED, "already mounted", "umount")
    assert len(mount_table(mnt.path)) == 1
    assert tree(mnt.path) == ["f"]


def as_nobody(*arguments):
    return subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *map(str, arguments)],
        env=environment(), cwd="/", capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def public(tmp_path):
    """A directory that every user may reach."""
    if as_nobody(BINARY, "--version").returncode != 0:
        pytest.skip("an ordinary user cannot reach the binary here")
    for parent in [tmp_path, *tmp_path.parents][:3]:
        parent.chmod(0o755)
    return tmp_path


def test_an_ordinary_user_is_refused_on_a_directory_of_others(uri, public):
    others = public / "others"
    others.mkdir(mode=0o755)
    refused(as_nobody(BINARY, "mount", uri, others), FAILED, "others")
    assert mount_table(others) == []


def test_an_ordinary_user_can_mount_on_a_directory_of_their_own(bucket, uri, public):
    if os.stat("/dev/fuse").st_mode & 0o006 != 0o006:
        pytest.skip("/dev/fuse of this machine is for root only")
    bucket.put("f", b"content")
    own = public / "own"
    own.mkdir()
    os.chown(own, 65534, 65534)
    mounted = as_nobody(BINARY, "mount", uri, own)
    assert mounted.returncode == 0, mounted.stderr
    assert as_nobody("cat", own / "f").stdout == "content"
    assert as_nobody(BINARY, "umount", own).returncode == 0
    unmount_daemon(own)


def test_other_users_are_let_in_with_allow_other_only(bucket, mount, public):
    bucket.put("f", b"content")
    assert as_nobody("cat", mount(options="allow_other").path / "f").stdout == "content"
    assert as_nobody("cat", mount().path / "f").returncode != 0


# What is wrong with FUSE

def test_a_missing_fuse_device_is_said_with_the_flags_for_docker(uri, directory):
    if os.geteuid() != 0:
        pytest.skip("hides /dev/fuse in a mount namespace: root only")
    hide = "mount -t tmpfs none /dev && mkdir /dev/shm && mknod -m 666 /dev/null c 1 3 && exec \"$@\""
    result = subprocess.run([*namespaces.apart(hide), "sh", BINARY, "mount", uri, directory],
                            env=environment(), capture_output=True, text=True, timeout=30, check=False)
    refused(result, FAILED, "/dev/fuse", "--device /dev/fuse --cap-add SYS_ADMIN")


def test_a_forbidden_mount_is_said_with_the_flags_for_docker(uri, directory):
    if os.geteuid() != 0:
        pytest.skip("drops a capability of root")
    result = subprocess.run(["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin",
                             BINARY, "mount", uri, directory],
                            env=environment(), capture_output=True, text=True, timeout=30, check=False)
    refused(result, FAILED, "--device /dev/fuse --cap-add SYS_ADMIN")


# What is wrong with the credentials file

@pytest.fixture
def credentials(tmp_path):
    def write(text, mode=0o600):
        path = pathlib.Path(tmp_path / "credentials")
        path.write_text(text)
        path.chmod(mode)
        return path
    return write


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604])
def test_a_credentials_file_that_others_can_read_is_refused(uri, directory, credentials, mode):
    file = credentials(f"MONGODB_URL={uri}\n", mode)
    refused(gridmount("mount", directory, "-o", f"credentials={file}"), USAGE, "chmod 600")


def test_a_credentials_file_that_is_not_there_is_named(directory, tmp_path):
    refused(gridmount("mount", directory, "-o", f"credentials={tmp_path}/absent"), USAGE, "absent")


def test_a_credentials_file_without_a_uri_is_refused(directory, credentials):
    result = gridmount("mount", directory, "-o", f"credentials={credentials('DB_NAME=x')}")
    refused(result, USAGE, "MONGODB_URL")
