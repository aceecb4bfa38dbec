# SPDX-License-Identifier: Apache-2.0
"""What the packaging tests share: a server, and --long for what takes another system to try it in."""
import uuid

import pytest

import proxy
import servers


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the long forms, and only those")


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("--long")
    chosen = [item for item in items if bool(item.get_closest_marker("long")) == wanted]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with servers.start("default", tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture
def database(server):
    """A database of this test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with server.client() as client:
        yield client[name]
        client.drop_database(name)


@pytest.fixture
def uri(server, database):
    return server.uri(database.name, directConnection="true")


@pytest.fixture
def link(server):
    """A proxy in front of the server, that can do what networks do."""
    with proxy.Proxy("127.0.0.1", server.port) as opened:
        yield opened


@pytest.fixture(scope="session")
def running_engine(tmp_path_factory):
    import engine
    with engine.started(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture
def images(running_engine):
    """An engine that has the images, and the test in its network; skipped where there can be none."""
    with running_engine.network():
        yield running_engine
