"""The commands that make and check bundles."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from bundle import Bundle, ImageSpec, Parity
from export.errors import ExportError
from export.pictures import drawn_pictures, read_pictures

app = typer.Typer(no_args_is_help=True)
export = typer.Typer(no_args_is_help=True, help="Turn a checkpoint into a bundle, and check bundles.")
app.add_typer(export, name="export")

PICTURES = 64
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
Images = Annotated[
    Path | None,
    typer.Option(help="Folder of real pictures on which both models are compared; drawn people if not given."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


@app.callback()
def _group() -> None:
    """Keep `export` a group although the app holds nothing else."""


@export.command("onnx")
def to_onnx(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint or a run's folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    images: Images = None,
    name: Annotated[str | None, typer.Option(help="What the bundle is called; by default the run's folder.")] = None,
    as_json: Json = False,
) -> None:
    """Export a checkpoint to a bundle and prove on pictures that it is the same model."""
    from export.to_onnx import export_onnx
    from training.checkpoint import Checkpoint

    opened = Checkpoint.open(checkpoint)
    part = opened.config.model
    pictures, told = _pictures(images, ImageSpec(height=part.height, width=part.width))
    bundle = export_onnx(opened, out, pictures, images_from=told, name=name)
    _tell(bundle, bundle.manifest.parity[0], as_json)


@export.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="Checkpoint or run that it was exported from: compare the embeddings.")
    ] = None,
    images: Images = None,
    as_json: Json = False,
) -> None:
    """Check a bundle: its files, its graph, its embeddings, and with --checkpoint that it is the trained model."""
    from export.verify import check_parity, check_sanity, measure_parity

    opened = Bundle.open(bundle)
    pictures, _ = _pictures(images, opened.manifest.image)
    check_sanity(opened, pictures)
    if checkpoint is None:
        _tell(opened, None, as_json)
        return
    from export.graph import EmbeddingGraph
    from training.checkpoint import Checkpoint

    parity = measure_parity(opened, EmbeddingGraph(Checkpoint.open(checkpoint).load_model()), pictures)
    check_parity(parity)
    _tell(opened, parity, as_json)


def _pictures(folder: Path | None, spec: ImageSpec) -> tuple[NDArray[np.uint8], str]:
    """Up to 64 pictures for a comparison (N, H, W, 3), and what they are."""
    if folder is None:
        return drawn_pictures(PICTURES, spec), f"{PICTURES} drawn people"
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise ExportError(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))}); give another --images")
    chosen = sorted(random.Random(0).sample(paths, min(PICTURES, len(paths))))
    return read_pictures(chosen, spec), f"{len(chosen)} pictures of {folder.resolve().name}"


def _tell(bundle: Bundle, parity: Parity | None, as_json: bool) -> None:
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
            f"same as torch on {parity.images} pictures: largest difference {parity.max_abs_difference:.1e}, "
            f"smallest cosine {parity.min_cosine:.7f}"
        )
