"""The recipe sections of the filters that compare rows with each other, and with benchmarks."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

Similarity = Annotated[float, Field(gt=0.5, le=1)]
#: Of 64 bits; two pictures that have nothing to do with each other differ in 32 on average, and seldom in under 16.
Distance = Annotated[int, Field(ge=0, le=12)]


class CorpusFilterSection(BaseModel):
    """A filter of a recipe: immutable, and no key it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DuplicatesSection(CorpusFilterSection):
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

    name: Literal["duplicates"] = "duplicates"
    text_similarity: Similarity = 0.85
    image_text_similarity: Similarity = 0.9
    image_distance: Distance | None = 4
    same_numbers: bool = True
    same_answer: bool = True


class ContaminationSection(CorpusFilterSection):
    """Which questions are taken from a benchmark, by signature files that hold its hashes.

    A problem without an image is contaminated when it shares at least `min_hits` runs of `text_words` words with one
    benchmark, or is shorter than 8 words and equal to one of its questions. A question about an image is when it shares
    `min_hits` runs of `image_words` words, or when its image differs from one of the benchmark's in at most
    `image_distance` of 64 bits (null: images are not compared). Short questions about an image ("What colour is the
    car?") are asked of every image, so their words alone prove nothing; where longer ones are made from templates too
    (CLEVR), `image_words` null leaves images to decide.
    """

    name: Literal["contamination"] = "contamination"
    signatures: Annotated[tuple[str, ...], Field(min_length=1)]
    text_words: Literal[8, 13] = 8
    image_words: Literal[8, 13] | None = 13
    min_hits: PositiveInt = 1
    image_distance: Distance | None = 4
