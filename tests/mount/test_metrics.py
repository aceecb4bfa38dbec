# SPDX-License-Identifier: Apache-2.0
"""What .gridfs/metrics says, as a monitoring system's own parser reads it."""
import contextlib
import errno
import http.client
import json
import mmap
import os
import pathlib
import re
import socket
import threading

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import mounting
import servers
from mounting import wait_for

MIB = 1 << 20


class Metrics:
    """Samples of one moment: metrics("reads_total"), metrics("request_seconds_count", operation="read")."""

    def __init__(self, mnt, text=None):
        families = list(text_string_to_metric_families(text or (mnt.path / ".gridfs/metrics").read_text()))
        self.families = {family.name: family for family in families}
        assert len(self.families) == len(families)
        self.samples = {(sample.name, *sorted(sample.labels.items())): sample.value
                        for family in families for sample in family.samples}

    def __call__(self, name, **labels):
        return self.samples.get((f"gridmount_{name}", *sorted(labels.items())), 0)


def test_metrics_are_openmetrics_and_agree_with_the_status(bucket, mount):
    bucket.put("f", b"x" * 1000)
    mnt = mount()
    (mnt.path / "f").read_bytes()
    metrics, status = Metrics(mnt), mnt.status()
    info = {key: value for name, *labels in metrics.samples for key, value in labels
            if name == "gridmount_mount_info"}
    assert info == {"version": status["version"], "server": status["server"], "database": bucket.database.name,
                    "bucket": "fs", "mountpoint": str(mnt.path)}
    assert metrics("healthy") == 1 and metrics("cache_size_bytes") == status["cache"]["size"]
    kinds = {family.type for family in metrics.families.values()}
    assert kinds == {"info", "gauge", "counter", "histogram"}
    for name in status["counters"]:
        family = metrics.families[f"gridmount_{name}"]
        assert family.documentation and family.type in ("counter", "gauge")
    assert metrics("chunks_fetched_total") == 1 and metrics("puts_total") == 0
    gauges = {name for name in status["counters"] if metrics.families[f"gridmount_{name}"].type == "gauge"}
    assert gauges == {"inodes", "staged_bytes", "waiting_files", "waiting_bytes", "unsaved_files", "left_files"}


def test_metrics_count_each_request_and_each_error(bucket, mount):
    bucket.put("d/f", b"x" * 1000)
    mnt = mount()
    path = mnt.path / "d/f"
    buffer, before = mmap.mmap(-1, 4096), Metrics(mnt)
    for _ in range(3):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
        assert os.preadv(descriptor, [buffer], 0) == 1000
        os.close(descriptor)
    (mnt.path / "new").write_bytes(b"y" * 10)
    for _ in range(2):
        with pytest.raises(OSError) as refusal:
            (mnt.path / "d").rmdir()
        assert refusal.value.errno == errno.ENOTEMPTY
    # Of what is answered, the answer comes first.
    after = wait_for(lambda: (now := Metrics(mnt))("request_seconds_count", operation="rmdir") == 2 and now)

    def grown(name, **labels):
        return after(name, **labels) - before(name, **labels)

    assert [grown("request_seconds_count", operation=name) for name in ("create", "rmdir", "mkdir")] == [1, 2, 0]
    for name, least in {"read": 3, "open": 3, "write": 1, "lookup": 1}.items():    # the metrics are read too
        assert grown("request_seconds_count", operation=name) >= least
    assert grown("request_errors_total", errno="ENOTEMPTY") == 2
    assert 0 < grown("request_seconds_sum", operation="read") < 60
    for bound in ("+Inf", "30.0"):
        assert grown("request_seconds_bucket", operation="rmdir", le=bound) == 2


def test_what_was_read_ahead_in_vain_is_told(bucket, mount, server):
    if server.slow:
        pytest.skip("a slow server takes a minute to give more than the cache has room for")
    bucket.put("f", os.urandom(48 * MIB))
    mnt = mount("cache_size=16M")
    before = Metrics(mnt)
    with open(mnt.path / "f", "rb", buffering=0) as file:
        for at in range(0, 48 * MIB, 6 * MIB):    # what looks like a reader in sequence, and leaves each time
            file.seek(at)
            for _ in range(4):
                file.read(MIB)
    after = Metrics(mnt)
    assert after("readahead_chunks_total") > before("readahead_chunks_total")
    unread = after("unread_chunks_total")
    assert 0 < unread and unread + after("readahead_used_total") <= after("readahead_chunks_total")


def test_metrics_answer_with_the_server_away(bucket, mount, link, through):
    bucket.put("f", b"x")
    mnt = mount("timeout=5", uri=through)
    link.set(stalled=True)
    metrics = Metrics(mnt)
    assert metrics("reads_total") == 0 and metrics("lookups_total") >= 0
    assert (mnt.path / ".gridfs/metrics").stat().st_mode & 0o777 == 0o400
    with pytest.raises(OSError) as refusal:
        os.open(mnt.path / ".gridfs/metrics", os.O_WRONLY)
    assert refusal.value.errno == errno.EROFS


def test_the_status_names_the_busiest_files(bucket, mount):
    """What programs read past the kernel's pages, the most read first."""
    for name, size in {"much/a": 2 * MIB, "b": 500_000, "never": 10}.items():
        bucket.put(name, os.urandom(size))
    mnt = mount()
    assert mnt.status()["busiest"] == []
    for name in ("much/a", "b"):
        (mnt.path / name).read_bytes()
    busiest = mnt.status()["busiest"]
    assert [each["path"] for each in busiest] == ["much/a", "b"]
    assert all(0 < each["recent_bytes"] <= size for each, size in zip(busiest, (2 * MIB, 500_000)))


MONITORING = pathlib.Path(__file__).parents[2] / "packaging" / "monitoring"


def test_rules_and_dashboard_ask_for_what_is_told(bucket, mount, tmp_path):
    bucket.put("d/f", b"x")
    mnt = mount(f"cache_dir={tmp_path / 'cache'}")
    with pytest.raises(OSError):
        (mnt.path / "d").rmdir()

    def names():
        return {name for name, *_ in Metrics(mnt).samples}
    wait_for(lambda: "gridmount_request_errors_total" in names(), what="the error to be counted, which it is once it was told")
    told = names()
    for asking in MONITORING.iterdir():
        asked = set(re.findall(r"gridmount_[a-z_]+", asking.read_text()))
        assert asked and asked <= told, asked - told
    json.loads((MONITORING / "dashboard.json").read_text())


# metrics_listen=

def ask(port, method="GET", path="/metrics", body=None, host="127.0.0.1"):
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request(method, path, body)
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("form, host", [("{}", "127.0.0.1"), ("localhost:{}", "localhost"), ("[::1]:{}", "::1")])
def test_the_same_is_told_by_http(bucket, mount, form, host):
    bucket.put("f", b"x" * 1000)
    port = servers.free_port()
    mnt = mount(f"metrics_listen={form.format(port)}")
    (mnt.path / "f").read_bytes()
    status, headers, text = ask(port, host=host)
    assert status == 200
    assert headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    told, read = Metrics(mnt, text), Metrics(mnt)
    assert set(told.families) == set(read.families)
    assert told("chunks_fetched_total") == read("chunks_fetched_total") == 1


def test_only_what_there_is_can_be_asked_for(mount):
    port = servers.free_port()
    mount(f"metrics_listen={port}")
    assert ask(port, "HEAD")[::2] == (200, "")
    assert ask(port, path="/metrics/")[0] == ask(port, path="/metrics/../../etc/passwd")[0] == 404
    for method in ("POST", "PUT", "DELETE"):
        status, headers, _ = ask(port, method, body=b"x" * 100_000)
        assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert ask(port)[0] == 200


def test_other_hosts_are_refused_unless_asked_for(mount):
    """Another address of this machine stands for another host."""
    port = servers.free_port()
    mount(f"metrics_listen={port}")
    with pytest.raises(ConnectionRefusedError):
        ask(port, host="127.0.0.2")
    port = servers.free_port()
    mount(f"metrics_listen=0.0.0.0:{port}")
    assert ask(port, host="127.0.0.2")[0] == 200


def connections_held(port):
    """Sockets of this port that a process has, but for the one that listens."""
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row for row in rows if row[1].endswith(f":{port:04X}") and row[3] != "0A" and row[9] != "0"]


def test_clients_that_never_ask_or_never_read_are_dropped(mount):
    port = servers.free_port()
    mount(f"metrics_listen={port}")
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    deaf = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for each in deaf:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        each.sendall(300 * b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")   # more than all buffers on the way have room for
    assert ask(port)[0] == 200, "who asks is answered meanwhile, or once they are dropped"
    for each in idle:
        each.settimeout(30)
        assert each.recv(1) == b""
        each.close()
    mounting.wait_for(lambda: not connections_held(port), 30)
    for each in deaf:
        each.close()


@pytest.mark.long
def test_clients_that_go_on_slowly_are_dropped(mount):
    port = servers.free_port()
    mount(f"metrics_listen={port}")
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(32)]

    def go_on():
        for each in slow:
            with contextlib.suppress(OSError):
                each.sendall(b"GET /metrics HTTP/1.1\r\nX: " if each not in begun else b"x")
                begun.add(each)
        return not waiting.is_alive()
    begun, answers = set(), []
    waiting = threading.Thread(target=lambda: answers.append(ask(port)[0]))
    go_on()
    waiting.start()
    wait_for(go_on, 40, "who asks to be answered")
    assert answers == [200]
    for each in slow:
        each.close()


@pytest.mark.parametrize("value, cure", [
    ("{taken}", "Address already in use; give another port"),
    ("192.0.2.1:9100", "Cannot assign requested address; give an address of this machine"),
    ("none", "give PORT, or HOST:PORT"), ("127.0.0.1:", "give PORT"), ("127.0.0.1:http", "give PORT"),
    ("::1:9100", "give PORT"), (":9100", "give PORT"), ("65536", "give PORT"), ("0", "give PORT"), ("", "not a valid [HOST:]PORT")])
def test_an_address_that_cannot_be_had_is_told_of(mount, value, cure):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(mounting.MountFailed) as refusal:
            mount(f"metrics_listen={value.format(taken=taken.getsockname()[1])}")
    assert cure in str(refusal.value) and "metrics_listen" in str(refusal.value)
