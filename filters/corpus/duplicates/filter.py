"""Deduplicate questions: problems without an image by text, questions about images by text and image.

Equal texts about different images ("What colour is the cube?") are different questions. Rows with equal texts, answers
and images form a node; nodes are ranked by evidence, candidates come from MinHash and perceptual hashes and are checked
on their texts, and `pairs.keepers` chooses the nodes that stay.
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
_NODE = ("image", "asked", "formula", "right")

Similarity = Annotated[float, Field(gt=0.5, le=1)]


class DuplicatesSection(CorpusRule):
    """Of near-duplicates only the question with the best evidence is kept.

    Two problems without an image are near-duplicates if the similarity of their texts is at least `text_similarity`;
    two questions about images if that is at least `image_text_similarity` *and* their images have perceptual hashes
    that differ in at most `image_distance` of 64 bits (null: are the same file).

    Similarity is 1 - edits / (sum of lengths), with insertions and deletions of characters as edits, of the texts in
    lower case without punctuation. With `same_numbers` both texts must have the same numbers and operators in order
    (problems of one template differ only there), with `same_answer` the same text of the right answer (left and right
    of a tree differ in one word).
    """

    # The evidence of both questions is complete only after the rollouts.
    phase: ClassVar[Phase] = Phase.ROLLOUT
    compares: ClassVar[bool] = True

    name: Literal["duplicates"] = "duplicates"
    text_similarity: Similarity = 0.85
    image_text_similarity: Similarity = 0.9
    image_distance: Distance | None = 4
    same_numbers: bool = True
    same_answer: bool = True

    def verdicts(self, at: Setting, questions: pl.LazyFrame) -> Iterator[Verdict]:
        """One verdict for each question, after hashing images without a hash."""
        hashes = None if self.image_distance is None else image_hashes.fill(at.run, at.folders, questions)
        return verdicts(scored(questions, at.run.answers.scan()), self, hashes)


def verdicts(
    questions: pl.LazyFrame, section: DuplicatesSection, hashes: pl.LazyFrame | None = None
) -> Iterator[Verdict]:
    """One verdict for each question, best evidence first; see `judged` for the arguments."""
    for part in judged(questions, section, hashes).iter_slices(_BATCH):
        for question_id, stage, kept_id, similarity, bits in part.iter_rows():
            if kept_id is None:
                yield Verdict(question_id, stage, section.name, True, Reason.KEPT)
            else:
                detail = f"of {kept_id}: texts {similarity:.0%} alike"
                detail += "" if bits is None else f", images {bits} of 64 bits apart"
                yield Verdict(question_id, stage, section.name, False, Reason.NEAR_DUPLICATE, detail)


def scored(questions: pl.LazyFrame, answers: pl.LazyFrame) -> pl.LazyFrame:
    """`questions` with their `score`: the number of readable replies, or -1 if another filter drops them.

    So a dropped question (`alive` false) never represents one that is kept.
    """
    read = answers.filter(pl.col("outcome").is_in([str(Outcome.RIGHT), str(Outcome.WRONG)]))
    counts = read.group_by("question_id").agg(score=pl.len().cast(pl.Float64))
    score = pl.when("alive").then(pl.col("score").fill_null(0.0)).otherwise(-1.0)
    return questions.join(counts, on="question_id", how="left", maintain_order="left").with_columns(score)


def judged(questions: pl.LazyFrame, section: DuplicatesSection, hashes: pl.LazyFrame | None = None) -> pl.DataFrame:
    """The representative of each question, best evidence first; independent of the order of the rows.

    Args:
        questions: columns of `capcurriculum.rows.Question`, and optionally `score`: the higher one is kept (null is
            lowest), with equal scores the smaller id.
        section: defines near-duplicates.
        hashes: `image_id` and `phash`; an image without a hash matches itself only.

    Returns:
        One row for each question: `question_id`, `stage`, `kept_id` (null if it is kept), `similarity` of the texts,
        and for questions about images the number of `bits` of 64 in which the hashes differ.
    """
    rows = _ranked(questions, section, hashes)
    nodes = rows.filter(pl.col("rank") == pl.col("head")).with_row_index("node")
    found = pairs.checked(nodes, section.text_similarity, section.image_text_similarity, section.image_distance)
    keeper = keepers(found.better, found.worse, nodes.height)
    return _outcomes(rows, nodes, found, keeper)


def _ranked(questions: pl.LazyFrame, section: DuplicatesSection, hashes: pl.LazyFrame | None) -> pl.DataFrame:
    """Rows by rank with their compared columns; `head` is the rank of the best row of the node."""
    scored = questions if "score" in questions.collect_schema() else questions.with_columns(score=pl.lit(0.0))
    none = pl.LazyFrame(schema={"image_id": pl.String, "phash": pl.UInt64})
    known = none if hashes is None or section.image_distance is None else hashes
    asked = text_hashes.asked(pl.col("text"), pl.col("problem"))
    return (
        scored.select(*_NEEDED, pl.col("score").cast(pl.Float64).fill_nan(None))
        .join(known.unique("image_id", keep="any"), on="image_id", how="left")
        .select(
            "question_id",
            "stage",
            "score",
            "image_id",
            "phash",
            # An image is identified by its hash, or without one by its id.
            image=pl.coalesce(pl.col("phash").cast(pl.String), pl.col("image_id")),
            asked=text_hashes.normal(asked),
            formula=text_hashes.formula(asked) if section.same_numbers else pl.lit(""),
            right=_right_answer() if section.same_answer else pl.lit(""),
        )
        .sort("score", "question_id", descending=[True, False], nulls_last=True)
        .collect()
        .with_row_index("rank")
        .with_columns(head=pl.col("rank").min().over(_NODE))
    )


def _right_answer() -> pl.Expr:
    """The text of the right option, or the answer if there are no options."""
    places = {letter: place for place, letter in enumerate(ascii_uppercase)}
    place = pl.col("answer").str.strip_chars().replace_strict(places, default=None, return_dtype=pl.Int64)
    option = pl.col("options").list.get(place, null_on_oob=True)
    text = pl.coalesce(option, pl.col("answer"))
    return text.str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars(" .")


def _outcomes(rows: pl.DataFrame, nodes: pl.DataFrame, found: Found, keeper: Rows) -> pl.DataFrame:
    """The outcome of each row's node; see `judged` for the columns."""
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
            # Within a node all rows give way to its head.
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
