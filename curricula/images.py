"""Read the images of rows for stage files, from the source folders of the run alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

from capcurriculum.errors import SourceError
from datagen import image_decoding, shown
from datagen.sources.images.image_paths import LINKS

#: Maximum bytes of images in a row group, unless one image alone is larger; the dataset viewer refuses 286 MiB.
GROUP_BYTES = 250_000_000


def file_of(folder: Path, name: str) -> Path:
    """The image `name` below `folder`, or below a source folder that the run links to.

    Raises:
        SourceError: it is missing, or resolves to a path outside of these.
    """
    parts = PurePosixPath(name).parts
    path = folder / name
    linked = folder.joinpath(*parts[:2]) if parts[:1] == (LINKS,) else folder
    try:
        if parts[:1] == ("/",) or ".." in parts:
            raise SourceError(f"The image path {name!r} leads out of {folder}; remove the row that has it.")
        resolved = path.resolve(strict=True)
        homes = (linked.resolve(), path.parent.resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError(
            f"The image {name!r} is no longer in {folder}; put it back and run the same command again."
        ) from error
    if not any(resolved.is_relative_to(home) for home in homes):
        raise SourceError(f"The image {name!r} is a link that leads out of {folder}; put the file itself there.")
    return path


@dataclass(frozen=True, slots=True)
class RowImage:
    """The bytes of an image in stage files, and the SHA-256 of the source's file."""

    data: bytes
    file_sha256: str


def read(path: Path) -> RowImage:
    """An image with the bytes of its file, re-encoded where image libraries would render it differently.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        original = image_decoding.file_bytes(path)
        return RowImage(shown.file(original), sha256(original).hexdigest())
    except image_decoding.ImageProblem as problem:
        raise SourceError(f"The image {path} {problem}; mend it and run the same command again.") from problem


def groups(paths: Sequence[tuple[Path, str] | None], rows: int) -> Iterator[tuple[int, list[RowImage | None]]]:
    """(start, images) of groups of at most `rows` rows and `GROUP_BYTES`, None for a row without an image.

    `paths` are (folder, name below it).
    """
    start, group, size = 0, list[RowImage | None](), 0
    for place, name in enumerate(paths):
        image = read(file_of(*name)) if name else None
        length = len(image.data) if image else 0
        if group and (len(group) == rows or size + length > GROUP_BYTES):
            yield start, group
            start, group, size = place, [], 0
        group.append(image)
        size += length
    if group:
        yield start, group
