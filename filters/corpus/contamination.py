"""Drop questions whose text or image matches a benchmark.

Hashes are compared with signature files (`signatures`), so a verdict names the benchmark and the size of the match, but
no text of the benchmark.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, PositiveInt, model_validator

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import Phase, RecipeView
from capcurriculum.rows import Verdict
from datagen.setting import Setting
from filters.base import CorpusRule
from filters.corpus import image_hashes, latex_words, shared_runs, text_hashes
from filters.corpus.duplicates import hamming
from filters.corpus.image_hashes import Distance
from filters.corpus.shared_runs import Texts
from filters.corpus.signatures import file
from filters.corpus.signatures.file import Signature
from filters.corpus.text_hashes import Hashes, Places, Words

_BATCH = 25_000
#: Lengths of the runs of words (n-grams) in signature files.
Runs = Literal[5, 8, 13]


class ContaminationSection(CorpusRule):
    """The question matches no question of the benchmarks in `signatures`.

    A problem without an image matches a question if they share at least `min_share` of the runs of `text_words` words
    of the shorter one, and at least as many as `text_at_least` consecutive words have, or if their texts are equal. For
    a question about an image `image_words` and `image_at_least` apply; it also matches if its image differs from one of
    the benchmark in at most `image_distance` of 64 bits (null: images are not compared). Short questions about an image
    ("What colour is the car?") recur, so equal texts do not match; with `image_words` null only images are compared.

    `min_hits` matches that many runs shared with a benchmark as a whole, in addition, or with `min_share` null instead.
    """

    phase: ClassVar[Phase] = Phase.QUESTION

    name: Literal["contamination"] = "contamination"
    signatures: Annotated[tuple[str, ...], Field(min_length=1)]
    min_share: Annotated[float, Field(gt=0, le=1)] | None = 0.5
    min_hits: PositiveInt | None = None
    text_words: Runs = 5
    text_at_least: PositiveInt = 8
    image_words: Runs | None = 8
    image_at_least: PositiveInt = 16
    image_distance: Distance | None = 4

    @model_validator(mode="after")
    def _rule_named(self) -> "ContaminationSection":
        if self.min_share is None and self.min_hits is None:
            raise ValueError("min_share and min_hits are both null; one of them must say what counts")
        if self.text_at_least < self.text_words or self.image_at_least < (self.image_words or 0):
            raise ValueError("text_at_least and image_at_least must not be below text_words and image_words")
        return self

    def params(self, recipe: RecipeView) -> dict[str, Any]:
        """The section's keys, with digests of the signature files in place of their paths."""
        return super().params(recipe) | {"signatures": [_content(Path(path)) for path in self.signatures]}

    def verdicts(self, at: Setting, questions: pl.LazyFrame) -> Iterator[Verdict]:
        """One verdict for each question, after hashing images without a hash."""
        hashes = None if self.image_distance is None else image_hashes.fill(at.run, at.folders, questions)
        return verdicts(questions, self, hashes)


def _content(path: Path) -> str:
    """First 16 hex digits of a file's SHA-256, "" if it is missing, which `file.load` reports."""
    if not path.is_file():
        return ""
    about = path.stat()
    return _digest(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:
    del size, changed  # keys of the cache
    return sha256(path.read_bytes()).hexdigest()[:16]


def verdicts(
    questions: pl.LazyFrame, section: ContaminationSection, hashes: pl.LazyFrame | None = None
) -> Iterator[Verdict]:
    """One verdict for each question, in their order, read in batches.

    Args:
        questions: columns of `capcurriculum.rows.Question`.
        section: the signatures and what counts as a match.
        hashes: `image_id` and `phash` of the images that have one.

    Raises:
        SourceError: a signature file is missing, damaged, or of another version.
    """
    signatures = [file.load(Path(path)) for path in section.signatures]
    images = _matching_images(signatures, section, hashes)
    words = latex_words.plain(text_hashes.asked(pl.col("text"), pl.col("problem")))
    read = questions.select("question_id", "stage", "image_id", words=words)
    for batch in read.collect_batches(chunk_size=_BATCH, maintain_order=True):
        yield from _batch(batch, signatures, section, images)


def _batch(
    batch: pl.DataFrame, signatures: Sequence[Signature], section: ContaminationSection, images: pl.DataFrame
) -> Iterator[Verdict]:
    shown = (batch["image_id"] != "").to_numpy()
    texts = text_hashes.words(batch["words"])
    groups = list(_groups(texts, shown, section))
    values, owners = texts.whole()
    whole = (values[~shown[owners]], owners[~shown[owners]])
    matches = [(signature.about.name, _matches(signature, groups, whole, section)) for signature in signatures]
    near = batch.select("image_id").join(images, on="image_id", how="left", maintain_order="left")["match"].to_list()
    for place, (question_id, stage) in enumerate(batch.select("question_id", "stage").iter_rows()):
        found_in = [f"{name}: {found[place]}" for name, found in matches if place in found]
        if near[place] is not None:
            found_in.append(near[place])
        reason = Reason.CONTAMINATED if found_in else Reason.KEPT
        yield Verdict(question_id, stage, section.name, not found_in, reason, "; ".join(found_in))


@dataclass(frozen=True, slots=True)
class _Group:
    """Runs of `words` words of a batch's texts, either without or with an image; at least `least` must be shared."""

    texts: Texts
    words: int
    least: int


def _groups(texts: Words, shown: npt.NDArray[np.bool_], section: ContaminationSection) -> Iterator[_Group]:
    for rows, words, at_least in (
        (~shown, section.text_words, section.text_at_least),
        (shown, section.image_words, section.image_at_least),
    ):
        if words is not None and rows.any():
            values, owners = texts.grams(words)
            wanted = rows[owners]
            yield _Group(Texts.of(values[wanted], owners[wanted], len(rows)), words, at_least - words + 1)


def _matches(
    signature: Signature, groups: Sequence[_Group], whole: tuple[Hashes, Places], section: ContaminationSection
) -> dict[int, str]:
    """Index of a matching text in the batch -> description of the match."""
    found: dict[int, str] = {}
    for group in groups:
        kind, of = f"gram{group.words}", f"runs of {group.words} words"
        if section.min_share is not None:
            most = shared_runs.most(group.texts, signature, kind, section.min_share, group.least)
            for place in np.flatnonzero(most.runs).tolist():
                found[place] = f"{most.runs[place]} of {most.shorter[place]} {of} of one question"
        if section.min_hits is not None:
            hits, sizes = group.texts.hits(signature.hashes[kind]), group.texts.sizes
            for place in np.flatnonzero(hits >= section.min_hits).tolist():
                found.setdefault(place, f"{hits[place]} of {sizes[place]} {of}")
    values, owners = whole
    for place in owners[shared_runs.member(signature.hashes["whole"], values)].tolist():
        found.setdefault(place, "the whole question")
    return found


def _matching_images(
    signatures: Sequence[Signature], section: ContaminationSection, hashes: pl.LazyFrame | None
) -> pl.DataFrame:
    """`image_id` and `match`, its description, of the images near one of a benchmark."""
    none = pl.DataFrame(schema={"image_id": pl.String, "match": pl.String})
    if section.image_distance is None or hashes is None:
        return none
    known = hashes.unique("image_id", keep="any").collect()
    values = known["phash"].unique().sort().to_numpy()
    matches = [none]
    for signature in signatures:
        bits = np.full(len(values), 65)
        theirs = signature.hashes["image"]
        for one, two in hamming.near(values, theirs, section.image_distance):
            np.minimum.at(bits, one, np.bitwise_count(values[one] ^ theirs[two]))
        near = bits <= section.image_distance
        close = pl.DataFrame({"phash": values[near], "bits": bits[near]})
        text = pl.format("{}: an image {} of 64 bits away", pl.lit(signature.about.name), "bits")
        matches.append(known.join(close, on="phash").select("image_id", match=text))
    return pl.concat(matches).sort("image_id", "match").group_by("image_id").agg(pl.col("match").str.join("; "))
