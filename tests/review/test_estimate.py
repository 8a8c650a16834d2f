"""How wrong the labels are, from what people said of a sample, and how far people agree."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks import review_interval, review_world
from benchmarks.review_world import World
from capcurriculum.rows import Review
from datagen.auditor import Opinion
from review import agreement, design, sample, slips, summary
from review.estimate import estimate
from review.population import population
from review.sample import Cell, Design, Drawn, Sample
from review.slips import Votes
from tests.filters.human.test_people import ASKED
from tests.support.installed import needs
from tests.support.reviewing import copied, review, say

needs("nltk", extra="review")

AGREE, DISAGREE = Opinion.AGREE, Opinion.DISAGREE


def test_what_was_looked_at_as_a_whole_is_known() -> None:
    cells = [Votes.of(10, "a", [(1, 0)] * 3 + [(0, 1)] * 7), Votes.of(5, "b", [(0, 1)] * 5)]
    found = slips.posterior(cells)
    assert found.slips is None
    assert np.unique(found.wrong, axis=0).tolist() == [[3, 0]]


def test_one_vote_each_is_taken_at_its_word_and_gives_nearly_the_exact_interval() -> None:
    found = slips.posterior([Votes.of(10**6, "a", [(1, 0)] * 20 + [(0, 1)] * 180)])
    low, high = np.quantile(found.wrong[:, 0], (0.025, 0.975)) / 10**6
    # Clopper and Pearson's limits of 20 of 200 are 0.0622 and 0.1502.
    assert (low, high) == pytest.approx((0.0622, 0.1502), abs=0.006)


def test_slips_are_told_from_wrong_keys_where_questions_have_several_votes() -> None:
    rng, votes, wrong = random.Random(1), [], 0
    for _ in range(600):
        truly = rng.random() < 0.1
        wrong += truly
        no = sum(truly != (rng.random() < 0.1) for _ in range(3))
        votes.append((no, 3 - no))
    found = slips.posterior([Votes.of(600, "a", votes)])
    assert found.slips == pytest.approx((0.1, 0.1), abs=0.04)
    share = found.wrong[:, 0].mean() / 600
    said = sum(no for no, _ in votes) / 1800
    assert abs(share - wrong / 600) < 0.015 < said - wrong / 600


def test_a_stratum_nobody_looked_at_is_unknown_and_says_so() -> None:
    cells = (Cell("kept", True, 100, 2), Cell("a: x", False, 50, 0))
    drawn = tuple(Drawn(f"q{n}", "s", "kept", True, 0.02) for n in range(2))
    found = estimate(Sample(Design("stratified", ("fate",)), cells, drawn), {"q0": AGREE}, {"q0": (0, 1)})
    rates = {rate.stratum: rate for rate in found.rates}
    assert rates["a: x"].share is None
    assert rates["a: x"].high > 0.5
    assert rates["all"].share is None
    assert (rates["kept"].right, rates["kept"].unknown, rates["kept"].least, rates["kept"].most) == (1, 1, 0, 0.5)
    assert (rates["all"].least, rates["all"].most) == pytest.approx((0, (100 * 0.5 + 50) / 150))


def test_strata_weigh_as_many_rows_as_they_have() -> None:
    cells = (Cell("kept", True, 900, 50), Cell("a: x", False, 100, 50))
    drawn = tuple(Drawn(f"{c.stratum}{n}", "s", c.stratum, c.kept, 0) for c in cells for n in range(50))
    wrong = {d.question_id for d in drawn if not d.kept}
    opinions = {d.question_id: DISAGREE if d.question_id in wrong else AGREE for d in drawn}
    votes = {key: (1, 0) if key in wrong else (0, 1) for key in opinions}
    found = estimate(Sample(Design("stratified", ("fate",)), cells, drawn), opinions, votes)
    rates = {rate.stratum: rate for rate in found.rates}
    assert list(rates) == ["kept", "a: x", "dropped", "all"]
    assert rates["all"].share == pytest.approx(0.1, abs=0.02)
    assert rates["all"].low < 0.1 < rates["all"].high


@pytest.mark.slow
def test_the_interval_holds_the_truth_about_as_often_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slips, "DRAWS", 600)
    world = review_world.made(tmp_path, 600, seed=2, pictures=False, k=1)
    found = review_interval.repetitions(world, size=150, count=30)
    assert review_interval.held([one.all for one in found]) >= 0.8  # 24 of 30: a chance below 0.1 % at 95 %


def test_alpha_is_krippendorffs() -> None:
    # Krippendorff's own example of nominal data with four people and gaps: alpha is 0.743, and 0.849 of intervals.
    said = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    found: dict[str, list[Review]] = {}
    for who, row in enumerate(said):
        for place, value in enumerate(row):
            if value != ".":
                found.setdefault(str(place), []).append(
                    review(ASKED, "yes", who=str(who), quality=int(value), kind=value)
                )
    lines = {line.asked: line for line in agreement.agreements(found) or ()}
    assert lines["kind"].alpha == pytest.approx(0.743, abs=5e-4)
    assert lines["quality"].alpha == pytest.approx(0.849, abs=5e-4)
    assert lines["right"].alpha is None  # everybody said the same, so there is nothing that chance could explain
    assert lines["kind"].people == 4


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> World:
    return review_world.made(tmp_path_factory.mktemp("original"), 60, pictures=False)


def test_the_summary_is_there_for_people_and_for_cards(
    original: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = copied(original, tmp_path)
    rows = population(world.run, world.recipe)
    drawn = design.draw(rows, Design("stratified", ("fate",), (), 30))
    sample.save(world.run, drawn)
    asked = {q.question_id: q for q in world.run.questions.rows()}
    wrong = [d for d in drawn.drawn if asked[d.question_id].answer != world.truth[d.question_id]]
    said = []
    for one in drawn.drawn:
        question, right = asked[one.question_id], world.truth[one.question_id]
        for who in "ab":
            said.append(
                review(
                    question,
                    "yes" if right == question.answer else "no",
                    "" if right == question.answer else right,
                    who,
                    kind=question.skill,
                    quality=3,
                )
            )
    outside = next(q for q in asked.values() if q.question_id not in drawn.by_id)
    say(world, [*said, review(outside, "no", "none"), review(outside, "yes", version="old")])
    found = summary.summarise(world.run, world.recipe)
    summary.write(world.run, world.recipe, found)
    told = json.loads((world.run.path / summary.FILE).read_text())
    rates = {rate["stratum"]: rate for rate in told["rates"]}
    assert rates["all"]["wrong"] == len(wrong)
    assert rates["all"]["right"] == 30 - len(wrong)
    assert told["verdicts"]["key_corrected"] == len(wrong)
    assert (told["people"], told["outside_sample"], told["older_versions"]) == (2, 1, 1)
    (stage,) = told["certificates"]
    kept = [d for d in drawn.drawn if d.kept]
    assert (stage["stages"], stage["reviewed"]) == (["perception"], len(kept))
    assert stage["wrong"] == sum(d.question_id in {w.question_id for w in wrong} for d in kept)
    assert {line["asked"]: line["alpha"] for line in told["agreement"]}["right"] == 1
    assert {one["probability"] for one in told["sample"]} == {d.probability for d in drawn.drawn}
    assert sum(cell["rows"] for cell in told["cells"]) == 60
    summary.show(found, Console(width=120))
    printed = capsys.readouterr().out
    assert "kept" in printed
    assert "1 answers were about another version" in printed
