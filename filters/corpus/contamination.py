"""Drop questions that a benchmark asks: most of the words of one of its own, or an image that is nearly one of its own.

Only hashes are compared, against signature files (`signatures`), so a verdict names the benchmark and how
much matched, and never what the benchmark says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from capcurriculum.reasons import Reason
from capcurriculum.recipe.corpus_filters import ContaminationSection
from capcurriculum.rows import Verdict
from filters.corpus import latex_words, shared_runs, text_hashes
from filters.corpus.duplicates import hamming
from filters.corpus.shared_runs import Texts
from filters.corpus.signatures import file
from filters.corpus.signatures.file import Signature
from filters.corpus.text_hashes import Hashes, Places, Words

FILTER = "contamination"
_BATCH = 25_000


def verdicts(
    questions: pl.LazyFrame, section: ContaminationSection, hashes: pl.LazyFrame | None = None
) -> Iterator[Verdict]:
    """One verdict a question, in their order; questions are read a batch at a time.

    Args:
        questions: columns of `capcurriculum.rows.Question`.
        section: the signatures and what counts as a match.
        hashes: `image_id` and `phash` of the images that have one.

    Raises:
        SourceError: a signature file is missing, damaged, or of another version.
    """
    signatures = [file.load(Path(path)) for path in section.signatures]
    pictures = _pictures(signatures, section, hashes)
    said = text_hashes.asked(pl.col("text"), pl.col("problem"))
    read = questions.select("question_id", "stage", "image_id", said=latex_words.plain(said))
    for batch in read.collect_batches(chunk_size=_BATCH, maintain_order=True):
        yield from _batch(batch, signatures, section, pictures)


def _batch(
    batch: pl.DataFrame, signatures: Sequence[Signature], section: ContaminationSection, pictures: pl.DataFrame
) -> Iterator[Verdict]:
    shown = (batch["image_id"] != "").to_numpy()
    texts = text_hashes.words(batch["said"])
    groups = list(_groups(texts, shown, section))
    values, owners = texts.whole()
    whole = (values[~shown[owners]], owners[~shown[owners]])
    matches = [(signature.about.name, _matches(signature, groups, whole, section)) for signature in signatures]
    near = batch.select("image_id").join(pictures, on="image_id", how="left", maintain_order="left")["match"].to_list()
    for place, (question_id, stage) in enumerate(batch.select("question_id", "stage").iter_rows()):
        told = [f"{name}: {found[place]}" for name, found in matches if place in found]
        if near[place] is not None:
            told.append(near[place])
        reason = Reason.CONTAMINATED if told else Reason.KEPT
        yield Verdict(question_id, stage, FILTER, not told, reason, "; ".join(told))


@dataclass(frozen=True, slots=True)
class _Group:
    """Runs of `words` words of a batch's texts without an image, or of those about one; `least` must be shared."""

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
    """What each text that a benchmark has shares with it, by the text's place in the batch."""
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


def _pictures(
    signatures: Sequence[Signature], section: ContaminationSection, hashes: pl.LazyFrame | None
) -> pl.DataFrame:
    """`image_id` and what it matches, of the images that are near one of a benchmark's."""
    none = pl.DataFrame(schema={"image_id": pl.String, "match": pl.String})
    if section.image_distance is None or hashes is None:
        return none
    ours = hashes.unique("image_id", keep="any").collect()
    values = ours["phash"].unique().sort().to_numpy()
    matches = [none]
    for signature in signatures:
        bits = np.full(len(values), 65)
        theirs = signature.hashes["image"]
        for one, two in hamming.near(values, theirs, section.image_distance):
            np.minimum.at(bits, one, np.bitwise_count(values[one] ^ theirs[two]))
        near = bits <= section.image_distance
        close = pl.DataFrame({"phash": values[near], "bits": bits[near]})
        told = pl.format("{}: an image {} of 64 bits away", pl.lit(signature.about.name), "bits")
        matches.append(ours.join(close, on="phash").select("image_id", match=told))
    return pl.concat(matches).sort("image_id", "match").group_by("image_id").agg(pl.col("match").str.join("; "))
