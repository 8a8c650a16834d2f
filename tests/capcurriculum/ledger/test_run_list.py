"""The list of runs: what each holds, what works on it, and what is wrong with one without losing the others."""

import fcntl
import json
from pathlib import Path

import pytest

from capcurriculum import cli
from capcurriculum.errors import RunError
from capcurriculum.ledger.run_list import runs
from capcurriculum.locks import Share
from capcurriculum.render.progress import Display
from capcurriculum.run import writing
from curricula.build import build
from tests.support import endpoint, worlds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    worlds.docci(tmp_path / "docci")
    worlds.problems(tmp_path / "text")
    with endpoint.serving() as server:
        build(worlds.recipe_over(tmp_path, server.url), Display())
        with writing(worlds.recipe_over(tmp_path, server.url, name="begun")):
            pass
    (tmp_path / "runs" / "notes").mkdir()
    return tmp_path / "runs"


def test_runs_are_listed_with_their_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun, small = runs(folder)
    assert (begun.name, begun.stages, begun.working) == ("begun", {}, ())
    assert list(small.stages) == ["perception", "text"]
    assert sum(small.stages["text"]) == 8
    assert small.last.startswith("build finished, 2")
    assert cli.main(["runs", str(folder)]) == 0
    assert "text 6/2/0" in capsys.readouterr().out


def test_what_works_on_a_run_is_said_and_not_disturbed(folder: Path) -> None:
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(folder.parent, server.url)
    with writing(wanted):
        assert runs(folder)[1].working == ("build",)
    with writing(wanted, Share(0, 3)), writing(wanted, Share(2, 3)):
        assert runs(folder)[1].working == ("build, shards 0-of-3, 2-of-3",)
    assert runs(folder)[1].working == ()


def test_a_training_that_has_no_process_is_stopped(folder: Path) -> None:
    training = folder / "small" / "training"
    training.mkdir()
    stages = [{"stage": "perception", "state": "done"}, {"stage": "text", "state": "running"}]
    (training / "plan.json").write_text(json.dumps({"stages": stages}))
    assert runs(folder)[1].trainings == {"training": {"perception": "done", "text": "stopped"}}
    with (training / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (_, small) = runs(folder)
    assert small.working == ("training",)
    assert small.trainings["training"]["text"] == "running"


def test_a_damaged_run_hides_no_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (next((folder / "small" / "stages" / "text").glob("*.parquet"))).write_bytes(b"no Parquet")
    begun, small = runs(folder)
    assert "text" in small.damage
    assert not begun.damage
    assert cli.main(["runs", str(folder)]) == 0
    assert "small: " in capsys.readouterr().out
    with pytest.raises(RunError, match="no folder"):
        runs(folder / "nowhere")
