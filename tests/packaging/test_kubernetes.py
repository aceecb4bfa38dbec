# SPDX-License-Identifier: Apache-2.0
"""The side-car's manifest: what Kubernetes asks of it, and what is asked of gridmount in it, as far as that can be seen here."""
import json
import re
import subprocess

import pytest

from mounting import ROOT, gridmount

TO_JSON = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)"
MANIFEST = ROOT / "packaging" / "kubernetes" / "sidecar.yaml"


@pytest.fixture(scope="module")
def spec():
    converted = subprocess.run(["/usr/bin/python3", "-c", TO_JSON], input=MANIFEST.read_text(), capture_output=True, text=True, check=False)
    if "No module named 'yaml'" in converted.stderr:
        pytest.skip("Debian's python3-yaml is not installed")
    (pod,) = json.loads(converted.stdout)
    assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
    return pod["spec"]


@pytest.fixture(scope="module")
def sidecar(spec):
    (found,) = spec["initContainers"]
    return found


def test_what_is_mounted_is_there(spec, sidecar):
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in [sidecar, *spec["containers"]]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_it_starts_before_the_application_and_ends_after_it(sidecar):
    assert sidecar["restartPolicy"] == "Always" and sidecar["startupProbe"]["exec"]


def test_the_mount_gets_out_of_one_and_into_the_other(spec, sidecar):
    """The API server refuses Bidirectional in a container that is not privileged."""
    (given,) = [mount for mount in sidecar["volumeMounts"] if mount.get("mountPropagation") == "Bidirectional"]
    assert sidecar["securityContext"]["privileged"] is True
    (app,) = spec["containers"]
    (taken,) = [mount for mount in app["volumeMounts"] if mount["name"] == given["name"]]
    assert taken["mountPropagation"] == "HostToContainer"
    assert app["securityContext"]["allowPrivilegeEscalation"] is False and not app["securityContext"].get("privileged")


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe"])
def test_what_the_probes_ask_is_understood(sidecar, probe):
    """2 without a usage text: nothing is mounted there. What is waited for is said before the probe is given up."""
    program, *words = sidecar[probe]["exec"]["command"]
    waits = [float(word.removeprefix("--wait=")) for word in words if word.startswith("--wait=")]
    assert all(wait < sidecar[probe]["timeoutSeconds"] for wait in waits)
    result = gridmount(*(re.sub("^--wait=.*", "--wait=0", word) for word in words))
    assert program == "gridmount" and result.returncode == 2 and "is not a gridmount" in result.stderr


def test_its_options_are_understood(sidecar, tmp_path):
    (options,) = [entry["value"] for entry in sidecar["env"] if entry["name"] == "OPTIONS"]
    result = gridmount("mount", tmp_path / "absent", "-o", options, MONGODB_URL="mongodb://127.0.0.1:1/x")
    assert result.returncode == 1 and "make it first" in result.stderr
