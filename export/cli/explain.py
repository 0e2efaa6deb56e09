"""`vitreid export explain`: the graph of the patches that a model compares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.bundle import Bundle
from vitreid.bundle.patch_spec import EXPLAIN
from vitreid.export.cli.options import BundleDir, Images
from vitreid.terminal import AsJson, emit

Source = Annotated[Path, typer.Option(help="Checkpoint or run that it was exported from.")]


def explain(bundle: BundleDir, checkpoint: Source, images: Images = None, as_json: AsJson = False) -> None:
    """Add explain.onnx to a bundle, which shows the patches that it compares."""
    from vitreid.export.explain import add_explain_graph
    from vitreid.export.images import choose_images
    from vitreid.training.checkpoint import Checkpoint

    opened = Bundle.open(bundle)
    pixels, _ = choose_images(images, opened.manifest.image)
    manifest = add_explain_graph(opened, Checkpoint.open(checkpoint), pixels).manifest
    spec, size = manifest.explain, manifest.files[EXPLAIN].bytes
    assert spec is not None  # it was added just now
    line = (
        f"{bundle}: {EXPLAIN}, {spec.rows}x{spec.columns} patches of {spec.dimension} numbers, {size / 1e6:.1f} MB; "
        f"same as torch on {spec.parity_images} images: largest difference {spec.max_abs_difference:.1e}"
    )
    values = {"bundle": bundle, "file": EXPLAIN, "bytes": size}
    emit(values | spec.model_dump(mode="json"), line, as_json=as_json)
