"""Requirements: packages that read untrusted input have a lower bound, and every pin respects it."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.paths import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
REQUIRED = [*PROJECT["dependencies"], *(each for extra in PROJECT["optional-dependencies"].values() for each in extra)]
PINNED = dict(
    line.lower().replace("_", "-").split("==")
    for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
    if "==" in line
)


def numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


@pytest.mark.parametrize("name", ["pillow", "fastapi", "starlette", "uvicorn", "python-multipart", "timm"])
def test_packages_that_read_what_strangers_send_have_a_lower_bound(name: str) -> None:
    [found] = [each for each in REQUIRED if re.fullmatch(rf"{name}(\[.*\])?>=[\d.]+", each)]
    assert numbers(PINNED[name]) >= numbers(found.partition(">=")[2])


def test_the_server_comes_with_its_fast_parser_and_loop() -> None:
    assert {"httptools", "uvloop"} <= PINNED.keys()
    assert any(each.startswith("uvicorn[standard]") for each in REQUIRED)
