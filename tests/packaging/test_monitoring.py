# SPDX-License-Identifier: Apache-2.0
"""The alert rules, by Prometheus' own tool."""
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
RULES = HERE.parents[1] / "packaging" / "monitoring" / "alerts.yaml"
PROMTOOL = shutil.which("promtool")


@pytest.mark.skipif(not PROMTOOL, reason="promtool is missing: packaging/bootstrap packaging installs it")
@pytest.mark.parametrize("command, file", [("check", RULES), ("test", HERE / "alerts_test.yaml")])
def test_alert_rules(command, file):
    result = subprocess.run([PROMTOOL, command, "rules", file], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
