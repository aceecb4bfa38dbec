# SPDX-License-Identifier: Apache-2.0
"""mongodb+srv: the servers of a cluster, and options, from DNS. What runs here asks a resolver of the test's own."""
import os
import subprocess

import pytest

import certificates
import replica
import resolver
from buckets import Bucket
from mounting import BINARY, environment
from test_hosted import AT_ONCE, one  # pylint: disable=unused-import
from test_usage import FAILED, directory, refused  # pylint: disable=unused-import

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a resolver listens on port 53, and is mounted: both are root's")

CLUSTER, MEMBER = "cluster.example.test", "member.example.test"
PASSWORD = "secret-word"


def zone(*ports):
    """A cluster at these ports of one host."""
    return "\n".join([f"{MEMBER}. IN A 127.0.0.1", f'{CLUSTER}. IN TXT "authSource=own&replicaSet=replica"',
                      *(f"_mongodb._tcp.{CLUSTER}. IN SRV 0 0 {port} {MEMBER}." for port in ports)])


@pytest.fixture
def owned(one, guarded):
    """A server with a user who is known to the database `own` only."""
    with guarded.client() as client:
        client.own.command("createUser", "named", pwd=PASSWORD, roles=[{"role": "readWrite", "db": "named"}])
        Bucket(client["named"]).put("f", b"content\n")
        yield guarded
        client.own.command("dropUser", "named")
        client.drop_database("named")


def run(names, tmp_path, *lines):
    """Lines of a shell; what they start and mount ends with them."""
    words = names.within(tmp_path)
    return subprocess.run([*words[:1], "--pid", "--fork", "--kill-child", "--mount-proc", *words[1:], "sh", "-c", "\n".join(lines)],
                          cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50)


def test_a_cluster_is_found_by_its_name(owned, tmp_path, directory):
    """By TLS, since the driver wants it with mongodb+srv; the TXT record says which database knows the user."""
    made = certificates.Certificates(tmp_path / "authority")
    with replica.Replica("127.0.0.1", owned.port, MEMBER, made.signed(MEMBER)) as members, \
            resolver.Resolver(zone(members.primary.port, members.secondary.port)) as names:
        uri = f"mongodb+srv://named:{PASSWORD}@{CLUSTER}/named?tlsCAFile={made.authority}"
        result = run(names, tmp_path, f"{BINARY} mount '{uri}' mnt || exit", "cat mnt/f", "echo written >mnt/new && cat mnt/new",
                     "ls mnt", f"{BINARY} umount mnt", "echo $?")
        assert result.stdout.splitlines() == ["content", "written", "f", "new", "0"], result.stderr
        assert (f"_mongodb._tcp.{CLUSTER}.", "SRV") in names.asked and (f"{CLUSTER}.", "TXT") in names.asked


def mounting(names, tmp_path):
    return run(names, tmp_path, f"exec {BINARY} mount mongodb+srv://{CLUSTER}/named mnt -o {AT_ONCE}")


def test_a_name_without_servers_is_said(one, tmp_path, directory):
    with resolver.Resolver(f"{CLUSTER}. IN A 127.0.0.1") as names:
        refused(mounting(names, tmp_path), FAILED, "DNS has no servers for this name", "host of mongodb+srv", "resolver")


def test_a_resolver_that_is_away_is_said(one, tmp_path, directory):
    names = resolver.Resolver()
    names.socket.close()
    refused(mounting(names, tmp_path), FAILED, "no resolver answers", "/etc/resolv.conf")


def test_a_resolver_that_is_silent_is_said(one, tmp_path, directory):
    """After as long as it is waited for by resolv.conf, here a second."""
    with resolver.Resolver(options="options timeout:1 attempts:1") as names:
        refused(mounting(names, tmp_path), FAILED, "no resolver answers", "/etc/resolv.conf")
        assert names.asked
