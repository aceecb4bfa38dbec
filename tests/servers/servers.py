# SPDX-License-Identifier: Apache-2.0
"""Real servers for the tests, the benchmarks and the demo; never a mock.

    import servers
    with servers.start("default", "/some/folder") as server:
        server.uri("app")     # mongodb://127.0.0.1:PORT/app
        server.client()       # a pymongo client
        server.kill()         # SIGKILL; then server.restart()

Kinds: `secantus` (SecantusDB in Python, from the venv this runs in), `secantus-rs`
(secantusd-rs in PATH), `ferretdb` (build/ferretdb), `mongod` (in PATH), `external`
(whatever GRIDMOUNT_TEST_URI names), and `default`: external, else mongod, else
secantus, the first that is there.

A server listens on 127.0.0.1 only, is stopped by process id, and ends with the
program that started it unless it was started with keep=True.
"""
import atexit
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

import pymongo
import pymongo.errors

ROOT = pathlib.Path(__file__).resolve().parents[2]
FERRETDB = ROOT / "build" / "ferretdb"
USER, PASSWORD = "mounter", "pass:word/@%"
READY_SECONDS = 30
STOP_SECONDS = 10
PORTS = range(16384, 32768)
RESERVED = []
KINDS = ("default", "external", "mongod", "secantus", "secantus-rs", "ferretdb")


class NotAvailable(Exception):
    """This kind of server is not installed here; the text says what is missing."""


class ServerFailed(Exception):
    """The server ended or did not answer; the text has the end of its log."""


def free_port():
    """A port of 127.0.0.1 that nobody listens on, and that no other call gets, of any program, while this one runs.

    None of those that the kernel deals out: they go to somebody else while our server is down.
    """
    for port in random.sample(PORTS, len(PORTS)):
        taken = socket.socket(socket.AF_UNIX)
        try:
            taken.bind(f"\0gridmount-test-port-{port}")     # has no file, and ends with us
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            taken.close()
            continue
        RESERVED.append(taken)
        return port
    raise ServerFailed(f"none of the ports {PORTS[0]} to {PORTS[-1]} is free")


def with_database(uri, database, **options):
    """The connection string `uri`, naming `database`, with more options."""
    scheme, rest = uri.split("://", 1)
    hosts, _, path = rest.partition("/")
    _, _, query = path.partition("?")
    pairs = dict(urllib.parse.parse_qsl(query)) | {k: str(v) for k, v in options.items()}
    query = urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote)
    return f"{scheme}://{hosts}/{database}" + (f"?{query}" if query else "")


def make_certificate(directory):
    """A self-signed certificate for 127.0.0.1 and localhost: (certificate, key) paths."""
    certificate, key = directory / "server.crt", directory / "server.key"
    if not certificate.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", str(key), "-out", str(certificate)],
            check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return certificate, key


class Server:
    """A running server. Made by start(), never directly."""

    kind = ""
    has_auth = False        # can ask for a user and a password
    has_tls = False
    has_transactions = False
    has_nested_arrays = True    # stores arrays in arrays, as the holes of sparse files are
    slow = False            # tests scale their sizes down
    is_ours = True          # we started its process, so we may stop and kill it
    has_failpoints = False  # knows configureFailPoint when it is started with failpoints

    def __init__(self, directory, auth=False, tls=False, sync_on_commit=False, failpoints=False, keep=False):
        if (auth and not self.has_auth) or (tls and not self.has_tls):
            raise NotAvailable(f"{self.kind} is not started with auth or TLS by these tests")
        if failpoints and not self.has_failpoints:
            raise NotAvailable(f"{self.kind} knows no configureFailPoint")
        self.directory = pathlib.Path(directory)
        self.auth, self.tls, self.sync_on_commit, self.keep = auth, tls, sync_on_commit, keep
        self.failpoints = failpoints
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data = self.directory / "data"
        self.data.mkdir(exist_ok=True)
        self.log_path = self.directory / "server.log"
        self.certificate, self.key = make_certificate(self.directory) if tls else (None, None)
        self.port = free_port()
        self.asks_login = False     # only when the user is made
        self.process = None

    # What the kinds differ in

    def command(self):
        """The command line; asked for again at each start."""
        raise NotImplementedError

    def initiate(self):
        """What a first start needs once the server answers."""

    # What users call

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def uri(self, database="", **options):
        """The connection string, with the user and TLS options it needs."""
        login = f"{USER}:{urllib.parse.quote(PASSWORD, safe='')}@" if self.asks_login else ""
        if self.asks_login:
            options = {"authSource": "admin"} | options
        if self.tls:
            options = {"tls": "true", "tlsCAFile": self.certificate} | options
        return with_database(f"mongodb://{login}127.0.0.1:{self.port}", database, **options)

    def client(self, **options):
        return pymongo.MongoClient(self.uri(), directConnection=True, **options)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stop(self):
        """SIGTERM, a wait, SIGKILL if that did not do; nothing when it does not run."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def kill(self):
        """SIGKILL, as a crash would end it."""
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def restart(self):
        """Stops it if it runs and starts it again on the same port and data."""
        self.stop()
        self.run()
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # How it starts

    def first_start(self):
        """Starts it, and makes the user first when it is to ask for one."""
        atexit.register(lambda: None if self.keep else self.stop())
        self.run()
        self.initiate()
        if self.auth:
            with self.client() as client:
                client.admin.command("createUser", USER, pwd=PASSWORD, roles=["root"])
            self.asks_login = True
            self.restart()
        return self

    def run(self):
        ends_with_us = [] if self.keep else ["setpriv", "--pdeathsig", "TERM"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*ends_with_us, *map(str, self.command())], cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.wait_until_it_answers()

    def wait_until_it_answers(self):
        deadline = time.monotonic() + READY_SECONDS
        with self.client(serverSelectionTimeoutMS=300) as client:
            while True:
                try:
                    client.admin.command("ping")
                    return
                except pymongo.errors.PyMongoError as error:
                    ended = self.process.poll() is not None
                    if ended or time.monotonic() > deadline:
                        self.kill()
                        what = "ended at once" if ended else f"is silent: {error}"
                        raise ServerFailed(f"{self.kind} {what}\n{self.log()[-4000:]}") from None
                    time.sleep(0.02)


class Secantus(Server):
    kind = "secantus"
    has_auth = has_tls = has_transactions = has_failpoints = True
    program = pathlib.Path(sys.executable).with_name("secantusd-py")
    extra = ("--log-level", "WARNING")

    def command(self):
        program = shutil.which(str(self.program))
        if not program:
            raise NotAvailable(f"{self.program} is missing: packaging/bootstrap installs it")
        command = [program, "--host", "127.0.0.1", "--port", self.port,
                   "--storage-path", self.data, *self.extra]
        if self.asks_login:
            command += ["--auth"]
        if self.sync_on_commit:
            command += ["--sync-on-commit"]
        if self.failpoints:
            command += ["--enable-test-commands"]
        if self.tls:
            command += ["--tls-cert-file", self.certificate, "--tls-key-file", self.key]
        return command


class SecantusRust(Secantus):
    kind = "secantus-rs"
    has_failpoints = False
    program = "secantusd-rs"
    # Its log is allocated in full and its cache is 4G by default: small ones suffice here.
    extra = ("--log-level", "ERROR", "--cache-size", "1G", "--log-file-max", "128MB")


class FerretDB(Server):
    kind = "ferretdb"
    has_nested_arrays = False
    slow = True

    def command(self):
        if not FERRETDB.exists():
            raise NotAvailable(f"{FERRETDB} is missing: packaging/bootstrap builds it where Go is")
        return [FERRETDB, "--listen", f"127.0.0.1:{self.port}", "--state", self.data]


class Mongod(Server):
    kind = "mongod"
    has_transactions = has_failpoints = True

    def command(self):
        if not shutil.which("mongod"):
            raise NotAvailable("mongod is not in PATH")
        return ["mongod", "--dbpath", self.data, "--port", self.port, "--bind_ip", "127.0.0.1",
                "--replSet", "gridmount", *(["--setParameter", "enableTestCommands=1"] if self.failpoints else [])]

    def initiate(self):
        """Makes it the replica set of one node that it takes for transactions."""
        member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
        deadline = time.monotonic() + READY_SECONDS
        with self.client() as client:
            client.admin.command("replSetInitiate", {"_id": "gridmount", "members": [member]})
            while not client.admin.command("hello")["isWritablePrimary"]:
                if time.monotonic() > deadline:
                    raise ServerFailed(f"mongod elects no primary\n{self.log()[-4000:]}")
                time.sleep(0.05)


class External(Server):
    """What GRIDMOUNT_TEST_URI names. It is not ours: stop() leaves it running."""

    kind = "external"
    is_ours = False

    def __init__(self, directory, auth=False, tls=False, sync_on_commit=False, failpoints=False, keep=False):
        self.base = os.environ.get("GRIDMOUNT_TEST_URI", "")
        if auth or tls or failpoints or not self.base:
            raise NotAvailable("GRIDMOUNT_TEST_URI is not set, or auth, TLS or failpoints were asked for")
        super().__init__(directory, keep=keep)
        hosts = pymongo.uri_parser.parse_uri(self.base)["nodelist"]
        self.port = hosts[0][1]

    def uri(self, database="", **options):
        return with_database(self.base, database, **options)

    def client(self, **options):
        return pymongo.MongoClient(self.base, **options)

    def first_start(self):
        with self.client(serverSelectionTimeoutMS=READY_SECONDS * 1000) as client:
            client.admin.command("ping")
        return self

    def kill(self):
        raise NotAvailable("the server of GRIDMOUNT_TEST_URI is not ours to kill")

    restart = kill


def choose(kind):
    """The kind that `default` stands for here; every other kind is itself."""
    if kind != "default":
        return kind
    if os.environ.get("GRIDMOUNT_TEST_URI"):
        return "external"
    return "mongod" if shutil.which("mongod") else "secantus"


def start(kind, directory, auth=False, tls=False, sync_on_commit=False, failpoints=False, keep=False):
    """Starts a server of this kind with its data and log below `directory`.

    Returns when a ping was answered. Raises NotAvailable or ServerFailed.
    """
    made = {cls.kind: cls for cls in (Secantus, SecantusRust, FerretDB, Mongod, External)}
    server = made[choose(kind)](directory, auth, tls, sync_on_commit, failpoints, keep)
    return server.first_start()
