"""The commands that make and check bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.bundle import Bundle
from vitreid.export import adopt_cli, calibrate_cli, tensorrt_cli
from vitreid.export.images import choose_images
from vitreid.export.options import (
    Data,
    Images,
    MaxMapLoss,
    MinCosine,
    data_of,
    folder_of,
    report,
    report_explain_graph,
    trial,
)
from vitreid.terminal import AsJson
from vitreid.training.cli.options import Dataset, Pattern

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Turn a checkpoint into a bundle, and check bundles."
)
app.command()(adopt_cli.adopt)
app.command()(calibrate_cli.calibrate)
app.command()(tensorrt_cli.tensorrt)


@app.command("onnx")
def to_onnx(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint or a run's folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    images: Images = None,
    name: Annotated[str | None, typer.Option(help="What the bundle is called; by default the run's folder.")] = None,
    opset: Annotated[int, typer.Option(help="23, or 18 for runtimes that do not know `Attention`.")] = 23,
    precision: Annotated[str, typer.Option(help="fp32, fp16 (for GPUs), int8 or int8-static.")] = "fp32",
    calibration: Annotated[Path | None, typer.Option(help="Folder of images for int8-static's ranges.")] = None,
    data: Data = None,
    dataset: Dataset = None,
    name_pattern: Pattern = None,
    min_cosine: MinCosine = None,
    max_map_loss: MaxMapLoss = None,
    as_json: AsJson = False,
) -> None:
    """Export a checkpoint to a bundle and prove on images that it is the same model."""
    from vitreid.export.precision import CALIBRATION, check_precision
    from vitreid.export.to_onnx import export_onnx
    from vitreid.training.checkpoint import Checkpoint

    opened = Checkpoint.open(checkpoint)
    spec = opened.config.model.image
    calibrating = None if calibration is None else choose_images(calibration, spec, CALIBRATION)[0]
    check_precision(precision, 0 if calibrating is None else len(calibrating))
    source = data_of(data, dataset, name_pattern)
    pixels, parity_data = choose_images(images or folder_of(source), spec)
    bundle = export_onnx(
        opened,
        out,
        pixels,
        parity_data=parity_data,
        name=name,
        opset=opset,
        precision=precision,
        calibration=calibrating,
        trial=trial(precision, source, min_cosine, max_map_loss),
    )
    report(bundle, bundle.manifest.parity, as_json=as_json)


@app.command()
def explain(
    bundle: Annotated[Path, typer.Argument(help="The bundle.")],
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint or run that it was exported from.")],
    images: Images = None,
    as_json: AsJson = False,
) -> None:
    """Let a bundle tell which patches of two images it compares: add explain.onnx."""
    from vitreid.export.explain import add_explain_graph
    from vitreid.training.checkpoint import Checkpoint

    opened = Bundle.open(bundle)
    pixels, _ = choose_images(images, opened.manifest.image)
    report_explain_graph(add_explain_graph(opened, Checkpoint.open(checkpoint), pixels), as_json=as_json)


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="Checkpoint or run that it was exported from: compare the embeddings.")
    ] = None,
    images: Images = None,
    data: Data = None,
    dataset: Dataset = None,
    name_pattern: Pattern = None,
    min_cosine: MinCosine = None,
    max_map_loss: MaxMapLoss = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write what was measured here into the bundle's manifest.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a bundle: its files, its graph, its embeddings, and with --checkpoint that it is the trained model."""
    from vitreid.export.sanity import check_sanity

    if checkpoint is None and (data or record or (min_cosine, max_map_loss) != (None, None)):
        raise typer.BadParameter("all but --images needs --checkpoint, with which the bundle is compared")
    opened = Bundle.open(bundle)
    source = data_of(data, dataset, name_pattern)
    pixels, _ = choose_images(images or folder_of(source), opened.manifest.image)
    check_sanity(opened, pixels)
    if checkpoint is None:
        report(opened, (), as_json=as_json)
        return
    from vitreid.export.to_onnx import verify_onnx
    from vitreid.export.trial import merged
    from vitreid.training.checkpoint import Checkpoint

    asked = trial(opened.manifest.precision, source, min_cosine, max_map_loss)
    parity = verify_onnx(opened, Checkpoint.open(checkpoint), pixels, asked)
    if record:
        opened = opened.extend(parity=merged(opened.manifest.parity, parity))
    report(opened, parity, as_json=as_json)
