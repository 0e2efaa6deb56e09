"""The benchmark of a gallery runs and reports its results."""

from __future__ import annotations

import json

from benchmarks import gallery


def test_it_measures_searches_writes_and_opening(capsys):
    gallery.main(rows=1000, searches=10, writes=10, index="flat", as_json=True)
    result = json.loads(capsys.readouterr().out)
    assert (result["rows"], result["dimension"], result["index"]) == (1000, 384, "flat")
    assert result["search"]["to_bare"] > 0
    assert result["search"]["filtered_to_unfiltered"] > 0
    assert set(result["write"]) == {"bare", "add", "delete"}
    assert all(times["p50_ms"] <= times["p99_ms"] for times in result["write"].values())
    text = "\n".join(gallery.lines(result))
    assert "one camera of six" in text
    assert "opening from snapshot" in text
