"""A fork: a changed recipe asks what it asks otherwise, and takes over every other answer and what people said."""

from pathlib import Path
from typing import Any

import pytest

from capcurriculum import cli, recipe
from capcurriculum.errors import EngineError, RunError
from capcurriculum.journal import Journal
from capcurriculum.ledger.cost import spends
from capcurriculum.ledger.forecast import forecast
from capcurriculum.ledger.verdicts import kept_ids
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import Review
from capcurriculum.run import Run, writing
from curricula.build import build
from curricula.fork import prepared
from datagen import expected
from tests.support import endpoint, worlds


def _world(folder: Path, url: str, **changes: Any) -> Recipe:
    if not (folder / "docci").exists():
        worlds.docci(folder / "docci")
        worlds.problems(folder / "text")
    return worlds.recipe_over(folder, url, **changes)


def _models(server: endpoint.Endpoint) -> dict[str, int]:
    found: dict[str, int] = {}
    for body in server.requests:
        found[body["model"]] = found.get(body["model"], 0) + int(body.get("n") or 1)
    return found


def _replies(run: Run) -> set[tuple[str, str]]:
    return {(a.request_key, a.outcome) for a in run.answers.rows()}


def test_only_what_changed_is_asked(tmp_path: Path) -> None:
    with endpoint.serving() as server:
        first = build(_world(tmp_path, server.url), Display())
    with endpoint.serving() as server:
        changed = _world(tmp_path, server.url, rollouts={"model": "policy", "k": 5})
        run = build(prepared(changed, "more"), Display())
        assert _models(server).keys() == {"policy"}
        measured = {a.question_id for a in run.answers.rows() if a.purpose == "rollout"}
        assert _models(server)["policy"] == 2 * len(measured)
    assert _replies(first) < _replies(run)
    assert run.path.name == "more"
    taken = {line.step: (line.taken_over, line.replies) for line in spends(run)}
    assert taken["teacher"] == (12, 12)
    assert taken["rollout"] == (3 * len(measured), 5 * len(measured))
    # Nothing is asked that a run from the beginning would not ask, and its rows are the same.
    with endpoint.serving() as server:
        alone = build(_world(tmp_path, server.url, rollouts={"model": "policy", "k": 5}, name="alone"), Display())
    assert _replies(alone) == _replies(run)
    assert set(kept_ids(alone, alone.recipe()).collect()["question_id"]) == set(
        kept_ids(run, run.recipe()).collect()["question_id"]
    )


@pytest.mark.parametrize("probe", [{"stop": "never"}, {"stop": "decided", "other_order": True, "control": 0.5}])
def test_another_teacher_keeps_the_answers_to_the_same_questions(tmp_path: Path, probe: dict[str, Any]) -> None:
    with endpoint.serving() as server:
        first = build(_world(tmp_path, server.url, probe=probe), Display())
        asked = _models(server)
    with endpoint.serving() as server:
        wanted = _world(tmp_path, server.url, probe=probe)
        made = wanted.captioned["perception"]
        sampling = made.teacher.sampling.model_copy(update={"temperature": 0.3})
        warm = made.model_copy(update={"teacher": made.teacher.model_copy(update={"sampling": sampling})})
        run = build(prepared(wanted.model_copy(update={"perception": warm}), "warm"), Display())
        # The stub writes the same questions at any temperature.
        assert _models(server) == {"teacher": asked["teacher"]}
    assert _replies(run) == _replies(first)


def test_a_fork_goes_on_after_it_was_stopped(tmp_path: Path) -> None:
    with endpoint.serving() as server:
        build(_world(tmp_path, server.url), Display())
    changed: dict[str, Any] = {"rollouts": {"model": "policy", "k": 5}}
    with endpoint.serving(endpoint.Endpoint(always=endpoint.status(401))) as server, pytest.raises(EngineError):
        build(prepared(_world(tmp_path, server.url, **changed), "more"), Display())
    with endpoint.serving() as server:
        again = prepared(_world(tmp_path, server.url, **changed), "more")
        run = build(again, Display())
        assert _models(server).keys() == {"policy"}
        finished = len(server.requests)
        build(prepared(_world(tmp_path, server.url, **changed), "more"), Display())
        build(again, Display())
        assert len(server.requests) == finished
    assert {a.outcome for a in run.answers.rows()} <= {"right", "wrong"}


def test_failed_replies_are_asked_for_again_and_reviews_go_along(tmp_path: Path) -> None:
    with endpoint.serving() as server:
        first = _world(tmp_path, server.url, text=None)
        server.faults += [endpoint.status(400)]
        run = build(first, Display())
    assert sum(a.finish == "error" for a in run.attempts.rows()) == 1
    question = next(iter(run.questions.rows())).question_id
    with writing(first) as open_run:
        open_run.reviews.append([_review(question)])
    with endpoint.serving() as server:
        fork = build(prepared(_world(tmp_path, server.url, text=None), "fork"), Display())
        assert _models(server)["teacher"] >= 1
    assert [r.review_id for r in fork.reviews.rows()] == ["r"]


def _review(question: str) -> Review:
    fields = dict.fromkeys(Review.__dataclass_fields__, "")
    typed: dict[str, Any] = fields | {"review_id": "r", "question_id": question, "state": "submitted", "right": "yes"}
    typed |= {name: 0 for name, field in Review.__dataclass_fields__.items() if "int" in str(field.type)}
    return Review(**typed)


def test_what_cannot_be_forked_is_refused(tmp_path: Path) -> None:
    with endpoint.serving() as server:
        wanted = _world(tmp_path, server.url)
        with pytest.raises(RunError, match="to fork; build the recipe"):
            prepared(wanted, "more")
        build(wanted, Display())
        for name in ("small", "../out", "a b", ""):
            with pytest.raises(RunError, match="takes a new name"):
                prepared(wanted, name)
        (wanted.run_dir.parent / "there").mkdir()
        with pytest.raises(RunError, match="already"):
            prepared(wanted, "there")


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    with endpoint.serving() as server:
        wanted = _world(tmp_path, server.url)
        build(wanted, Display())
        changed = _world(tmp_path, server.url, rollouts={"model": "policy", "k": 4})
        file = tmp_path / "own.yaml"
        file.write_text(recipe.dump(changed))
        assert cli.main(["build", str(file), "--allow"]) == 2
        assert "--fork NAME" in capsys.readouterr().err
        assert cli.main(["build", str(file), "--fork", "more", "--dry-run"]) == 2
        capsys.readouterr()
        assert cli.main(["build", str(file), "--fork", "more", "--allow"]) == 0
        assert "is a fork" in capsys.readouterr().out
        assert cli.main(["build", str(wanted.run_dir.parent / "more"), "--allow"]) == 0
        assert cli.main(["status", str(wanted.run_dir.parent / "more")]) == 0
        assert "teacher teacher 12 of 12" in capsys.readouterr().out


def test_replies_in_the_journal_of_a_killed_build_are_taken_over(tmp_path: Path) -> None:
    with endpoint.serving() as server:
        wanted = _world(tmp_path, server.url, text=None)
        run = build(wanted, Display())
    # As a kill leaves it: the last replies noted, and in no shard.
    last = list(run.answers.rows())
    for shard in run.answers.shards():
        shard.unlink()
    Journal(run.answers).note(last)
    changed: dict[str, Any] = {"text": None, "rollouts": {"model": "policy", "k": 4}}
    with endpoint.serving() as server:
        fork = build(prepared(_world(tmp_path, server.url, **changed), "more"), Display())
        assert _models(server).keys() == {"policy"}
    assert {a.request_key for a in last} < {a.request_key for a in fork.answers.rows()}
    with writing(wanted) as held:
        Journal(held.answers).note(last[:1])
        with pytest.raises(RunError, match="Another process is writing"):
            prepared(wanted, "held")


def test_what_took_no_time_tells_no_speed(tmp_path: Path) -> None:
    with endpoint.serving() as server:
        build(_world(tmp_path, server.url, text=None), Display())
        changed = _world(tmp_path, server.url, text=None, rollouts={"model": "policy", "k": 4})
        run = build(prepared(changed, "more"), Display())
    steps = {step.step: step for step in forecast(run.recipe(), run, expected.rows(run.recipe(), run))}
    assert steps["teacher"].seconds is None
    assert steps["rollout"].seconds is not None


def test_a_damaged_note_of_a_fork_is_one_sentence(tmp_path: Path) -> None:
    with endpoint.serving() as server:
        wanted = _world(tmp_path, server.url, text=None)
        build(wanted, Display())
        fork = prepared(wanted, "more")
    (fork.run_dir / "forked.json").write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        prepared(wanted, "more")
