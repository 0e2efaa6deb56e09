"""What can be wrong with a bundle or an image.

BundleError            a bundle cannot be used
├── BundleMissing      no bundle in the named folder, or one of its files is missing
├── BundleDamaged      a file is not what the manifest says
├── BundleTooNew       written by a later version of vitreid
├── PatchGraphMissing    it cannot tell about patches: it has no explain.onnx
└── RuntimeMissing     a library, or the hardware, that was asked for to run it is not there
ImageError             an image cannot be read
NamePatternError       a name pattern is not valid, or names do not follow it
DecodingBusy           an image found no room among those that are being decoded
"""

from __future__ import annotations


class BundleError(Exception):
    """A bundle cannot be used."""

    exit_code = 2


class BundleMissing(BundleError):
    """No bundle in the named folder, or one of its files is missing."""


class BundleDamaged(BundleError):
    """A file is not what the manifest says."""


class BundleTooNew(BundleError):
    """The bundle was written by a later version of vitreid."""


class PatchGraphMissing(BundleError):
    """The bundle cannot tell about patches: it has no `explain.onnx`."""


class RuntimeMissing(BundleError):
    """A library, or the hardware, that was asked for to run a bundle is not there."""


class ImageError(Exception):
    """An image cannot be read; `reason` says why without naming the image."""

    exit_code = 2

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class NamePatternError(Exception):
    """A name pattern is not valid, or names do not follow it."""

    exit_code = 2


class DecodingBusy(Exception):
    """An image found no room among those that are being decoded."""

    exit_code = 2
