import os

import pytest

from vitreid.synthetic import DrawingStopped
from vitreid.synthetic.work import run_in_processes


@pytest.mark.parametrize("workers", [1, 2])
def test_every_identity_is_drawn_and_counted_in_order(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitreid.synthetic.work.SMALL", 1)
    seen: list[tuple[int, int]] = []
    run_in_processes(abs, range(1, 5), images=10, workers=workers, progress=lambda *counts: seen.append(counts))
    assert seen == [(1, 10), (3, 10), (6, 10), (10, 10)]


def test_a_process_that_dies_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitreid.synthetic.work.SMALL", 1)
    with pytest.raises(DrawingStopped, match="use workers=1"):
        run_in_processes(os._exit, range(1, 5), images=10, workers=2, progress=None)
