"""`vitreid export tensorrt`: an engine for the GPU of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.bundle import Bundle
from vitreid.export.images import choose_images
from vitreid.export.options import Images, report
from vitreid.terminal import AsJson


def tensorrt(
    bundle: Annotated[Path, typer.Argument(help="The bundle; the engine becomes a part of it.")],
    batch: Annotated[int, typer.Option(help="How many images at once the engine is fastest with.")] = 8,
    max_batch: Annotated[int, typer.Option(help="The most images that it takes at once.")] = 32,
    timings: Annotated[
        Path | None, typer.Option(help="File that keeps measured kernels: the next engine is built faster.")
    ] = None,
    images: Images = None,
    as_json: AsJson = False,
) -> None:
    """Build a TensorRT engine of a bundle for this GPU, and keep it once it is shown to give the same embeddings."""
    from vitreid.export.to_tensorrt import Profile, export_tensorrt

    profile = Profile(usual=batch, largest=max_batch)
    opened = Bundle.open(bundle)
    pixels, _ = choose_images(images, opened.manifest.image)
    built = export_tensorrt(opened, pixels, profile=profile, timings=timings)
    report(built, built.manifest.parity[-1:], as_json=as_json, model="model.onnx")
