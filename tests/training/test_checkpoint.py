"""Checkpoints on disk: what is damaged is named, and nothing else is opened."""

from __future__ import annotations

import json
import resource
import shutil
from pathlib import Path

import pytest
import torch

from vitreid.training.checkpoint import Checkpoint, save_checkpoint
from vitreid.training.config import TrainConfig
from vitreid.training.errors import CheckpointError
from vitreid.training.model import build_model


@pytest.fixture
def checkpoint(config: TrainConfig, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = build_model(config, persons=2)
    save_checkpoint(tmp_path / "checkpoint", model, config, {"persons": ["a", "b"], "cameras": ["c1"]}, {"step": 1})
    return tmp_path / "checkpoint"


def test_round_trip(checkpoint: Path, config: TrainConfig) -> None:
    opened = Checkpoint.open(checkpoint)
    assert opened.config == config
    assert opened.load_state() == {"step": 1}
    torch.manual_seed(0)
    expected = build_model(config, persons=2).state_dict()
    for name, value in opened.load_model().state_dict().items():
        torch.testing.assert_close(value, expected[name])


@pytest.mark.parametrize("name", ["model.safetensors", "config.toml", "metrics.json"])
def test_a_missing_file(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        Checkpoint.open(checkpoint)


@pytest.mark.parametrize("name", ["model.safetensors", "metrics.json"])
@pytest.mark.parametrize("kept", [0, 10, 1000])
def test_a_truncated_file(checkpoint: Path, name: str, kept: int) -> None:
    content = (checkpoint / name).read_bytes()
    (checkpoint / name).write_bytes(content[: min(kept, len(content) - 20)])
    with pytest.raises(CheckpointError, match="damaged"):
        Checkpoint.open(checkpoint)


def test_a_flipped_bit(checkpoint: Path) -> None:
    content = bytearray((checkpoint / "model.safetensors").read_bytes())
    content[-100] ^= 4
    (checkpoint / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="sha256"):
        Checkpoint.open(checkpoint)


def test_a_config_edited_by_hand(checkpoint: Path) -> None:
    file = checkpoint / "config.toml"
    original = file.read_text()
    file.write_text(original.replace("depth = 2", "depth = 3"))
    with pytest.raises(CheckpointError, match="does not fit"):
        Checkpoint.open(checkpoint).load_model()
    file.write_text("epochs = 'many'")
    with pytest.raises(CheckpointError, match="epochs"):
        Checkpoint.open(checkpoint)


def test_a_damaged_state(checkpoint: Path) -> None:
    (checkpoint / "state.pt").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"state\.pt cannot be read"):
        Checkpoint.open(checkpoint).load_state()


def test_a_later_version(checkpoint: Path) -> None:
    metrics = json.loads((checkpoint / "metrics.json").read_text())
    (checkpoint / "metrics.json").write_text(json.dumps(metrics | {"format_version": 7}))
    with pytest.raises(CheckpointError, match="format_version 7"):
        Checkpoint.open(checkpoint)


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        Checkpoint.open(tmp_path)


def test_a_crash_between_two_renames_is_repaired(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    shutil.move(checkpoint, tmp_path / "run" / ".best.old")
    assert Checkpoint.open(tmp_path / "run").path == tmp_path / "run" / "best"


@pytest.mark.parametrize(
    ("state", "reason"), [({}, "File too large"), ({"large": torch.zeros(300_000)}, "File too large")]
)
def test_a_full_disk(checkpoint: Path, config: TrainConfig, state: dict[str, torch.Tensor], reason: str) -> None:
    """Whichever file does not fit: the older checkpoint stays, and one line says what the disk said."""
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    size = len(before["model.safetensors"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000 if state else size - 1, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=rf"checkpoint cannot be written \(.*{reason}.*make room") as caught:
            save_checkpoint(checkpoint, build_model(config, persons=2), config, {"persons": [], "cameras": []}, state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir()} == before
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint"]


def test_errors_that_are_not_the_disks_stay_as_they_are(checkpoint: Path, config: TrainConfig) -> None:
    with pytest.raises(TypeError):
        save_checkpoint(checkpoint, build_model(config, persons=2), config, {"persons": object()})
