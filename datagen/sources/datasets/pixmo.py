"""PixmoCap (Deitke et al. 2024): Parquet rows of image_url, caption and transcripts; the images are fetched.

An image is fetched once, checked, and kept in the run under its content's digest; links that are dead, slow, private or
no image are verdicts with their reason. A killed build fetches nothing again that it has.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import CaptionedImage, Verdict, digest
from datagen.image_decoding import ImageProblem
from datagen.sources import captioned
from datagen.sources.formats.json_lines import LineProblem, of_row
from datagen.sources.formats.record import Record
from datagen.sources.formats.records import find_files
from datagen.sources.images import addresses
from datagen.sources.images.download import patient
from datagen.sources.images.fetching import fetch_all
from datagen.sources.images.image_paths import Place
from datagen.sources.images.source_images import SourceImages
from datagen.sources.images.store import Index, Store, Stored
from datagen.sources.source import Caption, Source, of_files, refusal

FILES = ("data/train-*.parquet", "*.parquet")


def source(section: SourceSection, place: Place) -> Source[Caption]:
    """The rows, their images still to be fetched.

    Raises:
        SourceError: there are no files of rows.
    """
    folder = place.folder
    files = [folder] if folder.is_file() else find_files(folder, FILES, "PixmoCap's rows")
    return of_files(files, ("image_url", "caption"), section, place, _caption, SourceImages(section, place.store))


def _caption(section: SourceSection, record: Record) -> Caption:
    url = record.text("image_url")
    return Caption(record.text("caption"), url, url, section.name, section.row_license)


def read(
    section: SourceSection,
    place: Place,
    stage: str,
    known: Collection[str],
    policy: addresses.Policy = addresses.public,
) -> Iterator[CaptionedImage | Verdict]:
    """Rows of a stage in the order in which their images come, and verdicts on records that gave none.

    Records whose keys are in `known` are skipped; `policy` says which addresses may be asked.

    Raises:
        SourceError: the rows are not there or have another layout.
    """
    with Index(place.store.run, digest("urls", section.max_pixels, section.max_bytes)) as index:
        captions = source(section, place).first(section.limit)
        yield from _Reader(section, captions, place.store, stage, known, policy, index).rows()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A row whose image is still to be fetched."""

    record: Record
    said: Caption
    url: str


@dataclass(slots=True)
class _Reader:
    """One pass over the rows: `seen` are the ids of those given, `ready` are rows that wait to be given."""

    section: SourceSection
    source: Source[Caption]
    store: Store
    stage: str
    known: Collection[str]
    policy: addresses.Policy
    index: Index
    seen: set[str] = field(default_factory=set)
    ready: list[CaptionedImage | Verdict] = field(default_factory=list)

    def rows(self) -> Iterator[CaptionedImage | Verdict]:
        for wanted, found in fetch_all(self._to_fetch(), self.section.download, _host, self._fetch):
            if wanted.url not in self.index.entries:
                self.index.add(wanted.url, found)
            yield self._row(wanted, found)
            yield from self.ready
            self.ready.clear()
        yield from self.ready

    def _to_fetch(self) -> Iterator[_Wanted]:
        """Rows to fetch for; those that need no fetching are put into `ready` on the way."""
        for record in self.source.records():
            if record.key in self.known:
                continue
            wanted = self._wanted(record)
            if isinstance(wanted, Verdict):
                self.ready.append(wanted)
            elif wanted.url in self.index.entries:
                self.ready.append(self._row(wanted, self.index.entries[wanted.url]))
            else:
                yield wanted

    def _wanted(self, record: Record) -> _Wanted | Verdict:
        try:
            said = captioned.safe(self.source.say(record), record, self.section.limits)
            url = str(said.image)
            with of_row(record.number):
                addresses.checked_url(url)
        except LineProblem as problem:
            return refusal(record, problem, self.stage)
        except ImageProblem as problem:
            detail = f"row {record.number} {problem.detail}"
            return refusal(record, ImageProblem(Reason.ADDRESS_REFUSED, detail), self.stage)
        return _Wanted(record, said, url)

    def _fetch(self, wanted: _Wanted) -> Stored | ImageProblem:
        section = self.section
        try:
            data = patient(wanted.url, section.download, section.max_bytes, self.policy)
            return self.store.put(data, section.max_pixels, section.max_bytes)
        except ImageProblem as problem:
            return problem

    def _row(self, wanted: _Wanted, found: Stored | ImageProblem) -> CaptionedImage | Verdict:
        record = wanted.record
        try:
            if isinstance(found, ImageProblem):
                raise ImageProblem(found.reason, f"row {record.number}: {found.detail}")
            with of_row(record.number):
                row = captioned.row(record, wanted.said, found, self.stage)
            return captioned.unrepeated(row, self.seen, self.known, record)
        except (LineProblem, ImageProblem) as problem:
            return refusal(record, problem, self.stage)


def _host(wanted: _Wanted) -> str:
    return addresses.checked_url(wanted.url).hostname or ""
