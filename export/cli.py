"""The commands that make and check bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bundle import Bundle, ImageSpec
from export import adopt_cli, calibrate_cli, tensorrt_cli
from export.options import Images, Json, tell, tell_evidence
from export.pictures import choose_pictures

app = typer.Typer(no_args_is_help=True)
export = typer.Typer(no_args_is_help=True, help="Turn a checkpoint into a bundle, and check bundles.")
app.add_typer(export, name="export")
export.command()(adopt_cli.adopt)
export.command()(calibrate_cli.calibrate)
export.command()(tensorrt_cli.tensorrt)


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
    pictures, told = choose_pictures(images, ImageSpec(height=part.height, width=part.width))
    bundle = export_onnx(opened, out, pictures, images_from=told, name=name)
    tell(bundle, bundle.manifest.parity[0], as_json)


@export.command()
def explain(
    bundle: Annotated[Path, typer.Argument(help="The bundle.")],
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint or run that it was exported from.")],
    images: Images = None,
) -> None:
    """Let a bundle tell which patches of two pictures it compares: add explain.onnx."""
    from export.explain import add_evidence
    from training.checkpoint import Checkpoint

    opened = Bundle.open(bundle)
    pictures, _ = choose_pictures(images, opened.manifest.image)
    tell_evidence(add_evidence(opened, Checkpoint.open(checkpoint), pictures))


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
    pictures, _ = choose_pictures(images, opened.manifest.image)
    check_sanity(opened, pictures)
    if checkpoint is None:
        tell(opened, None, as_json)
        return
    from export.graph import EmbeddingGraph
    from training.checkpoint import Checkpoint

    parity = measure_parity(opened, EmbeddingGraph(Checkpoint.open(checkpoint).load_model()), pictures)
    check_parity(parity)
    tell(opened, parity, as_json)
