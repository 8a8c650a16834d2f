"""The runner: phases, what is judged again and what is not, and what the funnel makes of it."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capcurriculum import cli, recipe
from capcurriculum.errors import RecipeError
from capcurriculum.ledger import funnel
from capcurriculum.ledger import verdicts as verdicts_in_force
from capcurriculum.ledger.verdicts import kept_ids
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.filter_section import Phase
from capcurriculum.recipe.filters import CLASSES
from capcurriculum.render.progress import Display
from capcurriculum.rows import Answer, Question, Verdict
from capcurriculum.run import Run, writing
from curricula.build import build
from datagen.setting import Setting
from datagen.sources import gather
from filters import pipeline, runner
from filters.base import CorpusRule
from tests.support import endpoint, worlds

ROAD = ["wellformed", "leak", "perception", "blind", "swapped", "rollouts", "difficulty"]
URL = "http://127.0.0.1:1/v1"


class Careless(endpoint.Endpoint):
    """A teacher that now and then offers `all of the above`."""

    def _question(self, text: str) -> str:
        written = super()._question(text)
        return written.replace('"b ', '"all of the above ') if endpoint.unit("careless", written) < 0.4 else written


@dataclass
class World:
    """A finished run, and what may be built beside it."""

    folder: Path
    server: endpoint.Endpoint
    run: Run

    def recipe(self, filters: list[Any], **changes: Any) -> Recipe:
        return worlds.recipe_over(self.folder, self.server.url, {"stop": "never"}, filters=filters, **changes)

    def copy(self, folder: Path) -> Run:
        """The run in another place, for a test that changes it."""
        shutil.copytree(self.run.path, folder / self.run.path.name)
        return Run(folder / self.run.path.name)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    worlds.docci(folder / "docci")
    worlds.problems(folder / "text")
    with endpoint.serving(Careless()) as server:
        run = build(worlds.recipe_over(folder, server.url, {"stop": "never"}, filters=ROAD), Display())
        yield World(folder, server, run)


def verdicts(run: Run, name: str) -> list[Verdict]:
    return [v for v in run.verdicts.rows() if v.filter == name]


def test_every_question_has_a_verdict_of_every_filter_and_what_is_dropped_first_costs_no_request(world: World) -> None:
    run, wanted = world.run, world.recipe(ROAD)
    made = {q.question_id for q in run.questions.rows() if q.stage == "perception"}
    for name in ROAD:
        assert sorted(v.question_id for v in verdicts(run, name) if v.stage == "perception") == sorted(made)
    careless = {v.question_id for v in verdicts(run, "wellformed") if not v.keep}
    assert 0 < len(careless) < len(made)
    assert not careless & {a.question_id for a in run.answers.rows()}
    asked = {a.question_id for a in run.answers.rows() if a.purpose == "probe"}
    assert asked == made - careless
    not_asked = {v.question_id for v in verdicts(run, "perception") if v.reason == "not_asked"}
    assert not_asked == careless
    seen = {v.question_id for v in verdicts(run, "perception") if v.keep}
    assert {v.question_id for v in verdicts(run, "rollouts") if v.stage == "perception" and v.keep} == seen
    labelled = [v for v in verdicts(run, "blind") if v.reason == "right_without_image"]
    assert labelled
    assert all(v.keep for v in labelled)  # this endpoint is always right without an image, and perception decides
    kept = kept_ids(run, wanted).collect()["question_id"].to_list()
    written = [row["question_id"] for p in run.stages.glob("*/*.parquet") for row in pq.read_table(p).to_pylist()]
    assert sorted(kept) == sorted(written)
    assert seen < set(kept)


def test_another_list_of_filters_asks_only_for_what_it_lets_in_and_judges_that_anew(
    world: World, tmp_path: Path
) -> None:
    run, requests = world.copy(tmp_path), world.server.requests
    strict, lax = (world.recipe(names, runs=str(tmp_path)) for names in (ROAD, ROAD[1:]))
    first = kept_ids(run, strict).collect()
    answers, before = run.answers.count(), len(requests)
    careless = {v.question_id for v in verdicts(run, "wellformed") if not v.keep}

    build(lax, Display())
    new = run.answers.frame("question_id", "purpose").slice(answers)
    assert set(new["question_id"]) == careless
    assert len(requests) - before == new.height
    assert new.filter(pl.col("purpose") == "probe").height == len(careless) * 2 * 4
    last = {v.question_id: v.reason for v in verdicts(run, "perception")}
    assert "not_asked" not in last.values()
    assert "wellformed" not in {line.filter for line in funnel.lines(run)}

    asked, judged = len(requests), run.verdicts.count()
    build(strict, Display())
    assert (len(requests), run.verdicts.count()) == (asked, judged)
    assert kept_ids(run, strict).collect().equals(first)


def test_new_parameters_judge_again_without_asking(world: World, tmp_path: Path) -> None:
    run, asked = world.copy(tmp_path), len(world.server.requests)
    soft = {"name": "perception", "mode": "soft", "caption_at_least": 1, "image_at_most": 1}
    changed = world.recipe([*ROAD[:2], soft, *ROAD[3:]], runs=str(tmp_path))
    build(changed, Display())
    again = world.server.requests[asked:]
    assert again
    assert all(body["model"] == "policy" for body in again)  # rollouts of what the softer rule lets in
    assert len({v.params for v in verdicts(run, "perception")}) == 2
    assert {v.params for v in verdicts(run, "difficulty")} == {changed.filters[-1].digest(changed)}


def test_a_judgement_stopped_between_two_batches_ends_in_the_same_ledger(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, wanted = world.copy(tmp_path), world.recipe(ROAD)
    at = gather.setting(run, wanted)
    before = run.verdicts.frame().filter(pl.col("params") != "").sort("filter", "question_id")
    for shard in run.verdicts.shards():
        shard.unlink()
    judged, calls = runner._judged, []

    def torn(*arguments: Any) -> Iterator[Verdict]:
        calls.append(arguments)
        if len(calls) in (3, 9):
            raise KeyboardInterrupt
        return judged(*arguments)

    monkeypatch.setattr(runner, "BATCH", 3)
    monkeypatch.setattr(runner, "_judged", torn)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            [pipeline.run_phase(at, phase) for phase in Phase]
    for phase in Phase:
        pipeline.run_phase(at, phase)
    assert run.verdicts.frame().sort("filter", "question_id").equals(before)


def test_the_ledger_is_derived_once_a_phase_and_the_snapshot_ends_as_what_is_written(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.copy(tmp_path)
    wanted = world.recipe([*ROAD, "duplicates"], runs=str(tmp_path))
    for shard in run.verdicts.shards():
        shard.unlink()
    derived, last = [], verdicts_in_force._last
    monkeypatch.setattr(verdicts_in_force, "_last", lambda *a: derived.append(1) or last(*a))
    monkeypatch.setattr(runner, "BATCH", 5)
    for number, phase in enumerate(Phase, 1):
        ledger = runner.judge_phase(gather.setting(run, wanted), phase)
        assert len(derived) == number
        written = last(_ledger_of(run), verdicts_in_force.counting(wanted).lazy())
        columns = ["question_id", "stage", "filter", "keep", "reason", "seen", "at"]
        assert set(ledger.verdicts().select(columns).collect().rows()) == set(written.select(columns).collect().rows())
        for through in Phase:
            gone = written.filter(~pl.col("keep"), pl.col("phase") <= int(through), pl.col("filter") != "leak")
            assert set(ledger.dropped(through, but="leak").collect()["question_id"]) == set(
                gone.collect()["question_id"]
            )


def _ledger_of(run: Run) -> pl.LazyFrame:
    return verdicts_in_force._ledger(run).with_row_index("at")


def test_a_share_of_the_questions_is_judged_alone(world: World, tmp_path: Path) -> None:
    run, wanted = world.copy(tmp_path), world.recipe(ROAD)
    at = gather.setting(run, wanted)
    for shard in run.verdicts.shards():
        shard.unlink()
    some = run.questions.frame("question_id", "stage").filter(stage="perception").select("question_id").head(4)
    assert pipeline.run_phase(at, Phase.QUESTION, some.lazy()).collect().height <= 4
    assert {v.question_id for v in run.verdicts.rows()} == set(some["question_id"])
    pipeline.run_phase(at, Phase.QUESTION)
    judged = verdicts(run, "wellformed")
    assert len({v.question_id for v in judged}) == len(judged) == 12


def test_verdicts_of_before_filters_had_parameters_count_until_they_are_made_again(
    world: World, tmp_path: Path
) -> None:
    run, lines = world.copy(tmp_path), funnel.lines(world.run)
    for shard in run.verdicts.shards():
        pq.write_table(pq.read_table(shard).drop_columns(["params"]), shard)
    assert funnel.lines(run) != []
    assert {v.params for v in run.verdicts.rows()} == {""}
    assert [(x.filter, x.met, x.kept) for x in funnel.lines(run)] == [(x.filter, x.met, x.kept) for x in lines]
    asked = len(world.server.requests)
    build(world.recipe(ROAD, runs=str(tmp_path)), Display())
    assert len(world.server.requests) == asked
    assert run.verdicts.frame("params")["params"].null_count() > 0
    assert funnel.lines(run) == lines


class Rivals(CorpusRule):
    """A stand-in for a filter that compares questions: of all those alive it keeps the first."""

    phase: ClassVar[Phase] = Phase.QUESTION
    compares: ClassVar[bool] = True
    name: Literal["rivals"] = "rivals"

    def verdicts(self, at: Setting, questions: pl.LazyFrame) -> Iterator[Verdict]:
        best = ""
        for row in questions.sort("alive", "question_id", descending=[True, False]).collect().iter_rows(named=True):
            best = best or row["question_id"]
            keep = row["question_id"] == best
            yield Verdict(row["question_id"], row["stage"], "rivals", keep, "kept" if keep else "duplicate_row", best)


def test_a_filter_that_compares_questions_sees_what_the_others_leave(world: World, tmp_path: Path) -> None:
    run, wanted = world.copy(tmp_path), world.recipe(ROAD)
    listed = wanted.model_copy(update={"filters": (Rivals(stages=("perception",)), *wanted.filters)})
    at = gather.setting(run, listed)
    good = min(v.question_id for v in verdicts(run, "wellformed") if v.keep)
    assert pipeline.run_phase(at, Phase.QUESTION, run.questions.scan().select("question_id")).collect().height > 1
    assert not verdicts(run, "rivals")  # it waits until it can see all
    left = pipeline.run_phase(at, Phase.QUESTION).filter(stage="perception").collect()
    assert left["question_id"].to_list() == [good]
    count = run.verdicts.count()
    pipeline.run_phase(at, Phase.QUESTION)
    assert run.verdicts.count() == count
    without = listed.model_copy(update={"filters": tuple(f for f in listed.filters if f.name != "wellformed")})
    best = {v.detail for v in verdicts(run, "rivals")}
    pipeline.run_phase(gather.setting(run, without), Phase.QUESTION)
    made = min(q.question_id for q in run.questions.rows() if q.stage == "perception")
    assert {v.detail for v in verdicts(run, "rivals")} - best <= {made}
    assert len(verdicts(run, "rivals")) == 2 * 12  # others leave something else, so all are compared again


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Question], list[Answer]]:
    """Questions and any replies to them, also none."""
    count = draw(st.integers(1, 6))
    keys, texts = st.sampled_from("ABE"), st.sampled_from(["What?", "It is there."])
    options = ("a", "b", "c", "d")
    questions = [
        Question(
            f"q{n}",
            "perception",
            f"What is {n}?",
            draw(keys),
            options,
            "s",
            f"i{n}",
            "",
            "c",
            "c",
            "src",
            "l",
            draw(texts),
        )
        for n in range(count)
    ]
    outcomes = st.sampled_from(["right", "wrong", "unparsed", "failed", None])
    cells = [(s, "probe", arm) for s in ("one", "two") for arm in ("image", "caption", "blind", "swapped")]
    answers = [
        Answer(f"{q.question_id}{s}{arm}{p}", q.question_id, s, p, arm, 0, "", "A", outcome, "stop", 1, 1, "d")
        for q in questions
        for s, p, arm in [*cells, ("policy", "rollout", "image")]
        if (outcome := draw(outcomes))
    ]
    return questions, draw(st.permutations(answers))


@settings(max_examples=6, deadline=None)
@given(tables())
def test_a_verdict_exists_for_every_question_and_filter_whatever_the_evidence(
    drawn: tuple[list[Question], list[Answer]],
) -> None:
    questions, answers = drawn
    with tempfile.TemporaryDirectory() as folder:
        labelling = [{"name": name, "action": "label"} for name in ("wellformed", "perception")]
        names = [*labelling, "leak", "readable", "blind", "swapped", "rollouts", "difficulty"]
        wanted = worlds.recipe_over(Path(folder), URL, filters=names)
        with writing(wanted) as run:
            run.questions.append(questions)
            run.answers.append(answers)
            for phase in Phase:
                left = pipeline.run_phase(gather.setting(run, wanted), phase).collect()
            found = {(v.filter, v.question_id): v for v in run.verdicts.rows()}
            kept = kept_ids(run, wanted).collect()
    assert len(found) == len(wanted.filters) * len(questions)
    assert left["question_id"].to_list() == kept["question_id"].to_list()
    measured = {a.question_id for a in answers if a.purpose == "rollout" and a.outcome != "failed"}
    assert set(kept["question_id"]) <= measured
    for (name, _), verdict in found.items():
        assert (
            verdict.keep
            or verdict.reason == "not_asked"
            or name not in ("wellformed", "perception", "blind", "swapped")
        )


def counted(folder: Path) -> Run:
    """Six questions: `leak` objects to two of them, `wellformed` to one of those and to another."""
    wanted = worlds.recipe_over(folder, URL, filters=[*ROAD[:4], *ROAD[-2:]])
    with writing(wanted) as run:
        params = {section.name: section.digest(wanted) for section in wanted.filters}

        def say(name: str, number: int, reason: str, keep: bool = False) -> Verdict:
            return Verdict(f"q{number}", "perception", name, keep or reason == "kept", reason, "", (), params[name])

        bad = {
            "wellformed": {0: "not_a_question", 1: "not_a_question"},
            "leak": {1: "answer_in_question", 2: "answer_in_question"},
        }
        for name in ("wellformed", "leak"):
            run.verdicts.append(say(name, n, bad[name].get(n, "kept")) for n in range(6))
        gone = {0: "not_asked", 1: "not_asked", 2: "not_asked"}
        run.verdicts.append(say("perception", n, (gone | {3: "right_from_image"}).get(n, "kept")) for n in range(6))
        run.verdicts.append(
            say("blind", n, (gone | {3: "right_without_image", 4: "unknown_without_image"}).get(n, "kept"), n in (3, 4))
            for n in range(6)
        )
    return run


def test_the_funnel_is_sequential_and_says_what_is_kept_with_a_label(tmp_path: Path) -> None:
    lines = [(x.filter, x.met, x.kept, x.dropped, x.labelled) for x in funnel.lines(counted(tmp_path))]
    assert lines == [
        ("wellformed", 6, 4, {"not_a_question": 2}, {}),
        ("leak", 4, 3, {"answer_in_question": 1}, {}),
        ("perception", 3, 2, {"right_from_image": 1}, {}),
        ("blind", 2, 2, {}, {"unknown_without_image": 1}),
    ]


def test_each_filters_own_catch_counts_pairs_and_what_it_alone_objects_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = counted(tmp_path)
    lines = {x.filter: x for x in funnel.catches(run)}
    assert list(lines) == ["wellformed", "leak", "perception", "blind"]
    assert [(x.judged, x.caught, x.alone) for x in lines.values()] == [(6, 2, 1), (6, 2, 1), (3, 1, 0), (3, 1, 0)]
    assert lines["leak"].shared == {"wellformed": 1, "perception": 0, "blind": 0}
    assert lines["blind"].shared == {"wellformed": 0, "leak": 0, "perception": 1}
    assert cli.main(["funnel", str(run.path), "--overlap"]) == 0
    out = capsys.readouterr().out
    assert "1 wellformed" in out
    assert "kept, but labelled" in out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"filters": ["sharpness", "rollouts"]}, "there is no filter 'sharpness'; filters are readable"),
        ({"filters": ["leak", "leak", "rollouts", "difficulty"]}, r"names leak \(perception\) more than once"),
        ({"filters": ["perception"]}, "must list rollouts for perception"),
        ({"filters": [{"name": "rollouts", "stages": ["text"]}]}, "must list rollouts for perception"),
        ({"filters": ["rollouts"], "rollouts": {"model": "policy", "above": 0.1}}, "must list difficulty"),
        ({"filters": ["consistent", "rollouts"]}, "consistent needs perception.probe.other_order: true"),
        ({"filters": [{"name": "blind", "stages": ["text"]}, "rollouts"]}, "made from captions"),
        ({"filters": [{"name": "perception", "mode": "soft"}, "rollouts"]}, "that mode needs both"),
        ({"filters": [{"name": "perception", "mode": "at_least", "at_least": 3}, "rollouts"]}, "has fewer solvers"),
        ({"filters": [{"name": "perception", "at_least": 1}, "rollouts"]}, "at_least goes with mode: at_least"),
        ({"filters": [{"name": "leak", "stages": []}, "rollouts"]}, "at least one stage"),
        ({"filters": [{"name": "rollouts", "action": "label"}]}, "action"),
        ({"filters": [{"name": "readable", "minside": 5}, "rollouts"]}, "minside"),
        (
            {
                "filters": ["rollouts", {"name": "difficulty", "interval": "inside"}],
                "rollouts": {"model": "policy", "above": 0.1, "stop": "decided"},
            },
            "needs all replies of the rows it keeps",
        ),
    ],
)
def test_a_list_that_cannot_work_is_refused_in_one_sentence(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(RecipeError, match=words):
        worlds.recipe_over(tmp_path, URL, **changes)


def test_a_filter_on_an_arm_that_nobody_asks_is_refused(tmp_path: Path) -> None:
    perception = worlds.recipe_over(tmp_path, URL).model_dump()["perception"]
    perception["probe"]["arms"] = ["image", "caption"]
    with pytest.raises(RecipeError, match=r"the filter blind needs blind in perception\.probe\.arms"):
        worlds.recipe_over(tmp_path, URL, perception=perception, filters=["blind", "rollouts"])


def test_filters_are_no_part_of_a_runs_identity_and_survive_the_file(tmp_path: Path) -> None:
    one, other = (worlds.recipe_over(tmp_path, URL, filters=names) for names in (ROAD, ["rollouts"]))
    assert recipe.differences(one, other) == []
    file = tmp_path / "r.yaml"
    file.write_text(recipe.dump(one))
    assert recipe.load(file) == one
    assert digests(one) == digests(recipe.load(file))
    assert (
        digests(one)["difficulty"]
        != digests(worlds.recipe_over(tmp_path, URL, rollouts={"model": "policy", "below": 1.0}))["difficulty"]
    )


def digests(wanted: Recipe) -> dict[str, str]:
    return {section.name: section.digest(wanted) for section in wanted.filters}


def test_near_duplicates_and_benchmark_questions_are_dropped_by_a_build_and_the_best_is_kept(tmp_path: Path) -> None:
    lines = [
        {"problem": f"{who} has 12 apples and gives away 5 of them to a friend. How many are left?", "answer": "7"}
        for who in ("Anna", "Hanna", "Benjamin the gardener of the old castle")
    ]
    lines.append({"problem": "What is the largest prime number below one hundred, counted from 2?", "answer": "97"})
    (tmp_path / "text").mkdir()
    worlds.write_lines(tmp_path / "text" / "problems.jsonl", [json.dumps(line) for line in lines])
    benchmark = tmp_path / "bench.jsonl"
    worlds.write_lines(benchmark, [json.dumps({"question": lines[3]["problem"].upper()})])
    signature = tmp_path / "bench.parquet"
    assert cli.main(["signatures", "build", str(benchmark), "--name", "bench", "--out", str(signature)]) == 0
    filters = [{"name": "contamination", "signatures": [str(signature)]}, "rollouts", "difficulty", "duplicates"]
    with endpoint.serving() as server:
        wanted = worlds.recipe_over(tmp_path, server.url, perception=None, filters=filters, split={"val": 0, "test": 0})
        run = build(wanted, Display())
        asked = len(server.requests)
        again = build(wanted, Display())
        assert len(server.requests) == asked == 3
    reasons = {(v.filter, v.reason) for v in run.verdicts.rows() if not v.keep}
    assert reasons >= {("contamination", "contaminated"), ("duplicates", "near_duplicate")}
    kept = kept_ids(again, wanted).collect().height
    assert kept == 2


def test_every_registered_filter_bears_its_name_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom importlib import import_module\nfrom capcurriculum.recipe.filters import CLASSES\n"
        "for name, place in CLASSES.items():\n"
        "    module, _, kind = place.partition(':')\n"
        "    print(name, getattr(import_module(module), kind).model_fields['name'].default)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    *named, loaded = done.stdout.splitlines()
    assert [line.split() for line in named] == [[name, name] for name in CLASSES]
    assert not {"torch", "datasets", "matplotlib", "transformers", "vllm", "ray", "openai"} & set(loaded.split())
