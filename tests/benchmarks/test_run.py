from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import run


def test_a_section_is_replaced_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "RESULTS", tmp_path / "RESULTS.md")
    titles = [title for title, _ in run.SECTIONS.values()]
    for title in (titles[3], titles[0]):
        run.replace_section(title, f"## {title}\n\nold")
    run.replace_section(titles[3], f"## {titles[3]}\n\nnew\n")
    assert (tmp_path / "RESULTS.md").read_text() == (
        f"{run.HEAD.strip()}\n\n## {titles[0]}\n\nold\n\n## {titles[3]}\n\nnew\n"
    )


def test_the_circumstances() -> None:
    [line] = run.circumstances()
    assert "commit" in line
    assert "cores" in line


def test_unknown_sections_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["run", "nothing"])
    with pytest.raises(SystemExit):
        run.main()
    assert "there is no section 'nothing'" in capsys.readouterr().err
