"""The recipe sections of the filters that compare rows with each other, and with benchmarks."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from capcurriculum.recipe.filter_section import FilterSection, Phase

if TYPE_CHECKING:
    from capcurriculum.recipe import Recipe

Similarity = Annotated[float, Field(gt=0.5, le=1)]
#: Of 64 bits; two pictures that have nothing to do with each other differ in 32 on average, and seldom in under 16.
Distance = Annotated[int, Field(ge=0, le=12)]

#: Lengths of runs of words that signature files hold.
Runs = Literal[5, 8, 13]


class DuplicatesSection(FilterSection):
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


class ContaminationSection(FilterSection):
    """Which questions are taken from a benchmark, by signature files that hold its hashes.

    A problem without an image is contaminated when the runs of `text_words` words that it shares with one question of a
    benchmark are at least `min_share` of those of the shorter of both, and as many as `text_at_least` words in a row
    have; or when it is equal to a question. A question about an image is when the same holds of `image_words` and
    `image_at_least`, or when its image differs from one of the benchmark's in at most `image_distance` of 64 bits
    (null: images are not compared). Short questions about an image ("What colour is the car?") are asked of every
    image, so their words alone prove nothing; `image_words` null leaves images to decide.

    `min_hits` is another rule, beside the first or, with `min_share` null, instead of it: so many runs shared with a
    benchmark as a whole. One of them finds stock phrases.
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
    def _rule_named(self) -> ContaminationSection:
        if self.min_share is None and self.min_hits is None:
            raise ValueError("min_share and min_hits are both null; one of them must say what counts")
        if self.text_at_least < self.text_words or self.image_at_least < (self.image_words or 0):
            raise ValueError("text_at_least and image_at_least must not be below text_words and image_words")
        return self

    def params(self, recipe: Recipe) -> dict[str, Any]:
        """The signatures count by what is in them, wherever they lie."""
        return super().params(recipe) | {"signatures": [_content(Path(path)) for path in self.signatures]}


def _content(path: Path) -> str:
    """The digest of a file's bytes; a missing one is said by who reads it."""
    if not path.is_file():
        return ""
    about = path.stat()
    return _digest(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:
    del size, changed  # they are there to tell a changed file from the one that was read
    return sha256(path.read_bytes()).hexdigest()[:16]
