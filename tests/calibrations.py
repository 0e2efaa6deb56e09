"""A calibration with round numbers."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from vitreid.bundle import Calibration

PAIRS = {"persons": 4, "same": 10, "different": 90}


def made(**changes: Any) -> Calibration:
    """Scores 0.2, 0.4, 0.8 are 1, 1 and 99 times more often of one person; every tenth pair is."""
    data = {
        "name": "site", "dataset": "market1501", "sha256": "0" * 64, "images": 20, "cameras": ["c1", "c2"],
        "uses_model_cameras": False, "pairs": PAIRS,
    }  # fmt: skip
    held_out = {
        "pairs": PAIRS, "log_loss": 0.1, "base_log_loss": 0.3, "brier": 0.01, "base_brier": 0.09,
        "calibration_error": 0.0, "bins": [],
    }  # fmt: skip
    values = {
        "bundle_id": "b" * 64, "created_at": datetime(2026, 5, 1, tzinfo=UTC), "method": "isotonic", "prior": 0.1,
        "knots": [[0.2, 0.0], [0.4, 0.0], [0.8, math.log(99)]], "data": data, "held_out": held_out,
        "log_loss_by_method": {"isotonic": 0.1},
        "thresholds": [{"cameras": None, "pairs": PAIRS, "at": [], "unmeasured_rates": [0.01, 0.001, 0.0001]}],
    }  # fmt: skip
    return Calibration.model_validate(values | changes)
