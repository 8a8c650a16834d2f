"""PixmoCap (Deitke et al. 2024): Parquet rows of image_url, caption and transcripts; the images are fetched.

An image is fetched once, checked, and kept in the run under its content's digest; links that are dead, slow, private or
no image are verdicts with their reason. A killed build fetches nothing again that it has.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.reasons import Reason
from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import CaptionedImage, Verdict, digest
from datagen.images import ImageProblem
from datagen.sources import captioned
from datagen.sources.captioned import Caption, CaptionSource
from datagen.sources.formats.json_lines import LineProblem, of_row
from datagen.sources.formats.record import Reading, Record
from datagen.sources.formats.records import find_files, read_files
from datagen.sources.images import addresses
from datagen.sources.images.download import patient
from datagen.sources.images.fetching import Politely
from datagen.sources.images.image_paths import Place
from datagen.sources.images.images import Pictures
from datagen.sources.images.store import Index, Stored

FILES = ("data/train-*.parquet", "*.parquet")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A row whose image is still to be fetched."""

    record: Record
    said: Caption
    url: str


def patterns(section: SourceSection) -> tuple[str, ...]:
    """The files of the Hub data set."""
    return FILES[:1]


def read(
    section: SourceSection,
    place: Place,
    stage: str,
    known: Collection[str],
    policy: addresses.Policy = addresses.public,
) -> Iterator[CaptionedImage | Verdict]:
    """Rows of a stage, and verdicts on those that gave none; keys in `known` are skipped.

    Args:
        section: what to read, and how politely to fetch.
        place: where the rows lie and where images are kept.
        stage: of which stage the rows are.
        known: keys of an earlier session.
        policy: which addresses may be asked.

    Raises:
        SourceError: the rows are not there or have another layout.
    """
    source = caption_source(section, place)
    seen: set[str] = set()
    with Index(place.store.run, digest("urls", section.max_pixels, section.max_bytes)) as index:

        def work(wanted: _Wanted) -> Stored | ImageProblem:
            try:
                data = patient(wanted.url, section.download, section.max_bytes, policy)
                return place.store.put(data, section.max_pixels, section.max_bytes)
            except ImageProblem as problem:
                return problem

        def settled(wanted: _Wanted, found: Stored | ImageProblem) -> CaptionedImage | Verdict:
            try:
                if isinstance(found, ImageProblem):
                    raise ImageProblem(found.reason, f"row {wanted.record.number}: {found.detail}")
                with of_row(wanted.record.number):
                    row = captioned.row(wanted.record, wanted.said, found, stage)
                return captioned.unrepeated(row, seen, known, wanted.record)
            except (LineProblem, ImageProblem) as problem:
                return captioned.refusal(wanted.record, problem, stage)

        ready: list[CaptionedImage | Verdict] = []

        def jobs() -> Iterator[_Wanted]:
            """Rows to fetch for; those that need no fetching are put into `ready` on the way."""
            for item in _wanted(source, section.limit, stage, known):
                if isinstance(item, Verdict):
                    ready.append(item)
                elif item.url in index.entries:
                    ready.append(settled(item, index.entries[item.url]))
                else:
                    yield item

        fetching = Politely[_Wanted, Stored | ImageProblem](section.download, _host, work)
        for wanted, found in fetching.run(jobs()):
            if wanted.url not in index.entries:
                index.add(wanted.url, found)
            yield settled(wanted, found)
            yield from ready
            ready.clear()
        yield from ready


def files(folder: Path) -> list[Path]:
    """The files of rows.

    Raises:
        SourceError: there are none.
    """
    return [folder] if folder.is_file() else find_files(folder, FILES, "PixmoCap's rows")


def caption_source(section: SourceSection, place: Place) -> CaptionSource:
    """The rows, their images still to be fetched; raises what `files` raises."""
    paths = files(place.folder)

    def records() -> Iterator[Record]:
        return read_files(paths, Reading.of(section, place.name, ("image_url", "caption")))

    def parse(record: Record) -> Caption:
        url = record.text("image_url")
        return Caption(record.text("caption"), url, url, section.name, section.row_license)

    return CaptionSource(records, parse, Pictures(section, place.store))


def _wanted(
    source: CaptionSource, limit: int | None, stage: str, known: Collection[str]
) -> Iterator[_Wanted | Verdict]:
    for taken, record in enumerate(source.records()):
        if limit is not None and taken == limit:
            return
        if record.key in known:
            continue
        try:
            said = captioned.parsed(source, record)
            url = str(said.image)
            with of_row(record.number):
                addresses.checked_url(url)
            yield _Wanted(record, said, url)
        except LineProblem as problem:
            yield captioned.refusal(record, problem, stage)
        except ImageProblem as problem:
            detail = f"row {record.number} {problem.detail}"
            yield captioned.refusal(record, ImageProblem(Reason.ADDRESS_REFUSED, detail), stage)


def _host(wanted: _Wanted) -> str:
    return addresses.checked_url(wanted.url).hostname or ""
