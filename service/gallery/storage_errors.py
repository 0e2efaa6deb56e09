"""What it means that a disk does not take something."""

from __future__ import annotations

import errno

from vitreid.service.gallery.errors import GalleryFull, GalleryOutOfFiles, GalleryReadOnly

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_FILES = {errno.EMFILE, errno.ENFILE}


StorageRefusal = type[GalleryFull] | type[GalleryOutOfFiles] | type[GalleryReadOnly]


def refused(error: OSError) -> StorageRefusal:
    """The error of ours for one that a file or folder gave: no room, a quota and a limit are the same to a user."""
    if error.errno in _NO_ROOM:
        return GalleryFull
    return GalleryOutOfFiles if error.errno in _NO_FILES else GalleryReadOnly
