"""One flow: the same rows as step by step, asked at the same time, and nothing that a step would not ask."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from capcurriculum import cli
from capcurriculum.errors import EngineError
from capcurriculum.ledger.verdicts import kept_ids
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from curricula import build as building
from curricula.build import build
from tests.support import endpoint, worlds

CAPTIONS = 30


class Differing(endpoint.Endpoint):
    """Solvers of which the first sees more than the second."""

    def reply(self, body: dict[str, Any]) -> str:
        return endpoint.Endpoint(image_right=0.6 if body["model"] == "one" else 0.3).reply(body)


def recipe(folder: Path, url: str, name: str, **changes: Any) -> Recipe:
    return worlds.recipe_over(folder, url, changes.pop("probe", {"control": 0.1}), name=name, **changes)


def sources(folder: Path) -> None:
    worlds.docci(folder / "docci", CAPTIONS)
    worlds.problems(folder / "text", 12)


def answers(run: Run) -> set[tuple[Any, ...]]:
    names = ("question_id", "solver", "purpose", "arm", "rollout", "order", "text", "outcome")
    rows = list(run.answers.frame(*names).iter_rows())
    assert len(rows) == len(set(rows)), "an answer is there twice"
    return set(rows)


def kept(run: Run, wanted: Recipe) -> set[str]:
    return set(kept_ids(run, wanted).collect()["question_id"])


def order(server: endpoint.Endpoint) -> list[str]:
    return [body["model"] for body in server.requests if body.get("max_tokens") != 1]


@pytest.mark.parametrize("stop", ["never", "decided"])
def test_a_flow_ends_as_the_steps_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str) -> None:
    sources(tmp_path)
    with endpoint.serving(Differing()) as server:
        probe = {"stop": stop, "control": 0.1}
        flowing = recipe(tmp_path, server.url, "flowing", probe=probe)
        one = build(flowing, Display())
        monkeypatch.setattr(building, "_flow", lambda *_: None)
        stepping = recipe(tmp_path, server.url, "stepping", probe=probe)
        other = build(stepping, Display())
    assert kept(one, flowing) == kept(other, stepping)
    assert {q.question_id for q in one.questions.rows()} == {q.question_id for q in other.questions.rows()}
    for name in ("train", "val", "test"):
        files = [next((run.stages / "perception").glob(f"{name}*.parquet")) for run in (one, other)]
        assert files[0].read_bytes() == files[1].read_bytes()
    if stop == "never":
        assert answers(one) == answers(other)
    else:
        assert len(answers(one)) <= len(answers(other)), "a flow asks what decides first of all solvers"


def test_all_models_are_asked_at_the_same_time(tmp_path: Path) -> None:
    sources(tmp_path)
    with endpoint.serving(Differing(delay_seconds=0.02)) as server:
        wanted = recipe(tmp_path, server.url, "flowing")
        models = {name: model.model_copy(update={"concurrency": 2}) for name, model in wanted.models.items()}
        build(wanted.model_copy(update={"models": models}), Display())
        asked = order(server)
    last_taught = len(asked) - asked[::-1].index("teacher")
    assert {"one", "two", "policy"} <= set(asked[:last_taught])


def test_what_compares_questions_waits_for_all_of_them(tmp_path: Path) -> None:
    sources(tmp_path)
    benchmark, signature = tmp_path / "bench.jsonl", tmp_path / "bench.parquet"
    worlds.write_lines(benchmark, ['{"question": "How many lamps does the lighthouse at the end of the world have?"}'])
    assert cli.main(["signatures", "build", str(benchmark), "--name", "bench", "--out", str(signature)]) == 0
    filters = [{"name": "contamination", "signatures": [str(signature)]}, "perception", "rollouts", "difficulty"]
    with endpoint.serving(Differing()) as server:
        wanted = recipe(tmp_path, server.url, "waiting", filters=filters)
        run = build(wanted, Display())
        asked = order(server)
    assert "one" not in asked[: len(asked) - asked[::-1].index("teacher")]
    assert len(answers(run)) == run.answers.count() > 0


@pytest.mark.parametrize("after", [5, 40, 90])
def test_a_flow_that_stops_is_taken_up_and_asks_nothing_twice(tmp_path: Path, after: int) -> None:
    sources(tmp_path)
    with endpoint.serving(Differing()) as server:
        wanted = recipe(tmp_path, server.url, "stopped")
        server.faults += [endpoint.well] * after + [endpoint.status(401)] * 400
        with pytest.raises(EngineError):
            build(wanted, Display())
        there = answers(Run(wanted.run_dir))
        server.faults.clear()
        run = build(wanted, Display())
        clean = recipe(tmp_path, server.url, "clean")
        undisturbed = build(clean, Display())
    assert there <= answers(run)
    assert answers(run) == answers(undisturbed)
    assert kept(run, wanted) == kept(undisturbed, clean)


def test_rows_that_auditors_judge_are_rolled_out_after_them(tmp_path: Path) -> None:
    sources(tmp_path)
    auditor = {"name": "auditor", "models": ["two"], "mode": "answer", "sees": "caption", "votes": 1}
    with endpoint.serving(Differing()) as server:
        wanted = recipe(
            tmp_path, server.url, "audited", text=None, filters=["perception", auditor, "rollouts", "difficulty"]
        )
        run = build(wanted, Display())
    rolled = {a.question_id for a in run.answers.rows() if a.purpose == "rollout"}
    passed = {v.question_id for v in run.verdicts.rows() if v.filter == "auditor" and v.keep}
    assert rolled == passed


def test_a_finished_run_asks_nothing(tmp_path: Path) -> None:
    sources(tmp_path)
    with endpoint.serving(Differing()) as server:
        wanted = recipe(tmp_path, server.url, "finished")
        run = build(wanted, Display())
        sent, before = len(server.requests), Counter(map(str, run.answers.shards()))
        build(wanted, Display())
        assert len(server.requests) == sent
        assert Counter(map(str, run.answers.shards())) == before
