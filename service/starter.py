"""The bundle that comes with the package: a small model trained on drawn people, for first steps without torch."""

from __future__ import annotations

from pathlib import Path

from service.errors import ServiceError

STARTER = Path(__file__).parent / "starter"
NOTICE = "no bundle given: using the starter bundle, trained on drawn people only; give --bundle for a model of yours"


class StarterMissing(ServiceError):
    """This installation has no starter bundle."""

    slug = "starter-missing"


def starter_path() -> Path:
    """The starter bundle's folder. Raises StarterMissing where it was not made or not installed."""
    if not (STARTER / "manifest.json").is_file():
        raise StarterMissing(
            f"no bundle given and no starter bundle in {STARTER}; give --bundle BUNDLE, or make it with `make starter`"
        )
    return STARTER


def bundle_path(given: Path | None) -> tuple[Path, bool]:
    """The bundle to use, and whether it is the starter because none was given."""
    return (given, False) if given is not None else (starter_path(), True)
