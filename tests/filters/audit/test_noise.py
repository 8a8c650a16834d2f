"""How many labels are wrong in a run whose truth nobody knows: the sample, the rates, and the command."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capcurriculum import cli, recipe
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from curricula.build import build
from datagen.auditor import Opinion
from filters.audit import noise
from filters.audit.noise import KEPT, Drawn, Sample, allocation, estimate, said_by
from tests.datagen.test_auditor import Judging, World, marked_wrong
from tests.support import endpoint, worlds

AGREE, DISAGREE, UNSURE, UNKNOWN = Opinion.AGREE, Opinion.DISAGREE, Opinion.UNSURE, Opinion.UNKNOWN


@given(st.dictionaries(st.sampled_from([KEPT, "a", "b", "c"]), st.integers(1, 50), min_size=1), st.integers(0, 120))
def test_a_sample_takes_what_there_is_and_half_of_it_from_what_is_kept(counts: dict[str, int], size: int) -> None:
    wanted = allocation(counts, size)
    assert wanted.keys() == counts.keys()
    assert all(0 <= wanted[name] <= counts[name] for name in counts)
    assert sum(wanted.values()) == min(size, sum(counts.values()))
    if KEPT in counts:
        assert wanted[KEPT] >= min(counts[KEPT], size // 2)


def sample(strata: dict[str, tuple[int, list[Opinion]]]) -> tuple[Sample, dict[str, Opinion]]:
    """A sample with these opinions; strata are given with their rows in the run."""
    said = {f"{name}{n}": o for name, (_, opinions) in strata.items() for n, o in enumerate(opinions)}
    drawn = tuple(Drawn(f"{name}{n}", name) for name, (_, found) in strata.items() for n in range(len(found)))
    return Sample(drawn, {name: rows for name, (rows, _) in strata.items()}), said


@pytest.mark.parametrize(
    ("wrong", "right", "low", "high"),
    # Clopper and Pearson's limits as tabled: 1 - (0.025)^(1/n) at either end; 4 of 20 by Newcombe's and others' tables.
    [(0, 20, 0.0, 1 - 0.025 ** (1 / 20)), (20, 0, 0.025 ** (1 / 20), 1.0), (4, 16, 0.0573, 0.4366)],
)
def test_one_stratum_has_the_exact_interval(wrong: int, right: int, low: float, high: float) -> None:
    (rate,) = estimate(*sample({KEPT: (100, [DISAGREE] * wrong + [AGREE] * right)}))
    assert rate.share == wrong / (wrong + right)
    assert (rate.low, rate.high) == pytest.approx((low, high), abs=5e-5)


def test_unknown_opinions_count_for_neither_side_and_are_told() -> None:
    (rate,) = estimate(*sample({KEPT: (100, [DISAGREE, AGREE, AGREE, AGREE, UNSURE, UNKNOWN])}))
    assert (rate.right, rate.wrong, rate.unknown, rate.share) == (3, 1, 2, 0.25)
    assert (rate.least, rate.most) == (1 / 6, 3 / 6)
    (silent,) = estimate(*sample({KEPT: (100, [UNSURE])}))
    assert (silent.share, silent.low, silent.high) == (None, 0.0, 1.0)


def test_a_question_nobody_gave_an_opinion_on_is_unknown() -> None:
    drawn, _ = sample({KEPT: (5, [AGREE, DISAGREE])})
    (rate,) = estimate(drawn, {})
    assert (rate.unknown, rate.share) == (2, None)


def test_strata_are_weighted_by_their_rows() -> None:
    strata = {KEPT: (900, [AGREE] * 10), "a: x": (50, [DISAGREE] * 10), "b: y": (50, [AGREE] * 5 + [DISAGREE] * 5)}
    rates = {rate.stratum: rate for rate in estimate(*sample(strata))}
    assert list(rates) == [KEPT, "a: x", "b: y", "dropped", "all"]
    assert rates["dropped"].share == pytest.approx(0.75)
    assert rates["all"].share == pytest.approx(0.075)
    assert rates["all"].low < 0.075 < rates["all"].high
    # Ten that are right of nine hundred do not prove that all are.
    assert rates["all"].high > 0.1


def test_the_interval_over_strata_holds_the_truth_about_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "DRAWS", 1000)
    generator, rows, true = np.random.default_rng(1), {KEPT: 300, "a: x": 500, "b: y": 200}, (0.05, 0.4, 0.2)
    overall = sum(n * p for n, p in zip(rows.values(), true, strict=True)) / 1000
    held = 0
    for _ in range(60):
        wrong = [generator.random(40) < p for p in true]
        strata = {n: (rows[n], [DISAGREE if w else AGREE for w in found]) for n, found in zip(rows, wrong, strict=True)}
        rate = estimate(*sample(strata))[-1]
        held += rate.low <= overall <= rate.high
    assert 0.9 <= held / 60 <= 0.995


@pytest.mark.parametrize(
    ("votes", "opinion"),
    [
        ([AGREE, AGREE, DISAGREE], AGREE),
        ([AGREE, DISAGREE], UNSURE),
        ([DISAGREE, UNSURE], UNSURE),
        ([DISAGREE, UNKNOWN], DISAGREE),
        ([UNSURE], UNSURE),
        ([UNKNOWN], UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_more_than_half_of_the_readable_votes_decide(votes: list[Opinion], opinion: Opinion) -> None:
    assert said_by(votes) is opinion


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Run]]:
    folder = tmp_path_factory.mktemp("noisy")
    worlds.docci(folder / "docci", 12)
    with endpoint.serving(Judging()) as server:
        world = World(folder, server)
        yield world, build(world.recipe(["perception", "rollouts"]), Display())


def test_the_command_asks_a_sample_and_tells_how_much_is_wrong(
    built: tuple[World, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    world, run = built
    before = len(world.server.requests)
    words = ["audit", str(run.path), "--model", "judge", "--votes", "1"]
    assert cli.main([*words, "--size", "6"]) == 0
    assert len(world.server.requests) - before == 6
    assert cli.main([*words, "--size", "100"]) == 0
    assert len(world.server.requests) - before == 12  # the larger sample holds the smaller one
    printed = capsys.readouterr().out
    assert "perception: wrong_from_caption" in printed
    found = json.loads((run.path / "audit.json").read_text())
    assert found["independent"]
    assert found["auditor"]["models"] == ["judge"]
    rates = {rate["stratum"]: rate for rate in found["rates"]}
    wrong = marked_wrong(run)
    assert wrong == {drawn["question_id"] for drawn in found["sample"] if drawn["opinion"] == "disagree"}
    assert rates["all"]["wrong"] == len(wrong) > 0
    assert rates["all"]["share"] == pytest.approx(len(wrong) / 12)
    assert rates["kept"]["wrong"] == 0
    assert rates["kept"]["rows"] == sum(v.keep for v in run.verdicts.rows() if v.filter == "perception")
    verdicts, kept = run.verdicts.count(), run.verdicts.frame("question_id").height
    build(world.recipe(["perception", "rollouts"]), Display())
    assert (run.verdicts.count(), kept) == (verdicts, verdicts)
    assert run.answers.where(pl.col("purpose") == "audit")


def test_an_auditor_the_run_does_not_know_comes_with_its_recipe_file(built: tuple[World, Run], tmp_path: Path) -> None:
    world, run = built
    wanted = world.recipe(["perception", "rollouts"])
    named = wanted.model_copy(update={"models": wanted.models | {"late": wanted.models["judge"]}})
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.dump(named), encoding="utf-8")
    assert (
        cli.main(["audit", str(file), "--model", "late", "--mode", "answer", "--sees", "caption", "--size", "4"]) == 0
    )
    found = json.loads((run.path / "audit.json").read_text())
    assert found["askers"][0].startswith("late/")
    assert len(found["sample"]) == 4


def test_who_filtered_the_run_is_no_independent_auditor_of_it(
    built: tuple[World, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, _ = built
    audit, second = {"name": "auditor", "models": "judge", "votes": 2}, {"name": "auditor/second", "models": "two"}
    filtered = build(world.recipe(["perception", audit, second, "rollouts"], runs=str(tmp_path)), Display())
    for model in ([], ["--model", "two"]):
        assert cli.main(["audit", str(filtered.path), *model]) == 0
        assert "name another auditor with --model" in capsys.readouterr().out
        found = json.loads((filtered.path / "audit.json").read_text())
        assert found["independent"] is False
        assert found["auditor"]["votes"] == 2
    assert found["auditor"]["models"] == ["two"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "Name the auditor with --model; the recipe's models are judge, "),
        (["--model", "nobody"], "The recipe has no model nobody"),
        (["--model", "judge", "--votes", "0"], "The auditors cannot be asked so: votes"),
        (["--model", "judge", "--size", "0"], "A sample of 0 questions is empty"),
    ],
)
def test_what_cannot_be_audited_is_said_in_a_sentence(
    built: tuple[World, Run], words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, run = built
    assert cli.main(["audit", str(run.path), *words]) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.count("\n") == 1


def test_strata_are_the_first_reason_of_what_is_dropped(built: tuple[World, Run]) -> None:
    _, run = built
    drawn = noise.draw(run, run.recipe(), 1000)
    dropped = {
        v.question_id: f"perception: {v.reason}" for v in run.verdicts.rows() if v.filter == "perception" and not v.keep
    }
    assert {d.question_id: d.stratum for d in drawn.drawn if d.stratum != KEPT} == dropped
    assert sum(drawn.rows.values()) == len(drawn.drawn) == 12
    small = {d.question_id for d in noise.draw(run, run.recipe(), 4).drawn}
    assert small < {d.question_id for d in noise.draw(run, run.recipe(), 8).drawn}
    assert small != {d.question_id for d in noise.draw(run, run.recipe(), 4, seed=1).drawn}
