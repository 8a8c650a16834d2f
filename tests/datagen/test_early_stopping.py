"""Early stopping: never another selection than that of all K rollouts, and unbiased counts for what is kept."""

from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capcurriculum import recipe
from capcurriculum.errors import RecipeError
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import Answer, Question
from capcurriculum.stats import PassRate
from curricula.build import build
from datagen.early_stopping import enough, fate, rounds, tally
from filters.rules.rollouts import DifficultySection, RolloutsSection
from tests.support import endpoint, worlds

QUESTION = Question("q", "text", "P?", "1", (), "s", "", "", "", "", "src", "mit")
OUTCOMES = st.lists(st.sampled_from(["right", "wrong", "unparsed", "failed"]), min_size=8, max_size=8)
BOUNDS = st.one_of(st.none(), st.floats(0, 0.9)), st.one_of(st.none(), st.floats(0.05, 1))


def replies(outcomes: list[str]) -> list[Answer]:
    return [
        Answer(f"k{i}", "q", "policy", "rollout", "text", i, "", "", outcome, "stop", 1, 1, "d")
        for i, outcome in enumerate(outcomes)
    ]


def asked(stream: list[str], section: RolloutSection) -> int:
    """How many of the stream's replies are asked for."""
    count = 0
    for indices in rounds(section):
        if indices.start and enough(tally(replies(stream), indices.start), section):
            break
        count = indices.stop
    return count


def verdict(stream: list[str], section: RolloutSection) -> str:
    """What the filters `rollouts` and `difficulty` say together."""
    if not RolloutsSection().judge(QUESTION, replies(stream), section).keep:
        return "unmeasured"
    return DifficultySection().judge(QUESTION, replies(stream), section).reason


@given(OUTCOMES, *BOUNDS, st.integers(1, 8), st.sampled_from(["decided", "dropped"]))
def test_stopping_early_selects_exactly_what_all_rollouts_select(
    stream: list[str], above: float | None, below: float | None, chunk: int, stop: str
) -> None:
    if above is not None and below is not None and above >= below:
        return
    section = RolloutSection.model_validate(
        {"model": "m", "k": 8, "above": above, "below": below, "chunk": chunk, "stop": stop}
    )
    count = asked(stream, section)
    early, full = verdict(stream[:count], section), verdict(stream, section)
    # Replies that would have come later can only be so many and unreadable that the row counts as not measured.
    assert early == full or "unmeasured" in (early, full)
    if stop == "dropped" and verdict(stream, section) == "kept":
        assert count == 8  # what is ordered by its pass rate has all of it


def test_the_first_mixed_result_decides_between_never_and_always() -> None:
    section = RolloutSection(model="m", k=16, above=0.0, below=1.0, stop="decided", chunk=2)
    assert asked(["right", "wrong"] + ["right"] * 14, section) == 2
    assert asked(["right"] * 5 + ["wrong"] + ["right"] * 10, section) == 6
    assert asked(["wrong"] * 16, section) == 16
    assert asked(["failed", "wrong"] + ["right"] + ["wrong"] * 13, section) == 4


def test_a_band_is_decided_by_what_is_still_possible() -> None:
    section = RolloutSection(model="m", k=8, above=0.25, below=0.75)
    assert fate(PassRate(k=3, n=6), section) is True  # 3/8 to 5/8
    assert fate(PassRate(k=0, n=6), section) is False  # at most 2/8
    assert fate(PassRate(k=2, n=6), section) is None  # 2/8 is out, 4/8 is in
    assert fate(PassRate(failed=8), section) is False


def test_a_kept_row_may_stop_when_its_interval_is_narrow_enough() -> None:
    section = RolloutSection(model="m", k=64, above=0.0, stop="dropped", chunk=8, interval=0.5)
    stream = ["right", "wrong"] * 32
    count = asked(stream, section)
    assert 8 <= count < 64
    assert asked(stream, section.model_copy(update={"interval": 0.05})) == 64


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"above": 0.5, "below": 0.5}, "above must be the smaller one"),
        ({"interval": 0.2}, "only with stop: dropped"),
        ({"stop": "sometimes"}, "rollouts.stop"),
    ],
)
def test_a_rule_without_a_meaning_is_refused(tmp_path: Path, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1", rollouts={"model": "policy", "k": 3} | keys)


class Moody(endpoint.Endpoint):
    """An endpoint whose sums come out right as often as the problem is easy, drawn anew for each reply."""

    def _sum(self, text: str) -> str:
        draws = self.__dict__.setdefault("draws", {})
        draw = draws.setdefault(text, Random(text))
        total = eval_sum(text) + (draw.random() < endpoint.unit("hard", text))
        return f"\\boxed{{{total}}}"


def eval_sum(text: str) -> int:
    first, second = (int(word.strip("?")) for word in text.split() if word.strip("?").isdigit())
    return first + second


def test_a_build_that_stops_early_keeps_the_same_rows_and_marks_what_it_left_out(tmp_path: Path) -> None:
    worlds.problems(tmp_path / "text", 30)
    base = {"model": "policy", "k": 12, "above": 0.0, "below": 1.0}
    sets, counts, full = {}, {}, {}
    for stop in ("never", "decided"):
        with endpoint.serving(Moody()) as server:
            keys = {"rollouts": base | {"stop": stop, "chunk": 2}, "name": stop, "perception": None}
            one = {
                "policy": {
                    "engine": "openai",
                    "model": "policy",
                    "base_urls": [server.url],
                    "concurrency": 1,
                    "max_n": 1,
                }
            }
            run = build(worlds.recipe_over(tmp_path, server.url, models=one, **keys), Display())
            counts[stop] = len(server.requests)
        rows = [row for path in run.stages.glob("*/*.parquet") for row in pq.read_table(path).to_pylist()]
        sets[stop] = {row["question_id"] for row in rows}
        full[stop] = {row["pass_full"] for row in rows}
        asked_again = run.answers.scan().filter(pl.col("purpose") == "rollout").collect()
        assert asked_again.height == counts[stop]
    assert 0 < len(sets["never"]) < 30
    assert sets["decided"] == sets["never"]
    assert counts["decided"] < counts["never"] == 30 * 12
    assert full == {"never": {True}, "decided": {False}}


def test_a_recipe_over_bounds_is_part_of_a_runs_identity(tmp_path: Path) -> None:
    one = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1")
    other = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1", rollouts={"model": "policy", "k": 3, "above": 0.1})
    assert recipe.differences(one, other) == ["rollouts.above: None -> 0.1"]
