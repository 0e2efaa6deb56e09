"""A checkpoint on disk: weights, the recipe they come from, and what they scored.

A training run's folder holds two checkpoints, `best/` and `last/`; the latter also has `state.pt`, from which the run
goes on. `docs/formats.md` specifies all files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from vitreid.bundle.atomic import atomic_folder, recover
from vitreid.bundle.checksum import sha256_of
from vitreid.training.config import TrainConfig, parse_config
from vitreid.training.errors import CheckpointError, ConfigError
from vitreid.training.model import ReIDModel, build_model
from vitreid.training.side_labels import told_apart

FORMAT_VERSION = 1
MODEL, CONFIG, METRICS, STATE = "model.safetensors", "config.toml", "metrics.json", "state.pt"


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint. `metrics` holds the scores, the curve, the persons and cameras learned, and the seed."""

    path: Path
    config: TrainConfig
    metrics: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path) -> Checkpoint:
        """Read a checkpoint, or the best one of a run's folder.

        Raises CheckpointError where a file is missing, damaged or from a later version.
        """
        for candidate in (path, path / "best"):
            recover(candidate)
        folder = path if (path / METRICS).is_file() else path / "best"
        if missing := [name for name in (METRICS, CONFIG, MODEL) if not (folder / name).is_file()]:
            raise CheckpointError(f"{path} is not a checkpoint: it has no {missing[0]}; make one with `vitreid train`")
        metrics = _read_metrics(folder / METRICS)
        if sha256_of(folder / MODEL) != metrics["model_sha256"]:
            raise CheckpointError(f"{folder / MODEL} is damaged: its sha256 differs from {METRICS}; train it again")
        try:
            config = parse_config((folder / CONFIG).read_text(), (), str(folder / CONFIG))
        except (ConfigError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{error}; restore the file or train again") from error
        return cls(folder, config, metrics)

    @property
    def persons(self) -> tuple[str, ...]:
        """The training persons by index."""
        return tuple(self.metrics["persons"])

    @property
    def cameras(self) -> tuple[str, ...]:
        """The training cameras by index."""
        return tuple(self.metrics["cameras"])

    @property
    def views(self) -> tuple[str, ...]:
        """The training views by index."""
        return tuple(self.metrics.get("views", ()))

    @property
    def told_apart(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The cameras and the views that its side information tells apart; none of a kind that it does not."""
        return told_apart(self.config.model.sie, self.cameras, self.views)

    def load_model(self) -> ReIDModel:
        """Build the network and load its weights strictly; it comes in evaluation mode.

        Raises CheckpointError where names or shapes differ.
        """
        learned = {name: len(self.metrics.get(name, ())) for name in ("persons", "cameras", "views")}
        model = build_model(self.config, **learned, pretrained=False)
        try:
            model.load_state_dict(load_file(self.path / MODEL), strict=True)
        except (SafetensorError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise CheckpointError(f"{self.path / MODEL} does not fit its {CONFIG}: {reason}") from error
        return model.eval()

    def load_state(self) -> dict[str, Any]:
        """What a run needs to go on: optimiser, scaler and random state."""
        try:
            state: dict[str, Any] = torch.load(self.path / STATE, weights_only=True)
        except Exception as error:  # a damaged archive makes torch.load raise nearly any type
            raise CheckpointError(
                f"{self.path / STATE} cannot be read; start again without --resume or restore the file"
            ) from error
        return state


def save_checkpoint(
    path: Path,
    model: ReIDModel,
    config: TrainConfig,
    metrics: Mapping[str, Any],
    state: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint whole, in place of an older one; `state` makes it one from which a run goes on.

    Raises CheckpointError where the disk is full or refuses; the older one is kept.
    """
    try:
        with atomic_folder(path) as folder:
            _write(folder, model, config, metrics, state)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = _told_by_disk(error)
        if reason is None:
            raise
        raise CheckpointError(
            f"{path} cannot be written ({reason}); what was there before is kept: make room, then run it again, "
            "a training with --resume"
        ) from error


def _write(
    folder: Path, model: ReIDModel, config: TrainConfig, metrics: Mapping[str, Any], state: Mapping[str, Any] | None
) -> None:
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / MODEL)
    if state is not None:
        with (folder / STATE).open("wb") as file:  # through Python's file torch's error keeps the disk's as its context
            torch.save(dict(state), file)
    (folder / CONFIG).write_text(tomli_w.dumps(config.model_dump(mode="json", exclude_none=True)))
    content = {"format_version": FORMAT_VERSION, "model_sha256": sha256_of(folder / MODEL), **metrics}
    (folder / METRICS).write_text(json.dumps(content, indent=2) + "\n")


def _told_by_disk(error: BaseException | None) -> str | None:
    """What the operating system said, be it behind the error of a library; None where it is not to blame."""
    while error is not None:
        if isinstance(error, OSError):
            return error.strerror or str(error)
        if isinstance(error, SafetensorError) and "os error" in str(error):
            return str(error)
        error = error.__context__
    return None


def _read_metrics(file: Path) -> dict[str, Any]:
    try:
        metrics: dict[str, Any] = json.loads(file.read_bytes())
        version = metrics["format_version"]
        missing = {"model_sha256", "persons", "cameras"} - set(metrics)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file} is damaged ({error}); train again or restore the file") from error
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{file} has format_version {version}, this vitreid reads up to {FORMAT_VERSION}; update vitreid"
        )
    if missing:
        raise CheckpointError(f"{file} is damaged: it has no {sorted(missing)[0]}; train again or restore the file")
    return metrics
