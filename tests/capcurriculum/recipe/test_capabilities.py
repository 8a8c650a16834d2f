"""Capabilities that a recipe names beside perception, text and visual."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capcurriculum import cli, recipe
from capcurriculum.errors import RecipeError
from capcurriculum.ledger import funnel
from capcurriculum.ledger.forecast import forecast
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from curricula.build import build
from curricula.make import sets
from datagen import expected
from tests.support import endpoint, worlds

URL = "http://127.0.0.1:1/v1"


def capabilities(folder: Path, **changes: Any) -> dict[str, Any]:
    """Counting, made from the same captions as perception by a teacher and a panel of its own, and sums."""
    counting = {
        "kind": "perception",
        "source": {"kind": "docci", "path": str(folder / "docci"), "limit": 9},
        "teacher": {"model": "teacher", "skills": {"count": 1}},
        "probe": {"solvers": ["two"], "arms": ["image", "caption"]},
    }
    sums = {"kind": "text", "source": {"kind": "problems", "path": str(folder / "sums"), "license": "mit"}}
    return {"counting": counting | changes, "sums": sums}


def over(folder: Path, url: str = URL, **changes: Any) -> Recipe:
    return worlds.recipe_over(folder, url, **({"capabilities": capabilities(folder)} | changes))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Run]]:
    folder = tmp_path_factory.mktemp("capabilities")
    worlds.docci(folder / "docci")
    worlds.problems(folder / "text")
    worlds.problems(folder / "sums", 5)
    with endpoint.serving() as server:
        yield folder, build(over(folder, server.url), Display())


def test_a_recipe_without_capabilities_is_what_it_was(tmp_path: Path) -> None:
    plain = worlds.recipe_over(tmp_path, URL)
    assert not any("capabilities" in key for key in recipe.identity(plain))
    stages = [("perception", "visual"), ("perception",), ("perception",), ("perception", "text", "visual")]
    assert [section.stages for section in plain.filters][:4] == stages
    assert recipe.differences(plain, over(tmp_path))


def test_filters_judge_the_capabilities_they_are_made_for_unless_the_recipe_says_so(tmp_path: Path) -> None:
    wanted = over(tmp_path, filters=["readable", "perception", "rollouts", {"name": "difficulty", "stages": ["sums"]}])
    stages = {section.name: section.stages for section in wanted.filters}
    assert stages == {
        "readable": ("perception", "visual", "counting"),
        "perception": ("perception", "counting"),
        "rollouts": ("perception", "text", "visual", "counting", "sums"),
        "difficulty": ("sums",),
    }
    assert recipe.parse(json.loads(wanted.model_dump_json()), "again") == wanted


def test_stages_are_taught_as_written_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    def taught(**changes: Any) -> list[str]:
        wanted = over(tmp_path, **changes)
        return [stage for stage in wanted.taught if stage in wanted.stages]

    assert taught() == ["perception", "text", "counting", "sums"]
    order = ["sums", "counting", "perception", "text"]
    assert taught(curriculum={"stages": order}) == order


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"filters": ["rollouts", {"name": "leak", "stages": ["charts"]}]}, "the filter leak names the stage charts"),
        ({"training": {"stages": [{"stage": "charts"}]}}, "training names the stage charts"),
        ({"curriculum": {"orders": [{"order": "merged", "stages": ["charts"]}]}}, "the order merged-charts names"),
        ({"curriculum": {"stages": ["text", "sums"]}}, "must name each stage .*: perception, text, counting, sums"),
        ({"filters": ["rollouts", {"name": "blind", "stages": ["sums"]}]}, "those of sums are not"),
        ({"capabilities": {"text": {"kind": "text", "source": {"kind": "scenes"}}}}, "text is a stage of its own"),
        (
            {"capabilities": {"a-b": {"kind": "text", "source": {"kind": "scenes"}}}},
            "a-b: must be at most 40",
        ),
        (
            {"capabilities": {"sums": {"kind": "text", "source": {"kind": "docci", "path": "x"}}}},
            "sums: a docci source does",
        ),
        (
            {"capabilities": {"sums": {"kind": "sums", "source": {"kind": "scenes"}}}},
            "perception, text, visual as its",
        ),
        ({"filters": [{"name": "rollouts", "stages": ["perception", "text"]}]}, "must list rollouts for counting"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        over(tmp_path, **changes)


def test_one_image_gives_questions_to_two_capabilities_each_with_its_own_teacher_and_panel(
    world: tuple[Path, Run],
) -> None:
    _, run = world
    captions = list(run.captions.rows())
    assert [c.stage for c in captions].count("counting") == 9
    assert len({c.caption_id for c in captions}) == 12 + 9
    questions = {q.question_id: q for q in run.questions.rows()}
    assert {q.skill for q in questions.values() if q.stage == "counting"} == {"count"}
    probed = {(questions[a.question_id].stage, a.solver) for a in run.answers.rows() if a.purpose == "probe"}
    assert probed == {("perception", "one"), ("perception", "two"), ("counting", "two")}
    judged = {(v.stage, v.filter) for v in run.verdicts.rows()}
    assert {("counting", "perception"), ("counting", "teacher"), ("sums", "difficulty")} <= judged
    assert ("sums", "perception") not in judged


def test_a_finished_run_with_capabilities_does_nothing_more(world: tuple[Path, Run]) -> None:
    folder, run = world
    before = [table.shards() for table in (run.captions, run.attempts, run.questions, run.answers, run.verdicts)]
    build(over(folder), Display())  # there is no endpoint at this address
    after = [table.shards() for table in (run.captions, run.attempts, run.questions, run.answers, run.verdicts)]
    assert before == after


def test_every_view_of_a_run_names_its_capabilities_in_teaching_order(
    world: tuple[Path, Run], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, run = world
    taught = ["perception", "text", "counting", "sums"]
    assert [name for name, _ in sets(run)] == taught
    assert list(dict.fromkeys(line.stage for line in funnel.lines(run))) == taught
    assert cli.main(["funnel", str(run.path), "--overlap"]) == 0
    assert cli.main(["status", str(run.path)]) == 0
    row = next(q for q in run.questions.rows() if q.stage == "counting")
    assert cli.main(["why", str(run.path), row.question_id]) == 0
    assert cli.main(["query", str(run.path), "select stage, count(*) from stages group by all"]) == 0
    out = capsys.readouterr().out
    assert "stage counting" in out
    assert f"question {row.question_id}, counting, count" in out
    assert cli.main(["report", str(run.path), "--out", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.index("Funnel of the text stage") < page.index("Funnel of the counting stage")


def test_orders_take_capabilities_by_name_and_by_number(
    world: tuple[Path, Run], capsys: pytest.CaptureFixture[str]
) -> None:
    _, run = world
    assert cli.main(["curriculum", str(run.path), "--order", "capability", "--stages", "5-1-counting"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert folder.name == "capability-sums-1-counting"
    assert [name for name, _ in sets(run, folder.name)] == ["sums", "perception", "counting"]
    assert cli.main(["curriculum", str(run.path), "--order", "interleaved"]) == 0
    assert cli.main(["curriculum", str(run.path), "--order", "merged", "--stages", "charts"]) == 2
    assert "There is no stage charts; --stages takes some of perception, text" in capsys.readouterr().err


def test_another_teaching_order_is_no_other_run(world: tuple[Path, Run]) -> None:
    folder, _ = world
    order = ["counting", "sums", "text", "perception"]
    run = build(over(folder, curriculum={"stages": order}), Display())
    assert [name for name, _ in sets(run)] == order
    build(over(folder), Display())
    assert [name for name, _ in sets(run)] == ["perception", "text", "counting", "sums"]


def test_a_plan_counts_every_capability(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci")
    worlds.problems(tmp_path / "numbers")
    limited = capabilities(tmp_path) | {
        "sums": {"kind": "text", "source": {"kind": "problems", "path": str(tmp_path / "numbers"), "limit": 5}}
    }
    perception = limited["counting"] | {"source": {"kind": "docci", "path": str(tmp_path / "docci"), "limit": 12}}
    del perception["kind"]
    wanted = worlds.recipe_over(tmp_path, URL, capabilities=limited, perception=perception, text=None)
    rows = expected.rows(wanted, None)
    assert (rows.captions, rows.problems) == ({"perception": 12, "counting": 9}, 5)
    found = {step.step: step for step in forecast(wanted, None, rows)}
    assert (found["teacher"].requests, found["teacher, counting"].requests) == (12, 9)
    assert found["rollout"].requests == (12 + 9 + 5) * 3
