"""Which bundle answers: the given one, the one that a gallery was made with, or the starter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vitreid.bundle import Bundle, BundleError
from vitreid.service.errors import ServiceError
from vitreid.service.gallery.any_bundle import bundle_of

STARTER = Path(__file__).parents[1] / "starter"
NOTICE = "using the starter bundle, trained on drawn people only: it does not work on photographs; give --bundle BUNDLE"
KEPT = "bundles"
"""The folder beside `galleries` in which a gallery's own bundle is found when none is given."""


class StarterMissing(ServiceError):
    """This installation has no starter bundle."""

    slug = "starter-missing"


class BundleNeeded(ServiceError):
    """No bundle was given, and the one that the gallery was made with is not at hand."""

    slug = "bundle-needed"


def starter_path() -> Path:
    """The starter bundle's folder. Raises StarterMissing where it was not made or not installed."""
    if not (STARTER / "manifest.json").is_file():
        raise StarterMissing(
            f"no bundle given and no starter bundle in {STARTER}; give --bundle BUNDLE, or make it with `make starter`"
        )
    return STARTER


def find_bundle(given: Path | None, gallery: Path | None = None) -> Bundle:
    """The bundle to use: the given one, else the one that the gallery was made with, else the starter.

    A gallery in DATA/galleries finds its bundle in DATA/bundles, under whatever name. Raises BundleNeeded,
    StarterMissing and the errors of Bundle.open.
    """
    if given is not None:
        return Bundle.open(given)
    wanted = None if gallery is None else bundle_of(gallery)
    if gallery is None or wanted is None:
        return Bundle.open(starter_path())
    kept = gallery.parent.parent / KEPT
    for bundle in _readable([STARTER, *sorted(each.parent for each in kept.glob("*/manifest.json"))]):
        if bundle.manifest.bundle_id == wanted:
            return bundle
    raise BundleNeeded(
        f"the gallery {gallery} was made with the bundle {wanted[:12]}, which is not given; give it with --bundle (in "
        f"Compose: write BUNDLE=./my-bundle into the file .env), or copy it into {kept}"
    )


def is_starter(bundle: Bundle) -> bool:
    """Whether a bundle is the starter, wherever it lies."""
    return any(each.manifest.bundle_id == bundle.manifest.bundle_id for each in _readable([STARTER]))


def _readable(paths: list[Path]) -> Iterator[Bundle]:
    """Those of some bundles that can be opened."""
    for path in paths:
        try:
            yield Bundle.open(path)
        except BundleError:
            continue
