# SPDX-License-Identifier: Apache-2.0
"""gridmount status --watch, in a real terminal."""
import contextlib
import itertools
import os
import shlex
import shutil
import signal
import subprocess

import pytest

from mounting import BINARY, environment, gridmount, wait_for

MIB = 1 << 20
NUMBERS = itertools.count()

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is missing: packaging/bootstrap installs it")


class Terminal:
    """A terminal of 100 columns and 40 rows, in which a shell runs what is typed."""

    def __init__(self, folder, rows=40):
        self.socket = folder / f"tmux{next(NUMBERS)}"
        self.tmux("new-session", "-d", "-x", "100", "-y", str(rows), "env", "PS1=> ", "sh")

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *arguments], check=True, text=True,
                              capture_output=True, env=environment(TERM="xterm")).stdout

    def type(self, *words):
        self.tmux("send-keys", " ".join(shlex.quote(str(word)) for word in words), "Enter")

    def press(self, key):
        self.tmux("send-keys", key)

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def shows(self, *words):
        return wait_for(lambda: all(word in (shown := self.screen()) for word in words) and shown, 30, f"{words}")

    def end(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.tmux("kill-server")


@pytest.fixture
def terminal(tmp_path):
    opened = []

    def open_one(**settings):
        opened.append(Terminal(tmp_path, **settings))
        return opened[-1]
    yield open_one
    for each in opened:
        each.end()


def test_it_shows_how_the_mount_is_and_what_it_does(bucket, mount, terminal):
    bucket.put("models/a.pt", os.urandom(3 * MIB))
    mnt = mount()
    shell = terminal()
    shell.type("echo", "before")
    shell.shows("before")
    shell.type(BINARY, "status", mnt.path, "--watch=0.2")
    first = shell.shows("state       ok", bucket.database.name, "a second", "in all")
    assert first.splitlines()[0].startswith("state       ok"), "what is wrong comes first"
    assert "before" not in first
    (mnt.path / "models/a.pt").read_bytes()
    shell.shows("given to programs", "3.0 MiB", "busiest     3.0 MiB of late: models/a.pt")
    shell.press("C-c")
    after = shell.shows("before")
    assert "state" not in after, "what was on the terminal is there again"
    shell.tmux("send-keys", "echo it was $?", "Enter")
    shell.shows("it was 0")


def test_rates_and_times_of_requests(bucket, mount, terminal):
    bucket.put("f", b"x" * 1000)
    mnt = mount()
    shell = terminal()
    shell.type(BINARY, "status", mnt.path, "--watch=0.3")
    shell.shows("state       ok")

    def shows_requests():
        for _ in range(50):
            os.close(os.open(mnt.path / "f", os.O_RDONLY))
        return "99 % within" in (shown := shell.screen()) and any(
            line.split()[0] == "open" and float(line.split()[1].replace(",", "")) > 0 and float(line.split()[2]) > 0
            for line in shown.splitlines() if line.startswith("open"))
    wait_for(shows_requests, 30)


def test_a_small_terminal_is_not_overrun(bucket, mount, terminal):
    mnt = mount()
    shell = terminal(rows=8)
    shell.type(BINARY, "status", mnt.path, "--watch=0.2")
    assert shell.shows("state       ok").splitlines()[0].startswith("state")


def test_a_mount_that_goes_away_is_told_and_waited_for(bucket, mount, terminal):
    mnt = mount()
    shell = terminal()
    shell.type(BINARY, "status", mnt.path, "--watch=0.2")
    shell.shows("state       ok")
    mnt.unmount()
    shell.shows("state       no gridmount there, or it does not answer")
    mnt.start()
    shell.shows("state       ok")


def test_without_a_terminal_one_comes_below_the_other(bucket, mount):
    mnt = mount()
    with subprocess.Popen([BINARY, "status", mnt.path, "--watch=0.1"], stdout=subprocess.PIPE, text=True,
                          env=environment()) as watch:
        seen = 0
        for line in watch.stdout:
            assert "\033" not in line
            seen += line.startswith("state       ok")
            if seen == 3:
                break
        watch.send_signal(signal.SIGINT)
        watch.stdout.read()
        assert watch.wait() == 0


def test_wrong_words(mount):
    mnt = mount()
    for words in (["--watch", "--json"], ["--watch", "--wait"], ["--watch=x"]):
        result = gridmount("status", mnt.path, *words)
        assert (result.returncode, result.stdout) == (2, "") and "gridmount:" in result.stderr


def test_the_status_is_one_screen(bucket, mount):
    bucket.put("f", b"x")
    mnt = mount()
    (mnt.path / "f").read_bytes()
    lines = gridmount("status", mnt.path).stdout.splitlines()
    assert lines[0].startswith("state ") and len(lines) < 40
    counted = [line for line in lines[lines.index("") + 1:]]
    assert any(line.startswith("round_trips ") for line in counted)
    assert all(int(line.split()[1]) for line in counted), "what counts nothing is left out"
    assert len((mnt.path / ".gridfs/status").read_text().splitlines()) > len(lines)
