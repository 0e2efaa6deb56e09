"""What the export commands share: their options, and how they tell of a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bundle import Bundle, Parity
from bundle.evidence import EXPLAIN

Images = Annotated[
    Path | None,
    typer.Option(help="Folder of real pictures on which both models are compared; drawn people if not given."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def tell(bundle: Bundle, parity: Parity | None, as_json: bool, *, model: str = "torch") -> None:
    """Print what a bundle is, and how far it is from the `model` that it was made of."""
    manifest = bundle.manifest
    if as_json:
        report = {"bundle": str(bundle.path), "bundle_id": manifest.bundle_id}
        typer.echo(json.dumps(report | {"parity": parity and parity.model_dump()}))
        return
    size = manifest.files["model.onnx"].bytes / 1e6
    typer.echo(
        f"{bundle.path}: bundle {manifest.bundle_id[:12]}, {manifest.image.height}x{manifest.image.width}, "
        f"{manifest.dimension} numbers, {size:.1f} MB"
    )
    if parity:
        typer.echo(
            f"same as {model} on {parity.images} pictures: largest difference {parity.max_abs_difference:.1e}, "
            f"smallest cosine {parity.min_cosine:.7f}"
        )


def tell_evidence(bundle: Bundle) -> None:
    """Print what a bundle's explain.onnx is, and how far it is from torch."""
    evidence = bundle.manifest.explain
    assert evidence is not None  # it was added just now
    size = bundle.manifest.files[EXPLAIN].bytes / 1e6
    typer.echo(
        f"{bundle.path}: {EXPLAIN}, {evidence.rows}x{evidence.columns} patches of {evidence.dimension} numbers, "
        f"{size:.1f} MB; same as torch on {evidence.parity_images} pictures: largest difference "
        f"{evidence.max_abs_difference:.1e}"
    )
