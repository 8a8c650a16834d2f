"""Image paths: which folder those of a stage's rows are relative to, and links to plain folders.

Every recorded path is relative to one folder of the stage (`gather.folders`). That is the source's own folder where a
stage has a single source with a plain image folder; else it is the run, where images are kept and where a link under
`places/` leads to each plain folder. The link is made anew by every build, so data may move between two of them.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from datagen.sources.images.store import Store

LINKS = "places"


@dataclass(frozen=True, slots=True)
class Place:
    """One source of a run: its folder or file, its name for keys, and the store for images that it embeds.

    `prefix` is what recorded paths of its plain files begin with.
    """

    folder: Path
    name: str
    store: Store
    prefix: str = ""

    def inside(self, folder: Path) -> str:
        """What recorded paths of files in `folder`, the source's own or one below it, begin with."""
        base = self.folder.parent if self.folder.is_file() else self.folder
        below = folder.absolute().relative_to(base.absolute()).as_posix()
        return self.prefix + ("" if below == "." else f"{below}/")


def link(run: Path, stage: str, number: int, folder: Path) -> str:
    """Make the link to a plain folder in the run, and give the prefix of paths through it."""
    name = f"{stage}-{number}"
    target = run / LINKS / name
    target.parent.mkdir(parents=True, exist_ok=True)
    wanted = (folder.parent if folder.is_file() else folder).absolute()
    if not target.is_symlink() or Path(os.readlink(target)) != wanted:
        temporary = target.with_name(f".new-{name}")  # not .tmp-: a sweep of leftovers must not follow it
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(wanted, target_is_directory=True)
        temporary.replace(target)
    return f"{LINKS}/{name}/"
