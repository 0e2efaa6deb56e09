"""A stand-in for the GPU."""

from __future__ import annotations

import pytest

from service.indexes.faiss_calls import load_faiss


@pytest.fixture(autouse=True)
def gpu_stand_in(request, monkeypatch):
    """Indexes of kind gpu keep their copy on the CPU, but in tests that are marked `gpu`."""
    if request.node.get_closest_marker("gpu") is None:
        monkeypatch.setattr("service.indexes.gpu.gpu_copy", lambda dimension: load_faiss().IndexFlatIP(dimension))
