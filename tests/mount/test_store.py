# SPDX-License-Identifier: Apache-2.0
"""The store's own tests: programs of tests/store, which ask a real server without any mount."""
import os
import pathlib
import subprocess
import time

import pytest

import proxy
import servers

PROGRAMS = pathlib.Path(os.environ.get("GRIDMOUNT_BINARY", "build/gridmount")).parent / "store"
NAMES = sorted(path.stem for path in (pathlib.Path(__file__).parents[1] / "store").glob("test_*.c"))


@pytest.fixture
def server(request, tmp_path_factory):
    """A server of its own for each: one that has had others answers these ten times slower."""
    with servers.start(request.config.getoption("--server"), tmp_path_factory.mktemp("store")) as started:
        yield started
        started.kill()      # an orderly stop may take seconds, and nobody reads its data again


@pytest.fixture
def client(server):
    with server.client(tz_aware=True) as opened:
        yield opened


def start(name, uri):
    program = PROGRAMS / name
    assert program.exists(), f"{program} is missing: make check-mount builds it"
    return subprocess.Popen([program], env=os.environ | {"GRIDMOUNT_STORE_URI": uri}, text=True, errors="replace",
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(run):
    output, _ = run.communicate(timeout=290)
    assert run.returncode == 0, output[-20000:]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_the_store_keeps_its_promises(name, uri):
    finish(start(name, uri))


@pytest.mark.timeout(300)
def test_acknowledged_puts_are_there_after_broken_connections(server, database):
    with proxy.Proxy("127.0.0.1", server.port) as link:
        run = start("test_faults", f"mongodb://127.0.0.1:{link.port}/{database.name}?directConnection=true")
        time.sleep(1)
        for _ in range(8):
            link.cut()
            time.sleep(0.37)
        finish(run)
