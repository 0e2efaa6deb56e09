"""All that a recipe can say. A recipe is a TOML file that holds what differs from these defaults."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, PositiveInt, ValidationError

from vitreid.bundle import ImageSpec
from vitreid.training.errors import ConfigError

RECIPES = Path(__file__).parent / "recipes"
LOSSES: dict[str, dict[str, JsonValue]] = {"identity": {}, "triplet": {}}  # where a recipe names none
WHOLE = ("options",)  # of a part, which fit one backbone: an heir's replace its base's
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Deviation = Annotated[float, Field(gt=0, le=1)]


def _rising(range_: tuple[float, float]) -> tuple[float, float]:
    if range_[0] > range_[1]:
        raise ValueError("the first number must not be above the second")
    return range_


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class JPMConfig(_Part):
    """TransReID's jigsaw patch module: see `vitreid.training.backbones.transreid.jpm_indices`.

    `reduction` combines the losses of the global and of the local features.
    """

    roll: int = Field(4, ge=0)
    groups: int = Field(2, ge=1)
    parts: int = Field(4, ge=1)
    reduction: Literal["paper", "code"] = "paper"


class ModelConfig(_Part):
    """The network: a timm Vision Transformer or ResNet and its BNNeck.

    `backbone` is the name of a ViT or ResNet of timm, and `options` go to its constructor (depth, embed_dim, ...).
    `weights` is "random", "timm" (the published ones, downloaded), a published file, or a checkpoint or run of ours;
    a position embedding of another size is resized, from `weights_grid` rows and columns of patches where a file has
    an unusual size. `bnneck` tells on which side of the BNNeck the embedding is taken.

    For transformers: `stem` is how pixels become patches, `stride` lets them overlap; `position` is the absolute
    position embedding and `position_at` where it is added, `relative` the relative one; `sie` is what the image's
    camera and view add; `pool` makes one feature of the tokens.
    """

    backbone: str = "vit_base_patch16_224"
    options: dict[str, JsonValue] = Field(default_factory=dict)
    stem: Literal["patch", "conv", "ics", "resnet"] = "patch"
    stride: int | None = Field(None, ge=1)
    position: Literal["none", "1d", "2d"] = "1d"
    position_at: Literal["stem", "every", "shared"] = "stem"
    relative: Literal["none", "bias", "keys"] = "none"
    zero_cls: bool = False
    sie: Literal["none", "camera", "view", "both"] = "none"
    sie_scale: float = 3.0
    jpm: JPMConfig | None = None
    pool: Literal["cls", "mean", "weighted", "cls_gem"] = "cls"
    weights: str = "random"
    weights_grid: tuple[PositiveInt, PositiveInt] | None = None
    height: int = Field(256, ge=16, le=1024)
    width: int = Field(128, ge=16, le=1024)
    mean: tuple[Share, Share, Share] = (0.5, 0.5, 0.5)
    std: tuple[Deviation, Deviation, Deviation] = (0.5, 0.5, 0.5)
    resize: Literal["bicubic", "bilinear"] = "bicubic"
    bnneck: Literal["before", "after"] = "before"

    @property
    def image(self) -> ImageSpec:
        """Images as the network takes them."""
        return ImageSpec(height=self.height, width=self.width, resize=self.resize)


class DataConfig(_Part):
    """What is read and in which portions.

    A batch holds `identities_per_batch` x `images_per_identity` images. An epoch has `samples_per_epoch` images, or
    those that `sampler`, a name of `SAMPLERS`, takes: every image, or as TransReID. `holdout_persons` of the training
    persons are kept from training and choose the best epoch instead of query and gallery. `cache` keeps the
    resized images in memory.
    """

    dataset: str = "market1501"
    identities_per_batch: int = Field(16, ge=2)
    images_per_identity: int = Field(4, ge=2)
    sampler: Literal["all_images", "random_identity"] = "all_images"
    samples_per_epoch: int | None = Field(None, gt=0)
    holdout_persons: int = Field(0, ge=0)
    workers: int = Field(2, ge=0)
    cache: bool = False

    @property
    def stated(self) -> str | None:
        """The layout where the recipe says it; None leaves it to what the data look like."""
        return self.dataset if "dataset" in self.model_fields_set else None


class AugmentConfig(_Part):
    """Random changes to training images.

    `flip` and `erase` are probabilities, `pad` counts pixels at the model's input size, `rotate` degrees; the others
    are shares: a `brightness` of 0.3 multiplies by 0.7 to 1.3.
    """

    flip: Share = 0.5
    pad: int = Field(10, ge=0)
    scale: float = Field(0.0, ge=0, lt=1)
    rotate: float = Field(0.0, ge=0, le=180)
    brightness: float = Field(0.0, ge=0, lt=1)
    contrast: float = Field(0.0, ge=0, lt=1)
    saturation: float = Field(0.0, ge=0, lt=1)
    channel_jitter: float = Field(0.0, ge=0, lt=1)
    erase: Share = 0.5
    erase_area: Annotated[tuple[Share, Share], AfterValidator(_rising)] = (0.02, 1 / 3)


class OptimConfig(_Part):
    """The optimiser and its learning rate over time.

    The rate rises linearly from `warmup_lr_ratio` x `lr` for `warmup_epochs`, then falls on a half cosine to
    `min_lr_ratio` x `lr`; `schedule` is a name of `SCHEDULES`, of which `steps` goes to a tenth at each epoch of
    `falls`. `bias_lr_mult` multiplies the rate of biases; `decay_bias_and_norm` also decays biases,
    norms and position embeddings.
    `backbone_lr_mult` multiplies the backbone's rate, 0 trains head and side information; the first
    `frozen_blocks` and all before them stay as they are.

    Gradients of `accumulate` batches make one step. With `ema` the weights that are scored and kept are a moving
    average, which takes 1 - `ema` of the network's at every step.
    """

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = Field(0.008, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    decay_bias_and_norm: bool = False
    bias_lr_mult: float = Field(1.0, gt=0)
    backbone_lr_mult: float = Field(1.0, ge=0)
    frozen_blocks: int = Field(0, ge=0)
    schedule: Literal["cosine", "cosine_by_epoch", "steps"] = "cosine"
    falls: tuple[Positive, ...] = (40, 90)
    warmup_epochs: float = Field(5, ge=0)
    warmup_lr_ratio: Share = 0.01
    min_lr_ratio: Share = 0.002
    clip_norm: float | None = Field(None, gt=0)
    accumulate: int = Field(1, ge=1)
    ema: float | None = Field(None, gt=0, lt=1)


class LoopConfig(_Part):
    """Settings of the training loop, whatever is trained.

    `precision` is that of the forward pass; `auto` depends on the device.
    """

    seed: int = Field(0, ge=0, lt=2**63)
    epochs: int = Field(120, ge=1)
    evaluate_every: int = Field(10, ge=1)
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "fp32"
    threads: int | None = Field(None, ge=1)
    optim: OptimConfig = OptimConfig()


class TrainConfig(LoopConfig):
    """A whole recipe for re-identification. `losses` maps names of losses to their weights and options."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    losses: dict[str, dict[str, JsonValue]] = Field(default=LOSSES, min_length=1)


def load_recipe(recipe: str, changes: Sequence[str] = ()) -> TrainConfig:
    """Read a recipe by its name or file and apply changes of the form `part.key=value`.

    A recipe may say `base = "NAME"`: it then holds what differs from that other recipe.

    Raises ConfigError for an unknown recipe, key or value.
    """
    path = _recipe_path(recipe, Path())
    return validated(_recipe_values(path, ()), changes, str(path))


@cache
def recipe_files() -> dict[str, Path]:
    """The project's recipes: name to TOML file."""
    return {file.stem: file for file in sorted(RECIPES.rglob("*.toml"))}


def base_of(recipe: str) -> str | None:
    """The recipe that one of the project's recipes changes."""
    base = _toml(recipe_files()[recipe].read_text(), recipe).get("base")
    return None if base is None else str(base)


def parse_config(text: str, changes: Sequence[str], name: str) -> TrainConfig:
    """Build a config from TOML; `name` is what an error calls it."""
    return validated(_toml(text, name), changes, name)


def of_dataset(config: TrainConfig, dataset: str) -> TrainConfig:
    """The recipe for data laid out otherwise."""
    return config.model_copy(update={"data": config.data.model_copy(update={"dataset": dataset})})


def _recipe_path(recipe: str, beside: Path) -> Path:
    path = beside / recipe if recipe.endswith(".toml") else recipe_files().get(recipe)
    if path is None or not path.is_file():
        near = difflib.get_close_matches(recipe, recipe_files(), 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(
            f"there is no recipe {recipe}; {meant}take one of `vitreid recipes`, or the path of a .toml file"
        )
    return path


def _recipe_values(path: Path, heirs: tuple[Path, ...]) -> dict[str, Any]:
    if path in heirs:
        raise ConfigError(f"{path} is its own base; let one recipe of {', '.join(map(str, heirs))} have none")
    values = _toml(path.read_text(), str(path))
    base = values.pop("base", None)
    if base is None:
        return _with_losses(values)
    return _merged(_recipe_values(_recipe_path(str(base), path.parent), (*heirs, path)), values)


def _with_losses(values: dict[str, Any]) -> dict[str, Any]:
    """The values with the losses that they have by default, so that what comes on top changes these or adds one."""
    return {"losses": deepcopy(LOSSES), **values}


def _merged(base: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    both = base.keys() & changed.keys()
    parts = {key for key in both if isinstance(base[key], dict) and key not in WHOLE}
    return base | changed | {key: _merged(base[key], changed[key]) for key in parts if isinstance(changed[key], dict)}


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is not TOML: {error}") from error


def validated(values: dict[str, Any], changes: Sequence[str], name: str) -> TrainConfig:
    """Build a config from a recipe's values; `name` is what an error calls them. Raises ConfigError."""
    values = _with_losses(values)
    for change in changes:
        _apply(values, change)
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        hint = f"; allowed here: {', '.join(_allowed(first['loc']))}" if first["type"] == "extra_forbidden" else ""
        raise ConfigError(f"{name}: {key} = {first['input']!r}: {first['msg']}{hint}") from error


def _apply(values: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"{change!r} is not a change; write part.key=value, such as optim.lr=0.001")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *parts, last = key.split(".")
    for part in parts:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{change!r}: {part} is a value and has no keys")
        values = inner
    values[last] = value


def _allowed(location: tuple[int | str, ...]) -> list[str]:
    part: type[BaseModel] = TrainConfig
    for name in location[:-1]:
        inner = part.model_fields[str(name)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        part = inner
    return list(part.model_fields)
