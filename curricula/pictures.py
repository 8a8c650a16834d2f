"""Read the pictures of rows that are being written, and nothing else that a path could lead to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

from capcurriculum.errors import SourceError
from datagen import image_decoding, shown
from datagen.sources.images.image_paths import LINKS

#: Bytes of pictures in one row group at most, unless one alone is larger; the dataset viewer gives up at 286 MiB.
GROUP_BYTES = 250_000_000


def file_of(folder: Path, name: str) -> Path:
    """The picture `name` below `folder`, or below one of the source folders that the run's own links lead to.

    Raises:
        SourceError: it is gone, or leads somewhere else.
    """
    parts = PurePosixPath(name).parts
    path = folder / name
    linked = folder.joinpath(*parts[:2]) if parts[:1] == (LINKS,) else folder
    try:
        if parts[:1] == ("/",) or ".." in parts:
            raise SourceError(f"The picture path {name!r} leads out of {folder}; remove the row that has it.")
        resolved = path.resolve(strict=True)
        homes = (linked.resolve(), path.parent.resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError(
            f"The picture {name!r} is no longer in {folder}; put it back and run the same command again."
        ) from error
    if not any(resolved.is_relative_to(home) for home in homes):
        raise SourceError(f"The picture {name!r} is a link that leads out of {folder}; put the file itself there.")
    return path


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as stage files hold it, and the sha256 of the file that its source gave."""

    data: bytes
    file_sha256: str


def read(path: Path) -> Picture:
    """A picture with the file's own bytes, or those of a file that no library shows in another way.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        original = image_decoding.file_bytes(path)
        return Picture(shown.file(original), sha256(original).hexdigest())
    except image_decoding.ImageProblem as problem:
        raise SourceError(f"The picture {path} {problem}; mend it and run the same command again.") from problem


def groups(paths: Sequence[tuple[Path, str] | None], rows: int) -> Iterator[tuple[int, list[Picture | None]]]:
    """(start, pictures) of stretches of at most `rows` rows and `GROUP_BYTES`; None where a row has no picture.

    `paths` are folders and names below them.
    """
    start, group, size = 0, list[Picture | None](), 0
    for place, name in enumerate(paths):
        picture = read(file_of(*name)) if name else None
        length = len(picture.data) if picture else 0
        if group and (len(group) == rows or size + length > GROUP_BYTES):
            yield start, group
            start, group, size = place, [], 0
        group.append(picture)
        size += length
    if group:
        yield start, group
