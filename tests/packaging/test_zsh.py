# SPDX-License-Identifier: Apache-2.0
"""What zsh offers, asked for with the tab key at a terminal."""
import contextlib
import fcntl
import os
import select
import shutil
import struct
import subprocess
import termios
import time

import pytest

from test_install import installed, options  # pylint: disable=unused-import

SIZE = struct.pack("HHHH", 400, 250, 0, 0)      # all that is offered fits, or zsh would ask first
SETTINGS = "autoload -Uz compinit; compinit -u -D; LISTMAX=1000; unset zle_bracketed_paste; PS1='re''ady: '\n"

pytestmark = pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is missing: packaging/bootstrap packaging installs it")


@contextlib.contextmanager
def terminal(folder):
    """A shell with the completion that is in a folder; the near end of its terminal."""
    near, far = os.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, SIZE)
    with subprocess.Popen(["zsh", "-f", "-i"], stdin=far, stdout=far, stderr=far, start_new_session=True, cwd=folder,
                          env={"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": "/nonexistent"}) as shell:
        os.close(far)
        try:
            os.write(near, f"fpath=({folder} $fpath); {SETTINGS}".encode())
            yield near
        finally:
            shell.kill()
            os.close(near)


def read_until(near, mark):
    """What comes before a mark."""
    said, deadline = "", time.monotonic() + 20
    while mark not in said:
        assert time.monotonic() < deadline, said
        if select.select([near], [], [], 0.1)[0]:
            said += os.read(near, 1 << 16).decode()
    return said.split(mark)[0]


def complete(installed, line):
    """The words that zsh offers at the end of a line; the line is shown again after them."""
    with terminal(installed / "share/zsh/site-functions") as near:
        read_until(near, "ready: ")
        os.write(near, line.encode() + b"\t")
        return set(read_until(near, "ready: ").split())


def test_zsh_offers_commands_options_and_their_words(installed, options):
    assert {"mount", "run", "umount", "status", "warm", "fsck"} <= complete(installed, "gridmount ")
    assert set(options) <= complete(installed, "gridmount mount -o ")
    assert {"immutable", "open", "strict", "ttl:"} <= complete(installed, "gridmount mount -o ro,consistency=")
    assert {"--jobs", "--json", "--verify"} <= complete(installed, "gridmount warm --")
