"""Pass rates measured anew between stages: what is asked, what is left, what a rerun does, what is refused."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import polars as pl
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from capcurriculum.errors import EngineError, RecipeError, TrainerError
from capcurriculum.ledger.verify import verify
from capcurriculum.ledger.why import life
from capcurriculum.locks import Share
from capcurriculum.recipe import Recipe, dump
from capcurriculum.recipe.curriculum import OrderSection
from capcurriculum.recipe.training import RefreshSection, StageRun, TrainingRecipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import Question, Request, Response
from capcurriculum.run import Run
from capcurriculum.stats import pass_counts
from datagen import engines
from datagen.engines.protocol import Traffic
from tests.support import training_data
from tests.training.test_chain import stand_in
from training import chain, command, remarks, stage_files
from training.checkpoints import export
from training.knobs import resolve
from training.refresh import asking, files, wanted, workers
from training.refresh.task import Task
from training.supervise import curves, metrics, supervisor

pytestmark = pytest.mark.usefixtures("light_preflight")

#: Of the rows of `stand_in_engine`: rates 0 and 1, and one that cannot be read.
HARD, EASY, UNREAD = {0, 9, 18}, {8, 17}, {13}


class Engine:
    """Answers the sums of `training_data`: row n right in the first n % 9 of its rollouts, row 13 never readably."""

    window = None

    def __init__(self, asked: list[Request], stop_after: int | None = None) -> None:
        self.traffic, self.asked, self.stop_after = Traffic(), asked, stop_after

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stream(self, requests: Iterable[Request | None]) -> Iterator[Response]:
        for request in requests:
            assert request is not None
            if len(self.asked) == self.stop_after:
                raise EngineError("The model is gone: a test.")
            self.asked.append(request)
            yield Response(request.key, self.reply(request), "stop", 5, 5)

    def reply(self, request: Request) -> str:
        number, _, more = request.messages[1].text.removeprefix("What is ").removesuffix("?").split()
        total = int(number) + int(more)
        said = total if request.rollout < int(number) % 9 else total + 1
        return "who knows" if int(number) in UNREAD else f"<think>hm</think> \\boxed{{{said}}}"


def recipe(root: Path, **training: Any) -> Recipe:
    knobs = {"max_steps": 2, "epochs": 2, **training.pop("knobs", {})}
    refresh = training.pop("refresh", {})
    names = training.pop("stages", ["perception", "text"])
    return training_data.recipe(
        root, {"model": str(root / "parent"), "stages": names, "knobs": knobs, "refresh": refresh, **training}
    )


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of two stages, and a parent; the trainer is a stand-in, and the processes that ask are this one."""
    parent = tmp_path / "parent"
    parent.mkdir()
    (parent / "config.json").write_text("{}")
    (parent / "model.safetensors").write_bytes(training_data.weights("weights"))
    for stage in ("perception", "text"):
        training_data.write_stage(tmp_path / "runs" / "demo" / "stages", stage, train=20)
    monkeypatch.setattr(export, "_verify", lambda *arguments: "A")
    monkeypatch.setattr(supervisor, "run", stand_in())

    def here(task: Task, solver: str, work: Path) -> None:
        asking.answer(workers.describe(task, solver, work), Share(0, 1), Display(Console(quiet=True)))

    monkeypatch.setattr(workers, "ask", here)
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    found: list[Request] = []
    monkeypatch.setattr(engines, "create", lambda section: Engine(found))
    return found


def plan(root: Path) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = json.loads((root / "runs/demo/training/plan.json").read_text())["stages"]
    return stages


def refreshed(root: Path) -> pl.DataFrame:
    return pl.read_parquet(root / "runs/demo/training/text/refresh/train-*.parquet")


def numbers(root: Path) -> list[int]:
    return [int(name.rpartition("-")[2]) for name in refreshed(root)["question_id"]]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_next_stage_trains_on_the_rows_of_the_band_in_the_order_of_the_new_rates(
    built: Path, asked: list[Request]
) -> None:
    before = bytes_of(built / "runs/demo/stages")
    chain.train(recipe(built))
    first, second = plan(built)
    assert (first["state"], second["state"]) == ("done", "done")
    assert (first["refresh"], first["refreshed_by"], first["rows"]) == (None, "", 20)
    left = set(range(20)) - HARD - EASY - UNREAD
    assert set(numbers(built)) == left
    assert [n % 9 for n in numbers(built)] == sorted((n % 9 for n in left), reverse=True)
    assert (second["rows"], second["refresh_rows"], second["refresh_rollouts"]) == (len(left), 20, len(asked))
    assert second["refreshed_by"].startswith(f"training/perception@{first['checkpoint_digest']}-")
    assert second["parent_digest"] == first["checkpoint_digest"]
    assert second["refresh"] == {"k": 8, "above": 0.0, "below": 1.0, "order": "easy_to_hard"}
    assert bytes_of(built / "runs/demo/stages") == before
    assert {request.model for request in asked} == {first["checkpoint"]}
    assert (asked[0].sampling.temperature, asked[0].sampling.max_tokens) == (1.0, 96)
    steps = metrics.load(built / "runs/demo/training" / curves.METRICS)
    assert curves.refreshed(steps) == {"text": len(left) / 20}


def test_rows_are_copied_as_they_are(built: Path, asked: list[Request]) -> None:
    chain.train(recipe(built))
    source = built / "runs/demo/stages/text/train-00000-of-00001.parquet"
    whole = {row["question_id"]: row for row in pq.read_table(source).to_pylist()}
    (made,) = (built / "runs/demo/training/text/refresh").glob("*.parquet")
    table = pq.read_table(made)
    assert table.schema == pq.read_schema(source)
    assert [whole[row["question_id"]] for row in table.to_pylist()] == table.to_pylist()


@pytest.mark.parametrize(
    ("section", "order"),
    [
        ({"order": "hard_to_easy"}, [1, 10, 19, 2, 11, 3, 12, 4, 5, 14, 6, 15, 7, 16]),
        ({"order": "as_built"}, [1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 14, 15, 16, 19]),
        ({"above": 0.25, "below": 0.9}, [7, 16, 6, 15, 5, 14, 4, 3, 12]),
        ({"k": 4, "order": "as_built"}, [1, 2, 3, 10, 11, 12, 19]),
    ],
)
def test_band_and_order_are_those_of_the_recipe(
    built: Path, asked: list[Request], section: dict[str, Any], order: list[int]
) -> None:
    small = {"batch_size": 4, "mini_batch_size": 4, "log_prob_micro_batch": 20, "update_micro_batch": 20}
    chain.train(recipe(built, refresh=section, knobs=small))
    assert numbers(built) == order


def test_rows_that_fill_no_batch_are_told_once_they_are_known(
    built: Path, asked: list[Request], capsys: pytest.CaptureFixture[str]
) -> None:
    chain.train(recipe(built))
    assert "text: 6 of 14 rows (43 %), the last in their order, are never trained on" in capsys.readouterr().err


def test_a_row_is_asked_no_further_than_its_fate_needs(built: Path, asked: list[Request]) -> None:
    chain.train(recipe(built, refresh={"order": "as_built"}))
    by_row: dict[str, int] = {}
    for request in asked:
        by_row[request.messages[1].text] = by_row.get(request.messages[1].text, 0) + 1
    assert by_row["What is 2 + 2?"] == 4  # right and wrong among the first four: it stays, whatever comes
    assert by_row["What is 9 + 4?"] == 8


def test_nothing_that_is_made_of_the_run_reads_the_answers(built: Path, asked: list[Request]) -> None:
    run = Run(built / "runs/demo")
    chain.train(recipe(built))
    assert set(run.answers.frame("purpose")["purpose"]) == {"refresh"}
    assert pass_counts(run.answers.scan()).collect().is_empty()
    verdicts = {verdict.question_id: verdict for verdict in run.verdicts.rows()}
    assert len(verdicts) == 20
    reasons = {name: verdict.reason for name, verdict in verdicts.items()}
    assert reasons["text-train-9"] == "pass_rate_too_low"
    assert reasons["text-train-8"] == "pass_rate_too_high"
    assert reasons["text-train-13"] == "unmeasured"
    assert "training/perception@" in verdicts["text-train-9"].detail
    assert not verdicts["text-train-9"].keep
    assert verdicts["text-train-4"].keep


def test_why_tells_the_pass_rate_under_each_checkpoint(built: Path, asked: list[Request]) -> None:
    asked_for = recipe(built)
    run = Run(built / "runs/demo")
    (run.path / "recipe.yaml").write_text(dump(asked_for))
    run.questions.append(
        [Question("text-train-4", "text", "What is 4 + 4?", "8", (), "s", "", "", "", "", "test", "cc0")]
    )
    chain.train(asked_for)
    told = list(life(run, "text-train-4"))
    assert any(line.startswith("pass rate of text-train-4 under training/perception@") for line in told)
    assert next(line for line in told if line.startswith("pass rate")).endswith(": 4 of 8")
    (verdict,) = (line for line in told if line.startswith("verdict refresh: keep"))
    assert "other parameters" not in verdict


def test_a_rerun_asks_nothing_again(built: Path, asked: list[Request], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(job: supervisor.Job) -> None:
        if job.folder.name == "text":
            raise TrainerError("The trainer broke down: a test.")
        stand_in()(job)

    monkeypatch.setattr(supervisor, "run", broken)
    with pytest.raises(TrainerError, match="broke down"):  # between the refresh and the first step
        chain.train(recipe(built))
    number, before, made = len(asked), plan(built)[1], bytes_of(built / "runs/demo/training/text/refresh")
    monkeypatch.setattr(supervisor, "run", stand_in())
    chain.train(recipe(built))
    after = plan(built)[1]
    assert len(asked) == number
    assert (after["state"], after["dataset_digest"]) == ("done", before["dataset_digest"])
    assert bytes_of(built / "runs/demo/training/text/refresh") == made
    assert Run(built / "runs/demo").verdicts.count() == 20
    chain.train(recipe(built))
    assert plan(built)[1] == after


def test_a_refresh_that_is_interrupted_goes_on_where_it_stopped(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed: list[Request] = []
    found: list[Request] = []
    monkeypatch.setattr(engines, "create", lambda section: Engine(found, stop_after=50))
    with pytest.raises(EngineError, match="The model is gone"):
        chain.train(recipe(built))
    assert [stage["state"] for stage in plan(built)] == ["done", "pending"]
    assert not (built / "runs/demo/training/text/.refresh.work").exists()
    monkeypatch.setattr(engines, "create", lambda section: Engine(undisturbed))
    chain.train(recipe(built))
    assert len(found) == 50
    assert not {request.key for request in found} & {request.key for request in undisturbed}
    assert plan(built)[1]["refresh_rollouts"] == 50 + len(undisturbed)
    assert set(numbers(built)) == set(range(20)) - HARD - EASY - UNREAD


@pytest.mark.parametrize("done", [False, True])
def test_refreshed_files_that_are_damaged_are_made_again_of_the_answers(
    built: Path, asked: list[Request], monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    def stopped(job: supervisor.Job) -> None:
        stand_in(fail_at=1 if job.folder.name == "text" else None)(job)

    monkeypatch.setattr(supervisor, "run", stopped)
    with pytest.raises(TrainerError, match="broke down"):  # after its first step, so that the stage has begun
        chain.train(recipe(built))
    monkeypatch.setattr(supervisor, "run", stand_in())
    if done:
        chain.train(recipe(built))
    (file,) = (built / "runs/demo/training/text/refresh").glob("*.parquet")
    whole, number = file.read_bytes(), len(asked)
    file.write_bytes(whole[:100] + b"x" + whole[101:])
    chain.train(recipe(built))
    assert [stage["state"] for stage in plan(built)] == ["done", "done"]
    assert len(asked) == number
    assert done or file.read_bytes() == whole


def test_the_plan_can_be_traced_to_the_set(built: Path, asked: list[Request]) -> None:
    chain.train(recipe(built))
    folder, second = built / "runs/demo/training/text/refresh", plan(built)[1]
    whole = stage_files.set_files("text", [built / "runs/demo/stages/text"])
    assert second["dataset_digest"] != whole.digest
    assert files.made_from(folder, second["dataset_digest"]) == whole.digest
    assert files.made_from(folder, "other") == "other"
    assert verify(Run(built / "runs/demo"))[1] == []


def test_what_will_not_be_used_is_not_told_of_a_stage_whose_rows_are_not_known(built: Path) -> None:
    assert any("text" in line for line in remarks.of(Run(built / "runs/demo"), recipe(built, refresh=None)))
    told = remarks.of(Run(built / "runs/demo"), recipe(built))
    assert any(line.startswith("training, perception") for line in told)
    assert not any(line.startswith("training, text") for line in told)


def test_a_begun_stage_keeps_its_refresh_and_one_that_has_not_begun_follows_the_recipe(
    built: Path, asked: list[Request]
) -> None:
    with pytest.raises(TrainerError, match=r"none are left where 0.9 < pass rate < 0.95 .*widen training.refresh"):
        chain.train(recipe(built, refresh={"above": 0.9, "below": 0.95}))
    number = len(asked)
    chain.train(recipe(built))  # nothing was trained under the narrow band
    assert len(asked) - number < number  # what was answered is not asked again
    for changed, says in (({"k": 4}, "k: 8 .*and now k: 4"), ({"above": 0.2}, "above: 0.2"), (None, "and now none")):
        with pytest.raises(
            TrainerError, match=rf"Stage text was begun \(done\) under another training.refresh.*{says}"
        ):
            chain.train(recipe(built, refresh=changed))
    with pytest.raises(
        TrainerError, match=r"Stage perception was begun \(done\) under another training.refresh \(none"
    ):
        chain.train(recipe(built, refresh={"stages": ["perception", "text"]}))
    cooler = ["perception", {"stage": "text", "knobs": {"temperature": 0.5}}]
    with pytest.raises(TrainerError, match=r"Stage text was begun .* another configuration \(.*temperature 1.0 -> 0.5"):
        chain.train(recipe(built, stages=cooler))


def test_fewer_rows_than_a_batch_are_said(built: Path, asked: list[Request]) -> None:
    with pytest.raises(TrainerError, match=r"Of the 20 training rows of text, 2 are left .*a batch needs 8; widen"):
        chain.train(recipe(built, refresh={"above": 0.8, "below": 1.0, "k": 9}))
    assert plan(built)[1]["state"] == "pending"


def test_a_first_stage_can_be_refreshed_by_the_first_parent(built: Path, asked: list[Request]) -> None:
    chain.train(recipe(built, stages=["text"], refresh={"stages": ["text"]}))
    (stage,) = plan(built)
    assert stage["refreshed_by"].startswith(f"{built}/parent@{export.checkpoint_digest(built / 'parent')}-")
    assert stage["rows"] == 14
    number = len(asked)
    chain.train(recipe(built, stages=["text"], refresh={"stages": ["text"]}))
    assert len(asked) == number


def test_the_first_stage_is_refreshed_where_another_model_measured_its_rows(
    built: Path, asked: list[Request], capsys: pytest.CaptureFixture[str]
) -> None:
    measured = {"m": {"engine": "transformers", "model": "micro:start"}}
    for trained, first in (("micro:hedging", "micro:hedging answers its 20 rows"), ("micro:start", "")):
        settings = {"model": trained, "stages": ["perception", "text"], "refresh": {}, "knobs": {"max_steps": 2}}
        chain.train(training_data.recipe(built, settings, models=measured), dry_run=True)
        out = capsys.readouterr().out
        assert ("perception: before its first step" in out) is bool(first)
        assert first in out
        assert "text: before its first step training/perception answers its 20 rows" in out


def test_a_dry_run_shows_the_refresh_and_counts_its_rollouts(
    built: Path, asked: list[Request], capsys: pytest.CaptureFixture[str]
) -> None:
    chain.train(recipe(built), dry_run=True)
    out = capsys.readouterr().out
    assert "up to 8 times each, with transformers; those with 0 < pass rate < 1 are trained on (easy_to_hard)" in out
    assert "160" in next(line for line in out.splitlines() if line.startswith("text") and "pending" in line)
    assert not asked
    assert not (built / "runs/demo/training").exists()
    chain.train(recipe(built))
    chain.train(recipe(built), dry_run=True)
    assert "text: 14 of 20 rows are left after" in capsys.readouterr().out


def refused(root: Path, **training: Any) -> Callable[[], None]:
    return lambda: chain.train(recipe(root, **training), dry_run=True)


def test_what_cannot_be_refreshed_is_one_sentence(built: Path) -> None:
    told = [{"stage": "perception", "method": "sft"}, "text"]
    training_data.write_captions(built / "runs/demo", "perception", train=20)
    for call, error, says in (
        (refused(built, refresh={"stages": ["visual"]}), RecipeError, "names visual, which is no stage of this train"),
        (refused(built, stages=told, refresh={"stages": ["perception"]}), RecipeError, "trained on captions, which ha"),
        (refused(built, refresh={"k": 1}), RecipeError, "training.refresh.k"),
        (refused(built, refresh={"above": 0.5, "below": 0.5}), RecipeError, "above must be the smaller one"),
        (refused(built, refresh={"order": "random"}), RecipeError, "training.refresh.order"),
        (lambda: command.for_easyr1(recipe(built), chains=True, dry_run=True), TrainerError, "leave out training.refr"),
    ):
        with pytest.raises(error, match=says):
            call()


def test_an_order_that_would_be_undone_or_undo_another_is_refused() -> None:
    section, folders = RefreshSection(), [Path("a")]
    knobs = resolve(TrainingRecipe(), StageRun(stage="text"))
    shuffled = knobs.model_copy(update={"shuffle": True})
    balanced = OrderSection.model_validate({"order": "merged", "balance": {"by": "skill", "batch": 4}})
    for say, arguments in (
        ("Knob shuffle draws the rows of text anew", (shuffled, folders, None)),
        ("files of its own for each epoch", (knobs, [*folders, Path("b")], None)),
        ("balanced by skill", (knobs, folders, balanced)),
    ):
        with pytest.raises(RecipeError, match=rf"{say}.* set training.refresh.order to as_built"):
            wanted.check_order(section, "text", *arguments)
        wanted.check_order(RefreshSection(order="as_built"), "text", *arguments)
    wanted.check_order(section, "text", knobs, folders, None)


def test_a_stage_after_captions_is_refreshed_and_the_captions_are_not(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training_data.write_captions(built / "runs/demo", "perception", train=20)
    told = [{"stage": "perception", "method": "sft", "knobs": {"batch_size": 4, "update_micro_batch": 4}}, "text"]
    chain.train(recipe(built, stages=told), dry_run=True)
    out = capsys.readouterr().out
    assert "text: before its first step" in out
    assert "perception: before its first step" not in out
