"""Every verb that is given a recipe whose run was built with another one refuses its rows, or says whose they are."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from capcurriculum import cli
from capcurriculum.errors import RunError
from capcurriculum.files import json_file
from capcurriculum.recipe import Recipe, dump
from capcurriculum.render.progress import Display
from capcurriculum.run import writing
from curricula import make
from datagen import micro
from evaluation import heldout
from tests.curricula.test_make import fill, wanted
from training import plan, stage_files
from training.checkpoints import export

TRAINING = {"backbone": "micro"}
NOT_JUDGED = "was judged by the filter difficulty as this recipe sets it, so the run was built with another recipe"
NOT_THOSE = "are not those that this recipe makes of the run: its filters, split or seed differ from those"
Verb = Callable[..., tuple[int, str, str]]


def other(folder: Path) -> Recipe:
    """The recipe of the same run with a filter that it was not built with."""
    return wanted(folder, training=TRAINING, rollouts={"model": "policy", "k": 4, "below": 0.9})


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A run built with `one.yaml` and trained on the rows of its stage text, beside `other.yaml`."""
    asked = wanted(tmp_path, training=TRAINING)
    run = fill(asked)
    with writing(asked):
        make.write_orders(run, asked, [make.STAGES], Display(Console(quiet=True)))
    (tmp_path / "one.yaml").write_text(dump(asked))
    (tmp_path / "other.yaml").write_text(dump(other(tmp_path)))
    checkpoint = asked.run_dir / "training" / "text" / "checkpoint"
    shutil.copytree(micro.checkpoint("start"), checkpoint)
    rows, config = (
        stage_files.set_files("text", [asked.run_dir / "stages" / "text"]),
        {"algorithm.adv_estimator": "grpo"},
    )
    stage = plan.StagePlan(
        "text", plan.State.DONE, rows.digest, "c", config, rows.rows, 8, 5, 1, 1, 1, parent="micro:start",
        checkpoint_digest=export.checkpoint_digest(checkpoint),
    )  # fmt: skip
    plan.save(asked.run_dir / "training" / "plan.json", asked.name, [stage])
    monkeypatch.chdir(tmp_path)
    return asked


@pytest.fixture
def verb(capsys: pytest.CaptureFixture[str]) -> Verb:
    def call(*words: str) -> tuple[int, str, str]:
        code = cli.main(words)
        captured = capsys.readouterr()
        return code, captured.out, " ".join(captured.err.split())

    return call


def write_otherwise(asked: Recipe) -> None:
    """As if the stage files had come about under another seed."""
    file = asked.run_dir / "stages" / "order.json"
    file.write_text(json.dumps(json_file.mapping(file) | {"seed": 7}))  # without its checksum


def test_a_card_is_not_written_of_rows_of_another_recipe(built: Recipe, verb: Verb) -> None:
    assert verb("card", "one.yaml")[0] == verb("card", "run")[0] == 0
    code, out, said = verb("card", "other.yaml")
    assert (code, out) == (2, "")
    assert NOT_JUDGED in said
    write_otherwise(built)
    for named in ("one.yaml", "run"):  # a build that was begun with a changed recipe and has not ended, say
        code, out, said = verb("card", named)
        assert (code, out) == (2, "")
        assert NOT_THOSE in said
        assert "run `capcurriculum build` with this recipe first" in said


def test_a_model_card_counts_only_rows_that_the_model_was_trained_on(built: Recipe, verb: Verb) -> None:
    unknown = "Unknown: its training rows were not available."
    assert unknown not in verb("card", "run", "--model")[1]
    file = built.run_dir / "training" / "plan.json"
    digest = plan.load(file)[0].dataset_digest
    file.write_text(json.dumps(json_file.mapping(file)).replace(digest, "0" * 16))  # without its checksum
    assert unknown in verb("card", "run", "--model")[1]
    data = built.run_dir / "training" / "text" / "data"  # rows that were too long left out of the same set
    data.mkdir()
    (data / "made.json").write_text(json.dumps({"source": digest, "digest": "0" * 16}))
    assert unknown not in verb("card", "run", "--model")[1]


def test_test_rows_of_another_recipe_are_not_asked(built: Recipe, verb: Verb) -> None:
    endpoint = "M=http://127.0.0.1:9/v1"
    assert verb("evaluate", endpoint, "--suite", "one.yaml", "--dry-run")[0] == 0
    assert verb("evaluate", "one.yaml", "--suite", "run", "--dry-run")[::2] == (0, "")
    code, _, said = verb("evaluate", endpoint, "--suite", "other.yaml", "--dry-run")
    assert code == 2
    assert NOT_JUDGED in said
    # The rows are those of the run's own recipe, and the model may have been trained on them.
    code, _, said = verb("evaluate", "other.yaml", "--suite", "run", "--dry-run")
    assert code == 2
    assert NOT_JUDGED in said
    write_otherwise(built)
    code, _, said = verb("evaluate", endpoint, "--suite", "run", "--dry-run")
    assert code == 2
    assert NOT_THOSE in said


def test_a_model_is_asked_other_benchmarks_with_a_word_on_its_rows(built: Recipe, verb: Verb) -> None:
    (rows,) = (built.run_dir / "stages" / "text").glob("test-*.parquet")
    shutil.copy(rows, "mine.parquet")
    code, out, said = verb("evaluate", "other.yaml", "--suite", "mine.parquet", "--dry-run")
    assert code == 0
    assert "run after text" in out
    assert said.startswith("note: No question of stage ")
    assert said.endswith("The model may have been trained on either.")
    assert verb("evaluate", "one.yaml", "--suite", "mine.parquet", "--dry-run")[::2] == (0, "")


def test_a_model_is_served_with_a_word_on_its_rows(built: Recipe, verb: Verb) -> None:
    code, out, said = verb("serve", "other.yaml", "--dry-run")
    assert code == 0
    assert "training/text/checkpoint" in out
    assert NOT_JUDGED in said
    assert verb("serve", "one.yaml", "--dry-run")[::2] == verb("serve", "run", "--dry-run")[::2] == (0, "")


def test_held_out_rows_of_another_recipe_are_not_asked(built: Recipe) -> None:
    display = Display(Console(quiet=True))
    with pytest.raises(RunError, match=NOT_JUDGED):
        heldout.evaluate(other(Path.cwd()), 1, display)
    assert heldout.evaluate(built, 1, display, labels=()) == []
    write_otherwise(built)
    with pytest.raises(RunError, match=NOT_THOSE):
        heldout.evaluate(built, 1, display, labels=())


@pytest.mark.parametrize("words", [("report",), ("funnel",)])
def test_what_tells_of_the_run_says_that_it_was_built_otherwise(
    built: Recipe, verb: Verb, words: tuple[str, ...]
) -> None:
    code, _, said = verb(*words, "other.yaml")
    assert code == 0
    assert f"{NOT_JUDGED}, or nothing reached that filter" in said
    assert "What follows is of the run as it was built." in said
    for named in ("one.yaml", "run"):
        code, _, said = verb(*words, named)
        assert (code, "note:" in said) == (0, False)


@pytest.mark.parametrize("words", [("review", "export"), ("curriculum", "--order", "merged")], ids=" ".join)
def test_what_would_change_the_run_leaves_it_its_recipe(built: Recipe, verb: Verb, words: tuple[str, ...]) -> None:
    kept = (built.run_dir / "recipe.yaml").read_text()
    task, options = (words, ("--annotator", "Ada")) if words[0] == "review" else (words[:1], words[1:])
    code, _, said = verb(*task, "other.yaml", *options)
    assert code == 2
    assert NOT_JUDGED in said
    assert (built.run_dir / "recipe.yaml").read_text() == kept
    assert verb(*task, "one.yaml", *options)[0] == 0
