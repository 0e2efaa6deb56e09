"""In-memory label columns; turns a Filter into a boolean mask."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreid.service.gallery.filters import Filter, Scalar
from vitreid.service.gallery.items import Range
from vitreid.service.gallery.rows.changes import LABELS, NUMBERS, Labels

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
_UNKNOWN = -1
_NEVER = np.datetime64("NaT", "us")
_FILL: dict[str, np.generic] = {
    **{name: np.int32(_UNKNOWN) for name in LABELS},
    "captured_at": _NEVER,
    **{name: np.float64(np.nan) for name in NUMBERS},
    "live": np.bool_(False),
}
MIN_SLOTS = 1024


class Columns:
    """One array per field, by slot; the slot of an item is its id less `base`, which no id is below."""

    def __init__(self, base: int) -> None:
        self.base = base
        self._size = 0  # slots up to the highest id so far
        self._arrays = {name: np.empty(0, dtype=fill.dtype) for name, fill in _FILL.items()}
        self._codes: dict[str, dict[str, int]] = {name: {} for name in LABELS}
        self._live_count = 0

    def __len__(self) -> int:
        return self._live_count

    @property
    def slots(self) -> int:
        """Number of slots, those of removed items included."""
        return self._size

    @property
    def memory_bytes(self) -> int:
        """Bytes of the arrays, room to grow included."""
        return sum(array.nbytes for array in self._arrays.values())

    def has(self, ids: Ids) -> Mask:
        """Return (N,) which of the ids are live items."""
        inside = (ids >= self.base) & (ids < self.base + self._size)
        found = np.zeros(len(ids), dtype=bool)
        found[inside] = self["live"][ids[inside] - self.base]
        return found

    def put(self, ids: Ids, labels: Labels) -> None:
        """Set the labels of (N,) items, new or known."""
        if not len(ids):
            return
        slots = ids - self.base
        self._grow(int(slots.max()) + 1)
        self._live_count += int(np.count_nonzero(~self["live"][slots]))
        self["live"][slots] = True
        for name in LABELS:
            self[name][slots] = _coded(self._codes[name], labels[name])
        self["captured_at"][slots] = labels["captured_at"]
        for name in NUMBERS:
            self[name][slots] = np.array(labels[name], dtype=np.float64)

    def drop(self, ids: Ids) -> None:
        """Remove items; unknown ids are ignored."""
        slots = ids[self.has(ids)] - self.base
        self._live_count -= len(slots)
        for name, fill in _FILL.items():
            self[name][slots] = fill

    def mask(self, where: Filter, ids_with: Callable[[str, Scalar], Ids]) -> Mask:
        """Return a filter as a mask by slot; `ids_with` returns the items whose metadata has a value."""
        mask = self["live"].copy()
        for condition in self._conditions(where):
            mask &= condition
        for key, value in where.metadata.items():
            mask &= self._at(ids_with(key, value))
        if where.exclude_ids:
            mask &= ~self._at(np.fromiter(where.exclude_ids, dtype=np.int64))
        return mask

    def save(self, path: Path) -> None:
        """Write the live items; of labels only those that live items have."""
        slots = np.flatnonzero(self["live"])
        arrays: dict[str, NDArray[Any]] = {"ids": slots + self.base, "base": np.array(self.base)}
        for name in self._arrays:
            arrays[name] = self[name][slots]
        for name in LABELS:
            known = np.array(list(self._codes[name]), dtype=object)
            used, codes = np.unique(arrays[name], return_inverse=True)
            first = int(_UNKNOWN in used)
            arrays[name] = codes.astype(np.int32) - first
            text = json.dumps(known[used[first:]].tolist() if len(known) else [])
            arrays[f"{name}_texts"] = np.frombuffer(text.encode(), dtype=np.uint8)
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path, last_id: int) -> Columns:
        """Load what `save` wrote, of items up to `last_id`; the caller has checked the hash. Raises ValueError."""
        with zipfile.ZipFile(path) as packed:
            if any(each.compress_type != zipfile.ZIP_STORED for each in packed.infolist()):
                raise ValueError("it is compressed")  # a small file could fill the memory
        with np.load(path, allow_pickle=False) as arrays:
            columns, ids = cls(int(arrays["base"])), arrays["ids"]
            inside = not len(ids) or columns.base <= ids.min() <= ids.max() <= last_id
            if ids.dtype != np.int64 or not inside or not 0 <= columns.base <= last_id + 1:
                raise ValueError("an id is out of range")
            columns._grow(int(ids.max(initial=columns.base - 1)) + 1 - columns.base)
            for name in _FILL:
                columns[name][ids - columns.base] = arrays[name]
            for name in LABELS:
                texts: list[str] = json.loads(arrays[f"{name}_texts"].tobytes())
                columns._codes[name] = {text: code for code, text in enumerate(texts)}
        columns._live_count = len(ids)
        return columns

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name][: self._size]

    def _grow(self, size: int) -> None:
        if size > len(self._arrays["live"]):
            room = max(size, 2 * len(self._arrays["live"]), MIN_SLOTS)
            for name, fill in _FILL.items():
                grown = np.full(room, fill)
                grown[: self._size] = self[name]
                self._arrays[name] = grown
        self._size = max(self._size, size)

    def _at(self, ids: Ids) -> Mask:
        mask = np.zeros(self._size, dtype=bool)
        slots = ids - self.base
        mask[slots[(slots >= 0) & (slots < self._size)]] = True
        return mask

    def _conditions(self, where: Filter) -> Iterator[Mask]:
        if where.cameras is not None:
            yield self._among("camera_id", where.cameras)
        if where.exclude_cameras:
            yield ~self._among("camera_id", where.exclude_cameras)
        for name, text in (("person_id", where.person_id), ("track_id", where.track_id)):
            if text is not None:
                yield self._among(name, [text])
        if where.since is not None:  # a comparison with NaT is false
            yield self["captured_at"] >= _utc(where.since)
        if where.until is not None:
            yield self["captured_at"] < _utc(where.until)
        for name, limits in where.quality.items():
            yield _within(self["height"] / self["width"] if name == "aspect" else self[name], limits)

    def _among(self, name: str, texts: Collection[str]) -> Mask:
        codes = [self._codes[name][text] for text in texts if text in self._codes[name]]
        return self[name] == codes[0] if len(codes) == 1 else np.isin(self[name], codes)


def _coded(codes: dict[str, int], texts: Sequence[str | None]) -> list[int]:
    return [_UNKNOWN if text is None else codes.setdefault(text, len(codes)) for text in texts]


def _utc(time: datetime) -> np.datetime64:
    return np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "us")


def _within(values: NDArray[np.float64], limits: Range) -> Mask:
    low, high = limits
    within: Mask = ~np.isnan(values)
    if low is not None:
        within &= values >= low
    if high is not None:
        within &= values <= high
    return within
