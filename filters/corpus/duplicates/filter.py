"""Deduplicate questions that ask the same: of problems without an image by their texts alone, of questions
about images only where the image is the same or nearly so.

"What colour is the cube?" about two different images is two questions, so equal texts prove nothing there. Questions
with equal texts, answers and images are one node; the nodes are ranked by evidence, candidates are found by MinHash and
by perceptual hashes, every candidate is checked on its texts, and `representatives` says which nodes stay.
"""

from collections.abc import Iterator
from string import ascii_uppercase
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from capcurriculum.reasons import Reason
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.rows import Outcome, Verdict
from datagen.setting import Setting
from filters.base import CorpusRule
from filters.corpus import image_hashes, text_hashes
from filters.corpus.duplicates import pairs
from filters.corpus.duplicates.pairs import KEPT, Found, keepers
from filters.corpus.duplicates.shared_keys import Rows
from filters.corpus.image_hashes import Distance

_BATCH = 100_000
_NEEDED = ("question_id", "stage", "text", "problem", "answer", "options", "image_id")
_NODE = ("picture", "said", "formula", "right")


Similarity = Annotated[float, Field(gt=0.5, le=1)]


class DuplicatesSection(CorpusRule):
    """Which questions count as the same one asked twice; the one with the best evidence is kept.

    Two problems without an image are near-duplicates when their texts are at least `text_similarity` alike. Two
    questions about images are when their texts are at least `image_text_similarity` alike *and* they are about the same
    image, or about two whose perceptual hashes differ in at most `image_distance` of 64 bits (null: only about the very
    same file). The same question about two different images is never a duplicate.

    Similarity is 1 - edits / (length + length), over characters, insertions and deletions counted as edits, of the
    texts in lower case without punctuation. With `same_numbers` the numbers and operators of both texts must be the
    same in the same order (problems made from one template differ in nothing else), with `same_answer` the texts of
    their right answers too (left and right of a tree differ in one word).
    """

    # After the rollouts, when it is known what speaks for each of two like questions.
    phase: ClassVar[Phase] = Phase.ROLLOUT
    compares: ClassVar[bool] = True

    name: Literal["duplicates"] = "duplicates"
    text_similarity: Similarity = 0.85
    image_text_similarity: Similarity = 0.9
    image_distance: Distance | None = 4
    same_numbers: bool = True
    same_answer: bool = True

    def verdicts(self, at: Setting, questions: pl.LazyFrame) -> Iterator[Verdict]:
        """One verdict a question; images that have no hash yet get one first."""
        hashes = None if self.image_distance is None else image_hashes.fill(at.run, at.folders, questions)
        return verdicts(scored(questions, at.run.answers.scan()), self, hashes)


def verdicts(
    questions: pl.LazyFrame, section: DuplicatesSection, hashes: pl.LazyFrame | None = None
) -> Iterator[Verdict]:
    """One verdict a question, in the order of their evidence; see `judged` for the arguments."""
    for part in judged(questions, section, hashes).iter_slices(_BATCH):
        for question_id, stage, kept_id, similarity, bits in part.iter_rows():
            if kept_id is None:
                yield Verdict(question_id, stage, section.name, True, Reason.KEPT)
            else:
                detail = f"of {kept_id}: texts {similarity:.0%} alike"
                detail += "" if bits is None else f", images {bits} of 64 bits apart"
                yield Verdict(question_id, stage, section.name, False, Reason.NEAR_DUPLICATE, detail)


def scored(questions: pl.LazyFrame, answers: pl.LazyFrame) -> pl.LazyFrame:
    """`questions` with the `score` of their evidence: how many replies were read, of those that no other filter drops.

    A question that another filter drops (`alive` false) scores less than any other, so that it never outlives one that
    would have been kept.
    """
    read = answers.filter(pl.col("outcome").is_in([str(Outcome.RIGHT), str(Outcome.WRONG)]))
    counts = read.group_by("question_id").agg(score=pl.len().cast(pl.Float64))
    score = pl.when("alive").then(pl.col("score").fill_null(0.0)).otherwise(-1.0)
    return questions.join(counts, on="question_id", how="left", maintain_order="left").with_columns(score)


def judged(questions: pl.LazyFrame, section: DuplicatesSection, hashes: pl.LazyFrame | None = None) -> pl.DataFrame:
    """The question that each one gives way to, best evidence first; independent of the order of the rows.

    Args:
        questions: columns of `capcurriculum.rows.Question`, and optionally `score`: of two near-duplicates the one of
            higher score is kept (null counts least), and of two with the same score that of the smaller id.
        section: what counts as a near-duplicate.
        hashes: `image_id` and `phash`; an image without one is like itself only.

    Returns:
        One row a question: `question_id`, `stage`, `kept_id` (null where it is kept itself), `similarity` of the texts
        and, for questions about images, how many `bits` of 64 the images' hashes differ in.
    """
    rows = _ranked(questions, section, hashes)
    nodes = rows.filter(pl.col("rank") == pl.col("head")).with_row_index("node")
    found = pairs.checked(nodes, section.text_similarity, section.image_text_similarity, section.image_distance)
    keeper = keepers(found.better, found.worse, nodes.height)
    return _told(rows, nodes, found, keeper)


def _ranked(questions: pl.LazyFrame, section: DuplicatesSection, hashes: pl.LazyFrame | None) -> pl.DataFrame:
    """Rows by rank with what they say; `head` is the rank of the best row of a row's node."""
    scored = questions if "score" in questions.collect_schema() else questions.with_columns(score=pl.lit(0.0))
    none = pl.LazyFrame(schema={"image_id": pl.String, "phash": pl.UInt64})
    known = none if hashes is None or section.image_distance is None else hashes
    said = text_hashes.asked(pl.col("text"), pl.col("problem"))
    return (
        scored.select(*_NEEDED, pl.col("score").cast(pl.Float64).fill_nan(None))
        .join(known.unique("image_id", keep="any"), on="image_id", how="left")
        .select(
            "question_id",
            "stage",
            "score",
            "image_id",
            "phash",
            # A picture is its hash, or where it has none, itself.
            picture=pl.coalesce(pl.col("phash").cast(pl.String), pl.col("image_id")),
            said=text_hashes.normal(said),
            formula=text_hashes.formula(said) if section.same_numbers else pl.lit(""),
            right=_right_answer() if section.same_answer else pl.lit(""),
        )
        .sort("score", "question_id", descending=[True, False], nulls_last=True)
        .collect()
        .with_row_index("rank")
        .with_columns(head=pl.col("rank").min().over(_NODE))
    )


def _right_answer() -> pl.Expr:
    """The text of the right option, or the answer where there are none."""
    places = {letter: place for place, letter in enumerate(ascii_uppercase)}
    place = pl.col("answer").str.strip_chars().replace_strict(places, default=None, return_dtype=pl.Int64)
    option = pl.col("options").list.get(place, null_on_oob=True)
    text = pl.coalesce(option, pl.col("answer"))
    return text.str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars(" .")


def _told(rows: pl.DataFrame, nodes: pl.DataFrame, found: Found, keeper: Rows) -> pl.DataFrame:
    """The outcome of each node, joined to each of its rows; see `judged` for the columns."""
    gone = np.flatnonzero(keeper != KEPT)
    why = pl.DataFrame(
        {
            "head": nodes["rank"].gather(gone),
            "instead": nodes["rank"].gather(keeper[gone]),
            "similarity": found.of(keeper[gone], gone, nodes.height),
        }
    )
    best = rows.select(instead="rank", kept_id="question_id", kept_phash="phash")
    dropped = pl.col("instead").is_not_null()
    return (
        rows.select("rank", "question_id", "stage", "image_id", "phash", "head")
        .join(why, on="head", how="left")
        .with_columns(
            # Equal to a row that stays, or to one that itself gives way.
            instead=pl.coalesce("instead", pl.when(pl.col("head") != pl.col("rank")).then("head")),
            similarity=pl.col("similarity").fill_null(1.0),
        )
        .join(best, on="instead", how="left")
        .with_columns(bits=(pl.col("phash") ^ pl.col("kept_phash")).bitwise_count_ones().fill_null(0))
        .sort("rank")
        .select(
            "question_id",
            "stage",
            "kept_id",
            pl.when(dropped).then("similarity").alias("similarity"),
            pl.when(dropped & (pl.col("image_id") != "")).then("bits").alias("bits"),
        )
    )
