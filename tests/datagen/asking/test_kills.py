"""Builds that are killed (-9): what had come is not asked for again."""

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from capcurriculum import cli, recipe, tables
from capcurriculum.journal import left
from capcurriculum.run import Run
from datagen.asking import ask_missing
from tests.curricula.test_build import content
from tests.support import endpoint, worlds
from tests.support.endpoint import Endpoint
from tests.support.forks import Fork

CONCURRENCY = 4


@pytest.fixture
def world(tmp_path: Path) -> Path:
    worlds.docci(tmp_path / "docci", 40)
    worlds.problems(tmp_path / "text", 8)
    return tmp_path


def written(folder: Path, url: str, name: str) -> Path:
    """The file of a recipe whose requests are all different."""
    model = {"engine": "openai", "base_urls": [url], "concurrency": CONCURRENCY, "max_n": 1}
    models = {one: model | {"model": one} for one in ("teacher", "one", "two", "policy")}
    file = folder / f"{name}.yaml"
    file.write_text(
        recipe.dump(worlds.recipe_over(folder, url, name=name, models=models, rollouts={"model": "policy"}))
    )
    return file


def repeated(server: Endpoint, since: int) -> int:
    """How many requests were sent once more than what rollouts of one prompt are."""
    before, after = (
        Counter(json.dumps(body) for body in part if "policy" not in body["model"])
        for part in (server.requests[:since], server.requests[since:])
    )
    return (before & after).total()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_killed_build_repeats_at_most_what_was_in_flight(world: Path, share: float) -> None:
    with endpoint.serving(Endpoint(delay_seconds=0.01)) as server:
        assert cli.main(["build", str(written(world, server.url, "clean"))]) == 0
        whole = len(server.requests)
        server.requests.clear()
        file = written(world, server.url, "killed")
        fork = Fork(cli.main, ["build", str(file)])
        while len(server.requests) < share * whole and fork.process.is_alive():
            time.sleep(0.005)
        assert fork.process.pid
        os.kill(fork.process.pid, signal.SIGKILL)
        assert fork.done().returncode == -signal.SIGKILL
        since = len(server.requests)
        assert 0 < since < whole
        assert cli.main(["build", str(file)]) == 0
        # What is in flight to the teacher and two solvers, and as much of what came while the rest was written down.
        assert repeated(server, since) <= 2 * 3 * CONCURRENCY
    assert content(Run(world / "runs" / "killed")) == content(Run(world / "runs" / "clean"))
    assert not list((world / "runs").rglob("journal*"))


def _build_that_dies_between_publishing_and_emptying(file: str) -> int:
    ask_missing.FLUSH_ROWS = 16
    publish = tables.publish

    def deadly(temporary: Path, path: Path) -> None:
        publish(temporary, path)
        if path.name == "part-000001.parquet" and path.parent.name == "answers":
            os.kill(os.getpid(), signal.SIGKILL)

    tables.publish = deadly
    return cli.main(["build", file])


def test_a_kill_between_publishing_a_shard_and_emptying_its_journal_doubles_nothing(world: Path) -> None:
    with endpoint.serving() as server:
        assert cli.main(["build", str(written(world, server.url, "clean"))]) == 0
        file = written(world, server.url, "killed")
        done = Fork(_build_that_dies_between_publishing_and_emptying, str(file)).done()
        run = Run(world / "runs" / "killed")
        assert done.returncode == -signal.SIGKILL
        assert sum(journal.read_bytes().count(b"\n") for journal in left(run.answers))
        assert cli.main(["build", str(file)]) == 0
    assert content(run) == content(Run(world / "runs" / "clean"))
