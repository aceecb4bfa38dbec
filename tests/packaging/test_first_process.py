# SPDX-License-Identifier: Apache-2.0
"""`gridmount run` as process 1 of a container: it takes in what COMMAND has lost, and passes on what it is sent."""
import contextlib
import os
import pathlib
import signal
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("GRIDMOUNT_BINARY", ROOT / "build/gridmount"))
PASSED_ON = ("HUP", "INT", "QUIT", "USR1", "USR2", "WINCH", "TTIN", "TTOU", "TERM")

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/fuse"), reason="needs root and /dev/fuse")


def listen_again():
    """What a shell starts in the background ignores these, and no shell below can trap what was ignored."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def first_process(server, folder, script):
    """It, in a PID namespace of its own, around a shell script; ready once that has said so."""
    (folder / "mnt").mkdir(exist_ok=True)
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", str(BINARY), "run", server.uri("packaging"),
               str(folder / "mnt"), "-o", f"staging_dir={folder}/staging", "--", "sh", "-c", "echo ready; " + script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=listen_again) as outer:
        try:
            assert outer.stdout.readline() == "ready\n"
            yield outer
        finally:
            outer.kill()


def test_it_takes_in_what_the_command_has_lost(server, tmp_path):
    script = "lost=$(sh -c 'sleep 0.01 >&2 & echo $!'); while [ -e /proc/$lost ]; do sleep 0.02; done; exit 7"
    with first_process(server, tmp_path, script) as outer:
        assert outer.wait(30) == 7


def test_it_passes_signals_on(server, tmp_path):
    traps = "; ".join(f"trap 'echo {name}' {name}" for name in PASSED_ON[:-1])
    with first_process(server, tmp_path, f"{traps}; trap 'exit 41' TERM; echo set; while :; do sleep 0.02; done") as outer:
        assert outer.stdout.readline() == "set\n"
        inner = int(pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text())
        for name in PASSED_ON[:-1]:
            os.kill(inner, getattr(signal, f"SIG{name}"))
            assert outer.stdout.readline() == f"{name}\n"
        os.kill(inner, signal.SIGTERM)
        assert outer.wait(30) == 41


def test_it_ends_as_the_command_did(server, tmp_path):
    with first_process(server, tmp_path, "exit 5") as outer:
        assert outer.wait(30) == 5
    with first_process(server, tmp_path, "kill -9 $$") as outer:
        assert outer.wait(30) == 128 + signal.SIGKILL
