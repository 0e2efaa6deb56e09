"""A CSV of own data."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitreid.training.datasets import Sample, read_dataset
from vitreid.training.errors import DataError


def test_rows_become_samples(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(
        "\ufeffperson,path,camera,split,view\nanna,a/1.jpg,hall,train,front\nben,2.jpg,,query,\nben,3.jpg,hall,gallery,\n"
        ",4.jpg,hall,gallery,\n",
        encoding="utf-8",
    )
    split = read_dataset("table", tmp_path / "own.csv")
    assert split.train == (Sample(tmp_path / "a" / "1.jpg", "anna", "hall", "front"),)
    assert split.query == (Sample(tmp_path / "2.jpg", "ben", None, None),)
    assert [sample.person for sample in split.gallery] == ["ben", ""]  # nobody: a wrong answer to every query


def test_a_cell_that_was_guarded_from_spreadsheets_is_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("path,person_id,camera_id\n'-1.jpg,'=anna,'tis\n")
    [sample] = read_dataset("table", tmp_path / "own.csv").train
    assert sample == Sample(tmp_path / "-1.jpg", "=anna", "'tis", None)


def test_without_a_split_all_train(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("path,person\n1.jpg,anna\n")
    split = read_dataset("table", tmp_path / "own.csv")
    assert (len(split.train), split.query, split.gallery) == (1, (), ())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no column 'path'"),
        ("path,name\n1.jpg,a\n", "no column 'person_id'"),
        ("path,person,cam\n1.jpg,a,c1\n", "'cam' is called camera_id here"),
        ("path,person,site\n1.jpg,a,north\n", "a column 'site', which means nothing here"),
        ("path;person\n1.jpg;a\n", "line 1: values are separated by ';'"),
        ("path,person,person_id\n1.jpg,a,a\n", "'person_id' occurs twice"),
        ("path,person\n", "has no rows"),
        ("path,person,split\n1.jpg,a,train\n2.jpg,b,val\n", "line 3: split 'val' is none of train, query, gallery"),
        ("path,person,split\n1.jpg,,query\n", "line 2: the person is empty"),
        ("path,person\n,a\n", "line 2: a row needs a path"),
        ("path,person\n1.jpg,a,b\n", "line 2: a row needs a path and no more values"),
        (b"path,person\n\xff,a\n", "not a CSV in UTF-8"),
    ],
)
def test_mistakes_are_named(content: str | bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        read_dataset("table", tmp_path / "own.csv")
    assert "\n" not in str(caught.value)
