"""Count the rows that a build will read from a source on disk, without opening an image and without the network.

Where all rows are taken, the metadata of Parquet and Arrow files has their number and lines are counted; rows chosen by
split or part are read as the build reads them. Rows that the build will refuse are counted too.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from capcurriculum.recipe.sources import SourceSection
from capcurriculum.rows import Stage
from datagen.sources import registry
from datagen.sources.datasets import mapped
from datagen.sources.formats import beside_images, columnar, encoding
from datagen.sources.formats.json_form import Form
from datagen.sources.formats.record import Reading, Record
from datagen.sources.formats.records import arrow_batches, form, read_files
from datagen.sources.images.image_paths import Place
from datagen.sources.images.store import Store
from datagen.sources.options.answer_keys import Reading as KeyReading
from datagen.sources.source import UNSELECTED, Caption, Problem, Source

_BATCH = 4096  # rows of one narrow column that are in memory


def rows(section: SourceSection, kind: Stage) -> int:
    """Rows that a build takes from a source with a `path`, for a stage of this kind.

    They are all of the selected splits and parts, or the first `limit` of them.

    Raises:
        SourceError: the source cannot be read; what the build would say.
    """
    folder = registry.folder(section)
    place = Place(folder, section.name or folder.name, Store(folder))
    source: Source[Caption] | Source[Problem] = (
        registry.CAPTIONS[section.kind](section, place)
        if kind is Stage.PERCEPTION
        else registry.problems(section, place, kind is Stage.VISUAL, KeyReading())
    )
    if source.files:
        next(source.records(), None)  # looks for the columns
        return _in_files(source.files, section.limit, Reading.of(section, ""))
    records = source.records()
    if section.kind in ("captions", "problems") and _split_column(section):
        records = _splits(section, place, records)
    taken = (one for one in records if one.problem is None or one.problem.reason not in UNSELECTED)
    return sum(1 for _ in islice(taken, section.limit))


def _split_column(section: SourceSection) -> str:
    """The column by whose text rows are chosen, "" where all are taken."""
    return section.columns.split if section.columns and section.selected_splits else ""


def _in_files(paths: Iterable[Path], limit: int | None, reading: Reading) -> int:
    taken = 0
    for path in paths:
        left = None if limit is None else limit - taken
        taken += _in_file(path, left, reading) if left != 0 else 0
    return taken


def _in_file(path: Path, limit: int | None, reading: Reading) -> int:
    """Rows of a file, the first `limit` of them."""
    try:
        match path.suffix.lower():
            case ending if ending in beside_images.IMAGES:
                count = 1
            case ".parquet":
                count = int(pq.read_metadata(path).num_rows)
            case ".arrow":
                count = sum(int(batch.num_rows) for batch in arrow_batches(path))
            case ".jsonl" | ".jsonlines" | ".ndjson" | ".json" if form(path, reading) is Form.LINES:
                with encoding.opened(path) as handle:
                    lines = filter(str.strip, encoding.lines(handle, reading.limits.line))
                    return sum(1 for _ in islice(lines, limit))
            case _:
                return sum(1 for _ in islice(read_files([path], reading), limit))
    except (OSError, pa.ArrowException):
        return sum(1 for _ in read_files([path], reading))  # says what is wrong, in the build's own words
    return count if limit is None else min(count, limit)


def _splits(section: SourceSection, place: Place, records: Iterator[Record]) -> Iterator[Record]:
    """The records of a mapped source whose rows are chosen by split; of Parquet files that column alone is read."""
    next(records, None)  # looks for the columns
    column = _split_column(section)
    for path in mapped.data_files(section, place):
        alone = path.suffix.lower() == ".parquet"
        found = _column(path, column, section) if alone else read_files([path], Reading.of(section, ""))
        yield from mapped.in_splits(found, section, column)


def _column(path: Path, column: str, section: SourceSection) -> Iterator[Record]:
    """The rows of a Parquet file with nothing but that column in them."""
    try:
        with pq.ParquetFile(path) as file:
            name = column if column in file.schema_arrow.names else column.partition(".")[0]
            for batch in columnar.batches(file, path, section.limits.group_bytes, _BATCH, [name]):
                yield from (Record("", 0, values) for values in batch.to_pylist())
    except (OSError, pa.ArrowException, ValueError):
        yield from read_files([path], Reading.of(section, ""))  # as above
