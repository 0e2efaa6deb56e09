"""Files of published weights: tensors by name, read without running any code that a file names."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import safe_globals

from vitreid.training.errors import WeightsError

BESIDE_WEIGHTS = (
    "argparse.Namespace",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy.dtype", "numpy.ndarray"),
    *(
        f"{module}.{name}Path"
        for module in ("pathlib", "pathlib._local")
        for name in ("Posix", "Windows", "PurePosix", "PureWindows")
    ),
)
"""Classes of objects saved beside weights (arguments, schedules, paths); each is replaced by an inert object."""

MARKS = ("cls_token", "layer1.0.conv1.weight")
"""Names in a transformer, or else in a ResNet, after the prefix of the network."""

AVERAGES = {"ema", "averaged", "teacher"}
"""Words in the name of a moving average, which publications evaluate."""

WRAPPERS = re.compile(r"(?:(?<=\.)|^)(_orig_mod|module|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""Prefixes that torch.compile and parallel training put into names of modules."""

DEPTH = 3  # of mappings in each other
BEGINNINGS: dict[bytes, str] = {
    b"<": "a web page, as download pages are saved; fetch the file behind it",
    b"version https://git-lfs": "a pointer of Git LFS; fetch its content with `git lfs pull`",
    b"\x1f\x8b": "a gzip archive; unpack it",
    b"": "empty; download it again",
}
"""Other kinds of files, by their first bytes."""


@dataclass(frozen=True)
class StateDict:
    """One network of a file: `tensors` by name, the `key` it was found under ("" where the file is nothing else).

    `others` are the keys of the file's other networks.
    """

    tensors: dict[str, Tensor]
    key: str = ""
    others: tuple[str, ...] = ()


class _Inert:
    """Stand-in for any class, which ignores arguments and state."""

    def __new__(cls, *_: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def read_weights(path: Path, key: str | None = None) -> StateDict:
    """Read the network under `key` of a .pth, .pt, .bin or .safetensors file, by default its only one.

    Of several networks a moving average (a teacher) is taken. Raises WeightsError for any other content, for several
    networks of equal rank and for an unknown key.
    """
    content = _content(path)
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not tensors by name; give a file of a state dict")
    states = dict(_states(content, "", DEPTH))
    found = {name: state for name, state in states.items() if roots_of(state)}
    found = found or dict([*states.items()][:1])
    if not found:
        raise WeightsError(f"{path} holds no tensors by name; give a file of a state dict")
    if key is None:
        averages = [name for name in found if not AVERAGES.isdisjoint(re.split(r"[._]", name.lower()))]
        [key, *more] = averages or found
        if more:
            names = ", ".join(averages or found)
            raise WeightsError(f"{path} holds several networks; take one with `vitreid import-weights --key`: {names}")
    if key not in found:
        raise WeightsError(f"{path} has no network {key!r}; give --key one of {', '.join(map(repr, found))}")
    return StateDict(found[key], key, tuple(name for name in found if name != key))


def roots_of(names: Iterable[str]) -> list[str]:
    """Return the prefixes of the networks among the names of tensors."""
    for mark in MARKS:
        if roots := sorted(name.removesuffix(mark) for name in names if f".{name}".endswith(f".{mark}")):
            return roots
    return []


def _states(content: Mapping[Any, Any], path: str, depth: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield mappings of tensors by key: nested ones, and those of several networks in one (student and teacher)."""
    tensors = {WRAPPERS.sub("", str(name)): value for name, value in content.items() if isinstance(value, Tensor)}
    roots = roots_of(tensors)
    if len(roots) < 2:
        roots = [""] if tensors else []
    for root in roots:
        longer = tuple(other for other in roots if len(other) > len(root))
        inside = {name for name in tensors if name.startswith(root) and not name.startswith(longer)}
        yield f"{path}{root}".rstrip("."), {name: value for name, value in tensors.items() if name in inside}
    for name, value in content.items() if depth else ():
        if isinstance(value, Mapping):
            yield from _states(value, f"{path}{name}.", depth - 1)


def _content(path: Path) -> Any:
    """Read a file."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        reason = "there is no file" if isinstance(error, FileNotFoundError) else f"{error.strerror}:"
        raise WeightsError(f"{reason} {path}; give a .pth or .safetensors file") from error
    for beginning, instead in BEGINNINGS.items():
        if head == beginning or (beginning and head.lstrip().startswith(beginning)):
            raise WeightsError(f"{path} is not a file of weights but {instead}")
    try:
        if head[8:9] == b"{":  # after its length, the header of safetensors
            return load_file(path)
        with warnings.catch_warnings(), safe_globals([(_Inert, name) for name in BESIDE_WEIGHTS]):
            warnings.simplefilter("ignore")  # about kinds of files and tensors that are refused in one line
            return torch.load(path, "cpu", weights_only=True)
    except SafetensorError as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path} is not a complete safetensors file ({reason}); download it again") from error
    except Exception as error:  # for a file that is not an archive torch.load raises nearly any type
        raise WeightsError(f"{path} {_reason(path, error)}") from error


def _reason(path: Path, error: Exception) -> str:
    """Return one line about a file that torch does not load; its own texts advise to switch safety off."""
    if found := re.search(r"GLOBAL (\S+)", str(error)):
        return (
            f"holds {found[1]} beside its tensors, which could run code and is not loaded; where the file was made, "
            "save the weights alone: torch.save(model.state_dict(), FILE)"
        )
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("constants.pkl") for name in names):
            return (
                "is a TorchScript program; save its weights alone: torch.save(torch.jit.load(FILE).state_dict(), OUT)"
            )
        if not any(name.endswith("data.pkl") for name in names):
            return "is an archive of other files; unpack it and give the file of weights in it"
    return "is not a file of weights that can be read safely, or is cut off; download it again"
