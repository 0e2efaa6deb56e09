"""`vitreid synth`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vitreid.training.cli.options import Json
from vitreid.training.cli.screen import counted


def synth(
    out: Annotated[Path, typer.Argument(help="Folder to make, in Market-1501's layout.")],
    identities: Annotated[int, typer.Option(help="Persons in all.")] = 100,
    cameras: Annotated[int, typer.Option(help="Cameras, each with its own look.")] = 6,
    images: Annotated[int, typer.Option(help="Images per person and camera.")] = 2,
    seed: Annotated[int, typer.Option(help="Same seed, same images.")] = 0,
    train: Annotated[int, typer.Option(help="How many of the persons are for training.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw a data set of made-up people."""
    from vitreid.synthetic import draw_dataset

    with counted("drawing", "images") as progress:
        summary = draw_dataset(
            out,
            identities=identities,
            cameras=cameras,
            images=images,
            seed=seed,
            train_identities=train,
            progress=progress,
        )
    counts = {"train": summary.train, "query": summary.query, "gallery": summary.gallery}
    if as_json:
        typer.echo(json.dumps({"out": str(out), **counts}))
    else:
        typer.echo(f"{out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()) + " images")
