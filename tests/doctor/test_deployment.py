"""The recipes of examples/deploy: what they say holds, and their commands do what their probes ask."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import click
import pytest
import yaml

from asynq_py.cli.arguments import SPAN
from asynq_py.cli.program import program
from asynq_py.doctor.health import TIMEOUT
from asynq_py.server.config import ServerConfig
from tests.cli.program import Program
from tests.examples.programs import EXAMPLES, ROOT

DEPLOY: Final = EXAMPLES / "deploy"
UNIT: Final = DEPLOY / "systemd" / "asynq-py-worker.service"
DOCKERFILE: Final = DEPLOY / "docker" / "Dockerfile"
COMPOSE: Final = DEPLOY / "docker" / "compose.yaml"
KUBERNETES: Final = DEPLOY / "kubernetes"
AFTERWARDS: Final = 10.0  # seconds that a worker may need when its tasks have had their time


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def unit() -> dict[str, str]:
    """The settings of the unit, of all sections; a section heading is none."""
    lines = UNIT.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))


def instructions() -> list[tuple[str, str]]:
    """Name and rest of each instruction of the Dockerfile. None of ours goes on in another line."""
    lines = [line for line in DOCKERFILE.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def deployments() -> list[Any]:
    found = [one for path in sorted(KUBERNETES.glob("*.yaml")) for one in documents(path)]
    return [one for one in found if one["kind"] == "Deployment"]


def in_container(deployment: Any) -> Any:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


def probes(deployment: Any) -> dict[str, Any]:
    container = in_container(deployment)
    return {name: probe for name, probe in container.items() if name.endswith("Probe")}


def commands() -> dict[str, list[str]]:
    """Every command of ours in every recipe, by where it is."""
    found = {"the unit": ["asynq-py", *shlex.split(unit()["ExecStart"])[1:]]}
    for name, rest in instructions():
        if name in ("CMD", "HEALTHCHECK"):
            found[f"Dockerfile {name}"] = yaml.safe_load(rest[rest.index("[") :])
    for name, service in documents(COMPOSE)[0]["services"].items():
        for kind, command in (("command", service["command"]), ("probe", service["healthcheck"]["test"][1:])):
            if command[0] == "asynq-py":
                found[f"Compose {name} {kind}"] = command
    for deployment in deployments():
        name = deployment["metadata"]["name"]
        found[f"Kubernetes {name}"] = in_container(deployment)["args"]
        found |= {
            f"Kubernetes {name} {kind}": probe["exec"]["command"]
            for kind, probe in probes(deployment).items()
        }
    return found


COMMANDS: Final = commands()


def patience(command: list[str]) -> float:
    """How long the running tasks of a worker may go on after a TERM."""
    if "--shutdown-timeout" not in command:
        return ServerConfig().shutdown_timeout
    return SPAN.convert(command[command.index("--shutdown-timeout") + 1], None, None)


@pytest.mark.parametrize("where", COMMANDS)
def test_each_command_exists_and_takes_these_arguments(where: str) -> None:
    first, name, *arguments = COMMANDS[where]
    assert first == "asynq-py"
    command = program.get_command(click.Context(program), name)
    assert command is not None
    command.make_context(name, arguments, parent=click.Context(program, obj=None)).close()


def test_there_are_commands_in_all_recipes() -> None:
    kinds = {where.split()[0] for where in COMMANDS}
    assert kinds == {"the", "Dockerfile", "Compose", "Kubernetes"}
    assert len(COMMANDS) == 13


# -- rollouts ----------------------------------------------------------------------------------------------


async def alive(run: Program, probe: list[str]) -> bool:
    return (await run(*probe[1:], code=None)).code == 0


@pytest.mark.parametrize(
    "where", [where for where in COMMANDS if COMMANDS[where][1] in ("worker", "scheduler")]
)
async def test_what_runs_ends_with_code_0_after_one_signal_and_its_probe_tells(
    redis_url: str, where: str
) -> None:
    command = [part if part != "2" else "1" for part in COMMANDS[where]]
    run = Program(EXAMPLES, {"ASYNQ_REDIS_URL": redis_url})
    is_worker = command[1] == "worker"
    probe = ["asynq-py", "health", *(["--worker"] if is_worker else [])]
    async with run.running(*command[1:]) as process:
        async with asyncio.timeout(30):
            while not await alive(run, probe):
                assert process.returncode is None
        assert await alive(run, ["asynq-py", "health", *(["--liveness"] if is_worker else [])])
        assert process.stderr is not None
        async with asyncio.timeout(30):
            await process.stderr.readline()  # it has begun, so it has its signals
        process.send_signal(getattr(signal, unit()["KillSignal"]))
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    assert await alive(run, probe) is not is_worker


# -- systemd -----------------------------------------------------------------------------------------------


def test_the_unit_waits_longer_than_running_tasks_may_take_and_signals_one_process() -> None:
    settings = unit()
    assert float(settings["TimeoutStopSec"]) >= patience(COMMANDS["the unit"]) + AFTERWARDS
    assert (settings["KillMode"], settings["KillSignal"]) == ("mixed", "SIGTERM")
    assert settings["Restart"] == "on-failure"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    here = str(Path(sys.executable).with_name("asynq-py"))
    copy.write_text(UNIT.read_text("utf-8").replace("/srv/myproject/.venv/bin/asynq-py", here), "utf-8")
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=50
    )
    about_it = [line for line in (told.stdout + told.stderr).splitlines() if UNIT.stem in line]
    assert about_it == []


# -- Docker ------------------------------------------------------------------------------------------------


def test_the_image_gets_its_signal_and_is_no_root() -> None:
    found = dict(instructions())
    assert found["STOPSIGNAL"] == "SIGTERM"
    assert found["USER"] not in ("root", "0")
    assert {name for name, _ in instructions()} <= {
        "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "STOPSIGNAL", "HEALTHCHECK", "CMD",
    }  # fmt: skip
    assert found["CMD"].startswith("["), "a shell would keep the signal to itself"


def test_what_the_image_copies_exists() -> None:
    copied = [part for name, rest in instructions() if name == "COPY" and "--from" not in rest
              for part in rest.split()[:-1]]  # fmt: skip
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert {"pyproject.toml", "README.md", "LICENSE", "asynq_py"} <= set(copied), "what a build reads"


def test_the_health_check_of_the_image_has_longer_than_the_probe_itself() -> None:
    (rest,) = (rest for name, rest in instructions() if name == "HEALTHCHECK")
    found = re.search(r"--timeout=(\d+)s", rest)
    assert found
    assert float(found[1]) > TIMEOUT


def test_compose_waits_for_running_tasks_and_keeps_what_redis_has() -> None:
    (compose,) = documents(COMPOSE)
    services = compose["services"]
    worker = services["worker"]
    assert SPAN.convert(worker["stop_grace_period"], None, None) >= patience(worker["command"]) + AFTERWARDS
    assert {services[name]["stop_signal"] for name in ("worker", "scheduler")} == {"SIGTERM"}
    for name in ("worker", "scheduler"):
        build = services[name]["build"]
        assert (COMPOSE.parent / build["context"]).resolve() == ROOT
        assert ROOT / build["dockerfile"] == DOCKERFILE
        assert services[name]["depends_on"]["redis"]["condition"] == "service_healthy"
        assert SPAN.convert(services[name]["healthcheck"]["timeout"], None, None) > TIMEOUT
    redis = services["redis"]["command"]
    assert redis[redis.index("--maxmemory-policy") + 1] == "noeviction"
    assert redis[redis.index("--appendonly") + 1] == "yes"
    assert {volume.partition(":")[0] for volume in services["redis"]["volumes"]} == set(compose["volumes"])


def _has_compose() -> bool:
    try:
        return (
            subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=20).returncode == 0
        )
    except (OSError, subprocess.SubprocessError):
        return False


def test_docker_finds_nothing_wrong_with_the_compose_file() -> None:
    if not _has_compose():
        pytest.skip("docker compose is not installed")
    told = subprocess.run(
        ["docker", "compose", "-f", str(COMPOSE), "config", "--quiet"],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (told.returncode, told.stderr) == (0, "")


# -- Kubernetes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deployment", deployments(), ids=lambda one: one["metadata"]["name"])
def test_a_deployment_is_consistent_and_waits_for_running_tasks(deployment: Any) -> None:
    spec = deployment["spec"]
    pod = spec["template"]["spec"]
    container = in_container(deployment)
    assert deployment["apiVersion"] == "apps/v1"
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    if container["args"][1] == "worker":
        assert pod["terminationGracePeriodSeconds"] >= patience(container["args"]) + AFTERWARDS
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    for probe in probes(deployment).values():
        assert probe["timeoutSeconds"] > TIMEOUT
    assert "lifecycle" not in container, "TERM is what a worker expects; there is nothing to do before it"


def test_a_worker_is_not_restarted_because_redis_is_away() -> None:
    (worker,) = (one for one in deployments() if in_container(one)["args"][1] == "worker")
    asked = {name: probe["exec"]["command"][2] for name, probe in probes(worker).items()}
    assert asked == {"startupProbe": "--worker", "readinessProbe": "--worker", "livenessProbe": "--liveness"}


def test_the_kustomization_names_all_manifests() -> None:
    (found,) = documents(KUBERNETES / "kustomization.yaml")
    others = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(found["resources"]) == others


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_builds_the_manifests() -> None:
    told = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES)], capture_output=True, text=True, timeout=50
    )
    assert told.returncode == 0, told.stderr
    kinds = sorted(one["kind"] for one in yaml.safe_load_all(told.stdout))
    assert kinds == ["Deployment", "Deployment", "PodDisruptionBudget"]
