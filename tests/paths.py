"""Folders: this checkout, and the data that the environment names."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# Data that the repository does not carry: tests that need it are skipped where its variable is unset.
OPTIONAL_DATA = {
    "PEOPLE_FIXTURES": "photographs of people in the layout of Market-1501 (CUHK03 for example)",
    "RETRIEVAL_FIXTURES": "retrieval.npz: distances, mAP and CMC of the published evaluation and re-ranking code",
    "TRANSREID_FIXTURES": "*.pth and *.npz: weights and outputs of the published TransReID code",
}


def optional_folder(variable: str) -> Path:
    """Return the folder that `variable` names; skip the test where it is unset."""
    if not (value := os.environ.get(variable)):
        pytest.skip(f"{variable} is unset; set it to a folder of {OPTIONAL_DATA[variable]}")
    if not (folder := Path(value)).is_dir():
        raise NotADirectoryError(f"{variable}={value} is not a folder; expected {OPTIONAL_DATA[variable]}")
    return folder
