"""`vitreid export tensorrt`: an engine for the GPU of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.bundle import Bundle
from vitreid.export.cli.options import BundleDir, Images
from vitreid.export.cli.report import report
from vitreid.terminal import AsJson

Batch = Annotated[int, typer.Option(help="Number of images at a time for which the engine is optimised.")]
MaxBatch = Annotated[int, typer.Option(help="Maximum number of images at a time.")]
Timings = Annotated[
    Path | None, typer.Option(help="File of measured kernels, read and written: the next engine is built faster.")
]


def to_tensorrt(
    bundle: BundleDir,
    batch: Batch = 8,
    max_batch: MaxBatch = 32,
    timings: Timings = None,
    images: Images = None,
    as_json: AsJson = False,
) -> None:
    """Add a TensorRT engine for this GPU to a bundle, if it is shown to give the same embeddings."""
    from vitreid.export.images import choose_images
    from vitreid.export.to_tensorrt import Profile, export_tensorrt

    profile = Profile(usual=batch, largest=max_batch)
    opened = Bundle.open(bundle)
    pixels, _ = choose_images(images, opened.manifest.image)
    built = export_tensorrt(opened, pixels, profile=profile, timings=timings)
    report(built, built.manifest.parity[-1:], as_json=as_json, model="model.onnx")
