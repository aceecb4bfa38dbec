# SPDX-License-Identifier: Apache-2.0
"""The image, in an engine of the tests' own."""
import hashlib
import os
import re
import statistics
import time

import gridfs
import pymongo
import pytest

from engine import mounts, until

pytestmark = pytest.mark.long
FOLDER = "/srv/gridfs/data"


@pytest.fixture
def store(images):
    """MongoDB in a container, which others find by name."""
    images.docker("network", "create", "store")
    images.docker("run", "-d", "--name", "mongo", "--network", "store", "mongo:8")
    until(lambda: images.docker("exec", "mongo", "mongosh", check=False).returncode == 0)
    yield images
    names = images.docker("ps", "-aq", check=False).stdout.split()
    images.docker("rm", "-fv", *names, check=False)
    images.docker("network", "rm", "store")


def mounting(images):
    """The arguments of a container that mounts, as the README and compose.yaml have them."""
    return ["--network", "store", "--device", f"{images.device}:/dev/fuse", "--cap-drop", "ALL", "--cap-add", "SYS_ADMIN",
            "-e", "MONGODB_URL=mongodb://mongo/?directConnection=true", "-e", "DB_NAME=films"]


def wait_until_it_serves(images):
    until(lambda: images.docker("exec", "side", "gridmount", "status", FOLDER, check=False).returncode == 0)


def start_mount(images, options):
    images.docker("run", "-d", "--name", "side", *mounting(images), "-v", f"{images.shared}:/srv/gridfs:rshared",
                  "gridmount", "mount", "-f", FOLDER, "-o", options)
    wait_until_it_serves(images)


def stop_mount(images):
    """It ends by itself, and leaves no mount to the host, dead or alive."""
    images.docker("stop", "side")
    assert images.inspect("side", ".State.ExitCode") == "0", images.docker("logs", "side").stdout
    assert mounts(images.shared / "data") == []
    assert os.listdir(images.shared / "data") == []     # "Transport endpoint is not connected", were one left


def user(images, *more):
    """The arguments of a container with no capability at all, as UID 1000, that has the mount."""
    return ["--network", "none", "--user", "1000:1000", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "-v", f"{images.shared}:/srv/gridfs:rslave", *more, "python:3.11-slim", "sh", "-c"]


def test_the_image_is_small_and_not_root(images):
    base, whole = (int(images.inspect(name, ".Size")) for name in ("debian:trixie-slim", "gridmount"))
    print(f"the image adds {(whole - base) / 1e6:.1f} MB")
    assert whole - base <= 25e6
    assert images.inspect("gridmount", ".Config.User") == "1000:1000"
    assert images.inspect("gridmount", ".Config.StopSignal") == "SIGTERM"
    assert "status" in images.inspect("gridmount", ".Config.Healthcheck.Test")
    assert images.docker("run", "--rm", "--network", "none", "gridmount", "--version").stdout.startswith("gridmount ")


def test_a_user_without_capabilities_reads_and_writes(store):
    start_mount(store, "bucket=data")
    said = store.docker("run", "--rm", *user(store), f"echo hello >{FOLDER}/a && cat {FOLDER}/a && grep CapBnd /proc/self/status")
    assert said.stdout == "hello\nCapBnd:\t0000000000000000\n"
    stop_mount(store)


def unstored_bytes(images):
    """What waits; on a slow machine the first try to store it may have failed by then, and it waits for the next."""
    status = images.docker("exec", "side", "gridmount", "status", FOLDER, check=False).stdout
    return int(re.search(r"^staged_bytes +(\d+)", status, re.MULTILINE)[1])


# A child that had the descriptor too would flush it with its end.
WRITE_WHEN_TOLD = f"""head -c 104857600 /dev/urandom >/marks/copy
exec 3>{FOLDER}/big; touch /marks/opened 3>&-; while [ ! -e /marks/go ]; do sleep 0.05 3>&-; done
cat /marks/copy >&3; exec 3>&-; touch /marks/closed"""


def test_stop_stores_what_is_unsaved(store, tmp_path):
    """The server stands still from the open to the close: all 100 MiB wait when the mount is told to stop."""
    tmp_path.chmod(0o777)
    start_mount(store, "bucket=data,writeback,writeback_max=1G")
    store.docker("run", "-d", "--name", "writer", *user(store, "-v", f"{tmp_path}:/marks"), WRITE_WHEN_TOLD)
    until(lambda: (tmp_path / "opened").exists())
    store.docker("pause", "mongo")
    try:
        (tmp_path / "go").touch()
        until(lambda: (tmp_path / "closed").exists())
        waited = unstored_bytes(store)
    finally:
        store.docker("unpause", "mongo")
    begun = time.monotonic()
    stop_mount(store)
    print(f"{waited >> 20} MiB waited: stopped in {time.monotonic() - begun:.1f} s")
    assert waited == 100 << 20
    with pymongo.MongoClient(store.address("mongo"), directConnection=True) as client:
        stored = gridfs.GridFSBucket(client.films, "data").open_download_stream_by_name("big").read()
    assert hashlib.sha256(stored).digest() == hashlib.sha256((tmp_path / "copy").read_bytes()).digest()


def test_after_a_kill_the_next_one_mounts(store):
    start_mount(store, "bucket=data")
    store.docker("kill", "side")
    store.docker("start", "side")
    wait_until_it_serves(store)
    store.docker("run", "--rm", *user(store), f"ls {FOLDER}")
    stop_mount(store)


def test_a_warmed_model_is_there_within_a_second(store):
    state = "/home/app/.local/state/gridmount"
    run = ["run", "--rm", *mounting(store), "-v", f"warm:{state}", "film-service-standalone",
           "gridmount", "run", FOLDER, "-o", f"bucket=data,cache_dir={state}/cache", "--", "sh", "-c"]
    store.docker(*run, f"head -c 67108864 /dev/urandom >{FOLDER}/model")
    store.docker(*run, f"cat {FOLDER}/model >/dev/null")
    times = []
    for _ in range(5):
        begun = time.monotonic()
        store.docker(*run, f"head -c 1 {FOLDER}/model >/dev/null")
        times.append(time.monotonic() - begun)
    print(f"docker run to the first byte and its end: {statistics.median(times):.2f} s")
    assert statistics.median(times) <= 1.0
