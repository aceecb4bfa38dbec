# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the mount tests: one server per run, one database and any number of mounts per test."""
import itertools
import os
import pathlib
import uuid

import gridfs
import pytest

import buckets
import mounting
import proxy
import servers


# A file of counters that another killed process left for our number would make libmongoc warn on stderr.
os.environ["MONGOC_DISABLE_SHM"] = "1"


def pytest_addoption(parser):
    parser.addoption("--server", default="default", choices=servers.KINDS,
                     help="the MongoDB-compatible server that the tests run against")
    parser.addoption("--local", action="store_true",
                     help="run the tests that take `place` on a plain directory, to see what a local filesystem does")
    parser.addoption("--long", action="store_true",
                     help="run the long forms (a million files, gigabytes), and only those")


def pytest_collection_modifyitems(config, items):
    wanted, second = config.getoption("--long"), config.getoption("--server") == "ferretdb"
    chosen = [item for item in items if bool(item.get_closest_marker("long")) == wanted
              and not (second and item.get_closest_marker("once"))]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def pytest_report_header(config):
    return f"server: {servers.choose(config.getoption('--server'))}, binary: {mounting.BINARY}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for mnt in getattr(item, "mounts", []):
            report.sections.append((f"log of {mnt.path}", mnt.log()[-8000:]))
    return report


@pytest.fixture(scope="session")
def server(request, tmp_path_factory):
    with servers.start(request.config.getoption("--server"),
                       tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(scope="session")
def guarded(request, tmp_path_factory):
    """A second server, which asks for servers.USER and servers.PASSWORD."""
    try:
        with servers.start(request.config.getoption("--server"),
                           tmp_path_factory.mktemp("guarded"), auth=True) as started:
            yield started
    except servers.NotAvailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def client(server):
    with server.client(tz_aware=True) as opened:
        yield opened


@pytest.fixture
def database(client):
    """A database of this test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield client[name]
    client.drop_database(name)


@pytest.fixture
def bucket(database):
    """The default bucket with the spec's indexes."""
    return buckets.Bucket(database)


@pytest.fixture
def stored(bucket):
    """stored(name): what pymongo reads, after a look at the document and its chunks; None when there is no such file."""
    def look(name):
        found = list(bucket.files.find({"filename": name}).sort([("uploadDate", -1), ("_id", -1)]))
        if not found:
            return None
        newest = found[0]
        chunks = list(bucket.chunks.find({"files_id": newest["_id"]}).sort("n", 1))
        size, length = newest["chunkSize"], newest["length"]
        assert [chunk["n"] for chunk in chunks] == list(range(-(-length // size)))
        assert all(len(chunk["data"]) == min(size, length - chunk["n"] * size) for chunk in chunks)
        data = gridfs.GridFS(bucket.database).get(newest["_id"]).read()
        assert data == b"".join(chunk["data"] for chunk in chunks)
        return data
    return look


@pytest.fixture
def scale(server):
    """Sizes are full on quick servers and a tenth on slow ones."""
    return lambda size: max(1, size // 10) if server.slow else size


@pytest.fixture
def uri(server, database):
    """The connection string for this test's database."""
    return server.uri(database.name, directConnection="true")


@pytest.fixture
def link(server):
    """A proxy in front of the server, that can do what networks do."""
    if not server.is_ours:
        pytest.skip("the server of GRIDMOUNT_TEST_URI cannot be put behind a proxy")
    with proxy.Proxy("127.0.0.1", server.port) as opened:
        yield opened


@pytest.fixture
def through(link, database):
    """The connection string that leads through the proxy."""
    return f"mongodb://127.0.0.1:{link.port}/{database.name}?directConnection=true"


@pytest.fixture
def mount(request, tmp_path, uri):
    """mount(options="…", uri=…, bucket=…, settings={…}, within=[…]): a mounting.Mount, unmounted and checked at the end; without
    push, unless the options say so."""
    request.node.mounts = started = []
    number = itertools.count(1)
    own_uri = uri
    # Below pytest's own limit: a killed daemon ends even a request that no signal interrupts.
    limit = request.node.get_closest_marker("timeout")
    longest = (limit.args[0] if limit else 60) - 5

    def start(options="", uri=None, bucket=None, directory=None, settings=None, within=()):
        n = next(number)
        if "push=" not in options:      # a listing right after another client's change shows it: see test_push.py
            options = ",".join(filter(None, [options, "push=off"]))
        options = ",".join(filter(None, [f"bucket={bucket}" if bucket else "", options]))
        mnt = mounting.Mount(uri or own_uri, directory or tmp_path / f"mnt{n}",
                             tmp_path / f"gridmount{n}.log", options, longest, settings, within)
        started.append(mnt)
        return mnt.start()

    yield start
    problems = []
    for mnt in started:
        status = mnt.unmount() if mnt.process else mnt.expected_exit
        if status != mnt.expected_exit:
            problems.append(f"the daemon of {mnt.path} exited {status}, not {mnt.expected_exit}: {mnt.log()[-2000:]}")
        problems += mnt.alarms()
        if mounting.mount_table(mnt.path):
            problems.append(f"{mnt.path} was still mounted")
            mounting.force_unmount(mnt.path)
    assert not problems, "\n".join(problems)


class Place:
    """A directory to write in: the root of a mount, or with --local a plain one, where POSIX can be asked."""

    def __init__(self, root, mnt=None):
        self.root, self.mnt = pathlib.Path(root), mnt

    @property
    def local(self):
        return self.mnt is None

    def remount(self, before_the_start=lambda: None):
        """Everything that the mount knew is forgotten; what is in the database stays."""
        if self.mnt:
            assert self.mnt.unmount() == 0
            before_the_start()
            self.mnt.start()


@pytest.fixture
def place(request, tmp_path):
    if request.config.getoption("--local"):
        (tmp_path / "local").mkdir(mode=0o755)
        return Place(tmp_path / "local")
    mnt = request.getfixturevalue("mount")(options="allow_other,push=on")
    return Place(mnt.path, mnt)


@pytest.fixture
def root(place):
    return place.root


@pytest.fixture(scope="module")
def shared(request, server, tmp_path_factory):
    """One place for the many short tests of a module."""
    folder = tmp_path_factory.mktemp("shared")
    if request.config.getoption("--local"):
        yield Place(folder)
        return
    name = f"test_{uuid.uuid4().hex[:12]}"
    uri = server.uri(name, directConnection="true")
    mnt = mounting.Mount(uri, folder / "mnt", folder / "gridmount.log", "allow_other", longest=1800).start()
    yield Place(mnt.path, mnt)
    assert (mnt.unmount(), mnt.alarms()) == (0, [])
    with server.client() as opened:
        opened.drop_database(name)


@pytest.fixture
def here(request, shared, monkeypatch):
    """A new directory in the shared place, and the working directory: so other users reach it whatever is above it."""
    request.node.mounts = [shared.mnt] if shared.mnt else []
    folder = shared.root / uuid.uuid4().hex
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Place(folder, shared.mnt)
