"""Errors of bundles and images.

BundleError            a bundle cannot be used
├── BundleMissing      no bundle in the folder, or one of its files is missing
├── BundleDamaged      a file does not match the manifest
├── BundleTooNew       written by a later version of vitreid
├── PatchGraphMissing  the bundle has no explain.onnx
└── RuntimeMissing     the library or the hardware of the chosen runtime is missing
ImageError             an image cannot be read
NamePatternError       a name pattern is not valid, or names do not match it
DecodingBusy           the images being decoded leave no room for another one
"""

from __future__ import annotations


class BundleError(Exception):
    """A bundle cannot be used."""

    exit_code = 2


class BundleMissing(BundleError):
    """No bundle in the folder, or one of its files is missing."""


class BundleDamaged(BundleError):
    """A file does not match the manifest."""


class BundleTooNew(BundleError):
    """The bundle was written by a later version of vitreid."""


class PatchGraphMissing(BundleError):
    """The bundle has no `explain.onnx`, so it cannot be run patch by patch."""


class RuntimeMissing(BundleError):
    """The library or the hardware of the chosen runtime is missing."""


class ImageError(Exception):
    """An image cannot be read; `reason` does not name the image."""

    exit_code = 2

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class NamePatternError(Exception):
    """A name pattern is not valid, or names do not match it."""

    exit_code = 2


class DecodingBusy(Exception):
    """The images being decoded leave no room for another one."""

    exit_code = 2
