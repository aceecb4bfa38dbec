# SPDX-License-Identifier: Apache-2.0
"""Where the benchmark plays: one server, the programs in build/bench, mounts of gridmount."""
import contextlib
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))

import proxy    # noqa: E402  (they live beside the mount tests, which use them too)
import servers  # noqa: E402

BUILD = ROOT / "build" / "bench"
GRIDMOUNT = ROOT / "build" / "gridmount"
PREFIX = "gridmount_bench_"
ENDS_WITHIN_SECONDS = 20
SETTLED_AFTER_SECONDS = 0.1


class CannotRun(Exception):
    """The text says what is missing and how to get it."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def wait_until(condition, what):
    deadline = time.monotonic() + ENDS_WITHIN_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise CannotRun(f"{what}: not within {ENDS_WITHIN_SECONDS} s")
        time.sleep(0.01)


def run_program(program, *arguments, lines=()):
    """Runs one of tests/bench/*.c, or of *_reader.py; returns (bytes, items, seconds). It gets `lines` to read."""
    start = [sys.executable, str(HERE / program)] if program.endswith(".py") else [str(BUILD / program)]
    done = subprocess.run([*start, *map(str, arguments)], capture_output=True, text=True,
                          input="".join(f"{line}\n" for line in lines))
    if done.returncode != 0:
        raise CannotRun(f"{program} failed: {done.stderr.strip()}")
    size, items, seconds = done.stdout.split()
    return int(size), int(items), float(seconds)


def make(*arguments, folder=ROOT):
    """Builds in a folder, whatever this make was called with."""
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS")}
    subprocess.run(["make", "-s", "-C", str(folder), f"-j{len(os.sched_getaffinity(0))}", *arguments], check=True,
                   env=alone, stdout=subprocess.DEVNULL)


def timed(command):
    """The seconds a command takes; its output goes nowhere."""
    start = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL,
                   env=os.environ | {"LC_ALL": "C"})
    return time.perf_counter() - start


class Mount:
    """One mount, fresh when made: nothing of it is in any cache of gridmount or the kernel."""

    def __init__(self, binary, uri, directory, options):
        self.binary, self.path = str(binary), directory
        command = [self.binary, "mount", uri, str(directory),
                   "-o", ",".join([f"log_file={BUILD / 'gridmount.log'}",
                                   f"staging_dir={BUILD / 'staging'}", *options])]
        start = time.perf_counter()
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        self.ready_seconds = time.perf_counter() - start
        if done.returncode != 0:
            raise CannotRun(f"gridmount mount failed: {done.stderr.strip()}")
        try:
            self.pid = self.status()["pid"]
        except (OSError, ValueError) as error:
            subprocess.run([self.binary, "umount", str(directory)])
            raise CannotRun(f"the mount has no readable .gridfs/status.json: {error}") from None

    def status(self):
        return json.loads((self.path / ".gridfs" / "status.json").read_text())

    def counters(self):
        """The counters once they stand still: what runs ahead belongs to what asked for it."""
        counters, since = self.status()["counters"], time.monotonic()
        deadline = since + ENDS_WITHIN_SECONDS
        while time.monotonic() - since < SETTLED_AFTER_SECONDS and time.monotonic() < deadline:
            time.sleep(0.02)
            newer = self.status()["counters"]
            if newer["chunks_fetched"] != counters["chunks_fetched"]:
                since = time.monotonic()
            counters = newer
        return counters

    def warm(self, path):
        """All of it is in cache_dir, which drops what a program reads faster than it can be written."""
        size = sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))
        subprocess.run([self.binary, "warm", str(path)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: self.status()["counters"]["disk_bytes_stored"] >= size, f"{path} is in cache_dir")
        except CannotRun as reason:
            counters = {name: value for name, value in self.status()["counters"].items() if name.startswith("disk_")}
            raise CannotRun(f"{reason}: {size} bytes, {counters}") from None

    def cpu_seconds(self):
        """What the daemon has used of the processors, as a program and in the kernel."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def highest_memory(self):
        """The most that was ever resident, in MiB."""
        return self.memory("VmHWM")

    def memory(self, kind):
        """What /proc calls VmRSS (resident now) or VmHWM (at most), in MiB."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{kind}:"):
                return int(line.split()[1]) / 1024
        raise CannotRun(f"process {self.pid} does not say how much memory it takes")

    def unmount(self):
        done = subprocess.run([self.binary, "umount", str(self.path)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            subprocess.run(["fusermount3", "-u", "-z", str(self.path)])
            raise CannotRun(f"gridmount umount failed: {done.stderr.strip()}")
        wait_until(lambda: not pathlib.Path(f"/proc/{self.pid}").exists(),
                   f"the daemon {self.pid} ends after the unmount")


class Stage:
    def __init__(self, server, rounds, sizes):
        self.server, self.rounds, self.sizes = server, rounds, sizes
        self.binary = GRIDMOUNT
        self.wanted = {"work": [], "link": []}      # of the table; all when none is named
        self.client = server.client()

    def uri(self, name):
        return self.server.uri(PREFIX + name)

    def database(self, name):
        return self.client[PREFIX + name]

    def empty(self, name):
        """A database that holds nothing: what was written before makes no server slower."""
        self.client.drop_database(PREFIX + name)
        return self.database(name)

    @contextlib.contextmanager
    def mounted(self, name, *options, uri=None, place="mnt"):
        directory = BUILD / place
        directory.mkdir(exist_ok=True)
        mount = Mount(self.binary, uri or self.uri(name), directory, options)
        try:
            yield mount
        finally:
            mount.unmount()

    @contextlib.contextmanager
    def slow_link(self, name, bandwidth):
        """Yields a URI that leads to the server through a link of `bandwidth` bytes/s."""
        with self.link(name, bandwidth=bandwidth) as (uri, _):
            yield uri

    @contextlib.contextmanager
    def link(self, name, **settings):
        """Yields (URI, proxy): all that the URI leads to goes through the proxy, which counts."""
        with proxy.Proxy("127.0.0.1", self.server.port, **settings) as link:
            yield self.uri_through(link, name), link

    def uri_through(self, link, name):
        return servers.with_database(f"mongodb://127.0.0.1:{link.port}", PREFIX + name, directConnection="true")

    def round_trip(self):
        start = time.perf_counter()
        self.client.admin.command("ping")
        return time.perf_counter() - start

    def describe(self):
        """The machine and the versions that the figures belong to."""
        with open("/proc/cpuinfo") as lines:
            models = [line.split(":", 1)[1].strip() for line in lines
                      if line.startswith("model name")]
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        version = self.client.admin.command("buildInfo")["version"]
        return {"cpu": models[0] if models else platform.machine(),
                "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory / 2**30, 1),
                "load_before": round(os.getloadavg()[0], 1),
                "kernel": platform.release(), "server": self.server.kind,
                "server_answers_as": version,
                "server_durability": "defaults: no sync at each commit",
                "version": subprocess.run([str(self.binary), "--version"], text=True,
                                          capture_output=True).stdout.strip()}


def best_server():
    """SecantusDB in Rust where it is installed, since it is the fastest; else the default."""
    cargo = os.path.expanduser("~/.cargo/bin")
    if cargo not in os.environ["PATH"].split(":"):
        os.environ["PATH"] += f":{cargo}"
    if servers.choose("default") == "secantus" and shutil.which("secantusd-rs"):
        return "secantus-rs"
    return "default"


@contextlib.contextmanager
def open_stage(rounds, sizes, keep):
    """Starts the server; at the end stops it and, unless `keep`, removes what was stored."""
    data = BUILD / "server"
    if not keep:
        shutil.rmtree(data, ignore_errors=True)
    with servers.start(best_server(), data) as server:
        stage = Stage(server, rounds, sizes)
        try:
            yield stage
        finally:
            if not keep and not server.is_ours:
                for name in stage.client.list_database_names():
                    if name.startswith(PREFIX):
                        stage.client.drop_database(name)
            stage.client.close()
    if not keep:
        shutil.rmtree(data, ignore_errors=True)
