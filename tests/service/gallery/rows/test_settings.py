"""Settings of an operator are stored in the gallery."""

from __future__ import annotations

import pytest

from vitreid.service.errors import BadParameter
from vitreid.service.gallery import GallerySettings
from vitreid.service.gallery.errors import ItemNotFound


def test_settings_are_kept_and_seen_by_others(open_gallery):
    with open_gallery() as gallery, open_gallery() as other:
        assert gallery.settings() == GallerySettings()
        changed = gallery.change_settings(
            retention_days=30, cameras={"door": "c1"}, reject={"height": (64, None)}, min_score=0.4
        )
        assert other.settings() == gallery.settings() == changed
        assert gallery.model_camera("door") == "c1"
        assert gallery.model_camera("c1") is None
        assert gallery.model_camera(None) is None
        other.change_settings(retention_days=None)
        assert gallery.settings() == changed.model_copy(update={"retention_days": None})
    with open_gallery() as gallery:
        assert gallery.settings().reject == {"height": (64, None)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"retention_days": 0}, "retention_days is 0: should be greater than 0"),
        ({"min_score": 2}, "min_score"),
        ({"cameras": {"door": 1}}, "cameras.door"),
        ({"reject": {"beauty": (0, 1)}}, "reject is .*unknown quality 'beauty'"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_settings_change_nothing(changes, reason, open_gallery):
    with open_gallery() as gallery:
        with pytest.raises(BadParameter, match=reason) as error:
            gallery.change_settings(store_images=False, **changes)
        assert "\n" not in str(error.value)
        assert gallery.settings() == GallerySettings()


def test_rejections_are_counted_by_camera_and_reason(open_gallery):
    with open_gallery() as gallery:
        gallery.count_rejection("c1", "height")
        gallery.count_rejection("c1", "height", 2)
        gallery.count_rejection("c1", "sharpness")
        gallery.count_rejection(None, "height")
        assert gallery.rejections() == {None: {"height": 1}, "c1": {"height": 3, "sharpness": 1}}


def test_what_is_not_there_cannot_be_changed(open_gallery, make_items):
    with open_gallery() as gallery:
        gallery.add(make_items(1))
        with pytest.raises(ItemNotFound, match="no item 2"):
            gallery.update(2, {"camera_id": "c9"})
        assert gallery.info().seq == 1
