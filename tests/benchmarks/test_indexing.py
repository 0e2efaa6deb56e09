"""The benchmark of indexing runs and reports its results."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from benchmarks import indexing


def test_it_measures_both_sides(tiny_bundle, tmp_path, capsys):
    for number in range(10):
        Image.fromarray(np.full((64, 32, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
    arguments = {"bundle": tiny_bundle, "images": tmp_path, "rounds": 2, "batch_size": 4, "runtime": "fake"}
    indexing.main(**arguments, as_json=True)
    result = json.loads(capsys.readouterr().out)
    assert (result["images"], result["provider"], len(result["raw"]), len(result["index"])) == (10, "cpu", 2, 2)
    assert result["ratio"] > 0
    indexing.main(**arguments)
    assert "ratio" in capsys.readouterr().out
