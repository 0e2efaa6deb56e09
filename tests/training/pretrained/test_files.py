"""Files of weights as the tools of others save them: they load without running code, or one line says why not."""

from __future__ import annotations

import os
import pathlib
import pickle
import subprocess
import warnings
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vitreid.training.errors import WeightsError
from vitreid.training.pretrained.files import read_weights
from vitreid.training.pretrained.names import check_numbers, translate

NAMES = ("cls_token", "blocks.0.norm1.weight")
STATE = {name: torch.full((2,), float(i)) for i, name in enumerate(NAMES)}


def under(prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in STATE.items()}


def refused(path: Path, key: str | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        read_weights(path, key)
    told = str(caught.value)
    assert told.isprintable()  # one line, without the escape codes of a terminal
    assert "weights_only" not in told
    return told


@pytest.mark.parametrize(
    "beside",
    [
        {"optimizer": {"param_groups": [{"lr": np.float64(0.1), "steps": np.int64(3), "amsgrad": np.bool_(False)}]}},
        {"args": Namespace(arch="vit_small", path=pathlib.PurePosixPath("a")), "epoch": 3},
        {"args": Namespace(lr=np.float32(1)), "path": Path("run"), "losses": np.arange(3.0), "best": np.str_("a")},
    ],
    ids=["numbers of numpy", "arguments", "arrays and paths"],
)
def test_what_runs_keep_beside_their_weights(tmp_path: Path, beside: dict[str, Any]) -> None:
    torch.save({"student": {}, "teacher": under("backbone."), **beside}, tmp_path / "full.pth")
    found = read_weights(tmp_path / "full.pth")
    assert (found.key, found.others, set(found.tensors)) == ("teacher", (), set(under("backbone.")))


class Harmful:
    """Runs a command when it is unpickled by those who allow it."""

    def __init__(self, *command: Any) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return self.command


def test_no_code_of_a_file_runs(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for command in (
        (os.system, (f"touch {marker}",)),
        (subprocess.getoutput, (f"touch {marker}",)),
        (open, (marker, "w")),
    ):
        torch.save({"model": STATE, "args": Harmful(*command)}, tmp_path / "harmful.pth")
        told = refused(tmp_path / "harmful.pth")
        assert "which could run code and is not loaded; where the file was made, save the weights alone" in told
        assert not marker.exists()


def saved(folder: Path, content: object) -> Path:
    torch.save(content, folder / "saved.pth")
    return folder / "saved.pth"


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (under("_orig_mod."), ""),
        (under("module._orig_mod."), ""),
        ({"state_dict": under("model._orig_mod."), "pytorch-lightning_version": "2.0"}, "state_dict"),
        ({"module": STATE, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}}, "module"),
        ({"model": {"state_dict": STATE}}, "model.state_dict"),
        ({"n_averaged": torch.tensor(3), **under("module.")}, ""),
        ({"lr": torch.tensor(0.1), "net": STATE}, "net"),
        ({"model": under("base."), "model_ema": under("module.base.")}, "model_ema"),
        ({"state_dict": STATE, "state_dict_ema": STATE}, "state_dict_ema"),
        (under("student.backbone.") | under("teacher.backbone.") | {"loss.center": torch.zeros(1)}, "teacher.backbone"),
    ],
)
def test_names_and_keys_of_other_tools(tmp_path: Path, content: dict[str, Any], key: str) -> None:
    found = read_weights(saved(tmp_path, content))
    assert found.key == key
    kept = [name for name in found.tensors if name.endswith(NAMES)]
    assert len(kept) == len(NAMES)
    assert not any(word in name for name in kept for word in ("_orig_mod", "module", "student"))


def test_one_of_several_networks_is_taken_by_its_key(tmp_path: Path) -> None:
    file = saved(tmp_path, {"encoder_q": STATE, "encoder_k": {name: value + 1 for name, value in STATE.items()}})
    assert "several networks; take one with `vitreid import-weights --key`: encoder_q, encoder_k" in refused(file)
    found = read_weights(file, "encoder_k")
    assert (found.key, found.others) == ("encoder_k", ("encoder_q",))
    assert found.tensors["cls_token"].tolist() == [1, 1]
    assert "has no network 'teacher'; give --key one of 'encoder_q', 'encoder_k'" in refused(file, "teacher")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<!DOCTYPE html><html>Google Drive", "is not a file of weights but a web page"),
        (b"\n <html>", "is not a file of weights but a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"),
        (b"\x1f\x8b\x08", "a gzip archive; unpack it"),
        (b"", "empty; download it again"),
        (b"no archive", "that can be read safely, or is cut off; download it again"),
        (b"\x10\0\0\0\0\0\0\0{cut off", "not a complete safetensors file"),
        (pickle.dumps({"a": 1}, protocol=5), "that can be read safely, or is cut off"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    assert told in refused(tmp_path / "weights.pth")


def test_archives_that_are_something_else(tmp_path: Path) -> None:
    assert "there is no file" in refused(tmp_path / "nowhere.pth")
    assert "Is a directory" in refused(tmp_path)
    assert "holds a list, not tensors by name" in refused(saved(tmp_path, [1, 2]))
    assert "holds no tensors by name" in refused(saved(tmp_path, {"epoch": 3}))
    with zipfile.ZipFile(tmp_path / "weights.zip", "w") as archive:
        archive.writestr("weights.pth", b"")
    assert "an archive of other files; unpack it" in refused(tmp_path / "weights.zip")
    whole = saved(tmp_path, STATE).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    assert "is cut off; download it again" in refused(tmp_path / "cut.pth")


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_program_of_torchscript(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(1, 1)).save(str(tmp_path / "program.pt"))
    with warnings.catch_warnings(record=True) as noise:  # which a command would print before its one line
        warnings.simplefilter("always")
        assert "is a TorchScript program; save its weights alone" in refused(tmp_path / "program.pt")
    assert not noise


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (torch.tensor([1.0, torch.nan]), "file.pth: a.weight contains NaN or Inf"),
        (torch.tensor([torch.inf]).half(), "a.weight contains NaN or Inf"),
        (torch.ones(2, dtype=torch.int8), "a.weight is int8, as quantised weights are"),
        (torch.ones(2).to(torch.float8_e4m3fn), "a.weight is float8_e4m3fn, as quantised weights are"),
        (torch.ones(2, dtype=torch.complex64), "a.weight is complex64"),
        (torch.ones(2, device="meta"), "a.weight holds no values"),
        (torch.ones(2).to_sparse(), "a.weight holds no values"),
    ],
)
def test_tensors_that_are_no_numbers(tensor: Tensor, told: str) -> None:
    with pytest.raises(WeightsError, match=told):
        check_numbers({"a.weight": tensor}, Path("file.pth"))
    check_numbers({"norm.num_batches_tracked": torch.tensor(3), "a.weight": torch.ones(1).bfloat16()}, Path())


def test_patches_by_a_linear_layer() -> None:
    """As timm had them in 2020: channels first, then rows."""
    convolution = nn.Conv2d(3, 8, 4, stride=4)
    state = {
        "cls_token": torch.zeros(1, 1, 8),
        "pos_embed": torch.zeros(1, 33, 8),
        "blocks.0.mlp.fc1.weight": torch.zeros(16, 8),
        "patch_embed.proj.weight": convolution.weight.detach().flatten(1),
    }
    found = translate(state, grid=(8, 4)).tensors["backbone.patch_embed.proj.weight"]
    assert torch.equal(found, convolution.weight)
    with pytest.raises(WeightsError, match=r"is \(8, 50\); expected square patches"):
        translate(state | {"patch_embed.proj.weight": torch.zeros(8, 50)})
