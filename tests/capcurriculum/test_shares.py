"""Several processes on disjoint shares of one run."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from capcurriculum import recipe
from capcurriculum.errors import RunError
from capcurriculum.files import json_file
from capcurriculum.locks import Share
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.run import Run, writing
from curricula.build import build
from tests.curricula.test_build import content
from tests.support import endpoint, worlds


def sharded(folder: Path, wanted: Recipe, shares: int) -> list[subprocess.CompletedProcess[str]]:
    """All shards of a build, at once."""
    file = folder / f"{wanted.name}.yaml"
    file.write_text(recipe.dump(wanted))
    command = [sys.executable, "-m", "capcurriculum.cli", "build", str(file), "--shard"]
    running = [
        subprocess.Popen([*command, f"{i}/{shares}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for i in range(shares)
    ]
    outputs = [process.communicate(timeout=200) for process in running]
    return [
        subprocess.CompletedProcess(process.args, process.returncode, out, err)
        for process, (out, err) in zip(running, outputs, strict=True)
    ]


def test_shards_side_by_side_do_all_of_the_work_once(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 24)
    worlds.problems(tmp_path / "text", 12)
    with endpoint.serving() as server:
        clean = build(worlds.recipe_over(tmp_path, server.url, name="clean"), Display())
        alone = len(server.requests)
        wanted = worlds.recipe_over(tmp_path, server.url, name="shared")
        done = sharded(tmp_path, wanted, 3)
        assert [d.returncode for d in done] == [0, 0, 0], done
        assert "Shard 0/3 is done" in done[0].stdout
        assert len(server.requests) == 2 * alone
        run = build(wanted, Display())
        assert len(server.requests) == 2 * alone
    assert content(run) == content(clean)
    writers = {path.stem.partition("-")[2].partition("-")[2] for path in run.answers.shards()}
    assert writers == {"0-of-3", "1-of-3", "2-of-3"}


def test_what_a_dead_shard_left_is_done_by_the_last_build(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 12)
    worlds.problems(tmp_path / "text", 8)
    with endpoint.serving() as server:
        clean = build(worlds.recipe_over(tmp_path, server.url, name="clean"), Display())
        wanted = worlds.recipe_over(tmp_path, server.url, name="shared")
        build(wanted, Display(), Share(1, 2))
        run = Run(wanted.run_dir)
        half = run.questions.count()
        assert 0 < half < clean.questions.count()
        assert not run.stages.exists()
        assert content(build(wanted, Display())) == content(clean)


def test_who_would_do_the_same_work_is_refused(tmp_path: Path) -> None:
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1")
    with writing(wanted, Share(0, 2)):
        with pytest.raises(RunError, match="Another process is writing shard 0-of-2"), writing(wanted, Share(0, 2)):
            pass
        with pytest.raises(RunError, match="Shards of 2 are being written"), writing(wanted, Share(2, 3)):
            pass
        with pytest.raises(RunError, match="Another process is writing"), writing(wanted):
            pass
        with writing(wanted, Share(1, 2)):
            pass
    with writing(wanted), pytest.raises(RunError, match="writing all of"), writing(wanted, Share(0, 2)):
        pass
    with writing(wanted, Share(2, 3)):
        pass


def test_a_shard_sweeps_its_own_leftovers_and_no_others(tmp_path: Path) -> None:
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1")
    with writing(wanted, Share(0, 2)) as run:
        run.answers.folder.mkdir()
        own = run.answers.folder / ".tmp-1-part-000000-0-of-2.parquet"
        other = run.answers.folder / ".tmp-1-part-000000-1-of-2.parquet"
        own.touch()
        other.touch()
    with writing(wanted, Share(0, 2)):
        assert (own.exists(), other.exists()) == (False, True)
    with writing(wanted):
        assert not other.exists()


@pytest.mark.parametrize("text", ["8/8", "-1/4", "1", "a/b", "0/0", "1/2/3", ""])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RunError, match="i from 0 to n-1"):
        Share.parse(text)


def test_every_unit_is_in_one_share() -> None:
    for unit in map(str, range(100)):
        assert sum(Share(i, 7).holds(unit) for i in range(7)) == 1
    assert all(any(Share(i, 7).holds(str(unit)) for unit in range(100)) for i in range(7))


def test_other_prompts_are_refused_with_their_names(tmp_path: Path) -> None:
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1")
    with writing(wanted) as run:
        about = json_file.read(run.path / "run.json")
        worlds.begin(run)
    about["prompts"]["choice"] = "0" * 16
    (run.path / "run.json").write_text(json.dumps(about))
    with pytest.raises(RunError, match=r"made with other prompts \(choice\)"), writing(wanted):
        pass


def test_a_shard_waits_while_another_reads_the_sources(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 4)
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1", text=None)
    wanted.run_dir.mkdir(parents=True)
    handle = os.open(wanted.run_dir / ".lock-sources", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    file = tmp_path / "small.yaml"
    file.write_text(recipe.dump(wanted))
    command = [sys.executable, "-m", "capcurriculum.cli", "build", str(file), "--shard", "0/2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1.5)
    assert not list(wanted.run_dir.glob("captions/*"))
    process.kill()
    process.communicate()
    os.close(handle)
