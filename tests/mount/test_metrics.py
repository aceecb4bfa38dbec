"""What .gridfs/metrics says, as a monitoring system's own parser reads it."""
import errno
import mmap
import os
import random

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

MIB = 1 << 20


class Metrics:
    """Samples of one moment: metrics("reads_total"), metrics("request_seconds_count", operation="read")."""

    def __init__(self, mnt):
        families = list(text_string_to_metric_families((mnt.path / ".gridfs/metrics").read_text()))
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
    after = Metrics(mnt)

    def grown(name, **labels):
        return after(name, **labels) - before(name, **labels)

    assert [grown("request_seconds_count", operation=name) for name in ("create", "rmdir", "mkdir")] == [1, 2, 0]
    for name, least in {"read": 3, "open": 3, "write": 1, "lookup": 1}.items():    # the metrics are read too
        assert grown("request_seconds_count", operation=name) >= least
    assert grown("request_errors_total", errno="ENOTEMPTY") == 2
    assert 0 < grown("request_seconds_sum", operation="read") < 60
    for bound in ("+Inf", "30.0"):
        assert grown("request_seconds_bucket", operation="rmdir", le=bound) == 2


def test_bytes_asked_for_are_hits_and_misses(bucket, mount):
    """1,000 reads at random places past the kernel's pages, of a file that memory has room for in part only."""
    size, asked = 24 * MIB, 0
    data = os.urandom(size - 1234)
    bucket.put("f", data)
    mnt = mount("cache_size=16M")
    chosen = random.Random(7)
    descriptor = os.open(mnt.path / "f", os.O_RDONLY | os.O_DIRECT)
    buffer = mmap.mmap(-1, 128 << 10)
    before = Metrics(mnt)
    for _ in range(1000):
        length, offset = chosen.choice((4, 16, 64, 128)) << 10, chosen.randrange(size >> 12) << 12
        got = os.preadv(descriptor, [memoryview(buffer)[:length]], offset)
        assert got == max(0, min(length, len(data) - offset))
        assert buffer[:got] == data[offset:offset + got]
        asked += got
    after = Metrics(mnt)
    os.close(descriptor)
    hits, misses = (after(name) - before(name) for name in ("hit_bytes_total", "miss_bytes_total"))
    assert hits + misses == asked and hits > 0 and misses > 0
    assert after("cache_evictions_total") > after("unread_chunks_total")


def test_what_was_read_ahead_in_vain_is_told(bucket, mount):
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
    assert 0 < unread <= after("readahead_chunks_total")


def test_metrics_answer_with_the_server_away(bucket, mount, link, through):
    bucket.put("f", b"x")
    mnt = mount("timeout=5", uri=through)
    link.set(stalled=True)
    metrics = Metrics(mnt)
    assert metrics("reads_total") == 0 and metrics("lookups_total") >= 0
    assert (mnt.path / ".gridfs/metrics").stat().st_mode & 0o777 == 0o400
    with pytest.raises(PermissionError):
        os.open(mnt.path / ".gridfs/metrics", os.O_WRONLY)
