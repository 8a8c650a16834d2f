"""The card of a model: its training and its numbers as the run has them, published ones apart, and nothing invented."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capcurriculum import cli, prompts, recipe
from capcurriculum.errors import RunError, TrainerError
from capcurriculum.recipe import Recipe
from capcurriculum.run import Run
from cards.model.card import render as render_model
from cards.staged import StagedModel
from evaluation import published
from evaluation.results import results
from tests.support import card_runs, results_data
from tests.support.card_text import FOREIGN, check
from training.supervise import curves, metrics

MAIN = [name for names in published.paper().suites["main"].values() for name in names]


QWEN = "/home/someone/.cache/huggingface/hub/models--Qwen--Qwen3-VL-8B-Instruct/snapshots/" + "a" * 40
MICRO = "/home/someone/capcurriculum/datagen/micro/checkpoints/start"


def stage(name: str, **changes: Any) -> dict[str, Any]:
    """A finished stage as a plan has it."""
    config = {"actor_rollout_ref.actor.optim.lr": 1e-6, "data.max_prompt_length": 100, "data.max_response_length": 28}
    values: dict[str, Any] = {"stage": name, "state": "done", "config": config | {"algorithm.adv_estimator": "grpo"}}
    values |= {"dataset_digest": f"d-{name}", "config_digest": f"c-{name}", "checkpoint_digest": f"w-{name}"}
    values |= {"rows": 3360, "batch_size": 512, "rollouts": 5, "epochs": 15, "steps_per_epoch": 6, "total_steps": 90}
    values |= {"parent": QWEN, "parent_digest": "p", "checkpoint": "/home/someone/checkpoint"}
    return values | changes


def steps(folder: Path, names: Sequence[str], **more: float) -> None:
    """The steps of a training, three a stage; `more` are further numbers of each."""
    for name in names:
        series = metrics.Series(folder / curves.METRICS, name, 1)
        for n in (1, 2, 3):
            data = {"critic/score/mean": n / 4, "response_length/mean": 90.0 - n, "timing_s/step": 1800.0}
            series.append({"step": n, "data": data | more})


def trained(folder: Path, *names: str, given: Recipe | None = None, parent: str = QWEN) -> StagedModel:
    """A run that has trained some stages, and a checkpoint of the last one staged as the Hub's folder would be."""
    run = Run(folder / "run")
    own = given or card_runs.plain(training={"backbone": "qwen3_vl_8b"})
    (run.path / "training").mkdir(parents=True)
    (run.path / "recipe.yaml").write_text(recipe.dump(own))
    (run.path / "training" / "plan.json").write_text(json.dumps({"stages": [stage(n, parent=parent) for n in names]}))
    for name in names:
        own_folder = run.path / "training" / name
        (own_folder / "checkpoint").mkdir(parents=True)
        (own_folder / "checkpoint" / "config.json").write_text('{"architectures": ["Qwen3VLForConditionalGeneration"]}')
        (own_folder / "checkpoint" / "model.safetensors").write_bytes(name.encode())
    steps(run.path / "training", names)
    staged = folder / "staged"
    staged.mkdir()
    for path in (run.path / "training" / names[-1] / "checkpoint").iterdir():
        (staged / path.name).hardlink_to(path)
    return StagedModel(staged, "someone/Model-Staged", run, names[-1], ("someone/Perception-Data",), own)


def card(staged: StagedModel) -> str:
    """The whole card, written anew."""
    render_model(staged)
    return (staged.folder / "README.md").read_text("utf-8")


def data(staged: StagedModel) -> Any:
    """The YAML as the Hub's library reads it."""
    from huggingface_hub import ModelCard

    return ModelCard.load(staged.folder / "README.md").data


def held_out(model: str, name: str, accuracy: float, weights: str = "", rows: int = 50) -> dict[str, Any]:
    """A line of a held-out file, of questions all of which are right equally often."""
    rates = {f"q{number}": accuracy for number in range(rows)}
    return {"model": model, "stage": name, "rows": rows, "replies": 4 * rows, "accuracy": accuracy, "half_width": 0.02,
            "unparsed": 0.01, "tokens": 88.5, "rates": rates, "weights": weights}  # fmt: skip


def score(benchmark: str, value: float, **changes: Any) -> dict[str, Any]:
    """A line of `results.parquet`."""
    return {"model": "after text", "suite": "main", "benchmark": benchmark, "score": value, "low": value - 1,
            "high": value + 1, "samples": 1000, "tokens": 400.0, "judge": "judge-model"} | changes  # fmt: skip


def test_a_training_is_told_stage_by_stage_as_its_plan_has_it(tmp_path: Path) -> None:
    staged = trained(tmp_path, "perception", "text")
    text = card(staged)
    check(text.split("\n---\n", 1)[1])
    assert "Stages: `perception` → `text`" in text
    assert (
        "| `perception` | GRPO | 3,360 | 15 | 90 | 512 | 5 | 0.250 to 0.750 | 89.0 to 87.0 | 1.500 | not measured |"
        in text
    )
    assert "| learning rate | `1e-06` | `1e-06` |" in text
    assert "`text`: rows `d-text`, settings `c-text`, parent `p`, checkpoint `w-text`" in text
    assert "vllm serve someone/Model-Staged --max-model-len 128" in text
    assert prompts.system() in text
    assert prompts.digest("system") in text
    assert "/home/someone" not in text
    assert str(tmp_path) not in text
    assert (staged.folder / "pictures" / "training.png").is_file()
    read = data(staged)
    assert (read.base_model, read.license) == ("Qwen/Qwen3-VL-8B-Instruct", "apache-2.0")
    assert (read.pipeline_tag, read.library_name) == ("image-text-to-text", "transformers")
    assert read.datasets == ["someone/Perception-Data"]
    before = {path: path.read_bytes() for path in render_model(staged)}
    assert {path: path.read_bytes() for path in render_model(staged)} == before


def test_an_earlier_stage_is_told_without_those_after_it(tmp_path: Path) -> None:
    staged = trained(tmp_path, "perception", "text")
    (tmp_path / "first").mkdir()
    weights = tmp_path / "run" / "training" / "perception" / "checkpoint" / "model.safetensors"
    (tmp_path / "first" / "model.safetensors").hardlink_to(weights)
    text = card(StagedModel(tmp_path / "first", "someone/First", staged.run, "perception", (), staged.recipe))
    assert "Stages: `perception`\n" in text
    assert "`text`:" not in text


def test_the_picture_is_that_of_the_chain_alone_and_claims_only_what_was_measured(tmp_path: Path) -> None:
    staged = trained(tmp_path, "perception", "text")
    assert "![Reward, response length (tokens) over the steps of all stages](pictures/training.png)" in card(staged)
    assert "eld-out accuracy is" not in card(staged)
    before = (staged.folder / "pictures" / "training.png").read_bytes()
    steps(tmp_path / "run" / "training", ["visual"])  # under way, and not what this checkpoint learned from
    card(staged)
    assert (staged.folder / "pictures" / "training.png").read_bytes() == before
    (tmp_path / "run" / "training" / curves.METRICS).unlink()
    steps(tmp_path / "run" / "training", ["perception", "text"], **{"val-core/capcurriculum/text/accuracy/mean@1": 0.5})
    text = card(staged)
    assert "![Held-out accuracy, reward, response length (tokens) over the steps of all stages]" in text
    assert "Held-out accuracy is the share of right replies to validation rows, which no training batch holds" in text
    (tmp_path / "run" / "training" / curves.METRICS).unlink()
    assert "pictures/training.png" not in card(staged)
    assert "not logged" in card(staged)


def test_what_nobody_measured_is_said_to_be_not_measured(tmp_path: Path) -> None:
    text = card(trained(tmp_path, "perception"))
    assert "| this model | measured by us | not measured | not measured | not measured |" in text
    assert "| staged | published, not measured by us | 51.10 | 80.44 | 65.77 |" in text
    assert "Held-out rows of its own stages: not measured." in text
    assert "Unknown: its training rows were not available." in text


def test_measured_and_published_numbers_stand_apart(tmp_path: Path) -> None:
    staged = trained(tmp_path, "perception", "text")
    folder = tmp_path / "run" / "evaluation"
    folder.mkdir()
    rows = [score(name, 50.0 + place) for place, name in enumerate(MAIN)]
    sample = score("POPE", 0.0, sample="reply 1")
    pl.DataFrame(
        [*[row | {"sample": None} for row in rows], sample], schema_overrides={"sample": pl.String}
    ).write_parquet(folder / "results.parquet")
    files = [
        held_out("start", "text", 0.4),
        held_out("after text", "text", 0.41),
        held_out("after visual", "text", 0.9),
    ]
    (folder / "heldout-1.json").write_text(json.dumps(files))
    text = card(staged)
    assert "| `after text` | measured by us | 51.50 | 55.50 | 53.50 |" in text
    assert (
        "| `after text` | `POPE` | 57.0 (56.0 to 58.0) | 1,000 | 400.0 | `judge-model` | base 88 (from a figure)"
        in text
    )
    assert "| `start` | `text` | 50 | 200 | 40.0% (37.1% to 44.3%) |  | 1.0% | 88.5 |" in text
    assert "| `after text` | `text` | 50 | 200 | 41.0% (38.1% to 45.2%) | +1.0 (-6.3 to +8.1) | 1.0% | 88.5 |" in text
    assert "after visual" not in text
    assert "no change is shown" in text
    files[1] = held_out("after text", "text", 0.4)
    (folder / "heldout-1.json").write_text(json.dumps(files))
    assert "On held-out rows of `text` the interval of its gain over the model that it was trained from" in card(staged)
    pl.DataFrame(rows[1:]).write_parquet(folder / "results.parquet")
    assert "| `after text` | measured by us | not measured | 55.50 | not measured |" in card(staged)


def test_paired_gains_and_lengths_of_a_comparison_are_shown_while_they_are_of_these_results(tmp_path: Path) -> None:
    staged = trained(tmp_path, "perception", "text")
    folder = tmp_path / "run" / "evaluation"
    told = {n: ("right" if n % 4 else "wrong", 20) for n in range(40)}
    before = {n: ("right" if n % 2 else "wrong", 40) for n in range(40)}
    results_data.write(folder, results_data.outcomes("base", "POPE", before, suite="main", weights="p"))
    results_data.write(folder, results_data.outcomes("run after text", "POPE", told, suite="main", weights="w-text"))
    assert "on the samples whose outcome" not in card(staged)
    assert cli.main(["compare", "base", "run after text", "--in", str(folder)]) == 0
    text = card(staged)
    check(text.split("\n---\n", 1)[1])
    assert "`run after text` against `base`, on the samples whose outcome is known for both" in text
    assert "| `POPE` | 40 | 0 | +25.0 (" in text
    assert "| 0.500 (too few samples) |" in text
    (result,) = data(staged).eval_results
    assert (result.dataset_name, result.metric_type, result.metric_value) == ("POPE", "accuracy", 75.0)
    results_data.write(folder, results_data.outcomes("base", "POPE", told, suite="main", setup="anew", weights="p"))
    text = card(staged)
    assert "against `base`" not in text
    assert "is outdated, because a model was evaluated again" in text
    (folder / "comparisons" / "base-vs-run_after_text" / "comparison.json").write_text("{")
    with pytest.raises(RunError, match="compare again"):
        card(staged)


def test_numbers_of_another_training_or_of_other_rows_are_not_shown(tmp_path: Path) -> None:
    staged = trained(tmp_path, "perception", "text")
    other = tmp_path / "run" / "trainings" / "other"
    other.mkdir(parents=True)
    (other / "plan.json").write_text(json.dumps({"stages": [stage("text", checkpoint_digest="w-other")]}))
    folder = tmp_path / "run" / "evaluation"
    folder.mkdir()
    lines = [
        held_out("start", "text", 0.4, "p"),
        held_out("after text", "text", 0.5, "w-text"),
        held_out("after text", "text", 0.9, "w-other"),
        held_out("after text", "text", 0.8),  # of whichever
        held_out("start", "text", 0.1, "p", rows=70),
    ]
    (folder / "heldout-1.json").write_text(json.dumps(lines))
    text = card(staged)
    assert "| `start` | `text` | 50 | 200 | 40.0% (37.1% to 44.3%) |" in text
    assert "| `after text` | `text` | 50 | 200 | 50.0% (46.4% to 53.6%) | +10.0 (+2.1 to +16.5) |" in text
    assert "no change is shown" not in text
    assert not any(number in text for number in ("90.0%", "80.0%", "10.0% ("))


def test_captions_taught_and_weights_kept_are_said(tmp_path: Path) -> None:
    staged = trained(tmp_path, "perception", "text")
    freeze = {
        "algorithm.adv_estimator": "grpo",
        "ray_kwargs.ray_init.runtime_env.env_vars.CAPCURRICULUM_FREEZE": "vision",
    }
    lora = {"optim.lr": 1e-5, "model.lora_rank": 16}
    stages = [stage("perception", config=lora), stage("text", config=freeze, validation=0.5)]
    (tmp_path / "run" / "training" / "plan.json").write_text(json.dumps({"stages": stages}))
    text = card(staged)
    assert "| `perception` | SFT |" in text
    assert "| `text` | GRPO |" in text
    assert "| 0.500 |" in text
    assert "Frozen (stage, weights): `text` `vision`. LoRA adapters were trained and merged into the weights" in text
    assert "(stage, rank): `perception` 16." in text


def test_a_base_that_nobody_knows_is_named_and_its_licence_unknown(tmp_path: Path) -> None:
    text = card(trained(tmp_path, "text", parent="/data/models/mine"))
    assert "It was trained from `mine`, the base model." in text
    assert "Licence: unknown" in text
    assert "license: unknown" in text
    assert "base_model" not in text


def test_a_checkpoint_from_nowhere_has_a_card_that_says_so(tmp_path: Path) -> None:
    text = card(StagedModel(tmp_path, "someone/Model", None, ""))
    assert "What it was trained from is unknown." in text
    assert "Unknown: no training plan came with this checkpoint." in text
    assert "nothing that the paper published is from this base model" in text
    read = data(StagedModel(tmp_path, "someone/Model", None, ""))
    assert read.license == "unknown"
    assert read.get("base_model") is None


def test_a_micro_model_shows_no_numbers_of_large_ones(tmp_path: Path) -> None:
    text = card(trained(tmp_path, "text", given=card_runs.plain(training={"backbone": "micro"}), parent=MICRO))
    assert "published, not measured" not in text
    assert "It is one of the micro models" in text
    assert "base_model" not in text


@pytest.mark.parametrize(
    ("file", "content", "error"),
    [
        ("training/plan.json", "{", TrainerError),
        ("training/plan.json", json.dumps({"stages": [stage("../../text")]}), TrainerError),
        ("training/metrics.parquet", "no parquet", TrainerError),
        ("evaluation/heldout-1.json", '[{"model": "start"}]', RunError),
        ("evaluation/results.parquet", "no parquet", RunError),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, file: str, content: str, error: type[Exception]) -> None:
    staged = trained(tmp_path, "text")
    (tmp_path / "run" / file).parent.mkdir(exist_ok=True)
    (tmp_path / "run" / file).write_text(content)
    with pytest.raises(error, match=r"damaged|cannot be read"):
        render_model(staged)


def test_scores_that_cannot_be_are_refused(tmp_path: Path) -> None:
    (tmp_path / "evaluation").mkdir()
    pl.DataFrame([score("POPE", 101.0)]).write_parquet(tmp_path / "evaluation" / "results.parquet")
    with pytest.raises(RunError, match="no score between 0 and 100"):
        results.scores_in(tmp_path / results.FOLDER)
    pl.DataFrame([{"model": "a"}]).write_parquet(tmp_path / "evaluation" / "results.parquet")
    with pytest.raises(RunError, match="its columns are model, suite, benchmark"):
        results.scores_in(tmp_path / results.FOLDER)


def test_published_averages_agree_with_their_benchmarks() -> None:
    paper = published.paper()
    checked = 0
    for model in paper.models:
        for group, names in paper.groups.items():
            known = [model.benchmarks[name][0] for name in names if name in model.benchmarks]
            if len(known) == len(names):
                assert sum(known) / len(known) == pytest.approx(model.averages[group], abs=0.1)
                checked += 1
        if {"visual_math", "perception", "overall"} <= model.averages.keys():
            both = (model.averages["visual_math"] + model.averages["perception"]) / 2
            assert both == pytest.approx(model.averages["overall"], abs=0.011)
    assert checked == 8


TEXTS = ("config", "digest", "model", "architecture", "asked")


def fuzzed(folder: Path, drawn: dict[str, str]) -> None:
    """A model card all of whose texts are foreign."""
    shutil.rmtree(folder, ignore_errors=True)
    own = card_runs.plain(training={"backbone": "micro", "model": drawn["model"]})
    staged = trained(folder, "text", given=own)
    assert staged.run is not None
    config = dict.fromkeys(("actor_rollout_ref.actor.optim.lr", "env.CAPCURRICULUM_FREEZE"), drawn["config"])
    named = stage("text", config=config, dataset_digest=drawn["digest"])
    first = stage("perception", parent=drawn["model"])
    (staged.run.path / "training" / "plan.json").write_text(json.dumps({"version": 1, "stages": [first, named]}))
    (staged.run.path / "evaluation").mkdir()
    asked = drawn["asked"]
    lines = [held_out("start", asked, 0.4), held_out("after text", asked, 0.4)]
    (staged.run.path / "evaluation" / "heldout-1.json").write_text(json.dumps(lines))
    pl.DataFrame([score(asked, 5.0, model=asked, judge=asked)]).write_parquet(
        staged.run.path / "evaluation" / "results.parquet"
    )
    (staged.folder / "config.json").unlink()
    (staged.folder / "config.json").write_text(json.dumps({"architectures": [drawn["architecture"]]}))
    text = card(staged)
    check(text.split("\n---\n", 1)[1])
    assert data(staged).pipeline_tag == "image-text-to-text"
    assert len(text) < 40_000


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries(dict.fromkeys(TEXTS, FOREIGN)))
def test_no_text_breaks_a_model_card(tmp_path: Path, drawn: dict[str, str]) -> None:
    fuzzed(tmp_path / "model", drawn)


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries(dict.fromkeys(TEXTS, FOREIGN)))
@pytest.mark.timeout(900)
def test_no_text_breaks_a_model_card_at_length(tmp_path: Path, drawn: dict[str, str]) -> None:
    fuzzed(tmp_path / "model", drawn)


def test_the_verb_prints_a_card_or_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    staged = trained(tmp_path, "perception", "text")
    run = str(tmp_path / "run")
    assert cli.main(["card", run, "--model", "--stage", "perception"]) == 0
    assert "# planted-perception" in capsys.readouterr().out
    out = tmp_path / "out" / "card"
    checkpoint = str(tmp_path / "run" / "training" / "text" / "checkpoint")
    assert cli.main(["card", checkpoint, "--model", "--out", str(out)]) == 0
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == ["README.md", "training.png"]
    assert "Stages: `perception` → `text`" in (out / "README.md").read_text("utf-8")
    shutil.copytree(checkpoint, tmp_path / "alone")
    assert cli.main(["card", str(tmp_path / "alone"), "--model"]) == 0
    assert "no training plan came with this checkpoint" in capsys.readouterr().out
    (tmp_path / "file").touch()
    assert staged.run is not None
    for words in (
        ["card", run, "--model", "--stage", "visual"],
        ["card", run, "--model", "--order", "merged"],
        ["card", run, "--model", "--stage", "text", "--stage", "perception"],
        ["card", run, "--order", "merged"],
        ["card", run],
        ["card", str(tmp_path / "nowhere")],
        ["card", run, "--model", "--out", str(tmp_path / "file")],
    ):
        assert cli.main(words) == 2, words
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
