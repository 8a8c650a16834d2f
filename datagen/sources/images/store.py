"""Images that are not plain files of a source: checked once and kept in the run under the digest of their pixels.

`<run>/images/<first two digits>/<image_id>.<ending>`; the same image met twice is one file. An `Index` remembers
which name (in an archive, or a URL) became which image or why it did not, so a killed build neither opens an archive
nor fetches a URL again for what it has.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from capcurriculum.files import json_file
from capcurriculum.files.unfinished import removed_if_it_fails
from capcurriculum.reasons import Reason
from capcurriculum.tables import publish
from datagen import shown
from datagen.image_decoding import ImageProblem

FOLDER = "images"
#: First bytes -> file ending of the formats that are read; RIFF also holds sounds, so WEBP is looked for further on.
_SIGNATURES = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"),
)


def ending(data: bytes) -> str:
    """What the first bytes of a file (12 are enough) say it is, "" when it is no image that is read."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "avif"
    return next((name for signature, name in _SIGNATURES if data.startswith(signature)), "")


@dataclass(frozen=True, slots=True)
class Stored:
    """An image in the run: its id and its path relative to the run."""

    image_id: str
    path: str


@dataclass(frozen=True, slots=True)
class Store:
    """The images of a run."""

    run: Path

    def put(self, data: bytes, max_pixels: int, max_bytes: int) -> Stored:
        """Check an image and keep it, unless it is there already.

        Raises:
            ImageProblem: it is not usable.
        """
        if len(data) > max_bytes:
            raise ImageProblem(Reason.IMAGE_TOO_LARGE, f"{len(data)} bytes, more than {max_bytes}")
        kind = ending(data)
        if not kind:
            raise ImageProblem(Reason.UNREADABLE_IMAGE, f"is no image file: it begins with {data[:12]!r}")
        image_id = shown.image_id(shown.checked(data, max_pixels))
        stored = Stored(image_id, f"{FOLDER}/{image_id[:2]}/{image_id}.{kind}")
        target = self.run / stored.path
        if target.is_file():
            return stored
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.run / FOLDER / f".tmp-{os.getpid()}-{image_id}-{os.urandom(4).hex()}"
        with removed_if_it_fails(temporary):
            with temporary.open("wb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            publish(temporary, target)
        return stored


class Index:
    """Name -> the image it became, or why none; an append-only file of JSON lines in the run."""

    def __init__(self, run: Path, name: str) -> None:
        self.path = run / FOLDER / f"index-{name}.jsonl"
        self.entries: dict[str, Stored | ImageProblem] = dict(self._read())
        self._handle: Any = None

    def _read(self) -> Iterator[tuple[str, Stored | ImageProblem]]:
        if not self.path.is_file():
            return
        for entry in json_file.lines(self.path):
            try:
                name = str(entry.pop("name"))
                found = Stored(**entry) if "path" in entry else ImageProblem(Reason(entry["reason"]), entry["detail"])
            except (ValueError, KeyError, TypeError):
                continue  # of another hand; its image is looked for again
            yield name, found

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A kill may have left half a line; the next entry must not continue it.
        torn = not json_file.ends_whole(self.path)
        self._handle = self.path.open("a", encoding="utf-8")
        if torn:
            self._handle.write("\n")
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def add(self, name: str, found: Stored | ImageProblem) -> None:
        """Remember what became of a name; inside a `with` only. A kill of the process loses nothing that was added."""
        self.entries[name] = found
        said = asdict(found) if isinstance(found, Stored) else {"reason": found.reason, "detail": found.detail}
        self._handle.write(json.dumps({"name": name, **said}) + "\n")
        self._handle.flush()

    def get(self, name: str) -> Stored:
        """The image of a name.

        Raises:
            ImageProblem: there is none, or it is not usable.
        """
        found = self.entries.get(name)
        if isinstance(found, Stored):
            return found
        if found is not None:
            raise ImageProblem(found.reason, found.detail)
        raise ImageProblem(Reason.MISSING_FILE, f"there is no file {name!r} in the source's archives")
