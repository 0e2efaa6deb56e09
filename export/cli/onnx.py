"""`vitreid export onnx`: a checkpoint into a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.export.cli.options import Data, Images, MaxMapLoss, MinCosine, data_of, folder_of, trial
from vitreid.export.cli.report import report
from vitreid.terminal import AsJson
from vitreid.training.cli.options import Dataset, Pattern

Source = Annotated[Path, typer.Argument(help="A checkpoint or a run's folder.")]
Out = Annotated[Path, typer.Option(help="Folder of the bundle.")]
Name = Annotated[str | None, typer.Option(help="Name of the bundle; default the run's folder.")]
Opset = Annotated[int, typer.Option(help="23, or 18 for runtimes that do not know `Attention`.")]
Precision = Annotated[str, typer.Option(help="fp32, fp16 (for GPUs), int8 or int8-static.")]
Ranges = Annotated[Path | None, typer.Option(help="Folder of images for int8-static's ranges.")]


def to_onnx(
    checkpoint: Source,
    out: Out,
    images: Images = None,
    name: Name = None,
    opset: Opset = 23,
    precision: Precision = "fp32",
    calibration: Ranges = None,
    data: Data = None,
    dataset: Dataset = None,
    name_pattern: Pattern = None,
    min_cosine: MinCosine = None,
    max_map_loss: MaxMapLoss = None,
    as_json: AsJson = False,
) -> None:
    """Export a checkpoint to a bundle and prove on images that it is the same model."""
    from vitreid.export.images import choose_images
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
        opened, out, pixels, parity_data=parity_data, name=name, opset=opset, precision=precision,
        calibration=calibrating, trial=trial(precision, source, min_cosine, max_map_loss),
    )  # fmt: skip
    report(bundle, bundle.manifest.parity, as_json=as_json)
