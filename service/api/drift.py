"""Drift of the best scores of queries, per gallery and camera, against the first ones."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REFERENCE = 1000
WINDOW = 200
THRESHOLD = 0.25
BINS = 10
CAMERAS = 200


@dataclass(frozen=True)
class Drift:
    """Distance of the recent best scores of one camera's queries in one gallery from the first ones."""

    gallery: str
    camera_id: str
    index: float
    """Population stability index of the recent scores against the first ones; 0 = the same distribution."""
    reference_mean: float
    recent_mean: float

    @property
    def alarm(self) -> bool:
        """True if the distance is more than chance explains."""
        return self.index > THRESHOLD


def stability_index(reference: Sequence[float], recent: Sequence[float], bins: int = BINS) -> float:
    """Population stability index: the sum of (q - p) ln(q / p) over bins that hold equal shares of the reference.

    `p` and `q` are the shares of both samples in a bin, half a score added to each bin so that none is empty. Under
    0.1 is usually taken for the same distribution, over 0.25 for another one. Two samples of one distribution give
    about (bins - 1) (1 / len(reference) + 1 / len(recent)).
    """
    edges = np.quantile(np.asarray(reference), np.linspace(0, 1, bins + 1)[1:-1])
    p, q = _shares(np.asarray(reference), edges), _shares(np.asarray(recent), edges)
    return float(np.sum((q - p) * np.log(q / p)))


class DriftWatch:
    """The first and the latest best scores per gallery and query camera, in bounded memory; thread-safe.

    Once the reference is full, they are compared at every half window. Of more than `cameras` cameras, the least
    recently used are dropped.
    """

    def __init__(self, *, reference: int = REFERENCE, window: int = WINDOW, cameras: int = CAMERAS) -> None:
        self._reference = reference
        self._window = window
        self._cameras = cameras
        self._lock = threading.Lock()
        self._scores: OrderedDict[tuple[str, str], _Scores] = OrderedDict()

    def add(self, gallery: str, camera_id: str, score: float) -> Drift | None:
        """Add the score of a query's best match; return the comparison if one was due."""
        key = (gallery, camera_id)
        with self._lock:
            scores = self._scores.setdefault(key, _Scores([], deque(maxlen=self._window)))
            self._scores.move_to_end(key)
            if len(self._scores) > self._cameras:
                self._scores.popitem(last=False)
            if len(scores.reference) < self._reference:
                scores.reference.append(score)
                return None
            scores.recent.append(score)
            scores.since += 1
            if len(scores.recent) < self._window or scores.since < self._window // 2:
                return None
            scores.since = 0
            scores.drift = Drift(
                gallery,
                camera_id,
                index=stability_index(scores.reference, scores.recent),
                reference_mean=float(np.mean(scores.reference)),
                recent_mean=float(np.mean(scores.recent)),
            )
            return scores.drift

    def forget(self, gallery: str) -> None:
        """Drop the scores of a gallery that was dropped or got another model."""
        with self._lock:
            for key in [key for key in self._scores if key[0] == gallery]:
                del self._scores[key]

    def alarms(self) -> list[Drift]:
        """Return the latest comparisons that are over the threshold."""
        with self._lock:
            return [scores.drift for scores in self._scores.values() if scores.drift is not None and scores.drift.alarm]


@dataclass
class _Scores:
    reference: list[float]
    recent: deque[float]
    since: int = 0
    drift: Drift | None = None


def _shares(scores: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.bincount(np.searchsorted(edges, scores, side="right"), minlength=len(edges) + 1)
    shares: NDArray[np.float64] = (counts + 0.5).astype(np.float64) / (len(scores) + 0.5 * (len(edges) + 1))
    return shares
