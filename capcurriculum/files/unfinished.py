"""Files and folders made under a temporary name are renamed into place when complete, or removed.

A kill -9 leaves what it cuts short; whoever makes the same thing next removes that first. An error, Ctrl-C and SIGTERM
leave nothing: on a full disk a file cut short would keep it full.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def removed_if_it_fails(*temporary: Path) -> Iterator[None]:
    """Remove these files and folders if the block raises, Ctrl-C and SIGTERM included."""
    try:
        yield
    except BaseException:
        for path in temporary:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        raise


def exchange(temporary: Path, folder: Path, old: Path) -> None:
    """Replace `folder` by the finished `temporary`; what it was is moved to `old` and removed at the end.

    Where that fails or is interrupted, the one before has its name again.
    """
    shutil.rmtree(old, ignore_errors=True)
    try:
        if folder.exists():
            folder.rename(old)
        temporary.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
