"""Provenance of a run, its output folder, and differences between two recipes."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from vitreid.training.checkpoint import METRICS
from vitreid.training.config import TrainConfig
from vitreid.training.datasets import Split
from vitreid.training.errors import ConfigError


def check_output(out: Path, *, resume: bool) -> None:
    """Refuse to write over a run or other files unless the run is to go on, and what cannot be written at all.

    Raises ConfigError.
    """
    has_run = any((out / part / METRICS).is_file() for part in ("best", "last", ".last.old"))
    if resume and not has_run:
        raise ConfigError(f"{out} holds no run to resume; leave --resume out to start one")
    if not resume and has_run:
        raise ConfigError(f"{out} holds a run; continue it with --resume or choose another --out")
    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} exists and is no run of ours; choose another --out")
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError(
            f"{out} cannot be made, since {there} is no folder that can be written to; choose another --out"
        )


def provenance(config: TrainConfig, split: Split, data: str) -> dict[str, Any]:
    """Return versions, seed, data set, persons, cameras and views: a checkpoint's metrics beside its scores."""
    here = Path(__file__).parent
    commit = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "vitreid": version("vitreid"),
        "commit": commit.stdout.strip() or None,
        "torch": torch.__version__,
        "seed": config.seed,
        "data": {
            "name": data,
            "dataset": config.data.dataset,
            "train": len(split.train),
            "query": len(split.query),
            "gallery": len(split.gallery),
        },
        "persons": list(split.train_persons()),
        "cameras": list(split.train_cameras()),
        "views": list(split.train_views()),
    }


def differing_keys(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted keys whose values differ."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differing_keys(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key}")
    return found
