"""The blocks of docs/python.md run, one after the other in one session."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.paths import REPOSITORY
from tests.service.proxying import serve

BLOCKS = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "python.md").read_text(), re.DOTALL)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    session: dict[str, object] = {}
    notebook, client = BLOCKS
    exec(notebook, session)
    printed = capsys.readouterr().out
    assert re.search(r"mAP \d+\.\d%, rank-1 \d+\.\d%\n\(30, 128\) ", printed)
    assert re.search(r"\n30 items, 0 unreadable\n(\d\.\d{3} \S+ \S+_c[23]\S+\n){3}$", printed)
    with serve(tmp_path / "data", tmp_path / "my-bundle") as (_, port):
        session |= {"address": f"http://127.0.0.1:{port}", "key": None}
        exec(client, session)
    assert re.match(r"1 \d\.\d+ 1 ", capsys.readouterr().out)
    assert session["receipt"]
