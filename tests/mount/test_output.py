# SPDX-License-Identifier: Apache-2.0
"""Standard output that is full, or closed: what was not said was not done, and is not said elsewhere."""
import os
import subprocess

import pytest

from mounting import BINARY, environment

COMMANDS = {"status": (), "status --json": (), "status --watch=0.1": (), "log": ("f",), "log --json": ("f",), "verify": ("f",),
            "verify --sums": ("f",), "verify --json": ("f",), "warm": ("f",), "profile": (), "profile --json": (), "--help": None}


@pytest.mark.parametrize("closed", ["/dev/full", "&-"])
def test_what_could_not_be_written_is_an_error(bucket, mount, tmp_path, closed):
    bucket.put("f", b"x")
    mnt = mount(f"trace={tmp_path / 'trace'}")
    for command, path in COMMANDS.items():
        words = [BINARY, *command.split(), *([] if path is None else [mnt.path.joinpath(*path)])]
        done = subprocess.run(["sh", "-c", f'exec "$@" >{closed}', "sh", *words], env=environment(), capture_output=True,
                              timeout=20, check=False)
        assert done.returncode == 1, (command, done)


def test_what_is_closed_is_nobody_elses(mount):
    """Else the log, which goes to standard error, would go to the server."""
    mnt = mount(within=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    assert [os.readlink(f"/proc/{mnt.pid}/fd/{number}") for number in range(3)] == 3 * ["/dev/null"]
