"""Ask the running application and compare with what the same application answers on plain files."""

import contextlib
import logging
import tempfile
import threading
import time
import urllib.error
import urllib.request

from app import create_app

ROUTES = ("/", "/health", "/statistics", "/predict/17", "/predict/8199", "/predict/8200", "/assets/none.png")
COMPARED = ("Content-Type", "Content-Length", "Cache-Control")
PATIENCE = 30


class Wrong(Exception):
    """Something is not as it should be; the message is for the user."""


class Answer:
    """Status, headers, body of one request, and how long it took."""

    def __init__(self, address, path, headers=None):
        started = time.monotonic()
        request = urllib.request.Request(address + path, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                self.status, self.headers, self.body = response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            self.status, self.headers, self.body = error.code, error.headers, error.read()
        except (OSError, urllib.error.URLError) as error:
            raise Wrong(f"GET {path}: {error}") from error
        self.path, self.milliseconds = path, 1000 * (time.monotonic() - started)

    def must(self, status, body, headers=None):
        """Print the answer if it is as expected, else raise Wrong."""
        if self.status != status:
            raise Wrong(f"GET {self.path}: status {self.status}, expected {status}: {self.body[:200]!r}")
        for name, value in (headers or {}).items():
            if self.headers[name] != value:
                raise Wrong(f"GET {self.path}: {name}: {self.headers[name]}, expected {value}")
        if self.body != body:
            raise Wrong(f"GET {self.path}: {len(self.body)} bytes that are not the {len(body)} expected")
        kind = self.headers["Content-Type"] or ""
        print(f"    ok  {self.status}  {self.path:<40}{len(self.body):>9} B  {kind:<26}{self.milliseconds:6.0f} ms")


def check_routes(address, samples):
    """Every route and every file; the plain files are in samples/data and samples/assets."""
    plain = {"DATA_DIR": str(samples / "data"), "ASSETS_DIR": str(samples / "assets")}
    client = create_app(plain).test_client()
    files = [path.relative_to(samples) for path in sorted(samples.rglob("*")) if path.is_file()]
    for path in (*ROUTES, *(f"/{name}" for name in files)):
        expected = client.get(path)
        headers = {name: expected.headers.get(name) for name in COMPARED}
        Answer(address, path).must(expected.status_code, expected.data, headers)
    check_conditional(address, "/assets/banner.jpg")
    check_range(address, "/data/films.npy", (samples / "data/films.npy").read_bytes())
    check_unhealthy()


def check_conditional(address, path):
    """What a browser has is not sent again."""
    tag = Answer(address, path).headers["ETag"]
    if not tag:
        raise Wrong(f"GET {path}: no ETag")
    Answer(address, path, {"If-None-Match": tag}).must(304, b"", {"ETag": tag})


def check_range(address, path, content):
    Answer(address, path, {"Range": "bytes=5000000-5000999"}).must(206, content[5000000:5001000])


def check_unhealthy():
    """A health check counts only if it can fail: without the files it must."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as empty:
        answer = create_app({"DATA_DIR": empty, "ASSETS_DIR": empty}).test_client().get("/health")
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
