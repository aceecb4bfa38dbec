# SPDX-License-Identifier: Apache-2.0
"""Ask the running application and compare with what the same application answers on plain files."""

import contextlib
import io
import logging
import tempfile
import threading
import time
import urllib.error
import urllib.request

from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from app import create_app

ROUTES = ("/", "/health", "/statistics", "/predict/17", "/predict/8199", "/predict/8200", "/votes/17",
          "/assets/none.png")
COMPARED = ("Content-Type", "Content-Length", "Cache-Control", "Location")
PATIENCE = 30


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer to be checked, not followed."""

    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirect)


class Wrong(Exception):
    """Something is not as it should be; the message is for the user."""


class Answer:
    """Status, headers, body of one request, and how long it took."""

    def __init__(self, address, path, headers=None, body=None):
        started = time.monotonic()
        request = urllib.request.Request(address + path, data=body, headers=headers or {})
        self.method, self.path = request.get_method(), path
        try:
            with OPENER.open(request, timeout=PATIENCE) as response:
                self.status, self.headers, self.body = response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            self.status, self.headers, self.body = error.code, error.headers, error.read()
        except (OSError, urllib.error.URLError) as error:
            raise Wrong(f"{self.method} {path}: {error}") from error
        self.milliseconds = 1000 * (time.monotonic() - started)

    def must(self, status, body, headers=None):
        """Print the answer if it is as expected, else raise Wrong."""
        if self.status != status:
            raise Wrong(f"{self.method} {self.path}: status {self.status}, expected {status}: {self.body[:200]!r}")
        for name, value in (headers or {}).items():
            if self.headers[name] != value:
                raise Wrong(f"{self.method} {self.path}: {name}: {self.headers[name]}, expected {value}")
        if self.body != body:
            raise Wrong(f"{self.method} {self.path}: {len(self.body)} bytes that are not the {len(body)} expected")
        kind = self.headers["Content-Type"] or ""
        size, time_taken = f"{len(self.body):>9} B", f"{self.milliseconds:6.0f} ms"
        print(f"    ok  {self.status}  {self.method:<5}{self.path:<40}{size}  {kind:<26}{time_taken}")


class Twins:
    """The application on the mounts, and the same on plain files: asked the same, both must say and do the same."""

    def __init__(self, address, plain):
        self.address, self.plain = address, plain
        self.client = create_app(directories(lambda name: plain / name)).test_client()

    def get(self, path):
        self.compare(self.client.get(path), Answer(self.address, path))

    def post(self, path, **fields):
        """Send a form, whose fields are texts or pairs (file, name); returns the status."""
        fields = {name: FileStorage(io.BytesIO(value[0]), value[1]) if isinstance(value, tuple) else value
                  for name, value in fields.items()}
        boundary, body = encode_multipart(fields)
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        answer = Answer(self.address, path, headers, body)
        self.compare(self.client.post(path, data=body, headers=headers), answer)
        return answer.status

    @staticmethod
    def compare(expected, answer):
        answer.must(expected.status_code, expected.data, {name: expected.headers.get(name) for name in COMPARED})


def directories(place):
    """Settings that put each directory of the application where `place` says."""
    return {f"{name.upper()}_DIR": str(place(name)) for name in ("data", "assets", "votes")}


def check_routes(twins):
    """Every route that reads, and every file."""
    address, samples = twins.address, twins.plain
    files = [path.relative_to(samples) for path in sorted(samples.rglob("*")) if path.is_file()]
    for path in (*ROUTES, *(f"/{name}" for name in files)):
        twins.get(path)
    check_conditional(address, "/assets/banner.jpg")
    check_range(address, "/data/films.npy", (samples / "data/films.npy").read_bytes())
    check_unhealthy()


def check_conditional(address, path):
    """What a browser has is not sent again; returns the tag it is known by."""
    tag = Answer(address, path).headers["ETag"]
    if not tag:
        raise Wrong(f"GET {path}: no ETag")
    Answer(address, path, {"If-None-Match": tag}).must(304, b"", {"ETag": tag})
    return tag


def check_range(address, path, content):
    Answer(address, path, {"Range": "bytes=5000000-5000999"}).must(206, content[5000000:5001000])


def check_unhealthy():
    """A health check counts only if it can fail: without the files it must."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as empty:
        answer = create_app(directories(lambda _: empty)).test_client().get("/health")
    logging.disable(logging.NOTSET)
    if answer.status_code != 503:
        raise Wrong(f"GET /health: status {answer.status_code} without the files, expected 503")


def check_replaced(address, photo):
    """The photo that was just put is the one that is served."""
    path = f"/assets/{photo.name}"
    Answer(address, path).must(200, photo.read_bytes(), {"Content-Length": str(photo.stat().st_size)})


@contextlib.contextmanager
def progress(text):
    """Print what is being done, and every two seconds that it still is."""
    print(text)
    done = threading.Event()
    started = time.monotonic()

    def tell():
        while not done.wait(2):
            print(f"    still working, {time.monotonic() - started:.0f} s")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
