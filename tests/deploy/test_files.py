"""What starts runs on Kubernetes, on a cloud and in a container, held to the schema or tool of each."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private import util
from ray.scripts.scripts import start

from pipeline.config import resolve
from tests.fire.fire import ROOT

DEPLOY = ROOT / "deploy"
VERSION = importlib.metadata.version("ray")


def strict(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """A schema of these fields and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT, NUMBER, COUNT, FLAG = ({"type": kind} for kind in ("string", "number", "integer", "boolean"))
TEXTS = {"type": "object", "additionalProperties": TEXT}
ANY: dict[str, Any] = {"type": "object"}
RESOURCES = {"type": "object", "additionalProperties": {"type": "string"}}

# Kubernetes' own, as far as it is used.
CONTAINER = strict(
    ("name", "image"),
    name=TEXT,
    image=TEXT,
    ports={"type": "array", "items": strict(("containerPort",), containerPort=COUNT, name=TEXT)},
    resources=strict(requests=RESOURCES, limits=RESOURCES),
    envFrom={"type": "array", "items": strict(secretRef=strict(("name",), name=TEXT, optional=FLAG))},
    volumeMounts={
        "type": "array",
        "items": strict(("name", "mountPath"), name=TEXT, mountPath=TEXT, readOnly=FLAG),
    },
)
VOLUME = strict(
    ("name",),
    name=TEXT,
    persistentVolumeClaim=strict(("claimName",), claimName=TEXT),
    emptyDir=strict(sizeLimit=TEXT, medium=TEXT),
)
TOLERATION = strict(("operator",), key=TEXT, operator={"enum": ["Exists", "Equal"]}, value=TEXT, effect=TEXT)
TEMPLATE = strict(
    ("spec",),
    metadata=ANY,
    spec=strict(
        ("containers",),
        containers={"type": "array", "items": CONTAINER, "minItems": 1},
        volumes={"type": "array", "items": VOLUME},
        tolerations={"type": "array", "items": TOLERATION},
    ),
)
# KubeRay's, ray.io/v1: RayJobSpec, RayClusterSpec, HeadGroupSpec and WorkerGroupSpec of its API.
HEAD = strict(
    ("rayStartParams", "template"),
    serviceType=TEXT,
    headService=ANY,
    enableIngress=FLAG,
    rayStartParams=TEXTS,
    template=TEMPLATE,
)
WORKERS = strict(
    ("groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"),
    groupName=TEXT,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    numOfHosts=COUNT,
    rayStartParams=TEXTS,
    template=TEMPLATE,
    scaleStrategy=ANY,
)
CLUSTER = strict(
    ("headGroupSpec",),
    headGroupSpec=HEAD,
    workerGroupSpecs={"type": "array", "items": WORKERS},
    rayVersion=TEXT,
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=ANY,
    headServiceAnnotations=TEXTS,
    suspend=FLAG,
)
JOB = strict(
    ("entrypoint", "rayClusterSpec"),
    activeDeadlineSeconds=COUNT,
    backoffLimit=COUNT,
    rayClusterSpec=CLUSTER,
    submitterPodTemplate=TEMPLATE,
    metadata=TEXTS,
    clusterSelector=TEXTS,
    submitterConfig=ANY,
    managedBy=TEXT,
    deletionStrategy=ANY,
    entrypoint=TEXT,
    runtimeEnvYAML=TEXT,
    jobId=TEXT,
    submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode"]},
    entrypointResources=TEXT,
    entrypointNumCpus=NUMBER,
    entrypointNumGpus=NUMBER,
    ttlSecondsAfterFinished=COUNT,
    shutdownAfterJobFinishes=FLAG,
    suspend=FLAG,
)
RAY_JOB = strict(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=strict(("name",), name=TEXT, namespace=TEXT, labels=TEXTS),
    spec=JOB,
)


def load(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def options_of_ray_start() -> set[str]:
    return {name.removeprefix("--") for option in start.params for name in option.opts}


def test_the_ray_job_has_the_fields_of_its_kind():
    jsonschema.validate(load("rayjob.yaml"), RAY_JOB)


def test_the_ray_job_runs_a_command_that_is_one_on_this_ray():
    spec = load("rayjob.yaml")["spec"]
    program, *arguments = shlex.split(spec["entrypoint"])
    config = resolve.checked(resolve.compose(arguments))
    (workers,) = spec["rayClusterSpec"]["workerGroupSpecs"]
    assert program == "pairforge"
    assert config.cluster.workers == workers["replicas"]
    # GPUs may register after the start.
    assert config.cluster.gpus_per_worker == 1
    assert workers["template"]["spec"]["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert spec["rayClusterSpec"]["rayVersion"] == VERSION
    head = spec["rayClusterSpec"]["headGroupSpec"]
    for group in (head, workers):
        assert set(group["rayStartParams"]) <= options_of_ray_start()
        (container,) = group["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports["metrics"] == int(group["rayStartParams"]["metrics-export-port"])
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        assert mounts == {volume["name"] for volume in group["template"]["spec"]["volumes"]}


def test_the_cloud_s_cluster_is_one_by_ray_s_own_validation():
    prepared = util.prepare_config(load("ray-cluster.yaml"))
    util.validate_config(prepared)
    types = prepared["available_node_types"]
    assert prepared["provider"]["type"] == "aws"
    assert types["spot"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert types[prepared["head_node_type"]]["resources"].get("GPU", 0) == 0


def test_a_wrong_field_of_the_cloud_s_cluster_would_be_seen():
    wrong = load("ray-cluster.yaml") | {"min_machines": 3}
    with pytest.raises(jsonschema.ValidationError, match="min_machines"):
        util.validate_config(wrong)


def test_the_cloud_s_machines_start_ray_with_options_that_it_has():
    config = load("ray-cluster.yaml")
    commands = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    starts = [shlex.split(command) for command in commands if command.startswith("ray start")]
    assert len(starts) == 2
    for words in starts:
        assert {w.removeprefix("--").partition("=")[0] for w in words[2:]} <= options_of_ray_start()


def test_hadolint_has_nothing_against_the_dockerfile():
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [hadolint, "--format", "json", DEPLOY / "Dockerfile"], capture_output=True, text=True
    )
    assert json.loads(done.stdout) == []
    assert done.returncode == 0


def test_the_image_has_what_gpus_and_launchers_ask_of_it():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    installed = next(line for line in lines if "apt-get install" in line)
    assert {"rsync", "wget", "g++"} <= set(installed.split())
    variables = dict(
        pair.split("=", 1)
        for line in lines
        for pair in line.split()
        if line.startswith(("ENV", "    ")) and "=" in pair
    )
    assert variables["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert {"compute", "utility"} <= set(variables["NVIDIA_DRIVER_CAPABILITIES"].split(","))
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users[-1] not in ("0", "root")
    job = load("rayjob.yaml")["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]
    mounts = {mount["mountPath"] for mount in job["containers"][0]["volumeMounts"]}
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert any(variables[name].startswith(f"{mount}/") for mount in mounts)


def test_the_image_installs_known_extras_and_only_sources():
    text = (DEPLOY / "Dockerfile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"cluster", "gs"} <= set(extras)
    assert "'.[cluster,gs]'" in text
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "out", "runs"} <= set(ignored)
