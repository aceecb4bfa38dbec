# SPDX-License-Identifier: Apache-2.0
"""The alert rules by Prometheus' own tool; and what a Prometheus has of a mount, for the rules and the dashboard."""
import contextlib
import json
import pathlib
import re
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request

import gridfs
import pytest

import mounting
import servers
from mounting import wait_for

HERE = pathlib.Path(__file__).parent
MONITORING = HERE.parents[1] / "packaging" / "monitoring"
RULES = MONITORING / "alerts.yaml"
PROMTOOL, PROMETHEUS = shutil.which("promtool"), shutil.which("prometheus")

pytestmark = pytest.mark.skipif(not PROMTOOL, reason="prometheus is missing: packaging/bootstrap monitoring installs it")


@pytest.mark.parametrize("command, file", [("check", RULES), ("test", HERE / "alerts_test.yaml")])
def test_alert_rules(command, file):
    result = subprocess.run([PROMTOOL, command, "rules", file], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


class Monitor:
    """A Prometheus that asks a mount each second."""

    def __init__(self, port):
        self.port = port

    def get(self, path, **words):
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(words)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            said = json.load(answer)
        assert said["status"] == "success", said
        return said["data"]

    def value(self, expression):
        """Of the one series there is; None while there is none."""
        with contextlib.suppress(OSError):      # it may not listen yet
            found = self.get("query", query=expression)["result"]
            return float(found[0]["value"][1]) if found else None


@contextlib.contextmanager
def monitor_of(port, folder):
    settings = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(RULES)],
                "scrape_configs": [{"job_name": "gridmount", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]}
    (folder / "prometheus.yaml").write_text(json.dumps(settings))    # which is YAML too
    monitor = Monitor(servers.free_port())
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([PROMETHEUS, f"--config.file={folder / 'prometheus.yaml'}",
                                    f"--storage.tsdb.path={folder / 'data'}",
                                    f"--web.listen-address=127.0.0.1:{monitor.port}"], stdout=log, stderr=log)
    try:
        yield monitor
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def expressions():
    """Those of the dashboard, as Grafana would ask."""
    for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m")


def test_a_prometheus_takes_it_in(database, uri, tmp_path):
    """Each name that the dashboard asks for is there, and each rule can be worked out and gives no alarm."""
    bucket = gridfs.GridFS(database)
    bucket.put(b"x" * 300_000, filename="d/f")
    port = servers.free_port()
    options = f"metrics_listen=127.0.0.1:{port},cache_dir={tmp_path / 'cache'}"
    mnt = mounting.Mount(uri, tmp_path / "mnt", tmp_path / "log", options, longest=50).start()
    try:
        (mnt.path / "d/f").read_bytes()
        with pytest.raises(OSError):
            (mnt.path / "d").rmdir()
        (tmp_path / "prometheus").mkdir()
        with monitor_of(port, tmp_path / "prometheus") as monitor:
            wait_for(lambda: monitor.value("gridmount_healthy") == 1, 30, "a first answer")
            assert monitor.value('up{job="gridmount"}') == 1
            assert monitor.value("gridmount_chunk_bytes_fetched_total") == 300_000
            wait_for(lambda: monitor.value('gridmount_request_errors_total{errno="ENOTEMPTY"}') == 1, 30, "the error")
            wait_for(lambda: monitor.value("rate(gridmount_uptime_seconds[1m])") is not None, 30, "a second answer")
            for expression in expressions():
                names = set(re.findall(r"gridmount_[a-z_]+", expression))
                monitor.get("query", query=expression)
                for name in names:
                    assert monitor.value(f"count({name})"), name
            rules = wait_for(lambda: (all(rule["health"] == "ok" for group in monitor.get("rules")["groups"]
                                          for rule in group["rules"]) and monitor.get("rules")["groups"]), 30, "its rules")
            assert {rule["state"] for group in rules for rule in group["rules"]} == {"inactive"}
    finally:
        assert (mnt.unmount(), mnt.alarms()) == (0, [])
