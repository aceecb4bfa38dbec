# SPDX-License-Identifier: Apache-2.0
"""How soon a mount says how it is while it works as much as it can: 8 programs read what no cache has, 4 write."""
import contextlib
import http.client
import subprocess
import threading
import time

import fill
import stage as stages
from results import Row
from stage import CannotRun, run_program

MIB = 1 << 20
READERS, WRITERS, WRITTEN_MIB = 8, 4, 16
ASKED = 12          # times each way, for each of --rounds
WITHIN_MILLISECONDS = 50


def over_and_over(work, stopping, failures):
    try:
        while not stopping.is_set():
            work()
    except (CannotRun, OSError, subprocess.SubprocessError) as reason:
        failures.append(reason)


def copy(path):
    """As cp does it, and takes it away again."""
    subprocess.run(["dd", "if=/dev/urandom", f"of={path}", f"bs={MIB}", f"count={WRITTEN_MIB}", "status=none"], check=True)
    path.unlink()


@contextlib.contextmanager
def loaded(mount):
    """All of them are at work; fails if one of them did."""
    stopping, failures = threading.Event(), []
    names = ("a.bin", "b.bin")      # larger than the cache, so that all is fetched
    works = [lambda n=n: run_program("path_reader", "direct", mount.path / names[n % 2], 64) for n in range(READERS // 2)]
    works += [lambda n=n: run_program("path_reader", "scattered", mount.path / names[n % 2], 200) for n in range(READERS // 2)]
    works += [lambda n=n: copy(mount.path / f"written {n}") for n in range(WRITERS)]
    threads = [threading.Thread(target=over_and_over, args=(work, stopping, failures)) for work in works]
    for thread in threads:
        thread.start()
    try:
        stages.wait_until(lambda: mount.status()["counters"]["puts"] >= WRITERS, "each writer has stored something")
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def over_http(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.status == 200


def asked(stage):
    """The status, the metrics and the page's part of it, under full load, in milliseconds."""
    fill.large(stage)
    port = stages.servers.free_port()
    with stage.mounted("large", "cache_size=64M", f"metrics_listen={port}") as mount:
        ways = {".gridfs/status": lambda: (mount.path / ".gridfs/status").read_bytes(),
                ".gridfs/metrics": lambda: (mount.path / ".gridfs/metrics").read_bytes(),
                "gridmount status": lambda: subprocess.run([mount.binary, "status", str(mount.path)], check=True,
                                                           stdout=subprocess.DEVNULL),
                "/metrics over HTTP": lambda: over_http(port, "/metrics"),
                "/status.json over HTTP": lambda: over_http(port, "/status.json")}
        took = {name: [] for name in ways}
        with loaded(mount):
            for _ in range(ASKED * stage.rounds):
                for name, ask in ways.items():
                    start = time.perf_counter()
                    ask()
                    took[name].append((time.perf_counter() - start) * 1000)
                time.sleep(0.05)
    for name, values in took.items():
        yield Row(f"{name}, {READERS} readers and {WRITERS} writers", "ms", values, at_most=WITHIN_MILLISECONDS)
        yield Row(f"{name}, the longest of {len(values)}", "ms", [max(values)], at_most=WITHIN_MILLISECONDS)
