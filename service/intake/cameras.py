"""The mapping of a gallery's cameras to those that the model learned, set by the operator and never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vitreid.bundle import Manifest
from vitreid.service.errors import UnknownName
from vitreid.service.gallery import Gallery, GallerySettings


@dataclass(frozen=True)
class CameraReport:
    """One of a gallery's cameras."""

    camera_id: str | None
    """None: items of an unknown camera."""
    learned: str | None
    """The learned camera that new items are embedded with; None: unknown."""
    items: int
    stale: int
    """Items whose embeddings were made with another learned camera than `learned`."""
    rejected: dict[str, int]
    """Rejected images, by the rule of quality."""


def camera_map(settings: GallerySettings, manifest: Manifest) -> dict[str, str]:
    """Return the learned camera of each mapped one; those that this model did not learn are left out."""
    return {camera: learned for camera, learned in settings.cameras.items() if learned in manifest.cameras}


def report_cameras(gallery: Gallery, manifest: Manifest) -> list[CameraReport]:
    """Report every camera that has items, is mapped or had images rejected, by name; the unknown one last."""
    mapping = camera_map(gallery.settings(), manifest)
    rejections = gallery.rejections()
    counts = gallery.camera_counts()
    cameras = {*mapping, *rejections, *(camera for camera, _ in counts)}
    return [
        _report(camera, mapping.get(camera or ""), counts, rejections.get(camera, {}))
        for camera in sorted(cameras, key=lambda camera: (camera is None, camera))
    ]


def map_cameras(gallery: Gallery, manifest: Manifest, mapping: Mapping[str, str]) -> None:
    """Replace the mapping of the gallery's cameras; those that are left out are unknown.

    Embeddings of existing items do not change. Raises UnknownName for a camera that the model did not learn.
    """
    check_learned(manifest, mapping)
    gallery.change_settings(cameras=dict(mapping))


def check_learned(manifest: Manifest, mapping: Mapping[str, str]) -> None:
    """Raise UnknownName if a camera is mapped to one that the model did not learn."""
    for learned in mapping.values():
        if learned not in manifest.cameras:
            if not manifest.cameras:
                raise UnknownName(f"unknown learned camera {learned!r}: this model learned none; send an empty mapping")
            raise UnknownName.of("learned camera", learned, manifest.cameras)


def _report(
    camera: str | None,
    learned: str | None,
    counts: Mapping[tuple[str | None, str | None], int],
    rejected: dict[str, int],
) -> CameraReport:
    of_camera = {model_camera: n for (name, model_camera), n in counts.items() if name == camera}
    stale = sum(n for model_camera, n in of_camera.items() if model_camera != learned)
    return CameraReport(camera, learned, sum(of_camera.values()), stale, rejected)
