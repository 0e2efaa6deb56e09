"""Trial searches on a loaded snapshot: their answers must be possible, and come within seconds."""

from __future__ import annotations

import threading

import numpy as np

from vitreid.service.gallery.view.search_view import SearchView
from vitreid.service.indexes.protocol import Allowed, Floats

TRIAL_S = 30.0
QUERIES = (1, 3)
K = 20
MAX_SCORE = 1.01  # of unit vectors; some indexes round


def trial_fault(view: SearchView, dimension: int) -> str | None:
    """Return the fault that a few searches show, as part of a sentence, or None.

    Native code that does not return cannot be ended: its thread is left behind, and ends with the process.
    """
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(_fault(view, dimension)), name="trial", daemon=True)
    thread.start()
    thread.join(TRIAL_S)
    return found[0] if found else f"a search did not end within {TRIAL_S:g} s"


def _fault(view: SearchView, dimension: int) -> str | None:
    random = np.random.default_rng(0)
    half = view.columns["live"].copy()
    half[::2] = False
    try:
        for count in QUERIES:
            queries = random.standard_normal((count, dimension)).astype(np.float32)
            queries /= np.linalg.norm(queries, axis=1, keepdims=True)
            for allowed in (None, half):
                if (fault := _fault_of(view, queries, allowed)) is not None:
                    return fault
    except Exception as error:  # whatever a hostile file makes of a search
        return f"a search failed ({type(error).__name__})"
    return None


def _fault_of(view: SearchView, queries: Floats, allowed: Allowed | None) -> str | None:
    members = view.columns["live"] if allowed is None else allowed
    expected = min(K, int(np.count_nonzero(members)))
    scores, slots = view.index.search(queries, K, allowed)
    real = slots >= 0
    if np.any(real.sum(axis=1) < expected):
        return "a search found too little"
    if np.any(slots[real] >= len(members)) or not members[slots[real]].all():
        return "a search found what is not there"
    if not np.all(np.abs(scores[real]) <= MAX_SCORE):
        return "a search gave scores that cannot be"
    return None
