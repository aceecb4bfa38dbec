# SPDX-License-Identifier: Apache-2.0
"""Hosted clusters: TLS, who is let in, and what is said of the usual mistakes. The mistakes are the driver's to see and not
the server's, so they are made on one server only."""
import contextlib
import socket
import struct
import threading

import pytest

import certificates
import front
import servers
import test_failover
from buckets import Bucket
from mounting import gridmount, names_in, wait_for
from relay import Relay
from test_usage import FAILED, directory, refused  # pylint: disable=unused-import

HALF_SECONDS = "timeout=4"      # half of it is for finding a server
AT_ONCE = "timeout=120"         # half of it is more than gridmount() waits for
ALERT = bytes.fromhex("15030300020250")     # "internal error": what Atlas answers an address that is not on its list
HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def one(server):
    if not server.is_ours or server.kind == "ferretdb":
        pytest.skip("does not depend on the server: done on another")
    return server


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return certificates.Certificates(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def good(made):
    return made.signed("localhost")


@pytest.fixture
def door(one, good):
    with front.Front("127.0.0.1", one.port, good) as opened:
        yield opened


def through(door, database="db", **options):
    words = {"directConnection": "true", "tls": "true"} | options
    return servers.with_database(f"mongodb://localhost:{door.port}", database, **words)


# TLS

def works(mnt, bucket):
    bucket.put("f", b"content")
    (mnt.path / "new").write_bytes(b"written")
    assert (mnt.path / "f").read_bytes() == b"content" and names_in(mnt.path) == ["f", "new"]


def test_a_named_authority_is_trusted(door, made, database, bucket, mount):
    works(mount(uri=through(door, database.name, tlsCAFile=made.authority)), bucket)


def test_the_authorities_of_the_system_are_trusted(door, made, database, bucket, mount):
    works(mount(uri=through(door, database.name), settings={"SSL_CERT_FILE": str(made.authority)}), bucket)


def test_an_unknown_authority_is_said(door, directory):
    refused(gridmount("mount", through(door), directory, "-o", AT_ONCE), FAILED, "not trusted", "tlsCAFile=")


def test_a_file_of_the_uri_that_is_not_there_is_said(door, directory):
    for option in ("tlsCAFile", "tlsCertificateKeyFile"):
        result = gridmount("mount", through(door, **{option: "/nowhere"}), directory, "-o", AT_ONCE)
        refused(result, FAILED, "cannot be read", option)


@pytest.mark.parametrize("name, days, words", [
    ("localhost", -1, ("has expired", "renew")),
    ("other.example", 30, ("another host name", "in the URI"))])
def test_what_is_wrong_with_a_certificate_is_said(one, made, directory, name, days, words):
    with front.Front("127.0.0.1", one.port, made.signed(name, days)) as opened:
        result = gridmount("mount", through(opened, tlsCAFile=made.authority), directory, "-o", AT_ONCE)
        refused(result, FAILED, *words)


def test_a_client_certificate_is_shown(one, made, good, database, bucket, mount, directory):
    with front.Front("127.0.0.1", one.port, good, clients=made.authority) as opened:
        uri = through(opened, database.name, tlsCAFile=made.authority)
        refused(gridmount("mount", uri, directory, "-o", HALF_SECONDS), FAILED, "tlsCertificateKeyFile=")
        works(mount(uri=f"{uri}&tlsCertificateKeyFile={made.signed('mounter')}"), bucket)
        assert set(opened.presented) == {"mounter"}


def test_a_login_by_certificate_is_asked_for_and_its_refusal_is_said(door, made, directory):
    """No server of these tests grants one: what is seen is that the driver asks. Newer ones leave the name to the server."""
    uri = through(door, tlsCAFile=made.authority, tlsCertificateKeyFile=made.signed("mounter"),
                  authMechanism="MONGODB-X509", authSource="$external")
    refused(gridmount("mount", uri, directory, "-o", AT_ONCE), FAILED, "the server refused", "check")
    asked = next(command for command in door.commands if "authenticate" in command)
    assert (asked["mechanism"], asked.get("user", "CN=mounter")) == ("MONGODB-X509", "CN=mounter")


# What comes before a server says anything

def reset(connection):
    connection.recv(4096)       # after the client has connected, however late it looks
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer(what):
    def say(connection):
        connection.recv(4096)
        connection.sendall(what)
    return say


@pytest.fixture
def closing():
    """closing(what): the port of one who does that with each connection, and closes it."""
    listeners = []

    def serve(listener, what):
        while True:
            try:
                with listener.accept()[0] as connection:
                    what(connection)
            except OSError:
                if listener.fileno() < 0:
                    return

    def listen(what):
        listeners.append(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=serve, args=(listeners[-1], what), daemon=True).start()
        return listeners[-1].getsockname()[1]

    yield listen
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize("what, tls, words", [
    (reset, "true", ("access list", "Network Access")),
    (answer(b""), "true", ("access list", "Network Access")),
    (answer(ALERT), "true", ("access list", "Network Access")),
    (answer(b""), "false", ("access list", "tls=")),
    (answer(HTTP), "true", ("whether the server speaks TLS",)),
    (answer(HTTP), "false", ("no MongoDB server", "port"))],
    ids=["reset", "closed", "alert", "closed in the clear", "http by TLS", "http"])
def test_who_ends_the_connection_is_told_from_who_answers(one, closing, directory, what, tls, words):
    uri = f"mongodb://localhost:{closing(what)}/db?directConnection=true&tls={tls}"
    refused(gridmount("mount", uri, directory, "-o", HALF_SECONDS), FAILED, *words)


class Late(Relay):
    """Closes the first connections."""
    early = 2

    def serve(self, near):
        if self.early:
            self.early -= 1
            near.close()
        else:
            super().serve(near)


def test_a_server_that_comes_late_is_waited_for(one, database, bucket, mount):
    with contextlib.closing(Late("127.0.0.1", one.port).open()) as late:
        works(mount(uri=f"mongodb://localhost:{late.port}/{database.name}?directConnection=true"), bucket)
        assert late.early == 0


# Users

@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_both_forms_of_scram_let_in(guarded, mount, mechanism):
    with guarded.client() as client:
        known = client.admin.command("hello", saslSupportedMechs=f"admin.{servers.USER}").get("saslSupportedMechs", [])
    if mechanism not in known:
        pytest.skip(f"{guarded.kind} has no {mechanism}, only {known}")
    uri = guarded.uri("scram", directConnection="true", authMechanism=mechanism)
    assert names_in(mount(uri=uri, options="ro").path) == []


def test_a_user_is_looked_for_in_the_auth_source(guarded, mount, directory):
    with guarded.client() as client:
        client.own.command("createUser", "hosted", pwd="secret-word", roles=[{"role": "read", "db": "hosted"}])
        Bucket(client["hosted"]).put("f", b"content")
    uri = f"mongodb://hosted:secret-word@localhost:{guarded.port}/hosted?directConnection=true"
    result = gridmount("mount", uri, directory, "-o", AT_ONCE)
    refused(result, FAILED, "user or password", "authSource")
    assert "secret-word" not in result.stderr
    assert (mount(uri=uri + "&authSource=own").path / "f").read_bytes() == b"content"
    other = uri.replace("/hosted?", "/other?") + "&authSource=own"
    refused(gridmount("mount", other, directory, "-o", AT_ONCE), FAILED, "may not read this database", "name", "role")


@pytest.mark.parametrize("given, seen", [("", "gridmount"), ("shop-assets", "shop-assets")])
def test_the_server_is_told_who_asks(door, made, database, bucket, mount, given, seen):
    uri = through(door, database.name, tlsCAFile=made.authority, readPreference="secondaryPreferred",
                  **({"appName": given} if given else {}))
    works(mount(uri=uri), bucket)
    assert door.names == {seen}


# The Stable API

STABLE = set("""abortTransaction aggregate bulkWrite collMod commitTransaction count create createIndexes delete drop
    dropDatabase dropIndexes endSessions explain find findAndModify getMore hello insert killCursors listCollections
    listDatabases listIndexes ping refreshSessions update""".split())
OLDER = {"isMaster", "ismaster"}        # `hello`, for servers that do not know it


def test_what_is_asked_is_of_the_stable_api(door, made, database, bucket, mount):
    """By name: version 1 of it leaves out no option or stage that is used here."""
    names = [call.__name__ for call in test_failover.CALLS]
    bucket.insert_names([f"{name}/{file}" for name in names for file in ("f", "other", "full/g")], test_failover.OLD)
    uri = through(door, database.name, tlsCAFile=made.authority)
    mnt = mount(uri=uri, options="push=on")
    wait_for(lambda: mnt.status()["push"] == "healthy", 30, "a change stream")
    for call in test_failover.CALLS:
        assert call(mnt.path / call.__name__)
    assert gridmount("fsck", uri).returncode == 0
    asked = {next(iter(command)) for command in door.commands}
    assert asked - STABLE <= OLDER
    assert {"aggregate", "find", "getMore", "insert", "update", "delete"} <= asked
