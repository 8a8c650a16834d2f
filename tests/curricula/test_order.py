"""Orders as pure functions: what each must hold for any rows."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capcurriculum import recipe
from capcurriculum.errors import RecipeError
from capcurriculum.recipe import SplitSection
from capcurriculum.recipe.curriculum import CurriculumSection, OrderSection
from capcurriculum.rows import digest
from curricula import hashing, merge, split
from curricula.keys import Keys, from_frame
from curricula.order import OrderedSet, arrange
from curricula.split import SPLITS

RECIPE = recipe.parse(
    {
        "name": "orders",
        "models": {"policy": {"engine": "transformers", "model": "micro:start"}},
        "text": {"source": {"kind": "problems", "path": "x", "license": "mit"}},
        "rollouts": {"model": "policy", "k": 4},
        "split": {"val": 0.2, "test": 0.1},
    },
    "test",
)

STAGES = RECIPE.taught
ROWS = st.lists(
    st.tuples(
        st.sampled_from(STAGES), st.sampled_from(["red", "green", "blue"]), st.sampled_from(["a", "b"]),
        st.integers(0, 4), st.integers(0, 30),
    ),
    min_size=1,
    max_size=120,
)  # fmt: skip
SHARE = st.floats(0, 1)


def frame(rows: list[tuple[str, str, str, int, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "key": [int(digest("row", place), 16) for place in range(len(rows))],
            "stage": [row[0] for row in rows],
            "skill": [row[1] for row in rows],
            "source": [row[2] for row in rows],
            "k": [row[3] for row in rows],
            "n": 4,
            "unreadable": 0,
            "failed": 0,
            "unit": [int(digest("image", row[4]), 16) for row in rows],
        },
        schema_overrides={"key": pl.UInt64, "unit": pl.UInt64}
        | dict.fromkeys(("k", "n", "unreadable", "failed"), pl.UInt32),
    )


def orders() -> list[OrderSection]:
    plain: list[dict[str, Any]] = [
        {"order": "merged"},
        {"order": "difficulty"},
        {"order": "difficulty", "reverse": True},
        {"order": "capability"},
        {"order": "capability_x_difficulty"},
        {"order": "capability_x_difficulty", "reverse": True, "balance": {"by": "skill", "batch": 8}},
        {"order": "interleaved"},
        {"order": "interleaved", "by": "skill", "proportions": {"red": 3, "green": 1, "blue": 0.5}},
        {"order": "merged", "balance": {"by": "source", "batch": 4}, "epochs": 2},
    ]
    return [OrderSection.model_validate(values) for values in plain]


def places(made: list[OrderedSet], number: int) -> list[int]:
    return [int(place) for one in made for place in one.rows[number]]


@settings(max_examples=40)
@given(ROWS, st.integers(0, 3))
def test_every_order_is_a_permutation_of_its_rows_in_every_split(rows: list[Any], seed: int) -> None:
    keys = from_frame(frame(rows), RECIPE)
    for order in orders():
        named = {"red", "green", "blue"} - set(keys.skill.names)
        if order.proportions and named:
            continue
        made = arrange(order, keys, seed)
        for number in range(len(SPLITS)):
            expected = np.flatnonzero(keys.split == number).tolist()
            assert sorted(places(made, number)) == sorted(expected * order.epochs)


@settings(max_examples=40)
@given(ROWS, st.randoms(use_true_random=False))
def test_orders_do_not_depend_on_how_the_rows_came(rows: list[Any], shuffler: Any) -> None:
    whole = frame(rows)
    mixed = list(range(len(rows)))
    shuffler.shuffle(mixed)
    first, second = from_frame(whole, RECIPE), from_frame(whole[mixed], RECIPE)
    assert first.digest() == second.digest()
    for order in orders()[:7]:
        for one, other in zip(arrange(order, first, 0), arrange(order, second, 0), strict=True):
            assert one.name == other.name
            assert all((a == b).all() for a, b in zip(one.rows, other.rows, strict=True))


@settings(max_examples=40)
@given(ROWS)
def test_easy_rows_come_first_or_last_and_ties_are_drawn_by_the_seed(rows: list[Any]) -> None:
    keys = from_frame(frame(rows), RECIPE)
    for order in (OrderSection(order="difficulty"), OrderSection(order="difficulty", reverse=True)):
        (made,) = arrange(order, keys, 0)
        rates = [(keys.k / keys.n)[one].tolist() for one in made.rows]
        assert rates == [sorted(found, reverse=not order.reverse) for found in rates]


def test_another_seed_or_epoch_breaks_ties_otherwise_and_keeps_the_rows() -> None:
    keys = from_frame(frame([("text", "red", "a", 2, n) for n in range(60)]), RECIPE)
    order = OrderSection(order="difficulty", epochs=2)
    first, second = arrange(order, keys, 0)
    assert (first.name, second.name) == ("difficulty/epoch-01", "difficulty/epoch-02")
    (other,) = arrange(OrderSection(order="difficulty"), keys, 1)
    assert len({tuple(one.rows[0].tolist()) for one in (first, second, other)}) == 3


@settings(max_examples=40)
@given(ROWS, SHARE)
def test_replay_adds_exactly_the_share_of_each_earlier_stage_to_training_alone(rows: list[Any], share: float) -> None:
    keys = from_frame(frame(rows), RECIPE)
    order = OrderSection(order="capability_x_difficulty", replay=share)
    made = arrange(order, keys, 0)
    for number, one in enumerate(made):
        own = STAGES.index(one.name)
        for place, found in enumerate(one.rows):
            stages = np.bincount(keys.stage[found], minlength=3)
            assert len(set(found.tolist())) == len(found)
            for earlier in (STAGES.index(before.name) for before in made[:number]):
                there = int(((keys.stage == earlier) & (keys.split == place)).sum())
                assert stages[earlier] == (round(share * there) if place == 0 else 0)
            assert stages[own] == ((keys.stage == own) & (keys.split == place)).sum()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=300), st.integers(1, 40))
def test_every_batch_holds_each_share_to_within_one_row(codes: list[int], batch: int) -> None:
    array = np.array(codes)
    order = merge.balance(array, batch)
    assert sorted(order.tolist()) == list(range(len(codes)))
    for start in range(0, len(codes), batch):
        part = array[order[start : start + batch]]
        ideal = np.bincount(array, minlength=6) * len(part) / len(array)
        assert (np.abs(np.bincount(part, minlength=6) - ideal) < 1).all()


@settings(max_examples=40)
@given(st.lists(st.integers(1, 60), min_size=2, max_size=5), st.lists(st.floats(0.1, 10), min_size=5, max_size=5))
def test_every_prefix_of_an_interleaving_holds_the_proportions_until_one_runs_out(
    sizes: list[int], weights: list[float]
) -> None:
    weight = np.array(weights[: len(sizes)])
    codes = np.repeat(np.arange(len(sizes)), sizes)
    order = merge.interleave(codes, weight)
    assert sorted(order.tolist()) == list(range(len(codes)))
    seen = np.zeros(len(sizes))
    for place in order:
        seen[codes[place]] += 1
        ideal = seen.sum() * weight / weight.sum()
        assert (np.abs(seen - ideal) <= (1 + len(sizes) * weight / weight.sum()) / 2 + 1e-9).all()
        if (seen == np.array(sizes)).any():
            break
    for code in range(len(sizes)):
        assert (np.diff(order[codes[order] == code]) > 0).all()


@settings(max_examples=30)
@given(st.floats(0, 0.5), st.floats(0, 0.4))
def test_one_image_is_in_one_split_only_and_shares_are_kept(val: float, test: float) -> None:
    section = SplitSection(val=val, test=test)
    images = pl.DataFrame(
        {"image_id": [digest(n % 1000) for n in range(2000)], "problem": [str(n) for n in range(2000)]}
    )
    codes = split.places(images.select(split.unit()).to_series().to_numpy(), section)
    assert (codes[:1000] == codes[1000:]).all()
    assert abs((codes == 2).mean() - test) < 0.06
    assert abs((codes == 1).mean() - val) < 0.06


def test_one_question_is_placed_as_whole_columns_are() -> None:
    section = SplitSection(val=0.3, test=0.3)
    rows = [("", f"problem {n}") if n % 2 else (digest(n), "same") for n in range(50)]
    table = pl.DataFrame(rows, schema=["image_id", "problem"], orient="row")
    codes = split.places(table.select(split.unit()).to_series().to_numpy(), section)
    single = [split.places(row.select(split.unit()).to_series().to_numpy(), section)[0] for row in table.iter_slices(1)]
    assert single == codes.tolist()
    assert len(set(single)) == 3


def test_ids_are_read_as_numbers_and_other_names_are_hashed() -> None:
    ids = pl.DataFrame({"id": ["ffffffffffffffff", "00000000000000ff", "photo.png", "not hex but 16 c"]})
    numbers = ids.select(hashing.id_key(pl.col("id"))).to_series().to_list()
    assert numbers[:2] == [2**64 - 1, 255]
    assert numbers[2:] == [hashing.text_key("photo.png"), hashing.text_key("not hex but 16 c")]


def test_mixing_is_the_published_generator_and_never_changes() -> None:
    assert hashing.splitmix(np.array([1234567], dtype=np.uint64)).tolist() == [6457827717110365317]
    keys = np.arange(3, dtype=np.uint64)
    golden = [1484284425561734736, 7513590884758031116, 12462535534821638043]
    assert hashing.mixed(keys, "tie", 0).tolist() == golden
    assert len({*hashing.mixed(keys, "tie", 0).tolist(), *hashing.mixed(keys, "tie", 1).tolist()}) == 6


def test_stages_can_be_permuted_taken_singly_and_in_pairs() -> None:
    keys = from_frame(frame([(stage, "red", "a", 1, n) for n, stage in enumerate(STAGES * 9)]), RECIPE)
    for wanted in (["text", "perception", "visual"], ["visual"], ["visual", "text"]):
        order = OrderSection.model_validate({"order": "capability_x_difficulty", "stages": wanted})
        assert [one.name for one in arrange(order, keys, 0)] == wanted
    merged = OrderSection.model_validate({"order": "merged", "stages": ["visual", "text"]})
    (made,) = arrange(merged, keys, 0)
    assert merged.folder == "merged-3-2"
    assert sum(map(len, made.rows)) == 18


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"order": "merged", "reverse": True}, "reverse has a meaning only"),
        ({"order": "merged", "replay": 0.1}, "replay has a meaning only"),
        ({"order": "difficulty", "by": "skill"}, "by and proportions belong to"),
        ({"order": "capability", "stages": ["text", "text"]}, "may be named once"),
        ({"order": "merged", "name": "../out"}, "must be at most 80 letters"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        OrderSection.model_validate(values)


def test_two_orders_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="merged is there twice"):
        CurriculumSection.model_validate({"orders": [{"order": "merged"}, {"order": "merged"}]})


def test_a_stage_or_proportion_that_is_not_there_is_one_sentence() -> None:
    keys = from_frame(frame([("text", "red", "a", 1, n) for n in range(9)]), RECIPE)
    with pytest.raises(RecipeError, match="wants the stage visual, and the run has rows of text"):
        arrange(OrderSection.model_validate({"order": "merged", "stages": ["visual"]}), keys, 0)
    wrong = OrderSection.model_validate({"order": "interleaved", "by": "skill", "proportions": {"green": 1}})
    with pytest.raises(RecipeError, match=r"must name every skill there is \(red\) and no other; look at 'red'"):
        arrange(wrong, keys, 0)


def test_keys_of_the_same_rows_twice_are_taken_once() -> None:
    once = frame([("text", "red", "a", 1, n) for n in range(9)])
    keys: Keys = from_frame(pl.concat([once, once]), RECIPE)
    assert len(keys) == 9
