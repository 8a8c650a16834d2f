"""The first rows of a source, read as a build reads them into a folder that is then removed, and what they show."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from capcurriculum.reasons import Reason
from capcurriculum.rows import CaptionedImage, Question, Stage, Verdict
from datagen.sources import counting, registry
from datagen.sources.discover.candidates import Candidate
from datagen.sources.images.image_paths import Place
from datagen.sources.images.store import Store
from datagen.sources.losses import Losses

#: Rows of a source that are read, and their images opened.
ROWS = 200
#: Reasons of rows whose image cannot be used.
OF_IMAGES = frozenset(
    {
        Reason.MISSING_FILE, Reason.PATH_ESCAPES, Reason.UNREADABLE_IMAGE, Reason.UNREADABLE_PIXELS,
        Reason.IMAGE_TOO_LARGE, Reason.IMAGE_TOO_SMALL, Reason.SEVERAL_IMAGES,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """What the first rows of a source gave.

    `total` are all of its rows, `read` those that were read, `losses` those of them that give no row of a run.
    `lengths` (least, median, most) are in characters: of captions, or of problems. `convention` is what whole-number
    keys of options are, "" where there are none; `kinds` counts answers by their kind.
    """

    total: int
    read: int
    losses: Losses
    lengths: tuple[int, int, int] | None
    convention: str
    kinds: Counter[str]

    @property
    def closed(self) -> Losses:
        """The rows whose images cannot be used."""
        lost = {reason: count for reason, count in self.losses.lost.items() if reason in OF_IMAGES}
        return Losses(self.losses.kept, 0, Counter(lost), self.losses.details)

    @property
    def others(self) -> Losses:
        """The rows that are lost for another reason."""
        lost = {reason: count for reason, count in self.losses.lost.items() if reason not in OF_IMAGES}
        return Losses(self.losses.kept, 0, Counter(lost), self.losses.details)


def take(candidate: Candidate, rows: int = ROWS) -> Sample:
    """Read the first rows of a source and count them all.

    Raises:
        SourceError: it cannot be read as its section says.
    """
    stage, section = candidate.stage, candidate.section
    conventions, losses, read = list[str](), Losses(), 0
    lengths, kinds = list[int](), Counter[str]()
    with TemporaryDirectory(prefix="capcurriculum-init-") as folder:
        data = registry.folder(section)
        place = Place(data, section.name or data.name, Store(Path(folder)))
        first = section.model_copy(update={"limit": rows})
        for item in registry.rows(first, place, stage, stage, (), conventions.append):
            losses.count([item])
            read += 1
            match item:
                case CaptionedImage(caption=text):
                    lengths.append(len(text))
                case Question(problem=text, kind=kind):
                    lengths.append(len(text))
                    kinds[str(kind)] += 1
                case Verdict():
                    pass
    total = counting.rows(section, Stage(stage))
    return Sample(total, read, losses, _spread(lengths), "".join(conventions), kinds)


def _spread(lengths: Sequence[int]) -> tuple[int, int, int] | None:
    return (min(lengths), round(median(lengths)), max(lengths)) if lengths else None
