"""What Ray's workers do with the blocks they are given, without Ray."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from capcurriculum import locks, recipe
from capcurriculum.errors import EngineError, RunError
from capcurriculum.ledger.cost import ASKED
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.models import RayWorkers
from capcurriculum.render.progress import Display
from capcurriculum.run import Run, writing
from curricula.build import build
from datagen.batched import windows
from datagen.distributed import cluster, steps
from datagen.distributed.block_queue import Block, BlockQueue
from datagen.distributed.steps import Spec
from datagen.distributed.worker import SPARE_DEATHS, STARTED, Assignment, Worker
from datagen.sources import gather
from datagen.teacher.write import write_questions
from tests.curricula.test_build import content
from tests.support import endpoint, worlds


def assignment(run: Run, wanted: Recipe, spec: Spec, build: str = "b") -> Assignment:
    return Assignment(str(Path.cwd()), str(run.path), build, recipe.dump(wanted), spec, 2)


@contextmanager
def employing(wanted: Recipe) -> Iterator[Run]:
    """The run, its sources read, ready for workers of the build `b`."""
    with writing(wanted) as run:
        gather.gather(gather.setting(run, wanted))
        locks.employ(run.path, "b")
        yield run


def work(told: Assignment, keys: Sequence[str], workers: int = 2, size: int = 3) -> None:
    """Give the keys to workers in blocks, two at a time to each, as Ray Data does."""
    crew = [Worker(told) for _ in range(workers)]
    blocks = windows(iter(keys), size)
    lock, problems = threading.Lock(), []

    def serve(one: Worker) -> None:
        while True:
            with lock:
                block = next(blocks, None)
            if block is None:
                return
            reply = one({"keys": [block]})
            problems.extend(error for error in reply["error"] if error)

    threads = [threading.Thread(target=serve, args=(one,)) for one in crew for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in crew:
        one.close()
    assert not problems


@pytest.mark.parametrize("stop", ["never", "decided"])
def test_workers_write_what_one_process_would(tmp_path: Path, stop: str) -> None:
    worlds.problems(tmp_path / "text", 16)
    rollouts = {"model": "policy", "k": 6, "above": 0.0, "below": 1.0, "stop": stop, "chunk": 2}
    with endpoint.serving() as server:
        clean = worlds.recipe_over(tmp_path, server.url, name="clean", perception=None, rollouts=rollouts)
        spec = Spec("rollout", "policy")
        with suppress(RunError):  # all right or all wrong: no row is left, and that is not the question here
            build(clean, Display())
        alone = len(server.requests)
        wanted = clean.model_copy(update={"name": "shared"})
        with employing(wanted) as run:
            at = gather.setting(run, wanted)
            keys = steps.unanswered(spec, at, run.questions.rows())
            assert len(keys) == 16
            work(assignment(run, wanted, spec), keys)
            assert steps.unanswered(spec, at, run.questions.rows()) == []
        assert len(server.requests) == 2 * alone
    frames = [one.answers.frame().sort("question_id", "rollout") for one in (Run(clean.run_dir), run)]
    assert frames[0].equals(frames[1])
    assert len({path.stem.split("-")[-1] for path in run.answers.shards()}) == 2


def test_a_build_after_workers_asks_nothing_and_ends_as_one_alone(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 10)
    with endpoint.serving() as server:
        clean = build(worlds.recipe_over(tmp_path, server.url, name="clean", text=None), Display())
        alone = len(server.requests)
        wanted = worlds.recipe_over(tmp_path, server.url, name="shared", text=None)
        with employing(wanted) as run:
            at = gather.setting(run, wanted)
            work(
                assignment(run, wanted, Spec("teacher", "teacher")),
                steps.untaught(at, "perception"),
            )
            write_questions(at)
            for solver in ("one", "two", "one"):
                spec = Spec("probe", solver)
                keys = steps.unanswered(spec, at, run.questions.rows())
                work(assignment(run, wanted, spec), keys)
            probed = len(server.requests)
        build(wanted, Display())
        assert len(server.requests) == 2 * alone
        assert {request["model"] for request in server.requests[probed:]} == {"policy"}
    assert content(run) == content(clean)


def test_a_refused_question_is_asked_again_by_the_worker(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci", 10)
    faults = [endpoint.saying("nonsense")] * 2  # fewer than the tries of one image, which may get them all
    with endpoint.serving(endpoint.Endpoint(faults=faults)) as server:
        wanted = worlds.recipe_over(tmp_path, server.url, text=None)
        with employing(wanted) as run:
            at = gather.setting(run, wanted)
            work(assignment(run, wanted, Spec("teacher", "teacher")), steps.untaught(at, "perception"))
            assert steps.untaught(at, "perception") == []
    assert run.attempts.count() == len(server.requests) == 12


def test_a_block_given_twice_is_asked_once(tmp_path: Path) -> None:
    worlds.problems(tmp_path / "text", 6)
    with endpoint.serving(endpoint.Endpoint(delay_seconds=0.05)) as server:
        wanted = worlds.recipe_over(tmp_path, server.url, perception=None)
        with employing(wanted) as run:
            told = assignment(run, wanted, Spec("rollout", "policy"))
            keys = sorted(run.questions.keys("question_id"))
            one = Worker(told)
            threads = [threading.Thread(target=one, args=({"keys": [keys]},)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert one({"keys": [keys]})["done"] == [6]
            one.close()
            # Another process, after this one's death.
            other = Worker(told)
            assert other({"keys": [keys]})["done"] == [6]
            other.close()
    assert run.answers.count() == 18


def test_a_model_that_fails_from_the_first_reply_on_comes_back_as_a_row_and_its_rows_are_open(tmp_path: Path) -> None:
    worlds.problems(tmp_path / "text", 30)
    with endpoint.serving(endpoint.Endpoint(always=endpoint.status(400, message="no such adapter"))) as server:
        wanted = worlds.recipe_over(tmp_path, server.url, perception=None)
        with employing(wanted) as run:
            keys = sorted(run.questions.keys("question_id"))
            one = Worker(assignment(run, wanted, Spec("rollout", "policy")))
            failed = one({"keys": [keys]})
            one.close()
    assert failed["kind"] == ["EngineError"]
    assert "first 20 replies of the step rollout" in failed["error"][0]
    assert "no such adapter" in failed["error"][0]
    assert run.answers.count() == 0


def test_workers_count_what_failed_and_what_was_sent_again(tmp_path: Path) -> None:
    worlds.problems(tmp_path / "text", 8)
    faults = [endpoint.status(429, "0")] * 2 + [endpoint.status(400)] * 2
    with endpoint.serving(endpoint.Endpoint(faults=faults)) as server:
        wanted = worlds.recipe_over(tmp_path, server.url, perception=None, rollouts={"model": "policy", "k": 1})
        with employing(wanted) as run:
            keys = sorted(run.questions.keys("question_id"))
            one = Worker(assignment(run, wanted, Spec("rollout", "policy")))
            replies = [one({"keys": [keys[:5]]}), one({"keys": [keys[5:]]})]
            one.close()
    assert [reply["replies"] for reply in replies] == [[5], [3]]
    assert [reply["failed"] for reply in replies] == [[2], [0]]
    assert [reply["retried"] for reply in replies] == [[2], [0]]


def test_what_fails_comes_back_as_a_row(tmp_path: Path) -> None:
    worlds.problems(tmp_path / "text", 3)
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1", perception=None)
    model = wanted.models["policy"].model_copy(update={"patience_seconds": 0.2})
    wanted = wanted.model_copy(update={"models": wanted.models | {"policy": model}})
    with employing(wanted) as run:
        told = assignment(run, wanted, Spec("rollout", "policy"))
        keys = sorted(run.questions.keys("question_id"))
        one = Worker(told)
        for _ in range(2):  # the second finds the desk broken
            reply = one({"keys": [keys]})
            assert reply["kind"] == ["EngineError"]
            assert "127.0.0.1:1" in reply["error"][0]
        one.close()


def test_a_worker_of_another_build_or_without_the_folder_is_refused(tmp_path: Path) -> None:
    worlds.problems(tmp_path / "text", 3)
    wanted = worlds.recipe_over(tmp_path, "http://127.0.0.1:1/v1", perception=None)
    with employing(wanted) as run:
        late = Worker(assignment(run, wanted, Spec("rollout", "policy"), build="an older one"))
        assert "not the one that is being built" in late({"keys": [["x"]]})["error"][0]
        (run.path / ".lock-workers").unlink()
        blind = Worker(assignment(run, wanted, Spec("rollout", "policy")))
        assert "cannot be used here" in blind({"keys": [["x"]]})["error"][0]


def test_dying_for_nothing_has_an_end_and_any_row_begins_the_count_anew(tmp_path: Path) -> None:
    worlds.problems(tmp_path / "text", 3)
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(tmp_path, server.url, perception=None)
        with employing(wanted) as run:
            told = assignment(run, wanted, Spec("rollout", "policy"))
            first, *others = sorted(run.questions.keys("question_id"))
            for _ in range(2 * told.workers + SPARE_DEATHS):
                run.event(STARTED, build="b", step="rollout, policy")
                run.event(STARTED, build="an older one", step="rollout, policy")
            vain = Worker(told)({"keys": [[first]]})
            assert vain["kind"] == ["EngineError"]
            assert "have died 5 times without writing a row" in vain["error"][0]
            time.sleep(1.1)  # events tell whole seconds
            run.event(ASKED, step="rollout", model="policy", rows=1)
            one = Worker(told)
            assert one({"keys": [[first, *others]]})["done"] == [3]
            one.close()


def test_no_build_begins_while_workers_of_another_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "WORKERS_SECONDS", 0.3)
    with locks.alone(tmp_path):
        locks.employ(tmp_path, "b")
    one, another = locks.working(tmp_path, "b"), locks.working(tmp_path, "b")
    with one, another, pytest.raises(RunError, match="still writing"), locks.alone(tmp_path):
        pass
    with locks.alone(tmp_path), pytest.raises(RunError, match="not the one"), locks.working(tmp_path, "b"):
        pass


def test_a_block_is_done_when_its_rows_are_written() -> None:
    asked = {"a": [["a1"], ["a2"], []], "b": [["b1"], []]}
    feed: BlockQueue[str] = BlockQueue(
        lambda key: asked[key].pop(0), lambda item: item[0], lambda *_: None, lambda _: None
    )
    first, second = Block(["a"], None), Block(["b", "a"], None)
    feed.add(first)
    assert feed.wait_for_block()
    items = iter(feed)
    assert next(items) == "a1"
    feed.add(second)
    assert next(items) == "b1"
    assert next(items) is None
    feed.heard("b1")
    feed.heard("a1")
    assert next(items) == "a2"
    assert feed.newly_finished() == 0
    feed.heard("a2")
    assert list(items) == []
    assert not first._over.is_set()
    assert feed.newly_finished() == 2
    first.wait()
    second.wait()
    feed.fail(EngineError("too late to matter"))
    first.wait()


def test_what_workers_get_by_default_and_by_the_recipe(tmp_path: Path) -> None:
    vllm = {"engine": "vllm", "model": "big", "vllm": {"tensor_parallel_size": 4}}
    models = {"teacher": vllm, "policy": {"engine": "transformers", "model": "small"}}
    models["served"] = {"engine": "openai", "model": "x", "base_urls": ["http://127.0.0.1:1/v1"]}
    wanted = worlds.recipe_over(
        tmp_path, "http://x/v1", perception=None, models=models,
        ray={"cpus": 2, "models": {"policy": {"workers": 8, "gpus": 0.5}}},
    )  # fmt: skip

    def each(name: str, gpus_there: bool = True) -> RayWorkers:
        return wanted.ray.workers_for(name, wanted.models[name], gpus_there)

    assert each("teacher") == RayWorkers(workers=None, gpus=4, cpus=2)
    assert each("teacher", gpus_there=False) == RayWorkers(workers=None, gpus=0, cpus=2)
    assert each("policy") == RayWorkers(workers=8, gpus=0.5, cpus=2)
    assert each("served") == RayWorkers(workers=1, gpus=0, cpus=2)
    two_nodes = [{"CPU": 32.0, "GPU": 4.0}, {"CPU": 3.0, "GPU": 4.0}, {"CPU": 64.0}]
    assert cluster.room(two_nodes, each("teacher")) == 2
    assert cluster.room(two_nodes, each("policy")) == 9
    with pytest.raises(EngineError, match="3 CPUs and 4 GPUs"):
        cluster.room(two_nodes[1:], RayWorkers(gpus=8, cpus=1))
    unknown = {"ray": {"models": {"nobody": {"workers": 1}}}}
    with pytest.raises(recipe.RecipeError, match=r"ray\.models names 'nobody'"):
        worlds.recipe_over(tmp_path, "http://x/v1", **unknown)


@pytest.mark.parametrize("address", ["nonsense", "ray://10.0.0.1:10001", "10.0.0.1:port", ":6379"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(EngineError, match="auto or host:port"):
        cluster._check(address)


def test_an_address_where_nothing_answers_is_refused() -> None:
    with pytest.raises(EngineError, match="Nothing answers at the Ray address"):
        cluster._check("127.0.0.1:9")
