# SPDX-License-Identifier: Apache-2.0
"""A Docker engine of the tests' own, with images under the names that our files use.

    with engine.started(folder) as running:
        running.docker("run", "--rm", "gridmount", "--version")
        with running.network():         # where its containers' addresses and its published ports are
            urllib.request.urlopen("http://127.0.0.1:8000/")

It has its own folders, socket and network namespace, so that no bridge, rule or port is the machine's. The bases are
those of chroot.py; mongo:8 is SecantusDB. All of it ends by process id, and with the test that died; the images stay
in build/engine, two gigabytes, for the next time.
"""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

import chroot

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGES = ROOT / "build/engine"
PROGRAMS = ("docker", "dockerd", "debootstrap", "ip")
WHILE_BUILDING = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
CLONE_NEWNET = 0x40000000
SLIM = "path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\n"
MONGOSH = """#!/opt/venv/bin/python3
import pymongo
pymongo.MongoClient(port=27017, directConnection=True, serverSelectionTimeoutMS=2000).admin.command("ping")
"""
STAND_INS = """
FROM base:trixie AS debian
COPY machine /
FROM base:bookworm AS python
COPY machine /
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*
FROM python AS mongo
ARG WANTED
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir $WANTED
COPY mongosh /usr/bin/mongosh
CMD ["/opt/venv/bin/secantusd-py", "--host", "0.0.0.0", "--port", "27017", "--storage-path", "/data/db"]
FROM python AS redis
RUN apt-get update && apt-get install -y --no-install-recommends redis-server
CMD ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no"]
"""


def until(holds, seconds=60, step=0.05):
    """Waits until holds() is true, and returns what it returned."""
    deadline = time.monotonic() + seconds
    while not (result := holds()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(step)
    return result


def mounts(folder):
    """What is mounted on a folder or below it, the last first."""
    points = [line.split()[4] for line in open("/proc/self/mountinfo", encoding="utf-8")]
    return [point for point in reversed(points) if pathlib.Path(point).is_relative_to(folder)]


def processes(folder):
    """Those that were told of a folder: the engine, and what it started."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in path.read_bytes():
                found.append(path.read_bytes().replace(b"\0", b" "))
    return found


class Engine:
    def __init__(self, folder, daemon, environment):
        self.folder, self.daemon, self.environment = folder, daemon, environment
        self.device = folder / "fuse"       # as udev has it; some machines have one that is root's alone
        self.shared = folder / "shared"

    def docker(self, *words, check=True, timeout=120, **options):
        """The result of a docker command; its text is stdout and stderr as they came."""
        done = subprocess.run(["docker", *map(str, words)], env=self.environment, text=True, timeout=timeout, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        assert not check or done.returncode == 0, f"docker {' '.join(map(str, words))}:\n{done.stdout[-6000:]}"
        return done

    def inspect(self, name, what):
        return self.docker("inspect", "--format", "{{" + what + "}}", name).stdout.strip()

    def address(self, name):
        return self.inspect(name, "range .NetworkSettings.Networks}}{{.IPAddress}}{{end")

    def build(self, tag, dockerfile, target=None, context=ROOT, more=()):
        self.docker("build", "--network", "host", "-t", tag, "-f", dockerfile, *(["--target", target] if target else []),
                    *more, context, timeout=900)

    @contextlib.contextmanager
    def network(self):
        """This thread, and those that it starts meanwhile, are in the engine's network."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as ours, open(f"/proc/{self.daemon.pid}/ns/net", "rb") as theirs:
            assert libc.setns(theirs.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(ours.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


@contextlib.contextmanager
def _daemon(folder, options, own_network):
    """dockerd with nothing of its own outside `folder`, as an Engine."""
    address, log = f"unix://{folder}/socket", folder / "dockerd.log"
    dockerd = ["dockerd", "--data-root", IMAGES, "--exec-root", folder / "exec", "-H", address, "-p", folder / "pid",
               *options]
    inside = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"] if own_network else []
    with open(log, "ab") as written, subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *inside, *map(str, dockerd)], stdin=subprocess.DEVNULL, stdout=written,
            stderr=written, start_new_session=True) as daemon:
        running = Engine(folder, daemon, {**os.environ, "DOCKER_HOST": address, "DOCKER_BUILDKIT": "0"})
        try:
            until(lambda: daemon.poll() is not None or running.docker("version", check=False).returncode == 0)
            if daemon.poll() is not None:
                pytest.skip("dockerd does not run here: " + log.read_text()[-300:])
            yield running
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(60)
            for point in mounts(folder / "exec") + mounts(IMAGES):
                subprocess.run(["umount", "-l", point], check=False)


def _import_base(running, suite):
    packed = subprocess.Popen(["tar", "-C", chroot.base(suite), "--exclude=./var/cache/apt/archives/*.deb",
                               "--exclude=./var/lib/apt/lists/*", "-c", "."], stdout=subprocess.PIPE)
    running.docker("import", "-", f"base:{suite}", stdin=packed.stdout, timeout=300)
    packed.stdout.close()
    assert packed.wait() == 0


def _make_context(folder):
    """What STAND_INS copies: how this machine reaches packages, and less of them."""
    for name in ("etc/pip.conf", "etc/ssl/certs/ca-certificates.crt"):
        (folder / "machine" / name).parent.mkdir(parents=True, exist_ok=True)
        if os.path.exists("/" + name):
            shutil.copy("/" + name, folder / "machine" / name)
    (folder / "machine/etc/dpkg/dpkg.cfg.d").mkdir(parents=True)
    (folder / "machine/etc/dpkg/dpkg.cfg.d/docker").write_text(SLIM)
    (folder / "Dockerfile").write_text(STAND_INS)
    (folder / "mongosh").write_text(MONGOSH)
    (folder / "mongosh").chmod(0o755)


def _make_images(running):
    wanted = [line for line in (ROOT / "tests/requirements.txt").read_text().splitlines()
              if line.startswith(("secantusdb", "pymongo"))]
    for suite in ("bookworm", "trixie"):
        if running.docker("image", "inspect", f"base:{suite}", check=False).returncode:
            _import_base(running, suite)
    tried = running.docker("run", "--rm", "--network", "none", "base:trixie", "true", check=False)
    if tried.returncode:
        pytest.skip("dockerd runs here, but no container: " + tried.stdout[-300:])
    context = running.folder / "context"
    _make_context(context)
    for tag, target in (("debian:trixie-slim", "debian"), ("python:3.11-slim", "python"), ("mongo:8", "mongo"),
                        ("redis:7-alpine", "redis")):
        running.build(tag, context / "Dockerfile", target, context, ["--build-arg", "WANTED=" + " ".join(wanted)])
    running.build("gridmount", ROOT / "packaging/docker/Dockerfile")
    for tag, target in (("film-service", "app"), ("film-service-standalone", "standalone")):
        running.build(tag, ROOT / "packaging/compose/app.Dockerfile", target)


@contextlib.contextmanager
def _shared(running):
    """The folder that mounts are shared by, and the device."""
    os.mknod(running.device, 0o20666, os.makedev(10, 229))
    os.chmod(running.device, 0o666)
    running.shared.mkdir()
    subprocess.run(["mount", "--bind", running.shared, running.shared], check=True)
    try:
        subprocess.run(["mount", "--make-shared", running.shared], check=True)
        for name in ("data", "assets", "votes"):
            (running.shared / name).mkdir()
            os.chown(running.shared / name, 1000, 1000)
        yield
    finally:
        names = running.docker("ps", "-aq", check=False).stdout.split()
        if names:
            running.docker("stop", "-t", "10", *names, check=False)
            running.docker("rm", "-fv", *names, check=False)
        volumes = running.docker("volume", "ls", "-q", check=False).stdout.split()
        if volumes:
            running.docker("volume", "rm", *volumes, check=False)
        subprocess.run(["umount", "-R", "-l", running.shared], check=False)


@contextlib.contextmanager
def started(folder):
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing or os.geteuid() or not os.path.exists("/dev/fuse"):
        pytest.skip(f"a Docker engine needs {', '.join(missing) or 'root and /dev/fuse'}")
    try:
        with _daemon(folder, WHILE_BUILDING, own_network=False) as running:
            _make_images(running)
        with _daemon(folder, [], own_network=True) as running, _shared(running):
            yield running
        assert (mounts(folder), mounts(IMAGES), processes(folder)) == ([], [], [])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
