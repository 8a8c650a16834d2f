"""What a kept row cost: every reply is in it once, and what became of a row says where its cost ended."""

from pathlib import Path

import polars as pl
import pytest

from capcurriculum import cli
from capcurriculum.errors import EngineError
from capcurriculum.ledger import cost_sheet, kept_cost
from capcurriculum.ledger.cost import spends
from capcurriculum.ledger.verdicts import kept_ids
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import Answer, Description
from capcurriculum.run import Run, writing
from curricula.build import build
from tests.support import endpoint, worlds


def _priced(folder: Path, url: str, *named: str, **changes: object) -> Recipe:
    """A recipe in which the named models have prices."""
    made = worlds.recipe_over(folder, url, **changes)
    prices = {"price_in": 2.0, "price_out": 10.0}
    models = {name: model.model_copy(update=prices if name in named else {}) for name, model in made.models.items()}
    return made.model_copy(update={"models": models})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Recipe]:
    """A run of which one caption's question could not be written."""
    folder = tmp_path_factory.mktemp("kept_cost")
    worlds.docci(folder / "docci")
    worlds.problems(folder / "text")
    with endpoint.serving() as server:
        wanted = _priced(folder, server.url, "teacher", "policy")
        server.faults += [endpoint.saying("no question")] * 4
        return build(wanted, Display()), wanted


def test_steps_and_ends_each_sum_to_what_was_spent(built: tuple[Run, Recipe]) -> None:
    run, wanted = built
    costs, spent = kept_cost.of_run(run, wanted), spends(run)
    assert [cost.stage for cost in costs] == ["perception", "text"]
    for parts in ("steps", "ends"):
        for name, of in (("tokens_in", "tokens_in"), ("tokens_out", "tokens_out"), ("requests", "requests"),
                         ("seconds", "engine_seconds")):  # fmt: skip
            found = sum(getattr(amount, name) for cost in costs for amount in getattr(cost, parts).values())
            assert found == pytest.approx(sum(getattr(one, of) for one in spent))
    assert {name for cost in costs for name in cost.steps} == {one.step for one in spent}


def test_a_kept_row_bears_what_was_asked_about_the_others(built: tuple[Run, Recipe]) -> None:
    run, wanted = built
    (perception, text) = kept_cost.of_run(run, wanted)
    kept = kept_ids(run, wanted).collect().join(run.questions.frame("question_id", "stage"), on="question_id")
    assert perception.kept == kept.filter(pl.col("stage") == "perception").height > 0
    assert perception.rows["kept"] == perception.kept < sum(perception.rows.values())
    each = perception.a_kept_row
    assert each is not None
    assert each.tokens_in * perception.kept == pytest.approx(perception.total.tokens_in)
    dropped = 1 - (lambda a: a.tokens_in + a.tokens_out)(perception.ends["kept"]) / (
        perception.total.tokens_in + perception.total.tokens_out
    )
    assert perception.on_dropped == pytest.approx(dropped)
    assert f"{dropped:.0%} of the tokens went to rows that were dropped" in perception.sentence()
    assert text.a_kept_row is not None
    assert text.a_kept_row.tokens_in < each.tokens_in


def test_money_is_that_of_models_with_prices(built: tuple[Run, Recipe]) -> None:
    run, wanted = built
    (perception, text) = kept_cost.of_run(run, wanted)
    by_model = {(one.step, one.model): one for one in spends(run)}
    paid = sum((s.tokens_in * 2 + s.tokens_out * 10) / 1e6 for key, s in by_model.items() if key[0] != "probe")
    assert perception.total.money is not None
    assert text.total.money is not None
    assert perception.total.money + text.total.money == pytest.approx(paid)
    assert (perception.total.unpriced, text.total.unpriced) == (("one", "two"), ())
    assert cost_sheet.sentences([perception])[-1].endswith("without are one, two.")
    assert "cost" in cost_sheet.sheet([perception]).columns
    without = kept_cost.of_run(run, run.recipe().model_copy(update={"models": _without_prices(wanted)}))
    assert "cost" not in cost_sheet.sheet(without).columns
    assert cost_sheet.remarks(without) == []


def _without_prices(wanted: Recipe) -> dict[str, object]:
    none = {"price_in": None, "price_out": None}
    return {name: model.model_copy(update=none) for name, model in wanted.models.items()}


def test_the_verbs_show_it(
    built: tuple[Run, Recipe], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = built
    monkeypatch.setenv("COLUMNS", "120")
    assert cli.main(["status", str(run.path)]) == 0
    status = capsys.readouterr().out
    assert "each kept row" in status
    assert "perception  kept" in status
    assert cli.main(["funnel", str(run.path)]) == 0
    assert "perception: a kept row took" in capsys.readouterr().out
    assert cli.main(["build", str(run.path), "--dry-run"]) == 0
    assert "each kept row" in capsys.readouterr().out


def test_a_row_that_is_not_decided_is_in_no_kept_row(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci")
    with endpoint.serving(endpoint.Endpoint(always=endpoint.status(401))) as server:
        wanted = worlds.recipe_over(tmp_path, server.url, text=None)
        server.faults += [endpoint.well] * 16
        with pytest.raises(EngineError):
            build(wanted, Display())
    (perception,) = kept_cost.of_run(Run(wanted.run_dir), wanted)
    assert perception.ends[kept_cost.OPEN].tokens_in > 0
    assert (perception.kept, perception.a_kept_row, perception.sentence()) == (0, None, "")
    assert "each kept row" not in str(cost_sheet.sheet([perception]).rows)


def test_questions_about_one_image_share_its_description(built: tuple[Run, Recipe], tmp_path: Path) -> None:
    run, wanted = built
    there = run.questions.frame("question_id", "image_id", "stage").filter(pl.col("stage") == "perception")
    (question, image, _), *_ = there.iter_rows()
    before = {cost.stage: cost.total for cost in kept_cost.of_run(run, wanted)}
    audit = Answer("a", question, "eyes/0", "audit", "image", 0, "", "", "right", "stop", 3, 4, "p")
    with writing(wanted) as again:
        again.descriptions.append([Description("d", image, "eyes/1", 0, "", "stop", 11, 13, "p")])
        again.answers.append([audit])
    after = {cost.stage: cost for cost in kept_cost.of_run(run, wanted)}
    assert after["text"].total == before["text"]
    assert after["perception"].total.tokens_out - before["perception"].tokens_out == pytest.approx(17)
    assert after["perception"].steps["describe"].tokens_in == pytest.approx(11)
