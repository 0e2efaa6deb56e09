"""A gallery's folder that cannot be looked into is listed, and ends neither a command nor a start."""

from __future__ import annotations

from pathlib import Path

import pytest

from vitreid.service.gallery import Gallery
from vitreid.service.gallery.errors import GalleryReadOnly
from vitreid.service.gallery.galleries import Galleries
from vitreid.service.gallery.maintenance.overview import list_galleries


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two galleries, of which one is unreadable, also to an administrator."""
    for name in ("default", "night"):
        Gallery.open(tmp_path / "galleries" / name, bundle_id="b" * 64, dimension=4).close()
    is_file = Path.is_file

    def refuse(self: Path) -> bool:
        if self.parent.name == "night":
            raise PermissionError(13, "Permission denied", str(self))
        return is_file(self)

    monkeypatch.setattr(Path, "is_file", refuse)
    return tmp_path


def test_it_is_listed_with_the_reason(data: Path) -> None:
    default, night = list_galleries(data / "galleries")
    assert default.problem is None
    assert night.name == "night"
    assert "cannot be read (Permission denied)" in (night.problem or "")


def test_a_service_starts_without_it(data: Path) -> None:
    def opener(folder: Path) -> Gallery:
        return Gallery.open(folder, bundle_id="b" * 64, dimension=4)

    with Galleries(data / "galleries", opener, command="test").open_all() as galleries:
        assert list(galleries.opened()) == ["default"]
        assert isinstance(galleries.failures()["night"], GalleryReadOnly)
