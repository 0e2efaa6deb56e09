from __future__ import annotations

from pathlib import Path

from benchmarks.models import explained_bundle
from benchmarks.patches import cost_lines, measure_cost, measure_gain
from vitreid.synthetic import draw_dataset


def test_cost_and_gain_are_reported(tmp_path: Path) -> None:
    bundle = explained_bundle(tmp_path / "bundle", "vit_tiny_patch16_224", 64, 32)
    draw_dataset(tmp_path / "people", identities=8, cameras=2, images=1, seed=3, workers=1, size=(64, 32))
    lines = list(cost_lines(measure_cost(bundle, tmp_path / "people" / "query", rounds=1)))
    assert "patches stored in the gallery" in lines[1]
    gain = measure_gain(bundle.path, tmp_path / "people", "market1501")
    assert gain["ours"]["low"] <= gain["ours"]["gain"] <= gain["ours"]["high"]
    assert gain["best"]["shares"] in [tuple(map(float, pair.split())) for pair in gain["chosen_on"]]
