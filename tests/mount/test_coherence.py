# SPDX-License-Identifier: Apache-2.0
"""What one host closed, the next one opens: DESIGN.md §4, close-to-open.

Each round is ordered: one changes a name and says so, then it and another look. Nobody may see what was before; but with
push, who last found a name missing may do so until the event has come.
"""
import pathlib
import random

import pytest

import proxy
from hosts import Application, Host, chosen_seed
from mounting import is_sanitized, tells_changes, wait_for

NAMES = ["f", "g", "folder/f"]
SIZE_MOST = 2000
MINUTES = 60
SOON = 30       # seconds for what takes milliseconds
FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


def clock(seconds):
    """The settings of a daemon on a host whose clock is wrong by so much, and goes on evenly."""
    if not FAKETIME.exists():
        pytest.skip("faketime is not installed")
    if is_sanitized():
        pytest.skip("ThreadSanitizer does not see what waits for a lock under faketime")
    return {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{seconds:+}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1"}


@pytest.fixture
def hosts():
    """hosts(mount, …): a program on each."""
    started = []

    def start(*mounts):
        started.extend(new := [Host(mnt.path) for mnt in mounts])
        return new
    yield start
    for host in started:
        host.end()


class Rounds:
    """A world that changes in one place at a time, and is looked at in another."""

    def __init__(self, bucket, writers, readers, seed, pushed=True):
        bucket.make_directory("folder")
        self.writers, self.readers = writers, readers
        self.rng, self.world, self.number = random.Random(seed), {}, 0
        self.stale, self.last, self.pushed = [], None, pushed and tells_changes(bucket.database.client)
        self.missing = set()    # (host, name): what it last found missing, others may have made since

    def run(self, count):
        for _ in range(count):
            writer = self.rng.choice(self.writers)
            names = self.change(writer)
            self.missing -= {(writer, name) for name in names}
            self.look(writer, *names)
            self.look(self.rng.choice([reader for reader in self.readers if reader is not writer]), *names)
        assert not self.stale, self.stale[:10]
        return self

    def get(self, reader, name):
        """What is there: for who may believe that nothing is, the first that is seen."""
        if self.pushed and name in self.world and (reader, name) in self.missing:
            found = wait_for(lambda: reader.get(name), SOON, f"{name}, which is there,")
        else:
            found = reader.get(name)
        self.missing -= {(reader, name)}
        if found is None and isinstance(reader, Host):
            self.missing |= {(reader, name)}
        return found

    def change(self, writer):
        """Does one thing; the names that it touched."""
        name = self.rng.choice(NAMES)
        self.number += 1
        data = b"%d " % self.number * self.rng.randint(1, SIZE_MOST // 8)
        kinds = ["put"] * 4 + ["replace"] * 2 + (["append", "remove", "rename"] if name in self.world else [])
        self.last = kind = self.rng.choice(kinds)
        if kind in ("remove", "rename"):
            self.get(writer, name)
        if kind == "rename":
            other = self.rng.choice([each for each in NAMES if each != name])
            writer.rename(name, other)
            self.world[other] = self.world.pop(name)
            return name, other
        if kind == "remove":
            writer.remove(name)
            del self.world[name]
            return (name,)
        getattr(writer, kind)(name, data)
        self.world[name] = (self.world[name] if kind == "append" else b"") + data
        return (name,)

    def look(self, reader, *names):
        for name in names:
            found = self.get(reader, name)
            if found != self.world.get(name):
                self.stale.append((self.number, self.last, type(reader).__name__, name, found and found[:12],
                                   self.world.get(name, b"")[:12]))


@pytest.fixture
def far(server, database):
    """far(latency): a connection string with that many seconds on the way, in each direction."""
    links = []

    def lead(latency):
        if not server.is_ours:
            pytest.skip("the server of GRIDMOUNT_TEST_URI cannot be put behind a proxy")
        links.append(link := proxy.Proxy("127.0.0.1", server.port, latency=latency))
        return f"mongodb://127.0.0.1:{link.port}/{database.name}?directConnection=true"
    yield lead
    for link in links:
        link.stop()


@pytest.mark.parametrize("milliseconds, rounds", [(0, 150), (5, 10), (50, 3)])
def test_what_a_mount_closed_every_other_host_sees(bucket, far, mount, hosts, milliseconds, rounds):
    between_mounts(bucket, far, mount, hosts, milliseconds, rounds)


def test_what_a_mount_closed_every_other_host_sees_at_once_without_push(bucket, far, mount, hosts):
    between_mounts(bucket, far, mount, hosts, 0, 60, push="off")


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("milliseconds, rounds, push", [(0, 10_000, "on"), (5, 500, "on"), (50, 500, "on"),
                                                        (0, 3_000, "off")])
def test_what_a_mount_closed_every_other_host_sees_in_many_rounds(bucket, far, mount, hosts, milliseconds, rounds, push):
    between_mounts(bucket, far, mount, hosts, milliseconds, rounds, push)


def between_mounts(bucket, far, mount, hosts, milliseconds, rounds, push="on"):
    on_mounts = hosts(*[mount(f"push={push}", uri=far(milliseconds / 1000)) for _ in range(2)])
    Rounds(bucket, on_mounts, [*on_mounts, Application(bucket.database)], chosen_seed(), push == "on").run(rounds)


@pytest.mark.parametrize("milliseconds, rounds", [(0, 150), (5, 10), (50, 3)])
def test_what_an_application_put_deleted_and_renamed_every_mount_sees(bucket, far, mount, hosts, milliseconds, rounds):
    from_an_application(bucket, far, mount, hosts, milliseconds, rounds)


def test_what_an_application_did_every_mount_sees_at_once_without_push(bucket, far, mount, hosts):
    from_an_application(bucket, far, mount, hosts, 0, 60, push="off")


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("milliseconds, rounds, push", [(0, 10_000, "on"), (5, 500, "on"), (50, 500, "on"),
                                                        (0, 3_000, "off")])
def test_what_an_application_did_every_mount_sees_in_many_rounds(bucket, far, mount, hosts, milliseconds, rounds, push):
    from_an_application(bucket, far, mount, hosts, milliseconds, rounds, push)


def from_an_application(bucket, far, mount, hosts, milliseconds, rounds, push="on"):
    """The mount writes too, so that what it put itself is what the application replaces."""
    application = Application(bucket.database)
    [host] = hosts(mount(f"push={push}", uri=far(milliseconds / 1000)))
    Rounds(bucket, [application, application, host], [host, application], chosen_seed(), push == "on").run(rounds)


def test_clocks_of_hosts_that_are_wrong_decide_nothing(bucket, mount, hosts):
    with_wrong_clocks(bucket, mount, hosts, 90)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_clocks_of_hosts_that_are_wrong_decide_nothing_in_many_rounds(bucket, mount, hosts):
    with_wrong_clocks(bucket, mount, hosts, 10_000)


def with_wrong_clocks(bucket, mount, hosts, rounds):
    """The last close wins, be it by a host that is ten minutes ahead, by one behind, or by an application."""
    application = Application(bucket.database)
    everybody = [*hosts(mount("push=on", settings=clock(10 * MINUTES)),
                        mount("push=on", settings=clock(-10 * MINUTES)), mount("push=on")),
                 application]
    Rounds(bucket, everybody, everybody, chosen_seed()).run(rounds)
    for document in bucket.files.find():
        ahead = document["uploadDate"] - document["_id"].generation_time
        assert abs(ahead.total_seconds()) < 11 * MINUTES


def test_an_application_that_puts_right_after_a_distant_mount_is_the_newest(bucket, far, mount, hosts):
    """The mount learns the server's time over a slow network, and must not take it to be later than it is."""
    application = Application(bucket.database)
    [host] = hosts(mount("push=on", uri=far(0.05)))
    host.put("f", b"mount")
    application.put("f", b"application")
    assert application.get("f") == b"application" == host.get("f")


def test_a_rename_takes_what_has_the_name_now_and_not_what_had_it_a_moment_ago(bucket, mount, hosts):
    one, other = hosts(mount("push=on"), mount("push=on"))
    one.put("b", b"renamed by the other")
    assert one.get("b") == b"renamed by the other"
    other.rename("b", "a")
    Application(bucket.database).put("b", b"put since")
    one.rename("b", "a")
    assert one.get("a") == other.get("a") == b"put since"
    assert one.get("b") is None and other.get("b") is None
