"""`vitreid embed`: a folder of images into a file of embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.service.cli.options import BatchSize, BundleDir, Images, SkipBad, Threads
from vitreid.service.cli.skipped import print_bad, print_ignored, reasons
from vitreid.terminal import AsJson, emit, progress_bar, report_interrupt

Out = Annotated[Path, typer.Option("--out", help="The .npz to write: arrays `path` and `embedding`.")]


def embed(
    images: Images,
    out: Out,
    bundle: BundleDir = None,
    skip_bad: SkipBad = False,
    batch_size: BatchSize = 32,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Embed a folder of images into one file; it appears whole or not at all."""
    with report_interrupt(f"{out} was not written"):
        from vitreid.service.cli.opening import image_limits, open_embedder
        from vitreid.service.config import load_config
        from vitreid.service.intake.folders import read_folder
        from vitreid.service.intake.indexing import embed_folder
        from vitreid.service.values.files import CannotWrite

        folder = read_folder(images)
        if out.suffix != ".npz" or not out.parent.is_dir():
            raise CannotWrite(f"--out {out} must be a file named *.npz in a folder that exists")
        config = load_config(bundle=bundle, threads=threads)
        embedder = open_embedder(config, batch_size=batch_size)
        with progress_bar("embedding") as progress:
            embedded = embed_folder(
                folder, embedder, limits=image_limits(config), batch_size=batch_size, progress=progress
            )
        embedded.save(out)
    if not as_json:
        print_bad(embedded.bad)
        print_ignored(embedded.ignored)
    count, dimension = embedded.embeddings.shape
    values = {"out": out, "images": count, "dimension": dimension}
    values |= {"bad": reasons(embedded.bad), "ignored": reasons(embedded.ignored)}
    text = f"wrote {count:,} embeddings of {dimension} numbers to {out}, {len(embedded.bad):,} unusable"
    emit(values, text, as_json=as_json)
    raise typer.Exit(1 if embedded.bad and not skip_bad else 0)
