"""`vitreid import-weights`: published weights as a checkpoint, and what neither they nor the options tell."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vitreid.training.pretrained.convert import Imported

Three = tuple[float, float, float]


def import_weights(
    file: Annotated[Path, typer.Argument(help="A .pth or .safetensors of TransReID, its SSL, DINO, DeiT or timm.")],
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")],
    height: Annotated[int | None, typer.Option(min=1, help="Of the images; as trained when left out.")] = None,
    width: Annotated[int | None, typer.Option(min=1, help="Of the images; as trained when left out.")] = None,
    grid: Annotated[
        str | None, typer.Option(help="ROWSxCOLUMNS of patches that it was trained on; of a usual size when left out.")
    ] = None,
    stride: Annotated[int | None, typer.Option(min=1, help="Of the patches; by their number when left out.")] = None,
    heads: Annotated[int | None, typer.Option(min=1, help="Attention heads; width / 64 when left out.")] = None,
    qk_scale: Annotated[
        float | None, typer.Option(help="Scale of the attention; 1 / sqrt(width / heads) when left out.")
    ] = None,
    mean: Annotated[Three | None, typer.Option(help="Mean of the pixels, 0..1; 0.5 0.5 0.5 when left out.")] = None,
    std: Annotated[Three | None, typer.Option(help="Their deviation; 0.5 0.5 0.5 when left out.")] = None,
    imagenet: Annotated[bool, typer.Option("--imagenet", help="Mean and deviation are ImageNet's.")] = False,
    resize: Annotated[str | None, typer.Option(help="bicubic (when left out) or bilinear.")] = None,
    after_bnneck: Annotated[bool, typer.Option("--after-bnneck", help="Embed after the BNNeck.")] = False,
    pool: Annotated[
        str | None, typer.Option(help="cls (when left out), mean, or cls_gem: GEM_POOLING of TransReID-SSL.")
    ] = None,
    cameras: Annotated[
        int | None, typer.Option(min=0, help="How many cameras its side information tells apart.")
    ] = None,
    views: Annotated[int | None, typer.Option(min=0, help="How many views its side information tells apart.")] = None,
    sie_scale: Annotated[float | None, typer.Option(help="SIE_COE of TransReID; 3.0 when left out.")] = None,
    roll: Annotated[
        int | None,
        typer.Option(min=0, help="Of the JPM: SHIFT_NUM of TransReID less 1, 0 without RE_ARRANGE; else 4."),
    ] = None,
    groups: Annotated[
        int | None, typer.Option(min=0, help="Of the JPM: SHUFFLE_GROUP of TransReID, 1 without RE_ARRANGE; else 2.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Which network of a file of several.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Take what fits; leave the rest at random.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Turn published weights into a checkpoint."""
    from vitreid.training.pretrained import convert
    from vitreid.training.records import check_output

    if (height is None) != (width is None):
        raise typer.BadParameter("--height and --width go together")
    if imagenet and (mean or std):
        raise typer.BadParameter("--imagenet gives --mean and --std; leave those out")
    check_output(out, resume=False)
    pixels: dict[str, Any] = convert.IMAGENET if imagenet else {"mean": mean, "std": std}
    stated = {
        "key": key,
        "size": None if height is None or width is None else (height, width),
        "grid": None if grid is None else _grid(grid),
        "stride": stride,
        "heads": heads,
        "qk_scale": qk_scale,
        **pixels,
        "resize": resize,
        "bnneck": "after" if after_bnneck else None,
        "pool": pool,
        "cameras": cameras,
        "views": views,
        "sie_scale": sie_scale,
        "roll": roll,
        "groups": groups,
    }
    given: Any = {name: value for name, value in stated.items() if value is not None}
    imported = convert.import_weights(file, out, partial=partial, **given)
    typer.echo(json.dumps(imported.told()) if as_json else _text(out, imported))


def _grid(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text)
    if found is None:
        raise typer.BadParameter(f"--grid {text} is not ROWSxCOLUMNS, such as 16x8")
    return int(found[1]), int(found[2])


def _text(out: Path, imported: Imported) -> str:
    from vitreid.training.pretrained.convert import ASSUMED

    told = imported.told()
    told.pop("assumed")
    lines = [f"{out}: " + ", ".join(f"{key} {value}" for key, value in told.items())]
    options = {name: assumption.option for name, assumption in ASSUMED.items()} | {"key": "--key"}
    assumed = [f"{name} {_shown(name, value)} ({options[name]})" for name, value in imported.assumed.items()]
    if assumed:
        lines.append(f"assumed, where the file does not say: {', '.join(assumed)}")
    return "\n".join(lines)


def _shown(name: str, value: Any) -> str:
    separator = "x" if name == "grid" else " "
    return separator.join(map(str, value)) if isinstance(value, tuple) else str(value)
