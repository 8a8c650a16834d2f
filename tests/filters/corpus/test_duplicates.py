"""Near-duplicate questions and pictures: planted ones are found, look-alikes that differ are kept."""

import random
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from benchmarks import duplicates as planted
from capcurriculum.rows import Question, Verdict
from capcurriculum.run import Run
from datagen.image_decoding import ImageProblem
from filters.corpus import image_hashes, text_hashes
from filters.corpus.duplicates import filter, hamming, minhash
from filters.corpus.duplicates.filter import DuplicatesSection
from filters.corpus.duplicates.pairs import KEPT, keepers
from tests.support.pictures import jpeg, noise, png

SECTION = DuplicatesSection()
TRAIN = "A train travels {} miles in 2 hours and then 30 miles in one hour. What is its average speed?"


def question(question_id: str, problem: str, **values: Any) -> dict[str, Any]:
    row = {"question_id": question_id, "stage": "text", "text": "", "problem": problem, "answer": "30", "options": []}
    return row | {"image_id": "", "score": 0.0} | values


def about(question_id: str, image_id: str, problem: str, answer: str = "A", **values: Any) -> dict[str, Any]:
    options = values.pop("options", ["red", "blue", "green", "grey"])
    values |= {"stage": "perception", "image_id": image_id, "answer": answer, "options": options}
    return question(question_id, problem, **values)


def frame(rows: list[dict[str, Any]]) -> pl.LazyFrame:
    return pl.DataFrame(rows, schema_overrides={"options": pl.List(pl.String), "score": pl.Float64}).lazy()


def hashes(**values: int) -> pl.LazyFrame:
    return pl.LazyFrame(list(values.items()), schema={"image_id": pl.String, "phash": pl.UInt64}, orient="row")


def dropped(
    rows: list[dict[str, Any]], section: DuplicatesSection = SECTION, known: pl.LazyFrame | None = None
) -> dict[str, str]:
    """Question -> the one it gives way to."""
    said = list(filter.verdicts(frame(rows), section, known))
    assert sorted(v.question_id for v in said) == sorted(row["question_id"] for row in rows)
    assert all(v.reason == ("kept" if v.keep else "near_duplicate") for v in said)
    return {v.question_id: v.detail.split(":")[0].removeprefix("of ") for v in said if not v.keep}


def test_a_problem_said_again_in_slightly_other_words_gives_way() -> None:
    again = "a TRAIN travels 60 miles in 2 hours, and then 30 miles in one hour; what is its mean speed"
    assert dropped([question("a", TRAIN.format(60)), question("b", again)]) == {"b": "a"}


@pytest.mark.parametrize(
    "other",
    [
        question("b", TRAIN.format(80)),
        question("b", TRAIN.format(60), answer="45"),
        question("b", "How many of the nine marbles in the bag are red if six are not?"),
        about("b", "i", TRAIN.format(60), "30", options=[]),
    ],
    ids=["another number", "another answer", "another problem", "asked about an image"],
)
def test_what_differs_in_what_matters_is_kept(other: dict[str, Any]) -> None:
    assert dropped([question("a", TRAIN.format(60)), other]) == {}


def test_operators_tell_problems_apart_and_hyphens_do_not() -> None:
    sums = [
        question("a", "Compute 17 + 4 for the long exercise."),
        question("b", "Compute 17 - 4 for the long exercise."),
    ]
    assert dropped(sums) == {}
    hyphens = [
        "The right-angled triangle has a well-known area of what?",
        "The right angled triangle has a well known area of what?",
    ]
    assert dropped([question("a", hyphens[0]), question("b", hyphens[1])]) == {"b": "a"}


def test_the_recipe_can_let_numbers_and_answers_differ() -> None:
    lax = DuplicatesSection(same_numbers=False, same_answer=False)
    rows = [question("a", TRAIN.format(60)), question("b", TRAIN.format(80), answer="45")]
    assert dropped(rows, lax) == {"b": "a"}


def test_the_same_question_about_different_images_is_not_a_duplicate() -> None:
    rows = [about(f"q{n}", f"i{n}", "What colour is the cube?") for n in range(40)]
    far = hashes(**{f"i{n}": random.Random(n).getrandbits(64) for n in range(40)})
    assert dropped(rows) == {}
    assert dropped(rows, known=far) == {}


def test_the_same_question_about_one_image_or_near_images_is_a_duplicate() -> None:
    rows = [
        about("a", "i1", "What colour is the cube?"),
        about("b", "i1", "What colour is the cube ?", "B", options=["blue", "Red", "green", "grey"]),
        about("c", "i2", "What color is the cube?"),
        about("d", "i2", "How many cubes are there?"),
        about("e", "i1", "What colour is the cube?", "B"),
    ]
    known = hashes(i1=0b1111, i2=0b1111_0000_1111)
    assert dropped(rows, known=known) == {"b": "a", "c": "a"}
    assert dropped(rows, DuplicatesSection(image_distance=3), known) == {"b": "a"}
    assert dropped(rows, DuplicatesSection(image_distance=None), known) == {"b": "a"}


def test_the_verdict_says_how_alike_texts_and_images_are() -> None:
    rows = [about("a", "i1", "What colour is the cube?"), about("c", "i2", "What color is the cube?")]
    said = list(filter.verdicts(frame(rows), SECTION, hashes(i1=0b1111, i2=0b11)))
    detail = "of a: texts 98% alike, images 2 of 64 bits apart"
    assert said[1] == Verdict("c", "perception", "duplicates", False, "near_duplicate", detail)


def test_the_best_evidence_is_kept_and_ties_go_by_id() -> None:
    texts = [TRAIN.format(60), TRAIN.format(60).upper(), TRAIN.format(60).replace("average", "mean")]
    rows = [question(name, text) for name, text in zip("cab", texts, strict=True)]
    assert dropped(rows) == {"b": "a", "c": "a"}
    scores = {"a": None, "b": 0.5, "c": 0.25}
    assert dropped([row | {"score": scores[row["question_id"]]} for row in rows]) == {"a": "b", "c": "b"}


def test_a_chain_loses_only_what_is_alike_to_something_kept() -> None:
    one, two = np.array([0, 1, 2]), np.array([1, 2, 3])
    assert keepers(one, two, 5).tolist() == [KEPT, 0, KEPT, 2, KEPT]


WORDS = ["red", "cube", "left", "of", "sphere", "the", "what", "colour"]


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(WORDS), min_size=3, max_size=12),
            st.sampled_from(["", "i1", "i2", "i3"]),
            st.sampled_from([0.0, 0.5, None]),
        ),
        min_size=1,
        max_size=25,
    ),
    st.randoms(use_true_random=False),
)
def test_verdicts_do_not_depend_on_the_order_of_rows(rows: list[Any], rng: random.Random) -> None:
    made = [
        question(f"{n:02d}", " ".join(said), image_id=image, score=score)
        for n, (said, image, score) in enumerate(rows)
    ]  # fmt: skip
    known = hashes(i1=0b1, i2=0b111, i3=2**40 - 1)
    gone = dropped(made, known=known)
    mixed = made.copy()
    rng.shuffle(mixed)
    assert dropped(mixed, known=known) == gone
    kept = [row for row in made if row["question_id"] not in gone]
    assert set(gone.values()) <= {row["question_id"] for row in kept}
    assert dropped(kept, known=known) == {}


def test_no_rows_give_no_verdicts() -> None:
    none = frame([question("a", "P?")]).filter(pl.col("question_id") == "")
    assert list(filter.verdicts(none, SECTION, hashes())) == []


def test_planted_duplicates_are_found(tmp_path: Path) -> None:
    planted.make(tmp_path, 2_000)
    found = planted.judge(tmp_path)
    assert found["planted"] == 200
    assert found["recall"] >= 0.97
    assert found["precision"] >= 0.99


def test_sketches_are_those_of_datasketch() -> None:
    texts = pl.Series(["what is the area of the red square", "one", ""])
    made = minhash.sketch(text_hashes.words(texts))
    for row, owner in enumerate(texts.to_list()):
        one = text_hashes.words(pl.Series([owner]))
        elements = [int(v) >> 32 for v in [*text_hashes.mixed(one.hashes), *one.grams(2)[0]]]
        theirs = MinHash(num_perm=minhash.BANDS * minhash.ROWS, seed=minhash.SEED, hashfunc=int)
        factor, offset = theirs.permutations
        values = [np.uint32(element) * factor + offset for element in elements]
        assert made[row].tolist() == np.min([theirs.hashvalues, *values], axis=0).tolist()


@pytest.mark.parametrize("distance", [0, 1, 4, 6, 9])
def test_near_hashes_are_exactly_those_within_the_distance(distance: int) -> None:
    rng = np.random.default_rng(distance)
    centres = rng.integers(0, 2**64, 20, dtype=np.uint64)
    flips = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (400, 8), dtype=np.uint64), axis=1)
    flips &= rng.integers(0, 2**64, 400, dtype=np.uint64)
    values = np.concatenate([centres, centres[rng.integers(0, 20, 400)] ^ flips])
    listed = [pair for one, two in hamming.near(values, values[:50], distance) for pair in zip(one, two, strict=True)]
    found = set(listed)
    assert len(listed) == len(found)
    apart = np.bitwise_count(values[:, None] ^ values[None, :50])
    assert found == set(zip(*np.nonzero(apart <= distance), strict=True))
    assert len(found) > 50
    scopes = rng.integers(0, 3, len(values), dtype=np.uint64)
    within = hamming.near(values, values[:50], distance, (scopes, scopes[:50]))
    inside = {pair for one, two in within for pair in zip(one, two, strict=True)}
    assert inside == {(a, b) for a, b in found if scopes[a] == scopes[b]}


def test_words_hash_the_same_for_good() -> None:
    made = text_hashes.words(pl.Series(["what colour is the cube"]))
    assert made.hashes[0] == int.from_bytes(blake2b(b"what", digest_size=8).digest(), "little")
    assert made.grams(5)[0].tolist() == made.whole()[0].tolist() == [13841432104860057452]


def test_a_picture_scaled_recompressed_or_turned_by_its_tag_keeps_its_hash() -> None:
    picture = noise(1)
    plain = image_hashes.phash(png(picture), 10**6)
    assert plain is not None
    tagged = Image.Exif()
    tagged[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    for data in (
        jpeg(picture.resize((500, 500))),
        jpeg(picture, quality=40),
        jpeg(picture.transpose(Image.Transpose.ROTATE_90), exif=tagged),
    ):
        other = image_hashes.phash(data, 10**6)
        assert other is not None
        assert (plain ^ other).bit_count() <= 6
    far = image_hashes.phash(png(noise(2)), 10**6)
    assert far is not None
    assert (plain ^ far).bit_count() > 12


def test_a_picture_without_content_has_no_hash_and_transparent_is_white() -> None:
    assert image_hashes.phash(png(Image.new("RGB", (64, 64), "red")), 10**6) is None
    cut = noise(3).convert("RGBA")
    cut.putalpha(Image.new("L", cut.size, 0))
    assert image_hashes.phash(png(cut), 10**6) is None


def test_a_picture_too_large_is_refused() -> None:
    with pytest.raises(ImageProblem, match="more than 100 in all"):
        image_hashes.phash(png(noise(1)), 100)


def test_hashes_of_a_run_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, folder = Run(tmp_path), tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(png(noise(1)))
    (folder / "b.png").write_bytes(b"no picture")
    asked = [("q1", "a", "a.png"), ("q2", "a", "a.png"), ("q3", "b", "b.png"), ("q4", "", "")]
    run.questions.append(
        Question(q, "visual", "P?", "1", (), "s", image, path, "", "", "s", "l") for q, image, path in asked
    )
    made = image_hashes.fill(run, {"visual": folder}).collect()
    assert made["image_id"].to_list() == ["a"]
    assert made["phash"][0] == image_hashes.phash(png(noise(1)), 10**6)
    assert {row.image_id: row.problem for row in image_hashes.table(run).rows()}["b"].startswith("cannot be decoded")
    monkeypatch.setattr(image_hashes, "phash", None)
    assert image_hashes.fill(run, {"visual": folder}).collect().equals(made)
    assert image_hashes.table(run).count() == 2


def test_the_section_refuses_what_it_does_not_know() -> None:
    for wrong in ({"similarity": 0.9}, {"text_similarity": 0.2}, {"image_distance": 40}, {"name": "dedup"}):
        with pytest.raises(ValidationError):
            DuplicatesSection.model_validate(wrong)
