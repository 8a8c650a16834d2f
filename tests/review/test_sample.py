"""Which questions are drawn for review, and what each stands for."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import review_world
from benchmarks.review_world import World
from capcurriculum.errors import ReviewError
from capcurriculum.ledger.verdicts import kept_ids
from filters import pipeline
from review import design, sample
from review.population import band, population
from review.sample import Design
from tests.support import reviewing

KINDS = [
    Design("random"),
    Design("stratified", ("fate",)),
    Design("stratified", ("fate", "skill", "band")),
    Design("stratified", ("source",)),
    Design("uncertain"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return review_world.made(tmp_path_factory.mktemp("planted"), 300, pictures=False)


@pytest.fixture(scope="module")
def rows(world: World) -> pl.DataFrame:
    return population(world.run, world.recipe)


def sized(of: Design, size: int, seed: int = 0) -> Design:
    return Design(of.kind, of.by, of.stages, size, seed)


@given(st.dictionaries(st.sampled_from(["kept | x", "kept | y", "a: b", "c: d | x"]), st.integers(1, 40), min_size=1))
def test_a_larger_size_takes_as_many_or_more_from_every_stratum(counts: dict[str, int]) -> None:
    for kind in ("stratified", "uncertain"):
        told = {f"{name if kind == 'stratified' else name.split(' | ')[0]} | {place} signs of doubt": count
                for place, (name, count) in enumerate(counts.items())}  # fmt: skip
        before = dict.fromkeys(told, 0)
        for size in range(1, sum(told.values()) + 3):
            taken = design.allocation(told, Design(kind, size=size))
            assert sum(taken.values()) == min(size, sum(told.values()))
            assert all(before[name] <= taken[name] <= told[name] for name in told)
            before = taken


@pytest.mark.parametrize("of", KINDS, ids=lambda d: f"{d.kind}-{'+'.join(d.by)}")
def test_a_larger_sample_holds_the_smaller_one_and_knows_its_probabilities(rows: pl.DataFrame, of: Design) -> None:
    small = design.draw(rows, sized(of, 40))
    large = design.draw(rows, sized(of, 90), small)
    assert len(small.drawn) == 40
    assert len(large.drawn) == 90
    assert small.by_id.keys() < large.by_id.keys()
    assert sum(cell.rows for cell in large.cells) == rows.height
    for stratum in {cell.stratum for cell in large.cells}:
        own = [cell for cell in large.cells if cell.stratum == stratum]
        share = sum(cell.drawn for cell in own) / sum(cell.rows for cell in own)
        assert {d.probability for d in large.drawn if d.stratum == stratum} <= {share}
    # Each drawn row stands for 1 / probability rows, so together they stand for the strata that were drawn from.
    met = {d.stratum for d in large.drawn}
    assert sum(1 / d.probability for d in large.drawn) == pytest.approx(
        sum(cell.rows for cell in large.cells if cell.stratum in met)
    )


def test_every_row_can_be_drawn_by_an_uncertain_design(rows: pl.DataFrame) -> None:
    found = design.draw(rows, Design("uncertain", size=100))
    drawn = {cell.stratum: cell.drawn for cell in found.cells}
    assert min(drawn.values()) > 0
    share = {cell.stratum: cell.drawn / cell.rows for cell in found.cells}
    assert share["kept | 1 signs of doubt"] > share["kept | 0 signs of doubt"]


def test_another_seed_draws_others_and_the_same_one_the_same(rows: pl.DataFrame) -> None:
    one, other = (design.draw(rows, sized(KINDS[1], 50, seed)) for seed in (0, 1))
    assert one == design.draw(rows.sample(fraction=1, shuffle=True, seed=3), sized(KINDS[1], 50))
    assert one.by_id.keys() != other.by_id.keys()


def test_a_question_stays_in_the_stratum_it_was_drawn_from(rows: pl.DataFrame) -> None:
    before = design.draw(rows, sized(KINDS[1], 40))
    kept = next(d for d in before.drawn if d.kept)
    moved = rows.with_columns(
        kept=pl.col("kept") & (pl.col("question_id") != kept.question_id),
        fate=pl.when(pl.col("question_id") == kept.question_id).then(pl.lit("new: one")).otherwise("fate"),
    )
    assert design.draw(moved, sized(KINDS[1], 60), before).by_id[kept.question_id].stratum == "kept"


def test_what_people_say_moves_no_question_to_another_stratum(tmp_path: Path) -> None:
    world = review_world.made(tmp_path, 60, pictures=False)
    before = population(world.run, world.recipe)
    kept = set(before.filter("kept")["question_id"])
    asked = [q for q in world.run.questions.rows() if q.question_id in kept]
    reviewing.say(world, [reviewing.review(q, "no", "none") for q in asked[:3]])
    pipeline.judge_again(world.run, world.recipe)
    assert kept_ids(world.run, world.recipe).collect().height == len(kept) - 3
    assert population(world.run, world.recipe).equals(before)


def test_the_size_follows_from_the_width_wanted(rows: pl.DataFrame) -> None:
    wide, narrow = (design.size_for(rows, KINDS[0], width, 0.1) for width in (0.2, 0.1))
    # n0 = 4 z^2 p q / w^2, and n = n0 / (1 + n0 / N) without replacement (Cochran 1977, 4.2).
    for size, width in ((wide, 0.2), (narrow, 0.1)):
        infinite = 4 * 1.959964**2 * 0.09 / width**2
        assert size == pytest.approx(infinite / (1 + infinite / rows.height), abs=1)
    assert design.size_for(rows, KINDS[1], 0.1, 0.1) > narrow  # half of it is spent on what is kept
    with pytest.raises(ReviewError, match="between 0 and 1"):
        design.size_for(rows, KINDS[0], 6, 0.1)


def test_a_design_that_cannot_be_is_a_sentence(rows: pl.DataFrame) -> None:
    for wrong in (Design("clever", size=5), Design("stratified", ("taste",), size=5), Design("random", size=0)):
        with pytest.raises(ReviewError, match=r"\.$"):
            design.draw(rows, wrong)
    with pytest.raises(ReviewError, match="build the run"):
        design.draw(rows.clear(), sized(KINDS[0], 5))


def test_the_sample_is_read_as_it_was_written_and_damage_is_told(world: World, rows: pl.DataFrame) -> None:
    drawn = design.draw(rows, sized(KINDS[2], 30))
    sample.save(world.run, drawn)
    assert sample.needed(world.run) == drawn
    (world.run.path / sample.FILE).write_text('{"design": {}}')
    with pytest.raises(ReviewError, match="draw the sample again"):
        sample.load(world.run)
    (world.run.path / sample.FILE).unlink()
    with pytest.raises(ReviewError, match="under review yet"):
        sample.needed(world.run)


def test_bands_hold_the_rates_they_name() -> None:
    assert [band(k, 8) for k in (0, 1, 2, 4, 7, 8)] == ["0", "0-25 %", "25-50 %", "50-75 %", "75-100 %", "1"]
    assert band(0, 0) == "unmeasured"
