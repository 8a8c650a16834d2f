"""A build whose models are asked by workers on a real Ray of this machine."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capcurriculum import recipe
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from curricula.build import build
from datagen.distributed import worker
from tests.curricula.test_build import content
from tests.support import endpoint, worlds
from tests.support.installed import needs

psutil = pytest.importorskip("psutil")
needs("ray", extra="ray")


def on_ray(folder: Path, wanted: Recipe, *address: str) -> "subprocess.Popen[str]":
    """`build --ray` in a process of its own, as a user starts it."""
    file = folder / f"{wanted.name}.yaml"
    file.write_text(recipe.dump(wanted))
    command = [sys.executable, "-m", "capcurriculum.cli", "build", str(file), "--ray", *address]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def two_workers(folder: Path, url: str, **changes: Any) -> Recipe:
    return worlds.recipe_over(folder, url, name="shared", ray={"workers": 2, "block": 4}, **changes)


def started(run: Run, step: str) -> list[int]:
    """Process ids of the workers of a step."""
    return [int(str(e["pid"])) for e in run.events() if e.get("event") == worker.STARTED and e["step"] == step]


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def keys(run: Run) -> list[tuple[Any, ...]]:
    frame = run.answers.frame("purpose", "solver", "question_id", "arm", "rollout", "order")
    return sorted(frame.iter_rows())


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_workers_write_what_one_process_would(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 24)
    worlds.problems(tmp_path / "text", 12)
    with endpoint.serving() as server:
        clean = build(worlds.recipe_over(tmp_path, server.url, name="clean"), Display())
        alone = len(server.requests)
        wanted = two_workers(tmp_path, server.url)
        process = on_ray(tmp_path, wanted)
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        run = Run(wanted.run_dir)
        assert content(run) == content(clean)
        assert len(set(started(run, "rollout, policy"))) == 2
        asked = len(server.requests)
        build(wanted, Display())
        assert len(server.requests) == asked
    assert asked == 2 * alone


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_worker_loses_its_window_and_nothing_else(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 24)
    worlds.problems(tmp_path / "text", 12)
    with endpoint.serving(endpoint.Endpoint(delay_seconds=0.15)) as server:
        clean = build(worlds.recipe_over(tmp_path, server.url, name="clean"), Display())
        wanted = two_workers(tmp_path, server.url)
        slowly = {name: model.model_copy(update={"concurrency": 1}) for name, model in wanted.models.items()}
        process = on_ray(tmp_path, wanted.model_copy(update={"models": slowly}))
        run = Run(wanted.run_dir)
        wait_for(lambda: run.answers.count() > 0 and bool(started(run, "probe, one")))
        victim = started(run, "probe, one")[0]
        os.kill(victim, signal.SIGKILL)
        _, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
    assert keys(run) == keys(clean)
    assert content(run) == content(clean)
    # Two, one in place of the victim, and two for what rows that are kept still lack.
    assert len(started(run, "probe, one")) == 5


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_end_the_workers_and_the_next_build_goes_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    worlds.docci(tmp_path / "docci", 24)
    with endpoint.serving(endpoint.Endpoint(delay_seconds=0.15)) as server:
        clean = build(worlds.recipe_over(tmp_path, server.url, name="clean", text=None), Display())
        wanted = two_workers(tmp_path, server.url, text=None)
        slowly = {name: model.model_copy(update={"concurrency": 1}) for name, model in wanted.models.items()}
        process = on_ray(tmp_path, wanted.model_copy(update={"models": slowly}))
        run = Run(wanted.run_dir)
        wait_for(lambda: run.answers.count() > 0)
        tree = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        assert listening(tree) <= {"127.0.0.1", "::1"}
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == code
        assert "Everything finished so far is kept" in err
        wait_for(lambda: not any(alive(pid) for pid in tree), 30)
        before = run.answers.count()
        assert 0 < before < clean.answers.count()
        build(wanted, Display())
    assert keys(run) == keys(clean)
    assert content(run) == content(clean)


def listening(pids: list[int]) -> set[str]:
    """The addresses that any of the processes listens on."""
    found = set()
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            sockets = psutil.Process(pid).net_connections("inet")
            found |= {one.laddr.ip.removeprefix("::ffff:") for one in sockets if one.status == "LISTEN"}
    return found


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and not been waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_model_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    worlds.problems(tmp_path / "text", 4)
    wanted = two_workers(tmp_path, "http://127.0.0.1:1/v1", perception=None)
    models = {name: model.model_copy(update={"patience_seconds": 0.2}) for name, model in wanted.models.items()}
    _, err = on_ray(tmp_path, wanted.model_copy(update={"models": models})).communicate(timeout=100)
    assert [line for line in err.splitlines() if line.startswith("error: ")], err[-4000:]
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_lost_node_s_blocks_are_done_on_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes of one CPU and one worker each: there is room for the lost worker only when the other is done."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    worlds.problems(tmp_path / "text", 40)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=1)
        with endpoint.serving(endpoint.Endpoint(delay_seconds=0.2)) as server:
            wanted = two_workers(tmp_path, server.url, perception=None)
            slowly = {name: model.model_copy(update={"concurrency": 1}) for name, model in wanted.models.items()}
            process = on_ray(tmp_path, wanted.model_copy(update={"models": slowly}), cluster.address)
            run = Run(wanted.run_dir)
            wait_for(lambda: len(started(run, "rollout, policy")) == 2 and run.answers.count() > 0)
            cluster.remove_node(node, allow_graceful=False)
            _, err = process.communicate(timeout=150)
            assert process.returncode == 0, err
    finally:
        cluster.shutdown()
    assert len(started(run, "rollout, policy")) == 3
    assert len(keys(run)) == len(set(keys(run))) == 40 * 3
