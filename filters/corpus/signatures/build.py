"""Build a signature from a benchmark: a TSV in VLMEvalKit's layout, JSON lines, Parquet, or a folder of such files.

Runs of words above a document frequency are left out, since they are boilerplate ("answer directly with only the letter
of the correct option"). Frequencies are over distinct questions: some benchmarks repeat every question with rotated
options or a redrawn image.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from capcurriculum.errors import SourceError
from datagen.image_decoding import ImageProblem
from datagen.sources.formats.record import Keys, Reading, Record
from datagen.sources.formats.records import READERS, find_files, read_files
from filters.corpus import image_hashes, latex_words, text_hashes
from filters.corpus.signatures.cells import Cells
from filters.corpus.signatures.file import GRAMS, RUNS, About, Numbers, Signature, parameters
from filters.corpus.signatures.layouts import Layout
from filters.corpus.text_hashes import Hashes

#: Runs in more than this share of the distinct questions are left out, but never those in 5 or fewer, and always those
#: in more than 20.
MAX_SHARE, ALWAYS_KEPT, NEVER_KEPT = 0.01, 5, 20
_BINARY = (".arrow", ".parquet")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A data file or a folder of them, its layout, and the signature's description of it."""

    path: Path
    name: str
    layout: Layout
    source: str = ""
    revision: str = ""
    images: Path | None = None
    max_pixels: int = image_hashes.MAX_PIXELS


@dataclass(slots=True)
class _Read:
    """The read rows; `columns` are those of the layout that exist, `others` all columns."""

    texts: set[str] = field(default_factory=set)
    hashes: set[int] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    columns: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)


def build(wanted: Wanted) -> Signature:
    """The signature of a benchmark.

    Images are decoded one at a time; unusable ones (damaged, too large, hardly any content) are counted and left out.
    Distinct texts are held in memory.

    Raises:
        SourceError: the files cannot be read, have none of the layout's columns, or have no question and no image.
    """
    read = _rows(wanted)
    if not read.columns:
        asked = ", ".join((*wanted.layout.questions, *wanted.layout.images))
        there = ", ".join(sorted(read.others)[:30]) or "none"
        raise SourceError(
            f"{wanted.path} has none of the columns {asked}; it has {there}. Name them with --question and --image, or "
            "choose another --layout."
        )
    texts = _hashed(sorted(read.texts))
    hashes = texts.hashes
    hashes["image"] = np.unique(np.fromiter(read.hashes, np.uint64, len(read.hashes)))
    if not any(len(values) for values in hashes.values()):
        raise SourceError(
            f"{wanted.path} gave no question and no image to compare with "
            f"({', '.join(f'{name} {count}' for name, count in sorted(read.counts.items()))}); check the columns."
        )
    sizes = {kind: len(values) for kind, values in hashes.items()}
    counts = {**read.counts, "distinct_questions": texts.distinct, "frequent_grams_left_out": texts.dropped, **sizes}
    options = {
        "max_document_share": MAX_SHARE, "always_kept_documents": ALWAYS_KEPT, "never_kept_documents": NEVER_KEPT,
    }  # fmt: skip
    source = wanted.source or wanted.path.name
    about = About(wanted.name, source, wanted.revision, counts, options, parameters())
    return Signature(about, hashes, texts.questions)


def _rows(wanted: Wanted) -> _Read:
    read = _Read()
    cells = Cells(wanted.images or (wanted.path if wanted.path.is_dir() else wanted.path.parent))
    for record in read_files(_files(wanted.path), Reading(Keys(wanted.name))):
        read.counts["rows"] += 1
        if record.problem is not None:
            read.counts["rows_refused"] += 1
            continue
        _text(record, wanted.layout, read)
        _images(record, wanted, cells, read)
    return read


def _files(path: Path) -> list[Path]:
    """A data file, or those of a folder; JSON beside Arrow or Parquet files only describes them."""
    if path.is_file():
        return [path]
    others = tuple(ending for ending in READERS if ending not in _BINARY)
    for endings in (*((ending,) for ending in _BINARY), others):
        patterns = [f"**/*{ending}" for ending in endings]
        if path.is_dir() and any(next(path.glob(pattern), None) for pattern in patterns):
            return find_files(path, patterns, "data files")
    raise SourceError(f"There is no data file at {path}; known endings are {', '.join(READERS)}.")


def _text(record: Record, layout: Layout, read: _Read) -> None:
    for column in layout.questions:
        value = record.get(column)
        read.others.update(record.values)
        if column in record.values:
            read.columns.add(column)
        if isinstance(value, str) and value.strip():
            read.counts["questions"] += 1
            read.texts.add(value)


def _images(record: Record, wanted: Wanted, cells: Cells, read: _Read) -> None:
    for column in wanted.layout.images:
        if column in record.values:
            read.columns.add(column)
        for image in cells.images(record.get(column)):
            read.counts["pictures"] += 1
            try:
                value = image_hashes.phash(image(), wanted.max_pixels)
            except ImageProblem as problem:
                read.counts[f"pictures_refused_{problem.reason}"] += 1
                continue
            if value is None:
                read.counts["pictures_without_content"] += 1
            else:
                read.hashes.add(value)


@dataclass(frozen=True, slots=True)
class _Texts:
    """Hashes of the distinct questions by kind, the question of each run, and the number of runs left out."""

    hashes: dict[str, Hashes]
    questions: dict[str, Numbers]
    dropped: int
    distinct: int


def _hashed(texts: Sequence[str]) -> _Texts:
    rows = pl.Series(texts, dtype=pl.String).to_frame("text")
    asked = text_hashes.asked(pl.col("text"), pl.col("text"))
    plain = rows.select(latex_words.plain(asked).alias("plain"))["plain"].unique().sort()
    found = text_hashes.words(plain)
    limit = min(max(ALWAYS_KEPT, int(MAX_SHARE * len(plain))), NEVER_KEPT)
    made = _Texts({"whole": np.unique(found.whole()[0])}, {}, 0, len(plain))
    for kind, size in zip(RUNS, GRAMS, strict=True):
        values, owners = found.grams(size)
        runs = pl.DataFrame({"gram": values, "question": owners.astype(np.uint32)}).unique()
        often = runs.group_by("gram").len().filter(pl.col("len") > limit)
        kept = runs.join(often, on="gram", how="anti").sort("gram", "question")
        made.hashes[kind], made.questions[kind] = kept["gram"].to_numpy(), kept["question"].to_numpy()
        made = replace(made, dropped=made.dropped + often.height)
    return made


def summary(signature: Signature) -> Iterator[str]:
    """A signature's description and counts as text."""
    about = signature.about
    yield f"{about.name} from {about.source}{f' at {about.revision}' if about.revision else ''}"
    yield from (f"  {name.replace('_', ' ')}: {count:,}" for name, count in sorted(about.counts.items()))
