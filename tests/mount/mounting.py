# SPDX-License-Identifier: Apache-2.0
"""A mount as the tests use it: start, look, unmount, and never leave one behind."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("GRIDMOUNT_BINARY", str(ROOT / "build" / "gridmount"))
READY_SECONDS = 20
STOP_SECONDS = 15
ALARMS = re.compile(r".*(sanitizer|runtime error|invariant).*", re.IGNORECASE)
SETTINGS = ("MONGODB_URL", "MONGODB_URI", "DB_NAME", "DBNAME")


class MountFailed(Exception):
    """The mount did not come up; the text has its exit status and its log."""


def environment(**settings):
    """The environment of a gridmount: ours without its settings, plus these."""
    return {k: v for k, v in os.environ.items() if k not in SETTINGS} | settings


def gridmount(*arguments, timeout=30, **settings):
    """Runs `gridmount ARGUMENTS…` to its end; .returncode, .stdout and .stderr of it."""
    return subprocess.run([BINARY, *map(str, arguments)], env=environment(**settings),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False)


def wait_for(condition, seconds=10, what="the condition"):
    """Polls until condition() is true; its value, or an AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        time.sleep(0.01)
    return value


def tells_changes(client):
    """Whether the server has change streams."""
    hello = client.admin.command("isMaster")
    return "setName" in hello or hello.get("msg") == "isdbgrid"


def mount_table(directory):
    """The lines of /proc/mounts whose mountpoint is `directory`."""
    escaped = str(directory).replace("\\", "\\134").replace(" ", "\\040")
    lines = pathlib.Path("/proc/mounts").read_text().splitlines()
    return [line for line in lines if line.split(" ")[1] == escaped]


def force_unmount(directory):
    """Whatever is mounted on `directory` goes, however stale."""
    while mount_table(directory):
        subprocess.run(["umount", "-l", str(directory)], check=True, capture_output=True)


def unmount_daemon(directory):
    """For mounts that a test made by command: takes away what it left, and fails if it left any."""
    left = mount_table(directory)
    if left:
        gridmount("umount", directory)
        force_unmount(directory)
    assert left == [], "the test left a mount behind"


def names_in(directory):
    return sorted(os.listdir(directory))


def tree(root):
    """Every path below root, directories with a slash behind."""
    found = []
    for folder, directories, files in os.walk(root):
        prefix = os.path.relpath(folder, root) + "/" if folder != str(root) else ""
        found += [prefix + name + "/" for name in directories] + [prefix + name for name in files]
    return sorted(found)


def process_alive(pid):
    """Whether `pid` runs; a zombie does not."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


class Mount:
    """A `gridmount mount URI DIR -f` in the foreground, started by the command `within`."""

    def __init__(self, uri, directory, log_path, options="", longest=55, settings=None, within=()):
        self.uri, self.path, self.log_path = uri, pathlib.Path(directory), pathlib.Path(log_path)
        self.options, self.longest, self.settings = options, longest, settings or {}
        self.within = within
        self.expected_exit = 0
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        self.path.mkdir(parents=True, exist_ok=True)
        device = os.stat(self.path).st_dev
        options = ",".join(filter(None, ["log_level=info", self.options]))
        command = [BINARY, "mount", self.uri, str(self.path), "-o", options, "-f"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *self.within, *command], env=environment(**self.settings),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.limit_its_life()
        deadline = time.monotonic() + READY_SECONDS
        while os.stat(self.path).st_dev == device:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                status, self.process = self.process.wait(), None
                raise MountFailed(f"exit status {status}\n{self.log()}")
            time.sleep(0.005)
        return self

    def limit_its_life(self):
        """A guard kills the daemon after `longest` seconds: tests fail then, and do not hang.

        It is a process, since a fault of a mapped page stops all threads of this one; and it ends with this one, and
        looks whether it still is that daemon: by then the number may be another's."""
        pid = self.process.pid
        since = pathlib.Path(f"/proc/{pid}/stat").read_text().split()[21]
        guard = f'sleep {self.longest}; [ "$(cut -d" " -f22 /proc/{pid}/stat)" = {since} ] && kill -9 {pid}'
        self.guard = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "sh", "-c", guard], start_new_session=True,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)

    def status(self):
        return json.loads((self.path / ".gridfs" / "status.json").read_text())

    def counters(self):
        return self.status()["counters"]

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def by_id(self, name):
        """The path of a revision by the encoded form of its _id."""
        return self.path / ".gridfs" / "id" / name

    def resident_bytes(self, which="VmRSS"):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"{which}:\s+(\d+) kB", status)[1]) << 10

    def most_resident_bytes(self):
        return self.resident_bytes("VmHWM")

    def unmount(self):
        """A clean unmount; the daemon's exit status."""
        if self.process.poll() is None:
            gridmount("umount", self.path)
        return self.end()

    def end(self):
        """Waits for the daemon, helps with SIGTERM and SIGKILL; its exit status."""
        for help_it_with in (None, signal.SIGTERM, signal.SIGKILL):
            if help_it_with:
                self.process.send_signal(help_it_with)
            try:
                self.process.wait(STOP_SECONDS if help_it_with is None else 5)
                break
            except subprocess.TimeoutExpired:
                continue
        if self.guard.poll() is None:
            os.killpg(self.guard.pid, signal.SIGTERM)
            self.guard.wait()
        return self.process.returncode

    def alarms(self):
        """Log lines that no test may cause."""
        return [match[0] for match in ALARMS.finditer(self.log())]


class Watched:
    """What changed in a mount's counters while a block ran: `with Watched(mnt) as spent`."""

    def __init__(self, mnt):
        self.mnt = mnt

    def __enter__(self):
        self.before = self.mnt.counters()
        return self

    def __exit__(self, *_):
        after = settled(self.mnt)
        self.counts = {name: after[name] - self.before[name] for name in after}

    def __getattr__(self, name):
        if name in ("counts", "before"):
            raise AttributeError(name)
        return self.counts[name]


def settled(mnt):
    """The counters, once nothing is in flight any more: readahead goes on after a read."""
    while True:
        before = mnt.counters()
        time.sleep(0.2)
        after = mnt.counters()
        if after["chunks_fetched"] == before["chunks_fetched"]:
            return after


def is_sanitized():
    """Whether the binary carries a sanitizer, which takes memory and time of its own."""
    return any(mark in pathlib.Path(BINARY).read_bytes() for mark in (b"__asan_", b"__tsan_"))
