"""Content of the container image and access to it, read from its files; `make docker-test` runs them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.paths import REPOSITORY
from vitreid.service.config import ServiceConfig

DOCKER = REPOSITORY / "docker"
FROM_HERE = {
    "pyproject.toml",
    "constraints.txt",
    "LICENSE",
    "vitreid",
    "bundle",
    "scoring",
    "synthetic",
    "training",
    "export",
    "service",
    "docker/vitreid",
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) in order; continued lines joined, comments left out."""
    lines = [line for line in (DOCKER / "service.Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def of(instructions: list[tuple[str, str]], name: str) -> list[str]:
    return [rest for instruction, rest in instructions if instruction == name]


def test_image_takes_only_packages_and_the_command(instructions: list[tuple[str, str]]) -> None:
    copied = {word for rest in of(instructions, "COPY") if "--from" not in rest for word in rest.split()[:-1]}
    assert copied == FROM_HERE
    assert not of(instructions, "ADD")


def test_build_sees_only_what_is_copied() -> None:
    lines = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == FROM_HERE


def test_every_stage_stands_on_the_slim_base(instructions: list[tuple[str, str]]) -> None:
    stages = [rest.split() for rest in of(instructions, "FROM")]
    names = [stage[2] for stage in stages]
    assert {stage[0] for stage in stages} - set(names) == {"python:3.11-slim-bookworm"}
    # A builder without BuildKit makes all stages before its target.
    assert names.index("cpu") < min(names.index(name) for name in names if name.startswith("gpu"))


def test_last_user_is_a_number_and_not_root(instructions: list[tuple[str, str]]) -> None:
    (user,) = of(instructions, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)  # a number: orchestrators check runAsNonRoot by it


def test_every_setting_is_passed_on_but_those_of_the_container(compose: dict[str, Any]) -> None:
    variables = [entry.partition("=")[0] for entry in compose["services"]["vitreid"]["environment"]]
    settings = {name.removeprefix("VITREID_").lower() for name in variables}
    assert settings == set(ServiceConfig.model_fields) - {"data", "bundle", "host", "port"}


def test_image_by_itself_asks_for_keys(compose: dict[str, Any], instructions: list[tuple[str, str]]) -> None:
    """Only the compose file, which publishes to this machine alone, lets everybody in."""
    assert of(instructions, "CMD") == ['["serve", "--host", "0.0.0.0"]']
    assert not any("VITREID_INSECURE" in rest for rest in of(instructions, "ENV"))
    assert "VITREID_INSECURE=${VITREID_INSECURE-1}" in compose["services"]["vitreid"]["environment"]


def test_settings_in_the_image_exist(instructions: list[tuple[str, str]]) -> None:
    variables = dict(pair.split("=", 1) for rest in of(instructions, "ENV") for pair in rest.split())
    assert variables["ORT_DISABLE_TELEMETRY"] == "1"
    ours = {name.removeprefix("VITREID_").lower() for name in variables if name.startswith("VITREID_")}
    assert ours <= set(ServiceConfig.model_fields)


def test_no_registry_is_named() -> None:
    for file in [REPOSITORY / "docker-compose.yml", *DOCKER.iterdir()]:
        for reference in re.findall(r"^\s*(?:FROM|image:)\s+(\S+)", file.read_text(), re.MULTILINE):
            assert "/" not in reference, f"{file.name} names {reference}"


def test_ports_are_published_to_this_machine_alone(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 1
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not any("network_mode" in service for service in compose["services"].values())


def test_service_has_no_rights_it_does_not_need(compose: dict[str, Any]) -> None:
    service = compose["services"]["vitreid"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert not any("docker.sock" in volume for volume in service["volumes"])


def test_galleries_are_in_a_named_volume(compose: dict[str, Any]) -> None:
    targets = dict(reversed(volume.split(":")[:2]) for volume in compose["services"]["vitreid"]["volumes"][:1])
    assert targets == {"/data": "data"}
    assert {"backups", "data", "no-bundle"} == set(compose["volumes"])


def test_bundle_is_mounted_read_only_where_one_is_named(compose: dict[str, Any]) -> None:
    assert "${BUNDLE:-no-bundle}:/bundle:ro" in compose["services"]["vitreid"]["volumes"]


def test_backups_lie_apart_from_what_they_back_up(compose: Any, instructions: list[tuple[str, str]]) -> None:
    """A volume of its own, or a folder of the machine, that the container's user may write."""
    assert "${BACKUPS:-backups}:/backups" in compose["services"]["vitreid"]["volumes"]
    made = [rest for rest in of(instructions, "RUN") if re.search(r"mkdir [^&]*/backups", rest)]
    assert len(made) == 1
    assert re.search(r"chown vitreid:vitreid [^&]*/backups", made[0])


def test_gpu_file_adds_to_a_service_that_exists(compose: dict[str, Any], instructions: list[tuple[str, str]]) -> None:
    gpu = yaml.safe_load((DOCKER / "gpu.yml").read_text())["services"]
    assert set(gpu) <= set(compose["services"])
    targets = {service["build"]["target"] for service in (*gpu.values(), *compose["services"].values())}
    assert targets == {"cpu", "gpu"}
    assert targets <= {rest.split()[2] for rest in of(instructions, "FROM")}


@pytest.mark.parametrize(("extras", "more"), [("", set()), ("openvino", {"openvino"})])
def test_lists_of_packages_hold_the_extras_that_were_asked_for(
    tmp_path: Path, instructions: list[tuple[str, str]], extras: str, more: set[str]
) -> None:
    [script] = [rest for rest in of(instructions, "RUN") if "tomllib" in rest]
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    command = script.replace("python", sys.executable, 1)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, env={"EXTRAS": extras}, check=True)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for target in ("cpu", "gpu"):
        needed = {
            *project["dependencies"],
            *project["optional-dependencies"][target],
            *project["optional-dependencies"]["adopt"],
        } | more
        assert set((tmp_path / f"{target}.txt").read_text().splitlines()) == needed


@pytest.mark.parametrize(
    ("given", "mounted", "expected"),
    [(None, False, ""), (None, True, "{mounted}"), ("/other", True, "/other"), ("", True, "{mounted}")],
)
@pytest.mark.parametrize("arguments", ["serve --port 0", "gallery cameras /data/galleries/default", "--help", ""])
def test_command_of_the_image_takes_the_mounted_bundle(
    tmp_path: Path, arguments: str, given: str | None, mounted: bool, expected: str
) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    if mounted:
        (bundle / "manifest.json").touch()
    script = (DOCKER / "vitreid").read_text().replace("/bundle", str(bundle))
    (tmp_path / "python").write_text('#!/bin/sh\necho "${VITREID_BUNDLE:-} $@"\n')
    (tmp_path / "python").chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", script, "vitreid", *arguments.split()],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", **({} if given is None else {"VITREID_BUNDLE": given})},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip("\n") == f"{expected.format(mounted=bundle)} -m vitreid {arguments}".rstrip()


def test_scripts_can_be_run() -> None:
    for name in ("vitreid", "test.sh"):
        assert (DOCKER / name).stat().st_mode & 0o111, name
    subprocess.run(["bash", "-n", str(DOCKER / "test.sh")], check=True)
    compile((DOCKER / "query.py").read_text(), "query.py", "exec")


def test_limits_of_the_container(compose: dict[str, Any]) -> None:
    assert {"mem_limit", "cpus", "pids_limit"} <= set(compose["services"]["vitreid"])


def test_the_proxy_asks_for_keys_and_is_the_only_one_believed(compose: dict[str, Any]) -> None:
    proxied = yaml.safe_load((DOCKER / "proxy.yml").read_text())
    service, proxy = proxied["services"]["vitreid"], proxied["services"]["proxy"]
    assert set(proxied["services"]) - set(compose["services"]) == {"proxy"}
    settings = dict(entry.split("=", 1) for entry in service["environment"])
    assert settings["VITREID_REQUIRE_KEYS"] == "1"
    assert settings["VITREID_TRUSTED_PROXIES"] == proxy["networks"]["front"]["ipv4_address"]
    assert {name.removeprefix("VITREID_").lower() for name in settings} <= set(ServiceConfig.model_fields)
    assert {"mem_limit", "cpus", "pids_limit"} <= set(proxy)
    assert all((REPOSITORY / each.split(":")[0]).exists() for each in proxy["volumes"] if each.startswith("./"))
