# SPDX-License-Identifier: Apache-2.0
"""One name, many hosts that want it: O_EXCL, mkdir, link, symlink, RENAME_NOREPLACE have one winner. DESIGN.md §3."""
import itertools
import os
import signal
import stat
import uuid

import pytest

import buckets
from buckets import now
from hosts import Host, told
from mounting import Mount, force_unmount, wait_for
from operations import NOREPLACE

RACERS = 8
ENDED = ("fails", "EEXIST")


@pytest.fixture(scope="module")
def crowd(server, tmp_path_factory):
    """(a bucket, a program on each of eight mounts of it), for all races."""
    name, folder = f"test_{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("crowd")
    uri = server.uri(name, directConnection="true")
    mounts = [Mount(uri, folder / f"mnt{n}", folder / f"gridmount{n}.log", longest=7200) for n in range(RACERS)]
    hosts = [Host(mnt.start().path) for mnt in mounts]
    with server.client(tz_aware=True) as opened:
        yield buckets.Bucket(opened[name]), hosts
        for host in hosts:
            host.end()
        assert [(mnt.unmount(), mnt.alarms()) for mnt in mounts] == [(0, [])] * RACERS
        opened.drop_database(name)


def race(racers, name, *calls):
    """Each makes its call, all at once; who won, and what the others heard."""
    for racer, call in zip(racers, itertools.cycle(calls)):
        racer.send(*call)
    outcomes = [racer.receive() for racer in racers]
    winners = [number for number, (how, _) in enumerate(outcomes) if how == "is"]
    assert [outcome for outcome in outcomes if outcome[0] == "fails"] == [ENDED] * (RACERS - len(winners)), name
    return winners


def one_thing_is_at(bucket, name, racers):
    """The database has it once, and everybody sees the same kind of thing."""
    files, nodes = bucket.files.count_documents({"filename": name}), bucket.nodes.count_documents({"_id": name})
    assert files + nodes == 1, f"{name}: {files} files, {nodes} nodes"
    kinds = {stat.S_IFMT(told(racer("lstat", name.encode())).mode) for racer in racers[:2]}
    assert len(kinds) == 1


CALLS = {
    "create": lambda name, n: ("create", name, b"of racer %d" % n),
    "mkdir": lambda name, n: ("mkdir", name, 0o755),
    "symlink": lambda name, n: ("symlink", b"target %d" % n, name),
    "link": lambda name, n: ("link", b"own %d" % n, name),
    "rename": lambda name, n: ("rename", b"own %d" % n, name, NOREPLACE),
}


def check_race(crowd, kinds, number):
    bucket, racers = crowd
    name = "-".join(kinds) + f" {number}"
    calls = [CALLS[kinds[(n + number) % len(kinds)]](name.encode(), n) for n in range(RACERS)]
    winners = race(racers, name, *calls)
    assert len(winners) == 1, f"{name}: {winners} won"
    one_thing_is_at(bucket, name, racers)
    winner, what = winners[0], calls[winners[0]][0]
    if what in ("create", "rename", "link"):
        assert racers[winner - 1].get(name) == b"of racer %d" % winner
    if what == "rename":
        racers[winner].put(f"own {winner}", b"of racer %d" % winner)
    told(racers[winner]("rmdir" if what == "mkdir" else "unlink", name.encode()))


EACH = [[kind] for kind in CALLS]
MIXED = [["create", "mkdir"], list(CALLS)]


def prepare(crowd):
    """What each links and renames."""
    for number, host in enumerate(crowd[1]):
        host.put(f"own {number}", b"of racer %d" % number)


@pytest.mark.parametrize("kinds", EACH + MIXED, ids="-".join)
def test_of_all_who_want_a_name_one_gets_it(crowd, kinds):
    prepare(crowd)
    for number in range(20 if kinds in MIXED else 7):
        check_race(crowd, kinds, number)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kinds", EACH + MIXED, ids="-".join)
def test_of_all_who_want_a_name_one_gets_it_a_thousand_times(crowd, kinds):
    prepare(crowd)
    for number in range(1000):
        check_race(crowd, kinds, number)


def test_directories_are_made_by_all_at_once_as_makedirs_does(crowd):
    """Who comes second finds a directory: an error that says "exists" of what is not there yet would end programs."""
    _, racers = crowd
    for number in range(7):
        for racer in racers:
            racer.send("make_directories", b"storage %d/processed/small" % number)
        assert [racer.receive() for racer in racers] == [("is", None)] * RACERS


# The winner dies

def kill(mnt):
    """The host is gone, with all that it has not published."""
    mnt.process.kill()
    mnt.process.wait()
    mnt.expected_exit = -signal.SIGKILL
    force_unmount(mnt.path)


@pytest.mark.parametrize("what", ["create", "mkdir", "rename"])
def test_when_the_winner_is_killed_before_it_published_another_wins(bucket, database, mount, what):
    dying, living = mount(), mount()
    held = os.open(dying.path / "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.write(held, b"never published")
    host = Host(living.path)
    host.put("own 1", b"of racer 1")
    call = CALLS[what](b"f", 1)
    assert host(*call) == ENDED
    kill(dying)
    with pytest.raises(OSError):
        os.close(held)
    lease = database["fs.gridmount.locks"].find_one({"_id": "f"})
    assert (lease["until"] - now()).total_seconds() <= 61, "others win within the lease time"
    assert host(*call) == ENDED, "nobody can know yet that it died"
    database["fs.gridmount.locks"].update_one({"_id": "f"}, {"$set": {"until": now() - (lease["until"] - now())}})
    assert host(*call)[0] == "is"
    one_thing_is_at(bucket, "f", [host, host])
    host.end()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_others_win_within_the_lease_time_by_themselves(bucket, mount):
    dying, living = mount(), Host(mount().path)
    held = os.open(dying.path / "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    kill(dying)
    with pytest.raises(OSError):
        os.close(held)
    wait_for(lambda: living("create", b"f", b"of who waited") == ("is", None), 62, "a lease that ended")
    assert living.get("f") == b"of who waited"
    living.end()


def test_what_a_killed_host_has_made_stays_made(bucket, mount):
    dying, living = mount(), Host(mount().path)
    os.mkdir(dying.path / "d")
    (dying.path / "f").write_bytes(b"closed")
    kill(dying)
    assert living("mkdir", b"d", 0o755) == ENDED and living("create", b"f", b"") == ENDED
    assert living.get("f") == b"closed"
    living.end()
