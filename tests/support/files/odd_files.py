"""What may stand in the place of a file: what it is called when it is refused, and how to make it at a path."""

from __future__ import annotations

import os
import stat

ODD_FILES = {
    "a symbolic link": lambda path: path.symlink_to(path.with_name("precious")),
    "a pipe": os.mkfifo,
    "a socket": lambda path: os.mknod(path, stat.S_IFSOCK | stat.S_IRUSR | stat.S_IWUSR),
    "a directory": os.mkdir,
}
