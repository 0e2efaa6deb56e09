"""`vitreid export adopt`: what others trained, as a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.export.images import choose_images
from vitreid.export.options import Images, report
from vitreid.export.pixels import Color, InputSpec, Layout, Resize
from vitreid.terminal import AsJson

Three = Annotated[
    tuple[float, float, float] | None,
    typer.Option(metavar="A B C", help="In the order of --color, after --scale; ImageNet's by default."),
]
Side = Annotated[int | None, typer.Option(help="In pixels; only where the file leaves it open.")]


def adopt(
    model: Annotated[Path, typer.Argument(help="An ONNX file that embeds images.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    height: Side = None,
    width: Side = None,
    mean: Three = None,
    std: Three = None,
    scale: Annotated[
        float | None, typer.Option(help="Pixels of 0..255 are divided by it before mean and std; 255 by default.")
    ] = None,
    color: Annotated[Color, typer.Option(help="The order of the channels that the model takes.")] = "RGB",
    layout: Annotated[
        Layout | None, typer.Option(help="The order of the input's axes; only where the file leaves it open.")
    ] = None,
    resize: Annotated[Resize, typer.Option(help="The filter by which its images were resized.")] = "bilinear",
    output: Annotated[str | None, typer.Option(help="Which of several outputs is the embedding.")] = None,
    images: Images = None,
    name: Annotated[str | None, typer.Option(help="What the bundle is called; by default the file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a bundle of a model that others trained, and prove on images that it gives the same embeddings."""
    from vitreid.export.adopt import adopt as adopt_original
    from vitreid.export.original import Original

    stated = InputSpec(
        height=height, width=width, layout=layout, color=color, scale=scale, mean=mean, std=std, resize=resize,
        output=output,
    )  # fmt: skip
    original = Original.open(model, stated)
    pixels, parity_data = choose_images(images, original.image)
    bundle = adopt_original(original, out, pixels, parity_data=parity_data, name=name)
    report(bundle, bundle.manifest.parity[:1], as_json=as_json, model=model.name)
