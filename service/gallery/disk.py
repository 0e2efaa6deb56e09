"""What it means that a disk does not take something."""

from __future__ import annotations

import errno

from service.gallery.errors import GalleryFull, GalleryReadOnly

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def refused(error: OSError) -> type[GalleryFull] | type[GalleryReadOnly]:
    """The error of ours for one that a file or folder gave: no room, a quota and a limit are the same to a user."""
    return GalleryFull if error.errno in _NO_ROOM else GalleryReadOnly
