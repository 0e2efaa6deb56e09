"""Person re-identification: train a Vision Transformer, export it, search galleries with it.

The names below are the public interface; each is imported when it is first used. docs/python.md shows them at work.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitreid.client import Client as Client
    from vitreid.client import ServiceProblem as ServiceProblem
    from vitreid.pipeline import evaluate as evaluate
    from vitreid.pipeline import export_onnx as export_onnx
    from vitreid.pipeline import index as index
    from vitreid.pipeline import load_bundle as load_bundle
    from vitreid.pipeline import open_gallery as open_gallery
    from vitreid.pipeline import search as search
    from vitreid.pipeline import train as train
    from vitreid.service.gallery import Filter as Filter
    from vitreid.service.gallery import Gallery as Gallery
    from vitreid.service.models.embedder import Embedder as Embedder
    from vitreid.service.models.runtimes import RuntimeChoice as RuntimeChoice
    from vitreid.synthetic import draw_dataset as draw_dataset

_MODULES = {
    "Client": "vitreid.client",
    "Embedder": "vitreid.service.models.embedder",
    "Filter": "vitreid.service.gallery",
    "Gallery": "vitreid.service.gallery",
    "RuntimeChoice": "vitreid.service.models.runtimes",
    "ServiceProblem": "vitreid.client",
    "draw_dataset": "vitreid.synthetic",
    "evaluate": "vitreid.pipeline",
    "export_onnx": "vitreid.pipeline",
    "index": "vitreid.pipeline",
    "load_bundle": "vitreid.pipeline",
    "open_gallery": "vitreid.pipeline",
    "search": "vitreid.pipeline",
    "train": "vitreid.pipeline",
}
__all__ = [
    "Client",
    "Embedder",
    "Filter",
    "Gallery",
    "RuntimeChoice",
    "ServiceProblem",
    "draw_dataset",
    "evaluate",
    "export_onnx",
    "index",
    "load_bundle",
    "open_gallery",
    "search",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
