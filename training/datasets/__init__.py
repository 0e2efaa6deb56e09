"""Data sets: a new one is a file beside these with its reader, and a line in DATASETS."""

from vitreid.training.datasets.registry import DATASETS, read_dataset
from vitreid.training.datasets.sources import Source, Sources
from vitreid.training.datasets.split import Sample, Split, hold_out

__all__ = ["DATASETS", "Sample", "Source", "Sources", "Split", "hold_out", "read_dataset"]
