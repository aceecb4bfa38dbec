# SPDX-License-Identifier: Apache-2.0
"""The real pattern: an API takes uploads on one host, workers on three others resize them, the API serves the results,
and an application lists and deletes what is done, all at once: nothing is missing, torn or stale."""
import io
import pathlib
import queue
import subprocess
import sys
import threading
import time

import flask
import gridfs
import PIL.Image
import pytest

WORKER = pathlib.Path(__file__).with_name("resize_worker.py")
WORKERS, CLIENTS = 3, 4
SIDE, SMALL = 160, 40


def colour(number):
    return (number % 256, number // 256 * 8 % 256, 77)


def picture(number):
    """An image of a colour of its own, as a photo compresses: some tens of kilobytes."""
    image = PIL.Image.effect_noise((SIDE, SIDE), 60).convert("RGB")
    image.paste(colour(number), (0, 0, SIDE, SIDE // 2))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def make_api(root, jobs):
    """What such services look like: save, enqueue, serve by path."""
    api = flask.Flask("api")

    @api.post("/upload/<name>")
    def upload(name):
        flask.request.files["image"].save(root / "storage/uploads" / name)
        jobs.put(name)
        return "", 202

    @api.get("/processed/<name>")
    def processed(name):
        return flask.send_from_directory(root / "storage/processed", name)
    return api


class Workers:
    """A process on each mount that is given a name and says when its result is there."""

    def __init__(self, mounts, jobs):
        self.jobs, self.done, self.failed = jobs, {}, []
        self.processes = [subprocess.Popen([sys.executable, WORKER, mnt.path / "storage"], text=True,
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE) for mnt in mounts]
        self.threads = [threading.Thread(target=self.feed, args=(process,)) for process in self.processes]
        for thread in self.threads:
            thread.start()

    def feed(self, process):
        while name := self.jobs.get():
            process.stdin.write(name + "\n")
            process.stdin.flush()
            answer = process.stdout.readline().strip()
            if answer != name:
                self.failed.append(f"{name}: {answer}")
            self.done.setdefault(name, queue.Queue()).put(answer)

    def wait_for(self, name):
        self.done.setdefault(name, queue.Queue()).get(timeout=60)

    def end(self):
        for _ in self.threads:
            self.jobs.put(None)
        for thread, process in zip(self.threads, self.processes):
            thread.join()
            process.communicate()


def upload_and_look(api, workers, number, problems):
    """A new name, then another content under the same: each result is that of the last upload."""
    client, name = api.test_client(), f"photo-{number}.png"
    for version in (number, number + 1):
        response = client.post(f"/upload/{name}", data={"image": (io.BytesIO(picture(version)), name)})
        assert response.status_code == 202
        workers.wait_for(name)
        response = client.get(f"/processed/{name}")
        if response.status_code != 200:
            problems.append(f"{name}: missing")
            continue
        image = PIL.Image.open(io.BytesIO(response.data))
        image.load()    # raises when it is torn
        if image.size != (SMALL, SMALL) or image.getpixel((SMALL // 2, 2)) != colour(version):
            problems.append(f"{name}: stale, {image.size} {image.getpixel((SMALL // 2, 2))} not {colour(version)}")


def housekeep(database, finished, over, problems):
    """The application: lists all the time, and deletes what it is told is finished."""
    files = gridfs.GridFS(database)
    while not (over.is_set() and finished.empty()):
        while not finished.empty():
            number, known = finished.get(), set(files.list())
            for name in (f"storage/uploads/photo-{number}.png", f"storage/processed/photo-{number}.png"):
                if name not in known:
                    problems.append(f"{name} is not listed")
                for document in database.fs.files.find({"filename": name}, {"_id": 1}):
                    files.delete(document["_id"])
        time.sleep(0.05)


def run(mount, database, uploads):
    """The API's mount is `strict`, since send_file() asks for the size before it opens: see the README."""
    front, back = mount(options="consistency=strict"), [mount() for _ in range(WORKERS)]
    for folder in ("uploads", "processed"):
        (front.path / "storage" / folder).mkdir(parents=True)
    jobs, finished, over, problems = queue.Queue(), queue.Queue(), threading.Event(), []
    workers, api = Workers(back, jobs), make_api(front.path, jobs)
    numbers = iter(range(uploads // 2))

    def upload():
        for number in numbers:
            try:
                upload_and_look(api, workers, number, problems)
            except Exception as error:  # pylint: disable=broad-except  # told at the end, with the others
                problems.append(f"photo-{number}: {error!r}")
            finished.put(number)
    threads = [threading.Thread(target=upload) for _ in range(CLIENTS)]
    keeper = threading.Thread(target=housekeep, args=(database, finished, over, problems))
    for thread in [*threads, keeper]:
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    keeper.join()
    workers.end()
    assert not problems and not workers.failed, (problems + workers.failed)[:10]
    assert database.fs.files.count_documents({"filename": {"$regex": "^storage/"}}) == 0
    for folder in ("uploads", "processed"):
        assert not any(any((mnt.path / "storage" / folder).iterdir()) for mnt in [front, *back])


def test_an_api_and_its_workers_on_four_mounts(database, mount):
    run(mount, database, 40)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_an_api_and_its_workers_with_a_thousand_uploads(database, mount):
    run(mount, database, 1000)
