"""`vitreid export adopt`: a model that others trained into a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreid.export.cli.options import Images
from vitreid.export.cli.report import report
from vitreid.export.pixels import Color, InputSpec, Layout, Resize
from vitreid.terminal import AsJson

Three = Annotated[
    tuple[float, float, float] | None,
    typer.Option(metavar="A B C", help="In the order of --color, after --scale; default ImageNet's."),
]
Side = Annotated[int | None, typer.Option(help="In pixels; only where the file leaves it open.")]


Model = Annotated[Path, typer.Argument(help="An ONNX file that embeds images.")]
Out = Annotated[Path, typer.Option(help="Folder of the bundle.")]
Scale = Annotated[float | None, typer.Option(help="Divisor of pixels of 0..255, before mean and std; default 255.")]
ColorOrder = Annotated[Color, typer.Option(help="Order of the channels that the model takes.")]
Axes = Annotated[Layout | None, typer.Option(help="Order of the input's axes; only where the file leaves it open.")]
ResizeFilter = Annotated[Resize, typer.Option(help="The filter by which its images were resized.")]
Output = Annotated[str | None, typer.Option(help="Which of several outputs is the embedding.")]
Name = Annotated[str | None, typer.Option(help="Name of the bundle; default the file's.")]


def adopt(
    model: Model,
    out: Out,
    height: Side = None,
    width: Side = None,
    mean: Three = None,
    std: Three = None,
    scale: Scale = None,
    color: ColorOrder = "RGB",
    layout: Axes = None,
    resize: ResizeFilter = "bilinear",
    output: Output = None,
    images: Images = None,
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Make a bundle of a model that others trained, and prove on images that it gives the same embeddings."""
    from vitreid.export.adopt import adopt as adopt_original
    from vitreid.export.images import choose_images
    from vitreid.export.original import Original

    stated = InputSpec(
        height=height, width=width, layout=layout, color=color, scale=scale, mean=mean, std=std, resize=resize,
        output=output,
    )  # fmt: skip
    original = Original.open(model, stated)
    pixels, parity_data = choose_images(images, original.image)
    bundle = adopt_original(original, out, pixels, parity_data=parity_data, name=name)
    report(bundle, bundle.manifest.parity[:1], as_json=as_json, model=model.name)
