"""The pip commands that install optional packages."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import PackageNotFoundError, requires

DISTRIBUTION = "vitreid"
_REQUIREMENT = re.compile(r"(?P<requirement>[^;]+);.*\bextra\s*==\s*['\"](?P<extra>[a-z]+)['\"]")


def install_command(*extras: str) -> str:
    """Return the `pip install ...` of the packages that these extras declare.

    It names the packages because vitreid itself is in no package index: `vitreid[train]` installs from a checkout
    only. Raises ValueError for an extra that is not declared.
    """
    declared = _declared()
    if unknown := set(extras) - set(declared):
        raise ValueError(f"no extra {sorted(unknown)[0]!r}; declared are {', '.join(sorted(declared))}")
    return "pip install " + " ".join(shlex.quote(each) for extra in extras for each in declared[extra])


def gpu_command() -> str:
    """Return the commands that replace the CPU builds of onnxruntime and faiss by the GPU builds."""
    return f"pip uninstall --yes onnxruntime faiss-cpu && {install_command('gpu')}"


def _declared() -> dict[str, list[str]]:
    """Return the requirements of each extra."""
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError as error:
        raise ValueError(
            f"{DISTRIBUTION} is not installed; install it with pip install -e . in its checkout"
        ) from error
    declared: dict[str, list[str]] = {}
    for line in lines:
        if found := _REQUIREMENT.fullmatch(line):
            declared.setdefault(found["extra"], []).append(found["requirement"].strip())
    return declared
