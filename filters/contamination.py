"""Drop questions that a benchmark asks: runs of words it shares with them, or an image that is nearly one of its own.

Only hashes are compared, against signature files (`filters.signatures`), so a verdict names the benchmark and how much
matched, and never what the benchmark says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from capcurriculum.reasons import Reason
from capcurriculum.recipe_corpus_filters import ContaminationSection
from capcurriculum.rows import Verdict
from filters import hamming, text_hashes
from filters.signatures import file
from filters.signatures.file import SHORTER_THAN, Signature
from filters.text_hashes import Hashes, Places, Words

FILTER = "contamination"
_BATCH = 50_000

Counts = npt.NDArray[np.int32]


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
    read = questions.select("question_id", "stage", "image_id", said=text_hashes.normal(said))
    for batch in read.collect_batches(chunk_size=_BATCH, maintain_order=True):
        yield from _batch(batch, signatures, section, pictures)


def _batch(
    batch: pl.DataFrame, signatures: Sequence[Signature], section: ContaminationSection, pictures: pl.DataFrame
) -> Iterator[Verdict]:
    shown = (batch["image_id"] != "").to_numpy()
    found = text_hashes.words(batch["said"])
    runs = _Runs(found, signatures)
    sizes = np.where(shown, section.image_words or 0, section.text_words)
    hits = runs.hits(sizes)
    short = runs.short(~shown)
    near = batch.select("image_id").join(pictures, on="image_id", how="left", maintain_order="left")["match"].to_list()
    totals = np.maximum(found.counts - sizes + 1, 0)
    for place, (question_id, stage) in enumerate(batch.select("question_id", "stage").iter_rows()):
        matched: list[str] = []
        for number in np.flatnonzero(hits[place] >= section.min_hits):
            of = f"{hits[place, number]} of {totals[place]} runs of {sizes[place]} words"
            matched.append(f"{signatures[number].about.name}: {of}")
        matched += [f"{signatures[n].about.name}: the whole question" for n in np.flatnonzero(short[place])]
        if near[place] is not None:
            matched.append(near[place])
        reason = Reason.CONTAMINATED if matched else Reason.KEPT
        yield Verdict(question_id, stage, FILTER, not matched, reason, "; ".join(matched))


@dataclass(frozen=True, slots=True)
class _Runs:
    """Which words of a batch's texts the signatures know."""

    found: Words
    signatures: Sequence[Signature]

    def hits(self, sizes: Places) -> Counts:
        """Texts x signatures: how many runs of its own size of words (0: none) of a text a signature has."""
        counts = np.zeros((len(sizes), len(self.signatures)), np.int32)
        for size in np.unique(sizes[sizes > 0]).tolist():
            values, owners = self.found.grams(size)
            wanted = sizes[owners] == size
            counts += self._counted(values[wanted], owners[wanted], f"gram{size}")
        return counts

    def short(self, wanted: npt.NDArray[np.bool_]) -> Counts:
        """Texts x signatures: whether a signature has the whole of a wanted, short text."""
        values, owners = self.found.whole(SHORTER_THAN)
        return self._counted(values[wanted[owners]], owners[wanted[owners]], "short")

    def _counted(self, values: Hashes, owners: Places, kind: str) -> Counts:
        counts = np.zeros((len(self.found.counts), len(self.signatures)), np.int32)
        for number, signature in enumerate(self.signatures):
            known = _member(signature.hashes[kind], values)
            np.add.at(counts[:, number], owners[known], 1)
        return counts


def _member(known: Hashes, values: Hashes) -> npt.NDArray[np.bool_]:
    """Which values are in `known`, which is sorted."""
    if not len(known):
        return np.zeros(len(values), bool)
    found: npt.NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values
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
