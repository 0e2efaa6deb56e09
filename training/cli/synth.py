"""`vitreid synth`: a data set of made-up people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.terminal import AsJson, emit, progress_bar

Out = Annotated[Path, typer.Argument(help="Folder to make, in Market-1501's layout.")]
Identities = Annotated[int, typer.Option(help="Number of persons.")]
Cameras = Annotated[int, typer.Option(help="Number of cameras, each with its own colours and light.")]
Images = Annotated[int, typer.Option(help="Images per person and camera.")]
Seed = Annotated[int, typer.Option(help="Same seed, same images.")]
Train = Annotated[int, typer.Option(help="Number of the persons that are for training.")]


def synth(
    out: Out,
    identities: Identities = 100,
    cameras: Cameras = 6,
    images: Images = 2,
    seed: Seed = 0,
    train: Train = 0,
    as_json: AsJson = False,
) -> None:
    """Draw a data set of made-up people."""
    from vitreid.synthetic import draw_dataset

    with progress_bar("drawing") as progress:
        drawn = draw_dataset(
            out, identities=identities, cameras=cameras, images=images, seed=seed, train_identities=train,
            progress=progress,
        )  # fmt: skip
    counts = {"train": drawn.train, "query": drawn.query, "gallery": drawn.gallery}
    text = f"{out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()) + " images"
    emit({"out": out, **counts}, text, as_json=as_json)
