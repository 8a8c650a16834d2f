"""Subsets: the rows that teach most come first, doubted keys last, images once each, skills in their proportions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from capcurriculum import cli, recipe
from capcurriculum.errors import RecipeError
from capcurriculum.recipe.curriculum import OrderSection
from capcurriculum.render.progress import Display
from capcurriculum.rows import Answer, Verdict
from capcurriculum.run import writing
from curricula import command, keys, make, order_file, subset
from curricula.build import build
from curricula.keys import Keys, Labels
from curricula.order import arrange
from tests.support import endpoint, worlds


def _keys(rates: list[tuple[int, int]], **changes: Any) -> Keys:
    count = len(rates)
    none = np.zeros(count, dtype=np.int64)
    labels = Labels.of(pl.Series(changes.pop("skill", ["s"] * count)))
    made = Keys(
        taught=("perception", "text", "visual"), key=np.arange(1, count + 1, dtype=np.uint64), stage=none, split=none,
        k=np.array([k for k, _ in rates]), n=np.array([n for _, n in rates]), unreadable=none, failed=none,
        source=Labels.of(pl.Series(["s"] * count)), skill=labels, unit=np.arange(count, dtype=np.uint64),
    )  # fmt: skip
    return replace(made, **changes)


def _taken(found: Keys, share: float) -> list[int]:
    return subset.chosen(np.arange(len(found)), found, share, seed=0).tolist()


def test_rows_of_which_half_the_replies_are_right_come_first() -> None:
    rates = [(0, 8), (1, 8), (4, 8), (7, 8), (8, 8), (5, 8), (2, 8), (3, 8)]
    assert _taken(_keys(rates), 3 / 8) == [2, 5, 7]
    assert _taken(_keys(rates), 1.0) == list(range(8))
    assert _taken(_keys(rates), 0.01) == [2]
    # The more it was asked, the surer it is that a row teaches nothing.
    assert subset.worth(np.array([0, 0]), np.array([4, 16])).tolist() == pytest.approx([5 / 42, 17 / 342])


def test_doubted_keys_come_last_and_an_image_is_used_once_before_it_is_used_again() -> None:
    rates = [(4, 8)] * 3 + [(1, 8)] * 3
    assert _taken(_keys(rates, doubt=np.array([True, False, False, False, False, False])), 2 / 6) == [1, 2]
    images = np.array([7, 7, 7, 8, 9, 9], dtype=np.uint64)
    found = _taken(_keys(rates, unit=images), 3 / 6)
    assert {images[row] for row in found} == {7, 8, 9}


def test_skills_keep_their_proportions() -> None:
    rates = [(4, 8)] * 30 + [(1, 8)] * 10
    found = _taken(_keys(rates, skill=["easy"] * 30 + ["hard"] * 10), 0.2)
    assert len(found) == 8
    assert sum(row >= 30 for row in found) == 2


def test_an_order_takes_the_share_of_every_stage_in_training_alone() -> None:
    rng = np.random.default_rng(0)
    count = 400
    rates = [(int(k), 8) for k in rng.integers(0, 9, count)]
    found = _keys(rates, stage=rng.integers(0, 3, count), split=rng.choice([0, 1, 2], count, p=[0.8, 0.1, 0.1]))
    for kind in ("capability_x_difficulty", "merged", "difficulty", "interleaved"):
        section = OrderSection.model_validate({"order": kind, "take": 0.25})
        whole = arrange(OrderSection.model_validate({"order": kind}), found, 0)
        for some, every in zip(arrange(section, found, 0), whole, strict=True):
            for split in (1, 2):
                assert some.rows[split].tolist() == every.rows[split].tolist()
            rows = some.rows[0].tolist()
            assert set(rows) <= set(every.rows[0].tolist())
            for stage in range(3):
                own = [row for row in every.rows[0].tolist() if found.stage[row] == stage]
                assert sum(found.stage[row] == stage for row in rows) == (round(len(own) / 4) if own else 0)
            # What is taken stands in the order that it has among all.
            if kind != "interleaved":
                assert rows == [row for row in every.rows[0].tolist() if row in set(rows)]


def test_orders_without_it_are_known_as_before() -> None:
    plain = OrderSection(order="merged")
    assert "take" not in plain.described()
    assert OrderSection(order="merged", take=0.1).folder == "merged-take0.1"
    assert OrderSection(order="merged", take=0.1).described()["take"] == 0.1


def test_keys_that_rollouts_outvote_are_doubted(tmp_path: Path) -> None:
    worlds.problems(tmp_path / "text")
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(tmp_path, server.url, perception=None)
        run = build(wanted, Display())
    before = keys.keys(run, wanted, weighed=True)
    right = {q.question_id for q in run.questions.rows()} - {
        a.question_id for a in run.answers.rows() if a.outcome == "wrong"
    }
    chosen = sorted(right)[0]
    more = [
        Answer(f"m{n}", chosen, "policy", "rollout", "text", 10 + n, "x", "77", "wrong", "stop", 1, 1, "p")
        for n in range(4)
    ]
    with writing(wanted) as again:
        again.answers.append(more)
    after = keys.keys(run, wanted, weighed=True)
    assert before.doubt is not None
    assert after.doubt is not None
    assert after.doubt.sum() == before.doubt.sum() + 1
    # The stub's wrong answers are all the same, three of three.
    assert before.doubt.sum() == len(before) - len(right)
    said = Verdict(chosen, "text", "human", True, "key_corrected", params=wanted.review.digest())
    with writing(wanted) as again:
        again.verdicts.append([said])
    trusted = keys.keys(run, wanted, weighed=True)
    assert trusted.doubt is not None
    assert trusted.doubt.sum() == before.doubt.sum()


def test_the_verb_writes_a_subset_that_stays_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worlds.docci(tmp_path / "docci", 40)
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(tmp_path, server.url, text=None)
        run = build(wanted, Display())
    assert cli.main(["curriculum", str(run.path), "--order", "difficulty", "--take", "25%"]) == 0
    folder = run.path / "curricula" / "difficulty-take0.25"
    about = order_file.read(folder)
    assert about is not None
    whole = order_file.read(run.stages)
    assert whole is not None
    train = whole["sets"][0]["splits"]["train"]["rows"]
    assert about["sets"][0]["splits"]["train"]["rows"] == max(1, round(0.25 * train))
    assert make.outdated(run, recipe.load(run.path / "recipe.yaml")) == []
    capsys.readouterr()
    for words in ("0", "120%", "some"):
        assert cli.main(["curriculum", str(run.path), "--order", "difficulty", "--take", words]) == 2
        assert "--take takes a share of the rows" in capsys.readouterr().err
    with pytest.raises(RecipeError):
        command.curriculum(str(run.path), "difficulty", take="-1")
