"""The bundle that comes with the package: a small model trained on drawn people, for first steps without torch."""

from __future__ import annotations

from pathlib import Path

from bundle import Bundle, BundleError
from service.errors import ServiceError

STARTER = Path(__file__).parent / "starter"
NOTICE = "using the starter bundle, trained on drawn people only: it does not work on photographs; give --bundle BUNDLE"


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


def bundle_path(given: Path | None) -> Path:
    """The bundle to use: the given one, or the starter."""
    return given if given is not None else starter_path()


def is_starter(bundle: Bundle) -> bool:
    """Whether a bundle is the starter, wherever it lies."""
    try:
        return bundle.manifest.bundle_id == Bundle.open(starter_path()).manifest.bundle_id
    except (StarterMissing, BundleError):
        return False
