# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of the README: the page of metrics_listen, and `gridmount status --watch`, of a mount under a load.

    screenshots.py [--to FOLDER] [--seconds N]
"""
import argparse
import contextlib
import html
import os
import pathlib
import random
import subprocess
import tempfile
import threading
import time

import browser
import mounting
import servers

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIB = 1 << 20
COLUMNS, ROWS = 100, 36
TRAINED = "models/film/encoder.pt"
FILES = {TRAINED: 96, "models/film/decoder.pt": 48, "assets/posters/poster-0017.jpg": 3,
         "data/reviews.npy": 24, "data/ratings.pkl": 8}


def fill(client):
    import gridfs
    bucket = gridfs.GridFS(client.shop)
    bucket.put(os.urandom(90 * MIB), filename=TRAINED)     # the model of yesterday
    for name, size in FILES.items():
        bucket.put(os.urandom(size * MIB), filename=name)
    for number in range(200):
        bucket.put(os.urandom(20_000), filename=f"assets/thumbnails/{number:04}.jpg")


def work(root, ended):
    """What an application does to a mount: a model now and then, rows of an array, small files, a file put."""
    chosen = random.Random(1)
    names = list(FILES)
    while not ended.is_set():
        name = chosen.choices(names, (4, 2, 1, 3, 1))[0]
        with open(root / name, "rb", buffering=0) as file:
            if name.endswith(".npy"):
                for _ in range(40):
                    file.seek(chosen.randrange(FILES[name] * MIB - 65536))
                    file.read(65536)
            else:
                while file.read(MIB) and not ended.is_set():
                    pass
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for number in chosen.sample(range(200), 20):
            (root / f"assets/thumbnails/{number:04}.jpg").read_bytes()
        (root / "data/last-run.txt").write_text(f"{chosen.random()}\n")
        ended.wait(chosen.choice((0.05, 0.2, 0.6)))


@contextlib.contextmanager
def busy_mount(folder):
    port = servers.free_port()
    with servers.start("default", folder / "server") as server:
        with server.client() as client:
            fill(client)
        mnt = mounting.Mount(server.uri("shop", directConnection="true"), folder / "assets", folder / "log",
                             f"metrics_listen={port},cache_size=64M,cache_dir={folder}/cache,cache_disk=96M", longest=300).start()
        ended = threading.Event()
        worker = threading.Thread(target=work, args=(mnt.path, ended))
        worker.start()
        try:
            yield mnt
        finally:
            ended.set()
            worker.join()
            mnt.unmount()


@contextlib.contextmanager
def terminal(folder, *command):
    def tmux(*arguments):
        return subprocess.run(["tmux", "-S", folder / "tmux", "-f", "/dev/null", *map(str, arguments)], check=True,
                              text=True, capture_output=True, env=mounting.environment(TERM="xterm")).stdout
    tmux("new-session", "-d", "-x", COLUMNS, "-y", ROWS, *command)
    try:
        yield lambda: tmux("capture-pane", "-p")
    finally:
        tmux("kill-server")


def draw_terminal(text, path):
    style = "margin:0;padding:14px 18px;font:14px/1.35 'DejaVu Sans Mono',monospace;background:#1d2126;color:#e8eaed"
    page_source = f"<title>watch</title><body style='margin:0'><pre style=\"{style}\">{html.escape(text.rstrip())}</pre>"
    with browser.opened(width=900, height=200) as page:
        page.get("data:text/html;charset=utf-8," + page_source.replace("%", "%25").replace("#", "%23"))
        browser.take_picture(page, path)


def take_pictures(folder, to, seconds):
    with busy_mount(folder) as mnt, contextlib.ExitStack() as stack:
        shown = stack.enter_context(terminal(folder, mounting.BINARY, "status", mnt.path, "--watch"))
        pages = {"page": {}, "page-narrow": {"width": 400, "height": 800, "dark": True}}
        for name, settings in pages.items():
            pages[name] = stack.enter_context(browser.opened(**settings))
            pages[name].get((mnt.path / ".gridfs/page").read_text().strip())
        time.sleep(seconds)
        for name, page in pages.items():
            page.execute_script("showRevisions(arguments[0])", TRAINED)
            mounting.wait_for(lambda page=page: page.find_elements("css selector", ".revision"), what="its revisions")
            browser.take_picture(page, to / f"{name}.png")
        screen = shown()
    draw_terminal(screen, to / "watch.png")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", type=pathlib.Path, default=ROOT / "packaging" / "screenshots")
    parser.add_argument("--seconds", type=int, default=120)
    arguments = parser.parse_args()
    if browser.MISSING:
        parser.error(browser.WHY)
    arguments.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        take_pictures(pathlib.Path(folder), arguments.to, arguments.seconds)
    print("\n".join(str(path) for path in sorted(arguments.to.glob("*.png"))))


if __name__ == "__main__":
    main()
