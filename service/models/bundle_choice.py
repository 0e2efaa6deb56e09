"""Choice of the bundle: the given one, the one that a gallery was made with, or the starter."""

from __future__ import annotations

import json
from pathlib import Path

from vitreid.bundle import Bundle, BundleError
from vitreid.service.errors import ServiceError

STARTER = Path(__file__).parents[1] / "starter"
NOTICE = "using the starter bundle, trained on drawn people only: it does not work on photographs; give --bundle BUNDLE"
BUNDLES = "bundles"
"""Folder beside `galleries` that is searched for a gallery's bundle when none is given."""


class StarterMissing(ServiceError):
    """This installation has no starter bundle."""

    slug = "starter-missing"


class BundleNeeded(ServiceError):
    """No bundle was given, and the one that the gallery was made with is not at hand."""

    slug = "bundle-needed"


def starter_path() -> Path:
    """Return the starter bundle's folder. Raises StarterMissing where it was not made or not installed."""
    if not (STARTER / "manifest.json").is_file():
        raise StarterMissing(
            f"no bundle given and no starter bundle in {STARTER}; give --bundle BUNDLE, or make it with `make starter`"
        )
    return STARTER


def find_bundle(given: Path | None, gallery: Path | None = None, *, made_with: str | None = None) -> Bundle:
    """Open the bundle to use: the given one, else the one that the gallery was `made_with`, else the starter.

    `made_with` is a bundle_id, None for a gallery that does not exist yet. A gallery in DATA/galleries finds its bundle
    in DATA/bundles, under any name. Raises BundleNeeded, StarterMissing and the errors of Bundle.open.
    """
    if given is not None:
        return Bundle.open(given)
    if gallery is None or made_with is None:
        return Bundle.open(starter_path())
    folder = gallery.parent.parent / BUNDLES
    for path in [STARTER, *sorted(each.parent for each in folder.glob("*/manifest.json"))]:
        if _bundle_id_in(path) == made_with:
            try:
                return Bundle.open(path)
            except BundleError:
                continue
    raise BundleNeeded(
        f"the gallery {gallery} was made with the bundle {made_with[:12]}, which is not given; give it with --bundle "
        f"(in Compose: write BUNDLE=./my-bundle into the file .env), or copy it into {folder}"
    )


def is_starter(bundle: Bundle) -> bool:
    """Return whether a bundle is the starter, in whatever folder."""
    return bundle.manifest.bundle_id == _bundle_id_in(STARTER)


def _bundle_id_in(folder: Path) -> object:
    """Read the bundle_id of a manifest without checking the bundle; None where it cannot be read."""
    try:
        return json.loads((folder / "manifest.json").read_bytes())["bundle_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
