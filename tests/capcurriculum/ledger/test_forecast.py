"""`build --dry-run`: what will be asked and what it costs, before anything is asked."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from capcurriculum import recipe
from capcurriculum.cli import main
from capcurriculum.errors import RecipeError
from capcurriculum.ledger.forecast import Forecast, forecast
from capcurriculum.render.progress import Display
from curricula.build import build
from datagen import expected
from tests.support import endpoint, worlds


def priced(folder: Path, url: str, **changes: Any) -> recipe.Recipe:
    model = {"engine": "openai", "base_urls": [url], "price_in": 2.0, "price_out": 10.0, "tokens_per_second": 50}
    models = {name: model | {"model": name} for name in ("teacher", "one", "two", "policy")}
    perception = {
        "source": {"kind": "docci", "path": str(folder / "docci"), "limit": 12},
        "teacher": {"model": "teacher", "questions": 2, "sampling": {"max_tokens": 100}},
        "probe": {"solvers": ["one", "two"], "other_order": True, "stop": "never"},
    }
    text = {"source": {"kind": "problems", "path": str(folder / "text"), "limit": 8}}
    return worlds.recipe_over(folder, url, models=models, perception=perception, text=text, **changes)


def steps(wanted: recipe.Recipe) -> dict[tuple[str, str], Forecast]:
    run = expected.existing_run(wanted)
    return {(s.step, s.model): s for s in forecast(wanted, run, expected.rows(wanted, run))}


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A folder with both sources, which have more rows than `priced` takes, and fewer."""
    worlds.docci(tmp_path / "docci", 14)
    worlds.problems(tmp_path / "text", 5)
    return tmp_path


def test_a_fresh_plan_counts_requests_and_bounds_them(there: Path) -> None:
    found = steps(priced(there, "http://127.0.0.1:1/v1"))
    teacher, probe, rollout = found["teacher", "teacher"], found["probe", "one"], found["rollout", "policy"]
    assert (teacher.rows, teacher.requests, teacher.tokens_out) == (12, 24, 2400)
    assert probe.requests == 24 * 4 * 2  # questions, arms, orders
    assert rollout.requests == (24 + 5) * 3
    assert rollout.estimate
    assert teacher.seconds == 2400 / 50
    assert teacher.disk_mb == pytest.approx(24 * (150 + 4 * 100) / 1e6)
    assert teacher.money == pytest.approx((teacher.tokens_in * 2 + 2400 * 10) / 1e6)


def test_a_begun_run_is_counted_from_its_tables(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 12)
    worlds.problems(tmp_path / "text")
    with endpoint.serving() as server:
        wanted = priced(tmp_path, server.url)
        run = build(wanted, Display())
    found = steps(wanted)
    kept = sum(v.keep for v in run.verdicts.rows() if v.filter == "perception")
    assert found["probe", "two"].requests * 2 == sum(a.purpose == "probe" for a in run.answers.rows())
    assert found["rollout", "policy"].requests == (kept + 8) * 3
    assert found["probe", "one"].tokens_out == 5 * found["probe", "one"].requests
    assert not found["probe", "one"].estimate
    answers = sum(path.stat().st_size for path in run.answers.shards()) / run.answers.count() / 1e6
    assert found["probe", "one"].disk_mb == pytest.approx(answers * found["probe", "one"].requests)
    stages = sum(path.stat().st_size for path in run.stages.glob("*/*.parquet")) / 1e6
    assert 0 < found["stage files", ""].disk_mb < 10 * stages


def test_a_probe_that_stops_is_forecast_both_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worlds.docci(tmp_path / "docci", 20)
    with endpoint.serving(endpoint.Endpoint(image_right=0.5)) as server:
        wanted = worlds.recipe_over(tmp_path, server.url, {"control": 0.0}, text=None)
        before = steps(wanted)
        run = build(wanted, Display())
    assert [before["probe", name].requests for name in ("one", "two")] == [80, 80]
    assert [before["probe", name].fewest for name in ("one", "two")] == [20, 0]
    after = steps(wanted)
    asked = Counter(a.solver for a in run.answers.rows() if a.purpose == "probe")
    assert {name: after["probe", name].requests for name in ("one", "two")} == asked
    assert after["probe", "two"].most == 80
    (tmp_path / "recipe.yaml").write_text(recipe.dump(wanted), encoding="utf-8")
    capsys.readouterr()
    assert main(["build", str(tmp_path / "recipe.yaml"), "--dry-run"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"20 to 160 requests, the most with stop: never; as many as so far are {sum(asked.values())}" in said


def test_rows_nobody_knows_are_not_guessed(there: Path) -> None:
    hub = {"kind": "problems", "repo": "some/set", "revision": "0" * 40, "columns": {}}
    with pytest.raises(RecipeError, match=r"text source some/set .* give it a limit"):
        steps(worlds.recipe_over(there, "http://127.0.0.1:1/v1", text={"source": hub}))
    wanted = worlds.recipe_over(there, "http://127.0.0.1:1/v1", text={"source": hub | {"limit": 70}})
    assert expected.rows(wanted, None).problems == 70
    assert expected.assumed(wanted, None) == [
        "text: some/set is not here to be counted; its rows are as many as its recipe's limit"
    ]


def test_the_papers_recipe_has_a_plan_before_anything_is_downloaded() -> None:
    wanted = recipe.load(Path("curricula/recipes/qwen3_vl_8b.yaml"))
    found = steps(wanted)
    assert found["teacher", "teacher"].rows == 9647
    assert found["probe", "filter_7b"].requests == 9647 * 2
    assert found["rollout", "policy"].requests == (9647 + 13_181 + 16_195) * 16
    first = expected.assumed(wanted, None)[0]
    assert first == "perception: data/docci is not here to be counted; its rows are as many as its makers state"


def test_the_dry_run_prints_the_plan_and_leaves_nothing(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = there / "r.yaml"
    file.write_text(recipe.dump(priced(there, "http://127.0.0.1:1/v1")), encoding="utf-8")
    before = sorted(there.rglob("*"))
    assert main(["build", str(file), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "cost of the steps with prices" in out
    assert "rollout" in out
    assert sorted(there.rglob("*")) == before


def test_a_source_that_cannot_be_read_is_one_sentence(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = there / "r.yaml"
    file.write_text(recipe.dump(priced(there, "http://127.0.0.1:1/v1")), encoding="utf-8")
    (there / "text/problems.jsonl").rename(there / "text/other.jsonl")
    assert main(["build", str(file), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "problems.jsonl cannot be read (No such file or directory); check the recipe's path." in said
    assert said.count("\n") == 1
