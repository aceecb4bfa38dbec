# SPDX-License-Identifier: Apache-2.0
"""Other mounts in the table, each where its program is in PATH: what a program that knows paths gets from them.

rclone mounts a folder that `rclone serve webdav` serves, behind the same link: no GridFS, but what many mount models
with. py_gridfs_fuse (`gridfs_fuse`) mounts GridFS; it changes the names in its database to what pymongo does not find,
so it has one of its own, filled through it. Both run with their defaults.
"""
import contextlib
import os
import shutil
import socket
import subprocess

import cells
import fill
import proxy
import servers
from stage import BUILD, PREFIX, wait_until

FILES = 200


def fill_folder(folder, mib):
    """What the works read: arrays, small files, and a directory to be listed."""
    for size in {cells.RUNG_LEAST, mib}:
        head = fill.array_head(size << 20)
        with open(folder / f"{size}.npy", "wb") as file:
            file.write(head)
            for _ in range(size):
                file.write(os.urandom(1 << 20))
    for directory, name in (("small", "{:05}.bin"), ("many", "file{:06}.bin")):
        (folder / directory).mkdir()
        for number in range(FILES):
            (folder / directory / name.format(number)).write_bytes(os.urandom(fill.SMALL))


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def running(command, ready, what, unmount=None):
    """A program that serves until it is told to end."""
    with open(BUILD / "others.log", "ab") as log:
        process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *map(str, command)],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(ready, what)
        yield
    finally:
        if unmount and os.path.ismount(unmount):
            subprocess.run(["fusermount3", "-u", str(unmount)])
        else:
            process.terminate()
        process.wait(20)


def mounting(command, what):
    place = BUILD / "other"
    place.mkdir(exist_ok=True)
    return running([*command, place], lambda: os.path.ismount(place), f"{what} mounts", place), place


class Rclone:
    """A server and a link of its own."""
    name, program = "rclone, webdav", "rclone"

    def __init__(self, stage, opened):
        self.folder = BUILD / "served"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        opened.callback(shutil.rmtree, self.folder, ignore_errors=True)
        fill_folder(self.folder, stage.sizes["table_file"])
        self.port = servers.free_port()
        opened.enter_context(running(["rclone", "serve", "webdav", self.folder, "--addr", f"127.0.0.1:{self.port}"],
                                     lambda: answers(self.port), "rclone serves"))
        self.link = opened.enter_context(proxy.Proxy("127.0.0.1", self.port))

    @contextlib.contextmanager
    def mounted(self, link):
        self.link.set(**link.settings)
        port = self.port if link.is_direct else self.link.port
        mount, place = mounting(["rclone", "mount", "--read-only", "--webdav-url", f"http://127.0.0.1:{port}",
                                 ":webdav:"], self.name)
        with mount:
            yield place


class PyGridfsFuse:
    name, program = "py_gridfs_fuse", "gridfs_fuse"

    def __init__(self, stage, opened):
        self.server, self.database = stage.server, PREFIX + "other"
        self.link = opened.enter_context(proxy.Proxy("127.0.0.1", self.server.port))
        folder = BUILD / "copied"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        opened.callback(shutil.rmtree, folder, ignore_errors=True)
        fill_folder(folder, stage.sizes["table_file"])
        stage.empty("other")
        with self.mounted(cells.Link(0, 0)) as place:
            for path in sorted(folder.iterdir()):
                subprocess.run(["cp", "-r", path, place], check=True)

    @contextlib.contextmanager
    def mounted(self, link):
        self.link.set(**link.settings)
        port = self.server.port if link.is_direct else self.link.port
        mount, place = mounting(["gridfs_fuse", "--mongodb-uri", f"mongodb://127.0.0.1:{port}/?directConnection=true",
                                 "--database", self.database, "--mount-point"], self.name)
        with mount:
            yield place


@contextlib.contextmanager
def installed(stage):
    """{name: mount} of those that are in PATH and can be filled."""
    with contextlib.ExitStack() as opened:
        yield {kind.name: kind(stage, opened) for kind in (Rclone, PyGridfsFuse) if shutil.which(kind.program)}
