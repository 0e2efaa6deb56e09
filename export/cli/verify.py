"""`vitreid export verify`: a bundle's files, graph and embeddings, also beside its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.bundle import Bundle
from vitreid.export.cli.options import BundleDir, Data, Images, MaxMapLoss, MinCosine, data_of, folder_of, trial
from vitreid.export.cli.report import report
from vitreid.terminal import AsJson
from vitreid.training.cli.options import Dataset, Pattern

Source = Annotated[
    Path | None, typer.Option(help="Checkpoint or run that it was exported from: compare the embeddings.")
]
Record = Annotated[bool, typer.Option("--record", help="Write the measurements into the bundle's manifest.")]


def verify(
    bundle: BundleDir,
    checkpoint: Source = None,
    images: Images = None,
    data: Data = None,
    dataset: Dataset = None,
    name_pattern: Pattern = None,
    min_cosine: MinCosine = None,
    max_map_loss: MaxMapLoss = None,
    record: Record = False,
    as_json: AsJson = False,
) -> None:
    """Check a bundle: its files, its graph, its embeddings, and with --checkpoint that it is the trained model."""
    from vitreid.export.images import choose_images
    from vitreid.export.sanity import check_sanity

    if checkpoint is None and (data or record or (min_cosine, max_map_loss) != (None, None)):
        raise typer.BadParameter("all options but --images need --checkpoint, with which the bundle is compared")
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

    tried = trial(opened.manifest.precision, source, min_cosine, max_map_loss)
    parity = verify_onnx(opened, Checkpoint.open(checkpoint), pixels, tried)
    if record:
        opened = opened.extend(parity=merged(opened.manifest.parity, parity))
    report(opened, parity, as_json=as_json)
