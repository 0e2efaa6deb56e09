"""File descriptors: one for each connection and for each open file of a gallery."""

from __future__ import annotations

import errno
import os
import resource

MOST = 65_536
OF_A_DATABASE = 4
"""The file, its log, its index of the log, and one to spare."""


def raise_limit() -> int:
    """Raise this process's limit on open files to what the system allows it, and return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return limit()


def limit() -> int:
    """How many files and connections this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else soft


def exhausted() -> bool:
    """Whether the files of a database cannot be opened any more, whatever their rights."""
    opened: list[int] = []
    try:
        opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(OF_A_DATABASE))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False
