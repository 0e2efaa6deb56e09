"""`vitreid import-weights`: published weights as a checkpoint, with what had to be assumed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vitreid.terminal import AsJson, emit

if TYPE_CHECKING:
    from vitreid.training.pretrained.convert import Imported

Three = tuple[float, float, float]

File = Annotated[Path, typer.Argument(help="A .pth or .safetensors of TransReID, TransReID-SSL, DINO, DeiT or timm.")]
Out = Annotated[Path, typer.Option(help="Folder of the checkpoint.")]
Height = Annotated[int | None, typer.Option(min=1, help="Height of the images; default as trained.")]
Width = Annotated[int | None, typer.Option(min=1, help="Width of the images; default as trained.")]
Grid = Annotated[
    str | None, typer.Option(help="ROWSxCOLUMNS of patches that it was trained on; default of a usual size.")
]
Stride = Annotated[int | None, typer.Option(min=1, help="Stride of the patches; default by their number.")]
Heads = Annotated[int | None, typer.Option(min=1, help="Attention heads; default width / 64.")]
QkScale = Annotated[float | None, typer.Option(help="Scale of the attention; default 1 / sqrt(width / heads).")]
Mean = Annotated[Three | None, typer.Option(help="Mean of the pixels, 0..1; default 0.5 0.5 0.5.")]
Std = Annotated[Three | None, typer.Option(help="Standard deviation of the pixels; default 0.5 0.5 0.5.")]
ImageNet = Annotated[bool, typer.Option("--imagenet", help="Mean and standard deviation of ImageNet.")]
Resize = Annotated[str | None, typer.Option(help="bicubic (default) or bilinear.")]
AfterBNNeck = Annotated[bool, typer.Option("--after-bnneck", help="Embed after the BNNeck.")]
Pool = Annotated[str | None, typer.Option(help="cls (default), mean, or cls_gem: GEM_POOLING of TransReID-SSL.")]
Cameras = Annotated[int | None, typer.Option(min=0, help="SIE: number of cameras.")]
Views = Annotated[int | None, typer.Option(min=0, help="SIE: number of views.")]
SieScale = Annotated[float | None, typer.Option(help="SIE: SIE_COE of TransReID; default 3.0.")]
Roll = Annotated[
    int | None, typer.Option(min=0, help="JPM: SHIFT_NUM of TransReID less 1, 0 without RE_ARRANGE; default 4.")
]
Groups = Annotated[
    int | None, typer.Option(min=0, help="JPM: SHUFFLE_GROUP of TransReID, 1 without RE_ARRANGE; default 2.")
]
Key = Annotated[str | None, typer.Option(help="Which network of a file of several.")]
Partial = Annotated[bool, typer.Option("--partial", help="Take what fits; leave the rest at random.")]


def import_weights(
    file: File,
    out: Out,
    height: Height = None,
    width: Width = None,
    grid: Grid = None,
    stride: Stride = None,
    heads: Heads = None,
    qk_scale: QkScale = None,
    mean: Mean = None,
    std: Std = None,
    imagenet: ImageNet = False,
    resize: Resize = None,
    after_bnneck: AfterBNNeck = False,
    pool: Pool = None,
    cameras: Cameras = None,
    views: Views = None,
    sie_scale: SieScale = None,
    roll: Roll = None,
    groups: Groups = None,
    key: Key = None,
    partial: Partial = False,
    as_json: AsJson = False,
) -> None:
    """Turn published weights into a checkpoint."""
    from vitreid.training.pretrained.convert import import_weights as convert
    from vitreid.training.records import check_output

    check_output(out, resume=False)
    stated: dict[str, Any] = dict(
        key=key, size=_size(height, width), grid=_grid(grid), stride=stride, heads=heads, qk_scale=qk_scale,
        resize=resize, bnneck="after" if after_bnneck else None, pool=pool, cameras=cameras, views=views,
        sie_scale=sie_scale, roll=roll, groups=groups, **_pixels(mean, std, imagenet),
    )  # fmt: skip
    given = {name: value for name, value in stated.items() if value is not None}
    imported = convert(file, out, partial=partial, **given)
    emit(imported.summary(), _lines(out, imported), as_json=as_json)


def _size(height: int | None, width: int | None) -> tuple[int, int] | None:
    if height is not None and width is not None:
        return height, width
    if height is not width:
        raise typer.BadParameter("--height and --width go together")
    return None


def _pixels(mean: Three | None, std: Three | None, imagenet: bool) -> dict[str, Any]:
    from vitreid.training.pretrained.convert import IMAGENET

    if imagenet and (mean or std):
        raise typer.BadParameter("--imagenet gives --mean and --std; leave those out")
    return dict(IMAGENET) if imagenet else {"mean": mean, "std": std}


def _grid(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text)
    if found is None:
        raise typer.BadParameter(f"--grid {text} is not ROWSxCOLUMNS, such as 16x8")
    return int(found[1]), int(found[2])


def _lines(out: Path, imported: Imported) -> Iterator[str]:
    from vitreid.training.pretrained.convert import ASSUMED

    values = imported.summary()
    values.pop("assumed")
    yield f"{out}: " + ", ".join(f"{key} {value}" for key, value in values.items())
    options = {name: assumption.option for name, assumption in ASSUMED.items()} | {"key": "--key"}
    assumed = [f"{name} {_shown(name, value)} ({options[name]})" for name, value in imported.assumed.items()]
    if assumed:
        yield f"assumed, where the file does not say: {', '.join(assumed)}"


def _shown(name: str, value: Any) -> str:
    separator = "x" if name == "grid" else " "
    return separator.join(map(str, value)) if isinstance(value, tuple) else str(value)
