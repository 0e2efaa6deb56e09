"""The table of indexes, at small sizes."""

from __future__ import annotations

import pytest

from benchmarks import scale


def test_every_kind_is_measured_unfiltered_and_filtered(monkeypatch):
    monkeypatch.setattr(scale, "QUERIES", 20)
    monkeypatch.setattr(scale, "MAX_ROWS", {"exact": 500})
    results = list(scale.measure([300, 1200], ["exact", "flat", "ivf"]))
    assert [(each.rows, each.kind) for each in results] == [
        *((300, kind) for kind in ("exact", "flat", "ivf")),
        *((1200, kind) for kind in ("flat", "ivf")),
    ]
    for each in results:
        for searches in (each.unfiltered, each.filtered):
            assert searches.recall == pytest.approx(1, abs=0 if each.kind in ("exact", "flat") else 0.05)
            assert 0 < searches.p50_ms <= searches.p99_ms
    lines = list(scale.table(results))
    assert len({line.count("|") for line in lines}) == 1
    assert lines[3].startswith("| 300 | flat | ")
    assert "nlist 18" in lines[6]
