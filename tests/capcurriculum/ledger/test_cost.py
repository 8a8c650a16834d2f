"""What a run has cost: complete after a kill, and added up over resumes."""

from pathlib import Path

import pytest
from rich.console import Console

from capcurriculum.errors import EngineError
from capcurriculum.ledger import show
from capcurriculum.ledger.cost import spends
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from curricula.build import build
from tests.support import endpoint, worlds


def test_replies_tokens_and_seconds_add_up_over_sessions(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci")
    worlds.problems(tmp_path / "text")
    with endpoint.serving(endpoint.Endpoint(delay_seconds=0.01)) as server:
        wanted = worlds.recipe_over(tmp_path, server.url, {"stop": "never"})
        server.faults += [endpoint.well] * 30 + [endpoint.status(401)] * 3
        with pytest.raises(EngineError):
            build(wanted, Display())
        early = spends(Run(wanted.run_dir))
        sent = len(server.requests)
    # Another server, as requests of the session that ended may still arrive at the first and meet the faults.
    with endpoint.serving(endpoint.Endpoint(faults=[endpoint.status(500)] * 2)) as server:
        run = build(worlds.recipe_over(tmp_path, server.url, {"stop": "never"}), Display())
        sent += len(server.requests)
    spent = {(line.step, line.model): line for line in spends(run)}
    assert sum(line.replies for line in early) < sum(line.replies for line in spent.values())
    assert spent.keys() == {("teacher", "teacher"), ("probe", "one"), ("probe", "two"), ("rollout", "policy")}
    assert spent["teacher", "teacher"].replies == run.attempts.count() == 12
    assert sum(line.replies for line in spent.values()) == run.attempts.count() + run.answers.count()
    assert sum(line.retries for line in spent.values()) == 2
    # Of those in flight when the session ended with an error some were not noted, and some did not get to the server.
    assert sum(line.requests for line in spent.values()) <= sent + 64
    for line in spent.values():
        assert line.requests >= line.replies // (3 if line.step == "rollout" else 1)
        # Three rollouts are one request, whose prompt is paid for once.
        prompts = line.replies // (3 if line.step == "rollout" else 1)
        assert (line.tokens_in, line.tokens_out) == (10 * prompts, 5 * line.replies)
        assert 0 < line.engine_seconds <= line.seconds
    noted = [event for event in run.events() if event["event"] == "asked"]
    assert sum(int(str(event["rows"])) for event in noted) == run.attempts.count() + run.answers.count()


def test_events_of_before_there_were_hedges_count_none(tmp_path: Path) -> None:
    worlds.problems(tmp_path / "text")
    with endpoint.serving() as server:
        run = build(worlds.recipe_over(tmp_path, server.url, perception=None), Display())
    run.event("asked", step="rollout", model="policy", rows=1, requests=7, retries=1, seconds=1.0, engine_seconds=1.0)
    (before,) = spends(run)
    run.event("asked", step="rollout", model="policy", rows=1, requests=3, retries=0, hedged=2, seconds=1.0)
    (after,) = spends(run)
    assert (before.hedged, after.hedged, after.requests - before.requests) == (0, 2, 3)


def test_status_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worlds.problems(tmp_path / "text")
    with endpoint.serving() as server:
        run = build(worlds.recipe_over(tmp_path, server.url, perception=None), Display())
    console = Console(width=120)
    show.status(run, console)
    shown = capsys.readouterr().out
    assert "retries" in shown
    assert "engine seconds" in shown
