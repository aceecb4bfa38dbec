# SPDX-License-Identifier: Apache-2.0
"""compose.yaml: what it says, and its three profiles started for real."""
import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from engine import ROOT, mounts, until

pytestmark = pytest.mark.long
FOLDER = ROOT / "packaging/compose"
PROFILES = ("sidecar", "standalone", "jobs")
ADDRESS = "http://127.0.0.1:8000"
TO_JSON = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"


@pytest.fixture(scope="session")
def compose():
    """The command: the plugin of Docker, else Debian's docker-compose."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    return pytest.skip("neither docker compose nor docker-compose is installed")


@pytest.fixture(scope="session")
def config(compose):
    """By profile, what Compose reads there; it has nothing to complain of."""
    found = {}
    for profile in PROFILES:
        done = subprocess.run([*compose, "--env-file", ".env.example", "--profile", profile, "config"], cwd=FOLDER,
                              capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        as_json = subprocess.run(["/usr/bin/python3", "-c", TO_JSON], input=done.stdout, capture_output=True, text=True, check=True)
        found[profile] = json.loads(as_json.stdout)["services"]
    return found


def services(config):
    return itertools.chain(*(found.items() for found in config.values()))


def test_every_service_is_bounded(config):
    for name, service in services(config):
        assert {"mem_limit", "cpus", "pids_limit"} <= set(service), name
        assert {"max-size", "max-file"} <= set(service["logging"]["options"]), name


def test_nothing_is_privileged(config):
    for name, service in services(config):
        assert not service.get("privileged"), name
        assert service.get("cap_add", ["SYS_ADMIN"]) == ["SYS_ADMIN"], name
    application = config["sidecar"]["app"]
    assert "cap_add" not in application and application["cap_drop"] == ["ALL"]


def test_the_image_has_no_assets():
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {f"packaging/example/app/{name}" for name in ("data", "assets", "votes")} <= set(ignored)


# ---- started ----

def get(path, timeout=5):
    """(status, body); 0 when nobody answers."""
    try:
        with urllib.request.urlopen(ADDRESS + path, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def post(path, body):
    request = urllib.request.Request(ADDRESS + path, data=body)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def healthy():
    return get("/health")[0] == 200


class Project:
    """compose.yaml as it is, but for the device, which is not everybody's on each machine."""

    def __init__(self, images, command, folder):
        self.images, self.environment = images, images.environment | {"SHARED_DIR": str(images.shared)}
        self.command = [*command, "-p", "film", "--env-file", FOLDER / ".env.example", "-f", FOLDER / "compose.yaml",
                        "-f", folder / "device.json"]

    def run(self, *words, check=True):
        done = subprocess.run([*map(str, self.command), *words], env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
        assert not check or done.returncode == 0, done.stdout[-4000:]
        return done.stdout

    def container(self, service):
        return self.run("ps", "-q", service).split()[-1]

    def publish(self, folder):
        """The application's files, put with pymongo."""
        import samples
        address = f"mongodb://{self.images.address(self.container('mongo'))}/?directConnection=true"
        for bucket, make in (("data", samples.make_data), ("assets", samples.make_assets)):
            (folder / bucket).mkdir()
            make(folder / bucket)
            files = [path for path in sorted((folder / bucket).iterdir()) if path.is_file()]
            subprocess.run([sys.executable, "-B", ROOT / "packaging/example/publish.py", bucket, *files], check=True,
                           env={**os.environ, "MONGODB_URL": address, "DB_NAME": "films"}, stdout=subprocess.DEVNULL)

    def start(self, folder):
        self.run("up", "-d", "mongo")
        until(lambda: self.images.docker("exec", self.container("mongo"), "mongosh", check=False).returncode == 0)
        self.publish(folder)
        self.run("up", "-d")
        until(healthy, 90)


@pytest.fixture
def project(request, images, compose, config, tmp_path):
    """The profile that the test is named for; at its end nothing of it is left."""
    profile = request.function.__name__.removeprefix("test_")
    device = {"devices": [f"{images.device}:/dev/fuse"]}
    (tmp_path / "device.json").write_text(json.dumps({"services": {
        name: device for name, service in config[profile].items() if "devices" in service}}))
    made = Project(images, [*compose, "--profile", profile], tmp_path)
    try:
        yield made
        print(made.run("ps"))
    finally:
        (tmp_path / "log").write_text(made.run("logs", "--tail", "100", check=False))
        made.run("down", "-v", "-t", "20")
    assert images.docker("ps", "-aq").stdout == ""
    assert images.docker("network", "ls", "-q", "--filter", "type=custom").stdout == ""
    assert [point for point in mounts(images.shared) if point != str(images.shared)] == []


class Load:
    """Asks all the time, four at once; counts what was asked and answered while it is `green` throughout."""

    PATHS = ("/predict/3", "/assets/logo.png", "/statistics", "/votes/3")

    def __init__(self):
        self.period, self.counted, self.failed, self.over = 0, 0, [], threading.Event()
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(4)]

    def work(self):
        for path in itertools.cycle(self.PATHS):
            period = self.period
            status, body = get(path)
            if period % 2 and period == self.period:
                self.counted += 1
                if status != 200:
                    self.failed.append((path, status, body[:200]))
            if self.over.wait(0 if status else 0.02):
                return

    def turn(self, green):
        assert self.period % 2 != green
        self.period += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(30)


def test_sidecar(project, images, tmp_path):
    project.start(tmp_path)
    assert post("/votes/3", b"stars=5")["votes"] == 1
    with Load() as load:
        for _ in range(20):
            project.run("restart", "-t", "5", "app")
            until(healthy)
            load.turn(green=True)
            enough = load.counted + 40
            until(lambda enough=enough: load.counted >= enough)
            load.turn(green=False)
    print(f"20 restarts: {load.counted} requests, {len(load.failed)} failed")
    assert not load.failed
    project.run("stop", "mount-data")
    until(lambda: get("/health")[0] == 503)
    assert mounts(images.shared / "data") == []
    project.run("start", "mount-data")
    until(healthy)
    project.run("stop", "-t", "20")
    assert mounts(images.shared) == [str(images.shared)]


def test_standalone(project, images, tmp_path):
    project.start(tmp_path)
    assert post("/votes/3", b"stars=4")["votes"] == 1
    project.run("restart", "-t", "20", "film")
    until(healthy)
    assert json.loads(get("/votes/3")[1])["votes"] == 1
    project.run("stop", "-t", "20", "film")
    assert images.inspect(project.container("film"), ".State.ExitCode") == "0"


def test_jobs(project):
    project.run("up", "-d")
    until(healthy, 90)
    names = [post("/uploads", bytes([number]) * 10000)["name"] for number in range(30)]
    for name in names:
        until(lambda name=name: get(f"/processed/{name}")[0] == 200)
        assert get(f"/processed/{name}")[1].split()[0] == b"10000"
