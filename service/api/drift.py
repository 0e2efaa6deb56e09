"""Whether the scores of the best matches still look like those of the beginning."""

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
    """How far the best scores of one camera's queries in one gallery have moved."""

    gallery: str
    camera_id: str
    index: float
    """Population stability index of the recent scores against the first ones; 0 = the same distribution."""
    reference_mean: float
    recent_mean: float

    @property
    def alarm(self) -> bool:
        """Whether it is more than chance and habit explain."""
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
    """Keeps the first and the latest best scores per gallery and query camera, in bounded memory.

    Compares once the reference is full, each time another half window came; the least recently seen of more than
    `cameras` is forgotten. Safe to use from several threads.
    """

    def __init__(self, *, reference: int = REFERENCE, window: int = WINDOW, cameras: int = CAMERAS) -> None:
        self._reference = reference
        self._window = window
        self._cameras = cameras
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, str], _Scores] = OrderedDict()

    def add(self, gallery: str, camera_id: str, score: float) -> Drift | None:
        """Take the score of a query's best match; the comparison where one was due."""
        key = (gallery, camera_id)
        with self._lock:
            scores = self._seen.setdefault(key, _Scores([], deque(maxlen=self._window)))
            self._seen.move_to_end(key)
            if len(self._seen) > self._cameras:
                self._seen.popitem(last=False)
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
        """Begin again for a gallery that was dropped or got another model."""
        with self._lock:
            for key in [key for key in self._seen if key[0] == gallery]:
                del self._seen[key]

    def alarms(self) -> list[Drift]:
        """The latest comparisons that are over the threshold."""
        with self._lock:
            return [scores.drift for scores in self._seen.values() if scores.drift is not None and scores.drift.alarm]


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
